//! From a module path to its repository: overrides, the static table, the host's word.
#![expect(clippy::disallowed_methods, reason = "the room's clock handle: how old a probe is")]

use std::{sync::Arc, time::Duration};

use gomod::{
    ModulePath,
    govcs::Visibility,
    repo::{self, Known, Vcs},
};
use policy::address::Word;
use tokio::time::Instant;
use vcs::{Credential, Freshness, Protocols, Remote, RemoteUrl, Repository};

use super::{VcsSource, place::Place, settings::overriding, trouble::absent};
use crate::{Error, Limits, ProxySource, RepoRoot, SourceConfig, ask::Ask};

/// How long the scheme that answered a probe is taken again. Source: git.md §1.1.
const PROBE_FRESH: Duration = Duration::from_hours(1);

/// A module's repository.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) repository: Repository,
    pub(crate) place: Place,
    /// Whether the path is private: its absence needs better proof.
    pub(crate) private: bool,
    pub(crate) credential: Option<Credential>,
}

/// Where a module is found.
pub(crate) enum Located {
    Git(Box<Home>),
    /// At the proxy that a go-import tag names.
    Proxy(Arc<ProxySource>),
}

impl VcsSource {
    /// Finds the repository; asks hosts only where neither override nor table knows it.
    pub(crate) async fn locate(&self, ask: Ask<'_>) -> Result<Located, Error> {
        let path = ask.path();
        if let Some(entry) = overriding(&self.settings.overrides, path.as_str()) {
            let root = RepoRoot {
                root: entry.root.clone().unwrap_or_else(|| entry.prefix.clone()),
                vcs: Vcs::Git,
                url: entry.url.clone(),
                subdir: entry.subdir.clone(),
                word: Word::Operator,
            };
            let url = self.remote_url(ask, &root.url)?;
            return self.home(ask, &root, url);
        }
        let root = match repo::known(path) {
            Err(error) => return Err(absent(self, ask, &format!("module {path}: {error}"))),
            Ok(Known::At { root, vcs, url }) => self.listed(path, root, vcs, url),
            Ok(Known::Probe { root, vcs, address }) => {
                self.check_policy(ask, &root, vcs)?;
                let url = self.probe(ask, &address).await?;
                self.listed(path, root, vcs, url)
            }
            Ok(Known::Unlisted) => self.discovery.root(path).await?,
        };
        if root.vcs == Vcs::Mod {
            return self.named_proxy(&root).map(Located::Proxy);
        }
        self.check_policy(ask, &root.root, root.vcs)?;
        let url = self.remote_url(ask, &root.url)?;
        self.home(ask, &root, url)
    }

    /// A repository of the static table: the path names its host, as good as a page would.
    fn listed(&self, path: &ModulePath, root: String, vcs: Vcs, url: String) -> RepoRoot {
        RepoRoot { root, vcs, url, subdir: String::new(), word: self.word(path) }
    }

    /// On whose word a host is dialled that the path itself names.
    fn word(&self, path: &ModulePath) -> Word {
        let told = self.settings.private.find(path).is_some()
            || self.settings.insecure.find(path.as_str()).is_some();
        if told { Word::Operator } else { Word::Discovered }
    }

    fn home(&self, ask: Ask<'_>, root: &RepoRoot, url: RemoteUrl) -> Result<Located, Error> {
        let path = ask.path();
        let place = Place::new(path, &root.root, &root.subdir)
            .map_err(|text| absent(self, ask, &format!("module {path}: {text}")))?;
        let credential = self.credential(path, &url);
        let remote = Remote { url, credential: credential.clone(), word: root.word };
        let private = self.settings.private.find(path).is_some();
        let repository = self.git.repository(remote);
        Ok(Located::Git(Box::new(Home { repository, place, private, credential })))
    }

    fn credential(&self, path: &ModulePath, url: &RemoteUrl) -> Option<Credential> {
        let visibility = match self.settings.private.find(path) {
            Some(_) => Visibility::Private,
            None => Visibility::Public,
        };
        self.settings.credentials.find(path, url, visibility).cloned()
    }

    /// GOVCS, and that nothing but git is ever run.
    fn check_policy(&self, ask: Ask<'_>, root: &str, vcs: Vcs) -> Result<(), Error> {
        let found = ModulePath::parse(root).ok();
        let found = found.as_ref().unwrap_or(ask.path());
        let (visibility, word) = match self.settings.private.find(found) {
            Some(_) => (Visibility::Private, "private"),
            None => (Visibility::Public, "public"),
        };
        let allowed = self.settings.govcs.allows(root, vcs, visibility);
        let text = match allowed {
            Err(error) => error.to_string(),
            Ok(()) if vcs == Vcs::Git => return Ok(()),
            Ok(()) => {
                format!(
                    "GOVCS disallows using {} for {word} {root}: larder runs git only",
                    vcs.as_str()
                )
            }
        };
        let (what, origin) = (ask.to_string(), self.origin.clone());
        Err(Error::Forbidden { what, origin, text: Some(text) })
    }

    /// Which protocols the path's repository may be fetched by.
    fn protocols(&self, path: &ModulePath) -> Protocols {
        let insecure = self.settings.insecure.find(path.as_str()).is_some();
        let Protocols { http, file } = self.settings.protocols;
        Protocols { http: http || insecure, file }
    }

    fn remote_url(&self, ask: Ask<'_>, url: &str) -> Result<RemoteUrl, Error> {
        RemoteUrl::parse(url, self.protocols(ask.path())).map_err(|error| {
            let (what, origin) = (ask.to_string(), self.origin.clone());
            Error::Forbidden { what, origin, text: Some(error.to_string()) }
        })
    }

    /// Finds the protocol by which a repository answers that a path names without one.
    ///
    /// The safe ones only, unless GOINSECURE allows more; ssh only where there is a key for it.
    /// Source: vcs.go `repoRootFromVCSPaths`; git.md §1.2 (CVE-2023-45285).
    async fn probe(&self, ask: Ask<'_>, address: &str) -> Result<String, Error> {
        if let Some((at, url)) = self.probed.get(address)
            && at.elapsed() < PROBE_FRESH
        {
            return Ok(url);
        }
        let path = ask.path();
        let http = self.protocols(path).http;
        let mut refusal = None;
        for scheme in ["https", "http", "ssh"] {
            let Ok(url) = self.remote_url(ask, &format!("{scheme}://{address}")) else { continue };
            let credential = self.credential(path, &url);
            let keyed = matches!(credential, Some(Credential::Ssh { .. }));
            if (scheme == "http" && !http) || (scheme == "ssh" && !keyed) {
                continue;
            }
            let root = self.listed(path, path.to_string(), Vcs::Git, url.as_str().to_owned());
            let located = self.home(ask, &root, url.clone())?;
            let Located::Git(home) = located else { continue };
            match home.repository.refs(Freshness::Now).await {
                Ok(_) => {
                    let url = url.as_str().to_owned();
                    self.probed.insert(address.to_owned(), (Instant::now(), url.clone()));
                    return Ok(url);
                }
                // Of several errors the first, safest protocol's is told.
                Err(error) if refusal.is_none() => refusal = Some((home, error)),
                Err(_) => {}
            }
        }
        let text = format!(
            "unrecognized import path {}: no secure protocol found for repository",
            gomod::quote(path.as_str().as_bytes())
        );
        Err(match refusal {
            Some((home, error)) => self.told(&home, ask, error.into()).await,
            None => absent(self, ask, &text),
        })
    }

    /// The proxy that a go-import tag names, one source for one base.
    fn named_proxy(&self, root: &RepoRoot) -> Result<Arc<ProxySource>, Error> {
        let key = (root.url.clone(), root.word);
        if let Some(source) = self.proxies.get(&key) {
            return Ok(source);
        }
        let config = SourceConfig {
            url: root.url.clone(),
            name: None,
            credential: None,
            via: Arc::clone(&self.settings.via),
            limits: Limits { ..self.settings.limits },
        };
        let source = Arc::new(ProxySource::named(config, root.word, self.client.clone())?);
        self.proxies.insert(key, Arc::clone(&source));
        Ok(source)
    }
}
