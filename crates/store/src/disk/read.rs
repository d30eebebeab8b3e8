//! Opening published files.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use sha2::{Digest, Sha256};
use units::{ByteRange, Timestamp};

use crate::{
    Body, Error, Lifetime, MAX_REPLACED_BYTES, Object, SMALL_BODY_BYTES, Tag,
    object::{clamped, read_part},
};

/// A name inside the data folder, and whether its content may change.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) lifetime: Lifetime,
}

/// Opens what is at `place` below `root`; `None`: nothing is there. Blocks.
pub(crate) fn object(
    root: &Path,
    place: &Place,
    range: Option<ByteRange>,
) -> Result<Option<Object>, Error> {
    let path = root.join(&place.name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let about = file.metadata().map_err(|error| Error::io("look at", &path, error))?;
    if !about.is_file() {
        return Ok(None);
    }
    opened(&Arc::new(file), &about, place, range).map(Some)
}

/// Turns an open file into an object.
pub(crate) fn opened(
    file: &Arc<File>,
    about: &Metadata,
    place: &Place,
    range: Option<ByteRange>,
) -> Result<Object, Error> {
    let len = about.len();
    let part = clamped(range, len);
    if place.lifetime != Lifetime::Immutable {
        let whole = replaced(file, len, &place.name)?;
        let stamp = (modified(about), content_tag(&whole));
        let part_of = slice(&whole, part);
        return Ok(Object::new(&place.name, stamp, len, Body::Memory(part_of)).narrowed(part));
    }
    let body = if part.end - part.start <= SMALL_BODY_BYTES {
        Body::Memory(read_part(file, part, &place.name)?)
    } else {
        Body::File { file: file.clone(), len }
    };
    let stamp = (modified(about), file_tag(about));
    Ok(Object::new(&place.name, stamp, len, body).narrowed(part))
}

/// Reads an object that changes, whole: its tag is its content's.
fn replaced(file: &File, len: u64, name: &str) -> Result<bytes::Bytes, Error> {
    if len > MAX_REPLACED_BYTES {
        return Err(Error::TooLarge { key: name.to_owned(), cap: MAX_REPLACED_BYTES });
    }
    read_part(file, ByteRange { start: 0, end: len }, name)
}

/// Cuts `part` out of `whole`; it has been clamped to it.
pub(crate) fn slice(whole: &bytes::Bytes, part: ByteRange) -> bytes::Bytes {
    let bound = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
    whole.slice(bound(part.start)..bound(part.end))
}

/// Tells a missing file from a failing disk. A name too long for the disk cannot be there either.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidFilename
    )
}

/// Identity of content that may be set back to what it was: equal content, equal tag.
pub(crate) fn content_tag(bytes: &[u8]) -> Tag {
    Tag(hex::encode(Sha256::digest(bytes)))
}

/// Identity of a file that is never rewritten. Hashing a zip for it would cost too much.
fn file_tag(about: &Metadata) -> Tag {
    Tag(format!("{:x}-{:x}-{:x}", about.len(), modified(about).unix_nanos(), about.ino()))
}

fn modified(about: &Metadata) -> Timestamp {
    let nanos = about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec());
    Timestamp::from_unix_nanos(nanos)
}
