//! What must hold for trees of any size: every honest read succeeds, every altered one fails.
use std::sync::OnceLock;

use tlog::{
    Consistency, Error, Inclusion, MAX_QUESTIONS, Plan, Question, Tile, TileLevel, TreeHead,
    new_tiles, tile_of,
};

use crate::log::{Log, Random, golden_record};

/// One log for all tests: building it is most of their time.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| Log::golden(70_000))
}

/// All small sizes, every 41st, and those at which tiles and subtrees begin and end.
fn sizes() -> Vec<u64> {
    let mut sizes: Vec<u64> = (1..=700).chain((700..=70_000).step_by(41)).collect();
    sizes.extend((1..=16).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]));
    sizes.extend((1..=273).map(|k| 256 * k));
    sizes.push(70_000);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[test]
fn every_planned_tile_is_verified_at_every_size() {
    let mut random = Random(1);
    for size in sizes() {
        let (id, older) = (random.below(size), random.below(size + 1));
        let wide = Tile { level: TileLevel::Hashes(0), index: random.below(size) >> 8, width: 1 };
        let questions = [Question::Leaf(id), Question::Tree(older), Question::Tile(wide)];
        let plan = Plan::new(&log().head(size), &questions).unwrap();
        check_plan(&plan, size);
        let reading = plan.verify(&log().tiles(&plan)).unwrap();
        let verified: Vec<Tile> = reading.tiles().iter().map(tlog::AuthenticTile::tile).collect();
        assert_eq!(verified, plan.tiles(), "size {size}");
        assert_eq!(reading.root(size), Ok(log().head(size).root), "size {size}");
        assert_eq!(reading.leaf(id), Ok(log().leaf(id)), "size {size}");
        assert_eq!(reading.extends(&log().head(older)), Ok(()), "{older} in {size}");
        let proof = reading.inclusion(id).unwrap();
        assert_eq!(proof.verify(&log().leaf(id), id, &log().head(size)), Ok(()), "size {size}");
    }
}

/// Root tiles first, parents before children, each once and at the width of the tree.
fn check_plan(plan: &Plan, size: u64) {
    let mut seen: Vec<(u8, u64)> = Vec::new();
    for tile in plan.tiles() {
        let TileLevel::Hashes(level) = tile.level else { panic!("{tile}") };
        assert_eq!(tile.width, Tile::width_in(tile.level, tile.index, size), "{tile} of {size}");
        assert!(!seen.contains(&(level, tile.index)), "{tile} of {size}");
        let is_root = seen.len() < (0..8).filter(|level| size >> (8 * level) & 255 != 0).count();
        assert_eq!(is_root, !tile.is_full(), "{tile} of {size}");
        assert!(is_root || seen.contains(&(level + 1, tile.index >> 8)), "{tile} of {size}");
        seen.push((level, tile.index));
    }
}

#[test]
fn small_trees_hold_every_leaf_and_every_older_tree() {
    for size in 1..=130 {
        let questions: Vec<_> = (0..size).map(Question::Leaf).collect();
        let reading = log().read(size, &questions);
        let head = log().head(size);
        for id in 0..size {
            let proof = reading.inclusion(id).unwrap();
            assert_eq!(proof.verify(&log().leaf(id), id, &head), Ok(()), "{id} of {size}");
            refuse_inclusion(&proof, id, &head);
        }
        for older in 0..=size {
            let proof = reading.consistency(older).unwrap();
            assert_eq!(proof.verify(&log().head(older), &head), Ok(()), "{older} in {size}");
            refuse_consistency(&proof, &log().head(older), &head);
        }
    }
}

#[test]
fn any_two_heads_are_consistent_and_any_leaf_is_in_any_later_head() {
    let mut random = Random(2);
    for _ in 0..1_500 {
        let size = 1 + random.below(70_000);
        let older = 1 + random.below(size);
        let id = random.below(older);
        let reading = log().read(size, &[Question::Tree(older), Question::Leaf(id)]);
        assert_eq!(reading.root(older), Ok(log().head(older).root), "{older} in {size}");
        let proof = reading.consistency(older).unwrap();
        assert_eq!(proof.verify(&log().head(older), &log().head(size)), Ok(()));
        refuse_consistency(&proof, &log().head(older), &log().head(size));
        let proof = reading.inclusion(id).unwrap();
        refuse_inclusion(&proof, id, &log().head(size));
        assert!(reading.prove(id, golden_record(id)).is_ok());
        let mut forked = log().head(older);
        forked.root[random.place(32)] ^= 1 << random.below(8);
        let fork = Error::InconsistentHeads { older, newer: size };
        assert_eq!(reading.extends(&forked), Err(fork));
    }
}

/// A proof that is right is wrong for any other leaf, id, size or root, and with any hash changed,
/// added or left out.
fn refuse_inclusion(proof: &Inclusion, id: u64, head: &TreeHead) {
    let leaf = log().leaf(id);
    let refused = |proof: &Inclusion, leaf: &[u8; 32], id: u64, head: &TreeHead| {
        let refused = Err(Error::NotInTree { id, size: head.size });
        assert_eq!(proof.verify(leaf, id, head), refused, "{id} of {}", head.size);
    };
    refused(proof, &flip(leaf, id), id, head);
    refused(proof, &leaf, head.size, head);
    refused(proof, &leaf, id + head.size, head);
    for other in [id ^ 1, id + 1, id / 2].into_iter().filter(|&other| other != id) {
        refused(proof, &leaf, other, head);
    }
    refused(proof, &leaf, id, &TreeHead { root: flip(head.root, id), ..head.clone() });
    for place in 0..proof.hashes.len() {
        let mut altered = proof.clone();
        altered.hashes[place] = flip(altered.hashes[place], id);
        refused(&altered, &leaf, id, head);
        altered.hashes.remove(place);
        refused(&altered, &leaf, id, head);
        altered.hashes.insert(place, proof.hashes[place]);
        altered.hashes.insert(place, proof.hashes[place]);
        refused(&altered, &leaf, id, head);
    }
    let longer = Inclusion { hashes: [&proof.hashes[..], &[leaf]].concat() };
    refused(&longer, &leaf, id, head);
}

fn refuse_consistency(proof: &Consistency, older: &TreeHead, newer: &TreeHead) {
    let refused = |proof: &Consistency, older: &TreeHead, newer: &TreeHead| {
        let refused = Err(Error::InconsistentHeads { older: older.size, newer: newer.size });
        assert_eq!(proof.verify(older, newer), refused, "{} in {}", older.size, newer.size);
    };
    refused(proof, &TreeHead { root: flip(older.root, 3), ..older.clone() }, newer);
    if older.size > 0 {
        refused(proof, older, &TreeHead { root: flip(newer.root, 3), ..newer.clone() });
    }
    if older.size != newer.size {
        refused(proof, newer, older);
        refused(proof, &TreeHead { size: newer.size, ..older.clone() }, newer);
    }
    for place in 0..proof.hashes.len() {
        let mut altered = proof.clone();
        altered.hashes[place] = flip(altered.hashes[place], older.size);
        refused(&altered, older, newer);
        altered.hashes.remove(place);
        refused(&altered, older, newer);
    }
    let longer = Consistency { hashes: [&proof.hashes[..], &[older.root]].concat() };
    refused(&longer, older, newer);
}

fn flip(mut hash: [u8; 32], place: u64) -> [u8; 32] {
    let bit = usize::try_from(place % 256).unwrap();
    hash[bit / 8] ^= 1 << (bit % 8);
    hash
}

#[test]
fn any_altered_bit_of_any_tile_is_found() {
    let mut random = Random(3);
    for size in [1, 2, 5, 255, 256, 257, 300, 1000, 4464, 65_536, 65_793, 66_000, 69_999] {
        let (id, older) = (random.below(size), random.below(size + 1));
        let questions = [Question::Leaf(id), Question::Tree(older)];
        let plan = Plan::new(&log().head(size), &questions).unwrap();
        let tiles = log().tiles(&plan);
        assert!(plan.verify(&tiles).is_ok());
        for place in 0..tiles.len() {
            // Every hash of every tile, in a random bit.
            for entry in 0..tiles[place].len() / 32 {
                let mut altered = tiles.clone();
                altered[place][entry * 32 + random.place(32)] ^= 1 << random.below(8);
                let error = plan.verify(&altered).unwrap_err();
                let Error::InconsistentTile { tile, size: of } = error else { panic!("{error}") };
                assert_eq!(of, size);
                // Said of that tile; a tile below it no longer fits; root tiles stand together.
                let is_below = plan.tiles()[place..].contains(&tile);
                assert!(is_below || !tile.is_full(), "{tile}");
            }
        }
    }
}

#[test]
fn a_tile_of_another_size_is_refused() {
    let plan = Plan::new(&log().head(66_000), &[Question::Leaf(5)]).unwrap();
    let tiles = log().tiles(&plan);
    for place in 0..tiles.len() {
        for bytes in [0, 1, tiles[place].len() - 32, tiles[place].len() - 1] {
            let mut cut = tiles.clone();
            cut[place].truncate(bytes);
            let error = Error::InconsistentTile { tile: plan.tiles()[place], size: 66_000 };
            assert_eq!(plan.verify(&cut).unwrap_err(), error);
        }
        for bytes in [1, 31, 32] {
            let mut longer = tiles.clone();
            longer[place].extend(vec![0; bytes]);
            let error = Error::InconsistentTile { tile: plan.tiles()[place], size: 66_000 };
            assert_eq!(plan.verify(&longer).unwrap_err(), error);
        }
        let mut swapped = tiles.clone();
        swapped.swap(place, 0);
        assert_eq!(plan.verify(&swapped).is_ok(), place == 0);
    }
    let fewer = plan.verify(&tiles[1..]).unwrap_err();
    assert_eq!(fewer, Error::NotPlanned);
}

#[test]
fn another_record_or_id_is_refused() {
    let reading = log().read(70_000, &[Question::Leaf(777), Question::Leaf(778)]);
    let refused = |id| Err(Error::NotInTree { id, size: 70_000 });
    assert_eq!(reading.prove(777, golden_record(778)), refused(777));
    assert_eq!(reading.prove(778, golden_record(777)), refused(778));
    let record = golden_record(777);
    for (place, byte) in record.text().bytes().enumerate() {
        let mut text = record.text().as_bytes().to_vec();
        text[place] = if byte == b'1' { b'2' } else { b'1' };
        let text = String::from_utf8(text).unwrap();
        if let Ok(altered) = tlog::Record::parse(record.module(), &text) {
            assert_eq!(reading.prove(777, altered), refused(777), "{text}");
        }
    }
    assert!(reading.prove(777, record).is_ok());
}

#[test]
fn a_narrow_tile_is_the_beginning_of_a_wide_one() {
    let mut random = Random(4);
    for _ in 0..300 {
        let newer = 1 + random.below(70_000);
        let older = 1 + random.below(newer);
        for tile in new_tiles(random.below(older), older) {
            let reading = log().read(newer, &[Question::Tile(tile)]);
            let found = reading.tiles().iter().find_map(|wide| {
                let is_same = (wide.tile().level, wide.tile().index) == (tile.level, tile.index);
                is_same.then(|| wide.narrow(tile.width)).flatten()
            });
            let found = found.unwrap();
            assert_eq!((found.tile(), found.bytes()), (tile, &log().tile(tile)[..]));
            assert_eq!(found.narrow(tile.width + 1), None);
            assert_eq!(found.narrow(0), None);
        }
    }
}

#[test]
fn what_a_plan_did_not_ask_for_is_not_answered() {
    let reading = log().read(70_000, &[Question::Leaf(5)]);
    assert_eq!(reading.leaf(300), Err(Error::NotPlanned));
    assert_eq!(reading.leaf(70_000), Err(Error::NotPlanned));
    assert_eq!(reading.root(300), Err(Error::NotPlanned));
    assert_eq!(reading.root(70_001), Err(Error::NotPlanned));
    assert_eq!(reading.root(u64::MAX), Err(Error::NotPlanned));
    assert_eq!(reading.inclusion(300), Err(Error::NotPlanned));
    assert_eq!(reading.inclusion(u64::MAX), Err(Error::NotPlanned));
    assert_eq!(reading.consistency(300), Err(Error::NotPlanned));
    assert_eq!(reading.consistency(u64::MAX), Err(Error::NotPlanned));
    assert_eq!(reading.prove(300, golden_record(300)), Err(Error::NotPlanned));
}

#[test]
fn questions_that_a_tree_cannot_answer_are_refused() {
    let head = log().head(257);
    let plan = |question| Plan::new(&head, &[question]).map(|_plan| ());
    assert_eq!(plan(Question::Leaf(257)), Err(Error::NotInTree { id: 257, size: 257 }));
    assert!(plan(Question::Leaf(u64::MAX)).is_err());
    let later = Err(Error::InconsistentHeads { older: 258, newer: 257 });
    assert_eq!(plan(Question::Tree(258)), later);
    assert!(plan(Question::Tree(u64::MAX)).is_err());
    for (level, index, width) in [
        (TileLevel::Data, 0, 256),
        (TileLevel::Hashes(0), 0, 0),
        (TileLevel::Hashes(0), 0, 257),
        (TileLevel::Hashes(0), 1, 2),
        (TileLevel::Hashes(0), 2, 1),
        (TileLevel::Hashes(1), 0, 2),
        (TileLevel::Hashes(2), 0, 1),
        (TileLevel::Hashes(8), 0, 1),
        (TileLevel::Hashes(255), u64::MAX, u16::MAX),
    ] {
        let tile = Tile { level, index, width };
        assert_eq!(plan(Question::Tile(tile)), Err(Error::Question), "{tile}");
    }
    let many = |count| Plan::new(&head, &vec![Question::Leaf(0); count]).map(|_plan| ());
    assert_eq!(many(MAX_QUESTIONS), Ok(()));
    assert_eq!(many(MAX_QUESTIONS + 1), Err(Error::Question));
}

#[test]
fn an_empty_tree_has_one_root() {
    let empty = log().head(0);
    let plan = Plan::new(&empty, &[Question::Tree(0)]).unwrap();
    assert!(plan.tiles().is_empty());
    let reading = plan.verify::<Vec<u8>>(&[]).unwrap();
    assert_eq!(reading.extends(&empty), Ok(()));
    let zeros = TreeHead { size: 0, root: [0; 32] };
    assert_eq!(Plan::new(&zeros, &[]).unwrap_err(), Error::Head);
    assert!(log().read(9, &[]).extends(&empty).is_ok());
    assert!(log().read(9, &[]).extends(&zeros).is_err());
}

#[test]
fn the_largest_trees_are_planned() {
    for size in [i64::MAX.cast_unsigned(), 1 << 62, (1 << 56) + 1] {
        let head = TreeHead { size, root: [0; 32] };
        let questions = [Question::Leaf(0), Question::Leaf(size - 1), Question::Tree(size / 3)];
        let plan = Plan::new(&head, &questions).unwrap();
        check_plan(&plan, size);
        assert!(plan.tiles().len() <= 32);
    }
    let head = TreeHead { size: 1 << 63, root: [0; 32] };
    assert_eq!(Plan::new(&head, &[]).unwrap_err(), Error::Head);
}

#[test]
fn tiles_are_cut_from_leaves() {
    for size in [1_u64, 255, 256, 257, 1000, 65_536, 70_000] {
        let leaves = &log().leaves()[..usize::try_from(size).unwrap()];
        for tile in new_tiles(size.saturating_sub(600), size) {
            assert!(tile_of(tile, leaves) == Some(log().tile(tile)), "{tile} of {size}");
            let next = Tile { index: tile.index + 1, ..tile };
            assert_eq!(tile_of(next, leaves).is_some(), next.exists_in(size), "{next} of {size}");
        }
    }
    assert_eq!(tile_of("tile/8/data/000.p/1".parse().unwrap(), &[[0; 32]]), None);
    assert_eq!(new_tiles(5, 5).count() + new_tiles(6, 5).count() + new_tiles(0, 0).count(), 0);
    assert_eq!(new_tiles(u64::MAX - 1, u64::MAX).count(), 1);
}
