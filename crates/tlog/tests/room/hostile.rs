//! Servers that lie: the three client flaws of 2026, and notes, records and tiles made to deceive.

use gomod::ModVer;
use tlog::{
    Error, Lookup, Note, Plan, Question, Reading, Record, SignedHead, SigningKey, Tile, TileLevel,
    node_hash,
};

use crate::log::{Log, Random, golden_module, golden_record};

const EVIL: &str = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn key(byte: u8, name: &str) -> SigningKey {
    SigningKey::from_seed(name.parse().unwrap(), [byte; 32])
}

fn signed(text: &str, keys: &[&SigningKey]) -> String {
    let signatures = keys.iter().map(|key| key.sign(text)).collect();
    Note { text: text.to_owned(), signatures }.message()
}

fn answer(id: u64, record: &str, message: &str) -> Vec<u8> {
    format!("{id}\n{record}\n{message}").into_bytes()
}

/// CVE-2026-42501: a record of another module is no "no objection".
#[test]
fn a_valid_record_of_another_module_is_refused() {
    let log = Log::golden(300);
    let key = key(1, "log.example");
    let message = signed(&log.head(300).text(), &[&key]);
    let body = answer(7, golden_record(7).text(), &message);
    let asked = golden_module(8);
    let wrong = Error::WrongModule { module: asked.clone() };
    assert_eq!(Lookup::parse(&asked, &body), Err(wrong.clone()));
    // The zip line of one module and the go.mod line of another are two records.
    let (seven, eight) = (golden_record(7), golden_record(8));
    let lines: Vec<&str> = seven.text().lines().chain(eight.text().lines()).collect();
    for mixed in [[lines[0], lines[3]], [lines[2], lines[1]], [lines[2], lines[2]]] {
        let text = format!("{}\n", mixed.join("\n"));
        assert_eq!(Record::parse(&asked, &text), Err(wrong.clone()), "{text}");
    }
    // The right one, at the place of the other.
    let body = answer(7, golden_record(8).text(), &message);
    let lookup = Lookup::parse(&asked, &body).unwrap();
    let refused = log.read(300, &[Question::Leaf(7)]).prove(lookup.id, lookup.record);
    assert_eq!(refused, Err(Error::NotInTree { id: 7, size: 300 }));
}

/// CVE-2026-56864: lines that a head carries below its root are not the record's.
#[test]
fn hashes_in_extension_lines_are_never_found() {
    let log = Log::golden(300);
    let key = key(1, "log.example");
    let evil = Record::new(&golden_module(8), EVIL, EVIL).unwrap();
    for extended in [
        format!("{}{}", log.head(300).text(), evil.text()),
        format!("{}\n{}", log.head(300).text(), evil.text()),
    ] {
        let message = signed(&extended, &[&key]);
        let head = SignedHead::open(&key.verifier(), message.as_bytes()).unwrap();
        assert!(head.has_extensions());
        assert_eq!(*head.head(), log.head(300));
        // The record names another module: what stands in the head does not help.
        let body = answer(7, golden_record(7).text(), &message);
        let wrong = Error::WrongModule { module: golden_module(8) };
        assert_eq!(Lookup::parse(&golden_module(8), &body), Err(wrong));
        // The record is honest: it counts alone.
        let body = answer(8, golden_record(8).text(), &message);
        let lookup = Lookup::parse(&golden_module(8), &body).unwrap();
        assert_eq!(lookup.record, golden_record(8));
    }
    // Before the head, as if part of the record: the note then begins elsewhere.
    let body = answer(7, &format!("{}\n{}", golden_record(7).text(), evil.text()), "");
    assert!(Lookup::parse(&golden_module(7), &body).is_err());
}

/// CVE-2026-56865: honest head, honest upper tiles, forged tile below, forged record.
#[test]
fn forged_tiles_below_the_root_tiles_are_found() {
    // Sizes whose tiles hold several subtrees of the root each, as usual, down to just one.
    for size in [70_000, 66_000, 65_535, 65_793, 65_537, 65_536 + 256, 4464, 1000, 513, 258, 257] {
        let log = Log::golden(size);
        for id in [0, 100, 255, size / 2] {
            forge(&log, size, id);
        }
    }
}

/// Replaces the leaf in its tile and, one more at a time, the entries above it.
fn forge(log: &Log, size: u64, id: u64) {
    let evil = Record::new(&golden_module(id), EVIL, EVIL).unwrap();
    let plan = Plan::new(&log.head(size), &[Question::Leaf(id)]).unwrap();
    let mut tiles = log.tiles(&plan);
    let place_of = |level: u8| {
        let is_there = |tile: &Tile| {
            tile.level == TileLevel::Hashes(level) && tile.index == id >> (8 * (level + 1))
        };
        plan.tiles().iter().position(is_there)
    };
    let mut hash = evil.hash();
    for level in 0..8 {
        let Some(place) = place_of(level) else { break };
        let entry = usize::try_from(id >> (8 * level)).unwrap() % 256 * 32;
        tiles[place][entry..entry + 32].copy_from_slice(&hash);
        // Found whether or not the tiles above were made to agree.
        let error = plan.verify(&tiles).unwrap_err();
        assert!(matches!(error, Error::InconsistentTile { .. }), "{error}");
        if !plan.tiles()[place].is_full() {
            break;
        }
        hash = root_of(&tiles[place]);
    }
    let honest: Reading = log.read(size, &[Question::Leaf(id)]);
    assert_eq!(honest.prove(id, evil), Err(Error::NotInTree { id, size }));
    assert!(honest.prove(id, golden_record(id)).is_ok());
}

fn root_of(tile: &[u8]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = tile.as_chunks().0.to_vec();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    level[0]
}

/// Every tile that is not checked against the root is one more that may not be skipped.
#[test]
fn each_tile_of_a_large_plan_is_checked() {
    let log = Log::golden(70_000);
    let mut random = Random(7);
    let questions: Vec<_> = (0..40).map(|_| Question::Leaf(random.below(70_000))).collect();
    let plan = Plan::new(&log.head(70_000), &questions).unwrap();
    let tiles = log.tiles(&plan);
    assert!(plan.tiles().len() > 40);
    for (place, tile) in plan.tiles().iter().enumerate() {
        let mut forged = tiles.clone();
        forged[place] = vec![0; forged[place].len()];
        let error = plan.verify(&forged).unwrap_err();
        let Error::InconsistentTile { tile: found, .. } = error else { panic!("{error}") };
        let roots = plan.tiles().iter().filter(|tile| !tile.is_full()).count();
        assert_eq!(found, if place < roots { plan.tiles()[0] } else { *tile });
    }
}

#[test]
fn forks_are_found_at_every_size() {
    let log = Log::golden(1000);
    for size in [1_u64, 2, 255, 256, 257, 512, 999, 1000] {
        // Equal up to the last record of the older tree.
        let mut leaves = log.leaves()[..usize::try_from(size).unwrap()].to_vec();
        *leaves.last_mut().unwrap() = golden_record(5000).hash();
        let forked = Log::new(leaves).head(size);
        let fork = Err(Error::InconsistentHeads { older: size, newer: 1000 });
        assert_eq!(log.read(1000, &[Question::Tree(size)]).extends(&forked), fork);
        let proof = log.read(1000, &[Question::Tree(size)]).consistency(size).unwrap();
        assert_eq!(proof.verify(&forked, &log.head(1000)), fork);
        assert_eq!(proof.verify(&log.head(size), &log.head(1000)), Ok(()));
    }
}

#[test]
fn the_known_key_must_verify_and_others_do_not_count() {
    let (known, other) = (key(1, "log.example"), key(2, "log.example"));
    let witness = key(3, "witness.example");
    let verifier = known.verifier();
    let text = "go.sum database tree\n1\nWR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=\n";
    let open = |message: &str| SignedHead::open(&verifier, message.as_bytes()).map(|_head| ());
    for keys in [
        vec![&known],
        vec![&known, &other, &witness],
        vec![&witness, &other, &known],
        vec![&known, &known],
    ] {
        assert_eq!(open(&signed(text, &keys)), Ok(()));
    }
    let unsigned = Err(Error::Unsigned { name: verifier.name().clone() });
    assert_eq!(open(&signed(text, &[&other, &witness])), unsigned);

    let bad = Err(Error::Signature { name: verifier.name().clone() });
    let forged = |signatures| Note { text: text.to_owned(), signatures }.message();
    let (good, mut wrong) = (known.sign(text), known.sign("another text\n"));
    // A wrong signature of the known key spoils the note, whoever else signed it.
    assert_eq!(open(&forged(vec![wrong.clone(), witness.sign(text)])), bad);
    // Of several of the known key the first counts, as for Go.
    assert_eq!(open(&forged(vec![wrong.clone(), good.clone()])), bad);
    assert_eq!(open(&forged(vec![good.clone(), wrong.clone()])), Ok(()));
    // Name and id belong together.
    wrong.key_id = 1;
    assert_eq!(open(&forged(vec![wrong.clone(), good.clone()])), Ok(()));
    assert_eq!(open(&forged(vec![wrong])), unsigned);
    for bytes in [&good.bytes[..63], &[&good.bytes[..], &[0]].concat(), &[0; 64], &[0xff; 64]] {
        let cut = tlog::Signature { bytes: bytes.to_vec(), ..good.clone() };
        assert_eq!(open(&forged(vec![cut])), bad);
    }
}

#[test]
fn any_altered_byte_of_a_signed_head_is_found() {
    let log = Log::golden(300);
    let key = key(1, "log.example");
    let message = signed(&log.head(300).text(), &[&key]);
    for place in 0..message.len() {
        for bit in 0..8 {
            let mut altered = message.clone().into_bytes();
            altered[place] ^= 1 << bit;
            assert!(SignedHead::open(&key.verifier(), &altered).is_err(), "{place}.{bit}");
        }
    }
}

/// A key of small order "signs" every text with one signature; Go's package lets it pass.
#[test]
fn keys_that_sign_anything_verify_nothing() {
    let mut one = [0; 32];
    one[0] = 1;
    // R is the neutral point and S zero: R = S·B - k·A holds for every k when A is neutral too.
    let signature = [one, [0; 32]].concat();
    let text = key_text("log.example", &one);
    let weak: tlog::VerifierKey = text.parse().unwrap();
    assert!(!weak.verify("anything\n", &signature));
}

fn key_text(name: &str, public: &[u8; 32]) -> String {
    use base64::Engine;
    use sha2::Digest;
    let typed = [&[1], &public[..]].concat();
    let id: [u8; 32] = sha2::Sha256::digest([name.as_bytes(), b"\n", &typed].concat()).into();
    let id = id.map(|byte| format!("{byte:02x}"))[..4].concat();
    format!("{name}+{id}+{}", base64::engine::general_purpose::STANDARD.encode(typed))
}

#[test]
fn a_record_that_only_looks_like_the_module_is_refused() {
    let asked: ModVer = ModVer::new("a.b/c".parse().unwrap(), "v1.0.0".parse().unwrap()).unwrap();
    let lines = |path: &str, version: &str| {
        format!("{path} {version} {EVIL}\n{path} {version}/go.mod {EVIL}\n")
    };
    assert!(Record::parse(&asked, &lines("a.b/c", "v1.0.0")).is_ok());
    for (path, version) in [
        ("a.b/C", "v1.0.0"),
        ("a.b/c ", "v1.0.0"),
        (" a.b/c", "v1.0.0"),
        ("a.b/c", "v1.0.0+incompatible"),
        ("a.b/c", "v1.0.0-0"),
        ("a.b/c", "v1.0.00"),
        ("a.b/c/go.mod", "v1.0.0"),
        ("a.b/!c", "v1.0.0"),
        ("a.b/c\u{200b}", "v1.0.0"),
        ("a.b/\u{0441}", "v1.0.0"),
    ] {
        let wrong = Err(Error::WrongModule { module: asked.clone() });
        assert_eq!(Record::parse(&asked, &lines(path, version)), wrong, "{path:?} {version:?}");
    }
}
