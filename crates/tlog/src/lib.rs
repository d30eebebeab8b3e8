//! The checksum database without I/O: names, keys, tile paths, notes, tree heads, look-ups.
//!
//! In this step the structure of the texts is checked, not yet their signatures and proofs: what
//! parses here is well-formed and about the module that was asked for, no more. Parsing is equal
//! to the `go` command's or stricter, bounded, and panics on no input.

mod head;
mod key;
mod lookup;
mod name;
mod note;
mod tile;

pub use crate::head::TreeHead;
pub use crate::key::VerifierKey;
pub use crate::lookup::Lookup;
pub use crate::name::{LogName, MAX_NAME_BYTES};
pub use crate::note::{MAX_MESSAGE_BYTES, MAX_SIGNATURES, Note, Signature};
pub use crate::tile::{Tile, TileLevel};

use gomod::ModVer;

/// Says which text of a checksum database is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no `host[/path]` that can name a log.
    #[error("malformed checksum database name")]
    Name,
    /// The text is no `name+hash+key` of an Ed25519 key, or the hash is not that of name and key.
    #[error("malformed verifier key")]
    Key,
    /// The text is no tile path, or not the canonical one.
    #[error("malformed tile path")]
    Tile,
    /// The message is no signed note, or larger than [`MAX_MESSAGE_BYTES`], or has more than
    /// [`MAX_SIGNATURES`] signatures.
    #[error("malformed note")]
    Note,
    /// The text is no tree head of a Go checksum database.
    #[error("malformed tree head")]
    Head,
    /// The message is no look-up answer, or larger than [`MAX_MESSAGE_BYTES`].
    #[error("malformed record")]
    Record,
    /// The record has not exactly one zip hash and one go.mod hash of the module asked for.
    ///
    /// A security event: an old client would take it for "no objection" (CVE-2026-42501).
    #[error("record does not belong to {module}")]
    WrongModule {
        /// The module that was asked for.
        module: ModVer,
    },
    /// The tree head is too old to cover the record.
    #[error("tree of size {size} does not hold record {id}")]
    NotCovered {
        /// The number of the record.
        id: u64,
        /// The size of the tree.
        size: u64,
    },
}

/// Reads a decimal number as Go writes it: digits without sign or leading zero, 63 bits.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok()?;
    (canonical && digits && number <= i64::MAX.cast_unsigned()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_of_63_bits_are_numbers() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("35225469"), Some(35_225_469));
        assert_eq!(decimal("9223372036854775807"), Some(i64::MAX.cast_unsigned()));
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "9223372036854775808"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
