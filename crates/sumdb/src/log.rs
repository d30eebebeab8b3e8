//! One database: what it said that was verified, and how it is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gomod::{ModVer, SumdbRequest};
use outbound::Client;
use tlog::{LogName, SignedHead, Tile, VerifierKey};
use units::Timestamp;

use crate::{
    Access, Clock, Database, Error, Metrics, Parts,
    bases::{Bases, tail},
    memory::{Found, Memory},
    single::Single,
};

mod find;
mod heads;
mod incident;
mod serve;
mod tiles;

/// The most bytes of a look-up or a tree head: a signed note's cap. Source: sumdb.md §1.1.
pub(crate) const MAX_NOTE_BYTES: u64 = tlog::MAX_MESSAGE_BYTES as u64;

/// One database.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) name: LogName,
    key: VerifierKey,
    bases: Bases,
    via: Arc<str>,
    store: store::Store,
    state: Option<db::State>,
    clock: Clock,
    metrics: Metrics,
    memory: Memory,
    standing: Mutex<Standing>,
    /// Held while the head grows: one at a time, each from the one before.
    growing: tokio::sync::Mutex<()>,
    finding: Single<ModVer, Arc<Found>>,
    waiting: Single<ModVer, Arc<Found>>,
    /// One for each version that is waited for.
    places: tokio::sync::Semaphore,
    refreshing: Single<(), Arc<SignedHead>>,
    fetching: Single<Tile, Bytes>,
}

/// What changes as a whole, under a lock that is never held across an await.
#[derive(Debug, Default)]
struct Standing {
    /// The newest verified head. It only grows.
    head: Option<Arc<SignedHead>>,
    /// When the newest head was last asked for.
    asked: Option<Timestamp>,
    /// Whether that failed.
    in_vain: bool,
    /// The evidence of a contradiction: since then nothing new is believed.
    frozen: Option<String>,
    /// Sizes that the newest head went back to.
    rollbacks: Vec<u64>,
    /// How many wrong records were kept as evidence since the start.
    wrong_records: usize,
}

impl Log {
    /// Reads where it stands. Nobody is asked.
    ///
    /// # Errors
    ///
    /// `Kept` when the state does not answer, or holds a head that the key did not sign.
    pub(crate) async fn open(
        database: &Database,
        parts: &Parts,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let Database { name, key, .. } = database.clone();
        metrics.begin(name.as_str());
        let log = Self {
            bases: bases(database, &parts.client, &parts.accesses),
            via: Arc::clone(&parts.via),
            store: parts.store.clone(),
            state: parts.state.clone(),
            clock: parts.clock.clone(),
            metrics: metrics.clone(),
            memory: Memory::new(),
            standing: Mutex::default(),
            growing: tokio::sync::Mutex::default(),
            finding: Single::default(),
            waiting: Single::default(),
            places: tokio::sync::Semaphore::new(find::MAX_WAITING),
            refreshing: Single::default(),
            fetching: Single::default(),
            name,
            key,
        };
        log.reload().await?;
        Ok(log)
    }

    /// A panic elsewhere must not hide behind a poisoned lock; what it guards is always whole.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest verified head.
    pub(crate) fn head(&self) -> Option<Arc<SignedHead>> {
        self.standing().head.clone()
    }

    /// The evidence, when it contradicted itself.
    pub(crate) fn frozen(&self) -> Option<String> {
        self.standing().frozen.clone()
    }

    /// # Errors
    ///
    /// `Frozen` when nothing new may be believed.
    fn must_be_believed(&self) -> Result<(), Error> {
        match self.frozen() {
            Some(evidence) => Err(Error::Frozen { database: self.name.to_string(), evidence }),
            None => Ok(()),
        }
    }

    /// Asks the database, by the base that `go` would choose.
    async fn ask(
        &self,
        request: &SumdbRequest,
        max_bytes: u64,
    ) -> Result<(Bytes, Arc<str>), Error> {
        let base = self.bases.choose(&self.via, self.clock.now()).await?;
        let question = base.get(&tail(request), max_bytes, &self.via);
        let told = |error| base.told(error);
        let body = base.ask(question).await.map_err(told)?.bytes().await.map_err(told)?;
        Ok((body, Arc::clone(&base.name)))
    }

    fn kept(&self, what: &str, error: &dyn std::error::Error) -> Error {
        // The cause of a store's or state's error says more than the error itself.
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Error::Kept { reason: format!("{what} of {}: {error}{cause}", self.name) }
    }
}

fn bases(database: &Database, client: &Client, accesses: &[Access]) -> Bases {
    let mut bases = Bases::new(database, client);
    for access in accesses {
        bases.set_access(access);
    }
    bases
}
