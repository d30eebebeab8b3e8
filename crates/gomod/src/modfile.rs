//! go.mod files, read as the `go` command reads those of dependencies.
//!
//! Directives that matter to a main module only, and ones yet to be invented, are ignored. Source:
//! golang/mod `modfile.ParseLax`; go.dev/ref/mod#go-mod-file.

mod directive;
mod language;
mod lexer;
mod parser;
mod scan;
mod unquote;

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::path::ModulePath;
use crate::version::{Version, semver};

pub use crate::modfile::language::Language;
pub use crate::modfile::scan::module_line;

/// Greatest size of a go.mod file. Source: go.dev/ref/mod#zip-path-size-constraints.
pub const MAX_MOD_BYTES: u64 = 16 << 20;

/// Greatest number of required and retracted versions together.
///
/// Ours, not Go's: it bounds the memory of a parsed file. The largest known files hold a few
/// thousand.
pub const MAX_ENTRIES: usize = 100_000;

/// Holds what larder reads of a go.mod file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The declared module path, not checked; it may differ from the path asked for.
    pub module: Option<String>,
    /// The message of a `Deprecated:` comment on the module directive.
    pub deprecated: Option<String>,
    /// The Go version, such as `1.21` or `1.23.4`.
    pub go: Option<String>,
    /// The first valid toolchain directive, such as `go1.23.4`; Go ignores it in dependencies.
    pub toolchain: Option<String>,
    /// Required modules and their versions, in the order of the file; paths are not checked.
    pub require: Vec<(String, String)>,
    /// Retracted versions, in the order of the file.
    pub retract: Vec<Retract>,
}

/// Holds one retraction: all versions from `low` to `high`, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retract {
    /// The lowest retracted version, as it is written; perhaps no valid version.
    pub low: String,
    /// The highest retracted version; equal to `low` for a single one.
    pub high: String,
    /// The comments on the directive, which say why; may be empty or have several lines.
    pub rationale: String,
}

impl GoMod {
    /// Parses a go.mod file.
    ///
    /// Bytes that are not UTF-8 become U+FFFD, as they do in Go. Memory is bounded by the size of
    /// the file and [`MAX_ENTRIES`].
    ///
    /// ```
    /// let text = b"module a.b/c\n\nretract [v1.0.0, v1.1.0] // broken\n";
    /// let file = gomod::modfile::GoMod::parse(text)?;
    /// assert!(file.retracts(&"v1.0.5".parse()?));
    /// assert_eq!(file.retract[0].rationale, "broken");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] past [`MAX_MOD_BYTES`], [`Error::TooMany`] past [`MAX_ENTRIES`], else
    /// the first line that breaks the syntax or a directive that is read.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_MOD_BYTES {
            return Err(Error::TooLarge);
        }
        let text = decode(bytes);
        let mut builder = directive::Builder::default();
        parser::parse(&text, &mut builder)?;
        Ok(builder.into_file())
    }

    /// Returns whether a retraction of this file covers the version.
    ///
    /// Compares by precedence, as the `go` command does: build metadata does not count, and an
    /// invalid bound is below every version.
    #[must_use]
    pub fn retracts(&self, version: &Version) -> bool {
        self.retract.iter().any(|retract| {
            semver::compare(&retract.low, version.as_str()) != Ordering::Greater
                && semver::compare(version.as_str(), &retract.high) != Ordering::Greater
        })
    }
}

/// Returns the go.mod file of a version that has none: `module <path>` and a line feed.
///
/// To the byte what the `go` command makes up, which it compares with to learn that a version has
/// no go.mod. A valid path never needs quoting.
#[must_use]
pub fn synthetic(path: &ModulePath) -> String {
    format!("module {path}\n")
}

/// Says why a go.mod file cannot be read; lines are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is larger than [`MAX_MOD_BYTES`].
    #[error("go.mod is larger than {MAX_MOD_BYTES} bytes")]
    TooLarge,
    /// The file requires and retracts more than [`MAX_ENTRIES`] versions.
    #[error("go.mod requires and retracts more than {MAX_ENTRIES} versions")]
    TooMany,
    /// A line breaks the syntax.
    #[error("go.mod:{line}: {problem}")]
    Syntax {
        /// The line.
        line: usize,
        /// What is wrong, in Go's words.
        problem: &'static str,
    },
    /// A directive that is read has wrong arguments or stands there twice.
    #[error("go.mod:{line}: {problem}")]
    Directive {
        /// The line.
        line: usize,
        /// What is wrong, in Go's words.
        problem: &'static str,
    },
}

/// Decodes as Go does: every byte that is not part of a character is one U+FFFD.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_byte| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests;
