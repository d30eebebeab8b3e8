//! GOPROXY values: which proxies to ask, and when to go on to the next.
//!
//! Source: the `go` command (`modfetch/proxy.go`); go.dev/ref/mod#goproxy-protocol.

mod address;

use std::fmt;
use std::str::FromStr;

/// Says which failures of an entry lead on to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `,`: only the answer that the thing does not exist (404, 410).
    Comma,
    /// `|`: any failure.
    Pipe,
}

/// Names where an entry leads.
///
/// Prints, and shows itself in debug output, with the password masked.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A proxy: an absolute URL of scheme `http`, `https` or `file`, without trailing slash, query
    /// or fragment; it may hold a user and a password.
    Url(String),
    /// The version control system of the module.
    Direct,
    /// Nowhere: everything not found before is refused.
    Off,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&address::redacted(url)),
            Self::Direct => f.write_str("direct"),
            Self::Off => f.write_str("off"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// Holds one entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the entry leads.
    pub target: Target,
    /// What stands behind the entry; [`Separator::Comma`] behind the last one.
    pub separator: Separator,
}

/// Holds a GOPROXY value: at least one entry, `direct` and `off` only at the end.
///
/// Entries are trimmed and empty ones skipped; what follows `direct` or `off` is ignored, as the
/// `go` command does. An entry such as `proxy.example.com/x` gets `https://`.
///
/// ```
/// use gomod::goproxy::{List, Separator, Target};
/// let list: List = "https://user:secret@proxy.example.com/|direct".parse()?;
/// assert_eq!(list.0[0].target.to_string(), "https://user:xxxxx@proxy.example.com");
/// assert_eq!(list.0[0].separator, Separator::Pipe);
/// assert_eq!(list.0[1].target, Target::Direct);
/// # Ok::<(), gomod::goproxy::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List(pub Vec<Entry>);

impl FromStr for List {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut entries = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find([',', '|']).unwrap_or(rest.len());
            let (entry, behind) = rest.split_at(end);
            let separator =
                if behind.starts_with('|') { Separator::Pipe } else { Separator::Comma };
            rest = behind.get(1..).unwrap_or_default();
            match entry.trim() {
                "" => {}
                // Nothing behind these is read: later Go releases may give it a meaning.
                "off" => {
                    entries.push(Entry { target: Target::Off, separator: Separator::Comma });
                    break;
                }
                "direct" => {
                    entries.push(Entry { target: Target::Direct, separator: Separator::Comma });
                    break;
                }
                url => {
                    let url = address::parse(url)
                        .map_err(|reason| Error::Url { entry: entries.len() + 1, reason })?;
                    entries.push(Entry { target: Target::Url(url), separator });
                }
            }
        }
        if entries.is_empty() { Err(Error::Empty) } else { Ok(Self(entries)) }
    }
}

/// Says why a text is no GOPROXY value; never holds the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The value is empty or holds separators only.
    #[error("GOPROXY list contains no entries")]
    Empty,
    /// An entry is no URL that can be a proxy; one such entry spoils the list.
    #[error("entry {entry} of the GOPROXY list: {reason}")]
    Url {
        /// The number of the entry, counted from 1 without empty ones.
        entry: usize,
        /// What is wrong with it.
        reason: BadUrl,
    },
}

/// Says what is wrong with the URL of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUrl {
    /// A single word other than `direct` and `off`, or a path.
    #[error("proxy URL is missing its scheme")]
    NoScheme,
    /// A scheme that no proxy has.
    #[error("proxy URL scheme must be https, http or file")]
    Scheme,
    /// An `http` or `https` URL without a host.
    #[error("proxy URL has no host")]
    NoHost,
    /// A `file` URL with a host or a user, or without `//`.
    #[error("file:// proxy URL has parts other than a path")]
    File,
    /// A query or a fragment, which cannot be extended by a request path.
    #[error("proxy URL has a query or a fragment")]
    Query,
    /// Any other break of URL syntax: a control character, a bad escape, host, port or user.
    #[error("proxy URL is malformed")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Vec<String>, Error> {
        let list: List = text.parse()?;
        let entry = |entry: &Entry| {
            let mark = if entry.separator == Separator::Pipe { "|" } else { "" };
            format!("{}{mark}", entry.target)
        };
        Ok(list.0.iter().map(entry).collect())
    }

    #[test]
    fn entries_keep_the_separator_behind_them() {
        let parsed = parse("https://a.example|https://b.example,http://c.example|direct").unwrap();
        assert_eq!(
            parsed,
            ["https://a.example|", "https://b.example", "http://c.example|", "direct"]
        );
        // The first separator counts when an empty entry follows.
        assert_eq!(parse("https://a.example,|direct").unwrap(), ["https://a.example", "direct"]);
        assert_eq!(parse("https://a.example|,direct").unwrap(), ["https://a.example|", "direct"]);
    }

    #[test]
    fn blanks_and_empty_entries_are_skipped() {
        assert_eq!(
            parse(" ,, https://a.example , |direct ").unwrap(),
            ["https://a.example", "direct"]
        );
        assert_eq!(parse("\u{a0}off\n").unwrap(), ["off"]);
    }

    #[test]
    fn direct_and_off_end_the_list() {
        assert_eq!(parse("direct,:bad").unwrap(), ["direct"]);
        assert_eq!(parse("off|https://a.example").unwrap(), ["off"]);
        assert_eq!(parse("https://a.example,off,direct").unwrap(), ["https://a.example", "off"]);
    }

    #[test]
    fn a_list_without_entries_is_an_error() {
        for text in ["", ",", " ", ",|, "] {
            assert_eq!(parse(text), Err(Error::Empty), "{text}");
        }
    }

    #[test]
    fn one_bad_entry_spoils_the_list() {
        let reason = BadUrl::Scheme;
        assert_eq!(parse("https://a.example,ftp://b"), Err(Error::Url { entry: 2, reason }));
    }

    #[test]
    fn passwords_show_nowhere() {
        let list: List = "https://user:secret@a.example".parse().unwrap();
        assert_eq!(
            list.0.first().map(|e| &e.target).map(|target| match target {
                Target::Url(url) => url.as_str(),
                _ => "",
            }),
            Some("https://user:secret@a.example")
        );
        assert!(!format!("{list:?}").contains("secret"));
        let error = "https://user:secret@a b".parse::<List>().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"));
    }

    proptest! {
        #[test]
        fn parsed_urls_parse_to_themselves(text in "[a-z:/@.%0-9,|\\[\\] ]{0,40}", any in "\\PC{0,40}") {
            for text in [text, any] {
                let Ok(List(entries)) = text.parse() else { continue };
                for entry in entries {
                    if let Target::Url(url) = entry.target {
                        prop_assert!(!url.ends_with('/') || url == "file://");
                        let again: List = url.parse().unwrap();
                        prop_assert_eq!(again.0.len(), 1);
                        prop_assert_eq!(&again.0[0].target, &Target::Url(url));
                    }
                }
            }
        }
    }
}
