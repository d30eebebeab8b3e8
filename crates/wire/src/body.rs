//! Bodies of answers: bytes in memory, ranges of files, or a stream of both.

use std::{fmt, fs::File, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use prometheus_client::metrics::counter::Counter;

use crate::file::Buffers;

mod outgoing;

pub(crate) use outgoing::{Outgoing, Via};

/// A piece of a body.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes in memory.
    Memory(Bytes),
    /// A range of a file. The range must lie in the file when the part is handed over, and the
    /// file must not be truncated afterwards (a replaced or unlinked name does no harm): a file
    /// that turns out shorter cuts the body.
    File {
        /// The open file; its position is not used.
        file: Arc<File>,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
}

/// The body cannot go on; the client must see that it is not whole.
///
/// Under HTTP/1.1 the connection is closed before the promised length, under HTTP/2 the stream
/// is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was cut")]
pub struct Cut;

/// Parts of a body in order, as they become ready.
pub type PartStream = Pin<Box<dyn Stream<Item = Result<Part, Cut>> + Send>>;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Bytes handed to the connection; by sendfile, bytes the socket took.
    pub bytes: u64,
    /// Whether that was all. A body that was not asked for (HEAD, 304) is whole with 0 bytes.
    pub whole: bool,
}

type OnEnd = Box<dyn FnOnce(Sent) + Send>;

/// Body of an answer.
///
/// The connection decides how it goes out: memory by vectored writes, files by `sendfile` on
/// plain HTTP/1.1 and by page-cache reads elsewhere. `Content-Length` is sent whenever
/// [`Body::len`] is known, also for HEAD; a handler may set the header itself (a prebuilt value
/// is cheaper), with the same number.
pub struct Body {
    part: Option<Part>,
    stream: Option<PartStream>,
    len: Option<u64>,
    on_end: Option<OnEnd>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Body {
    /// A body of no bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self { part: None, stream: None, len: Some(0), on_end: None }
    }

    /// A body of bytes in memory.
    #[must_use]
    pub fn memory(bytes: Bytes) -> Self {
        let len = Some(bytes.len() as u64);
        let part = (!bytes.is_empty()).then_some(Part::Memory(bytes));
        Self { part, stream: None, len, on_end: None }
    }

    /// A body of `len` bytes of a file from `offset`; see [`Part::File`] for what must hold.
    #[must_use]
    pub fn file(file: Arc<File>, offset: u64, len: u64) -> Self {
        let part = (len > 0).then_some(Part::File { file, offset, len });
        Self { part, stream: None, len: Some(len), on_end: None }
    }

    /// A body whose parts come as they become ready.
    ///
    /// With a `len`, the parts must sum up to it: a stream that ends early or goes beyond cuts
    /// the body. Without, HTTP/1.1 clients get chunks (HTTP/1.0 clients: until the close), and
    /// file parts are read, not sent by sendfile. Files that are still growing are followed by
    /// yielding a [`Part::File`] for each range once it is written.
    #[must_use]
    pub fn stream(parts: PartStream, len: Option<u64>) -> Self {
        Self { part: None, stream: Some(parts), len, on_end: None }
    }

    /// Calls `f` once, when the body has ended or was dropped: on the core's thread, so it must
    /// not wait. A second call replaces the first.
    #[must_use]
    pub fn on_end(mut self, f: impl FnOnce(Sent) + Send + 'static) -> Self {
        self.on_end = Some(Box::new(f));
        self
    }

    /// Bytes the body will have; `None` when nobody knows yet.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length that is unknown is not empty")]
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Reads the whole body into memory, `max` bytes at most; meant for tests of handlers.
    /// Files are read on the calling thread. Not told to [`Body::on_end`] as sent bytes.
    ///
    /// # Errors
    ///
    /// [`Cut`] when the stream is cut, when it does not have the promised length, when a file
    /// cannot be read, or when there are more than `max` bytes.
    pub async fn collect(mut self, max: u64) -> Result<Bytes, Cut> {
        let (buffers, mut whole) = (Buffers::default(), BytesMut::new());
        loop {
            let part = match (self.part.take(), &mut self.stream) {
                (Some(part), _) => part,
                (None, Some(stream)) => match stream.next().await {
                    Some(part) => part?,
                    None => break,
                },
                (None, None) => break,
            };
            append(&buffers, &mut whole, part, max)?;
        }
        let len = whole.len() as u64;
        if self.len.is_some_and(|promised| promised != len) {
            return Err(Cut);
        }
        Ok(whole.freeze())
    }
}

/// Appends a part, reading files on this thread.
fn append(buffers: &Buffers, whole: &mut BytesMut, part: Part, max: u64) -> Result<(), Cut> {
    let room = max.saturating_sub(whole.len() as u64);
    match part {
        Part::Memory(bytes) if bytes.len() as u64 <= room => whole.extend_from_slice(&bytes),
        Part::File { file, mut offset, mut len } if len <= room => {
            while len > 0 {
                let Ok(read) = buffers.take().read(&file, offset, len) else { return Err(Cut) };
                whole.extend_from_slice(read.as_ref());
                offset = offset.saturating_add(read.len() as u64);
                len = len.saturating_sub(read.len() as u64);
            }
        }
        Part::Memory(_) | Part::File { .. } => return Err(Cut),
    }
    Ok(())
}

/// Tells the end of a body, once, when dropped.
pub(crate) struct Ending {
    on_end: Option<OnEnd>,
    sent: Sent,
    cut: Counter,
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl Ending {
    fn new(on_end: Option<OnEnd>, cut: Counter) -> Self {
        Self { on_end, sent: Sent { bytes: 0, whole: false }, cut }
    }

    pub(crate) fn add(&mut self, bytes: u64) {
        self.sent.bytes = self.sent.bytes.saturating_add(bytes);
    }

    pub(crate) fn complete(&mut self) {
        self.sent.whole = true;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.sent.whole {
            self.cut.inc();
        }
        if let Some(f) = self.on_end.take() {
            f(self.sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    fn stream(parts: Vec<Result<Part, Cut>>, len: Option<u64>) -> Body {
        Body::stream(Box::pin(futures_util::stream::iter(parts)), len)
    }

    #[test]
    fn lengths_are_those_of_the_parts() {
        assert_eq!(Body::empty().len(), Some(0));
        assert_eq!(Body::memory(Bytes::from_static(b"abc")).len(), Some(3));
        assert_eq!(Body::file(file(b"abc"), 1, 2).len(), Some(2));
        assert_eq!(stream(vec![], None).len(), None);
    }

    #[tokio::test]
    async fn collect_joins_memory_and_files() {
        let parts = vec![
            Ok(Part::Memory(Bytes::from_static(b"ab"))),
            Ok(Part::File { file: file(b"0123"), offset: 1, len: 2 }),
        ];
        let body = stream(parts, Some(4));
        assert_eq!(body.collect(4).await.unwrap(), "ab12");
    }

    #[tokio::test]
    async fn collect_holds_its_bound_and_the_promised_length() {
        let body = || Body::memory(Bytes::from_static(b"abc"));
        assert!(body().collect(3).await.is_ok());
        assert_eq!(body().collect(2).await, Err(Cut));
        assert_eq!(Body::file(file(b"abc"), 0, 4).collect(9).await, Err(Cut));
        assert_eq!(stream(vec![], Some(1)).collect(9).await, Err(Cut));
        assert_eq!(stream(vec![Err(Cut)], None).collect(9).await, Err(Cut));
    }

    #[test]
    fn an_ending_is_told_once_with_what_was_sent() {
        let cut = Counter::default();
        let (tx, rx) = std::sync::mpsc::channel();
        let mut ending =
            Ending::new(Some(Box::new(move |sent| tx.send(sent).unwrap())), cut.clone());
        ending.add(7);
        drop(ending);
        assert_eq!(rx.recv().unwrap(), Sent { bytes: 7, whole: false });
        assert_eq!(cut.get(), 1);
        let mut whole = Ending::new(None, cut.clone());
        whole.complete();
        drop(whole);
        assert_eq!(cut.get(), 1);
    }
}
