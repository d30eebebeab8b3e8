//! A proxy over testkit's upstream, with a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use auth::{Caller, Reach};
use bytes::Bytes;
use futures_util::StreamExt as _;
use gomod::Request;
use gomod::goproxy::Separator;
use outbound::{Client, Config as OutboundConfig, ProxyEnvironment};
use proxy::{Answer, Body, Clock, Config, Error, Fetching, Metrics, Outcome, Parts, Proxy};
use store::Store;
use testkit::{FakeUpstream, ModuleVersion, Modules};
use units::Timestamp;
use upstream::{Chain, Gate, Limits, Link, LinkKind, ProxySource, SourceConfig};

pub(crate) const M: &str = "/example.com/m/@v/";

/// Everything a test needs, ended with it.
pub(crate) struct World {
    pub(crate) upstream: FakeUpstream,
    pub(crate) proxy: Proxy,
    pub(crate) store: Store,
    pub(crate) index: db::Index,
    pub(crate) clock: Clock,
    pub(crate) sumdb: sumdb::Sumdb,
}

/// What a test may choose before the proxy is built.
pub(crate) struct Choices {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) index: Option<db::Index>,
    pub(crate) policy: policy::Config,
    pub(crate) private: Vec<(String, String)>,
    pub(crate) no_sumdb: Vec<(String, String)>,
    /// The checksum databases; the first one confirms.
    pub(crate) databases: Vec<sumdb::Database>,
    pub(crate) own: Option<sumdb::OwnLog>,
    pub(crate) sumdb: sumdb::Config,
    /// Where their heads are kept.
    pub(crate) state: Option<db::State>,
    /// The URL of a second source, asked for what the first does not know.
    pub(crate) behind: Option<String>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            config: Config::default(),
            store: Store::memory(),
            index: None,
            policy: policy::Config::default(),
            private: Vec::new(),
            no_sumdb: Vec::new(),
            databases: Vec::new(),
            own: None,
            sumdb: sumdb::Config::default(),
            state: None,
            behind: None,
        }
    }
}

pub(crate) fn start() -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-02T03:04:05Z").unwrap()
}

/// `example.com/m` with three versions, one of them a prerelease.
pub(crate) fn some_modules() -> Modules {
    let mut modules = Modules::new();
    for version in ["v1.0.0", "v1.10.0", "v1.2.0", "v2.0.0-rc.1+incompatible"] {
        let version = ModuleVersion::new("example.com/m", version);
        modules.add(&version);
    }
    modules.latest(&ModuleVersion::new("example.com/m", "v1.10.0"));
    modules
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(some_modules(), Choices::default()).await
    }

    pub(crate) async fn with(modules: Modules, choices: Choices) -> Self {
        let upstream = FakeUpstream::start(modules).unwrap();
        Self::over(upstream, choices).await
    }

    pub(crate) async fn over(upstream: FakeUpstream, choices: Choices) -> Self {
        let clock = Clock::manual(start());
        let index = match choices.index {
            Some(index) => index,
            None => db::Index::memory().await.unwrap(),
        };
        let client = Client::new(&OutboundConfig::default(), &ProxyEnvironment::default()).unwrap();
        let link = |name: &str, url| {
            let config = SourceConfig {
                url,
                name: Some(name.to_owned()),
                credential: None,
                via: "test".into(),
                limits: Limits { list_first_byte: Duration::from_secs(1), ..Limits::default() },
            };
            let source = Arc::new(ProxySource::new(config, client.clone()).unwrap());
            Link { kind: LinkKind::Source(source), fall: Separator::Comma }
        };
        let mut links = vec![link("far", upstream.url())];
        links.extend(choices.behind.map(|url| link("behind", url)));
        let state = match choices.state {
            Some(state) => state,
            None => db::State::memory().await.unwrap(),
        };
        let sumdb = sumdb::Sumdb::open(sumdb::Parts {
            databases: choices.databases,
            client: client.clone(),
            accesses: Vec::new(),
            via: "test".into(),
            store: choices.store.clone(),
            state: Some(state),
            config: choices.sumdb,
            clock: {
                let clock = clock.clone();
                sumdb::Clock::new(move || clock.now())
            },
        });
        let sumdb = sumdb.await.unwrap();
        let private = policy::Private::new(choices.private);
        let chain = Arc::new(Chain::new(links));
        let proxy = Proxy::new(Parts {
            config: choices.config,
            store: choices.store.clone(),
            index: Some(index.clone()),
            gate: Arc::new(Gate::new(private.clone(), policy::Private::default(), chain, None)),
            drifts: proxy::Drifts::default(),
            sumdb: sumdb.clone(),
            own: choices.own,
            private,
            no_sumdb: policy::Private::new(choices.no_sumdb),
            policy: policy::Policy::new(&choices.policy),
            clock: clock.clone(),
            metrics: Metrics::default(),
            fill: tokio::runtime::Handle::current(),
        });
        Self { upstream, proxy, store: choices.store, index, clock, sumdb }
    }

    /// As the surface asks: memory first.
    pub(crate) async fn ask(&self, path: &str) -> Result<Answer, Error> {
        self.ask_as(path, Fetching::Allowed).await
    }

    pub(crate) async fn ask_as(&self, path: &str, fetching: Fetching) -> Result<Answer, Error> {
        let request = Request::parse(path).unwrap();
        let permitted = Caller::anonymous(Reach::Public).may_read(request).unwrap();
        let now = self.clock.now();
        match self.proxy.hit(&permitted, now) {
            Some(answer) => Ok(answer),
            None => self.proxy.answer(permitted, fetching, now).await,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (Outcome, Bytes) {
        let answer = self.ask(path).await.unwrap();
        (answer.outcome, read(answer.body).await.unwrap())
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        String::from_utf8(self.get(path).await.1.to_vec()).unwrap()
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    pub(crate) async fn settle(&self) {
        assert_eq!(self.proxy.drain(Duration::from_secs(10)).await, 0, "flights hang");
    }

    /// A second proxy over the same store and index, as after a restart.
    pub(crate) async fn restarted(self, choices: Choices) -> Self {
        self.settle().await;
        let choices =
            Choices { store: self.store.clone(), index: Some(self.index.clone()), ..choices };
        let now = self.clock.now();
        let world = Self::over(self.upstream, choices).await;
        world.clock.set(now);
        world
    }
}

/// The whole body, or why it was cut.
pub(crate) async fn read(body: Body) -> Result<Bytes, Error> {
    Ok(match body {
        Body::Memory(bytes) => bytes,
        Body::File { file, len } => part(store::BodyPart::File { file, offset: 0, len }),
        Body::Live { mut parts, .. } => {
            let mut all = Vec::new();
            while let Some(next) = parts.next().await {
                all.extend_from_slice(&part(next?));
            }
            Bytes::from(all)
        }
    })
}

pub(crate) fn part(part: store::BodyPart) -> Bytes {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut part.reader(), &mut bytes).unwrap();
    Bytes::from(bytes)
}

/// The status and text that an error stands for.
pub(crate) fn not_found(error: &Error) -> (u16, &str) {
    match error {
        Error::NotFound { status, text, .. } => (*status, text),
        other => panic!("not a 404: {other:?}"),
    }
}
