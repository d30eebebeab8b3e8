//! Version control as a source: modules straight from their git repositories.
//!
//! What the `go` command does in direct mode, without it: a module path leads to a repository
//! (`locate`), a query to a commit and a version of the module (`resolve`, over the pure rules of
//! `place`, `find`, `tags`, `convert` and `pseudo`), a version to its zip (`build`). Answers, zips
//! and the texts of refusals are Go's. Source: modfetch/coderepo.go; reference git.md §1-3.

mod build;
mod convert;
#[cfg(test)]
mod convert_tests;
mod facts;
mod find;
mod locate;
mod origin;
mod pins;
mod place;
mod pseudo;
mod resolve;
mod settings;
mod tags;
mod trouble;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Query, modfile};
use outbound::Client;
use policy::address::Word;
use quick_cache::sync::Cache;
use store::{Staged, Store};
use tokio::{sync::Semaphore, time::Instant};
use vcs::{Freshness, Git};

use self::{
    build::{PACKED_BYTES, PackedBlobs},
    locate::{Home, Located},
    pins::Pins,
};
use crate::{
    Discovery, Error, Fetched, GoMod, Info, Listed, Origin, ProxySource, Upstream, ask::Ask,
};

pub use build::KNOWN_GO;
pub use settings::{Credentials, Drift, Grant, OnDrift, Override, Settings};

/// The name of version control in logs, metrics and facts: that of its place in GOPROXY.
pub const DIRECT: &str = "direct";
/// Proxies named by go-import tags whose health is remembered.
const MAX_NAMED_PROXIES: usize = 64;
/// Addresses whose protocol is remembered.
const MAX_PROBED: usize = 1024;

/// What a [`VcsSource`] stands on.
#[derive(Debug)]
pub struct VcsParts {
    /// Mirrors and the way to run git.
    pub git: Git,
    /// The go-import pages of hosts.
    pub discovery: Discovery,
    /// Knows which commit a version was served from.
    pub store: Store,
    /// For proxies that a page names, and for proving that a repository does not exist.
    pub client: Client,
    /// What the operator says.
    pub settings: Settings,
}

/// Version control.
///
/// A version that was once served stays the commit that it was: see [`Drift`]. Errors name the
/// repository's URL, never userinfo.
pub struct VcsSource {
    origin: Origin,
    git: Git,
    discovery: Discovery,
    store: Store,
    client: Client,
    settings: Settings,
    pins: Pins,
    packed: Arc<PackedBlobs>,
    builds: Semaphore,
    /// The protocol by which an address answered, and when.
    probed: Cache<String, (Instant, String)>,
    proxies: Cache<(String, Word), Arc<ProxySource>>,
}

impl fmt::Debug for VcsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VcsSource").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl VcsSource {
    /// Makes the source; nothing is fetched yet.
    #[must_use]
    pub fn new(parts: VcsParts) -> Self {
        let VcsParts { git, discovery, store, client, settings } = parts;
        let packed = PackedBlobs::new(settings.packed_bytes.unwrap_or(PACKED_BYTES));
        Self {
            origin: Origin(Arc::from(DIRECT)),
            git,
            discovery,
            store,
            client,
            pins: Pins::default(),
            packed: Arc::new(packed),
            builds: Semaphore::new(settings.builds.clamp(1, Semaphore::MAX_PERMITS)),
            probed: Cache::new(MAX_PROBED),
            proxies: Cache::new(MAX_NAMED_PROXIES),
            settings,
        }
    }

    async fn list_git(&self, home: &Home) -> Result<Listed, trouble::Fail> {
        let refs = home.repository.refs(Freshness::Now).await?;
        let versions = home.list(&refs).await?;
        self.compare_stored(home, &refs, &versions).await;
        Ok(Listed { versions, origin: self.origin.clone() })
    }
}

/// The answers of a proxy that a page names are direct's: it is asked by no other name.
#[async_trait::async_trait]
impl Upstream for VcsSource {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        let ask = Ask::List(path);
        match self.locate(ask).await? {
            Located::Proxy(proxy) => {
                Ok(Listed { origin: self.origin.clone(), ..proxy.list(path).await? })
            }
            Located::Git(home) => match self.list_git(&home).await {
                Ok(listed) => Ok(listed),
                Err(fail) => Err(self.told(&home, ask, fail).await),
            },
        }
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        let ask = Ask::Latest(path);
        match self.locate(ask).await? {
            Located::Proxy(proxy) => {
                Ok(Info { origin: self.origin.clone(), ..proxy.latest(path).await? })
            }
            Located::Git(home) => match self.latest_info(&home).await {
                Ok(info) => Ok(info),
                Err(fail) => Err(self.told(&home, ask, fail).await),
            },
        }
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        let ask = Ask::Info(path, query);
        match self.locate(ask).await? {
            Located::Proxy(proxy) => {
                Ok(Info { origin: self.origin.clone(), ..proxy.info(path, query).await? })
            }
            Located::Git(home) => match self.query_info(&home, query).await {
                Ok(info) => Ok(info),
                Err(fail) => Err(self.told(&home, ask, fail).await),
            },
        }
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        let ask = Ask::Mod(module);
        let home = match self.locate(ask).await? {
            Located::Proxy(proxy) => {
                let go_mod = proxy.go_mod(module).await?;
                return Ok(GoMod { origin: self.origin.clone(), ..go_mod });
            }
            Located::Git(home) => home,
        };
        let pin = match self.version(&home, module).await {
            Ok(pin) => pin,
            Err(fail) => return Err(self.told(&home, ask, fail).await),
        };
        let synthetic = || Bytes::from(modfile::synthetic(module.path()));
        let bytes = pin.found.go_mod.clone().unwrap_or_else(synthetic);
        Ok(GoMod { bytes, origin: self.origin.clone() })
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        let ask = Ask::Zip(module);
        let home = match self.locate(ask).await? {
            Located::Proxy(proxy) => {
                let fetched = proxy.zip(module, into).await?;
                return Ok(Fetched { origin: self.origin.clone(), ..fetched });
            }
            Located::Git(home) => home,
        };
        let built = match self.version(&home, module).await {
            Ok(pin) => self.build(&home, module, &pin, into).await,
            Err(fail) => Err(fail),
        };
        match built {
            Ok(fetched) => Ok(fetched),
            Err(fail) => Err(self.told(&home, ask, fail).await),
        }
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin.clone())
    }
}
