#![no_main]

#[path = "../bodies/request_path.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
