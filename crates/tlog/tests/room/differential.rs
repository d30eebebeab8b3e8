//! Compares the room with golang.org/x/mod's packages `tlog`, `note` and `sumdb`, both ways.
//!
//! A log is a folder of files, as `go/main.go` describes. Go writes some and the room verifies them;
//! the room writes some and Go verifies them, also as the client of the `go` command does.
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog::{
    Consistency, Frontier, Inclusion, Lookup, Note, Plan, Question, SignedHead, SigningKey, Tile,
    TileLevel, TreeHead, VerifierKey, new_tiles, record_hash, split_data_tile, tile_of,
};

use crate::log::{Log, Random, golden_module, salted_record};

/// How many look-ups and proofs of each kind a log has for each of its heads.
const SAMPLES: usize = 40;

/// Salts, and the sizes at which each log is signed; the last ones random.
fn logs() -> Vec<(String, Vec<u64>)> {
    let mut logs = vec![
        ("a".to_owned(), vec![1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513]),
        ("bc".to_owned(), vec![1000, 1024, 65_535, 65_536, 65_537, 65_791, 65_792, 65_793]),
    ];
    let mut random = Random(5);
    for length in [3, 4, 5, 6] {
        let mut sizes: Vec<u64> = (0..8).map(|_| 1 + random.below(70_000)).collect();
        sizes.push(70_000);
        sizes.sort_unstable();
        sizes.dedup();
        logs.push(("x".repeat(length), sizes));
    }
    logs
}

/// Runs the Go program and returns what it prints.
fn go(command: &str, dir: &Path, rest: &[String]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
    // `go run` builds into Go's own cache, so a second run starts at once.
    let output = Command::new("go")
        .args(["run", ".", command])
        .arg(dir)
        .args(rest)
        .current_dir(source)
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .output()
        .unwrap_or_else(|error| panic!("this test needs `go` on PATH (1.26 or newer): {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the Go program failed: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_room_verifies_what_go_writes() {
    for (salt, sizes) in logs() {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = vec![salt.clone()];
        arguments.extend(sizes.iter().map(u64::to_string));
        go("make", dir.path(), &arguments);
        let log = Log::salted(*sizes.last().unwrap(), &salt);
        verify_folder(dir.path(), &log, &salt, &sizes);
    }
}

fn verify_folder(dir: &Path, log: &Log, salt: &str, sizes: &[u64]) {
    let load = |path: &str| fs::read(dir.join(path)).unwrap();
    let text = |path: &str| String::from_utf8(load(path)).unwrap();
    let key: VerifierKey = text("vkey").parse().unwrap();
    let signing = SigningKey::parse(&text("skey")).unwrap();
    assert_eq!(signing.verifier(), key);
    assert_eq!(*signing.reveal(), text("skey"));
    // Partial tiles may be gone once a larger tree needs the full one.
    let newest = *sizes.last().unwrap();
    let tile = |wanted: Tile, size: u64| {
        let bytes = load(&wanted.path());
        assert!(wanted.exists_in(size) && size <= newest);
        bytes
    };
    let mut frontier = Frontier::new();
    let mut random = Random(9);
    for (place, &size) in sizes.iter().enumerate() {
        let older = if place == 0 { 0 } else { sizes[place - 1] };
        for tile in new_tiles(older, size) {
            assert_eq!(load(&tile.path()), tile_of(tile, log.leaves()).unwrap(), "{tile}");
            check_data(&load, tile, log);
        }
        (older..size).for_each(|id| frontier.append(log.leaf(id)));
        let message = load(&format!("head/{size}"));
        let head = SignedHead::open(&key, &message).unwrap();
        assert_eq!(*head.head(), frontier.head());
        let signature = signing.sign(&head.head().text());
        let again = Note { text: head.head().text(), signatures: vec![signature] };
        assert_eq!(again.message().as_bytes(), message);

        let ids: Vec<u64> = (0..SAMPLES).map(|_| random.below(size)).collect();
        let mut questions: Vec<_> = ids.iter().map(|&id| Question::Leaf(id)).collect();
        questions.extend(sizes[..place].iter().map(|&size| Question::Tree(size)));
        let plan = Plan::new(head.head(), &questions).unwrap();
        let tiles: Vec<_> = plan.tiles().iter().map(|&wanted| tile(wanted, size)).collect();
        let reading = plan.verify(&tiles).unwrap();
        for id in ids {
            reading.prove(id, salted_record(id, salt)).unwrap();
        }
        for &older in &sizes[..place] {
            reading.extends(&log.head(older)).unwrap();
        }
    }
    verify_lookups(dir, log, &key);
    verify_proofs(&text("proofs"), log);
}

/// A data tile's records are the leaves of the tile of hashes beside it.
fn check_data(load: &dyn Fn(&str) -> Vec<u8>, tile: Tile, log: &Log) {
    if tile.level == TileLevel::Hashes(0) {
        let data = load(&Tile { level: TileLevel::Data, ..tile }.path());
        for (id, record) in (tile.index * 256..).zip(split_data_tile(&data, tile.width).unwrap()) {
            assert_eq!(record_hash(record.as_bytes()), log.leaf(id));
        }
    }
}

fn verify_lookups(dir: &Path, log: &Log, key: &VerifierKey) {
    let mut count = 0;
    for entry in fs::read_dir(dir.join("lookup/golden.example")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let id: u64 = name.strip_prefix("m@v0.0.").unwrap().parse().unwrap();
        let body = fs::read(entry.path()).unwrap();
        let lookup = Lookup::parse(&golden_module(id), &body).unwrap();
        assert_eq!(lookup.id, id);
        let head = SignedHead::open(key, lookup.message.as_bytes()).unwrap();
        assert_eq!(*head.head(), log.head(head.size()));
        let reading = log.read(head.size(), &[Question::Leaf(id)]);
        reading.prove(id, lookup.record).unwrap();
        count += 1;
    }
    assert!(count > 20, "{count}");
}

fn verify_proofs(proofs: &str, log: &Log) {
    for line in proofs.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (size, other): (u64, u64) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        let bytes = STANDARD.decode(fields[3]).unwrap();
        let hashes = bytes.as_chunks().0.to_vec();
        if fields[0] == "record" {
            let proof = Inclusion { hashes };
            assert_eq!(proof.verify(&log.leaf(other), other, &log.head(size)), Ok(()), "{line}");
            assert_eq!(log.read(size, &[Question::Leaf(other)]).inclusion(other), Ok(proof));
        } else {
            let proof = Consistency { hashes };
            assert_eq!(proof.verify(&log.head(other), &log.head(size)), Ok(()), "{line}");
            assert_eq!(log.read(size, &[Question::Tree(other)]).consistency(other), Ok(proof));
        }
    }
    assert!(proofs.lines().count() > 10 * SAMPLES);
}

#[test]
fn go_verifies_what_the_room_writes() {
    for (salt, sizes) in logs() {
        let dir = tempfile::tempdir().unwrap();
        let (tiles, lookups) = write_folder(dir.path(), &salt, &sizes);
        let proofs = sizes.len() * SAMPLES * 2;
        let expected =
            format!("heads {} tiles {tiles} lookups {lookups} proofs {proofs}\n", sizes.len());
        assert_eq!(go("check", dir.path(), &[]), expected);
    }
}

/// Writes a log as it grows and returns how many tiles and look-ups it has.
fn write_folder(dir: &Path, salt: &str, sizes: &[u64]) -> (usize, usize) {
    let save = |path: &str, bytes: &[u8]| {
        let file = dir.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    };
    let log = Log::salted(*sizes.last().unwrap(), salt);
    let key = SigningKey::from_seed("sumdb.golden.example".parse().unwrap(), [7; 32]);
    save("skey", key.reveal().as_bytes());
    save("vkey", key.verifier().to_string().as_bytes());
    save("salt", salt.as_bytes());
    let (mut frontier, mut older, mut random) = (Frontier::new(), 0, Random(3));
    let (mut tiles, mut lookups, mut proofs) = (0, Vec::new(), Vec::new());
    for &size in sizes {
        (older..size).for_each(|id| frontier.append(log.leaf(id)));
        for tile in new_tiles(older, size) {
            save(&tile.path(), &tile_of(tile, log.leaves()).unwrap());
            tiles += 1;
            if tile.level == TileLevel::Hashes(0) {
                let ids = (tile.index * 256..).take(usize::from(tile.width));
                let data: Vec<_> =
                    ids.map(|id| format!("{}\n", salted_record(id, salt).text())).collect();
                save(&Tile { level: TileLevel::Data, ..tile }.path(), data.concat().as_bytes());
                tiles += 1;
            }
        }
        let head: TreeHead = frontier.head();
        let text = head.text();
        let message = Note { signatures: vec![key.sign(&text)], text }.message();
        save(&format!("head/{size}"), message.as_bytes());
        for _ in 0..SAMPLES {
            let (id, from) = (random.below(size), 1 + random.below(size));
            let lookup = format!("{id}\n{}\n{message}", salted_record(id, salt).text());
            save(&format!("lookup/golden.example/m@v0.0.{id}"), lookup.as_bytes());
            lookups.push(id);
            let reading = log.read(size, &[Question::Leaf(id), Question::Tree(from)]);
            let proof = STANDARD.encode(reading.inclusion(id).unwrap().hashes.concat());
            proofs.push(format!("record {size} {id} {proof}\n"));
            let proof = STANDARD.encode(reading.consistency(from).unwrap().hashes.concat());
            proofs.push(format!("tree {size} {from} {proof}\n"));
        }
        older = size;
    }
    save("proofs", proofs.concat().as_bytes());
    lookups.sort_unstable();
    lookups.dedup();
    (tiles, lookups.len())
}
