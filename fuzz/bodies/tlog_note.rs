//! Signed notes: the parts of a note are those of the message, and print as it.

use tlog::{MAX_SIGNATURES, Note, SignedHead, TreeHead, VerifierKey};

/// Tries one message.
pub(crate) fn run(data: &[u8]) {
    let Ok(note) = Note::parse(data) else { return };
    assert!(note.text.ends_with('\n') && data.starts_with(note.text.as_bytes()));
    assert!((1..=MAX_SIGNATURES).contains(&note.signatures.len()));
    assert!(note.signatures.iter().all(|signature| !signature.bytes.is_empty()));
    assert_eq!(note.message().as_bytes(), data);
    let _ = TreeHead::parse(&note.text);
    let key = "sumdb.golden.example+a1298de0+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    let Ok(key) = VerifierKey::parse(key) else { return };
    if let Ok(head) = SignedHead::open(&key, data) {
        assert_eq!(note.verify(&key), Ok(()));
        assert_eq!(head.has_extensions(), head.head().text() != note.text);
    }
}
