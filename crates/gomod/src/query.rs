//! What a client may ask the `.info` of.

use std::fmt;
use std::sync::Arc;

use crate::escape;
use crate::path::{self, Kind, ModulePath};
use crate::version::{self, Version};

/// Names what stands before `.info`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    /// A canonical version that fits the path: the answer must name it and never changes.
    Version(Version),
    /// Anything else: a branch, a tag, a hash, a version that is short or does not fit.
    Revision(Revision),
}

impl Query {
    /// Reads an unescaped query about `path`.
    ///
    /// # Errors
    ///
    /// [`version::Error::Disallowed`] for text that no `go` command can ask for.
    pub fn parse(text: &str, path: &ModulePath) -> Result<Self, version::Error> {
        match Version::parse(text) {
            Ok(version) if version.fits(path) => Ok(Self::Version(version)),
            _ => Revision::parse(text).map(Self::Revision),
        }
    }

    /// Returns the unescaped text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Version(version) => version.as_str(),
            Self::Revision(revision) => revision.as_str(),
        }
    }

    /// Returns the case-escaped text, as it stands in URLs.
    #[must_use]
    pub fn escaped(&self) -> String {
        escape::escape(self.as_str())
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Holds the name of a branch, tag or commit that can be asked for through a proxy.
///
/// One ASCII path element without `!`: a branch with a slash cannot be asked for at all. Source:
/// golang/mod `module.EscapeVersion`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Parses an unescaped revision.
    ///
    /// # Errors
    ///
    /// [`version::Error::Disallowed`] when it is not one valid path element.
    pub fn parse(text: &str) -> Result<Self, version::Error> {
        let plain = text.is_ascii() && !text.contains('!');
        if !plain || path::check_element(text, Kind::File).is_err() {
            return Err(version::Error::Disallowed);
        }
        Ok(Self(text.into()))
    }

    /// Returns the unescaped text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(path: &str, text: &str) -> Result<Query, version::Error> {
        Query::parse(text, &path.parse().unwrap())
    }

    #[test]
    fn only_canonical_versions_that_fit_are_versions() {
        for (path, text, is_version) in [
            ("a.b", "v1.2.3", true),
            ("a.b", "v2.0.0+incompatible", true),
            ("a.b/v2", "v2.0.0", true),
            ("a.b", "v2.0.0", false),
            ("a.b", "v1.2", false),
            ("a.b", "v1.2.3+meta", false),
            ("a.b", "main", false),
            ("a.b", "HEAD", false),
            ("a.b", "daa7c04131f5", false),
        ] {
            let query = query(path, text).unwrap();
            assert_eq!(matches!(query, Query::Version(_)), is_version, "{path} {text}");
            assert_eq!(query.as_str(), text);
        }
    }

    #[test]
    fn revisions_are_one_plain_element() {
        for text in ["", "a/b", "a!b", "é", ".", "..", "a.", "a\\b", "a:b", "a*b", "con", "nul.x"]
        {
            assert_eq!(query("a.b", text), Err(version::Error::Disallowed), "{text}");
        }
        assert_eq!(query("a.b", "Feature x").unwrap().escaped(), "!feature x");
    }
}
