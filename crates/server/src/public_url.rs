//! The URL under which clients reach larder.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An absolute `http://` or `https://` URL without user, query and fragment, without a slash at the
/// end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Returns the URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::PublicUrl { url: text.to_owned(), reason });
        let url = text.trim_end_matches('/');
        let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))
        else {
            return refuse("must begin with http:// or https://");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if !is_authority(authority) {
            return refuse("must name a host, with a port if need be, and no user");
        }
        if !rest.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>".contains(&b)) {
            return refuse("may have no query, fragment, blank or non-ASCII character");
        }
        Ok(Self(url.to_owned()))
    }
}

/// Tells whether `text` can be the `host[:port]` of a URL: safe to print, no user, not empty.
pub(crate) fn is_authority(text: &str) -> bool {
    /// A domain name has at most 253 characters (RFC 1035 §2.3.4); a port adds six.
    const MAX_AUTHORITY: usize = 259;
    !text.is_empty()
        && text.len() <= MAX_AUTHORITY
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

impl TryFrom<String> for PublicUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_addresses_are_taken_without_the_slash_at_the_end() {
        for (text, url) in [
            ("https://larder.example.com", "https://larder.example.com"),
            ("http://larder:8080/", "http://larder:8080"),
            ("https://[::1]:8443/go/", "https://[::1]:8443/go"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().as_str(), url);
        }
    }

    #[test]
    fn what_a_client_could_not_use_is_refused() {
        for text in [
            "",
            "larder:8080",
            "ftp://a",
            "https://",
            "https:///x",
            "https://u:p@a",
            "http://a/?q",
            "http://a/#f",
            "http://a b",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_authority_is_bounded() {
        assert!(is_authority(&"a".repeat(259)));
        assert!(!is_authority(&"a".repeat(260)));
    }
}
