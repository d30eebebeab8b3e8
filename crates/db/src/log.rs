//! The rows of our own transparency log: places of records, heads, bindings, who may write.
//!
//! Each function that changes something is one transaction, durable on return. What a record's
//! number is was decided when [`Log::append`] returned; nothing here ever changes it.

mod bindings;
mod erase;
mod keys;
mod rows;

use std::{collections::HashMap, fmt, path::Path, time::Duration};

use gomod::{ModVer, ModulePath, Version};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection, sqlite::SqlitePoolOptions};
use units::Timestamp;

pub use self::keys::{KeyState, LogKey};
pub use self::rows::{Binding, LogHead, LogKind, LogRecord, LogStanding, NewRecord, Placed};
use crate::{Error, State};

/// Connections that read beside the one that writes. Each has a thread.
const READERS: u32 = 2;

/// How long a question waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes the lock at once: a transaction that begins by reading could lose it to another process.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// One log of the state. Cheap to clone; clones are the same log.
///
/// Questions go over connections of their own, so none waits for a change that is being synced.
#[derive(Clone)]
pub struct Log {
    writer: SqlitePool,
    readers: SqlitePool,
    id: i64,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("id", &self.id).finish_non_exhaustive()
    }
}

type RecordColumns = (i64, String, String, Option<String>, Vec<u8>, String, i64);
type HeadColumns = (i64, Vec<u8>, String, String, i64);

impl State {
    /// Begins a log with the keys that sign, and its first head, which is that of the empty tree.
    ///
    /// Returns false, and changes nothing, when there is one of that name.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn create_log(
        &self,
        name: &str,
        keys: &[LogKey],
        first: &LogHead,
    ) -> Result<bool, Error> {
        const QUESTION: &str = "make a log";
        let mut change = begin(&self.pool, QUESTION).await?;
        let made: Option<i64> = sqlx::query_scalar(
            "INSERT INTO log (name, next, integrated, epoch, created)
             VALUES ($1, 0, 0, 0, $2) ON CONFLICT DO NOTHING RETURNING log",
        )
        .bind(name)
        .bind(first.signed.unix_nanos())
        .fetch_optional(change.connection())
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        let Some(id) = made else { return change.undo(QUESTION).await.map(|()| false) };
        keys::insert(&mut change, id, keys, QUESTION).await?;
        insert_head(&mut change, id, first, QUESTION).await?;
        commit(change, QUESTION).await?;
        Ok(true)
    }

    /// Returns the name of the log that was made here first; `None`: none was made.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn log_name(&self) -> Result<Option<String>, Error> {
        sqlx::query_scalar("SELECT name FROM log ORDER BY log LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::sql("find a log", error))
    }

    /// Returns the log of that name; `None`: it was never made.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn log(&self, name: &str) -> Result<Option<Log>, Error> {
        let id: Option<i64> = sqlx::query_scalar("SELECT log FROM log WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::sql("find a log", error))?;
        Ok(id.map(|id| Log { writer: self.pool.clone(), readers: self.readers.clone(), id }))
    }
}

/// Connections that read, none of them open yet. A state in memory is its one connection's.
pub(crate) fn readers(pool: &SqlitePool) -> SqlitePool {
    let options = pool.connect_options();
    if options.get_filename() == Path::new(":memory:") {
        return pool.clone();
    }
    let readers =
        SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_connections(READERS);
    readers.connect_lazy_with((*options).clone())
}

impl Log {
    /// Returns how far the log is.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn standing(&self) -> Result<LogStanding, Error> {
        const QUESTION: &str = "tell how far the log is";
        type Columns = (i64, i64, i64, Option<String>, String, String);
        // One statement, so that keys and places are of one moment.
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT next, integrated, epoch, frozen, key, state FROM log JOIN log_key USING (log)
             WHERE log = $1 ORDER BY place",
        )
        .bind(self.id)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        let keys = rows.iter().map(|row| LogKey::read(&row.4, &row.5));
        let keys = keys.collect::<Option<_>>().ok_or_else(|| Error::nonsense(QUESTION))?;
        let first = rows.into_iter().next().ok_or_else(|| Error::nonsense(QUESTION))?;
        let (next, integrated, epoch, frozen, ..) = first;
        Ok(LogStanding {
            keys,
            next: unsigned(next, QUESTION)?,
            integrated: unsigned(integrated, QUESTION)?,
            epoch: unsigned(epoch, QUESTION)?,
            frozen,
        })
    }

    /// Makes the caller the one who may write, and returns its epoch: all earlier ones end.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn lead(&self) -> Result<u64, Error> {
        const QUESTION: &str = "change who writes the log";
        // A transaction, though it is one statement: the error of a commit that follows the row
        // which a statement returns, on a full disk, would be told to nobody.
        let mut change = begin(&self.writer, QUESTION).await?;
        let epoch =
            sqlx::query_scalar("UPDATE log SET epoch = epoch + 1 WHERE log = $1 RETURNING epoch")
                .bind(self.id)
                .fetch_one(change.connection())
                .await;
        let epoch = unsigned(epoch.map_err(|error| Error::sql(QUESTION, error))?, QUESTION)?;
        commit(change, QUESTION).await?;
        Ok(epoch)
    }

    /// Gives new records their places, in order, and says what became of each.
    ///
    /// All or nothing. `None`: the epoch has ended, nothing was changed.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`. After an error it is open whether the change was made.
    pub async fn append(
        &self,
        epoch: u64,
        records: &[NewRecord],
        now: Timestamp,
    ) -> Result<Option<Vec<Placed>>, Error> {
        const QUESTION: &str = "append to the log";
        let mut change = begin(&self.writer, QUESTION).await?;
        let Some(mut next) = self.next(&mut change, epoch, QUESTION).await? else {
            return change.undo(QUESTION).await.map(|()| None);
        };
        let mut placed = Vec::with_capacity(records.len());
        let mut bound = HashMap::new();
        for record in records {
            let path = record.module.path();
            if let Some(wanted) = record.kind.binding() {
                let found = match bound.get(path) {
                    Some(found) => *found,
                    None => self.bind(&mut change, path, wanted, now).await?,
                };
                bound.insert(path, found);
                if found != wanted {
                    placed.push(Placed::Bound(found));
                    continue;
                }
            }
            placed.push(if self.insert(&mut change, next, record, now).await? {
                next += 1;
                Placed::New(next - 1)
            } else {
                let known = find(change.connection(), self.id, &record.module).await?;
                Placed::Known(known.ok_or_else(|| Error::nonsense(QUESTION))?)
            });
        }
        self.set_next(&mut change, next, QUESTION).await?;
        commit(change, QUESTION).await?;
        Ok(Some(placed))
    }

    /// Writes records back into the places that they had, `first` being the next free one.
    ///
    /// All or nothing. False: the epoch has ended, or `first` is not the next free place, or a
    /// version has a record already; nothing was changed.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn restore(
        &self,
        epoch: u64,
        first: u64,
        records: &[NewRecord],
        now: Timestamp,
    ) -> Result<bool, Error> {
        const QUESTION: &str = "restore records of the log";
        let mut change = begin(&self.writer, QUESTION).await?;
        let mut next = first;
        if self.next(&mut change, epoch, QUESTION).await? != Some(first) {
            return change.undo(QUESTION).await.map(|()| false);
        }
        for record in records {
            if let Some(wanted) = record.kind.binding() {
                // The first binding stays: it was the earlier one then, too.
                self.bind(&mut change, record.module.path(), wanted, now).await?;
            }
            if !self.insert(&mut change, next, record, now).await? {
                return change.undo(QUESTION).await.map(|()| false);
            }
            next += 1;
        }
        self.set_next(&mut change, next, QUESTION).await?;
        commit(change, QUESTION).await?;
        Ok(true)
    }

    /// Keeps a signed head in succession to the one of size `from`.
    ///
    /// False: the epoch has ended, the newest head is another one, or the head would cover places
    /// that no record has; nothing was changed.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`. After an error it is open whether the change was made.
    pub async fn integrate(&self, epoch: u64, from: u64, head: &LogHead) -> Result<bool, Error> {
        const QUESTION: &str = "keep a head of the log";
        let mut change = begin(&self.writer, QUESTION).await?;
        let done = sqlx::query(
            "UPDATE log SET integrated = $4
             WHERE log = $1 AND epoch = $2 AND integrated = $3 AND $4 > $3 AND $4 <= next",
        )
        .bind(self.id)
        .bind(signed(epoch, QUESTION)?)
        .bind(signed(from, QUESTION)?)
        .bind(signed(head.size, QUESTION)?)
        .execute(change.connection())
        .await;
        if done.map_err(|error| Error::sql(QUESTION, error))?.rows_affected() != 1 {
            return change.undo(QUESTION).await.map(|()| false);
        }
        insert_head(&mut change, self.id, head, QUESTION).await?;
        commit(change, QUESTION).await?;
        Ok(true)
    }

    /// Returns the record of a version; `None`: it has none.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn record(&self, module: &ModVer) -> Result<Option<LogRecord>, Error> {
        find(&self.readers, self.id, module).await
    }

    /// Returns at most `count` records from number `first` on, in order.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn records(&self, first: u64, count: u16) -> Result<Vec<LogRecord>, Error> {
        const QUESTION: &str = "show records of the log";
        let rows: Vec<RecordColumns> = sqlx::query_as(
            "SELECT id, module, version, text, leaf, kind, created FROM log_record
             WHERE log = $1 AND id >= $2 ORDER BY id LIMIT $3",
        )
        .bind(self.id)
        .bind(signed(first, QUESTION)?)
        .bind(i64::from(count))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        rows.into_iter().map(|row| record(row).ok_or_else(|| Error::nonsense(QUESTION))).collect()
    }

    /// Returns the newest head of at most `size` records.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`, also when there is none.
    pub async fn head(&self, size: u64) -> Result<LogHead, Error> {
        const QUESTION: &str = "show a head of the log";
        let row: HeadColumns = sqlx::query_as(
            "SELECT size, root, note, checkpoint, signed FROM log_head
             WHERE log = $1 AND size <= $2 ORDER BY size DESC LIMIT 1",
        )
        .bind(self.id)
        .bind(signed(size, QUESTION)?)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?
        .ok_or_else(|| Error::nonsense(QUESTION))?;
        head(row).ok_or_else(|| Error::nonsense(QUESTION))
    }

    /// Returns at most `count` heads of `first` records or more, the smallest first.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn heads(&self, first: u64, count: u16) -> Result<Vec<LogHead>, Error> {
        const QUESTION: &str = "show heads of the log";
        let rows: Vec<HeadColumns> = sqlx::query_as(
            "SELECT size, root, note, checkpoint, signed FROM log_head
             WHERE log = $1 AND size >= $2 ORDER BY size LIMIT $3",
        )
        .bind(self.id)
        .bind(signed(first, QUESTION)?)
        .bind(i64::from(count))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        rows.into_iter().map(|row| head(row).ok_or_else(|| Error::nonsense(QUESTION))).collect()
    }

    /// Writes down that nothing may be signed any more. The first reason stays.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn freeze(&self, reason: &str) -> Result<(), Error> {
        let frozen = sqlx::query("UPDATE log SET frozen = COALESCE(frozen, $2) WHERE log = $1")
            .bind(self.id)
            .bind(reason)
            .execute(&self.writer)
            .await;
        frozen.map(drop).map_err(|error| Error::sql("freeze the log", error))
    }

    /// Takes back [`freeze`](Self::freeze), on a person's word.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn thaw(&self) -> Result<(), Error> {
        let thawed = sqlx::query("UPDATE log SET frozen = NULL WHERE log = $1")
            .bind(self.id)
            .execute(&self.writer)
            .await;
        thawed.map(drop).map_err(|error| Error::sql("thaw the log", error))
    }

    /// The next free place, if the epoch has not ended.
    async fn next(
        &self,
        change: &mut Change,
        epoch: u64,
        question: &'static str,
    ) -> Result<Option<u64>, Error> {
        let next: Option<i64> =
            sqlx::query_scalar("SELECT next FROM log WHERE log = $1 AND epoch = $2")
                .bind(self.id)
                .bind(signed(epoch, question)?)
                .fetch_optional(change.connection())
                .await
                .map_err(|error| Error::sql(question, error))?;
        next.map(|next| unsigned(next, question)).transpose()
    }

    async fn set_next(
        &self,
        change: &mut Change,
        next: u64,
        question: &'static str,
    ) -> Result<(), Error> {
        let done = sqlx::query("UPDATE log SET next = $2 WHERE log = $1")
            .bind(self.id)
            .bind(signed(next, question)?)
            .execute(change.connection())
            .await;
        done.map(drop).map_err(|error| Error::sql(question, error))
    }

    /// Puts a record into its place; false: the version has one.
    async fn insert(
        &self,
        change: &mut Change,
        id: u64,
        record: &NewRecord,
        now: Timestamp,
    ) -> Result<bool, Error> {
        const QUESTION: &str = "append to the log";
        let done = sqlx::query(
            "INSERT INTO log_record (log, id, module, version, text, leaf, kind, created)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (module, version, log) DO NOTHING",
        )
        .bind(self.id)
        .bind(signed(id, QUESTION)?)
        .bind(record.module.path().as_str())
        .bind(record.module.version().as_str())
        .bind(&record.text)
        .bind(record.leaf.as_slice())
        .bind(record.kind.as_str())
        .bind(now.unix_nanos())
        .execute(change.connection())
        .await;
        Ok(done.map_err(|error| Error::sql(QUESTION, error))?.rows_affected() == 1)
    }
}

/// A transaction.
///
/// Not sqlx's own: SQLite ends a transaction by itself when the disk is full, and sqlx then believes
/// for ever that one is open. Dropped before its end, it takes its connection with it, and the
/// change was not made.
struct Change {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl Change {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    async fn end(mut self, statement: &'static str, question: &'static str) -> Result<(), Error> {
        let ended = sqlx::query(statement).execute(&mut *self.connection).await;
        ended.map_err(|error| Error::sql(question, error))?;
        self.ended = true;
        Ok(())
    }

    /// Leaves everything as it was.
    async fn undo(self, question: &'static str) -> Result<(), Error> {
        self.end("ROLLBACK", question).await
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

async fn begin(pool: &SqlitePool, question: &'static str) -> Result<Change, Error> {
    let failed = |error| Error::sql(question, error);
    let connection = pool.acquire().await.map_err(failed)?;
    let mut change = Change { connection, ended: false };
    sqlx::query(BEGIN).execute(change.connection()).await.map_err(failed)?;
    Ok(change)
}

async fn commit(change: Change, question: &'static str) -> Result<(), Error> {
    change.end("COMMIT", question).await
}

async fn find<'e>(
    from: impl sqlx::Executor<'e, Database = Sqlite>,
    log: i64,
    module: &ModVer,
) -> Result<Option<LogRecord>, Error> {
    const QUESTION: &str = "show a record of the log";
    let row: Option<RecordColumns> = sqlx::query_as(
        "SELECT id, module, version, text, leaf, kind, created FROM log_record
         WHERE module = $1 AND version = $2 AND log = $3",
    )
    .bind(module.path().as_str())
    .bind(module.version().as_str())
    .bind(log)
    .fetch_optional(from)
    .await
    .map_err(|error| Error::sql(QUESTION, error))?;
    row.map(|row| record(row).ok_or_else(|| Error::nonsense(QUESTION))).transpose()
}

async fn insert_head(
    change: &mut Change,
    log: i64,
    head: &LogHead,
    question: &'static str,
) -> Result<(), Error> {
    let done = sqlx::query(
        "INSERT INTO log_head (log, size, root, note, checkpoint, signed)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(log)
    .bind(signed(head.size, question)?)
    .bind(head.root.as_slice())
    .bind(&head.note)
    .bind(&head.checkpoint)
    .bind(head.signed.unix_nanos())
    .execute(change.connection())
    .await;
    done.map(drop).map_err(|error| Error::sql(question, error))
}

/// Reads a row; `None`: nobody can have written it.
fn record((id, path, version, text, leaf, kind, created): RecordColumns) -> Option<LogRecord> {
    let (path, version) = (ModulePath::parse(&path).ok()?, Version::parse(&version).ok()?);
    Some(LogRecord {
        id: u64::try_from(id).ok()?,
        module: ModVer::new(path, version).ok()?,
        text,
        leaf: leaf.try_into().ok()?,
        kind: LogKind::parse(&kind)?,
        created: Timestamp::from_unix_nanos(created),
    })
}

fn head((size, root, note, checkpoint, signed): HeadColumns) -> Option<LogHead> {
    let size = u64::try_from(size).ok()?;
    let signed = Timestamp::from_unix_nanos(signed);
    Some(LogHead { size, root: root.try_into().ok()?, note, checkpoint, signed })
}

fn signed(number: u64, question: &'static str) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_large| Error::nonsense(question))
}

fn unsigned(number: i64, question: &'static str) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_negative| Error::nonsense(question))
}
