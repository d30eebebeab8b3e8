//! Bundles: what parses prints as it was, and proves what it says or nothing.

use tlog::{Bundle, VerifierKey};

/// Tries one text.
pub(crate) fn run(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else { return };
    assert_eq!(bundle.to_string().as_bytes(), data);
    let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let Ok(key) = VerifierKey::parse(key) else { return };
    if let Ok(proven) = bundle.verify(&key) {
        assert_eq!((proven.id(), proven.record()), (bundle.id(), bundle.record()));
        assert!(proven.id() < proven.head().size);
    }
}
