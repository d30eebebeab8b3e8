//! What verified tiles say about their tree.

use crate::hash::{Hash, complete_root, empty_root, node_hash};
use crate::proof::largest_power_below;
use crate::read::{AuthenticTile, Places};
use crate::{Consistency, Error, Inclusion, Proven, Record, TreeHead};

/// Holds tiles that a tree head authenticates, and answers from them.
///
/// Whatever the tiles hold is answered, also when no question asked for it.
#[derive(Debug, Clone)]
pub struct Reading {
    head: TreeHead,
    tiles: Vec<AuthenticTile>,
    places: Places,
}

impl Reading {
    pub(super) fn new(head: TreeHead, tiles: Vec<AuthenticTile>, places: Places) -> Self {
        Self { head, tiles, places }
    }

    /// Returns the head that everything here is authenticated by.
    #[must_use]
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Returns all tiles, in the order of the plan.
    #[must_use]
    pub fn tiles(&self) -> &[AuthenticTile] {
        &self.tiles
    }

    /// Returns the hash of a leaf.
    ///
    /// # Errors
    ///
    /// [`Error::NotPlanned`] when no question of the plan asked for it.
    pub fn leaf(&self, id: u64) -> Result<Hash, Error> {
        self.subtree(0, id).ok_or(Error::NotPlanned)
    }

    /// Returns the root that the tree had at an older size.
    ///
    /// # Errors
    ///
    /// [`Error::NotPlanned`] when no question of the plan asked for it.
    pub fn root(&self, size: u64) -> Result<Hash, Error> {
        match size {
            0 => Ok(empty_root()),
            _ => self.range(0, size).ok_or(Error::NotPlanned),
        }
    }

    /// Makes the proof that the tree holds a leaf. Source: RFC 6962, section 2.1.1.
    ///
    /// # Errors
    ///
    /// [`Error::NotPlanned`] when no question of the plan asked for the leaf.
    pub fn inclusion(&self, id: u64) -> Result<Inclusion, Error> {
        let (mut low, mut high) = (0, self.head.size);
        let mut hashes = Vec::new();
        if id >= high {
            return Err(Error::NotPlanned);
        }
        while high - low > 1 {
            let middle = low + largest_power_below(high - low);
            let sibling;
            if id < middle {
                sibling = self.range(middle, high);
                high = middle;
            } else {
                sibling = self.range(low, middle);
                low = middle;
            }
            hashes.push(sibling.ok_or(Error::NotPlanned)?);
        }
        hashes.reverse();
        Ok(Inclusion { hashes })
    }

    /// Makes the proof that the tree begins with the one of an older size.
    ///
    /// Source: RFC 6962, section 2.1.2.
    ///
    /// # Errors
    ///
    /// [`Error::NotPlanned`] when no question of the plan asked for that size.
    pub fn consistency(&self, older: u64) -> Result<Consistency, Error> {
        let (mut low, mut high) = (0, self.head.size);
        let mut hashes = Vec::new();
        if older > high {
            return Err(Error::NotPlanned);
        }
        while older != high && older != 0 {
            let middle = low + largest_power_below(high - low);
            let sibling;
            if older <= middle {
                sibling = self.range(middle, high);
                high = middle;
            } else {
                sibling = self.range(low, middle);
                low = middle;
            }
            hashes.push(sibling.ok_or(Error::NotPlanned)?);
        }
        // The last part is the older tree's own last subtree; when it is the whole older tree, its
        // root is known to whoever verifies.
        if low > 0 {
            hashes.push(self.range(low, high).ok_or(Error::NotPlanned)?);
        }
        hashes.reverse();
        Ok(Consistency { hashes })
    }

    /// Checks that the tree begins with the one of an older head.
    ///
    /// Twice: the older root is computed from the tiles, and a proof of RFC 6962 is made of them and
    /// verified by code that knows no tiles.
    ///
    /// # Errors
    ///
    /// [`Error::InconsistentHeads`] when it does not: a fork. [`Error::NotPlanned`] when no question
    /// of the plan asked for that size.
    pub fn extends(&self, older: &TreeHead) -> Result<(), Error> {
        if self.root(older.size)? != older.root {
            return Err(Error::InconsistentHeads { older: older.size, newer: self.head.size });
        }
        self.consistency(older.size)?.verify(older, &self.head)
    }

    /// Proves that `record` is the record number `id` of the tree.
    ///
    /// Twice: the hash of the record is compared with the leaf that the tiles hold, and a proof of
    /// RFC 6962 is made of them and verified by code that knows no tiles.
    ///
    /// # Errors
    ///
    /// [`Error::NotInTree`] when it is not, [`Error::NotPlanned`] when no question of the plan asked
    /// for the leaf.
    pub fn prove(&self, id: u64, record: Record) -> Result<Proven, Error> {
        if self.leaf(id)? != record.hash() {
            return Err(Error::NotInTree { id, size: self.head.size });
        }
        Proven::new(record, id, &self.head, &self.inclusion(id)?)
    }

    /// The hash over the leaves from `low` to below `high`, which a split of RFC 6962 made.
    fn range(&self, low: u64, high: u64) -> Option<Hash> {
        let span = high - low;
        if span.is_power_of_two() {
            return self.subtree(span.trailing_zeros(), low >> span.trailing_zeros());
        }
        let middle = low + largest_power_below(span);
        // The left part is complete, so this goes at most one way deep.
        Some(node_hash(&self.range(low, middle)?, &self.range(middle, high)?))
    }

    /// The root of the complete subtree number `index` of those with two to the `height` leaves.
    fn subtree(&self, height: u32, index: u64) -> Option<Hash> {
        let level = u8::try_from(height / 8).ok()?;
        let span = 1_usize << (height % 8);
        let entry = index.checked_mul(span as u64)?;
        let tile = self.tiles.get(*self.places.get(&(level, entry >> 8))?)?;
        let first = usize::from(entry.to_le_bytes()[0]);
        tile.entries().get(first..first + span).map(complete_root)
    }
}
