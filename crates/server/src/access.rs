//! The access log: one line per request, written off the core threads.
//!
//! A core thread makes a [`Record`] by moving what it has anyway and tries to put it on a bounded
//! channel; a full channel drops the record and counts it. One writer thread ([`run`]) formats and
//! writes in batches.

mod format;

use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;
use prometheus_client::metrics::counter::Counter;
use units::Timestamp;

pub use format::{FIELDS, Format};

use crate::ids::Ids;
use crate::metrics::{Kind, Outcome};

/// How many records wait at most: a fifth of a second at 80,000 requests a second, some megabytes.
pub const CAPACITY: usize = 16_384;

/// How long records gather before they are written together. Waking the writer costs the sender a
/// system call, so it is woken once per batch, not per record.
const BATCH: Duration = Duration::from_millis(20);
/// How often an idle writer looks whether it shall stop.
const IDLE: Duration = Duration::from_millis(250);
/// Bytes formatted before they are written, however many records are waiting.
const BUFFER: usize = 256 << 10;

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

/// The end of the channel that requests put their records into. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    records: mpsc::SyncSender<Record>,
    dropped: Counter,
}

impl Sender {
    /// Hands a record over, or drops and counts it. Never waits.
    pub(crate) fn send(&self, record: Record) {
        if self.records.try_send(record).is_err() {
            self.dropped.inc();
        }
    }
}

/// The end of the channel that the writer takes records from.
#[derive(Debug)]
pub struct Receiver {
    records: mpsc::Receiver<Record>,
    dropped: Counter,
}

/// Makes the channel. `capacity` records wait at most (usually [`CAPACITY`]); `dropped` counts the
/// lost ones ([`crate::Metrics::dropped_access_lines`]).
#[must_use]
pub fn channel(capacity: usize, dropped: Counter) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::sync_channel(capacity);
    (Sender { records: sender, dropped: dropped.clone() }, Receiver { records: receiver, dropped })
}

/// Writes records to `out` until `stop` is set or all senders are gone, and then what is still
/// waiting.
///
/// Blocks: it is the body of a thread of its own. A line appears at most 20 ms after its request,
/// unless `out` is slower. When `out` fails, the lines of that batch are counted as dropped and
/// writing goes on with the next.
#[expect(
    clippy::disallowed_methods,
    reason = "sleeps on the writer's own thread, to gather a batch"
)]
pub fn run(receiver: &Receiver, mut out: impl Write, format: Format, stop: &AtomicBool) {
    let mut writer = format::Writer::new(format);
    loop {
        match receiver.records.recv_timeout(IDLE) {
            Ok(record) => {
                writer.push(&record);
                if !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(BATCH);
                }
                drain(receiver, &mut writer, &mut out);
            }
            Err(mpsc::RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
            Err(_) => return,
        }
    }
}

fn drain(receiver: &Receiver, writer: &mut format::Writer, out: &mut impl Write) {
    while let Ok(record) = receiver.records.try_recv() {
        writer.push(&record);
        if writer.text().len() >= BUFFER {
            flush(receiver, writer, out);
        }
    }
    flush(receiver, writer, out);
}

fn flush(receiver: &Receiver, writer: &mut format::Writer, out: &mut impl Write) {
    if let Err(error) = out.write_all(writer.text()).and_then(|()| out.flush()) {
        receiver.dropped.inc_by(writer.lines());
        let lines = writer.lines();
        tracing::error!(%error, lines, "{lines} access lines cannot be written: {error}");
    }
    writer.clear();
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
        let (sender, receiver) = channel(8, Counter::default());
        for _ in 0..3 {
            sender.send(record());
        }
        drop(sender);
        let mut out = Vec::new();
        run(&receiver, &mut out, Format::Json, &AtomicBool::new(false));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
    }

    #[test]
    fn stop_ends_the_writer_while_senders_live_and_writes_the_rest() {
        let (sender, receiver) = channel(8, Counter::default());
        sender.send(record());
        let mut out = Vec::new();
        run(&receiver, &mut out, Format::Text, &AtomicBool::new(true));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_full_channel_drops_and_counts() {
        let dropped = Counter::default();
        let (sender, receiver) = channel(2, dropped.clone());
        for _ in 0..2 {
            sender.send(record());
        }
        assert_eq!(dropped.get(), 0);
        sender.send(record());
        assert_eq!(dropped.get(), 1);
        drop(receiver);
        sender.send(record());
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let dropped = Counter::default();
        let (sender, receiver) = channel(8, dropped.clone());
        for _ in 0..3 {
            sender.send(record());
        }
        drop(sender);
        let mut broken = Broken::default();
        run(&receiver, &mut broken, Format::Text, &AtomicBool::new(false));
        assert_eq!((dropped.get(), broken.tries), (3, 1));
    }
}
