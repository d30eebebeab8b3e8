//! What can go wrong, by what the caller can do about it.

use std::{io, path::PathBuf};

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is damaged: close the index, [`set_aside`](crate::set_aside) the file, open anew.
    #[error("database is damaged or newer than this program, seen when asked to {question}")]
    Damaged {
        /// What was asked: a verb and its object.
        question: &'static str,
        /// The database's answer; none when it gave a row that makes no sense.
        #[source]
        source: Option<Box<sqlx::Error>>,
    },
    /// The database did not answer: busy, full, read-only, closed. The next question may work.
    #[error("database did not {question}")]
    Unavailable {
        /// What was asked: a verb and its object.
        question: &'static str,
        /// The database's answer.
        #[source]
        source: Box<sqlx::Error>,
    },
    /// A file of the index cannot be moved or removed.
    #[error("cannot set aside {path}")]
    SetAside {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// An answer longer than [`MAX_ANSWER_BYTES`](crate::MAX_ANSWER_BYTES) is not kept.
    #[error("an answer of {bytes} bytes is too long to keep")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

/// Primary result codes that tell of trouble around the file, not in it.
///
/// Source: sqlite.org/rescode.html: PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL,
/// CANTOPEN, PROTOCOL, NOLFS, AUTH.
const AROUND: [i32; 12] = [3, 5, 6, 7, 8, 9, 10, 13, 14, 15, 22, 23];

impl Error {
    /// Sorts the database's answer: damage, or trouble that may pass.
    pub(crate) fn sql(question: &'static str, source: sqlx::Error) -> Self {
        let source = Box::new(source);
        if is_damage(&source) {
            Self::Damaged { question, source: Some(source) }
        } else {
            Self::Unavailable { question, source }
        }
    }

    /// A row that nobody can have written.
    pub(crate) fn nonsense(question: &'static str) -> Self {
        Self::Damaged { question, source: None }
    }
}

/// Does the file hold something else than our index?
fn is_damage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<i32>().ok());
            // Extended codes carry the primary one in their low byte.
            code.is_none_or(|code| !AROUND.contains(&(code & 0xff)))
        }
        sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::TypeNotFound { .. } => true,
        sqlx::Error::Migrate(error) => match &**error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => is_damage(error),
            _ => true,
        },
        _ => false,
    }
}
