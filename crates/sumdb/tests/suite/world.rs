//! A room, and the world around it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gomod::{ModVer, SumdbRequest};
use modzip::Checked;
use outbound::{Client, ProxyEnvironment};
use prometheus_client::registry::Registry;
use store::Key;
use sumdb::{Asking, Clock, Config, Database, Error, Mode, Parts, Sumdb};
use testkit::{FakeSumdb, ManualClock, h1_of_mod};
use tlog::LogName;

pub(crate) const NAME: &str = "sum.example/x";

/// A hash that is good for any zip: none is looked at.
pub(crate) const ZIP: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

pub(crate) struct World {
    pub(crate) fake: FakeSumdb,
    pub(crate) store: store::Store,
    pub(crate) state: Option<db::State>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
}

impl World {
    /// A log with some records, and nothing known of it.
    pub(crate) async fn with(records: u64) -> Self {
        let fake = FakeSumdb::start(NAME).unwrap();
        fake.fill(records);
        Self {
            fake,
            store: store::Store::memory(),
            state: Some(db::State::memory().await.unwrap()),
            clock: Arc::default(),
            config: Config { mode: Mode::Require, missing_wait: Duration::ZERO },
        }
    }

    pub(crate) fn parts(&self) -> Parts {
        let clock = Arc::clone(&self.clock);
        Parts {
            databases: vec![self.database()],
            client: client(),
            accesses: Vec::new(),
            via: Arc::from("1.1 larder-test"),
            store: self.store.clone(),
            state: self.state.clone(),
            config: self.config.clone(),
            clock: Clock::new(move || clock.now()),
        }
    }

    pub(crate) fn database(&self) -> Database {
        let (name, key) = (self.fake.name().clone(), self.fake.key().clone());
        Database { name, key, urls: self.fake.urls() }
    }

    /// A room over the same store and state: a restart.
    pub(crate) async fn open(&self) -> Sumdb {
        Sumdb::open(self.parts()).await.unwrap()
    }

    /// A new module version whose go.mod has the text of [`go_mod`], recorded.
    pub(crate) fn module(&self, number: usize) -> ModVer {
        let module = unrecorded(number);
        self.record(&module);
        module
    }

    pub(crate) fn record(&self, module: &ModVer) {
        let (path, version) = (module.path().to_string(), module.version().to_string());
        self.fake.add(&path, &version, ZIP, &h1_of_mod(go_mod(module).as_bytes()));
    }

    pub(crate) async fn evidence(&self, name: &str) -> String {
        let object = self.store.open(&Key::Evidence(name), None).await.unwrap().unwrap();
        String::from_utf8(object.bytes(1 << 20).await.unwrap().to_vec()).unwrap()
    }

    pub(crate) async fn is_stored(&self, key: &Key<'_>) -> bool {
        self.store.open(key, None).await.unwrap().is_some()
    }

    /// The size of the head that the state holds.
    pub(crate) async fn kept_size(&self) -> Option<u64> {
        let state = self.state.as_ref().unwrap();
        state.sumdb_head(NAME).await.unwrap().map(|head| head.size)
    }
}

pub(crate) fn unrecorded(number: usize) -> ModVer {
    let (path, version) = ("example.com/Mod".parse().unwrap(), format!("v1.0.{number}"));
    ModVer::new(path, version.parse().unwrap()).unwrap()
}

pub(crate) fn name() -> LogName {
    LogName::parse(NAME).unwrap()
}

pub(crate) fn client() -> Client {
    let config = outbound::Config { attempts: 1, ..outbound::Config::default() };
    Client::new(&config, &ProxyEnvironment::default()).unwrap()
}

pub(crate) fn go_mod(module: &ModVer) -> String {
    format!("module {}\n// {}\n", module.path(), module.version())
}

pub(crate) fn content(module: &ModVer) -> Checked {
    Checked::go_mod(module, go_mod(module).as_bytes()).unwrap()
}

/// Asks for the record and holds the module's own go.mod against it.
pub(crate) async fn confirm(sumdb: &Sumdb, module: &ModVer) -> Result<(), Error> {
    let verified = sumdb.record(module).await?.confirm(&content(module)).unwrap();
    assert!(verified.covers(&content(module)));
    Ok(())
}

pub(crate) async fn lookup(sumdb: &Sumdb, module: &ModVer, asking: Asking) -> Result<Bytes, Error> {
    sumdb.answer(&name(), &SumdbRequest::Lookup(module.clone()), asking).await
}

pub(crate) async fn tile(sumdb: &Sumdb, path: &str, asking: Asking) -> Result<Bytes, Error> {
    sumdb.answer(&name(), &SumdbRequest::Tile(path.to_owned()), asking).await
}

pub(crate) async fn latest(sumdb: &Sumdb, asking: Asking) -> Result<Bytes, Error> {
    sumdb.answer(&name(), &SumdbRequest::Latest, asking).await
}

/// The value of a series, by the text that stands before it.
pub(crate) fn figure(sumdb: &Sumdb, series: &str) -> u64 {
    let mut registry = Registry::default();
    sumdb.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
}

/// A random number below `below`: the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}
