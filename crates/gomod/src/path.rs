//! Module paths.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::escape;
use crate::unicode;

/// Holds a valid module path, unescaped, such as `github.com/Azure/azure-sdk-for-go`.
///
/// Cheap to clone. Ordering is by bytes. Source: golang/mod `module.CheckPath`.
///
/// ```
/// let path: gomod::ModulePath = "github.com/Azure/x/v2".parse()?;
/// assert_eq!(path.escaped(), "github.com/!azure/x/v2");
/// assert_eq!(path.split_major(), ("github.com/Azure/x", "/v2"));
/// # Ok::<(), gomod::path::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulePath(Arc<str>);

impl ModulePath {
    /// Parses an unescaped module path.
    ///
    /// # Errors
    ///
    /// The first rule that the path breaks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check_module(text)?;
        Ok(Self(text.into()))
    }

    /// Parses the case-escaped form (`github.com/!azure`).
    ///
    /// # Errors
    ///
    /// [`Error::Escape`] when no escape made this text, else as [`ModulePath::parse`].
    pub fn unescape(escaped: &str) -> Result<Self, Error> {
        let text = escape::unescape(escaped).ok_or(Error::Escape)?;
        Self::parse(&text)
    }

    /// Returns the unescaped path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the case-escaped path, as it stands in URLs and file names.
    #[must_use]
    pub fn escaped(&self) -> String {
        escape::escape(&self.0)
    }

    /// Splits off the major version: `("example.com/m", "/v2")`, `("gopkg.in/yaml", ".v2")`.
    ///
    /// The second part is empty, or `/vN`, `.vN`, `.vN-unstable`. Source: golang/mod
    /// `module.SplitPathVersion`.
    #[must_use]
    pub fn split_major(&self) -> (&str, &str) {
        // A path without a valid suffix was refused by `parse`.
        split_major(&self.0).unwrap_or((&self.0, ""))
    }

    /// Returns whether this is `golang.org/toolchain`, whose versions are Go releases.
    #[must_use]
    pub fn is_toolchain(&self) -> bool {
        &*self.0 == "golang.org/toolchain"
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ModulePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModulePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Says which rule a module path or file path breaks, in the words of golang/mod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path is empty.
    #[error("empty string")]
    Empty,
    /// The path begins with `-`.
    #[error("leading dash")]
    LeadingDash,
    /// Two slashes follow one another.
    #[error("double slash")]
    DoubleSlash,
    /// The path ends with a slash.
    #[error("trailing slash")]
    TrailingSlash,
    /// An element is empty: the path begins with a slash.
    #[error("empty path element")]
    EmptyElement,
    /// An element is `.`, `..` or has more dots and nothing else.
    #[error("invalid path element")]
    OnlyDots,
    /// An element of a module path begins with a dot.
    #[error("leading dot in path element")]
    LeadingDot,
    /// An element ends with a dot.
    #[error("trailing dot in path element")]
    TrailingDot,
    /// A character may not stand there.
    #[error("invalid char {0:?}")]
    InvalidChar(char),
    /// An element, up to its first dot, is the name of a device on Windows.
    #[error("name disallowed as path element component on Windows")]
    WindowsName,
    /// An element ends like a short name on Windows (`~1`).
    #[error("trailing tilde and digits in path element")]
    TildeDigits,
    /// The first element has no dot, so it is no domain.
    #[error("missing dot in first path element")]
    NoDomain,
    /// A character may not stand in a domain.
    #[error("invalid char {0:?} in first path element")]
    InvalidDomainChar(char),
    /// The major version at the end is not written as Go writes it.
    #[error("invalid version")]
    Major,
    /// No case escape made this text.
    #[error("invalid escaped module path")]
    Escape,
}

/// What a path names, which decides the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    File,
}

/// Checks a whole path by the rules that both kinds share.
pub(crate) fn check(path: &str, kind: Kind) -> Result<(), Error> {
    if path.is_empty() {
        return Err(Error::Empty);
    }
    if kind == Kind::Module && path.starts_with('-') {
        return Err(Error::LeadingDash);
    }
    if path.contains("//") {
        return Err(Error::DoubleSlash);
    }
    if path.ends_with('/') {
        return Err(Error::TrailingSlash);
    }
    path.split('/').try_for_each(|element| check_element(element, kind))
}

fn check_module(path: &str) -> Result<(), Error> {
    if is_plain_module(path) && split_major(path).is_some() {
        return Ok(());
    }
    check(path, Kind::Module)?;
    let domain = path.split('/').next().unwrap_or_default();
    if !domain.contains('.') {
        return Err(Error::NoDomain);
    }
    let in_domain = |c: char| matches!(c, '-' | '.' | '0'..='9' | 'a'..='z');
    if let Some(c) = domain.chars().find(|&c| !in_domain(c)) {
        return Err(Error::InvalidDomainChar(c));
    }
    split_major(path).map(|_parts| ()).ok_or(Error::Major)
}

/// Returns whether a path breaks no rule but perhaps that of the major, in one pass.
///
/// Every request of the hot path comes here. It may refuse what is valid (a tilde): the full check
/// has the last word, and the reason.
fn is_plain_module(path: &str) -> bool {
    let bytes = path.as_bytes();
    let (mut previous, mut domain, mut domain_dot) = (b'/', true, false);
    // Where the element begins, as long as its first dot has not been seen.
    let mut stem = Some(0);
    let is_device = |stem: Option<usize>, end| {
        let name = stem.and_then(|start| bytes.get(start..end));
        name.is_some_and(|name| matches!(name.len(), 3 | 4) && is_windows_device(name))
    };
    for (at, &byte) in bytes.iter().enumerate() {
        let fine = match byte {
            b'a'..=b'z' | b'0'..=b'9' => true,
            b'-' => at > 0,
            b'A'..=b'Z' | b'_' => !domain,
            b'.' => {
                domain_dot |= domain;
                previous != b'/' && !is_device(stem.take(), at)
            }
            b'/' => {
                let device = is_device(stem.replace(at + 1), at);
                domain = false;
                !matches!(previous, b'/' | b'.') && domain_dot && !device
            }
            _ => false,
        };
        if !fine {
            return false;
        }
        previous = byte;
    }
    !matches!(previous, b'/' | b'.') && domain_dot && !is_device(stem, bytes.len())
}

/// Checks one element of a path.
pub(crate) fn check_element(element: &str, kind: Kind) -> Result<(), Error> {
    let (Some(first), Some(last)) = (element.bytes().next(), element.bytes().next_back()) else {
        return Err(Error::EmptyElement);
    };
    if last == b'.' {
        let only_dots = element.bytes().all(|byte| byte == b'.');
        let leading = first == b'.' && kind == Kind::Module;
        return Err(match (only_dots, leading) {
            (true, _) => Error::OnlyDots,
            (false, true) => Error::LeadingDot,
            (false, false) => Error::TrailingDot,
        });
    }
    if first == b'.' && kind == Kind::Module {
        return Err(Error::LeadingDot);
    }
    let allowed = match kind {
        Kind::Module => in_module_path,
        Kind::File => in_file_path,
    };
    if let Some(c) = element.chars().find(|&c| !allowed(c)) {
        return Err(Error::InvalidChar(c));
    }
    let stem = element.split('.').next().unwrap_or_default();
    if is_windows_device(stem.as_bytes()) {
        return Err(Error::WindowsName);
    }
    if kind == Kind::Module && ends_in_tilde_digits(stem) {
        return Err(Error::TildeDigits);
    }
    Ok(())
}

fn in_module_path(c: char) -> bool {
    matches!(c, '-' | '.' | '_' | '~' | '0'..='9' | 'A'..='Z' | 'a'..='z')
}

fn in_file_path(c: char) -> bool {
    if !c.is_ascii() {
        return unicode::is_letter(c);
    }
    c.is_ascii_alphanumeric() || "!#$%&()+,-.=@[]^_{}~ ".contains(c)
}

fn is_windows_device(stem: &[u8]) -> bool {
    match *stem {
        [a, b, c] => {
            let name = [a, b, c].map(|byte| byte.to_ascii_uppercase());
            matches!(&name, b"CON" | b"PRN" | b"AUX" | b"NUL")
        }
        [a, b, c, b'1'..=b'9'] => {
            let name = [a, b, c].map(|byte| byte.to_ascii_uppercase());
            matches!(&name, b"COM" | b"LPT")
        }
        _ => false,
    }
}

fn ends_in_tilde_digits(stem: &str) -> bool {
    stem.rsplit_once('~').is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Returns the major version that a path's ending names: `v2` for `/v2`, `.v2` and
/// `.v2-unstable`, empty for none.
///
/// Source: golang/mod `module.PathMajorPrefix`.
#[must_use]
pub fn major_prefix(path_major: &str) -> &str {
    let stable = match path_major.strip_suffix("-unstable") {
        Some(stable) if stable.starts_with('.') => stable,
        _ => path_major,
    };
    stable.strip_prefix(['/', '.']).unwrap_or(stable)
}

/// Splits a path before its major version; `None` when that is malformed.
///
/// For text that is not known to be a path, such as a go.mod's `module` line; of a
/// [`ModulePath`] ask [`ModulePath::split_major`]. Source: golang/mod `module.SplitPathVersion`.
#[must_use]
pub fn split_major(path: &str) -> Option<(&str, &str)> {
    if path.starts_with("gopkg.in/") {
        return split_gopkg_in(path);
    }
    let stem = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if stem.len() == path.len() {
        return Some((path, ""));
    }
    let Some(prefix) = stem.strip_suffix("/v") else { return Some((path, "")) };
    let (_, major) = path.split_at_checked(prefix.len())?;
    let number = major.strip_prefix("/v")?;
    let valid = !number.contains('.') && !number.starts_with('0') && number != "1";
    valid.then_some((prefix, major))
}

/// `gopkg.in` has the major in the last element, always: `.v0`, `.v1`, `.v2-unstable`.
fn split_gopkg_in(path: &str) -> Option<(&str, &str)> {
    let stable = path.strip_suffix("-unstable").unwrap_or(path);
    let stem = stable.trim_end_matches(|c: char| c.is_ascii_digit());
    let (_, major) = path.split_at_checked(stem.strip_suffix(".v")?.len())?;
    // Go lets `.v-unstable` pass; no version fits it.
    let valid = major != ".v" && (major == ".v0" || !major.starts_with(".v0"));
    valid.then_some(())?;
    path.split_at_checked(path.len() - major.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_of_real_modules_are_valid() {
        for path in [
            "golang.org/x/net",
            "github.com/Azure/azure-sdk-for-go/sdk/azcore",
            "rsc.io/quote/v3",
            "gopkg.in/yaml.v2",
            "gopkg.in/check.v1",
            "gopkg.in/src-d/go-git.v4",
            "gopkg.in/x.v0",
            "gopkg.in/x.v2-unstable",
            "gopkg.in/x.v-unstable",
            "example.com/_~x/~ab/x~1a",
            "a.b/v",
            "a.b/xv2",
            "1.2",
        ] {
            assert_eq!(ModulePath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn broken_paths_name_their_rule() {
        for (path, error) in [
            ("", Error::Empty),
            ("-a.b", Error::LeadingDash),
            ("/a.b", Error::EmptyElement),
            ("a.b/", Error::TrailingSlash),
            ("a.b//c", Error::DoubleSlash),
            ("a.b/../c", Error::OnlyDots),
            ("a.b/.c", Error::LeadingDot),
            ("a.b/.c.", Error::LeadingDot),
            ("a.b/c.", Error::TrailingDot),
            ("a.b/c+d", Error::InvalidChar('+')),
            ("a.b/c!d", Error::InvalidChar('!')),
            ("a.b/@v", Error::InvalidChar('@')),
            ("a.b/é", Error::InvalidChar('é')),
            ("a.b/aux.c", Error::WindowsName),
            ("a.b/Com1", Error::WindowsName),
            ("a.b/c~12", Error::TildeDigits),
            ("a.b/c~12.d", Error::TildeDigits),
            ("std", Error::NoDomain),
            ("go/a.b", Error::NoDomain),
            ("A.b", Error::InvalidDomainChar('A')),
            ("a_b.c", Error::InvalidDomainChar('_')),
            ("a.b/v0", Error::Major),
            ("a.b/v1", Error::Major),
            ("a.b/v02", Error::Major),
            ("a.b/v2.1", Error::Major),
            ("gopkg.in/yaml", Error::Major),
            ("gopkg.in/yaml.v", Error::Major),
            ("gopkg.in/yaml.v01", Error::Major),
            ("gopkg.in/yaml/v2", Error::Major),
            ("gopkg.in/yaml.v0-unstable", Error::Major),
        ] {
            assert_eq!(ModulePath::parse(path), Err(error), "{path}");
        }
    }

    #[test]
    fn com0_and_longer_names_are_no_devices() {
        for path in ["a.b/com0", "a.b/com10", "a.b/cons", "a.b/co"] {
            assert!(ModulePath::parse(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn the_major_is_split_off() {
        for (path, parts) in [
            ("a.b/c", ("a.b/c", "")),
            ("a.b/c/v2", ("a.b/c", "/v2")),
            ("a.b/c/v10", ("a.b/c", "/v10")),
            ("a.b/c2", ("a.b/c2", "")),
            ("gopkg.in/yaml.v2", ("gopkg.in/yaml", ".v2")),
            ("gopkg.in/yaml.v2-unstable", ("gopkg.in/yaml", ".v2-unstable")),
        ] {
            assert_eq!(ModulePath::parse(path).unwrap().split_major(), parts);
        }
    }

    #[test]
    fn a_major_is_named_without_its_mark() {
        for (ending, major) in
            [("", ""), ("/v2", "v2"), (".v0", "v0"), (".v2-unstable", "v2"), ("/v10", "v10")]
        {
            assert_eq!(major_prefix(ending), major);
        }
    }

    #[test]
    fn only_the_toolchain_is_the_toolchain() {
        assert!(ModulePath::parse("golang.org/toolchain").unwrap().is_toolchain());
        assert!(!ModulePath::parse("golang.org/toolchains").unwrap().is_toolchain());
    }

    #[test]
    fn escaped_paths_are_read() {
        let path = ModulePath::unescape("github.com/!azure").unwrap();
        assert_eq!(path.as_str(), "github.com/Azure");
        assert_eq!(ModulePath::unescape("github.com/Azure"), Err(Error::Escape));
        assert_eq!(ModulePath::unescape("!github.com"), Err(Error::InvalidDomainChar('G')));
    }

    proptest! {
        #[test]
        fn valid_paths_survive_escaping(text in "[a-c]\\.[a-z](/[A-Ca-c0-9._~v-]{1,8}){0,3}") {
            if let Ok(path) = ModulePath::parse(&text) {
                prop_assert_eq!(ModulePath::unescape(&path.escaped()), Ok(path.clone()));
                let (prefix, major) = path.split_major();
                prop_assert_eq!(format!("{prefix}{major}"), text);
            }
        }

        #[test]
        fn the_quick_check_agrees_with_the_full_one(
            text in "([a-c-]\\.b|A|con|x)(/(con|Nul|com1|a|[A-Ca-c0-9._~-]{0,5})(\\.[a~1]{0,2})?){0,3}/?",
        ) {
            let full = check(&text, Kind::Module).is_ok();
            let domain = text.split('/').next().unwrap();
            let valid = full && domain.contains('.') && !domain.contains('A');
            let quick = is_plain_module(&text);
            prop_assert!(!quick || valid, "{}", text);
            prop_assert!(quick || !valid || text.contains('~'), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = ModulePath::parse(&text);
            let _ = ModulePath::unescape(&text);
        }
    }
}
