//! Keys of databases: what parses prints as it was, but for the case of the hash.

use tlog::{SigningKey, VerifierKey};

/// Tries one text.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = VerifierKey::parse(text) {
        assert!(key.to_string().eq_ignore_ascii_case(text));
        assert!(!key.verify(text, data));
    }
    if let Ok(key) = SigningKey::parse(text) {
        assert!(key.reveal().eq_ignore_ascii_case(text));
        assert!(key.verifier().verify(text, &key.sign(text).bytes));
        assert!(!format!("{key:?}").contains(key.reveal().as_str()));
    }
}
