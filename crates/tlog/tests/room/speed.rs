//! What a confirmation costs, in a tree as large as the public one.

use std::time::Instant;

use tlog::{Note, Plan, Question, SignedHead, SigningKey, Tile, TileLevel, TreeHead, node_hash};

use crate::log::golden_record;

/// More than the public log had in October 2025.
const SIZE: u64 = 40_000_000;

/// A tree of equal leaves but one: its tiles can be told without building it.
struct Uniform {
    /// The root of as many equal leaves as two to the place says.
    equal: Vec<[u8; 32]>,
    /// The same of the subtrees that hold the one leaf.
    special: Vec<[u8; 32]>,
    id: u64,
}

impl Uniform {
    fn new(id: u64, leaf: [u8; 32]) -> Self {
        let (mut equal, mut special) = (vec![[7; 32]], vec![leaf]);
        for height in 0..62 {
            let (other, own) = (equal[height], special[height]);
            equal.push(node_hash(&other, &other));
            let is_right = id >> height & 1 == 1;
            special.push(if is_right { node_hash(&other, &own) } else { node_hash(&own, &other) });
        }
        Self { equal, special, id }
    }

    fn node(&self, height: usize, index: u64) -> [u8; 32] {
        if self.id >> height == index { self.special[height] } else { self.equal[height] }
    }

    fn tile(&self, tile: Tile) -> Vec<u8> {
        let TileLevel::Hashes(level) = tile.level else { panic!("{tile}") };
        let entries = (tile.index * 256..).take(usize::from(tile.width));
        entries.flat_map(|entry| self.node(8 * usize::from(level), entry)).collect()
    }

    fn head(&self, size: u64) -> TreeHead {
        let heights = (0..63).filter(|height| size >> height & 1 == 1);
        let nodes = heights.map(|height: u32| self.node(height as usize, (size >> height) - 1));
        let root = nodes.reduce(|right, left| node_hash(&left, &right)).unwrap();
        TreeHead { size, root }
    }
}

/// Run with `--release -- --ignored --nocapture` for figures.
#[test]
#[ignore = "tells figures"]
fn confirming_one_record_of_forty_million() {
    const ROUNDS: u32 = 500;
    let (id, older) = (12_345_678, SIZE - 100_000);
    let record = golden_record(id);
    let log = Uniform::new(id, record.hash());
    let head = log.head(SIZE);
    let key = SigningKey::from_seed("log.example".parse().unwrap(), [1; 32]);
    let note = Note { text: head.text(), signatures: vec![key.sign(&head.text())] };
    let verifier = key.verifier();
    let message = note.message();

    for questions in [vec![Question::Leaf(id)], vec![Question::Leaf(id), Question::Tree(older)]] {
        let plan = Plan::new(&head, &questions).unwrap();
        let tiles: Vec<_> = plan.tiles().iter().map(|&tile| log.tile(tile)).collect();
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let plan = Plan::new(&head, &questions).unwrap();
            let reading = plan.verify(&tiles).unwrap();
            assert!(reading.prove(id, record.clone()).is_ok());
            if questions.len() > 1 {
                assert_eq!(reading.extends(&log.head(older)), Ok(()));
            }
        }
        let each = start.elapsed() / ROUNDS;
        println!("{} questions, {} tiles: {each:?}", questions.len(), tiles.len());
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        assert!(SignedHead::open(&verifier, message.as_bytes()).is_ok());
    }
    println!("opening a signed head: {:?}", start.elapsed() / ROUNDS);
}

/// The tiles that are told without a tree are those of one.
#[test]
fn a_record_of_forty_million_is_proven() {
    for id in [0, 12_345_678, SIZE - 1] {
        let record = golden_record(id);
        let log = Uniform::new(id, record.hash());
        let head = log.head(SIZE);
        let questions = [Question::Leaf(id), Question::Tree(SIZE / 3)];
        let plan = Plan::new(&head, &questions).unwrap();
        let tiles: Vec<_> = plan.tiles().iter().map(|&tile| log.tile(tile)).collect();
        assert!(tiles.len() <= 10, "{}", tiles.len());
        let reading = plan.verify(&tiles).unwrap();
        assert_eq!(reading.extends(&log.head(SIZE / 3)), Ok(()));
        let proven = reading.prove(id, record).unwrap();
        assert_eq!(proven.id(), id);
    }
}
