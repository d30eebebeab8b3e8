//! Joined fetches: one detached task for any number of waiters.
//!
//! A flight belongs to the fill runtime, not to the client that started it: a client that leaves drops only its
//! watch. The table holds a flight from its start until its last work (publication included) is done, so whoever
//! asks in between joins it, and whoever asks afterwards finds the thing in the store.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gomod::Request;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::task::TaskTracker;

use crate::follow::Live;
use crate::shelf::Entry;
use crate::{Error, Metrics, Outcome, Rooms};

/// How many flights are on the table at once, waiting ones included. A client that leaves cancels nothing, so
/// without a bound whoever asks and leaves, again and again, would fill the memory while a source is slow.
const MAX_ON_TABLE: usize = 10_000;

/// What a flight may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Look into the store and the index: never touches the network.
    Load,
    /// Load, else fetch through the judges into store and memory.
    Fetch,
}

/// One thing under way.
pub(crate) type FlightKey = (Purpose, Request);

/// What a flight came back with.
#[derive(Debug, Clone)]
pub(crate) struct Landing {
    /// `None`: not stored (loads only).
    pub(crate) entry: Option<Arc<Entry>>,
    pub(crate) outcome: Outcome,
}

/// How far a flight is.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// Nothing can be sent yet.
    Boarding,
    /// Bytes are arriving and the whole is long enough to go along.
    Streaming(Live),
    /// The verdict is in.
    Landed(Result<Landing, Error>),
}

type Table = HashMap<FlightKey, watch::Receiver<Phase>>;

/// The table of running flights.
#[derive(Debug)]
pub(crate) struct Flights {
    running: Mutex<Table>,
    fill: tokio::runtime::Handle,
    /// Zips, and everything else: minutes of large files must not hold seconds of small ones back.
    zips: Semaphore,
    questions: Semaphore,
    tracker: TaskTracker,
    metrics: Metrics,
}

/// A caller's watch on a flight.
#[derive(Debug)]
pub(crate) struct Watch {
    phase: watch::Receiver<Phase>,
    /// Found running: its bytes were fetched for somebody else.
    pub(crate) joined: bool,
}

impl Flights {
    pub(crate) fn new(fill: tokio::runtime::Handle, max: usize, metrics: Metrics) -> Self {
        Self {
            running: Mutex::default(),
            fill,
            zips: Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)),
            questions: Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)),
            tracker: TaskTracker::new(),
            metrics,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Detached work that nobody waits for, on the fill runtime; counted by [`drain`](Self::drain).
    #[expect(clippy::disallowed_methods, reason = "flights is where the room's tasks start")]
    fn fly(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.fill.spawn(self.tracker.track_future(task));
    }

    /// A turn to fetch: fair, first come first served, in one of two queues of the same width.
    ///
    /// # Errors
    ///
    /// A fault when the table is closed, which it never is while flights run.
    pub(crate) async fn turn(&self, request: &Request) -> Result<SemaphorePermit<'_>, Error> {
        let queue = match request {
            Request::Zip(_) => &self.zips,
            _ => &self.questions,
        };
        queue.acquire().await.map_err(|closed| Error::fault(closed.to_string()))
    }

    /// Waits for all detached work, at most `deadline`; returns how much was left.
    pub(crate) async fn drain(&self, deadline: Duration) -> usize {
        self.tracker.close();
        // A timeout is the expected other end: the caller reports how many were left.
        let _ended = tokio::time::timeout(deadline, self.tracker.wait()).await;
        self.tracker.len()
    }
}

/// Joins the flight for `key`, starting it with `work` when none runs.
///
/// `work` gets the pilot; it runs detached on the fill runtime and is polled to its end whatever the callers do.
/// The lock is held for the look-up only.
pub(crate) fn join<W, F>(rooms: &Arc<Rooms>, key: FlightKey, work: W) -> Watch
where
    W: FnOnce(Pilot) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut table = rooms.flights.table();
    let full = table.len() >= MAX_ON_TABLE;
    let slot = match table.entry(key) {
        Slot::Occupied(slot) => return Watch { phase: slot.get().clone(), joined: true },
        Slot::Vacant(_) if full => {
            let phase = watch::channel(Phase::Landed(Err(Error::Crowded))).1;
            return Watch { phase, joined: false };
        }
        Slot::Vacant(slot) => slot,
    };
    let (sender, phase) = watch::channel(Phase::Boarding);
    let key = slot.key().clone();
    slot.insert(phase.clone());
    drop(table);
    rooms.flights.metrics.flight_started();
    let task = work(Pilot { sender, key, on_table: true, rooms: Arc::clone(rooms) });
    rooms.flights.fly(task);
    Watch { phase, joined: false }
}

/// Runs `work` on the fill runtime's blocking threads: CPU work over a millisecond, and file I/O.
///
/// # Errors
///
/// A fault when the work panicked.
#[expect(clippy::disallowed_methods, reason = "the room's one named function for blocking work")]
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| Error::fault(format!("blocking work failed: {panic}")))
}

/// The flight's own side: tells the watchers how far it is.
///
/// Dropped, it leaves the table. Dropped without a landing (a panic in the work), it first lands with a fault, so
/// that no watcher waits for ever.
#[derive(Debug)]
pub(crate) struct Pilot {
    sender: watch::Sender<Phase>,
    key: FlightKey,
    on_table: bool,
    pub(crate) rooms: Arc<Rooms>,
}

impl Pilot {
    pub(crate) fn request(&self) -> &Request {
        &self.key.1
    }

    pub(crate) fn may_fetch(&self) -> bool {
        self.key.0 == Purpose::Fetch
    }

    /// Lets readers go along.
    pub(crate) fn stream(&self, live: Live) {
        self.sender.send_replace(Phase::Streaming(live));
    }

    /// Ends the wait of every watcher. The first landing counts.
    pub(crate) fn land(&self, result: Result<Landing, Error>) {
        self.sender.send_if_modified(|phase| {
            let first = !matches!(phase, Phase::Landed(_));
            if first {
                *phase = Phase::Landed(result);
            }
            first
        });
    }

    /// Leaves the table, then lands: whoever asks after the landing is owed a younger answer than this one.
    pub(crate) fn land_last(mut self, result: Result<Landing, Error>) {
        self.leave();
        self.land(result);
    }

    /// At most once: a later flight for the same thing is not this one's to remove.
    fn leave(&mut self) {
        if std::mem::take(&mut self.on_table) {
            self.rooms.flights.table().remove(&self.key);
            self.rooms.flights.metrics.flight_ended();
        }
    }

    /// Lands with the bytes of a module file: the only way past the held-back end of a zip, and only with both
    /// proofs.
    pub(crate) fn release(
        &self,
        verified: &sumdb::Verified,
        pass: &policy::Pass,
        checked: &modzip::Checked,
        entry: Arc<Entry>,
    ) -> Result<(), Error> {
        if !verified.covers(checked) || !pass.covers(checked.module()) {
            return Err(Error::fault(format!("the proofs do not cover {}", checked.module())));
        }
        self.land(Ok(Landing { entry: Some(entry), outcome: Outcome::Miss }));
        Ok(())
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.land(Err(Error::fault("the fetch ended without a verdict")));
        self.leave();
    }
}

impl Watch {
    /// Waits until the flight has something to send, at most `limit`. Cancel safe; never `Boarding`.
    ///
    /// # Errors
    ///
    /// [`Error::StillFetching`] when the limit ran out: the flight goes on.
    pub(crate) async fn progress(
        &mut self,
        limit: Duration,
        what: &Request,
    ) -> Result<Phase, Error> {
        let moved = self.phase.wait_for(|phase| !matches!(phase, Phase::Boarding));
        match tokio::time::timeout(limit, moved).await {
            Ok(Ok(phase)) => Ok(phase.clone()),
            // The pilot lands before it is dropped, so this arm is for the type only.
            Ok(Err(_closed)) => Err(Error::fault("the fetch ended without a verdict")),
            Err(_elapsed) => Err(Error::StillFetching { what: crate::fill::name_of(what) }),
        }
    }

    /// The phases themselves, for a body that follows the flight.
    pub(crate) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }
}

#[cfg(test)]
pub(crate) mod tests;
