//! GOVCS: which version control may be used for which modules.
//!
//! Source: go.dev/ref/mod#vcs-govcs; golang/go `cmd/go/internal/vcs` (`parseGOVCS`).

use std::collections::HashMap;
use std::fmt;

use crate::pattern::Patterns;
use crate::quote;
use crate::repo::Vcs;

/// Holds the rules of a GOVCS value, with Go's defaults behind them.
///
/// The first rule that matches decides. Default: `public:git|hg,private:all`.
///
/// ```
/// use gomod::govcs::{Govcs, Visibility};
/// use gomod::repo::Vcs;
///
/// let rules: Govcs = "x.org:svn,public:git".parse()?;
/// assert!(rules.allows("x.org/r", Vcs::Svn, Visibility::Public).is_ok());
/// assert!(rules.allows("y.org/r", Vcs::Hg, Visibility::Public).is_err());
/// assert!(rules.allows("y.org/r", Vcs::Hg, Visibility::Private).is_ok());
/// # Ok::<(), gomod::govcs::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Govcs {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    whom: Whom,
    /// As they are written; names that Go does not know are no error.
    allowed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    All(Visibility),
    Pattern(Patterns),
}

/// Whether GOPRIVATE covers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// It does.
    Private,
    /// It does not.
    Public,
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

impl Govcs {
    /// Parses a comma list of `pattern:vcs|vcs`; blank text is the defaults alone.
    ///
    /// # Errors
    ///
    /// The first entry that is malformed or can never match.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let mut rules = Vec::new();
        if text.is_empty() {
            return Ok(Self { rules });
        }
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for item in text.split(',').map(str::trim) {
            let owned = || item.to_owned();
            if item.is_empty() {
                return Err(Error::EmptyEntry);
            }
            let (pattern, list) =
                item.split_once(':').ok_or_else(|| Error::MissingColon { item: owned() })?;
            let (pattern, list) = (pattern.trim(), list.trim());
            if pattern.is_empty() {
                return Err(Error::EmptyPattern { item: owned() });
            }
            if list.is_empty() {
                return Err(Error::EmptyList { item: owned() });
            }
            if is_relative(pattern) {
                return Err(Error::Relative { pattern: pattern.to_owned() });
            }
            if let Some(earlier) = seen.insert(pattern, item) {
                return Err(Error::Unreachable { item: owned(), earlier: earlier.to_owned() });
            }
            let allowed: Vec<String> = list.split('|').map(|name| name.trim().to_owned()).collect();
            if allowed.iter().any(String::is_empty) {
                return Err(Error::EmptyName { item: owned() });
            }
            let whom = match pattern {
                "private" => Whom::All(Visibility::Private),
                "public" => Whom::All(Visibility::Public),
                pattern => Whom::Pattern(Patterns::parse(pattern)),
            };
            rules.push(Rule { whom, allowed });
        }
        Ok(Self { rules })
    }

    /// Judges the use of a version control system for the repository whose root is `path`.
    ///
    /// A module proxy ([`Vcs::Mod`]) is none and always allowed.
    ///
    /// # Errors
    ///
    /// [`Refusal`], in Go's words.
    pub fn allows(&self, path: &str, vcs: Vcs, visibility: Visibility) -> Result<(), Refusal> {
        let own = self.rules.iter().find(|rule| match &rule.whom {
            Whom::All(whom) => *whom == visibility,
            Whom::Pattern(pattern) => pattern.find(path).is_some(),
        });
        let allowed = match (own, visibility) {
            _ if vcs == Vcs::Mod => true,
            (Some(rule), _) => {
                rule.allowed.iter().any(|name| name == "all" || name == vcs.as_str())
            }
            (None, Visibility::Private) => true,
            (None, Visibility::Public) => matches!(vcs, Vcs::Git | Vcs::Hg),
        };
        if allowed {
            return Ok(());
        }
        Err(Refusal { path: path.to_owned(), vcs, visibility })
    }
}

impl std::str::FromStr for Govcs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// `./x`, `../x`, `.`, `..`
fn is_relative(pattern: &str) -> bool {
    matches!(pattern, "." | "..") || pattern.starts_with("./") || pattern.starts_with("../")
}

/// GOVCS does not want this version control here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GOVCS disallows using {vcs} for {visibility} {path}; see 'go help vcs'")]
pub struct Refusal {
    /// The root of the repository.
    pub path: String,
    /// What it would be fetched with.
    pub vcs: Vcs,
    /// Whether the path is private.
    pub visibility: Visibility,
}

/// Why a text is no GOVCS value, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing stands between two commas.
    #[error("empty entry in GOVCS")]
    EmptyEntry,
    /// An entry has no colon.
    #[error("malformed entry in GOVCS (missing colon): {}", quote(item.as_bytes()))]
    MissingColon {
        /// The entry.
        item: String,
    },
    /// Nothing stands before the colon.
    #[error("empty pattern in GOVCS: {}", quote(item.as_bytes()))]
    EmptyPattern {
        /// The entry.
        item: String,
    },
    /// Nothing stands behind the colon.
    #[error("empty VCS list in GOVCS: {}", quote(item.as_bytes()))]
    EmptyList {
        /// The entry.
        item: String,
    },
    /// A pattern is a relative path.
    #[error("relative pattern not allowed in GOVCS: {}", quote(pattern.as_bytes()))]
    Relative {
        /// The pattern.
        pattern: String,
    },
    /// A pattern stands there twice.
    #[error("unreachable pattern in GOVCS: {} after {}",
        quote(item.as_bytes()), quote(earlier.as_bytes()))]
    Unreachable {
        /// The entry.
        item: String,
        /// The one that always decides.
        earlier: String,
    },
    /// Nothing stands between two bars.
    #[error("empty VCS name in GOVCS: {}", quote(item.as_bytes()))]
    EmptyName {
        /// The entry.
        item: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use Visibility::{Private, Public};

    fn allows(rules: &str, path: &str, vcs: &str, visibility: Visibility) -> bool {
        let vcs = Vcs::parse(vcs).unwrap();
        Govcs::parse(rules).unwrap().allows(path, vcs, visibility).is_ok()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        for (rules, path, vcs, visibility, allowed) in [
            ("", "is-public.org/r", "git", Public, true),
            ("", "is-public.org/r", "hg", Public, true),
            ("", "is-public.org/r", "svn", Public, false),
            ("", "is-private.org/r", "svn", Private, true),
            ("", "is-public.org/r", "mod", Public, true),
            ("*:off", "is-public.org/r", "mod", Public, true),
            ("*:all", "is-public.org/r", "fossil", Public, true),
            ("public:foo", "is-public.org/r", "git", Public, false),
            ("public:foo", "is-private.org/r", "git", Private, true),
            ("private:off", "is-private.org/r", "git", Private, false),
            ("x.org/a:git,x.org:svn", "x.org/a/b", "svn", Public, false),
            ("x.org/a:git,x.org:svn", "x.org/b", "svn", Public, true),
            ("x.org/a:git,x.org:svn", "y.org/b", "git", Public, true),
            ("*.org:svn|bzr", "x.org", "bzr", Public, true),
            (" x.org : svn | git ", "x.org/r", "git", Public, true),
            ("x.org:svn,public:all", "y.org", "svn", Public, true),
            ("public:git,x.org:svn", "x.org/r", "svn", Public, false),
        ] {
            assert_eq!(allows(rules, path, vcs, visibility), allowed, "{rules} {path} {vcs}");
        }
    }

    #[test]
    fn refusals_are_gos() {
        let refusal = Govcs::default().allows("x.org/r", Vcs::Svn, Public).unwrap_err();
        let expected = "GOVCS disallows using svn for public x.org/r; see 'go help vcs'";
        assert_eq!(refusal.to_string(), expected);
    }

    #[test]
    fn malformed_lists_are_told_as_go_tells_them() {
        for (rules, error) in [
            (",x.org:git", "empty entry in GOVCS"),
            ("x.org:git,", "empty entry in GOVCS"),
            ("x.org", r#"malformed entry in GOVCS (missing colon): "x.org""#),
            (" :git", r#"empty pattern in GOVCS: ":git""#),
            ("x.org: ", r#"empty VCS list in GOVCS: "x.org:""#),
            ("./x:git", r#"relative pattern not allowed in GOVCS: "./x""#),
            ("..:git", r#"relative pattern not allowed in GOVCS: "..""#),
            ("x.org:git||hg", r#"empty VCS name in GOVCS: "x.org:git||hg""#),
            ("x:a,x:b", r#"unreachable pattern in GOVCS: "x:b" after "x:a""#),
            ("public:a,public:b", r#"unreachable pattern in GOVCS: "public:b" after "public:a""#),
        ] {
            assert_eq!(Govcs::parse(rules).unwrap_err().to_string(), error, "{rules}");
        }
        assert!(Govcs::parse("x.org:a:b,.x:git").is_ok());
    }
}
