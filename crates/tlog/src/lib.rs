//! The checksum database without I/O: signed notes, tree heads, tiles, proofs and records.
//!
//! A checksum database is a log of records, one for each version of each module, in an append-only
//! tree of hashes whose head is signed. Whoever knows the database's public key can check that a
//! record is in the tree, and that the tree only ever grew, with a few tiles of the tree that anybody
//! may hand out. This crate parses, plans and verifies; it fetches nothing, keeps nothing, knows no
//! clock and panics on no input. Source: go.dev/design/25530-sumdb, RFC 6962, C2SP signed-note.
//!
//! What is checked is told by types that only the check makes: a [`SignedHead`] was signed by the
//! key, an [`AuthenticTile`] is part of its head's tree, a [`Proven`] record is in that tree. All
//! else (a [`Note`], a [`Lookup`], a [`Bundle`]) is well-formed, no more. Parsing is equal to the
//! `go` command's or stricter, and bounded.
//!
//! ```
//! use tlog::{Bundle, Frontier, Lookup, Note, Plan, Question, Record, SignedHead, SigningKey, tile_of};
//!
//! // A database of one record,
//! let key = SigningKey::from_seed("corp.example".parse()?, [7; 32]);
//! let module = gomod::ModVer::new("a.b/c".parse()?, "v1.0.0".parse()?)?;
//! let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
//! let record = Record::new(&module, h1, h1)?;
//! let mut tree = Frontier::new();
//! tree.append(record.hash());
//! let text = tree.head().text();
//! let signed = Note { signatures: vec![key.sign(&text)], text }.message();
//! let answer = format!("0\n{}\n{signed}", record.text());
//!
//! // and a client that knows its key.
//! let lookup = Lookup::parse(&module, answer.as_bytes())?;
//! let head = SignedHead::open(&key.verifier(), lookup.message.as_bytes())?;
//! let plan = Plan::new(head.head(), &[Question::Leaf(lookup.id)])?;
//! let tiles: Vec<_> = plan.tiles().iter().filter_map(|&tile| tile_of(tile, &[record.hash()])).collect();
//! let reading = plan.verify(&tiles)?;
//! let proven = reading.prove(lookup.id, lookup.record)?;
//! assert_eq!(proven.record().zip_h1(), h1);
//!
//! // What was proven once can be shown to others, offline.
//! let bundle = Bundle::new(&proven, &reading.inclusion(0)?, &head)?.to_string();
//! assert_eq!(Bundle::parse(bundle.as_bytes())?.verify(&key.verifier())?, proven);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The reader trusts no tile and no order: the root is computed from the root tiles alone, every
//! other tile is compared with its entry in a tile that was verified before, and a record counts as
//! proven only when a proof of RFC 6962, verified by code that knows no tiles, holds as well. Readers
//! that skipped the second step for some tiles accepted forged ones (CVE-2026-56865).

mod bundle;
mod checkpoint;
mod hash;
mod head;
mod key;
mod lookup;
mod name;
mod note;
mod proof;
mod read;
mod record;
mod tile;
mod tlog_proof;
mod tree;

pub use crate::bundle::{Bundle, MAX_BUNDLE_BYTES};
pub use crate::checkpoint::{
    Checkpoint, SignedCheckpoint, Signer, pack_entries, parse_tiles_path, sign_checkpoint,
    sign_head, split_entries, tiles_path,
};
pub use crate::hash::{HASH_BYTES, node_hash, record_hash};
pub use crate::head::{SignedHead, TreeHead};
pub use crate::key::{SigningKey, VerifierKey};
pub use crate::lookup::Lookup;
pub use crate::name::{LogName, MAX_NAME_BYTES};
pub use crate::note::{MAX_MESSAGE_BYTES, MAX_SIGNATURES, Note, Signature};
pub use crate::proof::{Consistency, Inclusion, MAX_PROOF_HASHES, Proven};
pub use crate::read::{AuthenticTile, MAX_QUESTIONS, Plan, Question, Reading};
pub use crate::record::{MAX_RECORD_BYTES, Record, split_data_tile};
pub use crate::tile::{Tile, TileLevel, new_tiles, tile_of};
pub use crate::tlog_proof::{MAX_TLOG_PROOF_BYTES, TlogProof};
pub use crate::tree::Frontier;

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
    /// The note is signed by the key's name and id, but the signature is not the key's.
    #[error("signature of {name} does not verify")]
    Signature {
        /// The name of the key.
        name: LogName,
    },
    /// The note has no signature of the key.
    #[error("note is not signed by {name}")]
    Unsigned {
        /// The name of the key.
        name: LogName,
    },
    /// A tile is not the one of the tree; for a root tile, one of them is not.
    #[error("{tile} is inconsistent with the tree of size {size}")]
    InconsistentTile {
        /// The tile.
        tile: Tile,
        /// The size of the tree.
        size: u64,
    },
    /// A tree does not begin with the older one: a fork, when both heads are signed.
    #[error("tree of size {newer} does not contain the tree of size {older}")]
    InconsistentHeads {
        /// The size of the older tree.
        older: u64,
        /// The size of the newer tree.
        newer: u64,
    },
    /// The record or leaf is not the one that the tree has at this place.
    #[error("record {id} is not in the tree of size {size}")]
    NotInTree {
        /// The number of the record.
        id: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The question is none that tiles of hashes answer, or there are more than [`MAX_QUESTIONS`].
    #[error("malformed question to a tree")]
    Question,
    /// The tiles that were planned do not answer this, or are not those that were planned.
    #[error("not planned to be read")]
    NotPlanned,
    /// The text is no bundle, or no proof that carries its record.
    #[error("malformed bundle")]
    Bundle,
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
