//! Tree heads: what parses begins with the text that it prints as.

use tlog::TreeHead;

/// Tries one text.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(head) = TreeHead::parse(text) else { return };
    assert!(text.starts_with(&head.text()));
    assert!(i64::try_from(head.size).is_ok());
}
