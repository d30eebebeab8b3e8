//! What can go wrong with a repository.

use crate::{ObjectId, RemoteUrl, remote::Scheme};

/// What can go wrong, by what the caller can do about it.
///
/// A reason is one line of at most [`MAX_REASON_BYTES`], without control characters, credentials
/// and userinfo; part of it may be text of the remote.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The remote says there is no such repository, or hides it (401, 403, 404 or 410 over http,
    /// its text over ssh): not yet a proof of absence.
    #[error("{url} has no repository, or hides it: {reason}")]
    Refused {
        /// The remote.
        url: RemoteUrl,
        /// What it said.
        reason: String,
        /// Whether it answered 404 or 410 to git's own question over http.
        gone: bool,
    },
    /// No connection, no address, TLS, a cut, a 5xx, or a time limit of ours.
    #[error("{url}: {reason}")]
    Unavailable {
        /// The remote.
        url: RemoteUrl,
        /// What failed.
        reason: String,
        /// Whether a time limit ran out.
        timeout: bool,
    },
    /// A protocol, an address or a URL that may not be used.
    #[error("{url} may not be fetched: {reason}")]
    Forbidden {
        /// The URL, without userinfo.
        url: String,
        /// Which rule says so.
        reason: String,
    },
    /// The repository is larger than a limit, or breaks git's rules.
    #[error("{url}: {reason}")]
    Limit {
        /// The remote.
        url: RemoteUrl,
        /// Which limit or rule.
        reason: String,
    },
    /// Several commits have this prefix.
    #[error("ambiguous revision {revision}")]
    Ambiguous {
        /// As it was asked for.
        revision: String,
    },
    /// No branch, tag or HEAD leads to this commit (any more).
    #[error("{url} has no commit {commit} behind its branches and tags")]
    Unknown {
        /// The remote.
        url: RemoteUrl,
        /// The commit.
        commit: ObjectId,
    },
    /// Less is free on our disk than must stay free: nothing is fetched until that changes.
    #[error("{free} bytes are free on the disk, store.min_free is {min}")]
    Full {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must stay free.
        min: u64,
    },
    /// Our disk, our mirror, our git.
    #[error("the mirror of {url}: {reason}")]
    Mirror {
        /// The URL, or the folder of all mirrors.
        url: String,
        /// What failed.
        reason: String,
    },
}

/// Longest reason of an [`Error`]; the rest is cut.
pub const MAX_REASON_BYTES: usize = 400;

impl Error {
    pub(crate) fn unavailable(url: &RemoteUrl, reason: impl AsRef<str>) -> Self {
        Self::Unavailable { url: url.clone(), reason: line(reason.as_ref()), timeout: false }
    }

    pub(crate) fn late(url: &RemoteUrl, reason: impl AsRef<str>) -> Self {
        Self::Unavailable { url: url.clone(), reason: line(reason.as_ref()), timeout: true }
    }

    pub(crate) fn refused(url: &RemoteUrl, reason: impl AsRef<str>) -> Self {
        // git's words for both statuses; 401 and 403 have others.
        let said = reason.as_ref();
        let gone = matches!(url.scheme(), Scheme::Http | Scheme::Https)
            && said.contains("repository '")
            && said.ends_with("' not found");
        Self::Refused { url: url.clone(), reason: line(said), gone }
    }

    pub(crate) fn forbidden(url: &(impl ToString + ?Sized), reason: impl AsRef<str>) -> Self {
        Self::Forbidden { url: line(&url.to_string()), reason: line(reason.as_ref()) }
    }

    pub(crate) fn limit(url: &RemoteUrl, reason: impl AsRef<str>) -> Self {
        Self::Limit { url: url.clone(), reason: line(reason.as_ref()) }
    }

    pub(crate) fn mirror(url: &(impl ToString + ?Sized), reason: impl AsRef<str>) -> Self {
        Self::Mirror { url: url.to_string(), reason: line(reason.as_ref()) }
    }
}

/// One line, bounded, nothing in it that a terminal or a log would obey.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_REASON_BYTES));
    for piece in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(piece.chars().filter(|char| !char.is_control()));
        if line.len() > MAX_REASON_BYTES {
            line.truncate(line.floor_char_boundary(MAX_REASON_BYTES));
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{MAX_REASON_BYTES, line};

    #[test]
    fn a_reason_is_one_bounded_line() {
        assert_eq!(line("fatal: a\n\tb\r\n  c\u{1b}[31m"), "fatal: a b c[31m");
        assert_eq!(line(&"x".repeat(MAX_REASON_BYTES)).len(), MAX_REASON_BYTES);
        assert_eq!(line(&"x".repeat(MAX_REASON_BYTES + 1)).len(), MAX_REASON_BYTES);
        assert_eq!(line(&"é".repeat(MAX_REASON_BYTES)).len(), MAX_REASON_BYTES);
    }
}
