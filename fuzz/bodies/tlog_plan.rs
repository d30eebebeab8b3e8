//! The reader, given tiles by an enemy: the honest ones pass, others fail, none panics.

use tlog::{Frontier, Plan, Question, Tile, TileLevel, TreeHead, record_hash, tile_of};

/// The largest tree that is built; tiles of two levels.
const MAX_LEAVES: u64 = 700;

/// Takes sizes and places from the beginning of the input, hashes from all of it.
pub(crate) fn run(data: &[u8]) {
    let Some((numbers, rest)) = data.split_first_chunk::<40>() else { return };
    let (numbers, _) = numbers.as_chunks::<8>();
    let [size, first, second, third, change] = *numbers else { return };
    let [size, first, second, third] = [size, first, second, third].map(u64::from_le_bytes);
    hostile(size, [first, second, third], rest);
    altered(1 + size % MAX_LEAVES, [first, second, third], change);
}

/// A head of any size whose tiles are whatever came.
fn hostile(size: u64, [leaf, tree, tile]: [u64; 3], bytes: &[u8]) {
    let [level, low, high, ..] = tile.to_le_bytes();
    let (index, width) = (tile >> 24, u16::from_le_bytes([low, high]));
    let questions = [
        Question::Leaf(leaf),
        Question::Tree(tree),
        Question::Tile(Tile { level: TileLevel::Hashes(level), index, width }),
    ];
    let head = TreeHead { size, root: record_hash(bytes) };
    for questions in [&questions[..], &questions[..1], &questions[1..2], &questions[2..], &[]] {
        let Ok(plan) = Plan::new(&head, questions) else { continue };
        assert!(plan.tiles().len() <= 32);
        let filled = |tile: &Tile| -> Vec<u8> {
            let length = tile.hash_bytes().unwrap_or(0);
            bytes.iter().copied().chain(std::iter::repeat(0)).take(length).collect()
        };
        let tiles: Vec<_> = plan.tiles().iter().map(filled).collect();
        assert!(plan.verify(&tiles).is_err() || size == 0);
        let _ = plan.verify(&vec![bytes; tiles.len()]);
    }
}

/// A small honest tree, one bit of one tile changed.
fn altered(size: u64, [leaf, tree, place]: [u64; 3], change: [u8; 8]) {
    let leaves: Vec<_> = (0..size).map(|id| record_hash(&id.to_le_bytes())).collect();
    let mut frontier = Frontier::new();
    for leaf in &leaves {
        frontier.append(*leaf);
    }
    let (leaf, tree) = (leaf % size, tree % (size + 1));
    let questions = [Question::Leaf(leaf), Question::Tree(tree)];
    let plan = Plan::new(&frontier.head(), &questions);
    assert!(plan.is_ok(), "a tree of {size} has leaf {leaf} and began with {tree}");
    let Ok(plan) = plan else { return };
    let cut = |tile: &Tile| tile_of(*tile, &leaves).unwrap_or_default();
    let mut tiles: Vec<_> = plan.tiles().iter().map(cut).collect();
    let reading = plan.verify(&tiles);
    assert!(reading.is_ok_and(|reading| {
        reading.leaf(leaf) == Ok(record_hash(&leaf.to_le_bytes()))
            && reading.consistency(tree).is_ok()
            && reading.inclusion(leaf).is_ok()
    }));
    let [low, high, bit, ..] = change;
    let [tile, ..] = place.to_le_bytes();
    let count = tiles.len();
    let Some(tile) = tiles.get_mut(usize::from(tile) % count) else { return };
    let at = usize::from(u16::from_le_bytes([low, high])) % tile.len();
    if let Some(byte) = tile.get_mut(at) {
        *byte ^= 1 << (bit % 8);
    }
    assert!(plan.verify(&tiles).is_err());
}
