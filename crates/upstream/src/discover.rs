//! From an import path to its repository, by the host's own word: go-import pages.
//!
//! Only for paths that no operator's override and no row of [`gomod::repo::known`] speaks of; what
//! comes out is not judged by GOVCS yet. Source: go.dev/ref/mod#vcs-find; golang/go
//! `cmd/go/internal/vcs` (`repoRootForImportDynamic`).
#![expect(clippy::disallowed_methods, reason = "the room's clock handle: how old an answer is")]

mod ask;
mod kept;
mod markup;
mod page;
mod proof;
mod target;

use std::{sync::Arc, time::Duration};

use gomod::{ModulePath, govcs::Visibility, pattern::Patterns, quote, repo::Vcs};
use outbound::Client;
use policy::{Private, address::Word};
use tokio::time::Instant;

use self::{
    kept::Kept,
    page::{Import, Mismatch, matching, shown},
    target::{Security, check_subdir, check_url},
};
use crate::{Credentials, Error, Origin};

/// Roots and pages that are remembered, each.
const MAX_KEPT: usize = 4096;
/// How long trouble is told again without asking: it may pass, but those who wait for the same
/// host need not all find out.
const TROUBLE_KEPT: Duration = Duration::from_secs(5);

/// Where the repository of a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoRoot {
    /// The import path of the root: the path asked for, or a prefix of it.
    pub root: String,
    /// What it is fetched with; [`Vcs::Mod`] for a module proxy.
    pub vcs: Vcs,
    /// The repository's URL, or the proxy's base. Scheme, userinfo and host were judged.
    pub url: String,
    /// The folder of the repository that is its root, clean; empty for all of it.
    pub subdir: String,
    /// On whose word the URL's host is dialled.
    pub word: Word,
}

/// What the operator says about discovery.
#[derive(Debug, Clone)]
pub struct DiscoverySettings {
    /// Hosts of these may be inside: addresses in private ranges are dialled for them.
    pub private: Private,
    /// GOINSECURE: no certificate is asked of these, plain http is tried, and their pages may name
    /// http URLs. Addresses in private ranges are dialled for them.
    pub insecure: Patterns,
    /// Who larder is at hosts that show the page of a private path to nobody else.
    pub credentials: Credentials,
    /// The value of our `Via` header.
    pub via: Arc<str>,
    /// How long a root is remembered. Default 1 h.
    pub fresh: Duration,
    /// How long it is remembered that there is none. Default 1 min.
    pub absent_fresh: Duration,
    /// For tests only: pages whose URL begins with the first text are read from the second one
    /// instead, on whatever address. Default: none.
    pub rewrite: Vec<(String, String)>,
}

impl Default for DiscoverySettings {
    fn default() -> Self {
        Self {
            private: Private::default(),
            insecure: Patterns::default(),
            credentials: Credentials::default(),
            via: Arc::from("1.1 larder"),
            fresh: Duration::from_hours(1),
            absent_fresh: Duration::from_mins(1),
            rewrite: Vec::new(),
        }
    }
}

/// Asks hosts where the repositories of their paths are.
///
/// Never any host but the path's own first element and where that leads by redirects. A credential
/// is shown to that host only, over https, for a private path, when it said 4xx to who showed none.
/// Answers are kept; one flight for any number of callers of a path.
#[derive(Debug)]
pub struct Discovery {
    client: Client,
    /// `None` without insecure paths: nothing here could use it.
    unverified: Option<Client>,
    settings: DiscoverySettings,
    origin: Origin,
    roots: Kept<ModulePath, RepoRoot>,
    pages: Kept<(String, Access), Arc<Read>>,
}

/// With what right a host is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Access {
    word: Word,
    security: Security,
    /// Of private paths a page may be read with a credential, which is then no page of others.
    visibility: Visibility,
}

/// What a page says.
#[derive(Debug)]
struct Read {
    /// Where it was read, behind all redirects.
    url: String,
    imports: Vec<Import>,
}

impl Discovery {
    /// Makes it; nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// `Config` when the client without certificate checks, which insecure paths need, cannot be
    /// made.
    pub fn new(client: Client, settings: DiscoverySettings) -> Result<Self, Error> {
        let origin = Origin(Arc::from("direct"));
        let unverified = if settings.insecure.is_empty() {
            None
        } else {
            let bad = |error: outbound::Error| {
                let reason = error.to_string();
                Error::Config { origin: origin.clone(), reason }
            };
            Some(client.unverified().map_err(bad)?)
        };
        let (roots, pages) = (Kept::new(MAX_KEPT), Kept::new(MAX_KEPT));
        Ok(Self { client, unverified, settings, origin, roots, pages })
    }

    /// Finds the repository of a path.
    ///
    /// Cancel safe: another caller of the same path asks in place of one that was dropped.
    ///
    /// # Errors
    ///
    /// `NotFound` when the host says 404 or 410, or shows a page without a tag for the path;
    /// `Forbidden` and `Refused` when it does not show one to us; `Invalid` for tags that
    /// contradict each other or name what may not be fetched; `Unavailable` when nothing is known.
    pub async fn root(&self, path: &ModulePath) -> Result<RepoRoot, Error> {
        let ask = Box::pin(self.find(path));
        self.roots.get(path, Instant::now, |told| self.fresh(told), ask).await
    }

    async fn find(&self, path: &ModulePath) -> Result<RepoRoot, Error> {
        let access = self.access(path);
        let page = self.page(path, path.as_str(), access).await?;
        let import = match matching(&page.imports, path.as_str()) {
            Ok(import) => import,
            Err(Mismatch::None(told)) => {
                let url = shown(&page.url);
                return Err(
                    self.absent(path, &format!("parse {url}: no go-import meta tags ({told})"))
                );
            }
            Err(Mismatch::Several) => {
                let (url, path_quoted) = (shown(&page.url), quote(path.as_str().as_bytes()));
                let reason =
                    format!("parse {url}: multiple meta tags match import path {path_quoted}");
                return Err(self.invalid(path, reason));
            }
        };
        if import.prefix != path.as_str() {
            self.confirm(path, &page, import, access).await?;
        }
        self.judge(path, &page, import, access)
    }

    /// Asks the prefix that a page speaks for: else the page of one project could take over
    /// another one's.
    async fn confirm(
        &self,
        path: &ModulePath,
        page: &Read,
        import: &Import,
        access: Access,
    ) -> Result<(), Error> {
        let prefix = &import.prefix;
        let above = self.page(path, prefix, access).await?;
        if matching(&above.imports, path.as_str()) == Ok(import) {
            return Ok(());
        }
        let (url, above) = (shown(&page.url), shown(&ask::url_of(prefix)));
        let reason = format!("{url} and {above} disagree about go-import for {prefix}");
        Err(self.invalid(path, reason))
    }

    fn judge(
        &self,
        path: &ModulePath,
        page: &Read,
        import: &Import,
        access: Access,
    ) -> Result<RepoRoot, Error> {
        let bad = |what: &str, text: &str, why: &str| {
            let (url, text) = (shown(&page.url), quote(shown(text).as_bytes()));
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            self.invalid(path, format!("{url}: {what} {text}{why}"))
        };
        let Some(vcs) = Vcs::parse(&import.vcs) else {
            return Err(bad("unknown vcs", &import.vcs, ""));
        };
        // Of a proxy Go takes no notice of a folder.
        let subdir = if vcs == Vcs::Mod { "" } else { &*import.subdir };
        check_subdir(subdir).map_err(|why| bad("invalid subdirectory", subdir, why))?;
        check_url(&import.repo, vcs, access.security)
            .map_err(|why| bad("invalid repo root", &import.repo, why))?;
        Ok(RepoRoot {
            root: import.prefix.clone(),
            vcs,
            url: import.repo.clone(),
            subdir: subdir.to_owned(),
            word: access.word,
        })
    }

    /// The operator's patterns are his word that the path's hosts may be inside.
    fn access(&self, path: &ModulePath) -> Access {
        let insecure = self.settings.insecure.find(path.as_str()).is_some();
        let visibility = match self.settings.private.find(path) {
            Some(_) => Visibility::Private,
            None => Visibility::Public,
        };
        let told = insecure || visibility == Visibility::Private;
        Access {
            word: if told { Word::Operator } else { Word::Discovered },
            visibility,
            security: if insecure { Security::Insecure } else { Security::Secure },
        }
    }

    fn fresh<T>(&self, told: &Result<T, Error>) -> Duration {
        match told {
            Ok(_) => self.settings.fresh,
            Err(Error::Unavailable { retry_after, .. }) => {
                TROUBLE_KEPT.max(retry_after.unwrap_or_default()).min(self.settings.absent_fresh)
            }
            Err(_) => self.settings.absent_fresh,
        }
    }

    fn absent(&self, path: &ModulePath, reason: &str) -> Error {
        let quoted = quote(path.as_str().as_bytes());
        let text = format!("not found: module {path}: unrecognized import path {quoted}: {reason}");
        let (what, origin) = (path.to_string(), self.origin.clone());
        Error::NotFound { what, origin, status: 404, text: Some(text) }
    }

    fn invalid(&self, path: &ModulePath, reason: String) -> Error {
        Error::Invalid { what: path.to_string(), origin: self.origin.clone(), reason }
    }
}
