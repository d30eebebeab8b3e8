//! A whole tree in memory.

use std::collections::{BTreeMap, HashMap};

use tlog::{Frontier, TreeHead, record_hash};

/// Entries of a full tile.
const FULL: usize = 256;

/// All records of a log, and the entries of all its tiles.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    records: Vec<String>,
    /// By escaped `path@version`.
    numbers: HashMap<String, u64>,
    /// The roots of the complete subtrees of 256 to the power of the place.
    levels: Vec<Vec<[u8; 32]>>,
    frontier: Frontier,
    /// Roots of all sizes that were asked for.
    roots: BTreeMap<u64, [u8; 32]>,
}

impl Tree {
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends a record; the first one of a name is the one that look-ups find.
    pub(super) fn append(&mut self, name: &str, text: String) {
        let id = self.size();
        let leaf = record_hash(text.as_bytes());
        self.records.push(text);
        self.numbers.entry(name.to_owned()).or_insert(id);
        self.frontier.append(leaf);
        let mut entry = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(entries) = self.levels.get_mut(level) else { return };
            entries.push(entry);
            if !entries.len().is_multiple_of(FULL) {
                return;
            }
            let mut subtree = Frontier::new();
            entries.iter().skip(entries.len() - FULL).for_each(|entry| subtree.append(*entry));
            entry = subtree.root();
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }

    pub(super) fn record(&self, id: u64) -> Option<&str> {
        self.records.get(usize::try_from(id).ok()?).map(String::as_str)
    }

    /// All records with their look-up names, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.numbers.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// The head of the first `size` records.
    pub(super) fn head(&mut self, size: u64) -> TreeHead {
        if size == self.size() {
            return self.frontier.head();
        }
        let leaves = self.levels.first().map(Vec::as_slice).unwrap_or_default();
        let root = *self.roots.entry(size).or_insert_with(|| {
            let mut frontier = Frontier::new();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            leaves.iter().take(size).for_each(|leaf| frontier.append(*leaf));
            frontier.root()
        });
        TreeHead { size, root }
    }

    /// The entries `first..first + width` of a level.
    pub(super) fn entries(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>> {
        let first = usize::try_from(index).ok()?.checked_mul(FULL)?;
        let entries = self.levels.get(usize::from(level))?.get(first..)?;
        Some(entries.get(..usize::from(width))?.concat())
    }
}
