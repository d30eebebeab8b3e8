#![no_main]

#[path = "../bodies/goproxy_list.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
