//! The databases that larder asks, and that clients may ask through it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use gomod::{ModVer, SumdbPath, SumdbRequest, request};
use outbound::{Client, Credential};
use policy::Verification;
use tlog::{Bundle, LogName, Proven, SignedHead, Tile, VerifierKey};
use url::Url;

use crate::{Clock, Config, Error, Logged, Metrics, Mode, OwnLog, Record, log::Log, memory::Found};

/// One database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name: a host, perhaps with a path.
    pub name: LogName,
    /// The key that its heads are signed with.
    pub key: VerifierKey,
    /// Where to ask, in order: `<proxy>/sumdb/<name>` of each upstream proxy, then the URL that
    /// GOSUMDB names or `https://<name>`. Userinfo becomes the credential of that place.
    pub urls: Vec<Url>,
}

/// How the places at or below a URL are asked: an upstream proxy has its own trust and credential,
/// and what lies below it is asked as the proxy itself is.
#[derive(Debug, Clone)]
pub struct Access {
    /// The URL.
    pub below: Url,
    /// Sends the questions; it holds the certificate authorities.
    pub client: Client,
    /// Goes with them; `None` leaves the userinfo of [`Database::urls`].
    pub credential: Option<Credential>,
}

/// What the room is built of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The databases; the first one confirms what larder publishes.
    pub databases: Vec<Database>,
    /// Sends the questions.
    pub client: Client,
    /// Places that are asked otherwise.
    pub accesses: Vec<Access>,
    /// Our own `Via` value.
    pub via: Arc<str>,
    /// Keeps tiles, records and evidence.
    pub store: store::Store,
    /// Keeps the newest tree heads; `None`: nothing can be believed anew.
    pub state: Option<db::State>,
    /// Settings.
    pub config: Config,
    /// Tells the time.
    pub clock: Clock,
}

/// Whether a database may be asked for what is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// No: what is stored, and nothing else.
    Stored,
    /// Yes.
    Anyone,
}

/// The databases. Cheap to clone; clones share everything.
///
/// Every future may be dropped at any await: heads in the state change as a whole and only grow, and
/// what is stored of tiles and records is proven again when it is read. Equal questions that come at
/// the same time are one piece of work, driven by those who wait for it: a future that was begun is
/// to be polled or dropped, not put aside. Called on the fill runtime.
#[derive(Clone)]
pub struct Sumdb {
    inner: Arc<Inner>,
}

struct Inner {
    /// Longest name first: a name may be the beginning of another.
    logs: Vec<Arc<Log>>,
    confirming: Option<Arc<Log>>,
    config: Config,
    /// Whether there is a state to keep heads in.
    has_state: bool,
    metrics: Metrics,
}

impl Sumdb {
    /// Takes the databases and reads from the state how far each was seen. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// `Kept` when the state does not answer, or holds a head that the configured key did not sign.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let metrics = Metrics::default();
        let mut logs = Vec::with_capacity(parts.databases.len());
        for database in &parts.databases {
            logs.push(Arc::new(Log::open(database, &parts, &metrics).await?));
        }
        let confirming = logs.first().filter(|_| parts.config.mode != Mode::Off).cloned();
        logs.sort_by_key(|log| std::cmp::Reverse(log.name.as_str().len()));
        let has_state = parts.state.is_some();
        let inner = Inner { logs, confirming, config: parts.config, has_state, metrics };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The configured names, longest first.
    #[must_use]
    pub fn databases(&self) -> Vec<LogName> {
        self.inner.logs.iter().map(|log| log.name.clone()).collect()
    }

    /// The configured database that a path is below, and what is asked of it.
    ///
    /// `None`: no such database here, for the client a 404. An error inside: a question that is
    /// none, for the client a 400.
    #[must_use]
    pub fn route(
        &self,
        path: &SumdbPath,
    ) -> Option<(LogName, Result<SumdbRequest, request::Error>)> {
        self.inner
            .logs
            .iter()
            .find_map(|log| path.below(log.name.as_str()).map(|asked| (log.name.clone(), asked)))
    }

    /// The database that confirms what larder publishes: the first, unless the mode is off.
    #[must_use]
    pub fn confirming(&self) -> Option<&LogName> {
        self.inner.confirming.as_ref().map(|log| &log.name)
    }

    /// What the confirming database records of a public module.
    ///
    /// From memory or the store when it was proven before, else by a look-up: at most one a version,
    /// however many ask at once. A version that is not recorded is waited for, up to
    /// [`Config::missing_wait`]. Whether the module may be asked about, the caller judged.
    ///
    /// # Errors
    ///
    /// `NotRecorded` after the wait; `Unavailable` while the database cannot be asked, but with
    /// [`Mode::TrustOnFirstUse`] that is a record which confirms anything; `Frozen`, `Misbehaved`,
    /// `Invalid`; `Kept` when state or store fail, and without a state.
    pub async fn record(&self, module: &ModVer) -> Result<Record, Error> {
        let Some(log) = &self.inner.confirming else {
            return Ok(Record::without_hashes(module, Verification::Off, &self.inner.metrics));
        };
        let found = log.wait_for(module, self.inner.config.missing_wait).await;
        let first_use = self.inner.config.mode == Mode::TrustOnFirstUse
            && match &found {
                Err(Error::Unavailable { .. }) => true,
                // Without a state no database can be asked.
                Err(Error::Kept { .. }) => !self.inner.has_state,
                _ => false,
            };
        if first_use {
            let by = Verification::FirstUse;
            return Ok(Record::without_hashes(module, by, &self.inner.metrics));
        }
        Ok(self.proven_record(log, &*found?))
    }

    /// The same without waiting, and never on first use: for whoever comes back later.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record); a version that is not recorded is `NotRecorded` at once.
    pub async fn record_now(&self, module: &ModVer) -> Result<Record, Error> {
        let Some(log) = &self.inner.confirming else {
            return Ok(Record::without_hashes(module, Verification::Off, &self.inner.metrics));
        };
        match log.find(module, Asking::Anyone).await {
            Ok(found) => Ok(self.proven_record(log, &found)),
            Err(Error::NotFound { .. }) => {
                let (module, database) = (module.clone(), log.name.to_string());
                Err(Error::NotRecorded { module, database })
            }
            Err(error) => Err(error),
        }
    }

    fn proven_record(&self, log: &Log, found: &Found) -> Record {
        let (proven, name) = (&found.proven, log.name.to_string());
        let by = Verification::Database {
            name: name.clone(),
            record: proven.id(),
            tree_size: proven.head().size,
            at: found.at,
        };
        Record::proven(proven.record(), &name, by, &self.inner.metrics)
    }

    /// The record of a module that no database is to be asked about: private, or in GONOSUMDB. The
    /// caller judged.
    #[must_use]
    pub fn exempt(&self, module: &ModVer) -> Record {
        Record::without_hashes(module, Verification::Exempt, &self.inner.metrics)
    }

    /// What our own log records of a version, to confirm content by.
    #[must_use]
    pub fn recorded_here(&self, own: &OwnLog, logged: &Logged) -> Record {
        let by = Verification::Database {
            name: own.name().to_string(),
            record: logged.id,
            tree_size: own.head().size(),
            at: logged.at,
        };
        Record::proven(&logged.record, own.name().as_str(), by, &self.inner.metrics)
    }

    /// The record of a version that our own log is going to record: it confirms anything, and what it
    /// confirmed is served only once it is recorded.
    #[must_use]
    pub fn pending(&self, module: &ModVer) -> Record {
        Record::without_hashes(module, Verification::Pending, &self.inner.metrics)
    }

    /// Answers a client's question with what was verified, and keeps it.
    ///
    /// A look-up comes with the newest verified head; a tile at the width asked for; the newest head
    /// is asked for again after half a minute, and is the stored one while no newer one can be had.
    /// A version that is not recorded is told so for ten seconds without asking again.
    ///
    /// # Errors
    ///
    /// `NotFound` for the database's 404 and 410, and for tiles beyond its tree; `Unavailable` while
    /// it cannot be asked, and with [`Asking::Stored`] for what is not stored; `Malformed` for
    /// `supported` (the caller's own answer), a tile that is none, and a database that is not
    /// configured; `Frozen`, `Misbehaved`, `Invalid`, `Kept` as [`record`](Self::record).
    pub async fn answer(
        &self,
        database: &LogName,
        request: &SumdbRequest,
        asking: Asking,
    ) -> Result<Bytes, Error> {
        let log = self.log(database)?;
        match request {
            SumdbRequest::Lookup(module) => log.answer_lookup(module, asking).await,
            SumdbRequest::Latest => log.answer_latest(asking).await,
            SumdbRequest::Tile(path) => {
                let tile = Tile::parse(path)
                    .map_err(|error| Error::Malformed { reason: error.to_string() })?;
                log.answer_tile(tile, asking).await
            }
            SumdbRequest::Checkpoint | SumdbRequest::About => {
                // Checkpoints of others have another origin, and nobody asks a proxy for them; Go's
                // database says nothing of itself.
                Err(Error::NotFound { status: 404, text: None })
            }
            SumdbRequest::Supported => {
                let reason = "supported is answered by whoever relays".to_owned();
                Err(Error::Malformed { reason })
            }
        }
    }

    /// The newest verified head; `None`: none was seen yet, or no such database is configured.
    #[expect(clippy::unused_async, reason = "the face: a head may have to be read from elsewhere")]
    pub async fn head(&self, database: &LogName) -> Option<SignedHead> {
        self.log(database).ok()?.head().map(|head| (*head).clone())
    }

    /// Asks for the newest head, verifies that its tree and ours are one, and keeps it.
    ///
    /// Returns the newest verified head, which is ours when the database's is older.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer).
    pub async fn refresh(&self, database: &LogName) -> Result<SignedHead, Error> {
        Ok((*self.log(database)?.refresh().await?).clone())
    }

    /// Proves a version's record from the store alone, under the newest verified head.
    ///
    /// `None`: there is no such record, or what is stored does not prove it.
    ///
    /// # Errors
    ///
    /// `Malformed` for a database that is not configured.
    pub async fn proven(
        &self,
        database: &LogName,
        module: &ModVer,
    ) -> Result<Option<(Proven, Bundle)>, Error> {
        let log = self.log(database)?;
        let Some((proven, inclusion, head)) = log.prove_stored(module).await else {
            return Ok(None);
        };
        let bundle = Bundle::new(&proven, &inclusion, &head);
        Ok(bundle.ok().map(|bundle| (proven, bundle)))
    }

    /// The databases that contradicted themselves, and the names of the evidence.
    #[must_use]
    pub fn frozen(&self) -> Vec<(LogName, String)> {
        let frozen = |log: &Arc<Log>| log.frozen().map(|evidence| (log.name.clone(), evidence));
        self.inner.logs.iter().filter_map(frozen).collect()
    }

    /// Whether heads can be kept; without, nothing new is believed, and nothing stored is proven.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.inner.has_state
    }

    /// The room's figures, to be registered.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    fn log(&self, database: &LogName) -> Result<&Arc<Log>, Error> {
        let found = self.inner.logs.iter().find(|log| log.name == *database);
        found.ok_or_else(|| Error::Malformed { reason: format!("{database} is not configured") })
    }
}

impl fmt::Debug for Sumdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sumdb").field("databases", &self.databases()).finish_non_exhaustive()
    }
}
