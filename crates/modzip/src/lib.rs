//! Judges module zips by Go's rules, hashes them as Go does (`h1:`), and makes them.
//!
//! The room is pure: bytes in, verdict out, no file of its own and no async. A zip that keeps the
//! rules becomes a [`Checked`], the proof that publication asks for. There are two ways there:
//!
//! * [`check`] judges by the central directory, over random access, as Go's own reader does. It
//!   has the last word.
//! * [`Checker`] follows the bytes as they arrive. Its opinion is final when the central
//!   directory says exactly what the stream held; anything else is
//!   [`Opinion::NeedsSecondLook`], and `check` decides.
//!
//! Where both give a verdict they agree, and they agree with `golang.org/x/mod/zip.CheckZip`
//! together with `golang.org/x/mod/sumdb/dirhash.HashZip`, but for what is refused here and
//! tolerated there: an entry name given twice (Go lets directories repeat), entries that together
//! claim more compressed bytes than the file has (overlapping ones), and more than
//! [`MAX_ENTRIES`] entries or [`MAX_NAMES_BYTES`] of names.
//!
//! The other way round, [`select`] says which files of a tree go into a module's zip, and
//! [`Packer`] writes it: the same files give the same bytes on every machine.
//!
//! Sources: go.dev/ref/mod#zip-files, golang/mod `zip/zip.go` and `sumdb/dirhash/hash.go`,
//! golang/go `archive/zip/reader.go`.

mod body;
mod check;
mod checked;
mod checker;
mod collisions;
mod directory;
mod error;
mod h1;
mod limits;
mod pack;
mod select;
mod table;
mod window;

#[cfg(test)]
#[path = "../tests/support/zips.rs"]
#[expect(dead_code, reason = "tests of the room use all of it")]
mod zips;

pub use check::check;
pub use checked::{Checked, CheckedKind};
pub use checker::{Checker, Opinion};
pub use error::{EntryName, Error};
pub use h1::{H1, h1_of_mod};
pub use limits::{
    MAX_CONTENT_BYTES, MAX_ENTRIES, MAX_GO_MOD_BYTES, MAX_LICENSE_BYTES, MAX_NAMES_BYTES,
    MAX_ZIP_BYTES,
};
pub use pack::{Deflater, MAX_PACKED_BYTES, Packed, Packer, Streamed};
pub use select::{
    CreateError, FileKind, MAX_ERROR_LINES, RootLicense, Selection, TreeFile, select,
};
