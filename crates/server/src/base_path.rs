//! Path prefixes under which larder answers besides the root.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A path prefix of request targets, like `/artifactory/api/go/x`.
///
/// Begins with a slash, has no slash at the end, no empty, `.` or `..` element, and only characters
/// that are sent as they are (RFC 3986 `unreserved`): it is compared with the raw request target,
/// byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct BasePath(String);

impl BasePath {
    /// Returns the prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what stands behind the prefix (empty, or beginning with a slash); `None` if `path`
    /// is not below it.
    pub(crate) fn strip<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.0.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for BasePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::BasePath { path: text.to_owned(), reason });
        // One slash at the end is what people write; it changes nothing.
        let path = text.strip_suffix('/').unwrap_or(text);
        let Some(elements) = path.strip_prefix('/') else {
            return refuse("must begin with a slash and name at least one element");
        };
        for element in elements.split('/') {
            if matches!(element, "" | "." | "..") {
                return refuse("has an empty, `.` or `..` element");
            }
            if !element.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
                return refuse("may hold ASCII letters, digits, `-`, `.`, `_` and `~` only");
            }
        }
        Ok(Self(path.to_owned()))
    }
}

impl TryFrom<String> for BasePath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_taken_and_lose_one_slash_at_the_end() {
        for (text, path) in
            [("/go", "/go"), ("/go/", "/go"), ("/artifactory/api/go/x", "/artifactory/api/go/x")]
        {
            assert_eq!(text.parse::<BasePath>().unwrap().as_str(), path);
        }
    }

    #[test]
    fn paths_that_no_target_could_equal_are_refused() {
        for text in [
            "", "/", "go", "//go", "/go//", "/a//b", "/a/../b", "/.", "/a%2Fb", "/a?b", "/a b",
            "/ü",
        ] {
            assert!(text.parse::<BasePath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_whole_elements_are_stripped() {
        let base: BasePath = "/go".parse().unwrap();
        assert_eq!(base.strip("/go"), Some(""));
        assert_eq!(base.strip("/go/"), Some("/"));
        assert_eq!(base.strip("/go/m.io/a/@v/list"), Some("/m.io/a/@v/list"));
        assert_eq!(base.strip("/gold/m.io/a/@v/list"), None);
        assert_eq!(base.strip("/x/go"), None);
    }
}
