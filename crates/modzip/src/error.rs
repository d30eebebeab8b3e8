//! Which rule a zip breaks.

use std::{fmt, io};

/// Longest name shown of a zip's entry, in bytes.
const MAX_SHOWN_BYTES: usize = 200;

/// Why content is refused, one variant for each rule. [`Error::Read`] alone is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The zip file is larger than [`crate::MAX_ZIP_BYTES`].
    #[error("module zip file is too large ({size} bytes; limit is {limit} bytes)")]
    ZipTooLarge {
        /// Length of the file, or as much of it as was seen.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Go's zip reader would not open the file.
    #[error("not a valid zip file: {what}")]
    NotAZip {
        /// What is wrong with it.
        what: &'static str,
    },
    /// There are more entries than [`crate::MAX_ENTRIES`].
    #[error("zip has too many entries (limit is {limit})")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// The names are longer than [`crate::MAX_NAMES_BYTES`] together.
    #[error("names of the zip's entries are too long (limit is {limit} bytes in all)")]
    NamesTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The entries claim more compressed bytes than the file has.
    #[error("entries of the zip overlap")]
    Overlap,
    /// A name does not begin with `module@version/`.
    #[error("{name}: path does not have prefix \"{prefix}\"")]
    Prefix {
        /// The entry.
        name: EntryName,
        /// What it has to begin with.
        prefix: String,
    },
    /// A name has an empty element, `.` or `..`.
    #[error("{name}: file path is not clean")]
    NotClean {
        /// The entry.
        name: EntryName,
    },
    /// A name is not UTF-8.
    #[error("{name}: file path is not UTF-8")]
    NotUtf8 {
        /// The entry.
        name: EntryName,
    },
    /// A name is no valid file path (`module.CheckFilePath`).
    #[error("{name}: malformed file path")]
    BadPath {
        /// The entry.
        name: EntryName,
        /// The rule that it breaks.
        #[source]
        source: gomod::path::Error,
    },
    /// Two names, or directories in them, differ only by case.
    #[error("case-insensitive file name collision: {first} and {second}")]
    CaseCollision {
        /// The name that came first.
        first: EntryName,
        /// The name that collides with it.
        second: EntryName,
    },
    /// A name is a file and the directory of another one.
    #[error("entry {name} is both a file and a directory")]
    FileAndDirectory {
        /// The name.
        name: EntryName,
    },
    /// A name is given twice.
    #[error("multiple entries for {name}")]
    Duplicate {
        /// The name.
        name: EntryName,
    },
    /// A `go.mod` stands below the root.
    #[error("{name}: go.mod file not in module root directory")]
    GoModNotInRoot {
        /// The entry.
        name: EntryName,
    },
    /// The go.mod at the root is spelled in another case.
    #[error("{name}: go.mod files must have lowercase names")]
    GoModCase {
        /// The entry.
        name: EntryName,
    },
    /// A go.mod is larger than [`crate::MAX_GO_MOD_BYTES`].
    #[error("go.mod file too large ({size} bytes; limit is {limit} bytes)")]
    GoModTooLarge {
        /// Its length in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The LICENSE at the root is larger than [`crate::MAX_LICENSE_BYTES`].
    #[error("LICENSE file too large ({size} bytes; limit is {limit} bytes)")]
    LicenseTooLarge {
        /// Its declared length in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The declared sizes add up to more than [`crate::MAX_CONTENT_BYTES`].
    #[error("total uncompressed size of module contents too large (limit is {limit} bytes)")]
    ContentTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The directory points to a place where no entry stands.
    #[error("{name}: the zip's directory points to where no entry is")]
    NoEntry {
        /// The entry.
        name: EntryName,
    },
    /// An entry is compressed in a way that Go does not read.
    #[error("{name}: unsupported compression algorithm {method}")]
    Method {
        /// The entry.
        name: EntryName,
        /// The number of the method in the zip format.
        method: u16,
    },
    /// A directory entry declares content.
    #[error("{name}: directory has content")]
    DirectoryContent {
        /// The entry.
        name: EntryName,
    },
    /// An entry's compressed data are damaged or cut off.
    #[error("{name}: compressed data are damaged")]
    Corrupt {
        /// The entry.
        name: EntryName,
    },
    /// An entry's content is longer or shorter than declared.
    #[error("{name}: uncompressed size is not the declared one ({declared} bytes)")]
    SizeMismatch {
        /// The entry.
        name: EntryName,
        /// The size that the directory declares, in bytes.
        declared: u64,
    },
    /// An entry's content does not have the declared CRC-32.
    #[error("{name}: checksum error")]
    Checksum {
        /// The entry.
        name: EntryName,
    },
    /// A zip is not being written as it must be: the caller's fault.
    #[error("writing {name}: {what}")]
    Writing {
        /// The entry.
        name: EntryName,
        /// What is wrong.
        what: &'static str,
    },
    /// A text is no `h1:` hash.
    #[error("malformed h1 hash")]
    BadH1,
    /// The file could not be read: nothing is known of the content.
    #[error("reading the zip failed")]
    Read {
        /// What the reader said.
        #[source]
        source: io::Error,
    },
}

/// The name of a zip's entry as it is shown to people: quoted, escaped, cut at 200 bytes.
///
/// Names come from strangers; what is no printable text must not reach a terminal or a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName(String);

impl EntryName {
    pub(crate) fn new(name: &[u8]) -> Self {
        let shown = name.get(..MAX_SHOWN_BYTES).unwrap_or(name);
        let mut text: String = String::from_utf8_lossy(shown).escape_debug().collect();
        if shown.len() < name.len() {
            text.push_str("...");
        }
        Self(text)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_quoted_and_escaped() {
        assert_eq!(EntryName::new(b"a/b.go").to_string(), r#""a/b.go""#);
        assert_eq!(EntryName::new(b"a\n\x1b[31m\"").to_string(), r#""a\n\u{1b}[31m\"""#);
        assert_eq!(EntryName::new(b"\xff").to_string(), "\"\u{fffd}\"");
    }

    #[test]
    fn names_are_cut_past_the_bound() {
        let whole = "x".repeat(MAX_SHOWN_BYTES);
        assert_eq!(EntryName::new(whole.as_bytes()).to_string(), format!("\"{whole}\""));
        let cut = EntryName::new("x".repeat(MAX_SHOWN_BYTES + 1).as_bytes());
        assert_eq!(cut.to_string(), format!("\"{whole}...\""));
    }

    #[test]
    fn texts_name_the_entry_and_the_rule() {
        let name = EntryName::new(b"m@v1/x/go.mod");
        assert_eq!(
            Error::GoModNotInRoot { name: name.clone() }.to_string(),
            r#""m@v1/x/go.mod": go.mod file not in module root directory"#
        );
        assert_eq!(
            Error::Prefix { name, prefix: "a@v1/".to_owned() }.to_string(),
            r#""m@v1/x/go.mod": path does not have prefix "a@v1/""#
        );
    }
}
