//! What can go wrong, by what the client is told.

use std::{sync::Arc, time::Duration};

/// Why there is no answer of the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database says with authority that it does not have it.
    #[error("the checksum database answered {status}")]
    NotFound {
        /// 404 or 410, as it came.
        status: u16,
        /// The first line of its own text, if that may be shown.
        text: Option<String>,
    },
    /// The question is none: for the client a 400.
    #[error("not a question to a checksum database: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The database, or the proxy before it, cannot be asked now.
    #[error("{source_name}: {reason}")]
    Unavailable {
        /// Who is in trouble: a host, and a path.
        source_name: Arc<str>,
        /// Whether a time limit ran out.
        timeout: bool,
        /// What failed, in one line.
        reason: String,
        /// When to ask again, if that is known.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the protocol says. It is not kept.
    #[error("{source_name} sent a bad answer: {reason}")]
    Invalid {
        /// Who sent it.
        source_name: Arc<str>,
        /// The rule that it breaks.
        reason: String,
    },
}
