//! Hashes of the tree: RFC 6962 with SHA-256.

use sha2::{Digest, Sha256};

/// The bytes of one hash.
pub const HASH_BYTES: usize = 32;

/// A hash of the tree; spelled out in the public face.
pub(crate) type Hash = [u8; HASH_BYTES];

/// Returns the hash of a leaf: of a zero byte and the text of a record.
///
/// Source: RFC 6962, section 2.1; golang/mod `tlog.RecordHash`.
#[must_use]
pub fn record_hash(text: &[u8]) -> [u8; HASH_BYTES] {
    Sha256::new().chain_update([0]).chain_update(text).finalize().into()
}

/// Returns the hash of an inner node: of a one byte and the hashes of its two children.
///
/// Source: RFC 6962, section 2.1; golang/mod `tlog.NodeHash`.
#[must_use]
pub fn node_hash(left: &[u8; HASH_BYTES], right: &[u8; HASH_BYTES]) -> [u8; HASH_BYTES] {
    // One buffer, one call: this is where verifying spends its time.
    let mut bytes = [1; 1 + 2 * HASH_BYTES];
    let (_, hashes) = bytes.split_at_mut(1);
    let (first, second) = hashes.split_at_mut(HASH_BYTES);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Returns the root of a tree without records: the hash of nothing. Source: RFC 6962, section 2.1.
pub(crate) fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Returns the root of a complete subtree: of as many entries as a power of two says.
pub(crate) fn complete_root(entries: &[Hash]) -> Hash {
    match entries {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let (left, right) = entries.split_at(entries.len() / 2);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_nodes_and_nothing_have_different_prefixes() {
        let two = [[1; 32], [2; 32]];
        assert_ne!(record_hash(&two.concat()), node_hash(&two[0], &two[1]));
        assert_ne!(record_hash(b""), empty_root());
        assert_ne!(node_hash(&two[0], &two[1]), node_hash(&two[1], &two[0]));
    }

    #[test]
    fn a_complete_root_pairs_neighbours() {
        let [a, b, c, d] = [[1; 32], [2; 32], [3; 32], [4; 32]];
        assert_eq!(complete_root(&[a]), a);
        let root = node_hash(&node_hash(&a, &b), &node_hash(&c, &d));
        assert_eq!(complete_root(&[a, b, c, d]), root);
    }
}
