//! Questions about stored versions.

use std::{fmt, sync::Arc, sync::atomic::AtomicU64};

use gomod::{ModVer, ModulePath, Version};
use sqlx::SqlitePool;
use units::Timestamp;

use crate::{Error, Metrics, metrics::Question};

/// One stored version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The version.
    pub module: ModVer,
    /// Bytes of its largest file, which is the zip if that is here.
    pub size: u64,
    /// When its first file was stored.
    pub stored: Timestamp,
    /// When it was last asked for, as far as was written down.
    pub last_used: Option<Timestamp>,
    /// Its `.info` is stored.
    pub has_info: bool,
    /// Its `.mod` is stored.
    pub has_mod: bool,
    /// Its zip is stored.
    pub has_zip: bool,
}

/// The version index. Cheap to clone; clones are the same index.
///
/// Every change is one transaction: dropped half-way, it did not happen.
#[derive(Clone)]
pub struct Index {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    /// Answers kept since the start, which tells when to prune.
    pub(crate) keeps: Arc<AtomicU64>,
    metrics: Metrics,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

impl Index {
    pub(crate) fn over(writer: SqlitePool, readers: SqlitePool) -> Self {
        Self { writer, readers, keeps: Arc::default(), metrics: Metrics::default() }
    }

    /// Returns the index's figures, to be registered.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sorts and counts the error of a question.
    pub(crate) fn note<T>(
        &self,
        question: &'static str,
        result: Result<T, sqlx::Error>,
    ) -> Result<T, Error> {
        result.map_err(|error| {
            self.metrics.errors.get_or_create(&Question { question }).inc();
            Error::sql(question, error)
        })
    }

    /// Returns the versions of `path` whose zip and info are stored, in semver order.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn versions(&self, path: &ModulePath) -> Result<Vec<Version>, Error> {
        const QUESTION: &str = "list versions";
        let rows: Result<Vec<String>, _> = sqlx::query_scalar(
            "SELECT version FROM version WHERE path = $1 AND has_info AND has_zip",
        )
        .bind(path.as_str())
        .fetch_all(&self.readers)
        .await;
        let rows = self.note(QUESTION, rows)?;
        let parsed: Result<Vec<_>, _> = rows.iter().map(|text| Version::parse(text)).collect();
        let mut versions = parsed.map_err(|_no_version| Error::nonsense(QUESTION))?;
        versions.sort_unstable();
        Ok(versions)
    }

    /// Returns what is known of one version.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn version(&self, module: &ModVer) -> Result<Option<Row>, Error> {
        type Columns = (i64, i64, Option<i64>, bool, bool, bool);
        let found: Result<Option<Columns>, _> = sqlx::query_as(
            "SELECT size, stored, last_used, has_info, has_mod, has_zip FROM version
             WHERE path = $1 AND version = $2",
        )
        .bind(module.path().as_str())
        .bind(module.version().as_str())
        .fetch_optional(&self.readers)
        .await;
        let found = self.note("show a version", found)?;
        Ok(found.map(|(size, stored, last_used, has_info, has_mod, has_zip)| Row {
            module: module.clone(),
            size: size.unsigned_abs(),
            stored: Timestamp::from_unix_nanos(stored),
            last_used: last_used.map(Timestamp::from_unix_nanos),
            has_info,
            has_mod,
            has_zip,
        }))
    }

    /// Adds what is newly known of some versions, in one transaction.
    ///
    /// A version that is there already gets the union of the files, the larger size, the earlier
    /// `stored` and the later `last_used`: so files may be told one by one and again. What was
    /// removed is told by [`forget`](Self::forget). Tens of microseconds a row.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`; nothing is changed then.
    pub async fn upsert(&self, rows: &[Row]) -> Result<(), Error> {
        self.note("store versions", self.write_versions(rows).await)?;
        self.metrics.written.inc_by(rows.len() as u64);
        Ok(())
    }

    async fn write_versions(&self, rows: &[Row]) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut change = self.writer.begin().await?;
        for row in rows {
            sqlx::query(
                "INSERT INTO version
                     (path, version, size, stored, last_used, has_info, has_mod, has_zip)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (path, version) DO UPDATE SET
                     size = MAX(size, excluded.size),
                     stored = MIN(stored, excluded.stored),
                     last_used = MAX(COALESCE(last_used, excluded.last_used),
                                     COALESCE(excluded.last_used, last_used)),
                     has_info = MAX(has_info, excluded.has_info),
                     has_mod = MAX(has_mod, excluded.has_mod),
                     has_zip = MAX(has_zip, excluded.has_zip)",
            )
            .bind(row.module.path().as_str())
            .bind(row.module.version().as_str())
            .bind(i64::try_from(row.size).unwrap_or(i64::MAX))
            .bind(row.stored.unix_nanos())
            .bind(row.last_used.map(Timestamp::unix_nanos))
            .bind(row.has_info)
            .bind(row.has_mod)
            .bind(row.has_zip)
            .execute(&mut *change)
            .await?;
        }
        change.commit().await
    }

    /// Writes down when versions were asked for, in one transaction; earlier times and unknown
    /// versions change nothing.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`; nothing is changed then.
    pub async fn touch(&self, used: &[(ModVer, Timestamp)]) -> Result<(), Error> {
        self.note("note uses", self.write_uses(used).await)?;
        self.metrics.written.inc_by(used.len() as u64);
        Ok(())
    }

    async fn write_uses(&self, used: &[(ModVer, Timestamp)]) -> Result<(), sqlx::Error> {
        if used.is_empty() {
            return Ok(());
        }
        let mut change = self.writer.begin().await?;
        for (module, at) in used {
            sqlx::query(
                "UPDATE version SET last_used = MAX(COALESCE(last_used, $3), $3)
                 WHERE path = $1 AND version = $2",
            )
            .bind(module.path().as_str())
            .bind(module.version().as_str())
            .bind(at.unix_nanos())
            .execute(&mut *change)
            .await?;
        }
        change.commit().await
    }

    /// Removes a version, if it is there.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn forget(&self, module: &ModVer) -> Result<(), Error> {
        let forgotten = sqlx::query("DELETE FROM version WHERE path = $1 AND version = $2")
            .bind(module.path().as_str())
            .bind(module.version().as_str())
            .execute(&self.writer)
            .await;
        self.note("forget a version", forgotten).map(drop)
    }

    /// Removes all versions, before they are read from the store again. Kept answers stay: the
    /// store does not know them, and upstream may be down.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn clear(&self) -> Result<(), Error> {
        let cleared = sqlx::query("DELETE FROM version").execute(&self.writer).await;
        self.note("forget all versions", cleared).map(drop)
    }

    /// Counts the versions, by reading through all of them: a few ms per 100,000.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn count(&self) -> Result<u64, Error> {
        let counted: Result<i64, _> =
            sqlx::query_scalar("SELECT COUNT(*) FROM version").fetch_one(&self.readers).await;
        self.note("count versions", counted).map(i64::unsigned_abs)
    }

    /// Ends all connections, after what they are doing; later questions are `Unavailable`.
    pub async fn close(&self) {
        self.readers.close().await;
        // The last connection writes the log back into the file.
        self.writer.close().await;
    }
}
