//! Bodies on their way into the store.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use crate::{
    Error, Follower, blocking,
    disk::{Disk, Scratch},
    follower::{Content, Shared},
};

/// Most bytes that wait in memory before they are written to the scratch file.
///
/// A shorter body has no scratch file until it is published. One staged body keeps at most twice
/// this much, and the last two chunks, in memory: below 1.5 MiB for chunks up to 512 KiB.
pub const BUFFER_BYTES: usize = 256 << 10;

/// Most chunks that wait in memory, so that tiny ones cannot cost more than their bytes.
const MAX_CHUNKS: usize = 1024;

/// Longest time bytes wait for the buffer to fill while readers could have them.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Where a staged body goes to.
#[derive(Clone)]
pub(crate) enum Home {
    Memory,
    Disk(Arc<Disk>),
}

/// A body that grows by [`write`](Self::write) and is published by
/// [`Store::create`](crate::Store::create). Any number of [`Follower`]s may read it meanwhile.
///
/// Dropped: what was written goes away (the scratch file a moment later, on a blocking thread);
/// followers keep what they see.
pub struct Staged {
    home: Home,
    shared: Arc<Shared>,
    written: u64,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    flushed: Instant,
    /// The one running write; it owns the order of bytes in the file.
    running: Option<JoinHandle<Result<Scratch, Error>>>,
    scratch: Option<Scratch>,
    failed: Option<Error>,
}

/// What a finished staged body consists of, ready for publication.
pub(crate) enum Finished {
    Memory(Bytes),
    Scratch(Scratch),
}

impl Finished {
    /// The body as a scratch file. Blocks.
    pub(crate) fn into_scratch(self, disk: &Disk) -> Result<Scratch, Error> {
        match self {
            Self::Memory(bytes) => Scratch::holding(disk, &bytes),
            Self::Scratch(scratch) => Ok(scratch),
        }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").field("written", &self.written).finish_non_exhaustive()
    }
}

impl Staged {
    pub(crate) fn new(home: Home) -> Self {
        Self {
            home,
            shared: Shared::new(),
            written: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            flushed: Instant::now(),
            running: None,
            scratch: None,
            failed: None,
        }
    }

    /// Appends `chunk`.
    ///
    /// Up to [`BUFFER_BYTES`] stay in memory and are visible at once. A longer body goes to a
    /// scratch file in pieces of that size, written beside the caller's next chunks, and becomes
    /// visible piece by piece, at the latest with the first chunk after 100 ms. Dropped: the chunk
    /// was not taken.
    ///
    /// # Errors
    /// `Stopped` when the disk is full, read-only or below `store.min_free`; `Io`. After an error
    /// the body can only be dropped: each further call repeats it.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.usable()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let full = self.waiting_bytes + chunk.len() >= BUFFER_BYTES
            || self.waiting.len() + 1 >= MAX_CHUNKS;
        let idle = self.running.as_ref().is_none_or(JoinHandle::is_finished);
        let due = full || (idle && self.flushed.elapsed() >= MAX_WAIT);
        if due {
            self.settle().await?;
        }
        // No await from here on: a chunk is taken whole or not at all.
        self.written += chunk.len() as u64;
        if self.running.is_none() && self.scratch.is_none() {
            if let Some(spilled) = self.append_in_memory(chunk) {
                self.start(spilled);
            }
            return Ok(());
        }
        self.waiting_bytes += chunk.len();
        self.waiting.push(chunk);
        if due {
            self.start_waiting();
        }
        Ok(())
    }

    /// Writes what waits in memory, so that followers see all. No fsync. Cancel safe.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.usable()?;
        self.settle().await?;
        if !self.waiting.is_empty() {
            self.start_waiting();
            self.settle().await?;
        }
        Ok(())
    }

    /// Flushes, and tells followers that this is the end.
    ///
    /// Optional: publication does it too. Nothing may be written afterwards. Cancel safe.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.flush().await?;
        self.shared.tell(|progress| progress.done = true);
        Ok(())
    }

    /// Finishes, and makes the bytes durable: publication has nothing left to do but the name.
    ///
    /// Optional: publication does it too. Nothing may be written afterwards. Cancel safe.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.finish().await?;
        let Home::Disk(disk) = &self.home else { return Ok(()) };
        let (disk, scratch) = (disk.clone(), self.scratch.take());
        let body = if scratch.is_none() { self.shared.seal() } else { None };
        self.running = Some(tokio::task::spawn_blocking(move || {
            let scratch = match scratch {
                Some(scratch) => Ok(scratch),
                None => Scratch::holding(&disk, &body.unwrap_or_default()),
            };
            let synced =
                scratch.and_then(|mut scratch| disk.make_durable(&mut scratch).map(|()| scratch));
            disk.note(synced)
        }));
        self.settle().await
    }

    /// Returns how many bytes were taken.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Announces the total length in bytes, once the sender has told it. Not enforced here.
    pub fn expect(&mut self, len: u64) {
        self.shared.tell(|progress| progress.expected = Some(len));
    }

    /// Returns a reader that begins at the first byte.
    #[must_use]
    pub fn follower(&self) -> Follower {
        Follower::new(self.shared.clone())
    }

    /// Finishes and takes the content out; what remains is empty.
    pub(crate) async fn into_finished(mut self) -> Result<Finished, Error> {
        self.finish().await?;
        if let Some(scratch) = self.scratch.take() {
            return Ok(Finished::Scratch(scratch));
        }
        Ok(Finished::Memory(self.shared.seal().unwrap_or_default()))
    }

    fn usable(&self) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match &self.home {
            Home::Memory => Ok(()),
            Home::Disk(disk) => disk.writable(),
        }
    }

    /// Appends to the body in memory, or hands out what has to go to a file from now on.
    fn append_in_memory(&mut self, chunk: Bytes) -> Option<Vec<Bytes>> {
        let fits = matches!(self.home, Home::Memory) || self.written <= BUFFER_BYTES as u64;
        if !fits {
            let sealed = self.shared.seal().unwrap_or_default();
            return Some(vec![sealed, chunk]);
        }
        self.shared.with(|content| {
            // Sealed only by a `create` that was dropped half-way and then written to again.
            if let Content::Sealed(bytes) = content {
                *content = Content::Growing(BytesMut::from(mem::take(bytes)));
            }
            if let Content::Growing(bytes) = content {
                bytes.extend_from_slice(&chunk);
            }
        });
        let visible = self.written;
        self.shared.tell(|progress| progress.visible = visible);
        None
    }

    fn start_waiting(&mut self) {
        let pieces = mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.start(pieces);
    }

    /// Starts writing `pieces` behind what the file holds; nothing may be running.
    fn start(&mut self, pieces: Vec<Bytes>) {
        let Home::Disk(disk) = &self.home else { return };
        let (disk, shared, scratch) = (disk.clone(), self.shared.clone(), self.scratch.take());
        self.flushed = Instant::now();
        self.running = Some(tokio::task::spawn_blocking(move || {
            let mut scratch = match scratch {
                Some(scratch) => scratch,
                None => disk.note(Scratch::make(&disk))?,
            };
            disk.note(pieces.iter().try_for_each(|piece| scratch.append(piece)))?;
            shared.with(|content| *content = Content::File(scratch.file()));
            shared.tell(|progress| progress.visible = scratch.len());
            Ok(scratch)
        }));
    }

    /// Waits for the running write. Cancel safe: the handle stays until it has answered.
    async fn settle(&mut self) -> Result<(), Error> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let result = blocking::joined(running.await);
        self.running = None;
        match result {
            Ok(scratch) => {
                self.scratch = Some(scratch);
                Ok(())
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.shared.tell(|progress| progress.done = true);
        // Unlinking may block. A running write hands its scratch file to nobody, which removes it.
        if let (Some(scratch), Ok(runtime)) =
            (self.scratch.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn_blocking(move || drop(scratch));
        }
    }
}
