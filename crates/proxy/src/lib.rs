//! What happens when a version or a look-up is asked for: hit, fill, verify, publish, refresh, collect.
//!
//! [`Proxy::hit`] is the hot path: one look-up in memory. [`Proxy::answer`] is everything else. It
//! starts or joins a *flight*: one detached task on the fill runtime that loads, fetches, verifies and
//! publishes, and which every caller who wants the same thing watches. A caller that leaves cancels
//! nothing.
//!
//! The proofs of the lower rooms meet here: only its `publish` creates module files in the store, and
//! only with content that `modzip` checked, `sumdb` confirmed and `policy` let pass.

mod answer;
mod aside;
mod bindings;
mod clock;
mod config;
mod confirm;
mod drift;
mod erase;
mod error;
mod facts;
mod fill;
mod flights;
mod follow;
mod fsck;
mod housekeeping;
mod load;
mod lookup;
mod metrics;
mod mutable;
mod own;
mod publish;
mod shelf;
mod verify;
mod zip;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use auth::{Permitted, Reach};
use gomod::{ModulePath, Query, Request};
use units::Timestamp;

pub use answer::{Answer, Body, Kind, LiveParts, Outcome, Validators};
pub use bindings::keep_private;
pub use clock::Clock;
pub use config::Config;
pub use drift::Drifts;
pub use erase::{Erased, erase};
pub use error::Error;
pub use fsck::{Damage, FsckReport, Reindex, fsck};
pub use metrics::Metrics;
pub use own::ClosedLog;
pub use verify::{Checks, Finding, VerifyReport, verify, verify_go_sum};

use flights::Flights;
use housekeeping::Ledger;
use shelf::{Placed, Refusals, Shelf};

/// May the network be used for this request?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetching {
    /// Yes, when the store has no answer.
    Allowed,
    /// No: `/cached-only`, `Disable-Module-Fetch`.
    CachedOnly,
}

/// What a [`Proxy`] is built from.
#[derive(Debug)]
pub struct Parts {
    /// Ages and limits.
    pub config: Config,
    /// Where module files live.
    pub store: store::Store,
    /// What can be rebuilt: kept answers, sizes, last use.
    pub index: Option<db::Index>,
    /// Where versions come from: private names from their own repositories only.
    pub gate: Arc<upstream::Gate>,
    /// The checksum databases: what they record, and their answers to clients.
    pub sumdb: sumdb::Sumdb,
    /// Our own log, if there is one.
    pub own: Option<sumdb::OwnLog>,
    /// Our own log, if there is one that cannot be opened.
    pub closed: Option<ClosedLog>,
    /// Names that are never asked of anyone public.
    pub private: policy::Private,
    /// Names that are never looked up in a public checksum database (GONOSUMDB), besides the private ones.
    pub no_sumdb: policy::Private,
    /// What may be used.
    pub policy: policy::Policy,
    /// Where version control tells of moved tags.
    pub drifts: Drifts,
    /// The room's clock handle.
    pub clock: Clock,
    /// The room's series.
    pub metrics: Metrics,
    /// The multi-thread runtime on which flights run.
    pub fill: tokio::runtime::Handle,
}

/// The use-cases of a module proxy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy {
    rooms: Arc<Rooms>,
}

/// Everything that a flight needs; shared by all of them.
#[derive(Debug)]
pub(crate) struct Rooms {
    config: Config,
    store: store::Store,
    index: Option<db::Index>,
    gate: Arc<upstream::Gate>,
    sumdb: sumdb::Sumdb,
    own: Option<sumdb::OwnLog>,
    closed: Option<ClosedLog>,
    private: policy::Private,
    no_sumdb: policy::Private,
    policy: policy::Policy,
    drifts: Drifts,
    clock: Clock,
    metrics: Metrics,
    shelf: Shelf,
    refusals: Refusals,
    flights: Flights,
    ledger: Ledger,
    /// Told of each file that was published, or found, before a database confirmed it.
    unconfirmed: tokio::sync::Notify,
    /// Files that were set aside since the start: see [`Rooms::keep_loaded`].
    set_aside: AtomicU64,
    /// Bytes of evidence kept since the start.
    evidence: AtomicU64,
}

impl Proxy {
    /// Builds the use-cases over the given rooms. Starts nothing: see [`Proxy::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let rooms = Rooms {
            shelf: Shelf::new(
                parts.config.shelf_size.0,
                parts.config.open_files,
                parts.private.clone(),
            ),
            flights: Flights::new(parts.fill, parts.config.max_flights, parts.metrics.clone()),
            refusals: Refusals::default(),
            ledger: Ledger::default(),
            unconfirmed: tokio::sync::Notify::default(),
            set_aside: AtomicU64::default(),
            evidence: AtomicU64::default(),
            config: parts.config,
            store: parts.store,
            index: parts.index,
            gate: parts.gate,
            sumdb: parts.sumdb,
            own: parts.own,
            closed: parts.closed,
            private: parts.private,
            no_sumdb: parts.no_sumdb,
            policy: parts.policy,
            drifts: parts.drifts,
            clock: parts.clock,
            metrics: parts.metrics,
        };
        Self { rooms: Arc::new(rooms) }
    }

    /// Answers from memory, or not at all.
    ///
    /// The hot path: no await, no lock held on return, no database, no file opened. `None` means "ask
    /// [`answer`](Self::answer)", never "does not exist".
    #[must_use]
    pub fn hit(&self, request: &Permitted<Request>, now: Timestamp) -> Option<Answer> {
        let Placed { entry, private } = self.rooms.shelf.find(request.get())?;
        if private && request.reach() == Reach::Public {
            return None;
        }
        let answer = entry.fresh_answer(now)?;
        if let Some(module) = entry.first_use() {
            self.rooms.ledger.used(module, now);
        }
        Some(Answer { private, ..answer })
    }

    /// Answers from the store or from upstream; joins the flight for the same thing when one runs.
    ///
    /// Cancel safe: dropping the future leaves the flight running, and what it fetches is kept.
    ///
    /// # Errors
    ///
    /// See [`Error`]: each variant is one kind of answer for the client.
    pub async fn answer(
        &self,
        request: Permitted<Request>,
        fetching: Fetching,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let reach = request.reach();
        let request = request.into_inner();
        let fetching = if self.rooms.config.offline { Fetching::CachedOnly } else { fetching };
        let private = match request.module() {
            Some(path) => self.rooms.judge_private(path, reach)?,
            None => false,
        };
        match self.find(request, (fetching, reach), now).await {
            Ok(answer) => Ok(Answer { private: private || answer.private, ..answer }),
            // No cache that others use may keep what is said of a private name.
            Err(Error::NotFound { status, text, .. }) if private => {
                Err(Error::NotFound { status, text, fresh_for: Duration::ZERO })
            }
            Err(error) => Err(error),
        }
    }

    async fn find(
        &self,
        request: Request,
        (fetching, reach): (Fetching, Reach),
        now: Timestamp,
    ) -> Result<Answer, Error> {
        match &request {
            Request::Sumdb(path) => lookup::answer(&self.rooms, path, (fetching, reach), now).await,
            Request::List(_) | Request::Latest(_) | Request::Info(_, Query::Revision(_)) => {
                mutable::answer(&self.rooms, request, fetching, now).await
            }
            Request::Info(_, Query::Version(_)) | Request::Mod(_) | Request::Zip(_) => {
                fill::answer(&self.rooms, request, fetching, now).await
            }
        }
    }

    /// What is not as it should be, as (reason slug, sentence): for `/readyz` and `larder_degraded`.
    #[must_use]
    pub fn degraded(&self) -> Vec<(&'static str, String)> {
        self.rooms.degraded()
    }

    /// The reasons that [`degraded`](Self::degraded) may name: a bounded label set.
    pub const DEGRADED_REASONS: [&'static str; 9] = [
        "store_full",
        "store_read_only",
        "index_lost",
        "state_lost",
        "upstream_down",
        "no_git",
        "sumdb_frozen",
        "log_frozen",
        "log_taken_over",
    ];

    /// Does the late work until `stop`: index rows, `list` files, last use (then a last time), and
    /// the confirmation of what was stored unconfirmed.
    ///
    /// The caller owns the task. Cancel safe: what was not written is rebuilt by `fsck --reindex`,
    /// what was not confirmed stays marked.
    pub async fn run(&self, stop: tokio_util::sync::CancellationToken) {
        let housekeeping = housekeeping::run(&self.rooms, stop.clone());
        let log = async {
            if let Some(own) = &self.rooms.own {
                own.run(stop.cancelled()).await;
            }
        };
        tokio::join!(housekeeping, confirm::run(&self.rooms, stop.clone()), log);
    }

    /// Waits until the running flights have ended, at most until `deadline` runs out; returns how many were left.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.rooms.flights.drain(deadline).await
    }
}

/// The pattern, if any, by which a name is looked up in no public checksum database. Reserved names
/// have none: downloaded toolchains stand in no go.sum, and the `go` command looks them up whatever
/// GONOSUMDB says. Source: cmd/go/internal/modfetch (`useSumDB`).
fn exempting<'a>(
    private: &'a policy::Private,
    no_sumdb: &'a policy::Private,
    path: &'a ModulePath,
) -> Option<policy::PrivateMatch<'a>> {
    private.find(path).or_else(|| no_sumdb.find(path))
}

impl Rooms {
    /// Whether a name is private, for a caller who may know it. Judged before anything else.
    ///
    /// # Errors
    ///
    /// [`Error::Private`] for a caller who may not.
    fn judge_private(&self, path: &ModulePath, reach: Reach) -> Result<bool, Error> {
        match (self.private.find(path), reach) {
            (None, _) => Ok(false),
            (Some(_), Reach::Everything) => Ok(true),
            (Some(found), Reach::Public) => Err(Error::Private {
                path: path.clone(),
                pattern: found.pattern.to_owned(),
                source_name: found.source.to_owned(),
            }),
        }
    }

    /// Whether a name may be looked up in a public checksum database.
    ///
    /// # Errors
    ///
    /// [`Error::PrivateLookup`].
    fn judge_lookup(&self, path: &ModulePath) -> Result<(), Error> {
        let Some(found) = exempting(&self.private, &self.no_sumdb, path) else { return Ok(()) };
        Err(Error::PrivateLookup {
            path: path.clone(),
            pattern: found.pattern.to_owned(),
            source_name: found.source.to_owned(),
        })
    }

    fn degraded(&self) -> Vec<(&'static str, String)> {
        let mut reasons = Vec::new();
        match self.store.degraded() {
            Some(store::Degraded::ReadOnly) => {
                reasons.push(("store_read_only", "the data folder is read-only: hits only".into()));
            }
            Some(full) => reasons.push(("store_full", format!("fills are stopped: {full}"))),
            None => {}
        }
        if self.index.is_none() {
            reasons.push(("index_lost", "the index cannot be used: answers are not kept".into()));
        }
        if !self.sumdb.databases().is_empty() && !self.sumdb.has_state() {
            let told = "the tree heads cannot be kept: nothing new is confirmed";
            reasons.push(("state_lost", told.into()));
        }
        let closed = self.closed.as_ref().map(|closed| closed.reason.clone());
        if let Some(why) = self.own.as_ref().and_then(sumdb::OwnLog::frozen).or(closed) {
            let told = format!("our own log is frozen, what is not recorded yet waits: {why}");
            reasons.push(("log_frozen", told));
        }
        if self.own.as_ref().is_some_and(sumdb::OwnLog::has_ended) {
            let told = "another process writes our own log, new private versions wait: end that one, then start this one again";
            reasons.push(("log_taken_over", told.into()));
        }
        for (database, evidence) in self.sumdb.frozen() {
            let told =
                format!("{database} contradicted itself (evidence {evidence}): not believed");
            reasons.push(("sumdb_frozen", told));
        }
        if self.gate.lacks_git() {
            reasons.push(("no_git", "there is no git: direct counts as absent".into()));
        }
        for (origin, trouble) in self.gate.health() {
            if let Some(trouble) = trouble {
                reasons.push(("upstream_down", format!("{origin}: {trouble}")));
            }
        }
        reasons
    }
}

// The surface may import this room only (DESIGN.md, Rooms): what the public face holds is nameable through it.
pub use store::BodyPart;
pub use sumdb::{Binding, Error as SumdbError, OwnError};
pub use upstream::{Error as UpstreamError, Trouble};
