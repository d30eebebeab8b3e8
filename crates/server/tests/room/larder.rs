//! A whole larder but for its command line, over one fake upstream.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use gomod::goproxy::Separator;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use proxy::{Parts, Proxy};
use server::{AdminFace, App, AppParts, access};
use testkit::{FakeUpstream, ModuleVersion, Modules, Request, Response};
use units::Timestamp;
use upstream::{Chain, Gate, Link, LinkKind, ProxySource, SourceConfig};

/// Our word in `Via`.
const VIA: &str = "larder-under-test";

/// A morning in November 2026.
const NOW: i64 = 1_795_255_200;

/// A larder that answers on a loopback port. Ends when dropped.
pub(crate) struct Larder {
    pub(crate) upstream: FakeUpstream,
    pub(crate) app: App,
    pub(crate) log: access::Receiver,
    clocks: (server::Clock, proxy::Clock),
    url: String,
    // Dropped in this order: no connection, no flight, no folder.
    server: Option<wire::Server>,
    fill: Option<tokio::runtime::Runtime>,
    _data: tempfile::TempDir,
}

/// What differs between larders.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) config: server::Config,
    pub(crate) policy: policy::Config,
    pub(crate) private: Vec<(String, String)>,
    /// A checksum database that clients may ask for.
    pub(crate) database: Option<&'static str>,
    /// Stands in place of the fake upstream.
    pub(crate) only: Option<LinkKind>,
}

/// `example.com/m` with versions 1.0.0 and 1.1.0, the latter with a zip of 200 kB.
pub(crate) fn modules() -> Modules {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/m", "v1.0.0"));
    let large = ModuleVersion::new("example.com/m", "v1.1.0").noise("noise.bin", 200_000, 7);
    modules.add(&large);
    modules.query("main", &large);
    modules.latest(&large);
    modules
}

impl Larder {
    pub(crate) fn start() -> Self {
        Self::plan(Plan::default())
    }

    pub(crate) fn plan(plan: Plan) -> Self {
        let upstream = FakeUpstream::start(modules()).unwrap();
        let fill = fill_runtime();
        let now = Timestamp::from_unix_secs(NOW);
        let clocks = (server::Clock::manual(now), proxy::Clock::manual(now));
        let mut registry = Registry::with_prefix("larder");
        let metrics = server::Metrics::register(&mut registry, "1.2.3");
        let (sender, log) = access::channel(access::Format::Json, 1 << 20, Counter::default());
        let mut late = Registry::with_prefix("larder");
        let proxy_metrics = proxy::Metrics::new(&mut late);
        let app = App::new(AppParts {
            config: plan.config,
            log: server::LogConfig::default(),
            access: Some(sender),
            version: "1.2.3".to_owned(),
            via: VIA.to_owned(),
            registry: Arc::new(registry),
            metrics,
            clock: clocks.0.clone(),
            admin: AdminFace::Shared,
        });
        let wire_config = wire::Config { cores: 1, ..wire::Config::default() };
        let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
        let listeners = wire::Listeners::bind(&[anywhere], &wire_config).unwrap();
        let url = format!("http://{}", listeners.local_addrs().first().unwrap());
        let server = wire::Server::start(listeners, wire_config, None, app.public()).unwrap();

        let data = tempfile::tempdir().unwrap();
        let fallback = || LinkKind::Source(Arc::new(source(&upstream.url())));
        let link = Link { kind: plan.only.unwrap_or_else(fallback), fall: Separator::Comma };
        let store = store::Store::disk(data.path(), &store::Config::default()).unwrap();
        let sumdb = fill.block_on(databases(plan.database, &store, now));
        let private = policy::Private::new(plan.private);
        let chain = Arc::new(Chain::new(vec![link]));
        let proxy = Proxy::new(Parts {
            config: proxy::Config::default(),
            store,
            index: None,
            gate: Arc::new(Gate::new(private.clone(), policy::Private::default(), chain, None)),
            drifts: proxy::Drifts::default(),
            sumdb,
            own: None,
            closed: None,
            private,
            no_sumdb: policy::Private::new(Vec::new()),
            policy: policy::Policy::new(&plan.policy),
            clock: clocks.1.clone(),
            metrics: proxy_metrics,
            fill: fill.handle().clone(),
        });
        assert!(app.install(proxy, Arc::new(late)));
        app.set_ready(true);
        let (server, fill) = (Some(server), Some(fill));
        Self { upstream, app, log, clocks, url, server, fill, _data: data }
    }

    /// Sends a request with headers.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::new(method, &format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[])
    }

    /// Status and text.
    pub(crate) fn told(&self, path: &str) -> (u16, String) {
        let response = self.get(path);
        (response.status, response.text())
    }

    /// Asks until the answer comes from the store: publication follows the first answer.
    pub(crate) fn warm(&self, path: &str) -> Response {
        for _ in 0..10_000 {
            let response = self.get(path);
            if response.status != 200 || response.header("cache-status") == Some("larder; hit") {
                return response;
            }
        }
        self.get(path)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Moves the clocks on.
    pub(crate) fn advance(&self, by: Duration) {
        let (server, proxy) = &self.clocks;
        server.advance(by);
        proxy.set(server.now());
    }
}

impl Drop for Larder {
    fn drop(&mut self) {
        let (Some(server), Some(fill)) = (self.server.take(), self.fill.take()) else { return };
        fill.block_on(server.stop(Duration::from_secs(5)));
        fill.shutdown_timeout(Duration::from_secs(5));
    }
}

fn client() -> outbound::Client {
    let config = outbound::Config { attempts: 1, ..outbound::Config::default() };
    outbound::Client::new(&config, &outbound::ProxyEnvironment::default()).unwrap()
}

/// A source that asks once, and signs as us.
pub(crate) fn source(url: &str) -> ProxySource {
    let config = SourceConfig {
        url: url.to_owned(),
        name: Some("fake".to_owned()),
        credential: None,
        via: format!("1.1 {VIA}").into(),
        limits: upstream::Limits::default(),
    };
    ProxySource::new(config, client()).unwrap()
}

fn fill_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Checksum databases that are asked nothing: they lead nowhere, and confirm nothing.
async fn databases(
    name: Option<&'static str>,
    store: &store::Store,
    now: Timestamp,
) -> sumdb::Sumdb {
    let database = |name| {
        let name = tlog::LogName::parse(name).unwrap();
        let key = tlog::SigningKey::from_seed(name.clone(), [1; 32]).verifier();
        sumdb::Database { name, key, urls: Vec::new() }
    };
    let parts = sumdb::Parts {
        databases: name.into_iter().map(database).collect(),
        client: client(),
        accesses: Vec::new(),
        via: VIA.into(),
        store: store.clone(),
        state: None,
        config: sumdb::Config { mode: sumdb::Mode::Off, ..sumdb::Config::default() },
        clock: sumdb::Clock::new(move || now),
    };
    sumdb::Sumdb::open(parts).await.unwrap()
}
