//! Writes module zips: the same files give the same bytes, for ever.
//!
//! Entries stand in the order of their names' bytes, carry the DOS time 1980-01-01 and no mode,
//! and are deflated, or stored where that is not smaller. Sizes and CRC stand in the local header,
//! but for contents above [`MAX_PACKED_BYTES`], which are streamed and have them in a descriptor:
//! a matter of size alone. No directory entries. The compressor is the workspace's zlib-rs, whose
//! output does not depend on the machine.

mod records;
mod stream;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use gomod::ModVer;
use sha2::{Digest, Sha256};

use crate::{
    EntryName, Error, H1, MAX_CONTENT_BYTES, MAX_ENTRIES, MAX_NAMES_BYTES, MAX_ZIP_BYTES,
    directory::{DEFLATED, STORED},
    h1::Summary,
    pack::records::{Header, Sizes},
};

pub use stream::Streamed;

/// Largest content that is held compressed, in bytes: 32 MiB. Above, contents are streamed.
///
/// Ours: deflated contents are kept for the next version of the same repository, and one of 500
/// MiB must not take that much memory.
pub const MAX_PACKED_BYTES: u64 = 32 << 20;

/// How hard zlib tries. On Go's own source level 3 does 138 MB a second and core and leaves 22.4 %,
/// level 6 does 99 and leaves 21.2 %, level 1 does 290 and leaves 30.7 %. To change it changes the
/// bytes of every zip made from then on.
const LEVEL: Compression = Compression::new(3);

/// A file's content, hashed and compressed: what need not be done again for the next version.
///
/// Cheap to clone; memory is that of the compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Of the content.
    pub sha256: [u8; 32],
    /// Of the content.
    pub crc32: u32,
    /// Of the content, in bytes.
    pub size: u64,
    /// Deflated, or stored where that is not smaller.
    pub deflated: bool,
    /// The content, compressed if `deflated`.
    pub bytes: Bytes,
}

impl Packed {
    /// Hashes and deflates. CPU-bound; for more than a few contents use one [`Deflater`].
    #[must_use]
    pub fn new(content: &[u8]) -> Self {
        Deflater::new().pack(content)
    }
}

/// Packs contents one after the other with the same 0.3 MiB of buffers.
///
/// What comes out depends on the content alone.
pub struct Deflater {
    compress: Compress,
    output: Vec<u8>,
}

impl Deflater {
    /// Makes a packer of contents.
    #[must_use]
    pub fn new() -> Self {
        Self { compress: Compress::new(LEVEL, false), output: Vec::new() }
    }

    /// Hashes and deflates. CPU-bound.
    #[must_use]
    pub fn pack(&mut self, content: &[u8]) -> Packed {
        let mut crc = Crc::new();
        crc.update(content);
        let deflated = self.deflate(content);
        Packed {
            sha256: Sha256::digest(content).into(),
            crc32: crc.sum(),
            size: content.len() as u64,
            deflated: deflated.is_some(),
            bytes: deflated.unwrap_or_else(|| Bytes::copy_from_slice(content)),
        }
    }

    /// `None` when it would not be smaller.
    fn deflate(&mut self, content: &[u8]) -> Option<Bytes> {
        // No room for more: what does not end within is not smaller.
        let room = content.len().checked_sub(1)?;
        if self.output.len() < room {
            self.output.resize(room, 0);
        }
        let output = self.output.get_mut(..room)?;
        self.compress.reset();
        let status = self.compress.compress(content, output, FlushCompress::Finish).ok()?;
        let len = usize::try_from(self.compress.total_out()).ok()?;
        // Exactly as long as needed: the bytes may be kept for a long time.
        let bytes = (status == Status::StreamEnd).then(|| self.output.get(..len))??;
        let bytes = Bytes::copy_from_slice(bytes);
        self.shrink();
        Some(bytes)
    }

    /// One large content must not hold its memory for ever.
    fn shrink(&mut self) {
        const KEPT_BYTES: usize = 4 << 20;
        if self.output.len() > KEPT_BYTES {
            self.output = Vec::new();
        }
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}

/// Writes one zip, entry by entry in the order of names' bytes; output is taken out chunk by chunk.
///
/// Names are below the module's root; that they keep the rules is [`crate::select`]'s business and
/// [`crate::check`]'s. After an error the zip is of no use. Memory: the central directory, about
/// 50 bytes and the whole name for each entry.
pub struct Packer {
    prefix: String,
    /// The last name added.
    last: Option<String>,
    /// How much was written.
    at: u64,
    directory: Vec<u8>,
    entries: usize,
    names: usize,
    content: u64,
    summary: Summary,
    /// A streamed content was begun and not ended.
    open: bool,
}

impl Packer {
    /// Begins a zip of this module version.
    #[must_use]
    pub fn new(module: &ModVer) -> Self {
        Self {
            prefix: format!("{module}/"),
            last: None,
            at: 0,
            directory: Vec::new(),
            entries: 0,
            names: 0,
            content: 0,
            summary: Summary::default(),
            open: false,
        }
    }

    /// Appends an entry to `out`. Names in ascending order of bytes. Costs a copy of the bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Writing`] for a name out of order and a content above [`MAX_PACKED_BYTES`];
    /// [`Error::TooManyEntries`], [`Error::NamesTooLong`], [`Error::ContentTooLarge`] and
    /// [`Error::ZipTooLarge`] past their limits.
    pub fn add(&mut self, name: &str, file: &Packed, out: &mut Vec<u8>) -> Result<(), Error> {
        if file.size > MAX_PACKED_BYTES {
            return Err(self.fault(name, "a content of this size is streamed"));
        }
        self.admit(name, file.size)?;
        let compressed = file.bytes.len() as u64;
        let method = if file.deflated { DEFLATED } else { STORED };
        let header = Header { name: [&self.prefix, name], method, streamed: false };
        let sizes =
            Sizes::of(file.crc32, compressed, file.size).ok_or_else(|| too_large(self.at))?;
        let start = out.len();
        header.write_local(&sizes, out);
        out.extend_from_slice(&file.bytes);
        let written = out.len().saturating_sub(start) as u64;
        header.write_central(&sizes, self.offset()?, &mut self.directory);
        self.end_entry(name, &file.sha256, written)
    }

    /// Begins an entry whose content comes in pieces; `size` is above [`MAX_PACKED_BYTES`].
    ///
    /// # Errors
    ///
    /// As [`Packer::add`], with the sizes the other way round.
    pub fn stream(
        &mut self,
        name: &str,
        size: u64,
        out: &mut Vec<u8>,
    ) -> Result<Streamed<'_>, Error> {
        if size <= MAX_PACKED_BYTES {
            return Err(self.fault(name, "a content of this size is packed"));
        }
        self.admit(name, size)?;
        self.open = true;
        Ok(Streamed::begin(self, name, size, out))
    }

    /// Appends the central directory; gives the zip's hash.
    ///
    /// # Errors
    ///
    /// [`Error::ZipTooLarge`] past [`MAX_ZIP_BYTES`], [`Error::Writing`] when a streamed content
    /// was not ended.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<H1, Error> {
        if self.open {
            let name = self.last.as_deref().unwrap_or_default();
            return Err(self.fault(name, "its content is not whole"));
        }
        let start = out.len();
        out.extend_from_slice(&self.directory);
        let size = self.directory.len() as u64;
        records::write_end(self.entries, size, self.at, out);
        let written = out.len().saturating_sub(start) as u64;
        if self.at.saturating_add(written) > MAX_ZIP_BYTES {
            return Err(too_large(self.at.saturating_add(written)));
        }
        Ok(self.summary.finish())
    }

    /// Judges what is to be known before an entry is begun.
    fn admit(&mut self, name: &str, size: u64) -> Result<(), Error> {
        if self.open {
            return Err(self.fault(name, "the content before it is not whole"));
        }
        if self.last.as_deref().is_some_and(|last| last >= name) {
            return Err(self.fault(name, "it stands behind the name before it"));
        }
        if self.entries >= MAX_ENTRIES {
            return Err(Error::TooManyEntries { limit: MAX_ENTRIES });
        }
        self.names = self.names.saturating_add(name.len());
        let whole = self.prefix.len().saturating_add(name.len());
        if self.names > MAX_NAMES_BYTES || u16::try_from(whole).is_err() {
            return Err(Error::NamesTooLong { limit: MAX_NAMES_BYTES });
        }
        self.content = self.content.saturating_add(size);
        if self.content > MAX_CONTENT_BYTES {
            return Err(Error::ContentTooLarge { limit: MAX_CONTENT_BYTES });
        }
        self.last = Some(name.to_owned());
        Ok(())
    }

    fn end_entry(&mut self, name: &str, sha256: &[u8; 32], written: u64) -> Result<(), Error> {
        self.at = self.at.saturating_add(written);
        self.entries += 1;
        self.summary.add(sha256, [self.prefix.as_bytes(), name.as_bytes()]);
        self.open = false;
        if self.at > MAX_ZIP_BYTES { Err(too_large(self.at)) } else { Ok(()) }
    }

    /// Where the entry begins that is being written.
    fn offset(&self) -> Result<u32, Error> {
        u32::try_from(self.at).map_err(|_past_4_gib| too_large(self.at))
    }

    fn fault(&self, name: &str, what: &'static str) -> Error {
        let name = EntryName::new(format!("{}{name}", self.prefix).as_bytes());
        Error::Writing { name, what }
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { prefix, entries, at, .. } = self;
        f.debug_struct("Packer")
            .field("prefix", prefix)
            .field("entries", entries)
            .field("at", at)
            .finish_non_exhaustive()
    }
}

fn too_large(size: u64) -> Error {
    Error::ZipTooLarge { size, limit: MAX_ZIP_BYTES }
}

#[cfg(test)]
mod tests;
