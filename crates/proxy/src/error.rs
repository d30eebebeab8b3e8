//! Why there is no answer, as kinds of answers for the client.

use std::sync::Arc;
use std::time::Duration;

use gomod::ModulePath;

/// Why a request has no answer. Each variant is one thing that the surface tells a client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Every source that was asked said that it does not exist (404 or 410), or it cannot exist.
    #[error("{text}")]
    NotFound {
        /// 404 or 410, as the source said.
        status: u16,
        /// One printable line.
        text: String,
        /// For how much longer this answer is fresh.
        fresh_for: Duration,
    },
    /// It is not stored, and fetching is off for this request or altogether.
    #[error("{what} is not here and fetching is off")]
    NotHere {
        /// The thing asked for.
        what: String,
    },
    /// A policy rule refuses it.
    #[error(transparent)]
    Denied(policy::Denial),
    /// The name is private, and this caller may not read private modules.
    #[error(
        "{path} is private ({pattern:?} in {source_name}) and served on loopback addresses only; to open private modules to everybody who reaches larder, write private.readers = \"anyone\""
    )]
    Private {
        /// The module.
        path: ModulePath,
        /// The pattern that says so.
        pattern: String,
        /// Where the pattern was set.
        source_name: String,
    },
    /// The name is private and so is looked up in no public database.
    #[error(
        "{path} is private ({pattern:?} in {source_name}) and is looked up in no public checksum database; set GONOSUMDB={pattern} where go runs"
    )]
    PrivateLookup {
        /// The module.
        path: ModulePath,
        /// The pattern that says so.
        pattern: String,
        /// Where the pattern was set.
        source_name: String,
    },
    /// A source could not or would not answer.
    #[error(transparent)]
    Upstream(Arc<upstream::Error>),
    /// A checksum database could not or would not answer.
    #[error(transparent)]
    Sumdb(Arc<sumdb::Error>),
    /// Records in bulk name private modules, and this caller may not read those.
    #[error(
        "records of {log} in bulk name private modules and are served on loopback addresses only; to open them to everybody who reaches larder, write private.readers = \"anyone\""
    )]
    RecordsOfAll {
        /// The log.
        log: tlog::LogName,
    },
    /// Our own log does not record it, or not now.
    #[error(transparent)]
    Own(Arc<sumdb::OwnError>),
    /// A public version that no checksum database has confirmed: our log records no such.
    #[error("{module} is confirmed by no checksum database, so our own does not record it")]
    Unconfirmed {
        /// The version.
        module: gomod::ModVer,
    },
    /// The caller's limit ran out; the flight goes on.
    #[error("{what}: still fetching, ask again")]
    StillFetching {
        /// The thing asked for.
        what: String,
    },
    /// Too many fetches are waiting already.
    #[error("too many fetches are waiting: try again later")]
    Crowded,
    /// Our own store or our own fault.
    #[error("{reason}")]
    Store {
        /// What happened.
        reason: String,
        /// True: fills are stopped (disk full or read-only). False: an unexpected failure.
        stopped: bool,
    },
}

impl Error {
    /// True when the source failed rather than answered: an old answer may then stand in.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Upstream(error) => matches!(
                **error,
                upstream::Error::Unavailable { .. }
                    | upstream::Error::Invalid { .. }
                    | upstream::Error::Refused { .. }
                    | upstream::Error::NoSource { .. }
            ),
            Self::StillFetching { .. } => true,
            _ => false,
        }
    }

    /// Our own fault, with its story told in the log by whoever handles it.
    pub(crate) fn fault(reason: impl Into<String>) -> Self {
        Self::Store { reason: reason.into(), stopped: false }
    }
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Self {
        match error {
            upstream::Error::Store { source, .. } => Self::from(&*source),
            error => Self::Upstream(Arc::new(error)),
        }
    }
}

impl From<&store::Error> for Error {
    fn from(error: &store::Error) -> Self {
        let stopped = matches!(error, store::Error::Stopped(_));
        Self::Store { reason: error.to_string(), stopped }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::from(&error)
    }
}
