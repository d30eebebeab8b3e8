//! Validity of file paths in module zips and trees, and when two of them clash.

use std::fmt;

use crate::path::{self, Kind};
use crate::quote::{quote, quote_char};
use crate::unicode;

/// The Unicode version by which a character counts as a letter.
pub const UNICODE_VERSION: &str = unicode::VERSION;

/// Checks a slash-separated path of a file in a module zip or tree.
///
/// Elements hold letters of any script, ASCII digits, blanks and `` !#$%&()+,-.=@[]^_{}~ ``; none
/// is empty, made of dots only, ends in a dot or is a name reserved on Windows. Source:
/// golang/mod `module.CheckFilePath`.
///
/// # Errors
///
/// The rule that the path breaks.
pub fn check(path: &str) -> Result<(), path::Error> {
    path::check(path, Kind::File)
}

/// Checks a path that stands in a tree, of which nothing is known yet.
///
/// The rules are those of [`check`]; a path that is not UTF-8 breaks them.
///
/// # Errors
///
/// [`Malformed`], which displays as Go's own message.
pub fn check_bytes(path: &[u8]) -> Result<&str, Malformed> {
    let malformed = |reason| Malformed { path: path.to_vec(), reason };
    let Ok(text) = str::from_utf8(path) else { return Err(malformed(None)) };
    check(text).map_err(|reason| malformed(Some(reason)))?;
    Ok(text)
}

/// A path that no file of a module may have, told as Go tells it.
///
/// `malformed file path "a:b": invalid char ':'`. Source: golang/mod `module.InvalidPathError`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    path: Vec<u8>,
    /// `None`: not UTF-8.
    reason: Option<path::Error>,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed file path {}: ", quote(&self.path))?;
        // The rules say which kind of thing is wrong; Go also quotes the thing.
        let text = String::from_utf8_lossy(&self.path);
        let wrong = |element: &&str| path::check_element(element, Kind::File).is_err();
        let element = text.split('/').find(wrong).unwrap_or_default();
        match self.reason {
            None => f.write_str("invalid UTF-8"),
            Some(path::Error::InvalidChar(c)) => write!(f, "invalid char {}", quote_char(c)),
            Some(reason @ path::Error::OnlyDots) => {
                write!(f, "{reason} {}", quote(element.as_bytes()))
            }
            Some(path::Error::WindowsName) => {
                let stem = element.split('.').next().unwrap_or_default();
                let stem = quote(stem.as_bytes());
                write!(f, "{stem} disallowed as path element component on Windows")
            }
            Some(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for Malformed {}

/// Returns the form that two paths share exactly when they differ at most in letter case.
///
/// Case is Unicode's simple folding, as `strings.EqualFold` compares. Two files of a zip with one
/// folded path would be one file on Windows or macOS. Source: golang/mod `zip` (its collision
/// check).
///
/// ```
/// assert_eq!(gomod::filepath::fold("README.md"), gomod::filepath::fold("Readme.MD"));
/// ```
#[must_use]
pub fn fold(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    path.chars().map(unicode::fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Error;

    #[test]
    fn letters_of_any_script_and_some_punctuation_are_fine() {
        for path in
            ["go.mod", ".gitignore", "a b/é中.go", "!#$%&()+,-.=@[]^_{}~ ", "x~1", "-x", "..a"]
        {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for (path, error) in [
            ("", Error::Empty),
            ("/a", Error::EmptyElement),
            ("a//b", Error::DoubleSlash),
            ("a/", Error::TrailingSlash),
            ("a/../b", Error::OnlyDots),
            (".", Error::OnlyDots),
            ("a.", Error::TrailingDot),
            ("a\\b", Error::InvalidChar('\\')),
            ("a:b", Error::InvalidChar(':')),
            ("a\nb", Error::InvalidChar('\n')),
            ("a\u{301}", Error::InvalidChar('\u{301}')),
            ("😀", Error::InvalidChar('😀')),
            ("x/Con.txt", Error::WindowsName),
            ("lpt9", Error::WindowsName),
        ] {
            assert_eq!(check(path), Err(error), "{path}");
        }
    }

    #[test]
    fn refusals_are_told_as_go_tells_them() {
        for (path, reason) in [
            (b"a:b.txt".as_slice(), r#""a:b.txt": invalid char ':'"#),
            (b"x/'", r#""x/'": invalid char '\''"#),
            (b"a\nb", r#""a\nb": invalid char '\n'"#),
            (
                b"ok/Aux.txt",
                r#""ok/Aux.txt": "Aux" disallowed as path element component on Windows"#,
            ),
            (b"a/...", r#""a/...": invalid path element "...""#),
            (b"a./b", r#""a./b": trailing dot in path element"#),
            (b"a\xffb", r#""a\xffb": invalid UTF-8"#),
            ("😀".as_bytes(), "\"😀\": invalid char '😀'"),
        ] {
            let malformed = check_bytes(path).unwrap_err();
            assert_eq!(malformed.to_string(), format!("malformed file path {reason}"));
        }
        assert_eq!(check_bytes("a/é".as_bytes()), Ok("a/é"));
    }

    #[test]
    fn paths_that_differ_in_case_fold_to_one() {
        assert_eq!(fold("a/B/C.go"), "a/b/c.go");
        assert_eq!(fold("straSSe"), fold("STRAsse"));
        assert_eq!(fold("ÉCOLE"), fold("école"));
        assert_eq!(fold("\u{212a}"), fold("k"));
        assert_ne!(fold("straße"), fold("strasse"));
    }
}
