//! Names that never leave.

mod recorded;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use gomod::{ModulePath, pattern::Patterns};

use self::recorded::Recorded;

/// Where a built-in pattern comes from, as shown to people.
const BUILT_IN: &str = "built in";

/// Where a name comes from that no pattern makes private any more, as shown to people.
const RECORDED: &str = "recorded in our own log";

/// Names that only public modules have, whatever the patterns say: a private module of such a name
/// could become a toolchain on the machines of developers. Each holds for what is below it, too.
///
/// Source: reference sumdb.md §9.1, D11.
const RESERVED: [&str; 2] = ["golang.org/toolchain", "golang.org/x"];

/// Domains that no public registry serves; a module below one can only be somebody's own.
///
/// Sources: RFC 6762 (`.local`), RFC 8375 (`home.arpa`), ICANN's reservation of `.internal`
/// (2024), and RFC 6762 appendix G for `.corp` and `.lan`.
const BUILT_IN_DOMAINS: [&str; 5] = [".internal", ".local", ".corp", ".lan", ".home.arpa"];

/// Names that are never asked of anyone public, each with where it was said.
///
/// The union of every list given, plus the built-in domains `.internal`, `.local`, `.corp`,
/// `.lan` and `.home.arpa`, which hold for the first path element (the host), equal to or below,
/// plus what was recorded as private while a pattern said so ([`bind_private`](Self::bind_private)).
///
/// Clones are of one mind: what one of them is told to keep private, all do.
#[derive(Debug, Clone, Default)]
pub struct Private {
    entries: Vec<Entry>,
    recorded: Arc<RwLock<Recorded>>,
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
        Self { entries, recorded: Arc::default() }
    }

    /// Returns what makes `path` private: operators' patterns, built-in ones, then what was recorded.
    ///
    /// `golang.org/toolchain` and what is below `golang.org/x` never are, whatever a pattern says.
    /// Of a name that was recorded the pattern is the part of `path` that stands in the record.
    #[must_use]
    pub fn find<'a>(&'a self, path: &'a ModulePath) -> Option<PrivateMatch<'a>> {
        if is_reserved(path) {
            return None;
        }
        self.named(path).or_else(|| {
            let recorded = self.recorded.read().unwrap_or_else(PoisonError::into_inner);
            Some(PrivateMatch { pattern: recorded.find(path)?, source: RECORDED })
        })
    }

    /// Returns the first pattern that names `path`, operators' patterns first, also when the name is
    /// a reserved one.
    #[must_use]
    pub fn named(&self, path: &ModulePath) -> Option<PrivateMatch<'_>> {
        let text = path.as_str();
        let said = self.entries.iter().find(|entry| entry.matcher.find(text).is_some());
        if let Some(entry) = said {
            return Some(PrivateMatch { pattern: &entry.text, source: &entry.source });
        }
        let host = text.split('/').next().unwrap_or(text);
        let domain = BUILT_IN_DOMAINS.into_iter().find(|domain| is_in_domain(host, domain))?;
        Some(PrivateMatch { pattern: domain, source: BUILT_IN })
    }

    /// Keeps a path private that was recorded as such, whatever becomes of its pattern; with it its
    /// other major versions and what is below it.
    pub fn bind_private(&self, path: &ModulePath) {
        self.recorded.write().unwrap_or_else(PoisonError::into_inner).bind_private(path);
    }

    /// Keeps a path public that was recorded as such, though one beside or above it is private.
    /// Patterns count more.
    pub fn bind_public(&self, path: &ModulePath) {
        self.recorded.write().unwrap_or_else(PoisonError::into_inner).bind_public(path);
    }

    /// Returns every (pattern, source) that was said, built-in ones last: the lines that a start-up log shows.
    #[must_use]
    pub fn patterns(&self) -> Vec<(String, String)> {
        let said = self.entries.iter().map(|entry| (entry.text.clone(), entry.source.to_string()));
        let built_in =
            BUILT_IN_DOMAINS.iter().map(|domain| ((*domain).to_owned(), BUILT_IN.to_owned()));
        said.chain(built_in).collect()
    }
}

fn is_reserved(path: &ModulePath) -> bool {
    let is_below = |name: &str| {
        let rest = path.as_str().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    RESERVED.into_iter().any(is_below)
}

/// `domain` begins with its dot: `.corp` holds for `corp` and `x.corp`, not for `xcorp`.
fn is_in_domain(host: &str, domain: &str) -> bool {
    host.ends_with(domain) || domain.strip_prefix('.') == Some(host)
}

/// The pattern that made a name private, and who said it. Displays as one phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivateMatch<'a> {
    /// The pattern as written; a built-in domain begins with a dot; of a record, the path.
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
            let module = path(module);
            let found = private.find(&module);
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
            let module = path(module);
            let found = private.find(&module);
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
    fn reserved_names_are_public_whatever_patterns_and_records_say() {
        let all = Private::new(vec![("*".to_owned(), "flag".to_owned())]);
        for module in ["golang.org/toolchain", "golang.org/x/text", "golang.org/x/exp/slog"] {
            let module = path(module);
            all.bind_private(&module);
            assert_eq!(all.find(&module), None, "{module}");
            assert_eq!(all.named(&module).unwrap().pattern, "*");
        }
        for module in ["golang.org/toolchains", "golang.org/xy/text", "golang.org/dl", "a.b/c"] {
            assert_eq!(all.find(&path(module)).unwrap().pattern, "*", "{module}");
        }
    }

    #[test]
    fn what_was_recorded_stays_private_without_its_pattern() {
        let private = Private::default();
        let gate = private.clone();
        private.bind_private(&path("github.com/u/root"));
        let module = path("github.com/u/root/sub");
        let expected = PrivateMatch { pattern: "github.com/u/root", source: RECORDED };
        assert_eq!(gate.find(&module), Some(expected), "a clone does not know");
        assert_eq!(gate.named(&module), None);
    }

    #[test]
    fn a_pattern_counts_more_than_a_public_record() {
        let private = corp();
        private.bind_public(&path("corp.com/a"));
        assert_eq!(private.find(&path("corp.com/a")).unwrap().pattern, "corp.com");
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
