#![no_main]

#[path = "../bodies/zip_directory.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
