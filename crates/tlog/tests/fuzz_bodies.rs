//! Runs the bodies of the fuzz targets on bounded, nearly valid input.

#[path = "../../../fuzz/bodies/tlog_lookup.rs"]
mod tlog_lookup;
#[path = "../../../fuzz/bodies/tlog_note.rs"]
mod tlog_note;
#[path = "../../../fuzz/bodies/tlog_tile.rs"]
mod tlog_tile;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn tiles_hold(bytes: Vec<u8>, text in "tile/8/([0-9]|data)(/x?[0-9]{2,4}){0,4}(\\.p/[0-9]{0,4})?") {
        tlog_tile::run(&bytes);
        tlog_tile::run(text.as_bytes());
    }

    #[test]
    fn notes_hold(bytes: Vec<u8>, text in "(a|\n){0,6}\n\n(\u{2014} [a+é ]{0,3} ?A{6,8}={0,2}\n?){0,4}") {
        tlog_note::run(&bytes);
        tlog_note::run(text.as_bytes());
    }

    #[test]
    fn lookups_hold(
        bytes: Vec<u8>,
        text in "[0-3]\n(a\\.b/[Cc] v1\\.0\\.[01](/go\\.mod)? (h1:47DEQpj8HBSa\\+/TImW\\+5JCeuQeRkm5NMpJWZG3hSuFU=|h1:)\n){0,4}\n(go\\.sum database tree\n[0-4]\n47DEQpj8HBSa\\+/TImW\\+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u{2014} a AAAAAAA=\n)?",
    ) {
        tlog_lookup::run(&bytes);
        tlog_lookup::run(text.as_bytes());
    }
}
