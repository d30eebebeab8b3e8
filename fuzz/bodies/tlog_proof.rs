//! Proofs for other tools: what parses prints as it was, and proves what it says or nothing.

use tlog::{TlogProof, VerifierKey};

/// Tries one text.
pub(crate) fn run(data: &[u8]) {
    let Ok(proof) = TlogProof::parse(data) else { return };
    assert!(TlogProof::is_one(data));
    assert_eq!(proof.to_string().as_bytes(), data);
    // The key of the seed, whose proofs hold.
    let key = "sumdb.golden.example+a1298de0+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    let Ok(key) = VerifierKey::parse(key) else { return };
    if let Ok(proven) = proof.verify(&key) {
        assert_eq!((proven.id(), proven.record()), (proof.id(), proof.record()));
        assert!(proven.id() < proven.head().size);
    }
}
