//! Runs the body of the fuzz target on bounded, nearly valid input.

use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "../../../fuzz/bodies/zip_directory.rs"]
mod zip_directory;
#[path = "support/zips.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod zips;

use zips::{Item, Zip};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn zips_hold(
        bytes: Vec<u8>,
        names in vec("(a\\.b/C@v1\\.0\\.0/)?([ab/]{0,3}|go\\.mod)", 0..4),
        flips in vec((any::<Index>(), any::<u8>()), 0..3),
    ) {
        zip_directory::run(&bytes);
        let items = names.iter().map(|name| Item::new(name, name.as_bytes()));
        let mut zip = Zip::of(items.collect()).build();
        zip_directory::run(&zip);
        for (at, byte) in flips {
            let at = at.index(zip.len());
            zip[at] ^= byte;
        }
        zip_directory::run(&zip);
    }
}
