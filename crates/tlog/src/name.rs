//! Names of checksum databases.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Error;

/// Greatest length of a name.
///
/// A client makes folders of it, and a DNS name has at most 253 bytes.
pub const MAX_NAME_BYTES: usize = 253;

/// Names a checksum database: `host[/path]`, such as `sum.golang.org` or `corp.example/go/log`.
///
/// The host is a lower-case DNS name without a port, the path, if any, has plain elements and no
/// trailing slash: a client makes folders of the name, and `:` or upper case would not survive on
/// every system. It may hold slashes, so requests are routed by the longest configured name.
///
/// ```
/// let name: tlog::LogName = "corp.example/go/log".parse()?;
/// assert_eq!(name.as_str(), "corp.example/go/log");
/// # Ok::<(), tlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogName(Arc<str>);

impl LogName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] for other text, and past [`MAX_NAME_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut elements = text.split('/');
        let host_is_valid = elements.next().is_some_and(|host| host.split('.').all(is_label));
        if text.len() > MAX_NAME_BYTES || !host_is_valid || !elements.all(is_element) {
            return Err(Error::Name);
        }
        Ok(Self(text.into()))
    }

    /// Returns the name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for LogName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

fn is_label(label: &str) -> bool {
    let in_label = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=63).contains(&label.len())
        && label.bytes().all(in_label)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_element(element: &str) -> bool {
    let in_element = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    element.bytes().all(in_element) && element.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_with_and_without_a_path_are_names() {
        for text in ["sum.golang.org", "localhost.localdev/sumdb", "localhost", "a-1.b/C_d/~e.f"] {
            assert_eq!(LogName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a..b",
            ".a",
            "a.",
            "A.b",
            "a:80",
            "a:80/b",
            "u@a",
            "a?b",
            "a#b",
            "a+b",
            "a b",
            "a/b c",
            "a/b+c",
            "a/..",
            "a/.",
            "-a.b",
            "a-.b",
            "é.b",
            "a/%20",
            "https://a",
            "a\\b",
        ] {
            assert_eq!(LogName::parse(text), Err(Error::Name), "{text}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let name = |bytes: usize| format!("a/{}", "x".repeat(bytes - 2));
        assert!(LogName::parse(&name(MAX_NAME_BYTES)).is_ok());
        assert_eq!(LogName::parse(&name(MAX_NAME_BYTES + 1)), Err(Error::Name));
        assert!(LogName::parse(&"x".repeat(63)).is_ok());
        assert_eq!(LogName::parse(&"x".repeat(64)), Err(Error::Name));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = LogName::parse(&text);
        }
    }
}
