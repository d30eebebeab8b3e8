//! Pseudo-versions: versions that name a commit.
//!
//! Three forms, each optionally with `+incompatible`: `vX.0.0-<time>-<revision>` without a base,
//! `vX.Y.(Z+1)-0.<time>-<revision>` after a release, `vX.Y.Z-pre.0.<time>-<revision>` after a
//! prerelease. Source: golang/mod `module/pseudo.go`.

use std::ops::Range;

use crate::version::{Error, semver};

/// The parts of a pseudo-version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pseudo<'a> {
    /// What stands before the time, without the separator: `v1.0.0`, `v1.2.4-0`, `v1.2.3-pre.0`.
    before: &'a str,
    /// Fourteen digits, perhaps no time.
    digits: &'a str,
    pub(super) revision: &'a str,
    /// With its `+`; may be empty.
    build: &'a str,
}

/// Splits a pseudo-version, `None` for any other text.
pub(super) fn parse(version: &str) -> Option<Pseudo<'_>> {
    let parsed = semver::parse(version)?;
    // Looked at first, because most versions end here.
    let (pre, revision) = parsed.prerelease.strip_prefix('-')?.rsplit_once('-')?;
    if revision.is_empty() || !revision.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (pre, digits) = pre.split_at_checked(pre.len().checked_sub(14)?)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let zeros = parsed.minor == Some("0") && parsed.patch == Some("0");
    if !(pre.is_empty() && zeros || pre == "0." || pre.ends_with(".0.")) {
        return None;
    }
    let behind = 1 + digits.len() + 1 + revision.len() + parsed.build.len();
    let before = version.get(..version.len().checked_sub(behind)?)?;
    Some(Pseudo { before, digits, revision, build: parsed.build })
}

impl<'a> Pseudo<'a> {
    /// Returns the time when the digits are one.
    pub(super) fn time(&self) -> Option<&'a str> {
        let field = |range: Range<usize>| self.digits.get(range)?.parse::<u32>().ok();
        let (year, month, day) = (field(0..4)?, field(4..6)?, field(6..8)?);
        let (hour, minute, second) = (field(8..10)?, field(10..12)?, field(12..14)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        let valid = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        valid.then_some(self.digits)
    }

    /// Returns the canonical version that this one comes after.
    pub(super) fn base(&self) -> Result<Option<String>, Error> {
        let Some((release, pre)) = self.before.split_once('-') else {
            // "No base" and "the base's major is incompatible" contradict each other.
            return if self.build.is_empty() { Ok(None) } else { Err(Error::PseudoBuild) };
        };
        let build = self.build;
        if let Some(pre) = pre.strip_suffix(".0") {
            return Ok(Some(format!("{release}-{pre}{build}")));
        }
        let (minor, patch) = release.rsplit_once('.').ok_or(Error::PseudoNegativePatch)?;
        let patch = decrement(patch).ok_or(Error::PseudoNegativePatch)?;
        Ok(Some(format!("{minor}.{patch}{build}")))
    }
}

/// Builds a pseudo-version; the parts are not checked.
pub(super) fn build(major: &str, older: &str, time: &str, revision: &str) -> String {
    let build = semver::build(older);
    let Some(older) = semver::canonical(older) else {
        let major = if major.is_empty() { "v0" } else { major };
        return format!("{major}.0.0-{time}-{revision}");
    };
    if !semver::prerelease(&older).is_empty() {
        return format!("{older}.0.{time}-{revision}{build}");
    }
    let (minor, patch) = older.rsplit_once('.').unwrap_or((&older, "0"));
    let patch = increment(patch);
    format!("{minor}.{patch}-0.{time}-{revision}{build}")
}

/// Adds one to a decimal number of any length.
fn increment(decimal: &str) -> String {
    let (head, nines) = decimal.split_at(decimal.trim_end_matches('9').len());
    let zeros = "0".repeat(nines.len());
    let mut digits = head.chars();
    let last = digits.next_back().and_then(|digit| char::from_digit(digit.to_digit(10)? + 1, 10));
    format!("{}{}{zeros}", digits.as_str(), last.unwrap_or('1'))
}

/// Subtracts one from a decimal number of any length; `None` for zero.
fn decrement(decimal: &str) -> Option<String> {
    let (head, zeros) = decimal.split_at(decimal.trim_end_matches('0').len());
    let last = head.chars().next_back()?;
    let (head, _) = head.split_at_checked(head.len().checked_sub(1)?)?;
    let lower = char::from_digit(last.to_digit(10)?.checked_sub(1)?, 10)?;
    let nines = "9".repeat(zeros.len());
    // 1000 - 1 = 999, not 0999.
    let leading_zero = head.is_empty() && lower == '0' && !nines.is_empty();
    Some(if leading_zero { nines } else { format!("{head}{lower}{nines}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_recognised() {
        for version in [
            "v0.0.0-20191109021931-daa7c04131f5",
            "v3.0.0-20191109021931-daa7c04131f5+incompatible",
            "v1.2.4-0.20191109021931-daa7c04131f5",
            "v1.2.3-pre.0.20191109021931-daa7c04131f5",
            "v1.2.3-a-b.c.0.20191109021931-daa7c04131f5",
            "v1.2.3-0.0.20191109021931-daa7c04131f5+incompatible",
            "v0.0.0-00010101000000-000000000000",
            "v0.0.0-20191109021931-X",
        ] {
            assert!(parse(version).is_some(), "{version}");
        }
    }

    #[test]
    fn other_versions_are_none() {
        for version in [
            "v1.2.3",
            "v1.2.3-pre",
            "v0.0.1-20191109021931-daa7c04131f5",
            "v0.1.0-20191109021931-daa7c04131f5",
            "v0.0.0-2019110902193-daa7c04131f5",
            "v0.0.0-x20191109021931-daa7c04131f5",
            "v0.0.0-20191109021931-daa7c.04131f5",
            "v0.0.0-20191109021931",
            "v1.2.4-0.20191109021931-",
            "v1.2.4-0.20191109021931-+incompatible",
            "v1.2.3-1.20191109021931-daa7c04131f5",
            "v1.2.3-pre0.20191109021931-daa7c04131f5",
            "v1.2.3-10.20191109021931-daa7c04131f5",
            "v0.0.0-20191109021931-daa7-",
            "v0.0-20191109021931-daa7c04131f5",
        ] {
            assert!(parse(version).is_none(), "{version}");
        }
    }

    fn base(version: &str) -> Result<Option<String>, Error> {
        parse(version).unwrap().base()
    }

    #[test]
    fn bases_are_the_versions_before() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(base("v0.0.0-20191109021931-daa7c04131f5"), Ok(None));
        assert_eq!(base("v1.2.4-0.20191109021931-daa7c04131f5"), some("v1.2.3"));
        assert_eq!(base("v1.2.1000-0.20191109021931-d"), some("v1.2.999"));
        assert_eq!(base("v1.2.1-0.20191109021931-d+incompatible"), some("v1.2.0+incompatible"));
        assert_eq!(base("v1.2.3-pre.0.20191109021931-d"), some("v1.2.3-pre"));
        assert_eq!(base("v1.2.3-0.0.20191109021931-d"), some("v1.2.3-0"));
    }

    #[test]
    fn the_two_nonsense_forms_have_no_base() {
        let no_base = base("v2.0.0-20191109021931-daa7c04131f5+incompatible");
        assert_eq!(no_base, Err(Error::PseudoBuild));
        let below_zero = base("v1.2.0-0.20191109021931-daa7c04131f5");
        assert_eq!(below_zero, Err(Error::PseudoNegativePatch));
    }

    #[test]
    fn digits_that_are_no_time_are_none() {
        let time = |digits: &str| parse(&format!("v0.0.0-{digits}-x")).unwrap().time().is_some();
        for digits in ["20191109021931", "20200229000000", "00010101000000", "20191231235959"] {
            assert!(time(digits), "{digits}");
        }
        for digits in [
            "20190229000000",
            "20191301000000",
            "20191100000000",
            "20191131000000",
            "20191109240000",
            "20191109006000",
            "20191109000060",
        ] {
            assert!(!time(digits), "{digits}");
        }
    }

    #[test]
    fn versions_before_decide_the_form() {
        for (major, older, version) in [
            ("", "", "v0.0.0-T-r"),
            ("v2", "", "v2.0.0-T-r"),
            ("v2", "nonsense", "v2.0.0-T-r"),
            ("v9", "v1.2.3", "v1.2.4-0.T-r"),
            ("", "v1.2.99", "v1.2.100-0.T-r"),
            ("", "v1.2.189", "v1.2.190-0.T-r"),
            ("", "v1.2.99999999999999999999", "v1.2.100000000000000000000-0.T-r"),
            ("", "v1", "v1.0.1-0.T-r"),
            ("", "v2.0.0+incompatible", "v2.0.1-0.T-r+incompatible"),
            ("", "v1.2.3-pre", "v1.2.3-pre.0.T-r"),
            ("", "v1.2.3-0", "v1.2.3-0.0.T-r"),
            ("", "v2.0.0-rc.1+incompatible", "v2.0.0-rc.1.0.T-r+incompatible"),
            ("", "v1.2.3+meta", "v1.2.4-0.T-r+meta"),
        ] {
            assert_eq!(build(major, older, "T", "r"), version, "{older}");
        }
    }

    #[test]
    fn what_is_built_comes_after_its_base() {
        for older in ["v1.2.3", "v1.9.99", "v1.2.3-pre", "v2.0.0-rc.1+incompatible", "v0.0.0"] {
            let version = build("", older, "20191109021931", "daa7c04131f5");
            assert_eq!(base(&version), Ok(Some(older.to_owned())));
            assert!(semver::compare(&version, older).is_gt());
        }
    }

    #[test]
    fn decrementing_borrows() {
        for (from, to) in [("1", "0"), ("10", "9"), ("20", "19"), ("1000", "999"), ("1100", "1099")]
        {
            assert_eq!(decrement(from).as_deref(), Some(to));
        }
        assert_eq!(decrement("0"), None);
    }
}
