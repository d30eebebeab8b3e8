//! Files from the page cache to a plain connection, without copying and without `unsafe`.
//!
//! hyper writes only byte slices. So a body puts the file range on its connection's [`Queue`] and
//! hands hyper a *stand-in*: a slice of [`WINDOW`] of the same length, which nobody ever reads.
//! When the connection's socket is asked to write a slice that lies in [`WINDOW`], it sends that
//! many bytes of the queue's first range by `sendfile` instead (see [`crate::socket::Plain`]).
//!
//! If hyper ever copied a stand-in, clients would get zeros. Hence: vectored writes on, pipeline
//! flush off, a known length always, hyper pinned exactly, [`self_test`] at start, and the tests
//! in `tests/bytes.rs`.

use std::{collections::VecDeque, fs::File, io, sync::Arc};

use bytes::Bytes;

use crate::body::Ending;

mod self_test;

pub use self_test::sendfile_self_test;

/// Most bytes one stand-in stands for. Measured: 8 MiB gains nothing.
pub(crate) const WINDOW_BYTES: usize = 1 << 20;
/// Below this a read and one write are cheaper than a `sendfile` of its own.
pub(crate) const MIN_SENDFILE_BYTES: u64 = 16 << 10;

/// What stand-ins are slices of. Only its address means something.
static WINDOW: [u8; WINDOW_BYTES] = [0; WINDOW_BYTES];

/// The stand-in for `len` bytes, [`WINDOW_BYTES`] at most.
pub(crate) fn stand_in(len: usize) -> Bytes {
    Bytes::from_static(WINDOW.get(..len).unwrap_or(&WINDOW))
}

/// Whether a slice is (what is left of) a stand-in.
pub(crate) fn is_stand_in(slice: &[u8]) -> bool {
    !slice.is_empty() && WINDOW.as_ptr_range().contains(&slice.as_ptr())
}

/// A file range a stand-in was given for.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// With the last range of a body: ends it when its last byte went out.
    pub(crate) ending: Option<Ending>,
}

/// File ranges whose stand-ins hyper has, in the order it has them.
#[derive(Debug, Default)]
pub(crate) struct Queue(VecDeque<Range>);

impl Queue {
    pub(crate) fn push(&mut self, range: Range) {
        self.0.push_back(range);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends up to `len` bytes of the first range by `send(file, offset, len)`, which says how
    /// many went out.
    ///
    /// # Errors
    ///
    /// What `send` said; `UnexpectedEof` when the file is shorter than the range; `InvalidData`
    /// when no range is left, that is, when hyper writes a stand-in twice.
    pub(crate) fn send(
        &mut self,
        len: usize,
        send: impl FnOnce(&File, &mut u64, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(range) = self.0.front_mut() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a stand-in without its file"));
        };
        let len = usize::try_from(range.len).unwrap_or(usize::MAX).min(len);
        let count = send(&range.file, &mut range.offset, len)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        range.len = range.len.saturating_sub(count as u64);
        let ended = range.len == 0;
        if let Some(ending) = &mut range.ending {
            ending.add(count as u64);
            if ended {
                ending.complete();
            }
        }
        if ended {
            self.0.pop_front();
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(len: u64) -> Range {
        let file = Arc::new(tempfile::tempfile().unwrap());
        Range { file, offset: 5, len, ending: None }
    }

    #[test]
    fn a_stand_in_is_known_by_its_address_even_when_advanced() {
        let mut slice = stand_in(WINDOW_BYTES);
        assert_eq!(slice.len(), WINDOW_BYTES);
        assert!(is_stand_in(&slice));
        bytes::Buf::advance(&mut slice, WINDOW_BYTES - 1);
        assert!(is_stand_in(&slice));
        assert!(!is_stand_in(&[0; 16]));
        assert!(!is_stand_in(&slice[1..]), "nothing stands for nothing");
    }

    #[test]
    fn ranges_are_sent_in_order_and_not_beyond_their_end() {
        let mut queue = Queue::default();
        queue.push(range(3));
        queue.push(range(4));
        let sent = queue.send(10, |_, offset, len| {
            *offset += 2;
            Ok(len - 1)
        });
        assert_eq!(sent.unwrap(), 2);
        assert_eq!(
            queue.send(10, |_, offset, len| Ok(len * usize::from(*offset == 7))).unwrap(),
            1
        );
        assert_eq!(queue.send(10, |_, _, len| Ok(len)).unwrap(), 4);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_short_file_and_a_second_write_are_errors() {
        let mut queue = Queue::default();
        queue.push(range(3));
        let short = queue.send(3, |_, _, _| Ok(0)).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(queue.send(3, |_, _, len| Ok(len)).unwrap(), 3);
        let twice = queue.send(3, |_, _, len| Ok(len)).unwrap_err();
        assert_eq!(twice.kind(), io::ErrorKind::InvalidData);
    }
}
