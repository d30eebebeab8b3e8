//! Names that never leave.

use std::{fmt, sync::Arc};

use gomod::{ModulePath, pattern::Patterns};

/// Where a built-in pattern comes from, as shown to people.
const BUILT_IN: &str = "built in";

/// Domains that no public registry serves; a module below one can only be somebody's own.
///
/// Sources: RFC 6762 (`.local`), RFC 8375 (`home.arpa`), ICANN's reservation of `.internal`
/// (2024), and RFC 6762 appendix G for `.corp` and `.lan`.
const BUILT_IN_DOMAINS: [&str; 5] = [".internal", ".local", ".corp", ".lan", ".home.arpa"];

/// Names that are never asked of anyone public, each with where it was said.
///
/// The union of every list given, plus the built-in domains `.internal`, `.local`, `.corp`,
/// `.lan` and `.home.arpa`, which hold for the first path element (the host), equal to or below.
#[derive(Debug, Clone, Default)]
pub struct Private {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    text: String,
    matcher: Patterns,
    source: Arc<str>,
}

impl Private {
    /// Joins (comma list, source) pairs, such as (`corp.com,*.corp.com`, `GOPRIVATE (environment)`).
    ///
    /// The grammar is that of GOPRIVATE ([`gomod::pattern`]): blanks are not trimmed, malformed
    /// patterns match nothing.
    #[must_use]
    pub fn new(lists: Vec<(String, String)>) -> Self {
        let mut entries = Vec::new();
        for (list, source) in lists {
            let source: Arc<str> = source.into();
            for text in list.split(',').filter(|text| !text.is_empty()) {
                entries.push(Entry {
                    text: text.to_owned(),
                    matcher: Patterns::parse(text),
                    source: Arc::clone(&source),
                });
            }
        }
        Self { entries }
    }

    /// Returns the first pattern that makes `path` private, operators' patterns first.
    #[must_use]
    pub fn find(&self, path: &ModulePath) -> Option<PrivateMatch<'_>> {
        let text = path.as_str();
        let said = self.entries.iter().find(|entry| entry.matcher.find(text).is_some());
        if let Some(entry) = said {
            return Some(PrivateMatch { pattern: &entry.text, source: &entry.source });
        }
        let host = text.split('/').next().unwrap_or(text);
        let domain = BUILT_IN_DOMAINS.into_iter().find(|domain| is_in_domain(host, domain))?;
        Some(PrivateMatch { pattern: domain, source: BUILT_IN })
    }

    /// Returns every (pattern, source), built-in ones last: the lines that a start-up log shows.
    #[must_use]
    pub fn patterns(&self) -> Vec<(String, String)> {
        let said = self.entries.iter().map(|entry| (entry.text.clone(), entry.source.to_string()));
        let built_in =
            BUILT_IN_DOMAINS.iter().map(|domain| ((*domain).to_owned(), BUILT_IN.to_owned()));
        said.chain(built_in).collect()
    }
}

/// `domain` begins with its dot: `.corp` holds for `corp` and `x.corp`, not for `xcorp`.
fn is_in_domain(host: &str, domain: &str) -> bool {
    host.ends_with(domain) || domain.strip_prefix('.') == Some(host)
}

/// The pattern that made a name private, and who said it. Displays as one phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivateMatch<'a> {
    /// The pattern as written; a built-in domain begins with a dot.
    pub pattern: &'a str,
    /// Where it was said, such as `GOPRIVATE (environment)` or `built in`.
    pub source: &'a str,
}

impl fmt::Display for PrivateMatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private by pattern \"{}\" ({})", self.pattern, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ModulePath {
        ModulePath::parse(text).unwrap()
    }

    fn corp() -> Private {
        Private::new(vec![
            ("corp.com,*.corp.com".to_owned(), "GOPRIVATE (environment)".to_owned()),
            ("github.com/acme".to_owned(), "private in larder.toml".to_owned()),
        ])
    }

    #[test]
    fn union_of_lists_names_pattern_and_source() {
        let private = corp();
        for (module, pattern, source) in [
            ("corp.com/a", "corp.com", "GOPRIVATE (environment)"),
            ("git.corp.com/a", "*.corp.com", "GOPRIVATE (environment)"),
            ("github.com/acme/tool", "github.com/acme", "private in larder.toml"),
        ] {
            let found = private.find(&path(module));
            assert_eq!(found, Some(PrivateMatch { pattern, source }), "{module}");
        }
    }

    #[test]
    fn other_modules_are_public() {
        for module in ["github.com/acmeevil/tool", "notcorp.com/a", "golang.org/x/mod"] {
            assert_eq!(corp().find(&path(module)), None, "{module}");
        }
    }

    #[test]
    fn built_in_domains_hold_for_the_host_equal_or_below() {
        let private = Private::default();
        for (module, pattern) in [
            ("git.internal/a", ".internal"),
            ("nas.local/a", ".local"),
            ("x.y.corp/a", ".corp"),
            ("git.lan", ".lan"),
            ("home.arpa/a", ".home.arpa"),
            ("git.home.arpa/a", ".home.arpa"),
        ] {
            let found = private.find(&path(module));
            assert_eq!(found, Some(PrivateMatch { pattern, source: BUILT_IN }), "{module}");
        }
    }

    #[test]
    fn built_in_domains_do_not_hold_elsewhere() {
        let private = Private::default();
        for module in
            ["github.com/x.corp", "git.xcorp/a", "corp.com/a", "local.io/a", "x.arpa/home.arpa"]
        {
            assert_eq!(private.find(&path(module)), None, "{module}");
        }
    }

    #[test]
    fn a_bare_domain_word_is_in_its_domain() {
        assert!(is_in_domain("corp", ".corp"));
        assert!(is_in_domain("x.corp", ".corp"));
        assert!(!is_in_domain("xcorp", ".corp"));
        assert!(!is_in_domain("orp", ".corp"));
    }

    #[test]
    fn operators_pattern_is_named_before_a_built_in_one() {
        let private = Private::new(vec![("*.corp".to_owned(), "flag".to_owned())]);
        assert_eq!(private.find(&path("git.corp/a")).unwrap().source, "flag");
    }

    #[test]
    fn patterns_lists_all_with_their_source() {
        let all = corp().patterns();
        let first = ("corp.com".to_owned(), "GOPRIVATE (environment)".to_owned());
        assert_eq!(all.first(), Some(&first));
        assert_eq!(all.len(), 3 + BUILT_IN_DOMAINS.len());
        assert_eq!(all.last(), Some(&(".home.arpa".to_owned(), "built in".to_owned())));
    }

    #[test]
    fn empty_patterns_match_nothing() {
        let private = Private::new(vec![(",,".to_owned(), "GOPRIVATE".to_owned())]);
        assert_eq!(private.find(&path("example.com/a")), None);
        assert_eq!(private.patterns().len(), BUILT_IN_DOMAINS.len());
    }

    #[test]
    fn a_match_displays_pattern_and_source() {
        let found = PrivateMatch { pattern: ".corp", source: BUILT_IN };
        assert_eq!(found.to_string(), r#"private by pattern ".corp" (built in)"#);
    }
}
