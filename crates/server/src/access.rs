//! The access log: one line per request, written to its file off the core threads.
//!
//! A core thread formats the line itself, into a buffer that it has to itself as good as always,
//! and one writer thread ([`run`]) takes the buffers' text away a few times a second. Passing
//! records to the writer instead was tried: at 80,000 requests a second the records of 300 bytes
//! went through the caches twice and cost more than the formatting, which is a few copies.

mod format;

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;
use prometheus_client::metrics::counter::Counter;
use units::Timestamp;

pub use format::{FIELDS, Format};

use crate::ids::Ids;
use crate::metrics::{Kind, Outcome};

/// Bytes of text that wait in one desk at most; a line beyond is dropped and counted. Some 20,000
/// lines, a fifth of a second of a busy core.
pub const MAX_WAITING_BYTES: usize = 8 << 20;

/// How many threads can write lines at once without waiting for each other.
const DESKS: usize = 64;
/// How long lines gather before they are written together. Short, so that the text is still in the
/// cache when it is copied out; longer than it takes to wake the writer.
const BATCH: Duration = Duration::from_millis(5);
/// How often an idle writer looks whether it shall stop.
const IDLE: Duration = Duration::from_millis(250);
/// What a desk keeps of its buffer after a burst.
const KEPT_BYTES: usize = 1 << 20;

/// What one request leaves behind. Made by this room only.
#[derive(Debug)]
pub struct Record {
    pub(crate) at: Timestamp,
    pub(crate) took: Duration,
    pub(crate) ids: Ids,
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: Method,
    pub(crate) target: Option<PathAndQuery>,
    pub(crate) request: Option<gomod::Request>,
    pub(crate) kind: Kind,
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) bytes: u64,
    pub(crate) whole: bool,
}

/// Where lines wait for the writer.
struct Desks {
    all: Vec<Desk>,
    max_waiting: usize,
    dropped: Counter,
}

/// A cache line of its own, so that neighbours do not slow each other down.
#[repr(align(128))]
struct Desk(Mutex<format::Writer>);

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desks").field("max_waiting", &self.max_waiting).finish_non_exhaustive()
    }
}

impl Desks {
    /// The thread's usual desk, or the next one that is free.
    fn free(&self) -> Option<MutexGuard<'_, format::Writer>> {
        let usual = place() % self.all.len().max(1);
        let (before, from) = self.all.split_at_checked(usual)?;
        from.iter().chain(before).find_map(|desk| match desk.0.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}

/// A number that a thread keeps and that differs between threads in all likelihood: where its own
/// variables are.
fn place() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    // Stacks and what lies beside them are megabytes apart; the odd factor (2^64 over the golden
    // ratio) spreads such multiples evenly.
    HERE.with(|here| std::ptr::from_ref(here).addr().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48)
}

/// The end that requests leave their lines at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    desks: Arc<Desks>,
    bell: mpsc::SyncSender<()>,
}

impl Sender {
    /// Leaves a line, or drops and counts it. Never waits.
    pub(crate) fn send(&self, record: &Record) {
        let Some(mut writer) = self.desks.free() else {
            self.desks.dropped.inc();
            return;
        };
        let waiting = writer.text().len();
        if waiting >= self.desks.max_waiting {
            self.desks.dropped.inc();
            return;
        }
        writer.push(record);
        drop(writer);
        // Waking costs a system call: only the first line of a batch does it. A bell that is rung
        // already, or that nobody hears, is as good.
        if waiting == 0 {
            let _ = self.bell.try_send(());
        }
    }
}

/// The end that the writer takes lines from.
#[derive(Debug)]
pub struct Receiver {
    desks: Arc<Desks>,
    bell: mpsc::Receiver<()>,
}

/// Makes both ends; `max_waiting` is in bytes of text, see [`MAX_WAITING_BYTES`].
#[must_use]
pub fn channel(format: Format, max_waiting: usize, dropped: Counter) -> (Sender, Receiver) {
    let (ring, bell) = mpsc::sync_channel(1);
    let desk = || Desk(Mutex::new(format::Writer::new(format)));
    let all = (0..DESKS).map(|_| desk()).collect();
    let desks = Arc::new(Desks { all, max_waiting, dropped });
    (Sender { desks: Arc::clone(&desks), bell: ring }, Receiver { desks, bell })
}

/// Writes lines until all senders are gone or `stop` is set; what waits then is written first.
///
/// Blocks; belongs on a thread of its own. Lines of one thread stay in their order. Lines that
/// cannot be written are counted as dropped, and the next batch is tried again.
#[expect(
    clippy::disallowed_methods,
    reason = "sleeps on the writer's own thread, to gather a batch"
)]
pub fn run(receiver: &Receiver, mut out: impl Write, stop: &AtomicBool) {
    let mut batch = format::Text::default();
    loop {
        let rung = receiver.bell.recv_timeout(IDLE);
        let stopping = stop.load(Ordering::Relaxed);
        if rung.is_ok() && !stopping {
            std::thread::sleep(BATCH);
        }
        for desk in &receiver.desks.all {
            desk.0.lock().unwrap_or_else(PoisonError::into_inner).take(&mut batch);
            write(&receiver.desks.dropped, &mut batch, &mut out);
        }
        if stopping || rung == Err(mpsc::RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Outside the lock, so that a slow disk stops no request.
fn write(dropped: &Counter, batch: &mut format::Text, out: &mut impl Write) {
    if batch.lines == 0 {
        return;
    }
    if let Err(error) = out.write_all(&batch.bytes).and_then(|()| out.flush()) {
        dropped.inc_by(batch.lines);
        let lines = batch.lines;
        tracing::error!(%error, lines, "{lines} access lines cannot be written: {error}");
    }
    batch.clear(KEPT_BYTES);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;

    use super::*;

    /// A record of a hit for the zip of `example.com/m@v1.0.0`.
    pub(crate) fn record() -> Record {
        let target = "/example.com/m/@v/v1.0.0.zip?x=secret";
        Record {
            at: Timestamp::from_unix_nanos(1_000_000_000_123_456_789),
            took: Duration::from_nanos(31_900),
            ids: Ids::next(None),
            client: Some([192, 0, 2, 1].into()),
            method: Method::GET,
            target: Some(PathAndQuery::from_static(target)),
            request: gomod::Request::parse("/example.com/m/@v/v1.0.0.zip").ok(),
            kind: Kind::Zip,
            status: 200,
            outcome: Outcome::Hit,
            bytes: 280,
            whole: true,
        }
    }

    #[derive(Default)]
    struct Broken {
        tries: u64,
    }

    impl Write for &mut Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.tries += 1;
            Err(io::Error::other("no space"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_that_was_sent_is_written_before_the_writer_ends() {
        let (sender, receiver) = channel(Format::Json, 1 << 20, Counter::default());
        for _ in 0..3 {
            sender.send(&record());
        }
        drop(sender);
        let mut out = Vec::new();
        run(&receiver, &mut out, &AtomicBool::new(false));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
    }

    #[test]
    fn stop_ends_the_writer_while_senders_live_and_writes_the_rest() {
        let (sender, receiver) = channel(Format::Text, 1 << 20, Counter::default());
        sender.send(&record());
        let mut out = Vec::new();
        run(&receiver, &mut out, &AtomicBool::new(true));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_full_desk_drops_and_counts() {
        let dropped = Counter::default();
        let line = {
            let (sender, receiver) = channel(Format::Text, 1, Counter::default());
            sender.send(&record());
            drop(sender);
            let mut out = Vec::new();
            run(&receiver, &mut out, &AtomicBool::new(false));
            out.len()
        };
        // One byte more than a line: the second still begins below the bound, the third does not.
        let (sender, receiver) = channel(Format::Text, line + 1, dropped.clone());
        for _ in 0..2 {
            sender.send(&record());
        }
        assert_eq!(dropped.get(), 0);
        sender.send(&record());
        assert_eq!(dropped.get(), 1);
        let mut out = Vec::new();
        run(&receiver, &mut out, &AtomicBool::new(true));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 2);
        sender.send(&record());
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn threads_that_write_at_once_lose_nothing() {
        let dropped = Counter::default();
        let (sender, receiver) = channel(Format::Text, MAX_WAITING_BYTES, dropped.clone());
        let mut out = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let sender = sender.clone();
                scope.spawn(move || (0..1_000).for_each(|_| sender.send(&record())));
            }
            drop(sender);
            run(&receiver, &mut out, &AtomicBool::new(false));
        });
        assert_eq!(dropped.get(), 0);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains(" 200 hit zip 280B ")).count(), 8_000);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let dropped = Counter::default();
        let (sender, receiver) = channel(Format::Text, 1 << 20, dropped.clone());
        for _ in 0..3 {
            sender.send(&record());
        }
        drop(sender);
        let mut broken = Broken::default();
        run(&receiver, &mut broken, &AtomicBool::new(false));
        assert_eq!((dropped.get(), broken.tries), (3, 1));
    }
}
