//! What cannot be rebuilt: the newest tree head of each checksum database. Our own logs: `log.rs`.

use std::{fmt, path::Path};

use sqlx::{SqlitePool, migrate::Migrator, sqlite::SqliteSynchronous};
use units::Timestamp;

use crate::{Error, log, open};

/// How far the tables have come: `user_version` of the file, set by the last migration.
const SCHEMA: i64 = 4;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/state");

/// The newest tree head of a checksum database that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumdbHead {
    /// How many records the tree holds.
    pub size: u64,
    /// The root hash.
    pub root: [u8; 32],
    /// The signed note, as it came.
    pub note: String,
    /// When it was seen first.
    pub checked: Timestamp,
    /// The evidence of a contradiction: since then nothing of the database is believed.
    pub evidence: Option<String>,
}

/// State that cannot be rebuilt. Cheap to clone; clones are the same file.
///
/// Every change is one transaction that is durable on return (`synchronous=FULL`); a future that is
/// dropped half-way changed all or nothing. The file is never set aside: damage is an error for a
/// person to see.
#[derive(Clone)]
pub struct State {
    pub(crate) pool: SqlitePool,
    /// For questions that wait for no change.
    pub(crate) readers: SqlitePool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    /// Opens the state in `file`, or makes it.
    ///
    /// # Errors
    /// `Unavailable` when the file can be neither opened nor made; `Damaged` when it is no state of
    /// ours or one of a newer release.
    pub async fn open(file: &Path) -> Result<Self, Error> {
        let pool = open::single(file, SqliteSynchronous::Full).await?;
        Self::ready(pool).await
    }

    /// Opens the state in `file` for reading: beside a server that writes to it, or where nothing can
    /// be written. Nothing is made and no table changed; whoever writes is told `Unavailable`.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be opened; `Damaged` when it is no state of ours, or one of
    /// another release.
    pub async fn open_for_reading(file: &Path) -> Result<Self, Error> {
        let pool = open::single_for_reading(file).await?;
        if open::age(&pool).await? != SCHEMA {
            pool.close().await;
            return Err(Error::nonsense("tell its age"));
        }
        Ok(Self { readers: log::readers(&pool), pool })
    }

    /// Makes a state that lives as long as its clones: for tests.
    ///
    /// # Errors
    /// `Unavailable` when memory is short.
    pub async fn memory() -> Result<Self, Error> {
        Self::ready(open::single_in_memory().await?).await
    }

    async fn ready(pool: SqlitePool) -> Result<Self, Error> {
        open::bring_up(&pool, &MIGRATIONS, SCHEMA).await?;
        Ok(Self { readers: log::readers(&pool), pool })
    }

    /// Returns the newest verified head of a database; `None`: none was ever seen.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn sumdb_head(&self, name: &str) -> Result<Option<SumdbHead>, Error> {
        const QUESTION: &str = "show a tree head";
        type Columns = (i64, Vec<u8>, String, i64, Option<String>);
        let found: Option<Columns> = sqlx::query_as(
            "SELECT size, root, note, checked, evidence FROM sumdb_upstream WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        let Some((size, root, note, checked, evidence)) = found else { return Ok(None) };
        let size = u64::try_from(size).map_err(|_negative| Error::nonsense(QUESTION))?;
        let root = root.try_into().map_err(|_length| Error::nonsense(QUESTION))?;
        let checked = Timestamp::from_unix_nanos(checked);
        Ok(Some(SumdbHead { size, root, note, checked, evidence }))
    }

    /// Puts a larger head in the place of the one of size `from` (`None`: of no head).
    ///
    /// Returns false, and changes nothing, when the stored head is another one meanwhile, is not
    /// smaller than the new one, or contradicted itself.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn advance_sumdb_head(
        &self,
        name: &str,
        from: Option<u64>,
        head: &SumdbHead,
    ) -> Result<bool, Error> {
        const QUESTION: &str = "keep a tree head";
        let size = i64::try_from(head.size).map_err(|_large| Error::nonsense(QUESTION))?;
        let statement = match from {
            None => sqlx::query(
                "INSERT INTO sumdb_upstream (name, size, root, note, checked)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            ),
            Some(_) => sqlx::query(
                "UPDATE sumdb_upstream SET size = $2, root = $3, note = $4, checked = $5
                 WHERE name = $1 AND size = $6 AND size < $2 AND evidence IS NULL",
            ),
        };
        let statement = statement
            .bind(name)
            .bind(size)
            .bind(head.root.as_slice())
            .bind(&head.note)
            .bind(head.checked.unix_nanos());
        let statement = match from {
            None => statement,
            // A size past 63 bits is stored nowhere.
            Some(from) => statement.bind(i64::try_from(from).unwrap_or(-1)),
        };
        let done = statement.execute(&self.pool).await;
        Ok(done.map_err(|error| Error::sql(QUESTION, error))?.rows_affected() == 1)
    }

    /// Writes down that a database contradicted itself. The first evidence stays.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn freeze_sumdb(&self, name: &str, evidence: &str) -> Result<(), Error> {
        let frozen = sqlx::query(
            "UPDATE sumdb_upstream SET evidence = COALESCE(evidence, $2) WHERE name = $1",
        )
        .bind(name)
        .bind(evidence)
        .execute(&self.pool)
        .await;
        frozen.map(drop).map_err(|error| Error::sql("note a contradiction", error))
    }

    /// Takes back [`freeze_sumdb`](Self::freeze_sumdb), on a person's word. Returns whether there
    /// was something to take back.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn thaw_sumdb(&self, name: &str) -> Result<bool, Error> {
        let thawed = sqlx::query(
            "UPDATE sumdb_upstream SET evidence = NULL WHERE name = $1 AND evidence IS NOT NULL",
        )
        .bind(name)
        .execute(&self.pool)
        .await;
        Ok(thawed.map_err(|error| Error::sql("thaw a database", error))?.rows_affected() == 1)
    }

    /// Ends all connections, those of its logs too, after what they are doing; later questions are
    /// `Unavailable`. The file is whole by itself then: it can be copied.
    pub async fn close(&self) {
        self.readers.close().await;
        // The last one folds the write-ahead log in.
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_reads_sees_what_is_written_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.sqlite");
        assert!(State::open_for_reading(&file).await.is_err());
        assert!(!file.exists());
        let writer = State::open(&file).await.unwrap();
        let reader = State::open_for_reading(&file).await.unwrap();
        assert!(writer.advance_sumdb_head("a", None, &head(7)).await.unwrap());
        assert_eq!(reader.sumdb_head("a").await.unwrap(), Some(head(7)));
        assert!(reader.advance_sumdb_head("a", Some(7), &head(8)).await.is_err());
        reader.close().await;
        writer.close().await;
        let alone = State::open_for_reading(&file).await.unwrap();
        assert_eq!(alone.sumdb_head("a").await.unwrap(), Some(head(7)));
    }

    fn head(size: u64) -> SumdbHead {
        let checked = Timestamp::from_unix_secs(1_700_000_000);
        SumdbHead { size, root: [7; 32], note: format!("note {size}\n"), checked, evidence: None }
    }

    #[tokio::test]
    async fn a_head_only_grows() {
        let state = State::memory().await.unwrap();
        assert_eq!(state.sumdb_head("a").await.unwrap(), None);
        assert!(!state.advance_sumdb_head("a", Some(0), &head(5)).await.unwrap());
        assert!(state.advance_sumdb_head("a", None, &head(5)).await.unwrap());
        assert!(!state.advance_sumdb_head("a", None, &head(9)).await.unwrap());
        assert!(!state.advance_sumdb_head("a", Some(5), &head(5)).await.unwrap());
        assert!(!state.advance_sumdb_head("a", Some(5), &head(4)).await.unwrap());
        assert!(!state.advance_sumdb_head("a", Some(4), &head(9)).await.unwrap());
        assert!(state.advance_sumdb_head("a", Some(5), &head(9)).await.unwrap());
        assert_eq!(state.sumdb_head("a").await.unwrap(), Some(head(9)));
        assert_eq!(state.sumdb_head("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_frozen_head_stays_until_it_is_thawed() {
        let state = State::memory().await.unwrap();
        assert!(state.advance_sumdb_head("a", None, &head(5)).await.unwrap());
        state.freeze_sumdb("a", "first").await.unwrap();
        state.freeze_sumdb("a", "second").await.unwrap();
        assert!(!state.advance_sumdb_head("a", Some(5), &head(9)).await.unwrap());
        let kept = state.sumdb_head("a").await.unwrap().unwrap();
        assert_eq!((kept.size, kept.evidence.as_deref()), (5, Some("first")));
        assert!(state.thaw_sumdb("a").await.unwrap());
        assert!(!state.thaw_sumdb("a").await.unwrap());
        assert!(state.advance_sumdb_head("a", Some(5), &head(9)).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.sqlite");
        let state = State::open(&file).await.unwrap();
        assert!(state.advance_sumdb_head("a", None, &head(5)).await.unwrap());
        state.close().await;
        assert!(state.sumdb_head("a").await.is_err());
        let state = State::open(&file).await.unwrap();
        assert_eq!(state.sumdb_head("a").await.unwrap(), Some(head(5)));
        sqlx::query("PRAGMA user_version = 99").execute(&state.pool).await.unwrap();
        state.close().await;
        assert!(matches!(State::open(&file).await, Err(Error::Damaged { .. })));
        let stranger = folder.path().join("stranger");
        std::fs::write(&stranger, "x".repeat(4096)).unwrap();
        assert!(matches!(State::open(&stranger).await, Err(Error::Damaged { .. })));
        assert_eq!(std::fs::read(&stranger).unwrap().len(), 4096);
    }

    #[test]
    fn the_last_migration_sets_the_schema_number() {
        let last = MIGRATIONS.iter().last().unwrap();
        assert_eq!(last.version, SCHEMA);
        assert!(last.sql.as_str().contains(&format!("PRAGMA user_version = {SCHEMA};")));
    }
}
