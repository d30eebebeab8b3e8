//! Signed notes: the parts of a note are those of the message.

use tlog::{MAX_SIGNATURES, Note, TreeHead};

/// Tries one message.
pub(crate) fn run(data: &[u8]) {
    let Ok(note) = Note::parse(data) else { return };
    assert!(note.text.ends_with('\n') && data.starts_with(note.text.as_bytes()));
    assert!((1..=MAX_SIGNATURES).contains(&note.signatures.len()));
    assert!(note.signatures.iter().all(|signature| !signature.bytes.is_empty()));
    let _ = TreeHead::parse(&note.text);
}
