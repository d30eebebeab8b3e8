//! Which modules may be used.

use std::sync::Arc;

use gomod::{ModVer, ModulePath, Version, pattern::Patterns};
use serde::Deserialize;

use crate::Facts;

/// The judge: every rule is asked, the first refusal is the verdict.
///
/// Deny rules come before the allow-list, so what both name is denied. `golang.org/toolchain` is
/// exempt: an allow-list that does not mention it still lets it pass, and a deny pattern refuses
/// it only when it is spelled out as `golang.org/toolchain`. A pattern that merely covers it
/// (`*`, `golang.org`, `golang.org/*`) does not count, because the one who wrote it thought of
/// libraries, and a `go` command without its toolchain does not start.
///
/// Judge modules that exist: resolve first, then refuse, because a refusal for a path that is no
/// module breaks `go get` of packages below an allowed module. `.mod` files are not judged.
///
/// The default policy has no rule: everything passes.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Arc<dyn Rule>>,
}

/// One rule of a policy.
pub trait Rule: std::fmt::Debug + Send + Sync + 'static {
    /// Returns the refusal, or `None` when the rule has nothing against the subject.
    ///
    /// Pure: it never blocks and gives the same answer for the same subject. It is asked by name
    /// alone (`facts` is `None`) and again when the facts are known; what it refuses by name it
    /// refuses with facts too.
    fn judge(&self, subject: &Subject<'_>) -> Option<Denial>;
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The module.
    pub module: &'a ModulePath,
    /// The version; `None` for a list or `@latest`.
    pub version: Option<&'a Version>,
    /// What is known of the version; `None` while only the name is known.
    pub facts: Option<&'a Facts>,
}

/// Proof that policy let a subject pass. Made by [`Policy::judge`] only.
#[derive(Debug, Clone)]
pub struct Pass {
    module: ModulePath,
    version: Option<Version>,
}

impl Pass {
    /// Returns the module that passed.
    #[must_use]
    pub fn module(&self) -> &ModulePath {
        &self.module
    }

    /// Reports whether this pass was given to exactly that module version.
    #[must_use]
    pub fn covers(&self, module: &ModVer) -> bool {
        &self.module == module.path() && self.version.as_ref() == Some(module.version())
    }
}

/// Longest text of a denial in bytes: what the `go` command shows before it cuts.
///
/// Source: cmd/go/internal/web `maxErrorDetailBytes` (8 lines of 81 bytes).
pub const MAX_DENIAL_BYTES: usize = 8 * 81;

/// Longest share of a denial that one foreign text (module, pattern, reason) may take, in bytes.
/// Three of them and the fixed words stay below [`MAX_DENIAL_BYTES`].
const MAX_DENIAL_PART_BYTES: usize = 128;

/// A refusal, with a text for the person at the `go` command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Denial {
    /// Which rule refused: `deny PATTERN` or `allow-list`. For logs and audit.
    pub rule: String,
    /// What happened, the rule, the reason, what to do: at most eight lines and
    /// [`MAX_DENIAL_BYTES`] bytes of printable text without a blank line.
    pub text: String,
}

/// Configuration of the room: which modules may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Patterns of the modules that may be used, in the grammar of GOPRIVATE. Default: empty,
    /// every module may be used. A pattern that matches nothing allows nothing.
    pub allow: Vec<String>,
    /// Modules that may not be used, whatever `allow` says. Default: none.
    pub deny: Vec<DenyRule>,
}

/// One entry of [`Config::deny`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRule {
    /// Patterns of the modules that are denied: a comma list in the grammar of GOPRIVATE. A
    /// pattern that matches nothing denies nothing.
    pub modules: String,
    /// Why, shown to the person at the `go` command. Default: no reason is shown.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Policy {
    /// Builds the policy that a configuration describes.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut rules: Vec<Arc<dyn Rule>> = Vec::with_capacity(config.deny.len() + 1);
        for rule in &config.deny {
            rules.push(Arc::new(Deny::new(rule)));
        }
        if !config.allow.is_empty() {
            rules.push(Arc::new(Allow { patterns: Patterns::parse(&config.allow.join(",")) }));
        }
        Self { rules }
    }

    /// Judges a module, or one version of it.
    ///
    /// # Errors
    ///
    /// The [`Denial`] of the first rule that refuses.
    pub fn judge(&self, subject: Subject<'_>) -> Result<Pass, Denial> {
        match self.rules.iter().find_map(|rule| rule.judge(&subject)) {
            Some(denial) => Err(denial),
            None => Ok(Pass { module: subject.module.clone(), version: subject.version.cloned() }),
        }
    }

    /// Lets a `.mod` pass whatever the rules say of its module.
    ///
    /// A graph that merely mentions a refused version must load: rules block adoption (`list`,
    /// `@latest`, `.info`) and use (`.zip`). Source: reference protocol.md §11.
    #[must_use]
    pub fn pass_go_mod(module: &ModVer) -> Pass {
        Pass { module: module.path().clone(), version: Some(module.version().clone()) }
    }
}

/// Refuses what is not on the allow-list.
#[derive(Debug)]
struct Allow {
    patterns: Patterns,
}

impl Rule for Allow {
    fn judge(&self, subject: &Subject<'_>) -> Option<Denial> {
        let module = subject.module;
        if module.is_toolchain() || self.patterns.find(module.as_str()).is_some() {
            return None;
        }
        let text = format!(
            "{} is not allowed here\n\
             rule: only modules on the allow-list may be used\n\
             what to do: use a module that is allowed, or ask those who run this proxy to add it",
            subject_text(subject),
        );
        Some(Denial { rule: "allow-list".to_owned(), text })
    }
}

/// Refuses what one entry of the deny list names.
#[derive(Debug)]
struct Deny {
    /// One [`Patterns`] for each pattern, beside its text: toolchains look at the text.
    patterns: Vec<(String, Patterns)>,
    reason: Option<String>,
}

impl Deny {
    fn new(rule: &DenyRule) -> Self {
        let patterns = rule.modules.split(',').map(|text| (text.to_owned(), Patterns::parse(text)));
        Self { patterns: patterns.collect(), reason: rule.reason.clone() }
    }

    fn find(&self, module: &ModulePath) -> Option<&str> {
        let named = |(text, patterns): &&(String, Patterns)| {
            if module.is_toolchain() {
                return text.strip_suffix('/').unwrap_or(text) == module.as_str();
            }
            patterns.find(module.as_str()).is_some()
        };
        self.patterns.iter().find(named).map(|(text, _)| text.as_str())
    }
}

impl Rule for Deny {
    fn judge(&self, subject: &Subject<'_>) -> Option<Denial> {
        let pattern = self.find(subject.module)?;
        let reason = match self.reason.as_deref().map(one_line) {
            Some(reason) if !reason.is_empty() => format!("reason: {reason}\n"),
            _ => String::new(),
        };
        let text = format!(
            "{} is denied here\n\
             rule: modules that match \"{}\" may not be used\n\
             {reason}\
             what to do: use another module, or ask those who run this proxy about the rule",
            subject_text(subject),
            one_line(pattern),
        );
        Some(Denial { rule: format!("deny {pattern}"), text })
    }
}

fn subject_text(subject: &Subject<'_>) -> String {
    match subject.version {
        Some(version) => one_line(&format!("{}@{version}", subject.module)),
        None => one_line(subject.module.as_str()),
    }
}

/// One printable line of at most [`MAX_DENIAL_PART_BYTES`]: the `go` command shows nothing at
/// all of a text that holds control characters, and cuts at a blank line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || !is_graphic(c)) {
        if word.is_empty() {
            continue;
        }
        let space = if line.is_empty() { "" } else { " " };
        line.push_str(space);
        line.push_str(word);
    }
    if line.len() > MAX_DENIAL_PART_BYTES {
        line.truncate(line.floor_char_boundary(MAX_DENIAL_PART_BYTES - "...".len()));
        line.push_str("...");
    }
    line
}

/// Reports whether Go's `unicode.IsGraphic` can be relied on to hold: ASCII without controls, and
/// beyond it letters and digits only (Rust's classes for these are a part of Go's).
fn is_graphic(c: char) -> bool {
    c.is_ascii_graphic() || (!c.is_ascii() && c.is_alphanumeric())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
