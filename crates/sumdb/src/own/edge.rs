//! The right edge of the tree: on each level the tile that is not full yet.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use store::OwnFile;
use tlog::{Frontier, HASH_BYTES, Tile, TileLevel, TreeHead, node_hash, pack_entries};

use super::entry::{Entry, texts};
use super::redacted;

type Hash = [u8; HASH_BYTES];

/// Levels of tiles: eight times eight is more than the 63 bits of a size.
const LEVELS: u8 = 8;
/// Entries in a full tile.
pub(super) const FULL: u16 = 256;

/// Holds all that it takes to append to a tree, to compute its root, and to cut its partial tiles.
///
/// At most 8 · 255 hashes and 255 records. Clones share what neither changes.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    size: u64,
    levels: [Arc<Vec<Hash>>; LEVELS as usize],
    records: Arc<Vec<Entry>>,
}

/// A file of the log, to be written.
pub(super) type NewFile = (OwnFile, Bytes);

impl Edge {
    /// The edge of the empty tree.
    pub(super) fn new() -> Self {
        Self { size: 0, levels: Default::default(), records: Arc::default() }
    }

    /// Puts an edge together from its partial tiles; `None` when they are not those of the size, or
    /// the records not those of the hashes.
    pub(super) fn from_parts(
        size: u64,
        levels: [Vec<Hash>; LEVELS as usize],
        records: Vec<Entry>,
    ) -> Option<Self> {
        let fits =
            |(level, entries): (u8, &Vec<Hash>)| entries.len() == usize::from(width(size, level));
        let whole = (0..LEVELS).zip(&levels).all(fits);
        let leaves = levels
            .first()
            .is_some_and(|leaves| records.iter().map(Entry::leaf).eq(leaves.iter().copied()));
        (whole && leaves).then(|| Self {
            size,
            levels: levels.map(Arc::new),
            records: Arc::new(records),
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a record and adds the tiles that it completes to `full`.
    pub(super) fn append(&mut self, entry: &Entry, full: &mut Vec<NewFile>) {
        let mut node = entry.leaf();
        Arc::make_mut(&mut self.records).push(entry.clone());
        let number = self.size;
        self.size += 1;
        if self.records.len() == usize::from(FULL) {
            let data = Tile { level: TileLevel::Data, index: number >> 8, width: FULL };
            full.extend(records(data, &self.records));
            self.records = Arc::default();
        }
        for (level, entries) in (0..LEVELS).zip(&mut self.levels) {
            let entries = Arc::make_mut(entries);
            entries.push(node);
            if entries.len() < usize::from(FULL) {
                return;
            }
            let index = number >> (8 * u32::from(level)) >> 8;
            let tile = Tile { level: TileLevel::Hashes(level), index, width: FULL };
            full.push((OwnFile::Tile(tile), hashes(entries)));
            node = complete(entries);
            entries.clear();
        }
    }

    /// The partial tiles that a tree of `older` records did not have.
    pub(super) fn partial(&self, older: u64) -> Vec<NewFile> {
        let mut files = Vec::new();
        for (level, entries) in (0..LEVELS).zip(&self.levels) {
            let bits = 8 * u32::from(level);
            if entries.is_empty() || older >> bits == self.size >> bits {
                continue;
            }
            let tile = self.tile_at(TileLevel::Hashes(level), level, entries.len());
            files.push((OwnFile::Tile(tile), hashes(entries)));
        }
        if !self.records.is_empty() && older != self.size {
            let data = self.tile_at(TileLevel::Data, 0, self.records.len());
            files.extend(records(data, &self.records));
        }
        files
    }

    fn tile_at(&self, level: TileLevel, number: u8, entries: usize) -> Tile {
        let index = self.size >> (8 * u32::from(number)) >> 8;
        Tile { level, index, width: u16::try_from(entries).unwrap_or(FULL) }
    }

    /// Cuts a tile, of the width asked for, out of the edge; `None`: it does not lie there, or a
    /// record of it was erased.
    pub(super) fn tile(&self, tile: &Tile) -> Option<Bytes> {
        let number = match tile.level {
            TileLevel::Hashes(level) => level,
            TileLevel::Data => 0,
        };
        let bits = 8 * u32::from(number);
        if number >= LEVELS || tile.index != self.size >> bits >> 8 {
            return None;
        }
        if tile.is_data() {
            return Some(data(&texts(self.records.get(..usize::from(tile.width))?)?));
        }
        let entries = self.levels.get(usize::from(number))?;
        entries.get(..usize::from(tile.width)).map(hashes)
    }

    /// The head of the tree, if its size is asked for: a root costs hundreds of hashes.
    pub(super) fn head_if(&self, wanted: impl FnOnce(u64) -> bool) -> Option<TreeHead> {
        wanted(self.size).then(|| self.head())
    }

    /// The head of the tree.
    pub(super) fn head(&self) -> TreeHead {
        let mut root: Option<Hash> = None;
        for entries in &self.levels {
            let mut rest = entries.as_slice();
            // Binary counting within the level: the smallest complete subtree stands last.
            for bit in 0..8 {
                let span = 1_usize << bit;
                if entries.len() & span != 0 {
                    let (before, subtree) = rest.split_at(rest.len().saturating_sub(span));
                    let left = complete(subtree);
                    root = Some(root.map_or(left, |right| node_hash(&left, &right)));
                    rest = before;
                }
            }
        }
        TreeHead { size: self.size, root: root.unwrap_or_else(|| Frontier::new().root()) }
    }
}

/// How many entries the partial tile of a level has.
pub(super) fn width(size: u64, level: u8) -> u16 {
    u16::from((size >> (8 * u32::from(level))).to_le_bytes()[0])
}

/// The root over as many entries as a power of two says.
fn complete(entries: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for entry in entries {
        frontier.append(*entry);
    }
    frontier.root()
}

fn hashes(entries: &[Hash]) -> Bytes {
    Bytes::copy_from_slice(entries.as_flattened())
}

/// A tile of records in Go's form: each followed by an empty line.
pub(super) fn data<T: AsRef<str>>(texts: &[T]) -> Bytes {
    let mut bytes = BytesMut::new();
    for text in texts {
        bytes.put_slice(text.as_ref().as_bytes());
        bytes.put_u8(b'\n');
    }
    bytes.freeze()
}

/// A tile of records in both forms; with an erased one in it, what stays of it.
fn records(tile: Tile, records: &[Entry]) -> Vec<NewFile> {
    let Some(texts) = texts(records) else {
        let stays = redacted::write(tile.index << 8, records);
        return vec![(OwnFile::Redacted(tile.index), stays)];
    };
    // No record is too long for a frame: `tlog::Record` has the same bound.
    let entries = pack_entries(&texts).unwrap_or_default();
    vec![(OwnFile::Tile(tile), data(&texts)), (OwnFile::Entries(tile), entries.into())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tlog::{new_tiles, record_hash, split_data_tile, split_entries, tile_of};

    fn text(number: u64) -> Arc<str> {
        format!("m v{number} h1:x\n").into()
    }

    fn entry(number: u64) -> Entry {
        Entry::Text(text(number))
    }

    /// Grows a tree by steps and compares each file and root with the room that knows trees.
    fn grow(sizes: &[u64]) {
        let (mut edge, mut leaves) = (Edge::new(), Vec::new());
        for &size in sizes {
            let (older, mut files) = (edge.size(), Vec::new());
            for number in older..size {
                edge.append(&entry(number), &mut files);
                leaves.push(record_hash(text(number).as_bytes()));
            }
            files.extend(edge.partial(older));
            let mut frontier = Frontier::new();
            for leaf in &leaves {
                frontier.append(*leaf);
            }
            assert_eq!(edge.head(), frontier.head(), "{size}");
            let files: HashMap<_, _> = files.into_iter().collect();
            let wanted: Vec<_> = new_tiles(older, size).collect();
            for tile in &wanted {
                let body = tile_of(*tile, &leaves).unwrap();
                assert_eq!(files.get(&OwnFile::Tile(*tile)).unwrap(), &body, "{tile} of {size}");
            }
            let records: Vec<_> =
                wanted.iter().filter(|tile| tile.level == TileLevel::Hashes(0)).collect();
            assert_eq!(files.len(), wanted.len() + 2 * records.len(), "{older} to {size}");
            for tile in records {
                let tile = Tile { level: TileLevel::Data, ..*tile };
                let first = tile.index * 256;
                let expected: Vec<_> = (first..first + u64::from(tile.width)).map(text).collect();
                let body = files.get(&OwnFile::Tile(tile)).unwrap();
                let found = split_data_tile(body, tile.width).unwrap();
                assert!(
                    found.iter().eq(expected.iter().map(|text| &**text).collect::<Vec<_>>().iter())
                );
                let body = files.get(&OwnFile::Entries(tile)).unwrap();
                let found = split_entries(body, tile.width).unwrap();
                assert!(found.iter().zip(&expected).all(|(a, b)| *a == b.as_bytes()));
            }
        }
    }

    #[test]
    fn files_and_roots_are_those_of_the_tree() {
        grow(&[1, 2, 3, 255, 256, 257, 258, 511, 512, 600, 1000]);
        grow(&[256]);
        grow(&[65_535, 65_536, 65_537, 65_800]);
    }

    #[test]
    fn an_edge_comes_back_from_its_tiles() {
        let mut edge = Edge::new();
        for number in 0..66_000 {
            edge.append(&entry(number), &mut Vec::new());
        }
        let levels = edge.levels.clone().map(|entries| entries.to_vec());
        let again = Edge::from_parts(66_000, levels.clone(), edge.records.to_vec()).unwrap();
        assert_eq!(again.head(), edge.head());
        assert!(Edge::from_parts(66_001, levels.clone(), edge.records.to_vec()).is_none());
        let mut others = edge.records.to_vec();
        others[3] = entry(9);
        assert!(Edge::from_parts(66_000, levels.clone(), others).is_none());
        assert!(Edge::from_parts(66_000, levels, Vec::new()).is_none());
    }

    #[test]
    fn only_what_lies_in_the_edge_is_cut_out_of_it() {
        let mut edge = Edge::new();
        for number in 0..600 {
            edge.append(&entry(number), &mut Vec::new());
        }
        let tile = |path: &str| edge.tile(&Tile::parse(path).unwrap());
        assert_eq!(tile("tile/8/0/002.p/88").unwrap().len(), 88 * 32);
        assert_eq!(tile("tile/8/0/002.p/3").unwrap().len(), 96);
        assert_eq!(tile("tile/8/1/000.p/2").unwrap().len(), 64);
        assert_eq!(tile("tile/8/data/002.p/1").unwrap(), format!("{}\n", text(512)));
        for path in ["tile/8/0/002.p/89", "tile/8/0/001", "tile/8/0/003.p/1", "tile/8/1/000.p/3"] {
            assert_eq!(tile(path), None, "{path}");
        }
        assert_eq!(tile("tile/8/data/001"), None);
        assert_eq!(tile("tile/8/data/002.p/89"), None);
    }

    #[test]
    fn the_empty_tree_has_the_hash_of_nothing() {
        assert_eq!(Edge::new().head(), Frontier::new().head());
        assert!(Edge::new().partial(0).is_empty());
    }
}
