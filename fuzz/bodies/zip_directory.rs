//! Module zips: what the stream is sure of, the judgement by the directory says too.

use std::io::Cursor;

use gomod::{ModVer, ModulePath, Version};
use modzip::{Checker, Opinion, check};

/// Tries one zip of `a.b/C@v1.0.0`.
pub(crate) fn run(data: &[u8]) {
    let path = ModulePath::parse("a.b/C").ok();
    let Some((path, version)) = path.zip(Version::parse("v1.0.0").ok()) else { return };
    let Ok(module) = ModVer::new(path, version) else { return };
    let mut stream = Checker::new(&module);
    let (head, tail) = data.split_at(data.len() / 2);
    for piece in [head, tail] {
        if stream.feed(piece).is_err() {
            return;
        }
    }
    let by_directory = check(&module, Cursor::new(data)).ok();
    if let Ok(Opinion::Final(streamed)) = stream.finish() {
        assert_eq!(Some(streamed), by_directory);
    }
}
