//! Vectors that Go's golang.org/x/mod and other implementations agree on, and real signed heads.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tlog::{
    Error, Frontier, Note, Question, SignedHead, SigningKey, Tile, VerifierKey, new_tiles, tile_of,
};

use crate::log::{Log, golden_record};

const VKEY: &str = "sumdb.golden.example+a1298de0+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const ROOTS: [(u64, &str); 10] = [
    (0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    (1, "WR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU="),
    (2, "z3Z11Wm4+7Lc3trCgFSsXL7oVfctXszF5KcTi9KPjfA="),
    (3, "bBskskILWVt/WMg8Q72lPF8yrRylbr1hck5Ezea+CiI="),
    (255, "wDpbcq2Clce4+Nm6tmBJZEo4gt8tIFnrkLWuEv47K9I="),
    (256, "rNva8me3yxPxx5zIl3efDo0NmJ35wcdB3XharcGgh5c="),
    (257, "hLWTYAbYkPJn8KA5aBtn7G281VeQr9YXPcCcZ1eSlt0="),
    (1000, "ZYQhbajXyzOK/Dj+6U9m73roDj3if2CtC4t0P6BMcJU="),
    (65_536, "e0w11vGgSfr8lcsxp/oOz0Qx4ukYmz8nNSqD5XRoM5s="),
    (65_793, "BkEsCjHPPRLv834w9buO6kQlgUiZtBuMk50eIHOg1S8="),
];
const SIGNATURES: [(u64, &str); 2] = [
    (
        1,
        "oSmN4DyE4ZJOi47vD3p4R6txHistcsZdyLUtIxj0yxvJfohA1fVSuOqhBT9CWUHOCuI0qifb7VWNfRsT0soMesxUPgA=",
    ),
    (
        257,
        "oSmN4OBk8qoszib5yb5gHrllDK4wbNzaZ0NBYYPSzHIQYZC2nhWvLxfFmW1h8xuJcaAgEA+xOPrCgjfHEswS8bEl+wQ=",
    ),
];

fn signing_key() -> SigningKey {
    let seed = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
    SigningKey::from_seed("sumdb.golden.example".parse().unwrap(), seed)
}

/// The first bytes of the SHA-256, in hex.
fn prefix(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.map(|byte| format!("{byte:02x}"))[..8].concat()
}

#[test]
fn the_key_is_the_golden_one() {
    assert_eq!(signing_key().verifier().to_string(), VKEY);
}

#[test]
fn roots_and_tiles_are_the_golden_ones() {
    let log = Log::golden(65_793);
    let mut frontier = Frontier::new();
    let mut roots = ROOTS.iter().peekable();
    for id in 0..=log.size() {
        if let Some((size, root)) = roots.next_if(|(size, _)| *size == id) {
            assert_eq!(STANDARD.encode(frontier.root()), *root, "{size}");
            assert_eq!(frontier.head(), log.head(*size));
        }
        if id < log.size() {
            frontier.append(log.leaf(id));
        }
    }
    assert_eq!(roots.next(), None);
    assert_eq!(ROOTS[1].1, STANDARD.encode(log.leaf(0)));

    for (path, expected) in [
        ("tile/8/0/000.p/1", "16af30909b30179e"),
        ("tile/8/0/256", "8d6877bf7baf40e5"),
        ("tile/8/1/001.p/1", "44e72ff5c33349ae"),
        ("tile/8/2/000.p/1", "a6c32fc19093f1b2"),
    ] {
        let tile = Tile::parse(path).unwrap();
        assert!(tile.exists_in(log.size()));
        assert_eq!(prefix(&log.tile(tile)), expected, "{path}");
        assert_eq!(tile_of(tile, log.leaves()), Some(log.tile(tile)));
    }
    let written: Vec<Tile> = new_tiles(0, log.size()).collect();
    assert_eq!(written.len(), 257 + 1 + 1 + 1 + 1);
}

#[test]
fn signatures_are_the_golden_ones() {
    let key = signing_key();
    let log = Log::golden(257);
    for (size, signature) in SIGNATURES {
        let text = log.head(size).text();
        let note = Note { signatures: vec![key.sign(&text)], text };
        let line = format!("\n\u{2014} sumdb.golden.example {signature}\n");
        assert!(note.message().ends_with(&line), "{}", note.message());
        let head = SignedHead::open(&VKEY.parse().unwrap(), note.message().as_bytes()).unwrap();
        assert_eq!((head.head(), head.message()), (&log.head(size), note.message().as_str()));
        assert!(!head.has_extensions());
    }
}

#[test]
fn proofs_are_the_golden_ones() {
    let log = Log::golden(65_793);
    let reading = log.read(65_793, &[Question::Tree(1000), Question::Leaf(777)]);
    let consistency = reading.consistency(1000).unwrap();
    assert_eq!(consistency.hashes.len(), 15);
    assert_eq!(prefix(&consistency.hashes.concat()), "630c7f48692ae948");
    assert_eq!(consistency.verify(&log.head(1000), &log.head(65_793)), Ok(()));
    let inclusion = reading.inclusion(777).unwrap();
    assert_eq!(inclusion.hashes.len(), 17);
    assert_eq!(prefix(&inclusion.hashes.concat()), "78786973ca3edb6e");
    assert_eq!(inclusion.verify(&log.leaf(777), 777, &log.head(65_793)), Ok(()));
    let proven = reading.prove(777, golden_record(777)).unwrap();
    assert_eq!((proven.id(), proven.head()), (777, &log.head(65_793)));
}

#[test]
fn a_real_head_is_signed_by_the_public_key() {
    let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: VerifierKey = key.parse().unwrap();
    let root = "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=";
    let signature = "Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=";
    let text = format!("go.sum database tree\n35225469\n{root}\n");
    let message = format!("{text}\n\u{2014} sum.golang.org {signature}\n");
    let head = SignedHead::open(&key, message.as_bytes()).unwrap();
    assert_eq!((head.size(), head.head().text()), (35_225_469, text));
    let other = message.replace("35225469", "35225470");
    let refused = SignedHead::open(&key, other.as_bytes());
    assert_eq!(refused, Err(Error::Signature { name: key.name().clone() }));
    let note = Note::parse(b"a\n\n\xe2\x80\x94 sum.golang.org AAAAAAA=\n").unwrap();
    assert_eq!(note.verify(&key), Err(Error::Unsigned { name: key.name().clone() }));
}
