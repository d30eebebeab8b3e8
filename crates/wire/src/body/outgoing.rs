//! A body on its way: what hyper polls for frames.

use std::{
    fs::File,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Body, Cut, Ending, Part, PartStream};
use crate::{
    file::{self, Buffer, Now},
    link::Busy,
    sendfile::{MIN_SENDFILE_BYTES, Range, WINDOW_BYTES, stand_in},
};

/// After so many bytes by sendfile without a pause, other connections get their turn: about half
/// a millisecond of copying.
const SENDFILE_BURST_BYTES: u64 = 4 << 20;
/// The same for bytes that are read and mostly encrypted, which takes longer.
const READ_BURST_BYTES: u64 = 1 << 20;

/// How file parts go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// By stand-ins: plain HTTP/1.1 with a known length only.
    Sendfile,
    /// By reads.
    Read,
}

/// The part being sent.
#[derive(Debug)]
struct Current {
    file: Arc<File>,
    offset: u64,
    len: u64,
    via: Via,
}

/// Work on the blocking pool that the next frame waits for.
#[derive(Debug)]
enum Job {
    Warm(JoinHandle<io::Result<()>>, u64),
    Read(JoinHandle<io::Result<Buffer>>),
}

/// A [`Body`] that belongs to a connection.
///
/// Dropping it at any time is safe: what was queued for sendfile goes with the connection.
pub(crate) struct Outgoing {
    busy: Busy,
    memory: Option<Bytes>,
    file: Option<Current>,
    stream: Option<PartStream>,
    /// Bytes still owed; `None` while the length is unknown.
    left: Option<u64>,
    via: Via,
    job: Option<Job>,
    ending: Option<Ending>,
    queued: bool,
    pause: bool,
}

impl Outgoing {
    /// Takes a body over. `via` is used only when the length is known.
    pub(crate) fn new(body: Body, busy: Busy, via: Via) -> Self {
        let via = if body.len.is_some() { via } else { Via::Read };
        let mut ending = Ending::new(body.on_end, busy.link.core.metrics.bodies_cut.clone());
        if body.len == Some(0) {
            ending.complete();
        }
        let mut outgoing = Self {
            busy,
            memory: None,
            file: None,
            stream: body.stream,
            left: body.len,
            via,
            job: None,
            ending: Some(ending),
            queued: false,
            pause: false,
        };
        if let Some(part) = body.part {
            outgoing.take(part);
        }
        outgoing
    }

    /// An answer whose body nobody wants (HEAD, 304): whole, with no bytes.
    pub(crate) fn unwanted(body: Body, busy: Busy) -> Self {
        Self::new(
            Body { part: None, stream: None, len: Some(0), on_end: body.on_end },
            busy,
            Via::Read,
        )
    }

    /// Makes a part the current one; a part without bytes is skipped.
    fn take(&mut self, part: Part) {
        match part {
            Part::Memory(bytes) if !bytes.is_empty() => self.memory = Some(bytes),
            Part::File { file, offset, len } if len > 0 => {
                let via = if len < MIN_SENDFILE_BYTES { Via::Read } else { self.via };
                self.file = Some(Current { file, offset, len, via });
            }
            Part::Memory(_) | Part::File { .. } => {}
        }
    }

    /// Whether `bytes` more are within what was promised.
    fn owes(&self, bytes: u64) -> Result<(), Cut> {
        if self.left.is_some_and(|left| bytes > left) { Err(Cut) } else { Ok(()) }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            if let Some(bytes) = self.memory.take() {
                let len = bytes.len() as u64;
                return Poll::Ready(Some(self.owes(len).map(|()| self.hand_over(bytes))));
            }
            if self.file.is_some() {
                return self.file_frame(cx).map(Some);
            }
            let Some(stream) = &mut self.stream else { break };
            match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(part)) => self.take(part),
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => self.stream = None,
            }
        }
        match (self.left, &mut self.ending) {
            (Some(1..), _) => return Poll::Ready(Some(Err(Cut))),
            (_, Some(ending)) => ending.complete(),
            _ => {}
        }
        Poll::Ready(None)
    }

    /// Accounts for bytes that hyper gets as they are.
    fn hand_over(&mut self, bytes: Bytes) -> Bytes {
        let len = bytes.len() as u64;
        self.left = self.left.map(|left| left.saturating_sub(len));
        self.pause = self.busy.link.burst(len, READ_BURST_BYTES);
        if let Some(ending) = &mut self.ending {
            ending.add(len);
            if self.left == Some(0) {
                ending.complete();
            }
        }
        bytes
    }

    fn file_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Cut>> {
        if self.job.is_none() {
            match self.start() {
                Ok(Some(bytes)) => return Poll::Ready(Ok(bytes)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(unreadable(&error))),
            }
        }
        let done = match &mut self.job {
            Some(Job::Warm(handle, len)) => {
                let len = *len;
                ready!(Pin::new(handle).poll(cx)).map(|warmed| warmed.map(|()| self.window(len)))
            }
            Some(Job::Read(handle)) => {
                ready!(Pin::new(handle).poll(cx)).map(|read| read.map(|bytes| self.piece(bytes)))
            }
            None => return Poll::Ready(Err(Cut)),
        };
        self.job = None;
        Poll::Ready(match done {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => Err(unreadable(&error)),
            Err(error) => Err(unreadable(&io::Error::other(error))),
        })
    }

    /// The next frame of the current file if the page cache has it, else a job that brings it.
    fn start(&mut self) -> io::Result<Option<Bytes>> {
        let Some(Current { file, offset, len, via }) = &self.file else { return Ok(None) };
        let (offset, len) = (*offset, *len);
        if self.owes(len).is_err() {
            return Err(io::Error::other("the part is longer than the promised length"));
        }
        let (file, buffers) = (Arc::clone(file), &self.busy.link.core.buffers);
        if *via == Via::Sendfile {
            let window = len.min(WINDOW_BYTES as u64);
            if file::resident(&file, offset, window)? {
                return self.window(window).map(Some).map_err(io::Error::other);
            }
            let buffers = buffers.clone();
            let warm = spawn_blocking(move || file::warm(&buffers, &file, (offset, window)));
            self.job = Some(Job::Warm(warm, window));
            return Ok(None);
        }
        match file::read_now(buffers.take(), &file, (offset, len))? {
            Now::Read(buffer) => self.piece(buffer).map(Some).map_err(io::Error::other),
            Now::Blocked(buffer) => {
                self.job = Some(Job::Read(spawn_blocking(move || buffer.read(&file, offset, len))));
                Ok(None)
            }
        }
    }

    /// A frame of bytes that were read from the current file.
    fn piece(&mut self, buffer: Buffer) -> Result<Bytes, Cut> {
        self.advance(buffer.len() as u64)?;
        Ok(self.hand_over(Bytes::from_owner(buffer)))
    }

    /// A stand-in for the next `len` bytes of the current file, which are queued.
    fn window(&mut self, len: u64) -> Result<Bytes, Cut> {
        let (file, offset) = self.advance(len)?;
        self.left = self.left.map(|left| left.saturating_sub(len));
        // The end of a body is told when its last byte is in the socket, not when hyper has it.
        let ending = if self.left == Some(0) { self.ending.take() } else { None };
        if let Some(ending) = &mut self.ending {
            ending.add(len);
        }
        let mut queue = self.busy.link.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.queued && !queue.is_empty() {
            // hyper has stand-ins of an earlier body: the files would be sent in the wrong order.
            return Err(Cut);
        }
        queue.push(Range { file, offset, len, ending });
        drop(queue);
        self.queued = true;
        self.pause = self.busy.link.burst(len, SENDFILE_BURST_BYTES);
        Ok(stand_in(usize::try_from(len).unwrap_or(WINDOW_BYTES)))
    }

    /// Steps over `len` bytes of the current file and says where they begin.
    fn advance(&mut self, len: u64) -> Result<(Arc<File>, u64), Cut> {
        let Some(current) = &mut self.file else { return Err(Cut) };
        let at = (Arc::clone(&current.file), current.offset);
        current.offset = current.offset.saturating_add(len);
        current.len = current.len.saturating_sub(len);
        if current.len == 0 {
            self.file = None;
        }
        Ok(at)
    }
}

/// Logs why a file could not be sent.
fn unreadable(error: &io::Error) -> Cut {
    tracing::error!(%error, "a file could not be read while it was sent; the answer is cut");
    Cut
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = this.next(cx);
        this.busy.set_waiting(polled.is_pending());
        let frame = ready!(polled);
        this.busy.link.progress();
        if matches!(frame, Some(Err(_))) && this.left.is_none() {
            // Without a length the end of the connection would look like the end of the body.
            this.busy.link.must_reset();
        }
        Poll::Ready(frame.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        Config, Metrics, Sent,
        link::{Core, Limits, Open},
    };

    fn open() -> Open {
        Core::new(Limits::new(&Config::default()), Metrics::default()).open()
    }

    fn file(len: usize) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; len]).unwrap();
        Arc::new(file)
    }

    fn outgoing(body: Body, open: &Open, via: Via) -> Outgoing {
        Outgoing::new(body, Busy::new(Arc::clone(&open.0)), via)
    }

    #[tokio::test]
    async fn a_small_file_is_read_even_where_sendfile_is_on() {
        let open = open();
        let body = outgoing(Body::file(file(100), 10, 50), &open, Via::Sendfile);
        assert_eq!(body.collect().await.unwrap().to_bytes(), vec![7; 50]);
        assert!(open.0.queue.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_large_file_is_queued_window_by_window() {
        let (open, len) = (open(), WINDOW_BYTES + 1);
        let mut body = outgoing(Body::file(file(len), 0, len as u64), &open, Via::Sendfile);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), WINDOW_BYTES);
        assert!(crate::sendfile::is_stand_in(&first));
        assert!(!http_body::Body::is_end_stream(&body));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
        assert!(http_body::Body::is_end_stream(&body));
    }

    #[tokio::test]
    async fn an_unknown_length_is_never_sent_by_stand_ins() {
        let (open, len) = (open(), WINDOW_BYTES);
        let part = Part::File { file: file(len), offset: 0, len: len as u64 };
        let parts = Box::pin(futures_util::stream::iter([Ok(part)]));
        let body = outgoing(Body::stream(parts, None), &open, Via::Sendfile);
        assert_eq!(body.collect().await.unwrap().to_bytes(), vec![7; len]);
        assert!(open.0.queue.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_second_body_on_an_unsent_queue_is_cut() {
        let (open, len) = (open(), MIN_SENDFILE_BYTES);
        let body = || Body::file(file(1 << 15), 0, len);
        let mut first = outgoing(body(), &open, Via::Sendfile);
        first.frame().await.unwrap().unwrap();
        let mut second = outgoing(body(), &open, Via::Sendfile);
        assert_eq!(second.frame().await.unwrap().unwrap_err(), Cut);
    }

    #[tokio::test]
    async fn a_part_beyond_the_promise_is_cut() {
        let open = open();
        for part in [
            Part::Memory(Bytes::from_static(b"abc")),
            Part::File { file: file(3), offset: 0, len: 3 },
        ] {
            let parts = Box::pin(futures_util::stream::iter([Ok(part)]));
            let body = outgoing(Body::stream(parts, Some(2)), &open, Via::Read);
            assert!(body.collect().await.is_err());
        }
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_cut() {
        let open = open();
        for (via, len) in [(Via::Read, 101), (Via::Sendfile, MIN_SENDFILE_BYTES)] {
            let mut body = outgoing(Body::file(file(100), 0, len), &open, via);
            let mut last = body.frame().await.unwrap();
            while last.is_ok() {
                last = body.frame().await.unwrap();
            }
            assert_eq!(last.unwrap_err(), Cut);
        }
    }

    #[tokio::test]
    async fn a_slow_source_counts_as_waiting_for_us() {
        let open = open();
        let parts = Box::pin(futures_util::stream::pending());
        let mut body = outgoing(Body::stream(parts, Some(1)), &open, Via::Read);
        let waited = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
        assert!(waited.is_err());
        let text = format!("{:?}", open.0);
        assert!(text.contains("waiting: 1"), "{text}");
    }

    #[tokio::test]
    async fn the_end_is_told_when_the_last_byte_is_in_the_socket() {
        let (open, len) = (open(), 20 << 10);
        let (tx, rx) = std::sync::mpsc::channel();
        let body = Body::file(file(len), 0, len as u64).on_end(move |sent| tx.send(sent).unwrap());
        let mut body = outgoing(body, &open, Via::Sendfile);
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert!(rx.try_recv().is_err());
        open.0.queue.lock().unwrap().send(5, |_, _, len| Ok(len)).unwrap();
        *open.0.queue.lock().unwrap() = crate::sendfile::Queue::default();
        assert_eq!(rx.recv().unwrap(), Sent { bytes: 5, whole: false });
    }

    #[tokio::test]
    async fn an_unwanted_body_is_whole() {
        let open = open();
        let (tx, rx) = std::sync::mpsc::channel();
        let body = Body::file(file(9), 0, 9).on_end(move |sent| tx.send(sent).unwrap());
        let unwanted = Outgoing::unwanted(body, Busy::new(Arc::clone(&open.0)));
        assert!(http_body::Body::is_end_stream(&unwanted));
        drop(unwanted);
        assert_eq!(rx.recv().unwrap(), Sent { bytes: 0, whole: true });
        assert_eq!(open.0.core.metrics.bodies_cut.get(), 0);
    }
}
