//! What can go wrong, by what the client is told.

use std::{sync::Arc, time::Duration};

use gomod::ModVer;

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
    /// The version is not recorded, and was waited for: for the client a 503.
    #[error(
        "{database} does not record {module} (yet); if this module is private, add it to private"
    )]
    NotRecorded {
        /// The version.
        module: ModVer,
        /// The database's name.
        database: String,
    },
    /// The question is none: for the client a 400.
    #[error("not a question to a checksum database: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The database, or the proxy before it, cannot be asked now: for the client a 503.
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
    /// The database contradicted itself before: what is stored is given, nothing more is believed.
    #[error("{database} contradicted itself and is not believed any more, see evidence {evidence}")]
    Frozen {
        /// The database's name.
        database: String,
        /// The name of the kept evidence.
        evidence: String,
    },
    /// The database, or somebody before it, lies: a fork, a forged tile, a record of another module.
    #[error("{database} does not tell the truth: {reason}")]
    Misbehaved {
        /// The database's name.
        database: String,
        /// What was found.
        reason: String,
        /// The name of the kept evidence, for what the database itself signed.
        evidence: Option<String>,
    },
    /// Our own store or state failed: for the client a 500.
    #[error("cannot keep what the checksum database says: {reason}")]
    Kept {
        /// What failed.
        reason: String,
    },
}
