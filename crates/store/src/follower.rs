//! Reading a body while it is still being staged.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

/// A piece of a body, ready to be sent.
#[derive(Debug, Clone)]
pub enum BodyPart {
    /// Bytes in memory.
    Memory(Bytes),
    /// A stretch of an open file, to be read by position only: the handle is shared.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the piece begins, in bytes.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
}

impl BodyPart {
    /// Returns the length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length to announce, not a collection")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Reads bytes at `offset` of the piece into `buf`; 0 at its end. May block.
    ///
    /// # Errors
    /// The system's, when the file cannot be read.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(buf.len());
        let (buf, _rest) = buf.split_at_mut(wanted);
        match self {
            Self::Memory(bytes) => buf.copy_from_slice(piece(bytes, offset, wanted as u64)),
            Self::File { file, offset: start, .. } => return file.read_at(buf, start + offset),
        }
        Ok(wanted)
    }

    /// Returns a blocking reader over the piece.
    #[must_use]
    pub fn reader(self) -> PartReader {
        PartReader { part: self, at: 0 }
    }
}

/// Where the bytes of a staged body are.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory, and more may be appended.
    Growing(BytesMut),
    /// In memory, and complete or on the way to a file.
    Sealed(Bytes),
    /// In a file, from its first byte.
    File(Arc<File>),
}

/// How far a staged body has come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) visible: u64,
    pub(crate) expected: Option<u64>,
    pub(crate) done: bool,
}

/// What the writer and the followers of one body share.
///
/// The writer owns the order: bytes are in `content` before `progress` tells of them.
#[derive(Debug)]
pub(crate) struct Shared {
    content: Mutex<Content>,
    progress: watch::Sender<Progress>,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        let content = Mutex::new(Content::Growing(BytesMut::new()));
        Arc::new(Self { content, progress: watch::Sender::new(Progress::default()) })
    }

    /// Works on the content, briefly: async readers take the same lock.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells followers of a change.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Stops the growth in memory and returns the bytes; `None` when they are in a file.
    pub(crate) fn seal(&self) -> Option<Bytes> {
        self.with(|content| match content {
            Content::Growing(bytes) => {
                let bytes = std::mem::take(bytes).freeze();
                *content = Content::Sealed(bytes.clone());
                Some(bytes)
            }
            Content::Sealed(bytes) => Some(bytes.clone()),
            Content::File(_) => None,
        })
    }
}

/// Reads what has been staged so far. Cheap to clone.
///
/// Survives publication (the file keeps its inode) and the drop of the [`Staged`](crate::Staged):
/// what was visible stays readable.
#[derive(Clone)]
pub struct Follower {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("progress", &*self.progress.borrow())
            .finish_non_exhaustive()
    }
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let progress = shared.progress.subscribe();
        Self { shared, progress }
    }

    /// Returns the total length in bytes, if the writer announced it.
    #[must_use]
    pub fn expected(&self) -> Option<u64> {
        self.progress.borrow().expected
    }

    /// Returns how many bytes can be read now.
    #[must_use]
    pub fn visible(&self) -> u64 {
        self.progress.borrow().visible
    }

    /// Waits until more than `seen` bytes are visible, or none will follow.
    ///
    /// Returns the visible count and whether the writer is done: finished, published or dropped.
    /// Whether it ended well the writer's owner knows. Cancel safe.
    pub async fn more_than(&mut self, seen: u64) -> (u64, bool) {
        let reached = self.progress.wait_for(|now| now.visible > seen || now.done).await;
        // The sender lives in `shared`, which we hold, so waiting cannot fail.
        reached.map_or((seen, true), |now| (now.visible, now.done))
    }

    /// Returns up to `len` bytes from `offset`, cut to what is visible.
    ///
    /// A large body is answered by its file; one still in memory by a copy of the piece.
    #[must_use]
    pub fn body(&self, offset: u64, len: u64) -> BodyPart {
        let visible = self.visible();
        let offset = offset.min(visible);
        let len = len.min(visible - offset);
        self.shared.with(|content| match content {
            Content::Growing(bytes) => {
                BodyPart::Memory(Bytes::copy_from_slice(piece(bytes, offset, len)))
            }
            Content::Sealed(bytes) => BodyPart::Memory(bytes.slice_ref(piece(bytes, offset, len))),
            Content::File(file) => BodyPart::File { file: file.clone(), offset, len },
        })
    }

    /// Reads bytes at `offset` into `buf`, as far as visible; 0 at the visible end. May block.
    ///
    /// # Errors
    /// The system's, when the scratch file cannot be read.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.body(offset, buf.len() as u64).read_at(0, buf)
    }

    /// Returns a blocking reader over what is visible now; its end does not move.
    #[must_use]
    pub fn reader(&self) -> PartReader {
        self.body(0, self.visible()).reader()
    }
}

/// Cuts `len` bytes at `offset` out of `bytes`; nothing where they are not.
fn piece(bytes: &[u8], offset: u64, len: u64) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = usize::try_from(offset.saturating_add(len)).unwrap_or(usize::MAX);
    bytes.get(start..end.min(bytes.len())).unwrap_or_default()
}

/// A blocking `Read` and `Seek` over a piece of a body, for use off the runtime.
#[derive(Debug)]
pub struct PartReader {
    part: BodyPart,
    at: u64,
}

impl Read for PartReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.part.read_at(self.at, buf)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for PartReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.part.len().checked_add_signed(delta),
            SeekFrom::Current(delta) => self.at.checked_add_signed(delta),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
