//! What a log can do wrong, and what is said about it.

use std::fmt;

/// How long the line of a finding may be: names in it are the log's, and may be of any length.
const MAX_WHAT_CHARS: usize = 600;

/// A kind of misbehaviour, the worst first: the order is that of exit codes and of what wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misbehaviour {
    /// Two signed heads are not of one tree.
    Fork,
    /// What should be the newest head is not one that the key signed.
    Head,
    /// The C2SP checkpoint is not a head of the same tree.
    Checkpoint,
    /// A public record is not what the other database records.
    Hash,
    /// A private record has a name that is reserved for public modules.
    Reserved,
    /// One module version is recorded twice.
    Duplicate,
    /// A record is of a module that the log is not for.
    Realm,
    /// A tile or a record that the head promises is not there, or not the one of the tree.
    Gap,
    /// Records are withheld on purpose: 410.
    Redaction,
    /// A record is not written as records are.
    Grammar,
    /// The newest head is older than one that was seen, or has been the newest for too long.
    Stale,
    /// Lines stand below the root of a head.
    Extension,
}

impl Misbehaviour {
    /// All kinds, the worst first.
    pub const ALL: [Self; 12] = [
        Self::Fork,
        Self::Head,
        Self::Checkpoint,
        Self::Hash,
        Self::Reserved,
        Self::Duplicate,
        Self::Realm,
        Self::Gap,
        Self::Redaction,
        Self::Grammar,
        Self::Stale,
        Self::Extension,
    ];

    /// Returns the exit code of a run that found this and nothing worse: 10 to 21.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fork => 10,
            Self::Head => 11,
            Self::Checkpoint => 12,
            Self::Hash => 13,
            Self::Reserved => 14,
            Self::Duplicate => 15,
            Self::Realm => 16,
            Self::Gap => 17,
            Self::Redaction => 18,
            Self::Grammar => 19,
            Self::Stale => 20,
            Self::Extension => 21,
        }
    }

    /// Returns the word that findings of this kind begin with.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Head => "head",
            Self::Checkpoint => "checkpoint",
            Self::Hash => "hash",
            Self::Reserved => "reserved",
            Self::Duplicate => "duplicate",
            Self::Realm => "realm",
            Self::Gap => "gap",
            Self::Redaction => "redaction",
            Self::Grammar => "grammar",
            Self::Stale => "stale",
            Self::Extension => "extension",
        }
    }

    /// Returns the kind that a slug names.
    #[must_use]
    pub fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.slug() == slug)
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// One misbehaviour that was found. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind.
    pub kind: Misbehaviour,
    /// What was found, in one line without control characters.
    pub what: String,
    /// What shows it to others, where the log signed something.
    pub evidence: Option<Evidence>,
}

impl Finding {
    pub(super) fn new(kind: Misbehaviour, what: &str) -> Self {
        // A log must not be able to write lines, or colours, of its own into a report.
        let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let what = what.chars().take(MAX_WHAT_CHARS).map(plain).collect();
        Self { kind, what, evidence: None }
    }

    pub(super) fn with(mut self, name: String, text: String) -> Self {
        self.evidence = Some(Evidence { name, text });
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}

/// What shows a misbehaviour to others: signed notes, records, tiles, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// A name for the file: lower-case letters, digits and `-`; the same for the same misbehaviour.
    pub name: String,
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_slugs_are_unique_and_in_the_order_of_the_kinds() {
        for (place, kind) in Misbehaviour::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), 10 + place, "{kind}");
            assert_eq!(Misbehaviour::of_slug(kind.slug()), Some(kind));
        }
        assert!(Misbehaviour::ALL.is_sorted());
        assert_eq!(Misbehaviour::ALL.into_iter().min(), Some(Misbehaviour::Fork));
        assert_eq!(Misbehaviour::of_slug("other"), None);
    }

    #[test]
    fn a_finding_is_one_line_whatever_the_log_wrote() {
        let finding = Finding::new(Misbehaviour::Grammar, "a\nfork: b\u{1b}[31m\r");
        assert_eq!(finding.to_string(), "grammar: a\u{fffd}fork: b\u{fffd}[31m\u{fffd}");
        let long = |chars: usize| Finding::new(Misbehaviour::Grammar, &"é".repeat(chars)).what;
        assert_eq!(long(MAX_WHAT_CHARS).chars().count(), MAX_WHAT_CHARS);
        assert_eq!(long(MAX_WHAT_CHARS + 1).chars().count(), MAX_WHAT_CHARS);
    }
}
