//! Whom a module may be asked of: what is private goes to its own repository only.

use std::sync::Arc;

use gomod::{ModVer, ModulePath, Query};
use policy::Private;
use store::Staged;

use crate::{Chain, Error, Fetched, GoMod, Info, Listed, Origin, Upstream, ask::Ask};

/// Sends private names to version control and everything else to the chain.
///
/// A name that is private, or that GONOPROXY covers, is asked of nobody but its own host: not of a
/// proxy, whatever stands in the chain. Without version control it has no source.
#[derive(Debug)]
pub struct Gate {
    private: Private,
    no_proxy: Private,
    chain: Arc<Chain>,
    direct: Option<Arc<dyn Upstream>>,
}

impl Gate {
    /// A gate before this chain.
    ///
    /// `no_proxy` holds GONOPROXY and the like: public for all other purposes. `direct` is that of
    /// the chain, or `None` on a machine without git.
    #[must_use]
    pub fn new(
        private: Private,
        no_proxy: Private,
        chain: Arc<Chain>,
        direct: Option<Arc<dyn Upstream>>,
    ) -> Self {
        Self { private, no_proxy, chain, direct }
    }

    /// The same gate before a chain in which one source is asked first: see [`Chain::pinned`].
    #[must_use]
    pub fn pinned(self: &Arc<Self>, origin: &Origin) -> Arc<dyn Upstream> {
        let chain = self.chain.pinned(origin);
        Arc::new(Pinned { gate: Arc::clone(self), chain })
    }

    /// Every source with the reason why it is held back, `None` while it is well.
    #[must_use]
    pub fn health(&self) -> Vec<(Origin, Option<String>)> {
        self.chain.health()
    }

    /// Whether `direct` stands in the chain on a machine without git.
    #[must_use]
    pub fn lacks_git(&self) -> bool {
        self.direct.is_none() && self.chain.names_direct()
    }

    /// Whether a module is asked of its own repository only.
    #[must_use]
    pub fn is_private(&self, path: &ModulePath) -> bool {
        self.reason(path).is_some()
    }

    fn reason(&self, path: &ModulePath) -> Option<String> {
        let found = self.private.find(path).map(|found| found.to_string());
        // The built-in domains are private, so what is left is somebody's list. Without its pattern:
        // such a name is public, and whoever asks for it is told.
        let no_proxy = || {
            let found = self.no_proxy.find(path)?;
            Some(format!("not to be asked of a proxy ({})", found.source))
        };
        found.or_else(no_proxy)
    }

    /// Who is asked: version control, or the chain as it stands before this gate.
    fn choose<'a>(
        &'a self,
        ask: Ask<'_>,
        chain: &'a dyn Upstream,
    ) -> Result<&'a dyn Upstream, Error> {
        let Some(reason) = self.reason(ask.path()) else { return Ok(chain) };
        self.direct.as_deref().ok_or_else(|| Error::NoSource {
            what: ask.to_string(),
            reason: format!("it is {reason}, and there is no git on this machine"),
            direct: true,
        })
    }
}

/// A gate before a pinned chain.
#[derive(Debug)]
struct Pinned {
    gate: Arc<Gate>,
    chain: Arc<dyn Upstream>,
}

#[async_trait::async_trait]
impl Upstream for Gate {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        self.choose(Ask::List(path), &*self.chain)?.list(path).await
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        self.choose(Ask::Latest(path), &*self.chain)?.latest(path).await
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        self.choose(Ask::Info(path, query), &*self.chain)?.info(path, query).await
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        self.choose(Ask::Mod(module), &*self.chain)?.go_mod(module).await
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        self.choose(Ask::Zip(module), &*self.chain)?.zip(module, into).await
    }
}

#[async_trait::async_trait]
impl Upstream for Pinned {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        self.gate.choose(Ask::List(path), &*self.chain)?.list(path).await
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        self.gate.choose(Ask::Latest(path), &*self.chain)?.latest(path).await
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        self.gate.choose(Ask::Info(path, query), &*self.chain)?.info(path, query).await
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        self.gate.choose(Ask::Mod(module), &*self.chain)?.go_mod(module).await
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        self.gate.choose(Ask::Zip(module), &*self.chain)?.zip(module, into).await
    }
}
