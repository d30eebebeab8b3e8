//! Semantic versions as text, with the leading `v` that Go wants.
//!
//! Shorter forms (`v1`, `v1.2`) are valid and mean zeros; numbers may have any length. Source:
//! golang/mod `semver`.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The parts of a valid semantic version; all are slices of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parsed<'a> {
    pub(crate) major: &'a str,
    /// Absent in `v1`.
    pub(crate) minor: Option<&'a str>,
    /// Absent in `v1` and `v1.2`.
    pub(crate) patch: Option<&'a str>,
    /// With its `-`; may be empty.
    pub(crate) prerelease: &'a str,
    /// With its `+`; may be empty.
    pub(crate) build: &'a str,
}

impl Parsed<'_> {
    /// Returns whether minor and patch are written out.
    pub(crate) fn is_complete(&self) -> bool {
        self.patch.is_some()
    }
}

/// Splits a version into its parts, `None` when it is not valid.
pub(crate) fn parse(version: &str) -> Option<Parsed<'_>> {
    let (major, rest) = number(version.strip_prefix('v')?)?;
    let mut parsed = Parsed { major, minor: None, patch: None, prerelease: "", build: "" };
    if rest.is_empty() {
        return Some(parsed);
    }
    let (minor, rest) = number(rest.strip_prefix('.')?)?;
    parsed.minor = Some(minor);
    if rest.is_empty() {
        return Some(parsed);
    }
    let (patch, rest) = number(rest.strip_prefix('.')?)?;
    parsed.patch = Some(patch);
    let (prerelease, build) = rest.split_at(rest.find('+').unwrap_or(rest.len()));
    let valid = (prerelease.is_empty()
        || identifiers(prerelease.strip_prefix('-')?, Zeros::Refused))
        && (build.is_empty() || identifiers(build.strip_prefix('+')?, Zeros::Fine));
    (parsed.prerelease, parsed.build) = (prerelease, build);
    valid.then_some(parsed)
}

/// Returns whether the text is a semantic version.
#[must_use]
pub fn is_valid(version: &str) -> bool {
    parse(version).is_some()
}

/// Returns the canonical form: minor and patch filled in, build metadata dropped.
///
/// `None` for an invalid version.
///
/// ```
/// use gomod::version::semver;
/// assert_eq!(semver::canonical("v1.2").as_deref(), Some("v1.2.0"));
/// assert_eq!(semver::canonical("v1.2.3-a+b").as_deref(), Some("v1.2.3-a"));
/// ```
#[must_use]
pub fn canonical(version: &str) -> Option<Cow<'_, str>> {
    let parsed = parse(version)?;
    if !parsed.build.is_empty() {
        return version.strip_suffix(parsed.build).map(Cow::Borrowed);
    }
    Some(match (parsed.minor, parsed.patch) {
        (None, _) => Cow::Owned(format!("{version}.0.0")),
        (_, None) => Cow::Owned(format!("{version}.0")),
        _ => Cow::Borrowed(version),
    })
}

/// Returns the major version with its `v`, empty for an invalid version.
#[must_use]
pub fn major(version: &str) -> &str {
    let parsed = parse(version);
    parsed.and_then(|parsed| version.get(..=parsed.major.len())).unwrap_or_default()
}

/// Returns the prerelease with its `-`, empty when there is none or the version is invalid.
#[must_use]
pub fn prerelease(version: &str) -> &str {
    parse(version).map(|parsed| parsed.prerelease).unwrap_or_default()
}

/// Returns the build metadata with its `+`, empty when there is none or the version is invalid.
#[must_use]
pub fn build(version: &str) -> &str {
    parse(version).map(|parsed| parsed.build).unwrap_or_default()
}

/// Compares by precedence; build metadata does not count.
///
/// An invalid version comes before every valid one, and is equal to any other invalid one.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = match (parse(a), parse(b)) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.is_some().cmp(&b.is_some()),
    };
    compare_numbers(a.major, b.major)
        .then_with(|| compare_numbers(a.minor.unwrap_or("0"), b.minor.unwrap_or("0")))
        .then_with(|| compare_numbers(a.patch.unwrap_or("0"), b.patch.unwrap_or("0")))
        .then_with(|| compare_prereleases(a.prerelease, b.prerelease))
}

/// Takes a decimal number without a leading zero off the front.
fn number(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let valid = digits == 1 || digits > 1 && !number.starts_with('0');
    valid.then_some((number, rest))
}

/// Whether a number in an identifier may have leading zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zeros {
    Fine,
    Refused,
}

/// Checks dot-separated identifiers.
fn identifiers(text: &str, zeros: Zeros) -> bool {
    text.split('.').all(|identifier| {
        let padded = identifier.len() > 1 && identifier.starts_with('0') && is_number(identifier);
        !identifier.is_empty()
            && identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && (zeros == Zeros::Fine || !padded)
    })
}

fn is_number(identifier: &str) -> bool {
    identifier.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without leading zeros the longer number is the greater one.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn compare_prereleases(a: &str, b: &str) -> Ordering {
    // A release comes after its prereleases.
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Further dashes are part of an identifier.
    let mut a = a.strip_prefix('-').unwrap_or(a).split('.');
    let mut b = b.strip_prefix('-').unwrap_or(b).split('.');
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => return compare_identifiers(a, b),
        }
    }
}

/// Numbers come before words; words go by text.
fn compare_identifiers(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => compare_numbers(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_mean_zeros() {
        assert_eq!(compare("v1", "v1.0.0"), Ordering::Equal);
        assert_eq!(compare("v1.2", "v1.2.0"), Ordering::Equal);
        assert_eq!(canonical("v1").as_deref(), Some("v1.0.0"));
        assert_eq!(canonical("v1.2").as_deref(), Some("v1.2.0"));
    }

    #[test]
    fn build_metadata_does_not_count() {
        assert_eq!(compare("v1.0.0+a", "v1.0.0+b"), Ordering::Equal);
        assert_eq!(canonical("v1.0.0+a").as_deref(), Some("v1.0.0"));
        assert_eq!(build("v1.0.0-x+a.01"), "+a.01");
        assert_eq!(prerelease("v1.0.0-x+a.01"), "-x");
    }

    #[test]
    fn invalid_versions_come_first() {
        assert_eq!(compare("bad", "v0.0.0-0"), Ordering::Less);
        assert_eq!(compare("v0.0.0-0", ""), Ordering::Greater);
        assert_eq!(compare("bad", "worse"), Ordering::Equal);
        assert_eq!(canonical("bad"), None);
        assert_eq!((major("bad"), prerelease("bad"), build("bad")), ("", "", ""));
    }

    #[test]
    fn only_semantic_versions_are_valid() {
        for valid in ["v1", "v1.2", "v1.2.3--", "v1.2.3-0a", "v1.2.3-a-b.c+01.-", "v0.0.0-0"] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "v",
            "v.1",
            "v1.",
            "v1.2.",
            "v1.2.3.4",
            "v1-a",
            "v1.2-a",
            "v1.2.3-00",
            "v1.2.3-+a",
            "v1.2.3-a.",
            "v1.2.3+a+b",
            "v1.2.3_a",
            "v00.1.2",
            "v-1.0.0",
            "v1.2.3+\u{e9}",
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }

    #[test]
    fn the_major_keeps_its_v() {
        assert_eq!(major("v12.3.4"), "v12");
        assert_eq!(major("v2"), "v2");
    }
}
