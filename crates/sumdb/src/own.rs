//! Our own log: what a version of a module is, said once, for ever, and provable.
//!
//! One tree of records, as a Go checksum database has, over private modules and over public ones
//! that were verified. Every unmodified `go` command can check it; witnesses and monitors read the
//! same tree as C2SP tlog-tiles.
//!
//! | what | where | who comes first |
//! |---|---|---|
//! | the place of a record | `db::State`, one row | S1: from its commit on, position and content are final |
//! | tiles, each width a file | store, never changed | S2: equal bytes, or the log is frozen |
//! | the signer's floor | store, apart from the database | compared before every signature |
//! | heads | `db::State`, each one ever signed | S4: no signature leaves before its commit |
//! | `latest`, `checkpoint` | memory, then store | S6: whoever waited is answered |
//!
//! One sequencer writes ([`OwnLog::run`]); each raises the epoch, which ends all earlier ones. A batch
//! is what queued up while the one before it was made durable. Whatever a crash leaves is done again
//! from the rows, bit by bit the same: signatures are deterministic, and places never change.
//!
//! The log is *frozen* when going on could fork it: a key that is missing, a database or a store restored
//! from a backup, tiles that differ. It signs nothing more then and says why; what it said before is
//! answered. [`OwnLog::recover`] thaws what can be.
//!
//! A record that a person had *erased* ([`OwnLog::erase`]) keeps its place and its leaf; its text, and
//! every tile of records that would hold it, is withheld.
//!
//! Source of all rules: reference sumdb.md, §1, §8 and §10.

mod about;
mod edge;
mod entry;
mod erase;
mod error;
mod files;
mod floor;
mod keys;
mod look;
mod metrics;
mod publish;
mod queue;
mod recover;
mod redacted;
mod rotate;
mod sequence;
mod serve;
mod start;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gomod::{ModVer, ModulePath};
use quick_cache::{Weighter, sync::Cache};
use tlog::{LogName, Record, SignedCheckpoint, SignedHead, Signer, TileLevel, VerifierKey};
use tokio::sync::watch;
use units::Timestamp;

pub use db::{Binding, LogKind as Kind};
pub use entry::Withheld;
pub use erase::Erasure;
pub use error::OwnError;
pub use metrics::OwnMetrics;
pub use queue::MAX_QUEUED;
pub use recover::Recovered;
pub use rotate::Retired;
pub use sequence::{MAX_BATCH, Step};

use self::{edge::Edge, files::Files, keys::Keys, metrics::Appended, queue::Queue};
use crate::Clock;

/// Bytes of full tiles of hashes kept in memory.
const MAX_TILE_BYTES: u64 = 32 << 20;
/// Bytes of records kept in memory: about 25,000.
const MAX_RECORD_BYTES: u64 = 16 << 20;
/// Paths of a page of [`OwnLog::bound`].
const BOUND_PAGE: u16 = 1000;
/// What an entry weighs beside its bytes.
const ENTRY_BYTES: u64 = 256;
/// A guess for the tables' first size.
const EXPECTED_ENTRIES: usize = 1024;

/// What a log of our own is made of.
#[derive(Debug, Clone)]
pub struct OwnParts {
    /// Its name, which clients configure and folders are called by.
    pub name: LogName,
    /// The keys at hand. Which of them sign the state says; while one of those is missing, the log
    /// only answers.
    pub signers: Vec<Arc<dyn Signer>>,
    /// Where tiles and the signer's floor are kept.
    pub store: store::Store,
    /// Where places and heads are kept.
    pub state: db::State,
    /// What time it is.
    pub clock: Clock,
}

/// A record that a published head covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number.
    pub id: u64,
    /// What it says.
    pub record: Record,
    /// Where it came from.
    pub kind: Kind,
    /// When it got its place.
    pub at: Timestamp,
}

/// A log of our own. Cheap to clone; clones are the same log.
#[derive(Clone)]
pub struct OwnLog {
    inner: Arc<Inner>,
}

struct Inner {
    /// The newest key that signs.
    verifier: VerifierKey,
    keys: Keys,
    /// Those who sign; none when one of them is missing.
    signers: Vec<Arc<dyn Signer>>,
    rows: db::Log,
    files: Files,
    clock: Clock,
    metrics: OwnMetrics,
    tiles: Cache<(TileLevel, u64), Bytes, Weight>,
    records: Cache<ModVer, Arc<Logged>, Weight>,
    /// What is answered from: replaced as a whole with each published head.
    view: watch::Sender<Arc<View>>,
    queue: Queue,
    /// Tiles that wider ones made superfluous.
    superfluous: Mutex<Vec<store::OwnFile>>,
    /// Why nothing is signed any more.
    frozen: Mutex<Option<String>>,
    observer: Mutex<Option<Observer>>,
}

type Observer = Arc<dyn Fn(Step) + Send + Sync>;

/// A published head and the right edge of its tree.
#[derive(Debug)]
struct View {
    head: SignedHead,
    checkpoint: SignedCheckpoint,
    edge: Edge,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<(TileLevel, u64), Bytes> for Weight {
    fn weight(&self, _key: &(TileLevel, u64), tile: &Bytes) -> u64 {
        ENTRY_BYTES + tile.len() as u64
    }
}

impl Weighter<ModVer, Arc<Logged>> for Weight {
    fn weight(&self, _key: &ModVer, logged: &Arc<Logged>) -> u64 {
        // The path stands in the key and in the record again.
        ENTRY_BYTES + 2 * logged.record.text().len() as u64
    }
}

impl fmt::Debug for OwnLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnLog").field("name", self.name()).finish_non_exhaustive()
    }
}

impl OwnLog {
    /// Returns the log's name.
    #[must_use]
    pub fn name(&self) -> &LogName {
        self.inner.verifier.name()
    }

    /// Returns the key that verifies the log's heads: what clients set GOSUMDB to.
    ///
    /// While the key is changed, the new one.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.inner.verifier
    }

    /// Returns all keys that sign, the oldest first: two while the key is changed.
    #[must_use]
    pub fn verifiers(&self) -> Vec<VerifierKey> {
        self.inner.keys.signing().cloned().collect()
    }

    /// Records a version, and returns when a durable, published head covers the record.
    ///
    /// The bytes with these hashes must be durable before: a record whose bytes are lost can never
    /// be served again. Asked again with the same hashes, it returns the first record. Waits for
    /// [`run`](Self::run). Dropped: the record may be made all the same.
    ///
    /// # Errors
    ///
    /// [`OwnError::Conflict`] when the version is recorded with other hashes, [`OwnError::Bound`]
    /// when its path is bound otherwise, [`OwnError::Malformed`] for what is no `h1:` hash;
    /// [`OwnError::Frozen`] and [`OwnError::Unavailable`] when nothing is recorded now.
    pub async fn append(
        &self,
        module: &ModVer,
        zip_h1: &str,
        mod_h1: &str,
        kind: Kind,
    ) -> Result<Logged, OwnError> {
        let record = Record::new(module, zip_h1, mod_h1);
        let malformed = |source| OwnError::Malformed { module: module.clone(), source };
        self.append_record(record.map_err(malformed)?, kind).await
    }

    /// Records a version with a text that exists already, as that of the public log does.
    ///
    /// As [`append`](Self::append) otherwise; texts that differ are a conflict.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    pub async fn append_record(&self, record: Record, kind: Kind) -> Result<Logged, OwnError> {
        if let Some(first) = self.inner.records.get(record.module()) {
            return self.inner.same(Logged::clone(&first), &record, kind);
        }
        let refused = match self.queued(record.clone(), kind).await {
            Err(refused @ (OwnError::Frozen { .. } | OwnError::Unavailable { .. })) => refused,
            answer => return answer,
        };
        // What is recorded already needs nobody who signs.
        match self.record(record.module()).await {
            Ok(Some(first)) => self.inner.same(first, &record, kind),
            _ => Err(refused),
        }
    }

    async fn queued(&self, record: Record, kind: Kind) -> Result<Logged, OwnError> {
        if let Some(reason) = self.frozen() {
            return Err(self.inner.is_frozen(reason));
        }
        let ended = |_dropped| OwnError::Unavailable { reason: "the log is stopping".into() };
        self.inner.queue.push(record, kind)?.await.map_err(ended)?
    }

    /// Returns the record of a version, if a published head covers it.
    ///
    /// From memory or the database, over connections of their own: the sequencer is not waited for.
    ///
    /// # Errors
    ///
    /// [`OwnError::Erased`]; [`OwnError::Unavailable`] when the database does not answer.
    pub async fn record(&self, module: &ModVer) -> Result<Option<Logged>, OwnError> {
        self.inner.record(module).await
    }

    /// Returns what a module path was recorded as first; `None`: never recorded.
    ///
    /// # Errors
    ///
    /// [`OwnError::Unavailable`] when the database does not answer.
    pub async fn binding(&self, path: &ModulePath) -> Result<Option<Binding>, OwnError> {
        self.inner.rows.binding(path).await.map_err(|error| OwnError::database(&error))
    }

    /// Returns module paths that were recorded so first, in order, those behind `after`: a page of
    /// them, none at the end.
    ///
    /// # Errors
    ///
    /// [`OwnError::Unavailable`] when the database does not answer.
    pub async fn bound(
        &self,
        to: Binding,
        after: Option<&ModulePath>,
    ) -> Result<Vec<ModulePath>, OwnError> {
        let page = self.inner.rows.bindings(to, after, BOUND_PAGE).await;
        page.map_err(|error| OwnError::database(&error))
    }

    /// Returns the newest published head.
    #[must_use]
    pub fn head(&self) -> SignedHead {
        self.inner.view().head.clone()
    }

    /// Returns the same head as a C2SP tlog-checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Bytes {
        Bytes::copy_from_slice(self.inner.view().checkpoint.message().as_bytes())
    }

    /// Returns why nothing is signed any more; `None`: all is well.
    #[must_use]
    pub fn frozen(&self) -> Option<String> {
        self.inner.reason()
    }

    /// Returns whether [`run`](Self::run) has come to its end, so that nobody makes records here any
    /// more: it was told to stop, or another process took over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inner.queue.has_ended()
    }

    /// Returns the log's figures, to be registered.
    #[must_use]
    pub fn metrics(&self) -> &OwnMetrics {
        &self.inner.metrics
    }

    /// Calls `observer` before each step of a commit: for tests, which end the process there.
    pub fn observe(&self, observer: impl Fn(Step) + Send + Sync + 'static) {
        let observer: Observer = Arc::new(observer);
        *self.inner.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }
}

impl Inner {
    fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    fn is_frozen(&self, reason: String) -> OwnError {
        OwnError::Frozen { log: self.verifier.name().clone(), reason }
    }

    async fn record(&self, module: &ModVer) -> Result<Option<Logged>, OwnError> {
        if let Some(logged) = self.records.get(module) {
            return Ok(Some(Logged::clone(&logged)));
        }
        let row = self.rows.record(module).await.map_err(|error| OwnError::database(&error))?;
        let covered = self.view().head.size();
        let Some(row) = row.filter(|row| row.id < covered) else { return Ok(None) };
        let logged = Logged::read(row)?;
        self.records.insert(module.clone(), Arc::new(logged.clone()));
        Ok(Some(logged))
    }

    /// Returns the first record when it says the same.
    fn same(&self, first: Logged, record: &Record, kind: Kind) -> Result<Logged, OwnError> {
        if let Some(binding) = first.kind.binding().filter(|bound| Some(*bound) != kind.binding()) {
            self.metrics.appended(Appended::Bound);
            return Err(OwnError::Bound { path: record.module().path().clone(), binding });
        }
        if first.record.text() == record.text() {
            self.metrics.appended(Appended::Same);
            Ok(first)
        } else {
            self.metrics.appended(Appended::Conflict);
            Err(OwnError::Conflict { first: Box::new(first) })
        }
    }

    fn at(&self, step: Step) {
        let observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(observer) = observer {
            observer(step);
        }
    }
}

impl Logged {
    /// Reads a row.
    fn read(row: db::LogRecord) -> Result<Self, OwnError> {
        let Some(text) = row.text else {
            return Err(OwnError::erased(Withheld::Version(row.module)));
        };
        let malformed = |source| OwnError::Malformed { module: row.module.clone(), source };
        let record = Record::parse(&row.module, &text).map_err(malformed)?;
        Ok(Self { id: row.id, record, kind: row.kind, at: row.created })
    }
}
