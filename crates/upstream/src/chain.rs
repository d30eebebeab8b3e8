//! Sources in order, with the fallback rules of the `go` command.

use std::{pin::Pin, sync::Arc};

use gomod::{ModVer, ModulePath, Query, goproxy::Separator};
use store::Staged;

use crate::{Error, Fetched, GoMod, Info, Listed, Origin, Upstream, ask::Ask};

/// Sources in order.
///
/// A source that does not know a thing hands on to the next one always; any other error hands on
/// only across a `|`. When nobody has it, the error that is told is the one `go` would tell: the
/// last error that is more than "not found", else the last "not found". Source: modfetch/proxy.go
/// `TryProxies`.
///
/// `direct` is not built yet and ends the walk: what was answered before it stands unchanged, for a
/// client probes every prefix of an import path and lives by those 404s (protocol.md §5.3); where
/// nobody was asked it is [`Error::NoSource`]. `off` ends the walk in the same way.
#[derive(Debug)]
pub struct Chain {
    links: Vec<Link>,
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
    /// Version control, not built yet.
    Direct,
    /// Nobody, and nobody after it.
    Off,
}

impl Chain {
    /// A chain of these entries; none is the same as `off`.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        Self { links }
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

    /// Every source with the reason why it is held back, `None` while it is well.
    #[must_use]
    pub fn health(&self) -> Vec<(Origin, Option<String>)> {
        let sources = self.links.iter().filter_map(Link::source);
        sources.filter_map(|source| Some((source.origin()?, source.health()))).collect()
    }

    fn walk(&self, first: Option<usize>) -> Walk<'_> {
        Walk { links: &self.links, first, step: 0, fall: Separator::Comma, best: None }
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
        Err(walk.end(ask))
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
        Err(walk.end(Ask::Zip(module)))
    }
}

impl Link {
    fn source(&self) -> Option<&dyn Upstream> {
        match &self.kind {
            LinkKind::Source(source) => Some(&**source),
            LinkKind::Direct | LinkKind::Off => None,
        }
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
    best: Option<Error>,
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
        let source = link.source();
        if source.is_none() {
            self.stop();
        }
        source
    }

    fn note(&mut self, error: Error) {
        let is_absence =
            |error: &Error| matches!(error, Error::NotFound { .. } | Error::NoSource { .. });
        let absent = is_absence(&error);
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
        let direct = self.links.iter().any(|link| matches!(link.kind, LinkKind::Direct));
        let reason = if direct {
            "direct fetching from version control is not built yet"
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
