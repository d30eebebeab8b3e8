//! What can go wrong with our own log, by what the caller can do about it.

use std::error::Error;

use gomod::{ModVer, ModulePath};
use tlog::LogName;

use super::{Binding, Logged, Withheld};

/// Why our own log did not do what it was asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OwnError {
    /// The version is recorded with other hashes. The first record counts for ever.
    #[error("{} is recorded with other hashes, as number {}", first.record.module(), first.id)]
    Conflict {
        /// The record that counts.
        first: Box<Logged>,
    },
    /// The path was recorded as private and now comes from public, or the reverse.
    #[error("{path} is bound to {}", binding.as_str())]
    Bound {
        /// The path.
        path: ModulePath,
        /// What it was recorded as first.
        binding: Binding,
    },
    /// The hashes are none, or the stored record is none of the version.
    #[error("malformed record of {module}")]
    Malformed {
        /// The version.
        module: ModVer,
        /// What is wrong with it.
        #[source]
        source: tlog::Error,
    },
    /// A record was erased: for the client a 410.
    #[error("{what} was erased by whoever runs this log")]
    Erased {
        /// What is withheld for it.
        what: Withheld,
    },
    /// Nothing is signed any more, until a person has looked: for the client a 503.
    #[error("log {log} is frozen: {reason}")]
    Frozen {
        /// The log.
        log: LogName,
        /// Why, and what to do.
        reason: String,
    },
    /// The database or the store does not answer, or another sequencer writes; later it may work.
    #[error("the log cannot be used now: {reason}")]
    Unavailable {
        /// What failed, in one line.
        reason: String,
    },
    /// There is no such log, or there is one already.
    #[error("log {log} {problem}")]
    Existence {
        /// The log.
        log: LogName,
        /// What is the matter.
        problem: &'static str,
    },
    /// What is stored of the log contradicts its heads: for a person to see.
    #[error("what is stored of log {log} is damaged: {reason}")]
    Damaged {
        /// The log.
        log: LogName,
        /// What was found.
        reason: String,
    },
}

impl OwnError {
    /// The database did not answer.
    pub(super) fn database(error: &db::Error) -> Self {
        Self::Unavailable { reason: told(error) }
    }

    /// The store did not answer.
    pub(super) fn store(error: &store::Error) -> Self {
        Self::Unavailable { reason: told(error) }
    }
}

/// An error with its cause, which says more than the error itself.
pub(super) fn told(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
