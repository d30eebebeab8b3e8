//! Random access to a file through one buffer.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{Error, directory::MAX_DIRECTORY_HEADER_LEN};

/// Size of the buffer, in bytes: the largest single record fits.
const BUFFER_BYTES: usize = 256 << 10;
const _: () = assert!(MAX_DIRECTORY_HEADER_LEN <= BUFFER_BYTES);

/// A file of known length, read wherever one asks, ahead of what is asked.
pub(crate) struct Window<R> {
    reader: R,
    size: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl<R: Read + Seek> Window<R> {
    pub(crate) fn new(mut reader: R) -> Result<Self, Error> {
        let size = reader.seek(SeekFrom::End(0)).map_err(|source| Error::Read { source })?;
        Ok(Self { reader, size, buffer: Vec::new(), start: 0 })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the bytes from `offset` on: `want` of them (at most the buffer's size), or fewer
    /// when the file ends before.
    pub(crate) fn at(&mut self, offset: u64, want: usize) -> Result<&[u8], Error> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = want.min(left).min(BUFFER_BYTES);
        let held = self.start..=self.start.saturating_add(self.buffer.len() as u64);
        let end = offset.saturating_add(want as u64);
        if want > 0 && !(held.contains(&offset) && held.contains(&end)) {
            self.fill(offset, left.min(BUFFER_BYTES)).map_err(|source| Error::Read { source })?;
        }
        let skip = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let from = self.buffer.get(skip..).unwrap_or_default();
        Ok(from.get(..want).unwrap_or_default())
    }

    /// Returns at least one byte from `offset` on and at most `most`: what is at hand. Empty only
    /// at the end of the file.
    pub(crate) fn some_at(&mut self, offset: u64, most: u64) -> Result<&[u8], Error> {
        let end = self.start.saturating_add(self.buffer.len() as u64);
        let at_hand = if offset < self.start { 0 } else { end.saturating_sub(offset) };
        let want = if at_hand == 0 { BUFFER_BYTES as u64 } else { at_hand };
        self.at(offset, usize::try_from(want.min(most)).unwrap_or(BUFFER_BYTES))
    }

    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        self.buffer.clear();
        self.start = offset;
        self.reader.seek(SeekFrom::Start(offset))?;
        self.buffer.resize(len, 0);
        let read = self.reader.read_exact(&mut self.buffer);
        if read.is_err() {
            self.buffer.clear();
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn file(len: usize) -> Vec<u8> {
        (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    #[test]
    fn bytes_are_those_of_the_file_wherever_one_asks() {
        let bytes = file(3 * BUFFER_BYTES + 17);
        let mut window = Window::new(Cursor::new(&bytes)).unwrap();
        for offset in [0, 5, BUFFER_BYTES - 3, BUFFER_BYTES, 2 * BUFFER_BYTES + 9, 1] {
            for want in [0, 1, 46, 65_536, BUFFER_BYTES] {
                let found = window.at(offset as u64, want).unwrap();
                let end = bytes.len().min(offset + want);
                assert_eq!(found, &bytes[offset..end], "{want} at {offset}");
            }
        }
    }

    #[test]
    fn reading_on_piece_by_piece_gives_the_whole() {
        let bytes = file(3 * BUFFER_BYTES + 17);
        let mut window = Window::new(Cursor::new(&bytes)).unwrap();
        window.at(7, 30).unwrap();
        let mut read = Vec::new();
        while read.len() < bytes.len() {
            let most = (bytes.len() - read.len()).min(100_000) as u64;
            let piece = window.some_at(read.len() as u64, most).unwrap();
            assert!(!piece.is_empty() && piece.len() as u64 <= most);
            read.extend_from_slice(piece);
        }
        assert_eq!(read, bytes);
        assert_eq!(window.some_at(bytes.len() as u64, 5).unwrap(), b"");
    }

    #[test]
    fn the_end_of_the_file_cuts_what_is_asked() {
        let bytes = file(100);
        let mut window = Window::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(window.size(), 100);
        assert_eq!(window.at(90, 30).unwrap(), &bytes[90..]);
        assert_eq!(window.at(100, 30).unwrap(), b"");
        assert_eq!(window.at(u64::MAX, 30).unwrap(), b"");
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        struct Shrunk(Cursor<Vec<u8>>);
        impl Read for Shrunk {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Ok(0)
            }
        }
        impl Seek for Shrunk {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.0.seek(to)
            }
        }
        let mut window = Window::new(Shrunk(Cursor::new(file(10)))).unwrap();
        assert!(matches!(window.at(0, 10), Err(Error::Read { .. })));
        assert!(matches!(window.at(0, 10), Err(Error::Read { .. })));
    }
}
