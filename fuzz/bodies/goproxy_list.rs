//! GOPROXY values: every URL of a list is a list of that URL.

use gomod::goproxy::{List, Target};

/// Tries one GOPROXY value.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(List(entries)) = text.parse() else { return };
    assert!(!entries.is_empty());
    for (index, entry) in entries.iter().enumerate() {
        let Target::Url(url) = &entry.target else {
            assert_eq!(index + 1, entries.len());
            continue;
        };
        let again = url.parse::<List>().map(|list| list.0.into_iter().map(|entry| entry.target));
        assert_eq!(again.map(Vec::from_iter), Ok(vec![entry.target.clone()]));
    }
}
