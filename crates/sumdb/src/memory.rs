//! Verified tiles and proven records in memory, bounded by their bytes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gomod::ModVer;
use quick_cache::{Weighter, sync::Cache};
use tlog::{HASH_BYTES, Proven, Tile, TileLevel, TreeHead};
use units::Timestamp;

/// Bytes of tiles kept for one database: about 4,000 full ones.
const MAX_TILE_BYTES: u64 = 32 << 20;
/// Bytes of records kept for one database: about 25,000.
const MAX_RECORD_BYTES: u64 = 16 << 20;
/// What an entry weighs beside its bytes.
const ENTRY_BYTES: u64 = 256;
/// A guess for the tables' first size.
const EXPECTED_ENTRIES: usize = 1024;
/// Heads that were seen to be consistent with ours.
const MAX_HEADS: usize = 4096;
/// Versions that are remembered as not recorded.
const MAX_ABSENT: usize = 1024;

/// A record that was proven, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) proven: Proven,
    pub(crate) at: Timestamp,
}

/// How long a "not found" holds.
const ABSENT_LIFE: Duration = Duration::from_secs(10);

/// A "not found", as it came, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) status: u16,
    pub(crate) text: Option<String>,
    pub(crate) since: Timestamp,
}

/// What is known of one database.
#[derive(Debug)]
pub(crate) struct Memory {
    tiles: Cache<(u8, u64), Bytes, Weight>,
    records: Cache<ModVer, Arc<Found>, Weight>,
    heads: Cache<(u64, [u8; HASH_BYTES]), ()>,
    absent: Cache<ModVer, Absent>,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<(u8, u64), Bytes> for Weight {
    fn weight(&self, _key: &(u8, u64), tile: &Bytes) -> u64 {
        ENTRY_BYTES + tile.len() as u64
    }
}

impl Weighter<ModVer, Arc<Found>> for Weight {
    fn weight(&self, _key: &ModVer, found: &Arc<Found>) -> u64 {
        // The path stands in the key and in the record again.
        ENTRY_BYTES + 2 * found.proven.record().text().len() as u64
    }
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            tiles: Cache::with_weighter(EXPECTED_ENTRIES, MAX_TILE_BYTES, Weight),
            records: Cache::with_weighter(EXPECTED_ENTRIES, MAX_RECORD_BYTES, Weight),
            heads: Cache::new(MAX_HEADS),
            absent: Cache::new(MAX_ABSENT),
        }
    }

    /// A tile of hashes, cut to its width, when one at least as wide is here.
    pub(crate) fn tile(&self, tile: &Tile) -> Option<Bytes> {
        let TileLevel::Hashes(level) = tile.level else { return None };
        let len = tile.hash_bytes()?;
        let held = self.tiles.get(&(level, tile.index))?;
        (held.len() >= len).then(|| held.slice(..len))
    }

    /// Keeps a tile that was verified; a wider one that begins with it stays.
    pub(crate) fn keep_tile(&self, tile: &Tile, bytes: &Bytes) {
        let TileLevel::Hashes(level) = tile.level else { return };
        let held = self.tiles.get(&(level, tile.index));
        if !held.is_some_and(|held| held.starts_with(bytes)) {
            self.tiles.insert((level, tile.index), bytes.clone());
        }
    }

    pub(crate) fn record(&self, module: &ModVer) -> Option<Arc<Found>> {
        self.records.get(module)
    }

    pub(crate) fn keep_record(&self, found: &Arc<Found>) {
        let module = found.proven.record().module().clone();
        self.absent.remove(&module);
        self.records.insert(module, Arc::clone(found));
    }

    /// Whether a head was seen to be consistent with ours.
    pub(crate) fn is_consistent(&self, head: &TreeHead) -> bool {
        self.heads.get(&(head.size, head.root)).is_some()
    }

    pub(crate) fn keep_consistent(&self, head: &TreeHead) {
        self.heads.insert((head.size, head.root), ());
    }

    pub(crate) fn absent(&self, module: &ModVer, now: Timestamp) -> Option<Absent> {
        // A clock that was put back has no age for it: it is asked for again.
        let fresh = |absent: &Absent| now.since(absent.since).is_some_and(|age| age < ABSENT_LIFE);
        self.absent.get(module).filter(fresh)
    }

    pub(crate) fn keep_absent(&self, module: &ModVer, absent: Absent) {
        self.absent.insert(module.clone(), absent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(level: u8, index: u64, width: u16) -> Tile {
        Tile { level: TileLevel::Hashes(level), index, width }
    }

    fn bytes(width: usize, first: u8) -> Bytes {
        let mut bytes = vec![7; width * 32];
        bytes[0] = first;
        bytes.into()
    }

    #[test]
    fn the_widest_tile_answers_for_narrower_ones() {
        let memory = Memory::new();
        memory.keep_tile(&tile(0, 3, 9), &bytes(9, 1));
        memory.keep_tile(&tile(0, 3, 5), &bytes(5, 1));
        assert_eq!(memory.tile(&tile(0, 3, 9)).unwrap(), bytes(9, 1));
        assert_eq!(memory.tile(&tile(0, 3, 2)).unwrap(), bytes(2, 1));
        for other in [tile(0, 3, 10), tile(1, 3, 2), tile(0, 4, 2)] {
            assert_eq!(memory.tile(&other), None);
        }
        assert_eq!(memory.tile(&Tile { level: TileLevel::Data, index: 3, width: 2 }), None);
    }

    #[test]
    fn what_was_verified_last_counts() {
        let memory = Memory::new();
        memory.keep_tile(&tile(0, 3, 9), &bytes(9, 1));
        memory.keep_tile(&tile(0, 3, 5), &bytes(5, 2));
        assert_eq!(memory.tile(&tile(0, 3, 5)).unwrap(), bytes(5, 2));
        assert_eq!(memory.tile(&tile(0, 3, 9)), None);
    }

    #[test]
    fn memory_is_bounded_by_bytes() {
        let memory = Memory::new();
        for index in 0..8000 {
            memory.keep_tile(&tile(0, index, 256), &bytes(256, 1));
        }
        assert!(memory.tiles.weight() <= MAX_TILE_BYTES);
        assert!(memory.tiles.len() > 1000);
    }

    #[test]
    fn absence_holds_for_ten_seconds_and_not_when_the_clock_is_put_back() {
        let memory = Memory::new();
        let module = ModVer::new("a.b/c".parse().unwrap(), "v1.0.0".parse().unwrap()).unwrap();
        let at = Timestamp::from_unix_secs;
        memory.keep_absent(&module, Absent { status: 404, text: None, since: at(100) });
        for (now, holds) in [(100, true), (109, true), (110, false), (99, false), (0, false)] {
            assert_eq!(memory.absent(&module, at(now)).is_some(), holds, "{now}");
        }
    }
}
