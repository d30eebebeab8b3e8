//! The language version that a `go` line names.

use crate::modfile::{Error, GoMod};

/// Major and minor of a Go release, such as 1.24: what a module's `go` line asks for.
///
/// Numbers beyond 32 bits count as the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Language {
    /// 1, so far.
    pub major: u32,
    /// 24 in 1.24.
    pub minor: u32,
}

impl Language {
    /// Reads a Go version such as `1.24`, `1.24.3`, `1.24rc1`; `None` for any other text.
    ///
    /// Stricter than the directive that held it: `1.24.1rc1` may stand there and is no version.
    /// Source: golang/go `go/version.Lang`.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let (major, rest) = number(version)?;
        let minor_of = |minor| Some(Self { major, minor });
        if rest.is_empty() {
            return minor_of(0);
        }
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        if rest.is_empty() {
            return minor_of(minor);
        }
        if let Some(patch) = rest.strip_prefix('.') {
            return number(patch).filter(|(_, rest)| rest.is_empty()).and(minor_of(minor));
        }
        let kind = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let count_ends = kind.is_empty() || number(kind).is_some_and(|(_, rest)| rest.is_empty());
        (kind.len() < rest.len() && count_ends).then_some(Self { major, minor })
    }

    /// Reads the `go` line of a go.mod; `None` without one, and for a file that does not parse.
    ///
    /// Source: golang/mod `zip` (`parseGoVers`), which reads as [`GoMod::parse`] does.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`] and [`Error::TooLarge`]: Go may find a line in such a file, larder does
    /// not look, and to guess would mean a zip with another hash.
    pub fn of_mod(go_mod: &[u8]) -> Result<Option<Self>, Error> {
        match GoMod::parse(go_mod) {
            Ok(file) => Ok(file.go.as_deref().and_then(Self::of)),
            Err(error @ (Error::TooMany | Error::TooLarge)) => Err(error),
            Err(Error::Syntax { .. } | Error::Directive { .. }) => Ok(None),
        }
    }
}

/// Takes a number without a leading zero off the front.
fn number(text: &str) -> Option<(u32, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(len)?;
    let valid = len == 1 || len > 1 && !digits.starts_with('0');
    valid.then(|| (digits.parse().unwrap_or(u32::MAX), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_name_their_language() {
        for (text, language) in [
            ("1.24", Some((1, 24))),
            ("1.24.0", Some((1, 24))),
            ("1.24rc1", Some((1, 24))),
            ("1.24rc", Some((1, 24))),
            ("1", Some((1, 0))),
            ("1.99999999999", Some((1, u32::MAX))),
            ("1.24.0rc1", None),
            ("1.24rc01", None),
            ("1.24rc1x", None),
            ("1.24.", None),
            ("1.024", None),
            ("1.24-x", None),
            ("v1.24", None),
            ("", None),
        ] {
            let expected = language.map(|(major, minor)| Language { major, minor });
            assert_eq!(Language::of(text), expected, "{text}");
        }
    }

    #[test]
    fn go_lines_are_read_laxly() {
        let of = |text: &str| Language::of_mod(text.as_bytes()).unwrap();
        let recent = Some(Language { major: 1, minor: 24 });
        for text in ["module a.b\ngo 1.24\n", "go 1.24.0-beta\n", "go 1.24.7 // why\r\n"] {
            assert_eq!(of(text), recent, "{text}");
        }
        for text in [
            "",
            "module a.b\n",
            "go \"1.24\"\n",
            "go v1.24\n",
            "toolchain go1.24.1\n",
            "go 1.24.1rc1\n",
            "go 1.24\n/* x */\n",
            "go 1.24\ngo 1.24\n",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_guessed() {
        let mut text = String::from("go 1.24\n");
        text.push_str(&"retract v1.0.0\n".repeat(crate::modfile::MAX_ENTRIES));
        assert!(Language::of_mod(text.as_bytes()).unwrap().is_some());
        text.push_str("retract v1.0.0\n");
        assert_eq!(Language::of_mod(text.as_bytes()), Err(Error::TooMany));
    }
}
