//! Reads of stored files: at once when the page cache has the bytes, on the blocking pool else.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of one read, and of one frame under TLS, HTTP/2, or without sendfile. Measured: 256 KiB
/// gains nothing over 64 KiB.
pub(crate) const READ_BYTES: usize = 64 << 10;
/// Buffers a core keeps for reuse; more may be in use, they are freed afterwards.
const KEPT_BUFFERS: usize = 64;
/// Copies from the page cache are faster when both sides begin on a page.
const PAGE_BYTES: usize = 4096;

/// The buffers one core reads into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Buffers {
    /// Takes a buffer; its content is left over from an earlier read.
    pub(crate) fn take(&self) -> Buffer {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = kept.unwrap_or_else(|| vec![0; READ_BYTES + PAGE_BYTES].into_boxed_slice());
        let start = bytes.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        Buffer { bytes, start, filled: 0, home: self.clone() }
    }
}

/// A buffer that goes back to its core when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    filled: usize,
    home: Buffers,
}

impl Buffer {
    /// Room for a read of `len` bytes, [`READ_BYTES`] at most.
    fn room(&mut self, len: u64) -> &mut [u8] {
        let len = usize::try_from(len).unwrap_or(READ_BYTES).min(READ_BYTES);
        self.bytes.get_mut(self.start..self.start + len).unwrap_or_default()
    }

    /// Bytes read.
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// Reads on this thread, waiting for the disk if need be.
    ///
    /// # Errors
    ///
    /// What the system said; `UnexpectedEof` when the file ends at `offset` or before.
    pub(crate) fn read(mut self, file: &File, offset: u64, len: u64) -> io::Result<Self> {
        let room = self.room(len);
        let count = loop {
            match file.read_at(room, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.filled(count)
    }

    fn filled(mut self, count: usize) -> io::Result<Self> {
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.filled = count;
        Ok(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_BUFFERS {
            kept.push(bytes);
        }
    }
}

/// What a read that must not wait came to.
#[derive(Debug)]
pub(crate) enum Now {
    /// Bytes were in the page cache.
    Read(Buffer),
    /// The disk would have to be waited for; here is the buffer again.
    Blocked(Buffer),
}

/// Reads what the page cache has, without waiting for the disk.
///
/// # Errors
///
/// What the system said; `UnexpectedEof` when the file ends at `offset` or before.
#[cfg(target_os = "linux")]
pub(crate) fn read_now(mut buffer: Buffer, file: &File, at: (u64, u64)) -> io::Result<Now> {
    let (offset, len) = at;
    match nowait(file, buffer.room(len), offset) {
        Ok(count) => buffer.filled(count).map(Now::Read),
        Err(rustix::io::Errno::OPNOTSUPP) if in_memory(file) => {
            buffer.read(file, offset, len).map(Now::Read)
        }
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL) => {
            Ok(Now::Blocked(buffer))
        }
        Err(error) => Err(error.into()),
    }
}

/// Only Linux tells what is in the page cache: elsewhere every read goes to the blocking pool.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_now(buffer: Buffer, _file: &File, _at: (u64, u64)) -> io::Result<Now> {
    Ok(Now::Blocked(buffer))
}

#[cfg(target_os = "linux")]
fn nowait(file: &File, room: &mut [u8], offset: u64) -> rustix::io::Result<usize> {
    let mut slices = [io::IoSliceMut::new(room)];
    loop {
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        match rustix::io::preadv2(file, &mut slices, offset, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Whether the file lies on tmpfs, which refuses `RWF_NOWAIT` and has no disk to wait for.
#[cfg(target_os = "linux")]
fn in_memory(file: &File) -> bool {
    /// Source: statfs(2), `TMPFS_MAGIC`.
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(TMPFS))
}

/// Whether the first and the last of `len` bytes from `offset` are in the page cache.
///
/// # Errors
///
/// What the system said; `UnexpectedEof` when the file is too short.
#[cfg(target_os = "linux")]
pub(crate) fn resident(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    let last = offset.saturating_add(len.saturating_sub(1));
    for at in [offset, last] {
        match nowait(file, &mut [0], at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INVAL) => return Ok(false),
            Err(rustix::io::Errno::OPNOTSUPP) => return Ok(in_memory(file)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident(_file: &File, _offset: u64, _len: u64) -> io::Result<bool> {
    Ok(false)
}

/// Reads `len` bytes from `offset` through, so that they are in the page cache. Waits for the
/// disk: for the blocking pool only.
///
/// # Errors
///
/// What the system said; `UnexpectedEof` when the file is too short.
pub(crate) fn warm(buffers: &Buffers, file: &File, at: (u64, u64)) -> io::Result<()> {
    let (mut offset, mut left) = at;
    while left > 0 {
        let read = buffers.take().read(file, offset, left)?.len() as u64;
        offset = offset.saturating_add(read);
        left = left.saturating_sub(read);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_read_stops_at_its_length_and_at_the_file_end() {
        let (buffers, file) = (Buffers::default(), file(b"0123456789"));
        let read = |at: (u64, u64)| match read_now(buffers.take(), &file, at).unwrap() {
            Now::Read(buffer) => buffer.as_ref().to_vec(),
            Now::Blocked(buffer) => buffer.read(&file, at.0, at.1).unwrap().as_ref().to_vec(),
        };
        assert_eq!(read((2, 3)), b"234");
        assert_eq!(read((8, 100)), b"89");
    }

    #[test]
    fn the_end_of_the_file_is_an_error() {
        let (buffers, file) = (Buffers::default(), file(b"01"));
        assert!(buffers.take().read(&file, 2, 1).is_err());
        assert!(warm(&buffers, &file, (0, 3)).is_err());
        warm(&buffers, &file, (0, 2)).unwrap();
        if cfg!(target_os = "linux") {
            assert!(resident(&file, 0, 2).unwrap());
            assert!(resident(&file, 0, 3).is_err());
            assert!(read_now(buffers.take(), &file, (2, 1)).is_err());
        }
    }

    #[test]
    fn buffers_come_back_up_to_the_bound() {
        let buffers = Buffers::default();
        let taken: Vec<_> = (0..=KEPT_BUFFERS).map(|_| buffers.take()).collect();
        drop(taken);
        assert_eq!(buffers.0.lock().unwrap().len(), KEPT_BUFFERS);
        drop(buffers.take());
        assert_eq!(buffers.0.lock().unwrap().len(), KEPT_BUFFERS);
    }

    #[test]
    fn a_buffer_begins_on_a_page_and_holds_one_read() {
        let mut buffer = Buffers::default().take();
        assert_eq!(buffer.room(u64::MAX).len(), READ_BYTES);
        assert_eq!(buffer.room(1).as_ptr().align_offset(PAGE_BYTES), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_in_memory_need_no_blocking_pool() {
        let fd = rustix::fs::memfd_create("wire", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(fd);
        file.write_all(b"0123").unwrap();
        assert!(resident(&file, 0, 4).unwrap());
        let now = read_now(Buffers::default().take(), &file, (1, 2)).unwrap();
        assert!(matches!(now, Now::Read(buffer) if buffer.as_ref() == b"12"));
    }
}
