//! Stored bodies as they are handed out.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use units::{ByteRange, Timestamp};

use crate::{BodyPart, Error, blocking};

/// Longest body, in bytes, that is handed out in memory.
///
/// Source: serving by copy beats an open file up to about here (measured on prototypes).
pub const SMALL_BODY_BYTES: u64 = 64 << 10;

/// Longest body, in bytes, of an object that changes: facts, lists, tree heads.
///
/// They are read whole, to be compared. A list of 300,000 versions fits.
pub const MAX_REPLACED_BYTES: u64 = 16 << 20;

/// A stored body. Published files are never truncated or rewritten, so an open one stays whole.
#[derive(Debug, Clone)]
pub enum Body {
    /// The bytes: at most [`SMALL_BODY_BYTES`], or an object that changes.
    Memory(Bytes),
    /// An open file of `len` bytes, to be read by position only: the handle is shared.
    File {
        /// The file.
        file: Arc<File>,
        /// Its whole length in bytes, also when a range was asked for.
        len: u64,
    },
}

/// Identity of the current content, for [`Store::replace`](crate::Store::replace). Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub String);

/// A stored object, or the part of it that was asked for.
#[derive(Debug, Clone)]
pub struct Object {
    /// The bytes.
    pub body: Body,
    /// When it was published.
    pub modified: Timestamp,
    /// Identity of the whole content.
    pub tag: Tag,
    part: ByteRange,
    whole: u64,
    name: Arc<str>,
}

impl Object {
    pub(crate) fn new(
        name: &str,
        (modified, tag): (Timestamp, Tag),
        whole: u64,
        body: Body,
    ) -> Self {
        let part = ByteRange { start: 0, end: whole };
        Self { body, modified, tag, part, whole, name: Arc::from(name) }
    }

    /// Says that `body` answers `part` only; a body in memory holds just that part.
    pub(crate) fn narrowed(mut self, part: ByteRange) -> Self {
        self.part = part;
        self
    }

    /// Returns the length in bytes of what was asked for.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length to announce, not a collection")]
    pub fn len(&self) -> u64 {
        self.part.end - self.part.start
    }

    /// Returns which bytes of the whole object these are.
    #[must_use]
    pub fn range(&self) -> ByteRange {
        self.part
    }

    /// Returns the length in bytes of the whole object.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// Returns what was asked for, ready to be sent.
    #[must_use]
    pub fn part(&self) -> BodyPart {
        match &self.body {
            Body::Memory(bytes) => BodyPart::Memory(bytes.clone()),
            Body::File { file, .. } => {
                BodyPart::File { file: file.clone(), offset: self.part.start, len: self.len() }
            }
        }
    }

    /// Reads what was asked for into memory. Cancel safe.
    ///
    /// # Errors
    /// `TooLarge` when it is longer than `cap` bytes; `Io` when the disk fails.
    pub async fn bytes(&self, cap: u64) -> Result<Bytes, Error> {
        if self.len() > cap {
            return Err(Error::TooLarge { key: self.name.to_string(), cap });
        }
        match &self.body {
            Body::Memory(bytes) => Ok(bytes.clone()),
            Body::File { file, .. } => {
                let (file, name, part) = (file.clone(), self.name.clone(), self.part);
                blocking::run(move || read_part(&file, part, &name)).await
            }
        }
    }
}

/// Reads `part` of a file; the caller has bounded it.
pub(crate) fn read_part(file: &File, part: ByteRange, name: &str) -> Result<Bytes, Error> {
    let len = usize::try_from(part.end - part.start)
        .map_err(|_too_long| Error::TooLarge { key: name.to_owned(), cap: usize::MAX as u64 })?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, part.start).map_err(|error| Error::io("read", name, error))?;
    Ok(Bytes::from(bytes))
}

/// Cuts a range to the length that is there; past the end it is empty.
pub(crate) fn clamped(range: Option<ByteRange>, whole: u64) -> ByteRange {
    let ByteRange { start, end } = range.unwrap_or(ByteRange { start: 0, end: whole });
    let end = end.min(whole);
    ByteRange { start: start.min(end), end }
}

/// What [`Store::create`](crate::Store::create) found.
#[derive(Debug, Clone)]
pub enum Created {
    /// The name was free; it holds the body now.
    New(Object),
    /// The name was taken, and stays as it is. Whether the contents agree, the caller judges.
    Exists(Object),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange { start, end }
    }

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        assert_eq!(clamped(None, 10), range(0, 10));
        assert_eq!(clamped(Some(range(2, 5)), 10), range(2, 5));
        assert_eq!(clamped(Some(range(2, 50)), 10), range(2, 10));
        assert_eq!(clamped(Some(range(20, 50)), 10), range(10, 10));
        assert_eq!(clamped(Some(range(5, 2)), 10), range(2, 2));
    }

    #[tokio::test]
    async fn bytes_at_the_cap_are_read_and_past_it_refused() {
        let stamp = (Timestamp::from_unix_secs(0), Tag(String::new()));
        let object = Object::new("x", stamp, 3, Body::Memory(Bytes::from_static(b"abc")));
        assert_eq!(object.bytes(3).await.unwrap(), "abc");
        assert!(matches!(object.bytes(2).await, Err(Error::TooLarge { cap: 2, .. })));
    }
}
