//! Both judgements of one zip, which have to agree.

use std::io::Cursor;

use gomod::{ModVer, ModulePath, Version};
use modzip::{Checked, Checker, Error, Opinion, check};

pub(crate) const PATH: &str = "example.com/M";
pub(crate) const VERSION: &str = "v1.0.0";
pub(crate) const PREFIX: &str = "example.com/M@v1.0.0/";

pub(crate) struct Verdict {
    /// Whether the stream alone was conclusive.
    pub(crate) is_final: bool,
    pub(crate) checked: Result<Checked, Error>,
}

pub(crate) fn module() -> ModVer {
    ModVer::new(ModulePath::parse(PATH).unwrap(), Version::parse(VERSION).unwrap()).unwrap()
}

pub(crate) fn opinion(zip: &[u8], piece_bytes: usize) -> Option<Checked> {
    let mut stream = Checker::new(&module());
    for piece in zip.chunks(piece_bytes) {
        stream.feed(piece).unwrap();
    }
    match stream.finish().unwrap() {
        Opinion::Final(checked) => Some(checked),
        Opinion::NeedsSecondLook => None,
    }
}

/// Judges a zip both ways, the stream in pieces of several sizes.
pub(crate) fn judge(zip: &[u8]) -> Verdict {
    let streamed = opinion(zip, zip.len().max(1));
    for piece_bytes in [1, 7, 4096] {
        assert_eq!(opinion(zip, piece_bytes), streamed, "in pieces of {piece_bytes}");
    }
    let checked = check(&module(), Cursor::new(zip));
    if let Some(streamed) = &streamed {
        assert_eq!(checked.as_ref().unwrap(), streamed, "the second look says otherwise");
    }
    Verdict { is_final: streamed.is_some(), checked }
}
