//! Erasing the text of a record: the one change to what a place holds.

use super::{Log, RecordColumns, begin, commit, record, signed};
use crate::{Error, LogRecord};

impl Log {
    /// Erases the text of record `id`; number, version and leaf stay, so that the tree does, and
    /// the version is never recorded again.
    ///
    /// False: the epoch has ended, or there is no such record; nothing was changed. Asked again, it
    /// is true again. Nobody reads the text any more, but the file holds it until
    /// [`scrub`](Self::scrub).
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`. After an error it is open whether the change was made.
    pub async fn erase(&self, epoch: u64, id: u64) -> Result<bool, Error> {
        const QUESTION: &str = "erase a record of the log";
        let failed = |error| Error::sql(QUESTION, error);
        let mut change = begin(&self.writer, QUESTION).await?;
        let done = sqlx::query(
            "UPDATE log_record SET text = NULL WHERE log = $1 AND id = $3
             AND EXISTS (SELECT 1 FROM log WHERE log.log = $1 AND epoch = $2)",
        )
        .bind(self.id)
        .bind(signed(epoch, QUESTION)?)
        .bind(signed(id, QUESTION)?)
        .execute(change.connection())
        .await;
        if done.map_err(failed)?.rows_affected() != 1 {
            return change.undo(QUESTION).await.map(|()| false);
        }
        commit(change, QUESTION).await?;
        Ok(true)
    }

    /// Writes the file anew, without what is left of erased texts in the free room of its pages.
    ///
    /// Cost: as much memory, and room on the disk, as the file is large; some seconds for a million
    /// records. Copies of the file that were made before have the texts.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`; nothing is lost then, and it can be asked again.
    pub async fn scrub(&self) -> Result<(), Error> {
        const QUESTION: &str = "write the log anew";
        // `secure_delete` would not do: it overwrites a cell that is deleted, but not the copies
        // of it that earlier splits of its page left behind. The write-ahead log, which holds
        // pages as they were written at first, is cut last.
        for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            let done = sqlx::query(statement).execute(&self.writer).await;
            done.map_err(|error| Error::sql(QUESTION, error))?;
        }
        Ok(())
    }

    /// Returns all erased records, in order. Cost: theirs alone, by an index of their own.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn erased(&self) -> Result<Vec<LogRecord>, Error> {
        const QUESTION: &str = "list erased records of the log";
        let rows: Vec<RecordColumns> = sqlx::query_as(
            "SELECT id, module, version, text, leaf, kind, created FROM log_record
             WHERE log = $1 AND text IS NULL ORDER BY id",
        )
        .bind(self.id)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| Error::sql(QUESTION, error))?;
        rows.into_iter().map(|row| record(row).ok_or_else(|| Error::nonsense(QUESTION))).collect()
    }
}
