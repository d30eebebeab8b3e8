//! The keys of a log: which sign, and which did before.

use super::{Change, Log, LogHead, begin, commit, signed};
use crate::Error;

/// A key that heads of a log are signed by, or were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The verifier line.
    pub key: String,
    /// Whether it signs.
    pub state: KeyState,
}

/// Whether a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Every head is signed by it.
    Signs,
    /// It signed before, and never does again.
    Retired,
}

impl KeyState {
    /// Returns the word in the tables: `signs` or `retired`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signs => "signs",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Signs, Self::Retired].into_iter().find(|state| state.as_str() == text)
    }
}

impl LogKey {
    pub(super) fn read(key: &str, state: &str) -> Option<Self> {
        Some(Self { key: key.to_owned(), state: KeyState::parse(state)? })
    }
}

impl Log {
    /// Puts a list of keys in the place of the one there is, together with the newest head as these
    /// keys sign it.
    ///
    /// Both or neither: a head that is kept is never signed by other keys than the list says. False:
    /// the epoch has ended, the newest head is another one, or the list lacks a key that was listed;
    /// nothing was changed.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`. After an error it is open whether the change was made.
    pub async fn set_keys(
        &self,
        epoch: u64,
        keys: &[LogKey],
        head: &LogHead,
    ) -> Result<bool, Error> {
        const QUESTION: &str = "change the keys of the log";
        let mut change = begin(&self.writer, QUESTION).await?;
        if !self.sign_again(&mut change, epoch, head, QUESTION).await? {
            return change.undo(QUESTION).await.map(|()| false);
        }
        let listed: Vec<String> =
            sqlx::query_scalar("DELETE FROM log_key WHERE log = $1 RETURNING key")
                .bind(self.id)
                .fetch_all(change.connection())
                .await
                .map_err(|error| Error::sql(QUESTION, error))?;
        // Who signed once is known for ever: a key that were forgotten could come back as a new one.
        if !listed.iter().all(|listed| keys.iter().any(|key| key.key == *listed)) {
            return change.undo(QUESTION).await.map(|()| false);
        }
        insert(&mut change, self.id, keys, QUESTION).await?;
        commit(change, QUESTION).await?;
        Ok(true)
    }

    /// Puts other signatures on the newest head; false: it is another one, or the epoch has ended.
    async fn sign_again(
        &self,
        change: &mut Change,
        epoch: u64,
        head: &LogHead,
        question: &'static str,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE log_head SET note = $5, checkpoint = $6, signed = $7
             WHERE log = $1 AND size = $3 AND root = $4
             AND EXISTS (SELECT 1 FROM log WHERE log = $1 AND epoch = $2 AND integrated = $3)",
        )
        .bind(self.id)
        .bind(signed(epoch, question)?)
        .bind(signed(head.size, question)?)
        .bind(head.root.as_slice())
        .bind(&head.note)
        .bind(&head.checkpoint)
        .bind(head.signed.unix_nanos())
        .execute(change.connection())
        .await;
        Ok(done.map_err(|error| Error::sql(question, error))?.rows_affected() == 1)
    }
}

/// Writes a list of keys where there is none.
pub(super) async fn insert(
    change: &mut Change,
    log: i64,
    keys: &[LogKey],
    question: &'static str,
) -> Result<(), Error> {
    for (place, LogKey { key, state }) in (0_i64..).zip(keys) {
        sqlx::query("INSERT INTO log_key (log, place, key, state) VALUES ($1, $2, $3, $4)")
            .bind(log)
            .bind(place)
            .bind(key)
            .bind(state.as_str())
            .execute(change.connection())
            .await
            .map_err(|error| Error::sql(question, error))?;
    }
    Ok(())
}
