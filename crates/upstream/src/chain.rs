//! Sources in order, with the fallback rules of the `go` command.
#![expect(clippy::disallowed_methods, reason = "the room's clock handle: how old an answer is")]

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use gomod::{ModVer, ModulePath, Query, goproxy::Separator};
use quick_cache::sync::Cache;
use store::Staged;
use tokio::time::Instant;

use crate::{Error, Fetched, GoMod, Info, Listed, Origin, Trouble, Upstream, ask::Ask};

/// Prefixes of one path that are asked for, the longest first. Deeper modules are not known.
const MAX_PREFIXES: usize = 8;
/// For how long it is remembered whether a prefix is a module.
const PREFIX_FRESH: Duration = Duration::from_mins(1);
/// Prefixes remembered.
const MAX_REMEMBERED: usize = 4096;

/// Sources in order.
///
/// A source that does not know a thing hands on to the next one always; any other error hands on
/// only across a `|`. When nobody has it, the error that is told is the one `go` would tell: the
/// last error that is more than "not found", else the last "not found". Source: modfetch/proxy.go
/// `TryProxies`.
///
/// `direct` and `off` end the walk. Where they have nobody to ask (`off`, or a machine without git)
/// what was answered before stands unchanged, for a client probes every prefix of an import path
/// and lives by those 404s (protocol.md §5.3); where nobody was asked it is [`Error::NoSource`].
///
/// When `direct` cannot be reached behind a 404, that 404 stands if a shorter prefix of the path is
/// a module of the sources before it, else the trouble is told
/// (docs/decisions/0005-unreachable-direct.md).
#[derive(Debug)]
pub struct Chain {
    links: Vec<Link>,
    above: Above,
}

/// One entry of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    /// Who stands there.
    pub kind: LinkKind,
    /// What hands on to the next entry.
    pub fall: Separator,
}

/// Who stands at a place of a chain.
#[derive(Debug, Clone)]
pub enum LinkKind {
    /// A source to ask.
    Source(Arc<dyn Upstream>),
    /// Version control; nobody on a machine without git.
    Direct(Option<Arc<dyn Upstream>>),
    /// Nobody, and nobody after it.
    Off,
}

impl Chain {
    /// A chain of these entries; none is the same as `off`.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        Self { links, above: Above::default() }
    }

    /// The same chain with one source asked first: the files of one version come from one source.
    ///
    /// Its "not found" hands on to the others in their order; any other error as its own separator
    /// says. A source that is not in the chain (any more) changes nothing.
    #[must_use]
    pub fn pinned(self: &Arc<Self>, origin: &Origin) -> Arc<dyn Upstream> {
        let is_it = |link: &Link| link.source().and_then(Upstream::origin).as_ref() == Some(origin);
        match self.links.iter().position(is_it) {
            Some(first) => Arc::new(Pinned { chain: Arc::clone(self), first }),
            None => Arc::clone(self) as Arc<dyn Upstream>,
        }
    }

    /// Whether `direct` is one of its entries.
    pub(crate) fn names_direct(&self) -> bool {
        self.links.iter().any(|link| matches!(link.kind, LinkKind::Direct(_)))
    }

    /// Every source with the reason why it is held back, `None` while it is well.
    #[must_use]
    pub fn health(&self) -> Vec<(Origin, Option<String>)> {
        let sources = self.links.iter().filter_map(Link::source);
        sources.filter_map(|source| Some((source.origin()?, source.health()))).collect()
    }

    fn walk(&self, first: Option<usize>) -> Walk<'_> {
        Walk {
            links: &self.links,
            first,
            step: 0,
            fall: Separator::Comma,
            direct: false,
            best: None,
            before_direct: None,
            unreachable: false,
        }
    }

    async fn ask<'a, T>(
        &'a self,
        first: Option<usize>,
        ask: Ask<'a>,
        question: impl Fn(&'a dyn Upstream) -> Asked<'a, T> + Send,
    ) -> Result<T, Error> {
        let mut walk = self.walk(first);
        while let Some(source) = walk.next() {
            match question(source).await {
                Ok(answer) => return Ok(answer),
                Err(error) => walk.note(error),
            }
        }
        Err(self.end(walk, ask).await)
    }

    async fn ask_zip(
        &self,
        first: Option<usize>,
        module: &ModVer,
        into: &mut Staged,
    ) -> Result<Fetched, Error> {
        let mut walk = self.walk(first);
        while let Some(source) = walk.next() {
            match source.zip(module, into).await {
                Ok(answer) => return Ok(answer),
                // Readers may have seen the bytes; another source's cannot be put in their place.
                Err(error) if into.written() > 0 => return Err(error),
                Err(error) => walk.note(error),
            }
        }
        Err(self.end(walk, Ask::Zip(module)).await)
    }

    /// The error that is told when nobody had an answer.
    async fn end(&self, walk: Walk<'_>, ask: Ask<'_>) -> Error {
        let (known_before, unreachable) = (walk.before_direct.clone(), walk.unreachable);
        let error = walk.end(ask);
        match known_before {
            Some(absence) if unreachable && self.is_below_a_module(ask.path()).await => absence,
            _ => error,
        }
    }

    /// Whether a shorter prefix of the path is a module that the sources before `direct` know.
    async fn is_below_a_module(&self, path: &ModulePath) -> bool {
        let ends = path.as_str().rmatch_indices('/').map(|(end, _)| end);
        let prefixes = ends.filter_map(|end| ModulePath::parse(path.as_str().get(..end)?).ok());
        for prefix in prefixes.take(MAX_PREFIXES) {
            if self.knows(prefix).await {
                return true;
            }
        }
        false
    }

    async fn knows(&self, path: ModulePath) -> bool {
        if let Some(known) = self.above.find(&path) {
            return known;
        }
        let mut known = false;
        for source in self.links.iter().map_while(Link::before_direct) {
            // A module without a list may still have a latest version (protocol.md §3.3).
            known = match source.list(&path).await {
                Err(error) if error.is_not_found() => source.latest(&path).await.is_ok(),
                listed => listed.is_ok(),
            };
            if known {
                break;
            }
        }
        self.above.note(path, known);
        known
    }
}

impl Link {
    fn source(&self) -> Option<&dyn Upstream> {
        match &self.kind {
            LinkKind::Source(source) | LinkKind::Direct(Some(source)) => Some(&**source),
            LinkKind::Direct(None) | LinkKind::Off => None,
        }
    }

    fn is_direct(&self) -> bool {
        matches!(self.kind, LinkKind::Direct(_))
    }

    fn before_direct(&self) -> Option<&dyn Upstream> {
        if self.is_direct() { None } else { self.source() }
    }
}

/// What was found out of prefixes a moment ago.
struct Above(Cache<ModulePath, (Instant, bool)>);

impl Default for Above {
    fn default() -> Self {
        Self(Cache::new(MAX_REMEMBERED))
    }
}

impl fmt::Debug for Above {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Above").field(&self.0.len()).finish()
    }
}

impl Above {
    fn find(&self, path: &ModulePath) -> Option<bool> {
        let (at, known) = self.0.get(path)?;
        (at.elapsed() < PREFIX_FRESH).then_some(known)
    }

    fn note(&self, path: ModulePath, known: bool) {
        self.0.insert(path, (Instant::now(), known));
    }
}

type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// One question on its way through a chain.
struct Walk<'a> {
    links: &'a [Link],
    /// Asked before all others, then left out.
    first: Option<usize>,
    step: usize,
    /// Behind the source that was asked last.
    fall: Separator,
    /// The source that was asked last is `direct`.
    direct: bool,
    best: Option<Error>,
    /// "Not found" by those before `direct`, who all said so.
    before_direct: Option<Error>,
    /// `direct` is in trouble and may know.
    unreachable: bool,
}

impl<'a> Walk<'a> {
    fn next(&mut self) -> Option<&'a dyn Upstream> {
        let at = match self.first {
            Some(first) if self.step == 0 => first,
            Some(first) if self.step <= first => self.step - 1,
            _ => self.step,
        };
        self.step += 1;
        let link = self.links.get(at)?;
        self.fall = link.fall;
        self.direct = link.is_direct();
        let source = link.source();
        // Asked out of turn, `direct` is a source like others.
        let in_turn = self.first.is_none() || self.step > 1;
        if source.is_none() || (self.direct && in_turn) {
            self.stop();
        }
        source
    }

    fn note(&mut self, error: Error) {
        let is_absence =
            |error: &Error| matches!(error, Error::NotFound { .. } | Error::NoSource { .. });
        let absent = is_absence(&error);
        if self.direct && !absent {
            // Not what hides, and not what is our own fault: both may be there.
            let away = [Trouble::Timeout, Trouble::Overloaded, Trouble::Broken, Trouble::Barred];
            self.unreachable =
                matches!(&error, Error::Unavailable { kind, .. } if away.contains(kind));
            self.before_direct = self.best.clone().filter(Error::is_not_found);
        }
        if !absent && self.fall == Separator::Comma {
            self.stop();
        }
        if !absent || self.best.as_ref().is_none_or(is_absence) {
            self.best = Some(error);
        }
    }

    fn stop(&mut self) {
        self.first = None;
        self.step = self.links.len();
    }

    fn end(self, ask: Ask<'_>) -> Error {
        let direct = self.links.iter().any(Link::is_direct);
        let reason = if direct {
            "it would be fetched from version control, and there is no git on this machine"
        } else {
            "no upstream is configured (GOPROXY=off)"
        };
        let nobody =
            || Error::NoSource { what: ask.to_string(), reason: reason.to_owned(), direct };
        self.best.unwrap_or_else(nobody)
    }
}

#[async_trait::async_trait]
impl Upstream for Chain {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        self.ask(None, Ask::List(path), |source| source.list(path)).await
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        self.ask(None, Ask::Latest(path), |source| source.latest(path)).await
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        self.ask(None, Ask::Info(path, query), |source| source.info(path, query)).await
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        self.ask(None, Ask::Mod(module), |source| source.go_mod(module)).await
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        self.ask_zip(None, module, into).await
    }
}

/// A chain with one source asked first.
#[derive(Debug)]
struct Pinned {
    chain: Arc<Chain>,
    first: usize,
}

#[async_trait::async_trait]
impl Upstream for Pinned {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        self.chain.ask(Some(self.first), Ask::List(path), |source| source.list(path)).await
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        self.chain.ask(Some(self.first), Ask::Latest(path), |source| source.latest(path)).await
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        let ask = Ask::Info(path, query);
        self.chain.ask(Some(self.first), ask, |source| source.info(path, query)).await
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        self.chain.ask(Some(self.first), Ask::Mod(module), |source| source.go_mod(module)).await
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        self.chain.ask_zip(Some(self.first), module, into).await
    }
}
