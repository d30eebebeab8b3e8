//! What can go wrong, by what the caller can do about it.

use std::{fmt, io, path::PathBuf, sync::Arc};

use crate::Tag;

/// Why nothing new is stored for now; reading goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Degraded {
    /// Less room than `store.min_free` asks for.
    BelowMinFree {
        /// Bytes free for this process.
        free: u64,
        /// Bytes that must stay free.
        min: u64,
    },
    /// The disk, its quota or its table of files is full.
    Full,
    /// The data folder cannot be written.
    ReadOnly,
}

impl Degraded {
    /// Returns the reason as a metric label: `below_min_free`, `full` or `read_only`.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::BelowMinFree { .. } => "below_min_free",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
        }
    }
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowMinFree { free, min } => {
                write!(f, "{free} bytes are free on the disk, store.min_free is {min}")
            }
            Self::Full => f.write_str("the disk is full"),
            Self::ReadOnly => f.write_str("the data folder is read-only"),
        }
    }
}

/// A store operation that did not succeed. An error is final: nothing here is worth retrying at once.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another handle of this one, holds the data folder: wait or give up.
    #[error("data folder is in use")]
    Busy,
    /// A newer larder wrote this data folder: use that one.
    #[error("layout {found} is newer than this larder")]
    NewerLayout {
        /// The number in the file `layout`.
        found: u64,
    },
    /// Nothing new is stored until the reason goes away; it is looked at again every second.
    #[error("nothing new is stored: {0}")]
    Stopped(Degraded),
    /// The content is not what `expected` named: read again, decide again.
    #[error("changed meanwhile")]
    Changed {
        /// The content that is there; `None`: nothing is there.
        current: Option<Tag>,
    },
    /// The name does not fit into a file system; no such object can be kept.
    #[error("{key} is too long for a file name")]
    LongName {
        /// The path inside the data folder.
        key: String,
    },
    /// `replace` was asked for an object that never changes: a mistake of the caller.
    #[error("{key} never changes")]
    Immutable {
        /// The path inside the data folder.
        key: String,
    },
    /// The system refused; `action` and `path` say what was tried.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// More than the caller, or a documented limit, wants to take in.
    #[error("{key} is larger than {cap}")]
    TooLarge {
        /// The path inside the data folder.
        key: String,
        /// The limit, in bytes or in entries of a folder.
        cap: u64,
    },
}

impl Error {
    /// Sorts the system's answer: no room and no permission to write stop fills, the rest is `Io`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Stopped(Degraded::Full)
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::Stopped(Degraded::ReadOnly),
            io::ErrorKind::InvalidFilename => Self::LongName { key: path.display().to_string() },
            _ => Self::Io { action, path, source: Arc::new(source) },
        }
    }

    /// Returns the metric label of the error.
    pub(crate) fn slug(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NewerLayout { .. } => "newer_layout",
            Self::Stopped(why) => why.slug(),
            Self::Changed { .. } => "changed",
            Self::LongName { .. } => "long_name",
            Self::Immutable { .. } => "immutable",
            Self::Io { .. } => "io",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_or_read_only_disk_stops_fills() {
        for (errno, want) in [
            (rustix::io::Errno::NOSPC, Degraded::Full),
            (rustix::io::Errno::DQUOT, Degraded::Full),
            (rustix::io::Errno::ROFS, Degraded::ReadOnly),
        ] {
            match Error::io("write", "x", errno) {
                Error::Stopped(got) => assert_eq!(got, want),
                other => panic!("{errno}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_disk_error_names_what_was_tried() {
        let error = Error::io("read", "/data/x", rustix::io::Errno::IO);
        assert_eq!(error.to_string(), "cannot read /data/x");
        assert_eq!(error.slug(), "io");
    }

    #[test]
    fn a_name_the_system_finds_too_long_is_its_own_error() {
        assert!(matches!(
            Error::io("open", "x", rustix::io::Errno::NAMETOOLONG),
            Error::LongName { .. }
        ));
    }
}
