//! The application: parts put together by `cli`, faces that answer.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use auth::{Caller, Permitted, Reach};
use futures_util::future::Either;
use http::{HeaderMap, Method, StatusCode};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use proxy::{Fetching, Proxy};
use units::Timestamp;
use wire::{Peer, Request, Response};

use crate::access::Sender;
use crate::answer::{self, Asked, Lifetimes, PageType, Refusal, Reply};
use crate::metrics::Kind;
use crate::pages::{self, NotReady};
use crate::route::{BasePaths, Route, Routed};
use crate::visit::{Noted, Visit};
use crate::{
    ClientAddress, Clock, Config, LogConfig, Metrics, Network, PublicUrl, Readers, forwarded,
};

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct AppParts {
    /// Keys under `server.`.
    pub config: Config,
    /// Keys under `log.`.
    pub log: LogConfig,
    /// Where access records go; `None`: no access log.
    pub access: Option<Sender>,
    /// This larder's version, for people.
    pub version: String,
    /// Our pseudonym in `Via`, one word: a request that carries it went in a circle.
    pub via: String,
    /// What `/metrics` shows: made with the prefix `larder`, all rooms registered.
    pub registry: Arc<Registry>,
    /// This room's metrics, registered in `registry`.
    pub metrics: Metrics,
    /// Where the time of day comes from.
    pub clock: Clock,
    /// Who answers `/metrics`.
    pub admin: AdminFace,
}

/// Who answers `/metrics`. Health and readiness are answered everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminFace {
    /// The public listeners, too: there is no `server.admin_listen`.
    Shared,
    /// The admin listener only.
    Apart,
    /// Nobody: `metrics.enabled` is false.
    Off,
}

impl AdminFace {
    fn no_metrics(self) -> Refusal {
        Refusal::not_found(match self {
            Self::Off => "not found: metrics.enabled is false",
            Self::Apart | Self::Shared => "not found: metrics are on the admin address",
        })
    }
}

/// The application. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What all requests share.
pub(crate) struct Shared {
    proxy: OnceLock<Proxy>,
    /// Metrics of the rooms that exist only once the data folder is open.
    more: OnceLock<Arc<Registry>>,
    ready: AtomicBool,
    draining: AtomicBool,
    bases: BasePaths,
    public_url: Option<PublicUrl>,
    version: String,
    via: String,
    registry: Arc<Registry>,
    admin: AdminFace,
    private_readers: Readers,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) shown_client: ClientAddress,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) log: Option<Sender>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

impl App {
    /// Puts the parts together. It answers at once, modules with 503 until [`App::install`], and is
    /// not ready until [`App::set_ready`].
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(Shared {
            proxy: OnceLock::new(),
            more: OnceLock::new(),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            lifetimes: Lifetimes::new(&parts.config.cache_control),
            bases: BasePaths::new(parts.config.base_paths),
            public_url: parts.config.public_url,
            private_readers: parts.config.private_readers,
            trusted_proxies: parts.config.trusted_proxies,
            shown_client: parts.log.client,
            version: parts.version,
            // Given as the whole value `1.1 pseudonym`, it means the same.
            via: parts.via.split_ascii_whitespace().next_back().unwrap_or_default().to_owned(),
            registry: parts.registry,
            admin: parts.admin,
            log: parts.access,
            metrics: parts.metrics,
            clock: parts.clock,
        }))
    }

    /// Gives the application its proxy, once the data folder is open, and the metrics of the rooms
    /// that opened with it. A second one is ignored: false is returned.
    #[must_use]
    pub fn install(&self, proxy: Proxy, more: Arc<Registry>) -> bool {
        self.0.more.set(more).is_ok() && self.0.proxy.set(proxy).is_ok()
    }

    /// Says whether stored modules can be served, for `/readyz`.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Makes `/readyz` say no for good: the process is stopping. Requests are still answered.
    pub fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Returns what answers on `server.listen`.
    #[must_use]
    pub fn public(&self) -> Public {
        Public(Arc::clone(&self.0))
    }

    /// Returns what answers on `server.admin_listen`: health, readiness and metrics, no modules.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin(Arc::clone(&self.0))
    }
}

/// The face for clients. Cheap to clone.
#[derive(Clone)]
pub struct Public(Arc<Shared>);

/// The face for operators. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Shared>);

impl wire::Handler for Public {
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send {
        match begin(&self.0, request) {
            Step::Done(response) => Either::Left(ready(response)),
            Step::Cold(answer) => Either::Right(answer),
        }
    }
}

impl wire::Handler for Admin {
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send {
        ready(administer(&self.0, request))
    }
}

/// How far a request got without waiting.
enum Step {
    Done(Response),
    /// Boxed, so that a hit does not carry the room that a miss needs.
    Cold(Pin<Box<dyn Future<Output = Response> + Send>>),
}

fn begin(app: &Arc<Shared>, request: Request) -> Step {
    let (head, ()) = request.into_parts();
    let noted = Noted::read(&head.headers, &app.via);
    let visit = Visit::begin(app, &head, &noted);
    if let Some(refusal) = method_refusal(&head.method) {
        return Step::Done(visit.refuse(refusal));
    }
    let Routed { route, base } = app.bases.route(head.uri.path());
    match route {
        Route::Module { .. } if noted.returned => Step::Done(visit.refuse(Refusal::new(
            StatusCode::LOOP_DETECTED,
            "this request went through larder before: one of its upstreams leads back to it",
        ))),
        Route::Module { path, fetching } => {
            let fetching = if noted.fetching == fetching { fetching } else { Fetching::CachedOnly };
            let asked = Named { path, fetching, caller: app.caller(&head, &noted) };
            module(app, visit, &head, asked)
        }
        Route::Metrics if app.admin != AdminFace::Shared => {
            Step::Done(visit.refuse(app.admin.no_metrics()))
        }
        page => Step::Done(app.page(visit, &head, page, base)),
    }
}

fn administer(app: &Arc<Shared>, request: Request) -> Response {
    let (head, ()) = request.into_parts();
    let visit = Visit::begin(app, &head, &Noted::read(&head.headers, &app.via));
    if let Some(refusal) = method_refusal(&head.method) {
        return visit.refuse(refusal);
    }
    match app.bases.route(head.uri.path()) {
        Routed { route: Route::Module { .. } | Route::Home, .. } => {
            visit.refuse(Refusal::not_found("not found: this address has health and metrics only"))
        }
        Routed { route: Route::Metrics, .. } if app.admin == AdminFace::Off => {
            visit.refuse(app.admin.no_metrics())
        }
        Routed { route, base } => app.page(visit, &head, route, base),
    }
}

fn method_refusal(method: &Method) -> Option<Refusal> {
    let refusal = || Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
    (method != Method::GET && method != Method::HEAD).then(refusal)
}

/// What names a module, and who asks for it.
struct Named<'a> {
    path: &'a str,
    fetching: Fetching,
    caller: Caller,
}

/// Parse, identify, authorize, one look-up; what is not in memory goes on as [`Cold`].
fn module(
    app: &Arc<Shared>,
    mut visit: Visit,
    head: &http::request::Parts,
    asked: Named<'_>,
) -> Step {
    let Named { path, fetching, caller } = asked;
    let request = match gomod::Request::parse(path) {
        Ok(request) => request,
        Err(error) => {
            return Step::Done(visit.refuse(Refusal::not_found(format!("not found: {error}"))));
        }
    };
    let kind = Kind::of(&request);
    let permitted = match caller.may_read(request) {
        Ok(permitted) => permitted,
        Err(error) => return Step::Done(visit.refuse(Refusal::from(&error))),
    };
    let Some(proxy) = app.proxy.get() else {
        visit.asks(kind, Some(permitted.into_inner()));
        return Step::Done(visit.refuse(starting()));
    };
    let now = app.clock.now();
    let Some(answer) = proxy.hit(&permitted, now) else {
        visit.asks(kind, Some(permitted.get().clone()));
        let (method, headers) = (head.method.clone(), head.headers.clone());
        let app = Arc::clone(app);
        let cold = Cold { app, visit, permitted, fetching, now, method, headers };
        return Step::Cold(Box::pin(cold.finish()));
    };
    let request = permitted.into_inner();
    let asked = Asked { method: &head.method, headers: &head.headers, request: &request };
    let reply = answer::found(asked, answer, &app.lifetimes);
    visit.asks(kind, Some(request));
    Step::Done(visit.finish(reply))
}

fn starting() -> Refusal {
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, NotReady::Starting.text());
    Refusal { retry_after: Some(Duration::from_secs(1)), ..refusal }
}

/// A request that has to wait for the store or for an upstream.
struct Cold {
    app: Arc<Shared>,
    visit: Visit,
    permitted: Permitted<gomod::Request>,
    fetching: Fetching,
    now: Timestamp,
    method: Method,
    headers: HeaderMap,
}

impl Cold {
    /// Dropped when the client leaves: the visit says so, and a flight goes on without it.
    async fn finish(self) -> Response {
        let Self { app, visit, permitted, fetching, now, method, headers } = self;
        let Some(proxy) = app.proxy.get() else { return visit.refuse(starting()) };
        let request = permitted.get().clone();
        match proxy.answer(permitted, fetching, now).await {
            Ok(answer) => {
                let asked = Asked { method: &method, headers: &headers, request: &request };
                visit.finish(answer::found(asked, answer, &app.lifetimes))
            }
            Err(error) => visit.refuse(Refusal::from(&error)),
        }
    }
}

impl Shared {
    /// Nobody has a name yet: what a caller may read depends on the address he came by, and on what
    /// a proxy before us says. That can only take rights away, so it is believed whoever says it.
    fn caller(&self, head: &http::request::Parts, noted: &Noted<'_>) -> Caller {
        let local = || head.extensions.get::<Peer>().map(|peer| peer.local.ip().to_canonical());
        let by_loopback = || !noted.from_elsewhere && local().is_some_and(|ip| ip.is_loopback());
        let reach = match self.private_readers {
            Readers::Anyone => Reach::Everything,
            Readers::Loopback if by_loopback() => Reach::Everything,
            Readers::Loopback => Reach::Public,
        };
        Caller::anonymous(reach)
    }

    fn page(
        &self,
        mut visit: Visit,
        head: &http::request::Parts,
        route: Route<'_>,
        base: &str,
    ) -> Response {
        let kind = match route {
            Route::Home | Route::Robots => Kind::Page,
            Route::Health | Route::Ready | Route::Metrics => Kind::Probe,
            Route::Module { .. } => Kind::Unknown,
        };
        visit.asks(kind, None);
        let ok = |text| (StatusCode::OK, PageType::Text, text);
        let (status, media, text) = match route {
            Route::Home => ok(pages::home(&self.url(head, base), &self.version)),
            Route::Robots => ok(pages::ROBOTS.to_owned()),
            Route::Health => ok(pages::health(&self.version)),
            Route::Ready => self.readiness(),
            Route::Metrics => (StatusCode::OK, PageType::OpenMetrics, self.scrape()),
            Route::Module { .. } => return visit.refuse(Refusal::not_found("not found")),
        };
        let reply: Reply = answer::page(&head.method, status, media, text);
        visit.finish(reply)
    }

    fn url(&self, head: &http::request::Parts, base: &str) -> String {
        if let Some(url) = &self.public_url {
            return url.as_str().to_owned();
        }
        let authority = head.uri.authority().map(http::uri::Authority::as_str);
        let Some(peer) = head.extensions.get::<Peer>() else { return base.to_owned() };
        let url = forwarded::base_url(peer, authority, &head.headers, &self.trusted_proxies);
        url + base
    }

    fn readiness(&self) -> (StatusCode, PageType, String) {
        let not_ready = if self.draining.load(Ordering::Acquire) {
            Some(NotReady::Draining)
        } else if self.proxy.get().is_none() || !self.ready.load(Ordering::Acquire) {
            Some(NotReady::Starting)
        } else {
            None
        };
        let status = match not_ready {
            Some(_) => StatusCode::SERVICE_UNAVAILABLE,
            None => StatusCode::OK,
        };
        (status, PageType::Text, pages::ready(not_ready, &self.degraded()))
    }

    fn degraded(&self) -> Vec<(&'static str, String)> {
        self.proxy.get().map(Proxy::degraded).unwrap_or_default()
    }

    fn scrape(&self) -> String {
        self.metrics.set_degraded(self.degraded().iter().map(|(reason, _)| *reason));
        let mut page = String::new();
        // Writing into a string does not fail.
        let _ = text::encode_registry(&mut page, &self.registry);
        if let Some(more) = self.more.get() {
            let _ = text::encode_registry(&mut page, more);
        }
        let _ = text::encode_eof(&mut page);
        page
    }
}

#[cfg(test)]
mod tests;
