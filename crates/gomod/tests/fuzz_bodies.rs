//! Runs the bodies of the fuzz targets on bounded, nearly valid input.

#[path = "../../../fuzz/bodies/gomod_file.rs"]
mod gomod_file;
#[path = "../../../fuzz/bodies/goproxy_list.rs"]
mod goproxy_list;
#[path = "../../../fuzz/bodies/request_path.rs"]
mod request_path;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn request_paths_hold(
        bytes: Vec<u8>,
        text in "/(sumdb/)?(a\\.b|%41|!a|%21a|/|C){1,4}(/@v/|/@latest|/@|@v1\\.0\\.0)?(v2?[01](\\.0){0,2}|list|[a-z%+~ .!]{1,6})?(-!?r(\\.1)?)?(\\.(info|mod|zip))?",
    ) {
        request_path::run(&bytes);
        request_path::run(text.as_bytes());
    }

    #[test]
    fn go_mod_files_hold(
        bytes: Vec<u8>,
        text in "((module|go|require|retract|ignore|toolchain) |a\\.b|v1\\.[01]\\.0 ?|1\\.2|[ \n()\\[\\],\"`\\\\/é]|\n|// ?|\\(\n|\n\\)\n){0,30}",
    ) {
        gomod_file::run(&bytes);
        gomod_file::run(text.as_bytes());
    }

    #[test]
    fn goproxy_lists_hold(
        bytes: Vec<u8>,
        text in "((https?|file|HTTP):/{0,3}|direct|off|a\\.b|u:p@|[,|:/@%?#\\[\\]0-9 é]|%20){0,12}",
    ) {
        goproxy_list::run(&bytes);
        goproxy_list::run(text.as_bytes());
    }
}
