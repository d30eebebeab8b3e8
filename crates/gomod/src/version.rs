//! Module versions.

mod pseudo;
pub mod semver;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::escape;
use crate::path::ModulePath;

/// Holds a canonical version: `v1.2.3`, `v1.2.3-rc.1`, `v2.0.0+incompatible`.
///
/// Minor and patch are written out, and the only build metadata is `+incompatible`. Cheap to
/// clone. Ordering is semver precedence with numbers of any length; versions of equal precedence
/// (`v2.0.0` and `v2.0.0+incompatible`) go by text. Source: golang/mod `module.CanonicalVersion`,
/// `semver.Sort`.
///
/// ```
/// let mut versions: Vec<gomod::Version> =
///     ["v1.10.0", "v1.9.0", "v1.10.0-rc.1"].iter().flat_map(|text| text.parse()).collect();
/// versions.sort();
/// assert_eq!(versions.iter().map(|v| v.as_str()).collect::<Vec<_>>(),
///     ["v1.9.0", "v1.10.0-rc.1", "v1.10.0"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// Parses a canonical version.
    ///
    /// # Errors
    ///
    /// [`Error::Semver`] for text that is no semantic version, [`Error::NotCanonical`] for one that
    /// leaves out minor or patch (`v1.2`) or has other build metadata (`v1.2.3+meta`).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = semver::parse(text).ok_or(Error::Semver)?;
        if !parsed.is_complete() || !matches!(parsed.build, "" | "+incompatible") {
            return Err(Error::NotCanonical);
        }
        Ok(Self(text.into()))
    }

    /// Parses the case-escaped form (`v1.0.0-!r!c1`).
    ///
    /// # Errors
    ///
    /// [`Error::Escape`] when no escape made this text, else as [`Version::parse`].
    pub fn unescape(escaped: &str) -> Result<Self, Error> {
        let text = escape::unescape(escaped).ok_or(Error::Escape)?;
        Self::parse(&text)
    }

    /// Returns the unescaped version.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the case-escaped version, as it stands in URLs and file names.
    #[must_use]
    pub fn escaped(&self) -> String {
        escape::escape(&self.0)
    }

    /// Returns whether this names a commit, not a tag: `v0.0.0-20191109021931-daa7c04131f5`.
    ///
    /// Source: golang/mod `module.IsPseudoVersion`.
    #[must_use]
    pub fn is_pseudo(&self) -> bool {
        pseudo::parse(&self.0).is_some()
    }

    /// Returns whether this precedes a release: `v1.0.0-rc.1`, and every pseudo-version.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !semver::prerelease(&self.0).is_empty()
    }

    /// Returns whether this ends in `+incompatible`: a major above 1 of a tree without go.mod.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        self.0.ends_with("+incompatible")
    }

    /// Builds the pseudo-version of a commit.
    ///
    /// `major` is `v0`, or the major that the module's path demands, and counts only without
    /// `older`; empty means `v0`. `older` is the highest version before the commit, with
    /// `+incompatible` if the result is to have it. `time` is that of the commit in UTC, as
    /// `yyyymmddhhmmss`, and `revision` its short name. Source: golang/mod
    /// `module.PseudoVersion`.
    ///
    /// ```
    /// use gomod::Version;
    ///
    /// let build = |older| Version::pseudo("v1", older, "20191109021931", "daa7c04131f5");
    /// assert_eq!(build(None)?.as_str(), "v1.0.0-20191109021931-daa7c04131f5");
    /// assert_eq!(build(Some("v1.2.9"))?.as_str(), "v1.2.10-0.20191109021931-daa7c04131f5");
    /// # Ok::<(), gomod::version::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotPseudo`] when `time` is no fourteen digits or `revision` no letters and digits,
    /// [`Error::NotCanonical`] when `older` has other build metadata.
    pub fn pseudo(
        major: &str,
        older: Option<&str>,
        time: &str,
        revision: &str,
    ) -> Result<Self, Error> {
        let text = pseudo::build(major, older.unwrap_or_default(), time, revision);
        pseudo::parse(&text).ok_or(Error::NotPseudo)?;
        Self::parse(&text)
    }

    /// Returns the commit time inside a pseudo-version, UTC, as `yyyymmddhhmmss`.
    ///
    /// `None` for other versions, and for one whose digits are no time.
    #[must_use]
    pub fn pseudo_time(&self) -> Option<&str> {
        pseudo::parse(&self.0)?.time()
    }

    /// Returns the revision inside a pseudo-version: twelve hex digits, by custom.
    #[must_use]
    pub fn pseudo_revision(&self) -> Option<&str> {
        Some(pseudo::parse(&self.0)?.revision)
    }

    /// Returns the version that a pseudo-version comes after, `None` when it has no such base.
    ///
    /// # Errors
    ///
    /// [`Error::NotPseudo`] for other versions, [`Error::PseudoBuild`] and
    /// [`Error::PseudoNegativePatch`] for the two forms that make no sense. Source: golang/mod
    /// `module.PseudoVersionBase`.
    pub fn pseudo_base(&self) -> Result<Option<Self>, Error> {
        let base = pseudo::parse(&self.0).ok_or(Error::NotPseudo)?.base()?;
        Ok(base.map(|text| Self(text.into())))
    }

    /// Returns whether the major version is one that `path` may have.
    ///
    /// Source: golang/mod `module.CheckPathMajor`.
    #[must_use]
    pub fn fits(&self, path: &ModulePath) -> bool {
        let (_, path_major) = path.split_major();
        fits_major(&self.0, path_major)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        semver::compare(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Version {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Says why a text is not the version that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no semantic version with a leading `v`.
    #[error("not a semantic version")]
    Semver,
    /// The text is a semantic version, but not in canonical form.
    #[error("not a canonical version such as v1.2.3")]
    NotCanonical,
    /// No case escape made this text.
    #[error("invalid escaped version")]
    Escape,
    /// A revision name is not one that a `go` command can ask for.
    #[error("disallowed version string")]
    Disallowed,
    /// The major version is not one that the path may have.
    #[error("{path}@{version}: invalid version: should be {}, not {}",
        wanted_major(path), semver::major(version.as_str()))]
    Major {
        /// The module path.
        path: ModulePath,
        /// The version that does not fit it.
        version: Version,
    },
    /// The version is no pseudo-version.
    #[error("not a pseudo-version")]
    NotPseudo,
    /// A pseudo-version without a base ends in `+incompatible`.
    #[error("pseudo-version lacks base version, but has build metadata")]
    PseudoBuild,
    /// A pseudo-version comes after a release with a patch number below zero.
    #[error("version before pseudo-version would have negative patch number")]
    PseudoNegativePatch,
}

/// Returns whether a version has the major that a path ends in, as [`ModulePath::split_major`]
/// gives it.
///
/// For text that is not parsed yet: a tag, a requirement. Source: golang/mod
/// `module.MatchPathMajor`.
#[must_use]
pub fn matches_major(version: &str, path_major: &str) -> bool {
    // Go lets what begins like the old pseudo-versions of gopkg.in pass unread.
    let is_old = version.starts_with("v0.0.0-") && matches!(path_major, ".v1" | ".v1-unstable");
    is_old || semver::is_valid(version) && fits_major(version, path_major)
}

/// The major or majors of a path, for people.
fn wanted_major(path: &ModulePath) -> &str {
    let (_, major) = path.split_major();
    if major.is_empty() { "v0 or v1" } else { major.trim_start_matches(['/', '.']) }
}

/// `version` is canonical, `path_major` is what [`ModulePath::split_major`] gives.
pub(crate) fn fits_major(version: &str, path_major: &str) -> bool {
    let path_major = match path_major.strip_suffix("-unstable") {
        Some(stable) if stable.starts_with('.') => stable,
        _ => path_major,
    };
    // gopkg.in once made v0.0.0- pseudo-versions below `.v1`; go.mod files still require them.
    if path_major == ".v1" && version.starts_with("v0.0.0-") {
        return true;
    }
    let major = version.split('.').next().unwrap_or_default();
    if path_major.is_empty() {
        return matches!(major, "v0" | "v1") || version.ends_with("+incompatible");
    }
    path_major.strip_prefix(['/', '.']) == Some(major)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn path(text: &str) -> ModulePath {
        ModulePath::parse(text).unwrap()
    }

    #[test]
    fn canonical_versions_are_taken() {
        for text in [
            "v0.0.0",
            "v1.2.3",
            "v1.2.3-pre",
            "v1.2.3-RC1.x-y.0",
            "v2.0.0+incompatible",
            "v2.0.0-rc.1+incompatible",
            "v99999999999999999999999.0.0",
            "v0.0.1-go1.21.0.linux-amd64",
        ] {
            assert_eq!(version(text).as_str(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", Error::Semver),
            ("1.2.3", Error::Semver),
            ("V1.2.3", Error::Semver),
            ("v01.2.3", Error::Semver),
            ("v1.2.3-", Error::Semver),
            ("v1.2.3-01", Error::Semver),
            ("v1.2.3-a..b", Error::Semver),
            ("v1.2.3+", Error::Semver),
            ("v1.2-pre", Error::Semver),
            ("v1.2.3-é", Error::Semver),
            ("v1.2.3 ", Error::Semver),
            ("master", Error::Semver),
            ("v1", Error::NotCanonical),
            ("v1.2", Error::NotCanonical),
            ("v1.2.3+meta", Error::NotCanonical),
            ("v1.2.3+incompatible.1", Error::NotCanonical),
        ] {
            assert_eq!(Version::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn precedence_is_semver_then_text() {
        let ordered = [
            "v0.0.0",
            "v1.0.0-0",
            "v1.0.0-1",
            "v1.0.0-2",
            "v1.0.0-10",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-alpha.beta",
            "v1.0.0-beta",
            "v1.0.0-beta.2",
            "v1.0.0-beta.11",
            "v1.0.0-rc.1",
            "v1.0.0",
            "v1.2.0",
            "v1.10.0",
            "v2.0.0",
            "v2.0.0+incompatible",
            "v18446744073709551616.0.0",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(version(a).cmp(&version(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn majors_fit_their_paths() {
        for (path_text, version_text, fits) in [
            ("a.b/c", "v0.1.0", true),
            ("a.b/c", "v1.0.0", true),
            ("a.b/c", "v2.0.0", false),
            ("a.b/c", "v2.0.0+incompatible", true),
            ("a.b/c/v2", "v2.0.0", true),
            ("a.b/c/v2", "v20.0.0", false),
            ("a.b/c/v2", "v1.0.0", false),
            ("gopkg.in/x.v0", "v0.3.0", true),
            ("gopkg.in/x.v1", "v1.0.0", true),
            ("gopkg.in/x.v1", "v0.0.0-20161208181325-20d25e280405", true),
            ("gopkg.in/x.v1", "v0.0.1", false),
            ("gopkg.in/x.v2", "v0.0.0-20161208181325-20d25e280405", false),
            ("gopkg.in/x.v2-unstable", "v2.1.0", true),
            ("gopkg.in/x.v2", "v1.0.0+incompatible", false),
        ] {
            assert_eq!(
                version(version_text).fits(&path(path_text)),
                fits,
                "{path_text} {version_text}"
            );
        }
    }

    #[test]
    fn a_wrong_major_is_told_as_go_tells_it() {
        let (path, version) = (path("a.b/c"), version("v2.0.0"));
        let error = Error::Major { path, version };
        assert_eq!(error.to_string(), "a.b/c@v2.0.0: invalid version: should be v0 or v1, not v2");
    }

    #[test]
    fn kinds_are_told_apart() {
        let pseudo = version("v1.2.4-0.20191109021931-daa7c04131f5+incompatible");
        assert!(pseudo.is_pseudo() && pseudo.is_prerelease() && pseudo.is_incompatible());
        assert_eq!(pseudo.pseudo_time(), Some("20191109021931"));
        assert_eq!(pseudo.pseudo_revision(), Some("daa7c04131f5"));
        let toolchain = version("v0.0.1-go1.21.0.linux-amd64");
        assert!(!toolchain.is_pseudo() && toolchain.is_prerelease());
        assert_eq!(toolchain.pseudo_base(), Err(Error::NotPseudo));
        assert!(!version("v1.0.0").is_prerelease());
    }

    #[test]
    fn parts_that_make_no_pseudo_version_are_refused() {
        let build = |older, time, revision| Version::pseudo("v0", older, time, revision);
        let time = "20191109021931";
        assert!(build(None, time, "daa7c04131f5").is_ok());
        for (time, revision) in [
            ("2019110902193", "d"),
            ("2019110902193x", "d"),
            (time, ""),
            (time, "d-e"),
            (time, "+"),
        ] {
            assert_eq!(build(None, time, revision), Err(Error::NotPseudo), "{time} {revision}");
        }
        assert_eq!(build(Some("v1.0.0+meta"), time, "d"), Err(Error::NotCanonical));
    }

    #[test]
    fn unread_versions_match_their_majors() {
        for (version, major, matches) in [
            ("v1", "", true),
            ("v2.1", "/v2", true),
            ("v2.0.0+incompatible", "", true),
            ("v2.0.0+meta", "", false),
            ("v2x", "/v2", false),
            ("master", "", false),
            ("v0.0.0-nonsense_", ".v1", true),
            ("v0.0.0-nonsense_", ".v1-unstable", true),
            ("v0.0.0-nonsense_", "/v1", false),
        ] {
            assert_eq!(matches_major(version, major), matches, "{version} {major}");
        }
    }

    #[test]
    fn escaped_versions_are_read() {
        assert_eq!(Version::unescape("v1.0.0-!r!c1"), Ok(version("v1.0.0-RC1")));
        assert_eq!(version("v1.0.0-RC1").escaped(), "v1.0.0-!r!c1");
        assert_eq!(Version::unescape("v1.0.0-RC1"), Err(Error::Escape));
    }

    proptest! {
        #[test]
        fn ordering_is_total(
            a in "v[0-2]\\.0\\.[0-2](-[a0]{1,2}(\\.[b1]{1,2})?)?(\\+incompatible)?",
            b in "v[0-2]\\.0\\.[0-2](-[a0]{1,2}(\\.[b1]{1,2})?)?(\\+incompatible)?",
        ) {
            if let (Ok(a), Ok(b)) = (Version::parse(&a), Version::parse(&b)) {
                prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
                prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            }
        }

        #[test]
        fn no_text_panics(text in "v[-+.0-9a-z]{0,40}") {
            if let Ok(version) = Version::parse(&text) {
                let _ = (version.pseudo_base(), version.pseudo_time());
            }
        }
    }
}
