//! Where versions come from.
//!
//! A source is an [`Upstream`]: a GOPROXY server ([`ProxySource`]), a folder in the same layout
//! ([`FileSource`]), version control itself ([`VcsSource`]), or a [`Chain`] of them with the
//! fallback rules of the `go` command. What a source says is judged before it is handed on: versions
//! are canonical and fit their path, an `.info` names the version that was asked for, nothing is
//! larger than the field allows. Bytes of proxies are handed on as they came; their zips are not
//! looked into here.
//!
//! Which modules may be asked of a source at all is decided by the [`Gate`]: private names go to
//! their own repositories only. All others ask whom they are told to ask.

mod ask;
mod breaker;
mod chain;
mod discover;
mod error;
mod file;
mod gate;
mod info;
mod list;
mod proxy;
mod vcs;

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Query, Version};
use store::Staged;

pub use self::vcs::{
    Credentials, DIRECT, Drift, Grant, KNOWN_GO, OnDrift, Override, Settings as VcsSettings,
    VcsParts, VcsSource,
};
pub use ask::{MAX_LIST_BYTES, MAX_ZIP_BYTES};
pub use chain::{Chain, Link, LinkKind};
pub use discover::{Discovery, DiscoverySettings, RepoRoot};
pub use error::{Error, Trouble};
pub use file::FileSource;
pub use gate::Gate;
pub use info::{Info, MAX_INFO_BYTES};
pub use proxy::{Limits, ProxySource, SourceConfig};

/// The name of a source as logs, metrics and facts show it.
///
/// The configured name, or host and path of the URL: never userinfo or a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(pub Arc<str>);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A zip that was written to a staged file; nobody has judged it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its length in bytes.
    pub size: u64,
    /// Who sent it.
    pub origin: Origin,
}

/// The versions that one source lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Canonical, fitting the path, without pseudo-versions; in the source's order, which may
    /// repeat a version. Empty: the module is known and has none.
    pub versions: Vec<Version>,
    /// Who said so.
    pub origin: Origin,
}

/// A `.mod` as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoMod {
    /// At most [`gomod::modfile::MAX_MOD_BYTES`], otherwise unjudged.
    pub bytes: Bytes,
    /// Who sent it.
    pub origin: Origin,
}

/// A source of versions.
///
/// Every method asks at once and retries only what is transient (room `outbound`); none remembers
/// an answer. Every future may be dropped at any await: the connection is dropped with it. Absence
/// is [`Error::NotFound`] and only that: a source that cannot say is never taken for one that says
/// no. Called on the fill runtime.
#[async_trait::async_trait]
pub trait Upstream: Debug + Send + Sync + 'static {
    /// What `@v/list` names. A known module without versions is an empty list.
    ///
    /// # Errors
    ///
    /// `NotFound` when the module is not known; otherwise as [`Error`] says.
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error>;

    /// What `@latest` says. Optional in the protocol: `NotFound` says nothing about the module.
    ///
    /// # Errors
    ///
    /// `NotFound` for 404 and 410, `Invalid` for an answer that [`Info::parse_latest`] refuses.
    async fn latest(&self, path: &ModulePath) -> Result<Info, Error>;

    /// The `.info` of a version, branch, tag or commit.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such thing, `Invalid` for an answer that [`Info::parse`] refuses.
    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error>;

    /// The `.mod` of a version.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such version, `Invalid` above 16 MiB.
    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error>;

    /// Appends the zip of a version to `into`, at most 500 MiB, and announces its length there
    /// first when the source tells it.
    ///
    /// On an error the staged file holds a beginning of the zip and is of no use. Bytes that were
    /// staged are never taken back, so nobody else is asked once there are any.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such version, `Store` when staging failed.
    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error>;

    /// The one source that answers, `None` where several may.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Why this source is held back at the moment, `None` while it is well.
    fn health(&self) -> Option<String> {
        None
    }
}
