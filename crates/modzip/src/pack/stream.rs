//! Contents too large to be held: hashed and deflated on their way through.

use flate2::{Compress, Crc, FlushCompress, Status};
use sha2::{Digest, Sha256};

use crate::{
    Error, Packer,
    directory::DEFLATED,
    pack::{
        LEVEL,
        records::{Header, Sizes},
        too_large,
    },
};

/// How much is compressed at a time, in bytes. Pieces are put together to this length first:
/// zlib's output may depend on how its input is cut, and must depend on the content alone.
const BLOCK_BYTES: usize = 128 << 10;

/// A content that is being written piece by piece; must be ended before the next entry.
///
/// Memory: 0.5 MiB, whatever the size.
pub struct Streamed<'a> {
    packer: &'a mut Packer,
    name: String,
    declared: u64,
    received: u64,
    /// Written for this entry, headers included.
    written: u64,
    compress: Compress,
    block: Vec<u8>,
    sha256: Sha256,
    crc: Crc,
}

impl<'a> Streamed<'a> {
    pub(super) fn begin(
        packer: &'a mut Packer,
        name: &str,
        declared: u64,
        out: &mut Vec<u8>,
    ) -> Self {
        let start = out.len();
        header(&packer.prefix, name).write_local(&Sizes::default(), out);
        Self {
            written: out.len().saturating_sub(start) as u64,
            packer,
            name: name.to_owned(),
            declared,
            received: 0,
            compress: Compress::new(LEVEL, false),
            block: Vec::with_capacity(BLOCK_BYTES),
            sha256: Sha256::new(),
            crc: Crc::new(),
        }
    }

    /// Takes the next piece, of any length, and appends to `out` what came of it so far.
    ///
    /// # Errors
    ///
    /// [`Error::SizeMismatch`] when there is more content than was declared,
    /// [`Error::ZipTooLarge`] when the zip has become too large.
    pub fn feed(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.received = self.received.saturating_add(piece.len() as u64);
        if self.received > self.declared {
            return Err(self.mismatch());
        }
        self.sha256.update(piece);
        self.crc.update(piece);
        while !piece.is_empty() {
            let room = BLOCK_BYTES.saturating_sub(self.block.len()).min(piece.len());
            let Some((taken, rest)) = piece.split_at_checked(room) else { break };
            self.block.extend_from_slice(taken);
            piece = rest;
            if self.block.len() >= BLOCK_BYTES {
                self.deflate(FlushCompress::None, out)?;
            }
        }
        Ok(())
    }

    /// Ends the content.
    ///
    /// # Errors
    ///
    /// [`Error::SizeMismatch`] when it is shorter than declared, [`Error::ZipTooLarge`] as
    /// [`Streamed::feed`].
    pub fn end(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.received != self.declared {
            return Err(self.mismatch());
        }
        self.deflate(FlushCompress::Finish, out)?;
        let Self { packer, name, declared, mut written, compress, sha256, crc, .. } = self;
        let sizes = Sizes::of(crc.sum(), compress.total_out(), declared);
        let sizes = sizes.ok_or_else(|| too_large(compress.total_out()))?;
        let start = out.len();
        sizes.write_descriptor(out);
        written = written.saturating_add(out.len().saturating_sub(start) as u64);
        let offset = packer.offset()?;
        header(&packer.prefix, &name).write_central(&sizes, offset, &mut packer.directory);
        packer.end_entry(&name, &sha256.finalize().into(), written)
    }

    /// Compresses the block; with `Finish`, to the end.
    fn deflate(&mut self, flush: FlushCompress, out: &mut Vec<u8>) -> Result<(), Error> {
        let (mut from, start) = (0, out.len());
        loop {
            out.reserve(BLOCK_BYTES);
            let before = self.compress.total_in();
            let input = self.block.get(from..).unwrap_or_default();
            let status = self.compress.compress_vec(input, out, flush);
            let taken = self.compress.total_in().saturating_sub(before);
            from = from.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX));
            let ended = match flush {
                FlushCompress::Finish => matches!(status, Ok(Status::StreamEnd)),
                _ => from >= self.block.len(),
            };
            if ended {
                break;
            }
            // With room for output the compressor always gets on.
            if !matches!(status, Ok(Status::Ok)) {
                return Err(self.packer.fault(&self.name, "the compressor stopped"));
            }
        }
        self.block.clear();
        self.written = self.written.saturating_add(out.len().saturating_sub(start) as u64);
        let size = self.packer.at.saturating_add(self.written);
        if size > crate::MAX_ZIP_BYTES { Err(too_large(size)) } else { Ok(()) }
    }

    fn mismatch(&self) -> Error {
        let name = crate::EntryName::new(format!("{}{}", self.packer.prefix, self.name).as_bytes());
        Error::SizeMismatch { name, declared: self.declared }
    }
}

impl std::fmt::Debug for Streamed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed").field("name", &self.name).finish_non_exhaustive()
    }
}

fn header<'a>(prefix: &'a str, name: &'a str) -> Header<'a> {
    Header { name: [prefix, name], method: DEFLATED, streamed: true }
}
