//! Tiles: the files that a checksum database serves its tree and records in.

use std::fmt;
use std::str::FromStr;

use crate::hash::HASH_BYTES;
use crate::{Error, Frontier, decimal};

/// Hashes in a full tile; tiles are eight levels high.
pub(crate) const FULL_WIDTH: u16 = 256;
/// The highest level of a tile: eight times it and eight more must stay within 64 levels.
pub(crate) const MAX_LEVEL: u8 = 7;
/// Sizes of trees have 63 bits, and a tile spans 256 entries.
const MAX_INDEX: u64 = i64::MAX.cast_unsigned() >> 8;

/// Names a tile of height 8: `width` entries of `level`, from entry `index` times 256 on.
///
/// A tile that [`Tile::parse`] made has an index below 2^55 and a width of 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// What the entries are.
    pub level: TileLevel,
    /// The number of the tile within its level.
    pub index: u64,
    /// How many entries it has: 256 when full.
    pub width: u16,
}

/// Says what the entries of a tile are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileLevel {
    /// Hashes of 32 bytes, of the tree's level 8 times this number, which is 0 to 7.
    Hashes(u8),
    /// Records, as text.
    Data,
}

impl Tile {
    /// Parses `tile/8/<L>/<NNN>[.p/<W>]`, the canonical writing only.
    ///
    /// Source: golang/mod `tlog.ParseTilePath`.
    ///
    /// ```
    /// use tlog::{Tile, TileLevel};
    /// let tile = Tile::parse("tile/8/1/x001/234.p/5")?;
    /// assert_eq!(tile, Tile { level: TileLevel::Hashes(1), index: 1234, width: 5 });
    /// # Ok::<(), tlog::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Tile`] for other text.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let tile = parse(path).ok_or(Error::Tile)?;
        // Whatever the parser lets pass (zeros in front, a missing x) is written otherwise.
        if tile.path() == path { Ok(tile) } else { Err(Error::Tile) }
    }

    /// Returns the canonical path.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Returns the size in bytes of a tile of hashes; `None` for records, whose size varies.
    #[must_use]
    pub fn hash_bytes(&self) -> Option<usize> {
        match self.level {
            TileLevel::Hashes(_) => Some(usize::from(self.width) * 32),
            TileLevel::Data => None,
        }
    }

    /// Returns whether all entries are there, so that the tile never changes nor vanishes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == FULL_WIDTH
    }

    /// Returns whether a tree of `size` records has this tile.
    #[must_use]
    pub fn exists_in(&self, size: u64) -> bool {
        self.width > 0 && self.width <= Self::width_in(self.level, self.index, size)
    }

    /// Returns how many entries a tile has in a tree of `size` records; 0 when it has no such tile.
    #[must_use]
    pub fn width_in(level: TileLevel, index: u64, size: u64) -> u16 {
        let level = match level {
            TileLevel::Hashes(level) => level,
            TileLevel::Data => 0,
        };
        let entries = if level > MAX_LEVEL { 0 } else { size >> (8 * u32::from(level)) };
        let before = index.saturating_mul(u64::from(FULL_WIDTH));
        let width = entries.saturating_sub(before).min(u64::from(FULL_WIDTH));
        u16::try_from(width).unwrap_or(FULL_WIDTH)
    }
}

/// Returns the tiles of hashes to write when a tree grows from `older` to `newer` records.
///
/// On each level that changes, the tiles that were completed, then the one at the right edge, if it
/// is partial. The data tiles are those of level 0. Source: golang/mod `tlog.NewTiles`.
pub fn new_tiles(older: u64, newer: u64) -> impl Iterator<Item = Tile> {
    (0..=MAX_LEVEL).flat_map(move |level| {
        let entries = |size: u64| size >> (8 * u32::from(level));
        let (older, newer) = (entries(older), entries(newer));
        let indices = if older < newer { older >> 8..newer.div_ceil(256) } else { 0..0 };
        indices.map(move |index| {
            let level = TileLevel::Hashes(level);
            let width = (newer - (index << 8)).min(u64::from(FULL_WIDTH));
            Tile { level, index, width: u16::try_from(width).unwrap_or(FULL_WIDTH) }
        })
    })
}

/// Cuts a tile of hashes out of a tree that is given by all its leaves.
///
/// For tests and small logs: the cost is that of hashing the leaves below the tile. `None` when the
/// tree has no such tile, and for a data tile.
#[must_use]
pub fn tile_of(tile: Tile, leaves: &[[u8; 32]]) -> Option<Vec<u8>> {
    let TileLevel::Hashes(level) = tile.level else { return None };
    if !tile.exists_in(leaves.len() as u64) {
        return None;
    }
    let span = 1_usize.checked_shl(8 * u32::from(level))?;
    let first = usize::try_from(tile.index).ok()?.checked_mul(256)?.checked_mul(span)?;
    let below = leaves.get(first..)?.get(..usize::from(tile.width) * span)?;
    let mut bytes = Vec::with_capacity(usize::from(tile.width) * HASH_BYTES);
    for entry in below.chunks(span) {
        let mut frontier = Frontier::new();
        for leaf in entry {
            frontier.append(*leaf);
        }
        bytes.extend_from_slice(&frontier.root());
    }
    Some(bytes)
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            TileLevel::Hashes(level) => write!(f, "tile/8/{level}/")?,
            TileLevel::Data => f.write_str("tile/8/data/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place > 0 { write!(f, "x{group:03}/")? } else { write!(f, "{group:03}")? }
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        Self::parse(path)
    }
}

/// Reads a path, canonical or not.
fn parse(path: &str) -> Option<Tile> {
    let (level, rest) = path.strip_prefix("tile/8/")?.split_once('/')?;
    let level = match level {
        "data" => TileLevel::Data,
        _ => TileLevel::Hashes(u8::try_from(decimal(level)?).ok().filter(|&l| l <= MAX_LEVEL)?),
    };
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => {
            let width = u16::try_from(decimal(width)?).ok()?;
            (groups, Some(width).filter(|width| (1..FULL_WIDTH).contains(width))?)
        }
        None => (rest, FULL_WIDTH),
    };
    let mut index: u64 = 0;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let three = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_number| three)?;
        index = index.checked_mul(1000)?.checked_add(number)?;
    }
    (index <= MAX_INDEX).then_some(Tile { level, index, width })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_paths_are_tiles() {
        for (path, level, index, width) in [
            ("tile/8/0/000", TileLevel::Hashes(0), 0, 256),
            ("tile/8/0/000.p/1", TileLevel::Hashes(0), 0, 1),
            ("tile/8/7/999.p/255", TileLevel::Hashes(7), 999, 255),
            ("tile/8/1/x001/000", TileLevel::Hashes(1), 1000, 256),
            ("tile/8/0/x001/x234/067", TileLevel::Hashes(0), 1_234_067, 256),
            ("tile/8/data/x001/000.p/12", TileLevel::Data, 1000, 12),
            ("tile/8/0/x036/x028/x797/x018/x963/967", TileLevel::Hashes(0), MAX_INDEX, 256),
        ] {
            let tile = Tile { level, index, width };
            assert_eq!(Tile::parse(path), Ok(tile));
            assert_eq!(tile.path(), path);
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "tile",
            "tile/8/0",
            "tile/8/0/",
            "tile/8/0/0",
            "tile/8/0/00",
            "tile/8/0/0000",
            "tile/8/0/x000/001",
            "tile/8/0/000/001",
            "tile/8/0/x001",
            "tile/8/0/001/x000",
            "tile/8/0/xx01/000",
            "tile/8/0/+01",
            "tile/8/0/000.p/0",
            "tile/8/0/000.p/256",
            "tile/8/0/000.p/01",
            "tile/8/0/000.p/+1",
            "tile/8/0/000.p/",
            "tile/8/0/000.p",
            "tile/8/0/000.p/1/2",
            "tile/8/0/000.p/1.p/1",
            "tile/8/0/x001.p/1/000",
            "tile/8/8/000",
            "tile/8/00/000",
            "tile/8/-1/000",
            "tile/8/Data/000",
            "tile/7/0/000",
            "tile/9/0/000",
            "tile/08/0/000",
            "/tile/8/0/000",
            "tile/8/0/000/",
            "tile/8/0/x036/x028/x797/x018/x963/968",
            "tile/8/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/8/0/٠٠٠",
        ] {
            assert_eq!(Tile::parse(path), Err(Error::Tile), "{path}");
        }
    }

    #[test]
    fn only_tiles_of_hashes_have_a_known_size() {
        let bytes = |path: &str| Tile::parse(path).unwrap().hash_bytes();
        assert_eq!(bytes("tile/8/0/000"), Some(8192));
        assert_eq!(bytes("tile/8/2/000.p/3"), Some(96));
        assert_eq!(bytes("tile/8/data/000"), None);
        assert!(!Tile::parse("tile/8/data/000.p/3").unwrap().is_full());
    }

    #[test]
    fn a_tree_has_the_tiles_that_its_size_says() {
        let width = |path: &str, size| {
            let tile = Tile::parse(path).unwrap();
            Tile::width_in(tile.level, tile.index, size)
        };
        for (path, size, expected) in [
            ("tile/8/0/000", 0, 0),
            ("tile/8/0/000", 1, 1),
            ("tile/8/0/000", 255, 255),
            ("tile/8/0/000", 256, 256),
            ("tile/8/0/001", 256, 0),
            ("tile/8/data/001", 257, 1),
            ("tile/8/1/000", 255, 0),
            ("tile/8/1/000", 511, 1),
            ("tile/8/1/000", u64::MAX, 256),
            ("tile/8/7/000", i64::MAX.cast_unsigned(), 127),
        ] {
            assert_eq!(width(path, size), expected, "{path} of {size}");
        }
        assert_eq!(Tile::width_in(TileLevel::Hashes(8), 0, u64::MAX), 0);
        assert_eq!(Tile::width_in(TileLevel::Hashes(255), 0, u64::MAX), 0);
        assert_eq!(Tile::width_in(TileLevel::Hashes(0), u64::MAX, u64::MAX), 0);
        let exists = |path: &str, size| Tile::parse(path).unwrap().exists_in(size);
        assert!(exists("tile/8/0/000.p/7", 7) && !exists("tile/8/0/000.p/7", 6));
        assert!(!Tile { level: TileLevel::Data, index: 0, width: 0 }.exists_in(9));
    }

    #[test]
    fn growing_writes_what_was_completed_and_the_edge() {
        let paths =
            |older, newer| new_tiles(older, newer).map(|tile| tile.path()).collect::<Vec<_>>();
        assert_eq!(paths(0, 1), ["tile/8/0/000.p/1"]);
        assert_eq!(paths(1, 256), ["tile/8/0/000", "tile/8/1/000.p/1"]);
        assert_eq!(paths(255, 257), ["tile/8/0/000", "tile/8/0/001.p/1", "tile/8/1/000.p/1"]);
        assert_eq!(paths(256, 300), ["tile/8/0/001.p/44"]);
        assert_eq!(paths(65_535, 65_536), ["tile/8/0/255", "tile/8/1/000", "tile/8/2/000.p/1"]);
        assert!(paths(7, 7).is_empty() && paths(8, 7).is_empty());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(level in 0_u8..9, index in 0..=MAX_INDEX, zeros in 0..55, width in 1_u16..=256) {
            let level = if level == 8 { TileLevel::Data } else { TileLevel::Hashes(level) };
            let tile = Tile { level, index: index >> zeros, width };
            prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
        }

        #[test]
        fn what_parses_is_canonical(path in "tile/8/([0-9]|data)/(x[0-9]{3}/){0,3}[0-9x+]{2,4}(\\.p/[0-9]{0,3})?") {
            if let Ok(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), path);
            }
        }
    }
}
