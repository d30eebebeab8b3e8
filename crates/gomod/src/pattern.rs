//! Pattern lists such as GOPRIVATE holds.
//!
//! A pattern names leading elements of a module path; within an element `*`, `?` and `[...]` match
//! as Go's `path.Match` does. Source: golang/mod `module.MatchPrefixPatterns`.

mod glob;

/// Holds a comma-separated list of patterns.
///
/// ```
/// let private = gomod::pattern::Patterns::parse("corp.example,*.corp.example");
/// assert_eq!(private.find("git.corp.example/team/x"), Some("*.corp.example"));
/// assert_eq!(private.find("notcorp.example/x"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Splits a comma list; every text is one, because malformed patterns just match nothing.
    ///
    /// Blanks are not trimmed, as the `go` command does not.
    #[must_use]
    pub fn parse(comma_list: &str) -> Self {
        let patterns = comma_list.split(',').filter(|pattern| !elements(pattern).is_empty());
        Self(patterns.map(str::to_owned).collect())
    }

    /// Returns the first pattern that matches `path` or a path above it.
    ///
    /// Time grows with the length of the path times that of the list.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|pattern| matches(elements(pattern), path))
    }

    /// Returns whether the list holds no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One trailing slash does not count.
fn elements(pattern: &str) -> &str {
    pattern.strip_suffix('/').unwrap_or(pattern)
}

fn matches(pattern: &str, path: &str) -> bool {
    let slashes = pattern.matches('/').count();
    let end = path.match_indices('/').nth(slashes).map_or(path.len(), |(end, _)| end);
    let Some(prefix) = path.get(..end) else { return false };
    prefix.matches('/').count() == slashes && glob::matches(pattern, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The truth table that was taken from runs of the `go` command.
    #[test]
    fn patterns_match_as_the_go_command_matches() {
        let paths = [
            "corp.com",
            "corp.com/a/b",
            "git.corp.com",
            "git.corp.com/a",
            "x.y.corp.com/a",
            "notcorp.com/a",
        ];
        for (pattern, expected) in [
            ("corp.com", [true, true, false, false, false, false]),
            ("corp.com/*", [false, true, false, false, false, false]),
            ("*.corp.com", [false, false, true, true, true, false]),
            ("*.corp.com/*", [false, false, false, true, true, false]),
            ("*corp.com", [true, true, true, true, true, true]),
            ("corp.com/...", [false; 6]),
            ("corp.com/**", [false, true, false, false, false, false]),
            ("*", [true; 6]),
            ("*/*", [false, true, false, true, true, true]),
            (" corp.com", [false; 6]),
            ("corp.com,*.corp.com", [true, true, true, true, true, false]),
        ] {
            let patterns = Patterns::parse(pattern);
            let found = paths.map(|path| patterns.find(path).is_some());
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let team = Patterns::parse("corp.com/team");
        assert!(team.find("corp.com/team/x").is_some());
        assert!(team.find("corp.com/teammate").is_none());
        assert!(Patterns::parse("github.com/org*").find("github.com/orgevil/x").is_some());
    }

    #[test]
    fn one_trailing_slash_is_tolerated() {
        assert_eq!(Patterns::parse("corp.com/").find("corp.com/x"), Some("corp.com/"));
        assert!(Patterns::parse("corp.com//").find("corp.com/x").is_none());
    }

    #[test]
    fn empty_patterns_are_none() {
        for list in ["", ",", "/", ",/,"] {
            assert!(Patterns::parse(list).is_empty(), "{list}");
        }
        assert_eq!(Patterns::parse(",b.com,").find("b.com"), Some("b.com"));
    }

    #[test]
    fn the_first_match_is_told() {
        let patterns = Patterns::parse("a.com,*.com,b.com");
        assert_eq!(patterns.find("b.com/x"), Some("*.com"));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(list in "[a-c/*?,\\[\\]^\\\\é-]{0,20}", path in "[a-c/é]{0,20}") {
            let _ = Patterns::parse(&list).find(&path);
        }
    }
}
