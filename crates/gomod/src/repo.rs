//! From an import path to its repository, by the table that stands in the `go` command.
//!
//! Paths of well-known hosts and paths that name their version control need no look-up. Anything
//! else is asked of its host (`?go-get=1`). Source: golang/go `cmd/go/internal/vcs` (`vcsPaths`).

mod table;

use crate::path::ModulePath;

/// What the table says of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// `url` is complete.
    At {
        /// The import path of the repository's root.
        root: String,
        /// What to fetch with.
        vcs: Vcs,
        /// `https://` and the root.
        url: String,
    },
    /// An element ends in `.git` and the like: the scheme is to be probed.
    Probe {
        /// The import path of the repository's root, suffix included.
        root: String,
        /// What the suffix names.
        vcs: Vcs,
        /// Host and path, **without** the suffix: Go fetches `x.org/r.git` from `x.org/r`.
        address: String,
    },
    /// Not in the table: ask the host (`?go-get=1`).
    Unlisted,
}

/// A version control system, or `mod` for a module proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vcs {
    /// Git.
    Git,
    /// Mercurial.
    Hg,
    /// Subversion.
    Svn,
    /// Bazaar; gone in Go 1.27.
    Bzr,
    /// Fossil.
    Fossil,
    /// None: the URL is the base of a module proxy.
    Mod,
}

impl Vcs {
    /// Reads a name as go-import pages, GOVCS and path suffixes have it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Git, Self::Hg, Self::Svn, Self::Bzr, Self::Fossil, Self::Mod]
            .into_iter()
            .find(|vcs| vcs.as_str() == name)
    }

    /// Returns the name, which is that of the command.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Hg => "hg",
            Self::Svn => "svn",
            Self::Bzr => "bzr",
            Self::Fossil => "fossil",
            Self::Mod => "mod",
        }
    }
}

impl std::fmt::Display for Vcs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Looks a path up in the table.
///
/// ```
/// use gomod::repo::{Known, Vcs, known};
///
/// let path = "github.com/etcd-io/etcd/client/v3".parse()?;
/// let Known::At { root, vcs: Vcs::Git, url } = known(&path)? else { panic!("not by git") };
/// assert_eq!((&*root, &*url), ("github.com/etcd-io/etcd", "https://github.com/etcd-io/etcd"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error`] when the path belongs to a host of the table and cannot be a repository there: no
/// host need be asked.
pub fn known(path: &ModulePath) -> Result<Known, Error> {
    table::look_up(path.as_str())
}

/// Why a path has no repository, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path is not of the form that its host has.
    #[error("invalid {host} import path {}", crate::quote(path.as_bytes()))]
    Invalid {
        /// The host, or host and first element.
        host: &'static str,
        /// The path.
        path: String,
    },
    /// The repository's name ends in `.git` or the like where the host wants none.
    #[error("invalid version control suffix in {host}/ path")]
    Suffix {
        /// The host, or host and first element.
        host: &'static str,
    },
    /// The name is reserved and never asked for.
    #[error("{reason}")]
    Reserved {
        /// Go's text.
        reason: &'static str,
    },
}

#[cfg(test)]
mod tests;
