//! A company: private repositories, a log of its own, and the public world beside it.

use std::sync::Arc;

use proxy::Error;
use store::{Key, Store};
use sumdb::{OwnError, OwnLog, OwnParts};
use testkit::{FakeSumdb, FakeUpstream, ModuleVersion, Modules};
use tlog::{Lookup, Record, SigningKey};
use tokio::sync::oneshot;

use crate::verified::{asking, recorded};
use crate::world::{Choices, World, some_modules, start};

pub(crate) const LOG: &str = "sum.corp.example/go";
/// The private module, and where its files are asked for.
pub(crate) const P: &str = "git.example/p";
pub(crate) const AT: &str = "/git.example/p/@v/";

/// A log that runs as long as this lives, and who is asked about what.
pub(crate) struct Company {
    pub(crate) store: Store,
    pub(crate) log: OwnLog,
    pub(crate) state: db::State,
    /// In the place of version control.
    pub(crate) git: FakeUpstream,
    /// The public database: knows `example.com/m`.
    pub(crate) sumdb: FakeSumdb,
    _stop: oneshot::Sender<()>,
    _folder: tempfile::TempDir,
}

/// `git.example/p`, two versions of it.
pub(crate) fn private_modules() -> Modules {
    let mut modules = Modules::new();
    for version in ["v1.0.0", "v1.1.0"] {
        modules.add(&ModuleVersion::new(P, version));
    }
    modules
}

pub(crate) fn named(pattern: &str) -> Vec<(String, String)> {
    vec![(pattern.to_owned(), "test".to_owned())]
}

impl Company {
    pub(crate) async fn new() -> Self {
        let store = Store::memory();
        let name: tlog::LogName = LOG.parse().unwrap();
        // In a file: a state in memory ends with its one connection, which a change that is dropped
        // half-way takes along.
        let folder = tempfile::tempdir().unwrap();
        let state = db::State::open(&folder.path().join("state.sqlite")).await.unwrap();
        let parts = OwnParts {
            signers: vec![Arc::new(SigningKey::from_seed(name.clone(), [7; 32]))],
            name,
            store: store.clone(),
            state: state.clone(),
            clock: sumdb::Clock::new(start),
        };
        let log = OwnLog::create(&parts).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = log.clone();
        tokio::spawn(async move { running.run(async { drop(stopped.await) }).await });
        let git = FakeUpstream::start(private_modules()).unwrap();
        Self {
            store,
            log,
            state,
            git,
            sumdb: recorded(&some_modules()),
            _stop: stop,
            _folder: folder,
        }
    }

    /// Everything but the private patterns.
    pub(crate) fn open(&self) -> Choices {
        Choices {
            store: self.store.clone(),
            own: Some(self.log.clone()),
            direct: Some(self.git.url()),
            ..asking(&self.sumdb, sumdb::Mode::Require)
        }
    }

    pub(crate) fn choices(&self) -> Choices {
        Choices { private: named("git.example"), ..self.open() }
    }

    /// As before there was a log.
    pub(crate) fn without_log(&self) -> Choices {
        Choices { own: None, ..self.choices() }
    }

    pub(crate) async fn world(&self, choices: Choices) -> World {
        World::with(some_modules(), choices).await
    }

    /// What the public world has heard of private names.
    pub(crate) fn heard(&self, world: &World) -> Vec<String> {
        let seen = world.upstream.seen().into_iter().chain(self.sumdb.requests());
        seen.map(|seen| seen.path).filter(|path| path.contains("git.example")).collect()
    }
}

/// Looks a version up in the company's log.
pub(crate) async fn look_up(world: &World, module: &str) -> Result<Record, Error> {
    let body = world.near(&format!("/sumdb/{LOG}/lookup/{module}")).await?;
    let (path, version) = module.split_once('@').unwrap();
    let module = gomod::ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap();
    Ok(Lookup::parse(&module, &body).unwrap().record)
}

pub(crate) fn of_log<T: std::fmt::Debug>(answer: Result<T, Error>) -> OwnError {
    match answer {
        Err(Error::Own(error)) => OwnError::clone(&error),
        other => panic!("not of the log: {other:?}"),
    }
}

pub(crate) fn p(version: &str) -> gomod::ModVer {
    gomod::ModVer::new(P.parse().unwrap(), version.parse().unwrap()).unwrap()
}

/// Takes a stored file away, facts and all that memory has stay.
pub(crate) async fn lose(company: &Company, key: &Key<'_>) {
    company.store.remove(key).await.unwrap();
}
