//! A log in memory: what an honest server holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gomod::ModVer;
use sha2::{Digest, Sha256};
use tlog::{Plan, Question, Reading, Record, Tile, TileLevel, TreeHead, node_hash};

/// Holds the complete subtrees of a tree, level by level; not made of the room's own tree code.
pub(crate) struct Log {
    levels: Vec<Vec<[u8; 32]>>,
}

impl Log {
    /// Builds the tree over some leaves.
    pub(crate) fn new(leaves: Vec<[u8; 32]>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let pairs = below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1]));
            let above = pairs.collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// Builds a log of as many golden records.
    pub(crate) fn golden(size: u64) -> Self {
        Self::salted(size, "")
    }

    /// Builds a log of as many records with hashes of their own.
    pub(crate) fn salted(size: u64, salt: &str) -> Self {
        Self::new((0..size).map(|id| salted_record(id, salt).hash()).collect())
    }

    pub(crate) fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }

    pub(crate) fn leaves(&self) -> &[[u8; 32]] {
        &self.levels[0]
    }

    pub(crate) fn leaf(&self, id: u64) -> [u8; 32] {
        self.levels[0][usize::try_from(id).unwrap()]
    }

    /// The head that the log had at a size.
    pub(crate) fn head(&self, size: u64) -> TreeHead {
        let mut root: Option<[u8; 32]> = None;
        for height in 0..64_usize {
            if size >> height & 1 == 1 {
                let left = &self.levels[height][usize::try_from(size >> height).unwrap() - 1];
                root = Some(root.map_or(*left, |right| node_hash(left, &right)));
            }
        }
        TreeHead { size, root: root.unwrap_or_else(|| Sha256::digest([]).into()) }
    }

    /// A tile of hashes.
    pub(crate) fn tile(&self, tile: Tile) -> Vec<u8> {
        let TileLevel::Hashes(level) = tile.level else { panic!("not of hashes: {tile}") };
        let first = usize::try_from(tile.index * 256).unwrap();
        self.levels[8 * usize::from(level)][first..first + usize::from(tile.width)].concat()
    }

    /// The tiles of a plan.
    pub(crate) fn tiles(&self, plan: &Plan) -> Vec<Vec<u8>> {
        plan.tiles().iter().map(|&tile| self.tile(tile)).collect()
    }

    /// Plans, fetches and verifies.
    pub(crate) fn read(&self, size: u64, questions: &[Question]) -> Reading {
        let plan = Plan::new(&self.head(size), questions).unwrap();
        plan.verify(&self.tiles(&plan)).unwrap()
    }
}

/// The golden module's version of this patch number.
pub(crate) fn golden_module(id: u64) -> ModVer {
    let version = format!("v0.0.{id}").parse().unwrap();
    ModVer::new("golden.example/m".parse().unwrap(), version).unwrap()
}

/// The record that the golden log has at a place.
pub(crate) fn golden_record(id: u64) -> Record {
    salted_record(id, "")
}

/// The record that a salted log has at a place.
pub(crate) fn salted_record(id: u64, salt: &str) -> Record {
    let h1 = |kind: &str| {
        let content = format!("{kind}{salt}{id}");
        format!("h1:{}", STANDARD.encode(Sha256::digest(content)))
    };
    Record::new(&golden_module(id), &h1("zip"), &h1("mod")).unwrap()
}

/// Gives numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A place in something of this length.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}
