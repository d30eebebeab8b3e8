//! The content of one entry: inflated, measured and hashed.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use sha2::{Digest, Sha256};

/// How much is inflated at a time, in bytes. Small enough to be hashed from the core's cache,
/// larger ones were not faster.
const OUTPUT_BYTES: usize = 32 << 10;

/// Takes the contents of a zip's entries, one after the other, with the same buffers.
pub(crate) struct Body {
    inflater: Decompress,
    output: Vec<u8>,
    tally: Tally,
}

/// What is kept of a content besides its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    Bytes,
}

/// Why a content is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The compressed data are damaged.
    Corrupt,
    /// There is more content than allowed.
    TooLong,
}

/// A whole content.
pub(crate) struct Content {
    pub(crate) sha256: [u8; 32],
    pub(crate) crc: u32,
    pub(crate) size: u64,
    /// The bytes, when they were to be kept.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// How far the inflater came with its input.
pub(crate) struct Progress {
    /// Bytes of the input that belong to the compressed data.
    pub(crate) consumed: usize,
    /// Whether the compressed data have ended.
    pub(crate) ended: bool,
}

struct Tally {
    sha256: Sha256,
    crc: Crc,
    size: u64,
    limit: u64,
    kept: Option<Vec<u8>>,
}

impl Body {
    pub(crate) fn new() -> Self {
        Self {
            inflater: Decompress::new(false),
            output: vec![0; OUTPUT_BYTES],
            tally: Tally { sha256: Sha256::new(), crc: Crc::new(), size: 0, limit: 0, kept: None },
        }
    }

    /// Begins a content of at most `limit` bytes.
    pub(crate) fn begin(&mut self, limit: u64, keep: Keep) {
        self.inflater.reset(false);
        self.tally.limit = limit;
        self.tally.kept = (keep == Keep::Bytes).then(Vec::new);
    }

    /// Takes content that is not compressed.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.tally.take(bytes)
    }

    /// Takes compressed content, and of `input` no more than belongs to it.
    pub(crate) fn inflate(&mut self, input: &[u8]) -> Result<Progress, Fault> {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let (total_in, total_out) = (self.inflater.total_in(), self.inflater.total_out());
            // Finish, though more input may follow: a content that ends within one call then
            // costs no copy of its history, and one that does not goes on all the same.
            let step = self.inflater.decompress(rest, &mut self.output, FlushDecompress::Finish);
            let Ok(status) = step else { return Err(Fault::Corrupt) };
            let taken = distance(total_in, self.inflater.total_in());
            let made = distance(total_out, self.inflater.total_out());
            consumed += taken;
            self.tally.take(self.output.get(..made).unwrap_or_default())?;
            if status == Status::StreamEnd {
                return Ok(Progress { consumed, ended: true });
            }
            if made < self.output.len() {
                // Room was left, so it is input that lacks; if there was some, it cannot go on.
                let stuck = consumed < input.len();
                return if stuck {
                    Err(Fault::Corrupt)
                } else {
                    Ok(Progress { consumed, ended: false })
                };
            }
        }
    }

    /// Ends the content.
    pub(crate) fn end(&mut self) -> Content {
        let tally = &mut self.tally;
        let content = Content {
            sha256: tally.sha256.finalize_reset().into(),
            crc: tally.crc.sum(),
            size: tally.size,
            bytes: tally.kept.take(),
        };
        tally.crc.reset();
        tally.size = 0;
        content
    }
}

impl Tally {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.limit {
            return Err(Fault::TooLong);
        }
        self.sha256.update(bytes);
        self.crc.update(bytes);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(())
    }
}

/// A step of the inflater within one buffer, so it fits.
fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}
