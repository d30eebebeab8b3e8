//! The reader of a tree that trusts no tile: plan, fetch elsewhere, verify.

mod reading;

use std::collections::BTreeMap;

pub use self::reading::Reading;
use crate::hash::{Hash, complete_root, empty_root, node_hash};
use crate::tile::{FULL_WIDTH, MAX_LEVEL};
use crate::{Error, Tile, TileLevel, TreeHead};

/// Greatest number of questions of one plan: the leaves of one full tile.
///
/// A plan then names at most 256 · 8 + 8 tiles, of 8 KiB each.
pub const MAX_QUESTIONS: usize = 256;

/// Asks one thing of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// The hash of the leaf of this number.
    Leaf(u64),
    /// The root that the tree had at this older size.
    Tree(u64),
    /// This tile of hashes itself.
    Tile(Tile),
}

/// Says which tiles answer some questions about the tree of one head.
///
/// The head is taken as given: whoever plans has opened its note
/// ([`SignedHead`](crate::SignedHead)).
#[derive(Debug, Clone)]
pub struct Plan {
    head: TreeHead,
    tiles: Vec<Tile>,
    /// For each tile the place of its parent in `tiles`, always an earlier one; `None` for the root
    /// tiles, which stand first.
    parents: Vec<Option<usize>>,
    places: Places,
}

/// Where the tile of a level and an index stands.
type Places = BTreeMap<(u8, u64), usize>;

impl Plan {
    /// Plans the answers to `questions` in the tree of `head`.
    ///
    /// The root tiles are always part of the plan, so one without questions checks the head's root.
    ///
    /// # Errors
    ///
    /// For what the tree has not: [`Error::NotInTree`] for a leaf, [`Error::InconsistentHeads`] for
    /// a size, [`Error::Question`] for a tile, for a data tile, and for more than [`MAX_QUESTIONS`]
    /// questions. [`Error::Head`] for an empty tree whose root is not the hash of nothing.
    pub fn new(head: &TreeHead, questions: &[Question]) -> Result<Self, Error> {
        if questions.len() > MAX_QUESTIONS {
            return Err(Error::Question);
        }
        if head.size > i64::MAX.cast_unsigned() || (head.size == 0 && head.root != empty_root()) {
            return Err(Error::Head);
        }
        let (tiles, parents, places) = (Vec::new(), Vec::new(), Places::new());
        let mut plan = Self { head: head.clone(), tiles, parents, places };
        for (level, index) in cover(head.size) {
            plan.push(level, index, None);
        }
        for question in questions {
            plan.answer(question)?;
        }
        Ok(plan)
    }

    /// Returns the tiles to fetch: root tiles first, parents before children, each once.
    ///
    /// Each has the width that it has in the tree of the head.
    #[must_use]
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Verifies the tiles, given in the order of [`Plan::tiles`]: all or nothing.
    ///
    /// The root is computed from the root tiles and compared with the head's; of every other tile
    /// the hash of its 256 entries is compared with the entry of its parent, which was verified
    /// before. Cost: 255 hashes a tile.
    ///
    /// # Errors
    ///
    /// [`Error::InconsistentTile`] for the first tile that the head does not authenticate, also one
    /// of another size; of the root tiles, which are checked together, the first is named.
    /// [`Error::NotPlanned`] for another number of tiles.
    pub fn verify<B: AsRef<[u8]>>(&self, tiles: &[B]) -> Result<Reading, Error> {
        if tiles.len() != self.tiles.len() {
            return Err(Error::NotPlanned);
        }
        let mut given = Vec::with_capacity(tiles.len());
        for (tile, bytes) in self.tiles.iter().zip(tiles) {
            given.push(Given::new(*tile, bytes.as_ref()).ok_or_else(|| self.inconsistent(tile))?);
        }
        self.check_root(&given)?;
        let mut verified: Vec<AuthenticTile> = Vec::with_capacity(given.len());
        for (given, parent) in given.iter().zip(&self.parents) {
            if let Some(parent) = parent {
                // Looked up among the verified only: never the number of root tiles, nor the order
                // of the plan, decides what may be skipped (CVE-2026-56865).
                let expected = verified.get(*parent).and_then(|parent| parent.child(&given.tile));
                if expected != Some(complete_root(given.entries)) {
                    return Err(self.inconsistent(&given.tile));
                }
            }
            verified.push(AuthenticTile { tile: given.tile, bytes: given.bytes.to_vec() });
        }
        // Said by the loop already; a change there must not be able to lose it.
        if !verified.iter().map(AuthenticTile::tile).eq(self.tiles.iter().copied()) {
            return Err(Error::NotPlanned);
        }
        Ok(Reading::new(self.head.clone(), verified, self.places.clone()))
    }

    /// Compares the root of all root tiles with the head's.
    fn check_root(&self, given: &[Given<'_>]) -> Result<(), Error> {
        let is_root = |parent: &&Option<usize>| parent.is_none();
        let roots = given.get(..self.parents.iter().take_while(is_root).count()).unwrap_or(given);
        let mut right = None;
        // From the smallest subtree, at the right edge, to the largest.
        for tile in roots.iter().rev() {
            let mut rest = tile.entries;
            for bit in 0..8 {
                let span = 1_usize << bit;
                if usize::from(tile.tile.width) & span == 0 {
                    continue;
                }
                let (before, subtree) = rest.split_at(rest.len().saturating_sub(span));
                let left = complete_root(subtree);
                right = Some(right.map_or(left, |right| node_hash(&left, &right)));
                rest = before;
            }
        }
        match roots.first() {
            Some(first) if right != Some(self.head.root) => Err(self.inconsistent(&first.tile)),
            _ => Ok(()),
        }
    }

    fn inconsistent(&self, tile: &Tile) -> Error {
        Error::InconsistentTile { tile: *tile, size: self.head.size }
    }

    /// Plans the tiles for one question.
    fn answer(&mut self, question: &Question) -> Result<(), Error> {
        let size = self.head.size;
        match *question {
            Question::Leaf(id) if id < size => self.require(0, id >> 8).map(|_place| ()),
            Question::Tree(older) if older <= size => {
                for (level, index) in cover(older) {
                    self.require(level, index)?;
                }
                Ok(())
            }
            Question::Tile(tile) => match tile.level {
                TileLevel::Hashes(level) if tile.exists_in(size) => {
                    self.require(level, tile.index).map(|_place| ())
                }
                _ => Err(Error::Question),
            },
            Question::Leaf(id) => Err(Error::NotInTree { id, size }),
            Question::Tree(older) => Err(Error::InconsistentHeads { older, newer: size }),
        }
    }

    /// Plans a tile that the tree has, and the tiles above it that are not planned yet.
    fn require(&mut self, level: u8, index: u64) -> Result<usize, Error> {
        if let Some(place) = self.places.get(&(level, index)) {
            return Ok(*place);
        }
        // A tile that is no root tile is full: its hash is an entry of the tile above it. The last
        // level has no full tiles, so the recursion ends there at the latest.
        if level >= MAX_LEVEL {
            return Err(Error::Question);
        }
        let parent = self.require(level + 1, index >> 8)?;
        Ok(self.push(level, index, Some(parent)))
    }

    fn push(&mut self, level: u8, index: u64, parent: Option<usize>) -> usize {
        let place = self.tiles.len();
        let width = Tile::width_in(TileLevel::Hashes(level), index, self.head.size);
        self.tiles.push(Tile { level: TileLevel::Hashes(level), index, width });
        self.parents.push(parent);
        self.places.insert((level, index), place);
        place
    }
}

/// The tiles whose entries are the complete subtrees that make up a tree, highest level first.
///
/// On each level these subtrees lie in one tile, the partial one at the right edge: as many entries
/// as the size's digit to the base 256 says.
fn cover(size: u64) -> impl Iterator<Item = (u8, u64)> {
    let entries = move |level: u8| size >> (8 * u32::from(level));
    let levels = (0..=MAX_LEVEL).rev().filter(move |&level| entries(level) & 0xff != 0);
    levels.map(move |level| (level, entries(level) >> 8))
}

/// A tile as it came: of the right size, no more.
struct Given<'a> {
    tile: Tile,
    bytes: &'a [u8],
    entries: &'a [Hash],
}

impl<'a> Given<'a> {
    fn new(tile: Tile, bytes: &'a [u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks();
        let is_whole = rest.is_empty() && entries.len() == usize::from(tile.width);
        is_whole.then_some(Self { tile, bytes, entries })
    }
}

/// Holds a tile of hashes that a tree head authenticates: made by [`Plan::verify`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticTile {
    tile: Tile,
    bytes: Vec<u8>,
}

impl AuthenticTile {
    /// Returns which tile it is.
    #[must_use]
    pub fn tile(&self) -> Tile {
        self.tile
    }

    /// Returns its hashes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the tile cut to its first `width` entries, which are as authentic.
    ///
    /// `None` when it has not so many, and for no entries.
    #[must_use]
    pub fn narrow(&self, width: u16) -> Option<Self> {
        let tile = Tile { width, ..self.tile };
        let bytes = self.bytes.get(..tile.hash_bytes()?).filter(|bytes| !bytes.is_empty())?;
        Some(Self { tile, bytes: bytes.to_vec() })
    }

    fn entries(&self) -> &[Hash] {
        self.bytes.as_chunks().0
    }

    /// The entry for a full tile of the level below, if it lies below this tile.
    fn child(&self, child: &Tile) -> Option<Hash> {
        let (TileLevel::Hashes(above), TileLevel::Hashes(below)) = (self.tile.level, child.level)
        else {
            return None;
        };
        let is_parent = above == below + 1 && self.tile.index == child.index >> 8;
        let is_parent = is_parent && child.width == FULL_WIDTH;
        let entry = usize::from(child.index.to_le_bytes()[0]);
        self.entries().get(entry).copied().filter(|_entry| is_parent)
    }
}
