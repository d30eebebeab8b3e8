//! go.mod files: no input panics, and what was read stays within its limits.

use gomod::modfile::{GoMod, MAX_ENTRIES};

/// Tries one go.mod file.
pub(crate) fn run(data: &[u8]) {
    let Ok(file) = GoMod::parse(data) else { return };
    assert!(file.require.len() + file.retract.len() <= MAX_ENTRIES);
    for (_, text) in &file.require {
        let version = text.parse::<gomod::Version>();
        assert!(version.is_ok(), "{text}");
        if let Ok(version) = version {
            let by_hand = file.retract.iter().any(|retract| {
                let low = retract.low.parse::<gomod::Version>();
                low.is_ok_and(|low| low == version) && retract.low == retract.high
            });
            assert!(!by_hand || file.retracts(&version));
        }
    }
}
