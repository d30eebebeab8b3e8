//! Runs the bodies of the fuzz targets on bounded, nearly valid input.

#[path = "../../../fuzz/bodies/tlog_bundle.rs"]
mod tlog_bundle;
#[path = "../../../fuzz/bodies/tlog_head.rs"]
mod tlog_head;
#[path = "../../../fuzz/bodies/tlog_key.rs"]
mod tlog_key;
#[path = "../../../fuzz/bodies/tlog_lookup.rs"]
mod tlog_lookup;
#[path = "../../../fuzz/bodies/tlog_note.rs"]
mod tlog_note;
#[path = "../../../fuzz/bodies/tlog_plan.rs"]
mod tlog_plan;
#[path = "../../../fuzz/bodies/tlog_proof.rs"]
mod tlog_proof;
#[path = "../../../fuzz/bodies/tlog_record.rs"]
mod tlog_record;
#[path = "../../../fuzz/bodies/tlog_tile.rs"]
mod tlog_tile;

use proptest::prelude::*;

const PROOF: &[u8] = include_bytes!("../testdata/golden.tlog-proof");
const BUNDLE: &[u8] = include_bytes!("../testdata/kubectl.bundle");

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

    #[test]
    fn keys_hold(bytes: Vec<u8>, text in "(PRIVATE\\+KEY\\+)?[a-z.]{0,8}\\+[0-9a-fé]{7,9}\\+A[A-Za-z0-9+/=]{42,44}") {
        tlog_key::run(&bytes);
        tlog_key::run(text.as_bytes());
    }

    #[test]
    fn heads_hold(bytes: Vec<u8>, text in "go\\.sum database tree\n[0-9]{0,20}\n[A-Za-z0-9+/]{42,43}=?\n?.{0,9}\n?") {
        tlog_head::run(&bytes);
        tlog_head::run(text.as_bytes());
    }

    #[test]
    fn records_hold(
        bytes: Vec<u8>,
        text in "(a\\.b/[Cc] v1\\.0\\.[01](/go\\.mod)? (h1:47DEQpj8HBSa\\+/TImW\\+5JCeuQeRkm5NMpJWZG3hSuFU=|h1:)\n\n?){0,4}",
    ) {
        tlog_record::run(&bytes);
        tlog_record::run(text.as_bytes());
    }

    #[test]
    fn bundles_hold(bytes: Vec<u8>, cut in 0_usize..3000, length in 0_usize..4, piece in "[0-9a-z\n\\PC]{0,3}") {
        tlog_bundle::run(&bytes);
        tlog_bundle::run(BUNDLE);
        let (start, end) = (cut.min(BUNDLE.len()), (cut + length).min(BUNDLE.len()));
        let altered = [BUNDLE.get(..start), Some(piece.as_bytes()), BUNDLE.get(end..)];
        tlog_bundle::run(&altered.into_iter().flatten().collect::<Vec<_>>().concat());
    }

    #[test]
    fn proofs_hold(bytes: Vec<u8>, cut in 0_usize..1000, length in 0_usize..4, piece in "[0-9a-z\n\\PC]{0,3}") {
        tlog_proof::run(&bytes);
        tlog_proof::run(PROOF);
        let (start, end) = (cut.min(PROOF.len()), (cut + length).min(PROOF.len()));
        let altered = [PROOF.get(..start), Some(piece.as_bytes()), PROOF.get(end..)];
        tlog_proof::run(&altered.into_iter().flatten().collect::<Vec<_>>().concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn plans_hold(size: u64, zeros in 0_u32..64, places: [u64; 4], bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let numbers = [size >> zeros, places[0] >> zeros, places[1] >> zeros, places[2] >> zeros, places[3]];
        let start: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        tlog_plan::run(&[start, bytes].concat());
    }
}
