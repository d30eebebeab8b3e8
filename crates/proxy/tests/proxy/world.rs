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
use upstream::{Chain, Gate, Limits, Link, LinkKind, ProxySource, SourceConfig, Upstream};

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
    pub(crate) closed: Option<proxy::ClosedLog>,
    pub(crate) sumdb: sumdb::Config,
    /// Where their heads are kept.
    pub(crate) state: Option<db::State>,
    /// The URL of a second source, asked for what the first does not know.
    pub(crate) behind: Option<String>,
    /// The URL of what stands for version control: private modules come from there only.
    pub(crate) direct: Option<String>,
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
            closed: None,
            sumdb: sumdb::Config::default(),
            state: None,
            behind: None,
            direct: None,
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
        let source = |name: &str, url| {
            let config = SourceConfig {
                url,
                name: Some(name.to_owned()),
                credential: None,
                via: "test".into(),
                limits: Limits { list_first_byte: Duration::from_secs(1), ..Limits::default() },
            };
            Arc::new(ProxySource::new(config, client.clone()).unwrap())
        };
        let link = |name: &str, url| Link {
            kind: LinkKind::Source(source(name, url)),
            fall: Separator::Comma,
        };
        let direct = choices.direct.map(|url| source("direct", url) as Arc<dyn Upstream>);
        let mut links = vec![link("far", upstream.url())];
        links.extend(choices.behind.map(|url| link("behind", url)));
        let store = choices.store.clone();
        let config = (choices.databases, choices.sumdb);
        let sumdb = open_sumdb(config, (store, choices.state), (&client, &clock)).await;
        let private = policy::Private::new(choices.private);
        let no_sumdb = policy::Private::new(choices.no_sumdb);
        if let Some(own) = &choices.own {
            proxy::keep_private(own, &private, &no_sumdb).await.unwrap();
        }
        let chain = Arc::new(Chain::new(links));
        let proxy = Proxy::new(Parts {
            config: choices.config,
            store: choices.store.clone(),
            index: Some(index.clone()),
            gate: Arc::new(Gate::new(private.clone(), policy::Private::default(), chain, direct)),
            drifts: proxy::Drifts::default(),
            sumdb: sumdb.clone(),
            own: choices.own,
            closed: choices.closed,
            private,
            no_sumdb,
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
        self.ask_by(path, fetching, Reach::Public).await
    }

    /// As somebody asks who may read private modules; the whole answer.
    pub(crate) async fn near(&self, path: &str) -> Result<Bytes, Error> {
        let answer = self.ask_by(path, Fetching::Allowed, Reach::Everything).await?;
        read(answer.body).await
    }

    async fn ask_by(&self, path: &str, fetching: Fetching, reach: Reach) -> Result<Answer, Error> {
        let request = Request::parse(path).unwrap();
        let permitted = Caller::anonymous(reach).may_read(request).unwrap();
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

async fn open_sumdb(
    (databases, config): (Vec<sumdb::Database>, sumdb::Config),
    (store, state): (Store, Option<db::State>),
    (client, clock): (&Client, &Clock),
) -> sumdb::Sumdb {
    let state = match state {
        Some(state) => state,
        None => db::State::memory().await.unwrap(),
    };
    let clock = clock.clone();
    let parts = sumdb::Parts {
        databases,
        client: client.clone(),
        accesses: Vec::new(),
        via: "test".into(),
        store,
        state: Some(state),
        config,
        clock: sumdb::Clock::new(move || clock.now()),
    };
    sumdb::Sumdb::open(parts).await.unwrap()
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
