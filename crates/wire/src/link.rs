//! What the room knows of one connection, and when that connection has used up its time.
//!
//! One sweep per core and tick judges all connections, so that a request costs no timer. All
//! values of a link are written by the thread of its core only; they are atomics because tasks
//! must be `Send`, and need no read-modify-write.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};

use crate::{Config, Metrics, file::Buffers, sendfile::Queue};

/// Longest time between two sweeps; a limit is exact to one tick.
const MAX_TICK: Duration = Duration::from_secs(1);
/// Shortest time between two sweeps, for tests with short limits.
const MIN_TICK: Duration = Duration::from_millis(10);

/// What a connection is told to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    /// Go on.
    Run = 0,
    /// Answer what was asked, then close.
    Finish = 1,
    /// Close now.
    Close = 2,
}

/// The limits by which a connection is judged, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    header: u64,
    idle: u64,
    write: u64,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            header: millis(config.header_timeout.0),
            idle: millis(config.idle_timeout.0),
            write: millis(config.write_timeout.0),
        }
    }

    /// A quarter of the shortest limit.
    fn tick(&self) -> Duration {
        let shortest = self.header.min(self.idle).min(self.write);
        Duration::from_millis(shortest / 4).clamp(MIN_TICK, MAX_TICK)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A moment of a connection's life, as far as limits care.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// The client has begun to send a head and has not ended it.
    heading: bool,
    /// The socket takes no more bytes.
    blocked: bool,
    /// Requests being answered.
    busy: u32,
    /// Of these, how many wait for us and not for the client.
    waiting: u32,
    /// When the connection became idle or a head was begun.
    since: u64,
    /// When bytes last moved.
    moved: u64,
}

/// Judges a connection. Pure.
fn judge(state: State, limits: &Limits, now: u64) -> Order {
    let stalled = state.blocked || state.busy > state.waiting;
    if stalled {
        return past(state.moved, limits.write, now, Order::Close);
    }
    if state.busy > 0 {
        return Order::Run;
    }
    if state.heading {
        return past(state.since, limits.header, now, Order::Close);
    }
    // A graceful end waits for the client (HTTP/2), so it has an end of its own.
    match past(state.since, limits.idle.saturating_add(limits.write), now, Order::Close) {
        Order::Run => past(state.since, limits.idle, now, Order::Finish),
        close => close,
    }
}

fn past(since: u64, limit: u64, now: u64, order: Order) -> Order {
    if now.saturating_sub(since) >= limit { order } else { Order::Run }
}

/// One connection as the sweep, its socket and its bodies see it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) core: Arc<Core>,
    pub(crate) queue: Mutex<Queue>,
    id: u64,
    multiplexed: AtomicBool,
    heading: AtomicBool,
    blocked: AtomicBool,
    reset: AtomicBool,
    busy: AtomicU32,
    waiting: AtomicU32,
    since: AtomicU64,
    moved: AtomicU64,
    burst: AtomicU64,
    order: AtomicU8,
    waker: AtomicWaker,
}

impl Link {
    /// Notes that bytes came from the client: a head begins, unless one is being answered.
    pub(crate) fn received(&self) {
        let idle = self.busy.load(Relaxed) == 0 && !self.heading.load(Relaxed);
        if idle && !self.multiplexed.load(Relaxed) {
            self.heading.store(true, Relaxed);
            self.since.store(self.core.now(), Relaxed);
        }
    }

    /// Notes that the socket takes no more bytes now.
    pub(crate) fn block(&self) {
        if !self.blocked.load(Relaxed) {
            self.blocked.store(true, Relaxed);
            self.moved.store(self.core.now(), Relaxed);
        }
    }

    /// Notes that the socket took bytes.
    pub(crate) fn unblock(&self) {
        if self.blocked.load(Relaxed) {
            self.blocked.store(false, Relaxed);
            self.moved.store(self.core.now(), Relaxed);
        }
    }

    /// Notes that a body gave bytes to the connection.
    pub(crate) fn progress(&self) {
        self.moved.store(self.core.now(), Relaxed);
    }

    /// Many streams share the connection (HTTP/2): bytes that come are not a head that begins.
    pub(crate) fn set_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
        self.heading.store(false, Relaxed);
        self.since.store(self.core.now(), Relaxed);
    }

    /// The connection must end with a reset: its end would otherwise pass for the body's.
    pub(crate) fn must_reset(&self) {
        self.reset.store(true, Relaxed);
    }

    /// Whether [`Link::must_reset`] was called.
    pub(crate) fn resets(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// Adds to what the connection sent without a pause and tells whether it must let others in.
    pub(crate) fn burst(&self, bytes: u64, limit: u64) -> bool {
        let sum = self.burst.load(Relaxed).saturating_add(bytes);
        self.burst.store(if sum >= limit { 0 } else { sum }, Relaxed);
        sum >= limit
    }

    /// Begins a poll of the connection; the order it has to follow.
    pub(crate) fn poll_order(&self, waker: &Waker) -> Order {
        self.burst.store(0, Relaxed);
        self.waker.register(waker);
        self.order()
    }

    fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::Run,
            1 => Order::Finish,
            _ => Order::Close,
        }
    }

    /// Gives an order; a stricter one that was given before stays.
    fn give(&self, order: Order) {
        if order as u8 > self.order.load(Relaxed) {
            self.order.store(order as u8, Relaxed);
            self.waker.wake();
        }
    }

    fn state(&self) -> State {
        State {
            heading: self.heading.load(Relaxed),
            blocked: self.blocked.load(Relaxed),
            busy: self.busy.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            since: self.since.load(Relaxed),
            moved: self.moved.load(Relaxed),
        }
    }
}

/// One request being answered, from its head's last byte to its body's end.
#[derive(Debug)]
pub(crate) struct Busy {
    pub(crate) link: Arc<Link>,
    waiting: bool,
}

impl Busy {
    /// Begins an answer; it waits for us until told otherwise.
    pub(crate) fn new(link: Arc<Link>) -> Self {
        link.heading.store(false, Relaxed);
        link.busy.store(link.busy.load(Relaxed).saturating_add(1), Relaxed);
        link.waiting.store(link.waiting.load(Relaxed).saturating_add(1), Relaxed);
        Self { link, waiting: true }
    }

    /// Says whether the answer waits for us or for the client.
    pub(crate) fn set_waiting(&mut self, waiting: bool) {
        if self.waiting != waiting {
            self.waiting = waiting;
            let count = self.link.waiting.load(Relaxed);
            let count = if waiting { count.saturating_add(1) } else { count.saturating_sub(1) };
            self.link.waiting.store(count, Relaxed);
            self.link.progress();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.set_waiting(false);
        let busy = self.link.busy.load(Relaxed).saturating_sub(1);
        self.link.busy.store(busy, Relaxed);
        self.link.since.store(self.link.core.now(), Relaxed);
    }
}

/// What the connections of one core share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) metrics: Metrics,
    pub(crate) buffers: Buffers,
    limits: Limits,
    started: Instant,
    now: AtomicU64,
    links: Mutex<HashMap<u64, Arc<Link>>>,
    next_id: AtomicU64,
    changed: Notify,
}

impl Core {
    pub(crate) fn new(limits: Limits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            buffers: Buffers::default(),
            limits,
            started: Instant::now(),
            now: AtomicU64::new(0),
            links: Mutex::default(),
            next_id: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// Milliseconds since the core's start, exact to one tick.
    fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    fn tick(&self) -> u64 {
        let now = millis(self.started.elapsed());
        self.now.store(now, Relaxed);
        now
    }

    /// Opens a link: the client has the header limit to ask for something.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        let now = self.tick();
        let id = self.next_id.fetch_add(1, Relaxed);
        let link = Arc::new(Link {
            core: Arc::clone(self),
            queue: Mutex::default(),
            id,
            multiplexed: AtomicBool::new(false),
            heading: AtomicBool::new(true),
            blocked: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            busy: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            since: AtomicU64::new(now),
            moved: AtomicU64::new(now),
            burst: AtomicU64::new(0),
            order: AtomicU8::new(Order::Run as u8),
            waker: AtomicWaker::new(),
        });
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(id, Arc::clone(&link));
        drop(links);
        self.changed.notify_one();
        self.metrics.open.inc();
        Open(link)
    }

    /// Gives one order to every open connection.
    pub(crate) fn order_all(&self, order: Order) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().for_each(|link| link.give(order));
    }

    /// Connections open now.
    pub(crate) fn open_count(&self) -> usize {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Judges all connections once a tick, for ever; sleeps while there is none.
    pub(crate) async fn sweep(&self) {
        let mut ticks = tokio::time::interval(self.limits.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.open_count() == 0 {
                self.changed.notified().await;
            }
            ticks.tick().await;
            self.sweep_once();
        }
    }

    fn sweep_once(&self) {
        let now = self.tick();
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.values() {
            let order = judge(link.state(), &self.limits, now);
            if order == Order::Close && link.order() != Order::Close {
                self.metrics.timed_out.inc();
            }
            link.give(order);
        }
    }

    /// Waits until no connection is open.
    pub(crate) async fn drained(&self) {
        while self.open_count() > 0 {
            self.changed.notified().await;
        }
    }
}

/// The link of an open connection; dropping it ends the connection's entry.
#[derive(Debug)]
pub(crate) struct Open(pub(crate) Arc<Link>);

impl Drop for Open {
    fn drop(&mut self) {
        let core = &self.0.core;
        core.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0.id);
        core.metrics.open.dec();
        core.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { header: 10, idle: 75, write: 60 };

    fn at(state: State, now: u64) -> Order {
        judge(state, &LIMITS, now)
    }

    #[test]
    fn a_head_has_its_limit() {
        let heading = State { heading: true, since: 100, ..State::default() };
        assert_eq!(at(heading, 109), Order::Run);
        assert_eq!(at(heading, 110), Order::Close);
    }

    #[test]
    fn an_idle_connection_finishes_and_is_closed_later() {
        let idle = State { since: 100, ..State::default() };
        assert_eq!(at(idle, 174), Order::Run);
        assert_eq!(at(idle, 175), Order::Finish);
        assert_eq!(at(idle, 234), Order::Finish);
        assert_eq!(at(idle, 235), Order::Close);
    }

    #[test]
    fn an_answer_that_waits_for_us_has_no_limit() {
        assert_eq!(at(State { busy: 1, waiting: 1, ..State::default() }, 1 << 40), Order::Run);
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut() {
        let blocked = State { blocked: true, moved: 100, ..State::default() };
        assert_eq!(at(blocked, 159), Order::Run);
        assert_eq!(at(blocked, 160), Order::Close);
        let unread = State { busy: 2, waiting: 1, moved: 100, ..State::default() };
        assert_eq!(at(unread, 159), Order::Run);
        assert_eq!(at(unread, 160), Order::Close);
    }

    #[test]
    fn a_clock_that_lags_does_no_harm() {
        assert_eq!(at(State { since: 100, heading: true, ..State::default() }, 90), Order::Run);
    }

    #[tokio::test]
    async fn an_answer_is_counted_from_head_to_end() {
        let core = Core::new(LIMITS, Metrics::default());
        let open = core.open();
        assert!(open.0.state().heading);
        let mut busy = Busy::new(Arc::clone(&open.0));
        assert_eq!((open.0.state().busy, open.0.state().waiting), (1, 1));
        assert!(!open.0.state().heading);
        busy.set_waiting(false);
        assert_eq!((open.0.state().busy, open.0.state().waiting), (1, 0));
        busy.set_waiting(true);
        drop(busy);
        assert_eq!((open.0.state().busy, open.0.state().waiting), (0, 0));
        open.0.received();
        assert!(open.0.state().heading);
    }

    #[tokio::test]
    async fn orders_only_get_stricter() {
        let core = Core::new(LIMITS, Metrics::default());
        let open = core.open();
        core.order_all(Order::Close);
        core.order_all(Order::Finish);
        assert_eq!(open.0.poll_order(Waker::noop()), Order::Close);
        assert_eq!((core.open_count(), core.metrics.open.get()), (1, 1));
        drop(open);
        core.drained().await;
        assert_eq!(core.metrics.open.get(), 0);
    }

    #[tokio::test]
    async fn a_long_burst_pauses_and_starts_again() {
        let open = Core::new(LIMITS, Metrics::default()).open();
        assert!(!open.0.burst(9, 10));
        assert!(open.0.burst(1, 10));
        assert!(!open.0.burst(9, 10));
        open.0.poll_order(Waker::noop());
        assert!(!open.0.burst(9, 10));
    }
}
