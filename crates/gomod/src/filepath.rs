//! Validity of file paths in module zips and trees, and when two of them clash.

use crate::path::{self, Kind};
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
    fn paths_that_differ_in_case_fold_to_one() {
        assert_eq!(fold("a/B/C.go"), "a/b/c.go");
        assert_eq!(fold("straSSe"), fold("STRAsse"));
        assert_eq!(fold("ÉCOLE"), fold("école"));
        assert_eq!(fold("\u{212a}"), fold("k"));
        assert_ne!(fold("straße"), fold("strasse"));
    }
}
