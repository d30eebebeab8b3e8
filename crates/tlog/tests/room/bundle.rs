//! Bundles: what one says is proven or refused, byte by byte.

use tlog::{
    Bundle, Error, MAX_BUNDLE_BYTES, MAX_PROOF_HASHES, Note, Question, Record, SignedHead,
    SigningKey, VerifierKey,
};

use crate::log::{Log, golden_module, golden_record};

/// A real version in the public log, proven by tiles that the `go` command had fetched and verified.
const REAL: &str = include_str!("../../testdata/kubectl.bundle");

fn key() -> SigningKey {
    SigningKey::from_seed("log.example".parse().unwrap(), [1; 32])
}

fn head(log: &Log, size: u64, below: &str) -> SignedHead {
    let text = format!("{}{below}", log.head(size).text());
    let message = Note { signatures: vec![key().sign(&text)], text }.message();
    SignedHead::open(&key().verifier(), message.as_bytes()).unwrap()
}

fn bundle(size: u64, id: u64) -> Bundle {
    let log = Log::golden(size);
    let reading = log.read(size, &[Question::Leaf(id)]);
    let proven = reading.prove(id, golden_record(id)).unwrap();
    let inclusion = reading.inclusion(id).unwrap();
    Bundle::new(&proven, &inclusion, &head(&log, size, "")).unwrap()
}

fn check(text: &[u8]) -> Result<tlog::Proven, Error> {
    Bundle::parse(text)?.verify(&key().verifier())
}

#[test]
fn a_bundle_is_checked_from_its_text_alone() {
    for (size, id) in [(1, 0), (2, 1), (256, 255), (257, 256), (1000, 777)] {
        let text = bundle(size, id).to_string();
        let parsed = Bundle::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed, bundle(size, id));
        assert_eq!((parsed.to_string(), parsed.id()), (text.clone(), id));
        assert_eq!(*parsed.record(), golden_record(id));
        let proven = check(text.as_bytes()).unwrap();
        assert_eq!((proven.id(), proven.head().size), (id, size));
        assert_eq!(*proven.record().module(), golden_module(id));
    }
}

#[test]
fn a_bundle_of_the_public_log_is_proven() {
    let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: VerifierKey = key.parse().unwrap();
    let bundle = Bundle::parse(REAL.as_bytes()).unwrap();
    assert_eq!(bundle.to_string(), REAL);
    let proven = bundle.verify(&key).unwrap();
    assert_eq!((proven.id(), proven.head().size), (70_281_087, 71_318_111));
    assert_eq!(proven.record().module().to_string(), "k8s.io/kubectl@v0.37.2");
    assert_eq!(proven.record().zip_h1(), "h1:AGGIhrGSsXtrL6BZWf7Hp2K9yB+2qdx7wovsOP1MiCg=");
    let unsigned = Err(Error::Unsigned { name: "log.example".parse().unwrap() });
    assert_eq!(check(REAL.as_bytes()), unsigned);
}

/// First line, id, proof, record, head, signature and every line feed between: all of it.
#[test]
fn any_altered_byte_is_refused() {
    for (size, id) in [(257, 3), (70, 69), (1, 0)] {
        let text = bundle(size, id).to_string();
        let mut reasons = std::collections::BTreeMap::<String, usize>::new();
        for place in 0..text.len() {
            for other in (0..8).map(|bit| 1 << bit).chain([0x03, 0x10 ^ 0x0a]) {
                let mut altered = text.clone().into_bytes();
                altered[place] ^= other;
                let reason = check(&altered).unwrap_err();
                *reasons.entry(format!("{reason:?}").chars().take(9).collect()).or_default() += 1;
            }
            let mut cut = text.clone().into_bytes();
            cut.remove(place);
            assert!(check(&cut).is_err(), "without byte {place}");
            let mut longer = text.clone().into_bytes();
            longer.insert(place, text.as_bytes()[place]);
            assert!(check(&longer).is_err(), "with byte {place} twice");
            assert!(check(&text.as_bytes()[..place]).is_err(), "only {place} bytes");
        }
        assert!(check(format!("{text}\n").as_bytes()).is_err());
        // Each part of the check is the one that refuses some of them.
        if size > 1 {
            for reason in ["Bundle", "Note", "Unsigned", "Signature", "NotInTree", "Head"] {
                let found = reasons.keys().any(|key| reason.starts_with(&key[..4]));
                assert!(found, "{reason}: {reasons:?}");
            }
        }
    }
}

#[test]
fn lines_may_not_be_moved() {
    let text = bundle(257, 3).to_string();
    let lines: Vec<&str> = text.split('\n').collect();
    for first in 0..lines.len() {
        for second in first + 1..lines.len() {
            let mut moved = lines.clone();
            moved.swap(first, second);
            if moved != lines {
                assert!(check(moved.join("\n").as_bytes()).is_err(), "{first} and {second}");
            }
        }
    }
}

#[test]
fn only_what_is_proven_is_packed() {
    let log = Log::golden(300);
    let reading = log.read(300, &[Question::Leaf(7), Question::Leaf(8)]);
    let proven = reading.prove(7, golden_record(7)).unwrap();
    let (right, wrong) = (reading.inclusion(7).unwrap(), reading.inclusion(8).unwrap());
    let head_of = |size| head(&log, size, "");
    assert!(Bundle::new(&proven, &right, &head_of(300)).is_ok());
    let refused = |size| Err(Error::NotInTree { id: 7, size });
    assert_eq!(Bundle::new(&proven, &wrong, &head_of(300)), refused(300));
    assert_eq!(Bundle::new(&proven, &right, &head_of(299)), refused(299));
    // Another head that holds the record is as good.
    let older = log.read(200, &[Question::Leaf(7)]).inclusion(7).unwrap();
    assert!(Bundle::new(&proven, &older, &head_of(200)).is_ok());
    // Lines below the root are signed, and kept.
    let extended = Bundle::new(&proven, &right, &head(&log, 300, "more\n\nlines\n")).unwrap();
    assert!(check(extended.to_string().as_bytes()).is_ok());
}

#[test]
fn the_first_line_of_the_record_names_the_module() {
    let record = golden_record(0);
    let (module, blind) = (record.module(), format!("blind x\n{}", record.text()));
    let blinded = Record::parse(module, &blind).unwrap();
    let after = Record::parse(module, &format!("{}blind x\n", record.text())).unwrap();
    for (record, expected) in [(blinded, Err(Error::Bundle)), (after, Ok(()))] {
        let log = Log::new(vec![record.hash()]);
        let reading = log.read(1, &[Question::Leaf(0)]);
        let proven = reading.prove(0, record).unwrap();
        let inclusion = reading.inclusion(0).unwrap();
        let packed = Bundle::new(&proven, &inclusion, &head(&log, 1, ""));
        assert_eq!(packed.map(|_bundle| ()), expected);
    }
}

#[test]
fn other_texts_are_refused() {
    let text = bundle(2, 1).to_string();
    for (bad, error) in [
        (String::new(), Error::Bundle),
        (text.replace("v1\n", "v2\n"), Error::Bundle),
        (text.replace("v1\n1\n", "v1\n01\n"), Error::Bundle),
        (text.replace("v1\n1\n", "v1\n"), Error::Bundle),
        (text.replace("v1\n1\n", "v1\n1\n\n"), Error::Bundle),
        (text.replace('\n', "\r\n"), Error::Bundle),
        (text.replace(" v0.0.1 ", " latest "), Error::Bundle),
        (text.replace("m v0.0.1/", "m v0.0.2/"), Error::WrongModule { module: golden_module(1) }),
        (text.replace("go.sum database tree", "tree"), Error::Head),
        (text.replace('\u{2014}', "-"), Error::Note),
    ] {
        assert_eq!(Bundle::parse(bad.as_bytes()), Err(error), "{bad}");
    }
    assert_eq!(Bundle::parse(b"\xff"), Err(Error::Bundle));
}

#[test]
fn proof_and_size_are_bounded() {
    let text = bundle(1, 0).to_string();
    let hash = "WR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=\n";
    let long = |count| text.replace("v1\n0\n", &format!("v1\n0\n{}", hash.repeat(count)));
    assert!(Bundle::parse(long(MAX_PROOF_HASHES).as_bytes()).is_ok());
    assert!(check(long(MAX_PROOF_HASHES).as_bytes()).is_err());
    let past = Bundle::parse(long(MAX_PROOF_HASHES + 1).as_bytes());
    assert_eq!(past, Err(Error::Bundle));
    // The bound of the whole lies above those of its parts together.
    let largest = MAX_BUNDLE_BYTES - tlog::MAX_MESSAGE_BYTES - tlog::MAX_RECORD_BYTES;
    assert!(largest > 25 + 20 + 45 * MAX_PROOF_HASHES + 2);
    let whole = text.clone() + &"x".repeat(MAX_BUNDLE_BYTES + 1 - text.len());
    assert_eq!(Bundle::parse(whole.as_bytes()), Err(Error::Bundle));
}
