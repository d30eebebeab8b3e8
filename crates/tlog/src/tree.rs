//! Growing a tree.

use crate::TreeHead;
use crate::hash::{HASH_BYTES, empty_root, node_hash};

/// Holds the right edge of a growing tree: at most 64 roots of complete subtrees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// The roots of the complete subtrees that make up the tree, the largest first.
    roots: Vec<[u8; HASH_BYTES]>,
}

impl Frontier {
    /// Begins an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf: one to 63 hashes, two on average.
    pub fn append(&mut self, leaf: [u8; HASH_BYTES]) {
        let mut node = leaf;
        // As in binary counting: each one-bit at the end carries.
        for _carry in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// Returns how many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root; the hash of nothing when the tree is empty.
    #[must_use]
    pub fn root(&self) -> [u8; HASH_BYTES] {
        let roots = self.roots.iter().rev().copied();
        roots.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Returns the head of the tree, to be signed.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_hash;

    /// Leaves and roots that implementations of RFC 6962 are tested with: those of one to eight
    /// leaves. Source: google/certificate-transparency, merkletree tests.
    const LEAVES: [&[u8]; 8] =
        [b"", b"\0", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let mut frontier = Frontier::new();
        for (leaf, root) in LEAVES.into_iter().zip(ROOTS) {
            frontier.append(record_hash(leaf));
            let hex = frontier.root().map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(hex, root, "{}", frontier.size());
        }
    }

    #[test]
    fn the_edge_has_a_root_for_each_bit_of_the_size() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.head(), TreeHead { size: 0, root: empty_root() });
        for size in 1..=1025_u64 {
            frontier.append([0; 32]);
            assert_eq!(frontier.size(), size);
            assert_eq!(frontier.roots.len(), size.count_ones() as usize);
        }
    }
}
