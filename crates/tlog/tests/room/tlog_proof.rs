//! C2SP tlog-proof: what one says is proven or refused, byte by byte.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog::{
    Error, MAX_MESSAGE_BYTES, MAX_PROOF_HASHES, MAX_RECORD_BYTES, MAX_TLOG_PROOF_BYTES, Question,
    Record, SignedCheckpoint, SigningKey, TlogProof, sign_checkpoint,
};

use crate::log::{Log, golden_module, golden_record};

/// Record 3 of the golden log of 257: source of key and records reference sumdb.md §7.
const GOLDEN: &str = include_str!("../../testdata/golden.tlog-proof");

fn key() -> SigningKey {
    let seed: Vec<u8> = (0..32).collect();
    SigningKey::from_seed("sumdb.golden.example".parse().unwrap(), seed.try_into().unwrap())
}

fn checkpoint(log: &Log, size: u64) -> SignedCheckpoint {
    sign_checkpoint(&[Arc::new(key())], &log.head(size)).unwrap()
}

fn proof(size: u64, id: u64) -> TlogProof {
    let log = Log::golden(size);
    let reading = log.read(size, &[Question::Leaf(id)]);
    let proven = reading.prove(id, golden_record(id)).unwrap();
    TlogProof::new(&proven, &reading.inclusion(id).unwrap(), &checkpoint(&log, size)).unwrap()
}

fn check(text: &[u8]) -> Result<tlog::Proven, Error> {
    TlogProof::parse(text)?.verify(&key().verifier())
}

#[test]
fn the_golden_proof_is_written_and_proven() {
    assert_eq!(proof(257, 3).to_string(), GOLDEN);
    assert!(TlogProof::is_one(GOLDEN.as_bytes()) && !TlogProof::is_one(b"go.sum database"));
    let lines: Vec<&str> = GOLDEN.split('\n').collect();
    assert_eq!(lines[0], "c2sp.org/tlog-proof@v1");
    let extra = STANDARD.decode(lines[1].strip_prefix("extra ").unwrap()).unwrap();
    assert_eq!(extra, golden_record(3).text().as_bytes());
    assert_eq!((lines[2], lines[12], lines[13]), ("index 3", "", "sumdb.golden.example"));
    assert_eq!(lines[14], "257");
}

#[test]
fn a_proof_is_checked_from_its_text_alone() {
    for (size, id) in [(1, 0), (2, 1), (256, 255), (257, 256), (1000, 777)] {
        let text = proof(size, id).to_string();
        let parsed = TlogProof::parse(text.as_bytes()).unwrap();
        assert_eq!((parsed.to_string(), parsed.id()), (text.clone(), id));
        assert_eq!(*parsed.record(), golden_record(id));
        let proven = check(text.as_bytes()).unwrap();
        assert_eq!((proven.id(), proven.head().size), (id, size));
        assert_eq!(*proven.record().module(), golden_module(id));
    }
    let other = SigningKey::from_seed("sumdb.golden.example".parse().unwrap(), [1; 32]);
    assert!(proof(2, 1).verify(&other.verifier()).is_err());
}

/// First line, extra, index, proof, checkpoint, signature and every line feed between.
#[test]
fn any_altered_byte_is_refused() {
    for (size, id) in [(257, 3), (1, 0)] {
        let text = proof(size, id).to_string();
        for place in 0..text.len() {
            for other in [0x01, 0x08, 0x20] {
                let mut altered = text.clone().into_bytes();
                altered[place] ^= other;
                assert!(check(&altered).is_err(), "byte {place}, {other}");
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
    }
}

#[test]
fn cosignatures_of_witnesses_are_let_be() {
    let text = format!("{}\u{2014} witness.example AAAAAAQ=\n", proof(2, 1));
    assert!(check(text.as_bytes()).is_ok());
}

#[test]
fn only_what_is_proven_is_packed() {
    let log = Log::golden(300);
    let reading = log.read(300, &[Question::Leaf(7), Question::Leaf(8)]);
    let proven = reading.prove(7, golden_record(7)).unwrap();
    let (right, wrong) = (reading.inclusion(7).unwrap(), reading.inclusion(8).unwrap());
    assert!(TlogProof::new(&proven, &right, &checkpoint(&log, 300)).is_ok());
    let refused = |size| Err(Error::NotInTree { id: 7, size });
    assert_eq!(TlogProof::new(&proven, &wrong, &checkpoint(&log, 300)), refused(300));
    assert_eq!(TlogProof::new(&proven, &right, &checkpoint(&log, 299)), refused(299));
    let record = golden_record(0);
    let blind = format!("blind x\n{}", record.text());
    let record = Record::parse(record.module(), &blind).unwrap();
    let log = Log::new(vec![record.hash()]);
    let reading = log.read(1, &[Question::Leaf(0)]);
    let proven = reading.prove(0, record).unwrap();
    let packed = TlogProof::new(&proven, &reading.inclusion(0).unwrap(), &checkpoint(&log, 1));
    assert_eq!(packed, Err(Error::Bundle), "no line of a zip first");
}

#[test]
fn other_texts_are_refused() {
    let text = proof(2, 1).to_string();
    let record = STANDARD.encode(golden_record(1).text());
    let with = |other: &str| text.replace(&record, &STANDARD.encode(other));
    let other = golden_record(1).text().replace("v0.0.1/", "v0.0.2/");
    for (bad, error) in [
        (String::new(), Error::Bundle),
        (text.replace("@v1", "@v2"), Error::Bundle),
        (text.replace(&format!("extra {record}\n"), ""), Error::Bundle),
        (text.replace("extra ", "extra  "), Error::Bundle),
        (text.replace("index 1", "index 01"), Error::Bundle),
        (text.replace("index 1\n", ""), Error::Bundle),
        (text.replace("index 1\n", "index 1\n\n"), Error::Head),
        (text.replace('\n', "\r\n"), Error::Bundle),
        (with("hello\n"), Error::Bundle),
        (with(&other), Error::WrongModule { module: golden_module(1) }),
        (text.replace("\n\nsumdb.golden.example\n", "\n\nNo Name\n"), Error::Name),
        (text.replace('\u{2014}', "-"), Error::Note),
    ] {
        assert_eq!(TlogProof::parse(bad.as_bytes()), Err(error), "{bad}");
    }
    let not_text = text.replace(&record, &STANDARD.encode(b"\xff"));
    assert_eq!(TlogProof::parse(not_text.as_bytes()), Err(Error::Bundle));
}

#[test]
fn proof_record_and_size_are_bounded() {
    let text = proof(1, 0).to_string();
    let hash = "WR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=\n";
    let long = |count| text.replace("index 0\n", &format!("index 0\n{}", hash.repeat(count)));
    assert!(TlogProof::parse(long(MAX_PROOF_HASHES).as_bytes()).is_ok());
    assert!(check(long(MAX_PROOF_HASHES).as_bytes()).is_err());
    let past = TlogProof::parse(long(MAX_PROOF_HASHES + 1).as_bytes());
    assert_eq!(past, Err(Error::Bundle));
    let record = golden_record(0);
    let padded = |bytes: usize| {
        let more = "x".repeat(bytes - record.text().len() - 1);
        let wide = STANDARD.encode(format!("{}{more}\n", record.text()));
        TlogProof::parse(text.replace(&STANDARD.encode(record.text()), &wide).as_bytes())
    };
    assert!(padded(MAX_RECORD_BYTES).is_ok());
    assert_eq!(padded(MAX_RECORD_BYTES + 1), Err(Error::Bundle));
    // The bound of the whole lies above those of its parts together.
    let parts = MAX_MESSAGE_BYTES + MAX_RECORD_BYTES.div_ceil(3) * 4;
    assert!(MAX_TLOG_PROOF_BYTES - parts > 23 + 6 + 26 + 45 * MAX_PROOF_HASHES + 2);
    let whole = text.clone() + &"x".repeat(MAX_TLOG_PROOF_BYTES + 1 - text.len());
    assert_eq!(TlogProof::parse(whole.as_bytes()), Err(Error::Bundle));
}
