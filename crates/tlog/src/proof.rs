//! Proofs of RFC 6962, checked without any tile.

use crate::hash::{HASH_BYTES, Hash, empty_root, node_hash};
use crate::{Error, Record, TreeHead};

/// Greatest number of hashes in a proof: a tree of 2^63 - 1 leaves is 63 levels high, and a proof of
/// consistency has one hash more than its way has levels.
pub const MAX_PROOF_HASHES: usize = 64;

/// Proves that a tree holds a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The siblings on the way from the leaf to the root.
    pub hashes: Vec<[u8; HASH_BYTES]>,
}

impl Inclusion {
    /// Checks that `leaf` is leaf number `id` of the tree.
    ///
    /// Source: RFC 9162, section 2.1.3.2.
    ///
    /// # Errors
    ///
    /// [`Error::NotInTree`] when it is not, or the proof does not show it.
    pub fn verify(&self, leaf: &[u8; HASH_BYTES], id: u64, head: &TreeHead) -> Result<(), Error> {
        let root = if id < head.size { self.root(leaf, id, head.size - 1) } else { None };
        if root == Some(head.root) { Ok(()) } else { Err(Error::NotInTree { id, size: head.size }) }
    }

    /// The root that leaf and proof lead to, when the proof has the length of its way.
    fn root(&self, leaf: &Hash, id: u64, last: u64) -> Option<Hash> {
        let mut way = Way { node: id, last };
        let mut root = *leaf;
        for hash in &self.hashes {
            root = match way.step()? {
                Side::Left => node_hash(hash, &root),
                Side::Right => node_hash(&root, hash),
            };
        }
        way.is_at_root().then_some(root)
    }
}

/// Proves that a tree begins with all leaves of an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The nodes that both roots are made of.
    pub hashes: Vec<[u8; HASH_BYTES]>,
}

impl Consistency {
    /// Checks that the newer tree begins with the older one.
    ///
    /// Trees of one size must be equal; every tree begins with the empty one, whose root must be the
    /// hash of nothing; both want an empty proof. Source: RFC 9162, section 2.1.4.2.
    ///
    /// # Errors
    ///
    /// [`Error::InconsistentHeads`] when it does not, or the proof does not show it.
    pub fn verify(&self, older: &TreeHead, newer: &TreeHead) -> Result<(), Error> {
        let is_shown = match older.size {
            size if size == newer.size => self.hashes.is_empty() && older.root == newer.root,
            0 => self.hashes.is_empty() && older.root == empty_root(),
            size if size > newer.size => false,
            _ => self.roots(older, newer.size) == Some((older.root, newer.root)),
        };
        if is_shown {
            Ok(())
        } else {
            Err(Error::InconsistentHeads { older: older.size, newer: newer.size })
        }
    }

    /// The two roots that the proof leads to, when it has the length of its way.
    ///
    /// The older size is neither 0 nor the newer one.
    fn roots(&self, older: &TreeHead, newer: u64) -> Option<(Hash, Hash)> {
        let mut hashes = self.hashes.iter();
        // A complete older tree is a node of the newer one: its root need not be told.
        let first = if older.size.is_power_of_two() { &older.root } else { hashes.next()? };
        let mut way = Way { node: older.size - 1, last: newer - 1 };
        way.up(way.node.trailing_ones());
        let (mut old, mut new) = (*first, *first);
        for hash in hashes {
            match way.step()? {
                Side::Left => {
                    old = node_hash(hash, &old);
                    new = node_hash(hash, &new);
                }
                Side::Right => new = node_hash(&new, hash),
            }
        }
        way.is_at_root().then_some((old, new))
    }
}

/// The way from a node up to the root: its number and that of the last node, level by level.
#[derive(Debug, Clone, Copy)]
struct Way {
    node: u64,
    last: u64,
}

/// On which side of the way a sibling stands.
enum Side {
    Left,
    Right,
}

impl Way {
    /// Goes up past the next sibling; `None` at the root.
    fn step(&mut self) -> Option<Side> {
        if self.is_at_root() {
            return None;
        }
        if self.node & 1 == 0 && self.node < self.last {
            self.up(1);
            return Some(Side::Right);
        }
        // The last node of a level without a sibling is the same hash on the next level.
        self.up(self.node.trailing_zeros().min(63) + 1);
        Some(Side::Left)
    }

    fn up(&mut self, levels: u32) {
        self.node = self.node.checked_shr(levels).unwrap_or(0);
        self.last = self.last.checked_shr(levels).unwrap_or(0);
    }

    fn is_at_root(&self) -> bool {
        self.last == 0
    }
}

/// Returns the largest power of two below `count`, at which RFC 6962 splits as many leaves.
pub(crate) fn largest_power_below(count: u64) -> u64 {
    1 << count.saturating_sub(1).checked_ilog2().unwrap_or(0)
}

/// Holds a record that is part of a tree: made by checking a proof of RFC 6962, never by hand.
///
/// Made by [`Reading::prove`](crate::Reading::prove), whose caller knows that the head is signed, and
/// by [`Bundle::verify`](crate::Bundle::verify), which checks the signature too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    record: Record,
    id: u64,
    head: TreeHead,
}

impl Proven {
    /// Checks the proof.
    pub(crate) fn new(
        record: Record,
        id: u64,
        head: &TreeHead,
        proof: &Inclusion,
    ) -> Result<Self, Error> {
        proof.verify(&record.hash(), id, head)?;
        Ok(Self { record, id, head: head.clone() })
    }

    /// Returns the record.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns the number of the record in the tree.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the head of the tree.
    #[must_use]
    pub fn head(&self) -> &TreeHead {
        &self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Hash = [1; 32];
    const B: Hash = [2; 32];

    fn head(size: u64, root: Hash) -> TreeHead {
        TreeHead { size, root }
    }

    #[test]
    fn the_only_leaf_is_the_root() {
        let proof = Inclusion { hashes: Vec::new() };
        assert_eq!(proof.verify(&A, 0, &head(1, A)), Ok(()));
        let refused = Err(Error::NotInTree { id: 0, size: 1 });
        assert_eq!(proof.verify(&B, 0, &head(1, A)), refused);
        assert_eq!(Inclusion { hashes: vec![A] }.verify(&A, 0, &head(1, A)), refused);
        assert!(proof.verify(&A, 0, &head(0, A)).is_err());
    }

    #[test]
    fn siblings_stand_on_their_side() {
        let root = head(2, node_hash(&A, &B));
        let proof = |hash| Inclusion { hashes: vec![hash] };
        assert_eq!(proof(B).verify(&A, 0, &root), Ok(()));
        assert_eq!(proof(A).verify(&B, 1, &root), Ok(()));
        assert!(proof(B).verify(&A, 1, &root).is_err());
        assert!(proof(A).verify(&B, 0, &root).is_err());
    }

    #[test]
    fn a_proof_ends_at_the_root() {
        // The last hash would lead on, to a root that does not belong to the size.
        let above = Inclusion { hashes: vec![A] };
        assert!(above.verify(&B, 0, &head(1, node_hash(&A, &B))).is_err());
        let above = Inclusion { hashes: vec![A, A] };
        let root = node_hash(&A, &node_hash(&A, &B));
        assert!(above.verify(&B, 1, &head(2, root)).is_err());
        // And a proof that ends below it leads nowhere.
        let below = Inclusion { hashes: vec![A] };
        assert!(below.verify(&B, 1, &head(3, node_hash(&A, &B))).is_err());
    }

    #[test]
    fn trees_of_one_size_are_equal_or_forked() {
        let empty = Consistency { hashes: Vec::new() };
        assert_eq!(empty.verify(&head(5, A), &head(5, A)), Ok(()));
        let fork = Err(Error::InconsistentHeads { older: 5, newer: 5 });
        assert_eq!(empty.verify(&head(5, A), &head(5, B)), fork);
        assert_eq!(Consistency { hashes: vec![A] }.verify(&head(5, A), &head(5, A)), fork);
        assert_eq!(empty.verify(&head(0, empty_root()), &head(5, A)), Ok(()));
        assert!(empty.verify(&head(0, [0; 32]), &head(5, A)).is_err());
        assert!(empty.verify(&head(6, A), &head(5, A)).is_err());
        // No proof at all proves nothing.
        assert!(empty.verify(&head(4, A), &head(5, A)).is_err());
        assert!(empty.verify(&head(3, A), &head(5, A)).is_err());
    }

    #[test]
    fn splits_are_at_the_largest_power_below() {
        let splits = [2, 3, 4, 5, 8, 9, 1 << 62, i64::MAX.cast_unsigned()].map(largest_power_below);
        assert_eq!(splits, [1, 2, 2, 4, 4, 8, 1 << 61, 1 << 62]);
    }

    proptest! {
        #[test]
        fn no_proof_panics(hashes in prop::collection::vec(any::<Hash>(), 0..70), a: u64, b: u64, zeros in 0_u32..64) {
            let (a, b) = (head(a >> zeros, A), head(b >> zeros, B));
            let (inclusion, consistency) = (Inclusion { hashes: hashes.clone() }, Consistency { hashes });
            prop_assert!(inclusion.verify(&A, a.size, &b).is_err());
            prop_assert!(consistency.verify(&a, &b).is_err());
        }
    }
}
