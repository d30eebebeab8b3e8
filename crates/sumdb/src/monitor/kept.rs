//! What a monitor knows when it comes again.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tlog::{SignedHead, VerifierKey};
use units::Timestamp;

use super::{Finding, Misbehaviour};

/// What the text begins with; a later format has another number.
const FIRST_LINE: &str = "larder monitor v1";
/// Findings whose text is kept until they were told; beyond them one of each further kind.
const MAX_UNTOLD: usize = 1000;
/// Greatest size of the text: a note, and the findings.
pub const MAX_KEPT_BYTES: u64 = 8 << 20;

/// Holds the newest head that the monitor believed, how far it has come, and what it has found
/// since a run last ended.
///
/// A head is kept when its tree was shown to begin with the one kept before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub(super) key: VerifierKey,
    pub(super) head: Option<SignedHead>,
    pub(super) records: u64,
    pub(super) grew: Option<Timestamp>,
    untold: Vec<(Misbehaviour, String)>,
}

impl Kept {
    /// Begins to watch the log of a key.
    #[must_use]
    pub fn new(key: VerifierKey) -> Self {
        Self { key, head: None, records: 0, grew: None, untold: Vec::new() }
    }

    /// Reads what was kept of the log of this key; `None`: it is damaged, or of another key.
    #[must_use]
    pub fn parse(key: &VerifierKey, text: &str) -> Option<Self> {
        let (lines, note) = text.split_once("\n\n")?;
        let mut lines = lines.split('\n');
        let is_of_key = lines.next()? == FIRST_LINE && lines.next()? == format!("key {key}");
        let mut kept = Self::new(key.clone());
        kept.records = lines.next()?.strip_prefix("records ")?.parse().ok()?;
        match lines.next()?.strip_prefix("grew ")? {
            "never" => {}
            when => kept.grew = Some(when.parse().ok()?),
        }
        for line in lines {
            let (slug, what) = line.strip_prefix("found ")?.split_once(' ')?;
            kept.untold.push((Misbehaviour::of_slug(slug)?, what.to_owned()));
        }
        if !note.is_empty() {
            // Signed, so that a slip of a file system cannot make a fork of what is none.
            kept.head = Some(SignedHead::open(key, note.as_bytes()).ok()?);
        }
        let size = kept.head.as_ref().map_or(0, SignedHead::size);
        (is_of_key && kept.records <= size).then_some(kept)
    }

    /// Returns the text that [`Kept::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        let grew = self.grew.map_or_else(|| "never".to_owned(), |when| when.to_string());
        let (key, records) = (&self.key, self.records);
        let mut text = format!("{FIRST_LINE}\nkey {key}\nrecords {records}\ngrew {grew}\n");
        for (kind, what) in &self.untold {
            let _never = writeln!(text, "found {kind} {what}");
        }
        text.push('\n');
        text.push_str(self.head.as_ref().map_or("", SignedHead::message));
        text
    }

    /// Returns how many records were judged.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Returns the size of the newest head that was believed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.as_ref().map_or(0, SignedHead::size)
    }

    /// Returns what was found and is not yet part of an exit code, as lines.
    #[must_use]
    pub fn untold(&self) -> Vec<String> {
        self.untold.iter().map(|(kind, what)| format!("{kind}: {what}")).collect()
    }

    /// Returns the worst kind of what was found and is not yet part of an exit code.
    #[must_use]
    pub fn worst(&self) -> Option<Misbehaviour> {
        self.untold.iter().map(|(kind, _)| *kind).min()
    }

    /// Notes that all that was found is about to be told by an exit code.
    pub fn told(&mut self) {
        self.untold.clear();
    }

    pub(super) fn found(&mut self, finding: &Finding) {
        let entry = (finding.kind, finding.what.clone());
        let kinds: BTreeSet<_> =
            self.untold.iter().skip(MAX_UNTOLD).map(|(kind, _)| *kind).collect();
        // A head that is wrong in each round of a long run is one finding.
        let is_new = self.untold.len() > MAX_UNTOLD || !self.untold.contains(&entry);
        if is_new && (self.untold.len() < MAX_UNTOLD || !kinds.contains(&finding.kind)) {
            self.untold.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::{LogName, SigningKey, TreeHead, sign_head};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(LogName::parse("sum.example/x").unwrap(), [seed; 32])
    }

    fn kept() -> Kept {
        let head = sign_head(&key(1), &TreeHead { size: 700, root: [3; 32] }).unwrap();
        let mut kept = Kept::new(key(1).verifier());
        kept.head = Some(head);
        kept.records = 600;
        kept.grew = Some(Timestamp::from_unix_secs(1_700_000_000));
        kept.found(&Finding::new(Misbehaviour::Gap, "a tile"));
        kept.found(&Finding::new(Misbehaviour::Duplicate, "a record"));
        kept
    }

    #[test]
    fn what_is_written_is_read() {
        let key = key(1).verifier();
        for kept in [Kept::new(key.clone()), kept()] {
            assert_eq!(Kept::parse(&key, &kept.text()), Some(kept));
        }
        assert_eq!(kept().worst(), Some(Misbehaviour::Duplicate));
        assert_eq!(kept().untold(), ["gap: a tile", "duplicate: a record"]);
        let mut told = kept();
        told.told();
        assert_eq!((told.worst(), told.size(), told.records()), (None, 700, 600));
    }

    #[test]
    fn damaged_and_other_texts_are_refused() {
        let (key, text) = (key(1).verifier(), kept().text());
        for bad in [
            String::new(),
            text.replace("v1", "v2"),
            text.replace("records 600", "records 701"),
            text.replace("records 600", "records -1"),
            text.replace("grew 2023", "grew x"),
            text.replace("found gap", "found thing"),
            text.replace("\n700\n", "\n701\n"),
            text.trim_end().to_owned(),
            text.split("\n\n").next().unwrap().to_owned(),
        ] {
            assert_eq!(Kept::parse(&key, &bad), None, "{bad}");
        }
        assert_eq!(Kept::parse(&self::key(2).verifier(), &text), None);
    }

    #[test]
    fn untold_findings_are_bounded_and_no_kind_is_lost() {
        let mut kept = Kept::new(key(1).verifier());
        for number in 0..MAX_UNTOLD + 5 {
            kept.found(&Finding::new(Misbehaviour::Grammar, &number.to_string()));
            kept.found(&Finding::new(Misbehaviour::Grammar, &number.to_string()));
        }
        assert_eq!(kept.untold.len(), MAX_UNTOLD + 1);
        kept.found(&Finding::new(Misbehaviour::Fork, "late"));
        kept.found(&Finding::new(Misbehaviour::Fork, "later"));
        assert_eq!((kept.untold.len(), kept.worst()), (MAX_UNTOLD + 2, Some(Misbehaviour::Fork)));
        assert!(kept.text().len() as u64 <= MAX_KEPT_BYTES);
    }
}
