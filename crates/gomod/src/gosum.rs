//! go.sum files.

use crate::modver::ModVer;
use crate::path::{self, ModulePath};
use crate::version::{self, Version};

/// Greatest size of a go.sum file; the largest known ones are below 2 MiB.
pub const MAX_SUM_BYTES: usize = 64 << 20;

/// The hash of an empty go.mod: an old `go` command wrote it by mistake.
const EMPTY_GO_MOD: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// Parses a go.sum file into `(module, is the go.mod line, "h1:...")`, in the order of its lines.
///
/// Blank lines, hashes of other kinds than `h1:` and the hash of an empty go.mod, which an old bug
/// left behind, are skipped, as the `go` command skips them.
///
/// # Errors
///
/// [`Error::TooLarge`] past [`MAX_SUM_BYTES`]; else the first line that has not three fields, names
/// no version of a module or has a malformed hash, with its number.
pub fn parse(text: &str) -> Result<Vec<(ModVer, bool, String)>, Error> {
    if text.len() > MAX_SUM_BYTES {
        return Err(Error::TooLarge);
    }
    let mut sums = Vec::new();
    for (index, text) in text.split('\n').enumerate() {
        let line = index + 1;
        let fields: Vec<&str> = text.split_whitespace().collect();
        match *fields {
            [] => {}
            [path, version, hash] => {
                if hash == EMPTY_GO_MOD || !hash.starts_with("h1:") {
                    continue;
                }
                let (version, is_go_mod) = match version.strip_suffix("/go.mod") {
                    Some(version) => (version, true),
                    None => (version, false),
                };
                let path =
                    ModulePath::parse(path).map_err(|source| Error::Path { line, source })?;
                let module = Version::parse(version)
                    .and_then(|version| ModVer::new(path, version))
                    .map_err(|source| Error::Version { line, source })?;
                if !is_h1(hash) {
                    return Err(Error::Hash { line });
                }
                sums.push((module, is_go_mod, hash.to_owned()));
            }
            _ => return Err(Error::Fields { line, count: fields.len() }),
        }
    }
    Ok(sums)
}

/// Says which line of a go.sum file is malformed; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is larger than [`MAX_SUM_BYTES`].
    #[error("go.sum is larger than {MAX_SUM_BYTES} bytes")]
    TooLarge,
    /// A line has not three fields.
    #[error("go.sum line {line}: wrong number of fields {count}")]
    Fields {
        /// The line.
        line: usize,
        /// How many fields it has.
        count: usize,
    },
    /// The first field is no module path.
    #[error("go.sum line {line}: malformed module path")]
    Path {
        /// The line.
        line: usize,
        /// The rule that the path breaks.
        source: path::Error,
    },
    /// The second field is no canonical version of the module.
    #[error("go.sum line {line}: malformed version")]
    Version {
        /// The line.
        line: usize,
        /// What is wrong with the version.
        source: version::Error,
    },
    /// The hash is not 32 bytes in padded base64.
    #[error("go.sum line {line}: malformed hash")]
    Hash {
        /// The line.
        line: usize,
    },
}

/// Thirty-two bytes are 43 digits of base64 and one `=`.
fn is_h1(hash: &str) -> bool {
    let digits = hash.strip_prefix("h1:").and_then(|base64| base64.strip_suffix('='));
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    digits.is_some_and(|digits| digits.len() == 43 && digits.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn both_kinds_of_lines_are_read() {
        let text = format!("a.b v1.0.0 {HASH}\r\n\n  a.b\tv1.0.0/go.mod {HASH}");
        let sums = parse(&text).unwrap();
        let sums: Vec<_> = sums
            .iter()
            .map(|(module, is_mod, hash)| (module.to_string(), *is_mod, hash.as_str()))
            .collect();
        assert_eq!(sums, [("a.b@v1.0.0".into(), false, HASH), ("a.b@v1.0.0".into(), true, HASH)]);
    }

    #[test]
    fn lines_that_go_ignores_are_skipped() {
        let text = format!("a.b v1.0.0/go.mod {EMPTY_GO_MOD}\na.b v1.0.0 h2:abc\n");
        assert_eq!(parse(&text), Ok(vec![]));
    }

    #[test]
    fn bad_lines_are_told_by_number() {
        assert_eq!(parse("\na.b v1.0.0"), Err(Error::Fields { line: 2, count: 2 }));
        assert_eq!(parse("a b c d"), Err(Error::Fields { line: 1, count: 4 }));
        let path = Error::Path { line: 1, source: path::Error::NoDomain };
        assert_eq!(parse(&format!("std v1.0.0 {HASH}")), Err(path));
        let version = Error::Version { line: 1, source: version::Error::NotCanonical };
        assert_eq!(parse(&format!("a.b v1 {HASH}")), Err(version));
        let major = parse(&format!("a.b v2.0.0 {HASH}")).unwrap_err();
        assert!(matches!(major, Error::Version { line: 1, source: version::Error::Major { .. } }));
        for hash in ["h1:", "h1:abc=", &HASH[..46], &HASH.replace('Q', "-")] {
            assert_eq!(
                parse(&format!("a.b v1.0.0 {hash}")),
                Err(Error::Hash { line: 1 }),
                "{hash}"
            );
        }
    }

    #[test]
    fn size_is_bounded() {
        assert_eq!(parse(&" ".repeat(MAX_SUM_BYTES)), Ok(vec![]));
        assert_eq!(parse(&" ".repeat(MAX_SUM_BYTES + 1)), Err(Error::TooLarge));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(a\\.b|v1\\.0\\.0|/go\\.mod|h1:|[ \\n=x]){0,20}") {
            let _ = parse(&text);
        }
    }
}
