//! What a monitor knows when it comes again.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tlog::{SignedHead, VerifierKey};
use units::Timestamp;

use super::passed::{Passed, Why};
use super::signed::{MAX_SIGNED, MAX_SIGNED_BYTES, Signed};
use super::{Finding, Misbehaviour};

/// What the text begins with; another format has another number.
const FIRST_LINE: &str = "larder monitor v2";
/// What it begins with, whatever its format.
const ANY_FIRST_LINE: &str = "larder monitor v";
/// Findings whose text is kept until they were told; beyond them one of each further kind.
const MAX_UNTOLD: usize = 1000;
/// Greatest size of the text: notes, findings, and what was passed over.
pub const MAX_KEPT_BYTES: u64 = 8 << 20;

/// Why what was kept cannot be gone on with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Another version of larder wrote it.
    #[error("it was kept by another version of larder")]
    Version,
    /// It is of another key.
    #[error("it was kept of the key {0}")]
    Key(VerifierKey),
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// The records were judged by other terms: see [`Parts::terms`](super::Parts::terms).
    #[error("its records were judged with: {before}; this run is to judge with: {now}")]
    Terms {
        /// What they were judged by.
        before: String,
        /// What was asked for now.
        now: String,
    },
}

/// Holds the newest head that the monitor believed, how far it has come, what it passed over, and
/// what it has found since a run last ended.
///
/// A head is kept when its tree was shown to begin with the one kept before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub(super) key: VerifierKey,
    /// By what the records were judged; empty before the first.
    pub(super) terms: String,
    pub(super) head: Option<SignedHead>,
    pub(super) records: u64,
    /// When the head was first seen.
    pub(super) grew: Option<Timestamp>,
    /// When all records of the newest head were last judged, or when the monitor first tried.
    pub(super) judged: Option<Timestamp>,
    /// When all public records were last compared, or when the monitor first tried.
    pub(super) compared: Option<Timestamp>,
    pub(super) passed: Passed,
    /// Signed by the log, and not known to be of the tree of the head, or larger than it.
    pub(super) signed: Vec<Signed>,
    /// Signed by the log, and of another tree.
    pub(super) fork: Option<Signed>,
    untold: Vec<(Misbehaviour, String)>,
}

impl Kept {
    /// Begins to watch the log of a key.
    #[must_use]
    pub fn new(key: VerifierKey) -> Self {
        Self {
            key,
            terms: String::new(),
            head: None,
            records: 0,
            grew: None,
            judged: None,
            compared: None,
            passed: Passed::default(),
            signed: Vec::new(),
            fork: None,
            untold: Vec::new(),
        }
    }

    /// Reads what was kept of the log of this key.
    ///
    /// What was kept with another key of the log goes on when both keys signed the head that was
    /// kept: then who has the one says that the tree which was judged is also the other's.
    ///
    /// # Errors
    ///
    /// [`Unfit::Version`], [`Unfit::Key`] and [`Unfit::Damaged`].
    pub fn parse(key: &VerifierKey, text: &str) -> Result<Self, Unfit> {
        if !text.starts_with(&format!("{FIRST_LINE}\n")) && text.starts_with(ANY_FIRST_LINE) {
            return Err(Unfit::Version);
        }
        let before = key_of(text).filter(|_| text.starts_with(FIRST_LINE));
        let before = before.ok_or(Unfit::Damaged)?;
        let read = || {
            let (lines, notes) = text.split_once("\n\n")?;
            read(key, &before, lines, notes)
        };
        match read() {
            Some(kept) => Ok(kept),
            None if before != *key => Err(Unfit::Key(before)),
            None => Err(Unfit::Damaged),
        }
    }

    /// Returns the text that [`Kept::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { key, terms, records, .. } = self;
        let mut text = format!("{FIRST_LINE}\nkey {key}\nterms {terms}\nrecords {records}\n");
        for (name, when) in
            [("grew", self.grew), ("judged", self.judged), ("compared", self.compared)]
        {
            let when = when.map_or_else(|| "never".to_owned(), |when| when.to_string());
            let _never = writeln!(text, "{name} {when}");
        }
        for line in self.passed.lines() {
            let _never = writeln!(text, "{line}");
        }
        for (kind, what) in &self.untold {
            let _never = writeln!(text, "found {kind} {what}");
        }
        // Notes have empty lines: so their lengths stand here, and they below, one after the other.
        let head = self.head.iter().map(|head| ("head", head.message()));
        let signed = self.signed.iter().map(|signed| ("signed", signed.message()));
        let fork = self.fork.iter().map(|fork| ("fork", fork.message()));
        let mut notes = String::new();
        for (name, note) in head.chain(signed).chain(fork) {
            let _never = writeln!(text, "{name} {}", note.len());
            notes.push_str(note);
        }
        text.push('\n');
        text + &notes
    }

    /// Returns how many records were walked: judged, or [passed over](Self::unjudged).
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Returns how many of the records that were walked could not be judged.
    #[must_use]
    pub fn unjudged(&self) -> u64 {
        self.passed.unjudged()
    }

    /// Returns how many records were judged, but could not be compared with the other database.
    #[must_use]
    pub fn uncompared(&self) -> u64 {
        self.passed.count(Why::Uncompared)
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
        self.passed.told();
    }

    /// Notes a finding until it is told; whether it was not noted before.
    pub(super) fn found(&mut self, finding: &Finding) -> bool {
        let entry = (finding.kind, finding.what.clone());
        let kinds: BTreeSet<_> =
            self.untold.iter().skip(MAX_UNTOLD).map(|(kind, _)| *kind).collect();
        // A head that is wrong in each round of a long run is one finding.
        let is_new = self.untold.len() > MAX_UNTOLD || !self.untold.contains(&entry);
        if is_new && (self.untold.len() < MAX_UNTOLD || !kinds.contains(&finding.kind)) {
            self.untold.push(entry);
        }
        is_new
    }

    /// Keeps the newest head, which goes on from the one before. One of the same tree may have
    /// more signatures: while a key is changed, those of the new one.
    pub(super) fn follow(&mut self, head: &SignedHead, now: Timestamp) {
        if self.grew.is_none() || head.size() > self.size() {
            self.grew = Some(now);
        }
        // An empty tree has nothing to be consistent with; old Go wrote its root otherwise.
        if head.size() > 0 {
            self.head = Some(head.clone());
        }
    }

    /// Holds what the log signed until it is known to be of the tree; what is too long, or too much,
    /// was told and is not held.
    pub(super) fn hold(&mut self, signed: Signed) {
        let is_new = self.signed.iter().all(|held| held.head() != signed.head());
        let has_room = self.signed.len() < MAX_SIGNED && signed.size() > 0;
        if is_new && has_room && signed.message().len() <= MAX_SIGNED_BYTES {
            self.signed.push(signed);
        }
    }

    /// What was held is known to be of the tree, or not to be.
    pub(super) fn release(&mut self, signed: &Signed) {
        self.signed.retain(|held| held != signed);
    }

    /// What was held is of another tree; the first of them stays for good.
    pub(super) fn fork(&mut self, signed: Signed) {
        if signed.message().len() <= MAX_SIGNED_BYTES {
            self.fork.get_or_insert(signed);
        }
    }
}

/// The key that a text was kept with.
fn key_of(text: &str) -> Option<VerifierKey> {
    text.split('\n').nth(1)?.strip_prefix("key ")?.parse().ok()
}

fn read(key: &VerifierKey, before: &VerifierKey, lines: &str, notes: &str) -> Option<Kept> {
    let mut kept = Kept::new(key.clone());
    let mut lines = lines.split('\n').skip(2);
    lines.next()?.strip_prefix("terms ")?.clone_into(&mut kept.terms);
    kept.records = lines.next()?.strip_prefix("records ")?.parse().ok()?;
    take_time(lines.next()?, "grew ", &mut kept.grew)?;
    take_time(lines.next()?, "judged ", &mut kept.judged)?;
    take_time(lines.next()?, "compared ", &mut kept.compared)?;
    let mut notes = notes;
    for line in lines {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "passed" => kept.passed.take_in(rest)?,
            "found" => {
                let (slug, what) = rest.split_once(' ')?;
                kept.untold.push((Misbehaviour::of_slug(slug)?, what.to_owned()));
            }
            _ => {
                let (note, behind) = notes.split_at_checked(rest.parse().ok()?)?;
                notes = behind;
                take_in(&mut kept, before, word, note)?;
            }
        }
    }
    let is_by_both = |head: &SignedHead| before.name() == key.name() && is_by(before, head);
    let is_of_key = before == key || kept.head.as_ref().is_some_and(is_by_both);
    let is_whole = notes.is_empty() && kept.passed.is_within(kept.records);
    (is_of_key && is_whole && kept.records <= kept.size()).then_some(kept)
}

/// Takes in a note. All are signed, so that a slip of a file system cannot make a fork of what is none.
fn take_in(kept: &mut Kept, before: &VerifierKey, word: &str, note: &str) -> Option<()> {
    let opened = Signed::open(&kept.key, note.as_bytes());
    match (word, opened) {
        ("head", _) => kept.head = Some(SignedHead::open(&kept.key, note.as_bytes()).ok()?),
        ("signed", Ok(signed)) => kept.signed.push(signed),
        ("fork", Ok(signed)) => kept.fork = Some(signed),
        // Of a key that was changed since: told, and nothing that the new key must answer for.
        ("signed" | "fork", Err(_)) if *before != kept.key => {
            Signed::open(before, note.as_bytes()).ok()?;
        }
        _ => return None,
    }
    Some(())
}

fn is_by(key: &VerifierKey, head: &SignedHead) -> bool {
    SignedHead::open(key, head.message().as_bytes()).is_ok()
}

fn take_time(line: &str, name: &str, into: &mut Option<Timestamp>) -> Option<()> {
    let when = line.strip_prefix(name)?;
    if when != "never" {
        *into = Some(when.parse().ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::{Checkpoint, LogName, Note, SigningKey, TreeHead};

    fn name() -> LogName {
        LogName::parse("sum.example/x").unwrap()
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(name(), [seed; 32])
    }

    fn note(seeds: &[u8], text: String) -> String {
        let signatures = seeds.iter().map(|seed| key(*seed).sign(&text)).collect();
        Note { text, signatures }.message()
    }

    fn tree(size: u64) -> TreeHead {
        TreeHead { size, root: [3; 32] }
    }

    fn head(seeds: &[u8]) -> SignedHead {
        let note = note(seeds, tree(700).text());
        SignedHead::open(&key(seeds[0]).verifier(), note.as_bytes()).unwrap()
    }

    fn checkpoint(size: u64) -> Signed {
        let text = Checkpoint { origin: name(), head: tree(size) }.text();
        Signed::open(&key(1).verifier(), note(&[1], text).as_bytes()).unwrap()
    }

    fn kept() -> Kept {
        let mut kept = Kept::new(key(1).verifier());
        kept.terms = "no realm".to_owned();
        kept.head = Some(head(&[1]));
        kept.records = 600;
        kept.grew = Some(Timestamp::from_unix_secs(1_700_000_000));
        kept.judged = Some(Timestamp::from_unix_secs(1_600_000_000));
        kept.passed.put(256..512, Why::Redaction);
        kept.passed.put(512..513, Why::Uncompared);
        kept.hold(checkpoint(900));
        kept.fork(checkpoint(800));
        kept.found(&Finding::new(Misbehaviour::Gap, "a tile"));
        kept.found(&Finding::new(Misbehaviour::Duplicate, "a record"));
        kept
    }

    #[test]
    fn what_is_written_is_read() {
        let key = key(1).verifier();
        for kept in [Kept::new(key.clone()), kept()] {
            assert_eq!(Kept::parse(&key, &kept.text()), Ok(kept));
        }
        assert_eq!(kept().worst(), Some(Misbehaviour::Duplicate));
        assert_eq!(kept().untold(), ["gap: a tile", "duplicate: a record"]);
        assert_eq!((kept().unjudged(), kept().uncompared()), (256, 1));
        let mut told = kept();
        told.told();
        assert_eq!((told.worst(), told.size(), told.records()), (None, 700, 600));
        assert!(told.text().contains("\npassed 256 512 redaction told\n"), "{}", told.text());
    }

    #[test]
    fn damaged_and_other_texts_are_refused() {
        let (key, text) = (key(1).verifier(), kept().text());
        for bad in [
            String::new(),
            text.replace("larder", "lauder"),
            text.replace("records 600", "records 701"),
            text.replace("records 600", "records 512"),
            text.replace("records 600", "records -1"),
            text.replace("grew 2023", "grew x"),
            text.replace("judged 2020", "judgd 2020"),
            text.replace("terms ", "term "),
            text.replace("passed 256", "passed 600"),
            text.replace("found gap", "found thing"),
            text.replace("fork ", "fork -"),
            text.replace("signed ", "sighed "),
            text.replace("\n700\n", "\n701\n"),
            text.replace("\n900\n", "\n901\n"),
            text.trim_end().to_owned(),
            text.clone() + "\n",
            text.split("\n\n").next().unwrap().to_owned(),
        ] {
            assert_eq!(Kept::parse(&key, &bad), Err(Unfit::Damaged), "{bad}");
        }
        for other in ["v1", "v3", "v20"] {
            let text = text.replace("monitor v2", &format!("monitor {other}"));
            assert_eq!(Kept::parse(&key, &text), Err(Unfit::Version), "{other}");
        }
    }

    #[test]
    fn a_changed_key_goes_on_from_a_head_that_both_signed() {
        let (old, new) = (key(1).verifier(), key(2).verifier());
        let of = |seeds: &[u8]| Kept { head: Some(head(seeds)), ..kept() }.text();
        let both = Kept::parse(&new, &of(&[1, 2])).unwrap();
        assert_eq!((both.records(), both.size(), &both.key), (600, 700, &new));
        assert_eq!((both.signed.len(), &both.fork), (0, &None), "they are the old key's");
        assert_eq!(Kept::parse(&new, &both.text()), Ok(both), "with the new key from now on");
        assert_eq!(Kept::parse(&new, &of(&[1])), Err(Unfit::Key(old.clone())));
        let empty = Kept::new(old.clone()).text();
        assert_eq!(Kept::parse(&new, &empty), Err(Unfit::Key(old.clone())), "no head");
        let other = SigningKey::from_seed(LogName::parse("sum.example/y").unwrap(), [1; 32]);
        let text = of(&[1, 2]).replace(&old.to_string(), &other.verifier().to_string());
        assert_eq!(Kept::parse(&new, &text), Err(Unfit::Key(other.verifier())), "another log");
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

    #[test]
    fn signed_texts_are_bounded() {
        let mut kept = Kept::new(key(1).verifier());
        for size in 0..=MAX_SIGNED as u64 {
            kept.hold(checkpoint(800 + size));
            kept.hold(checkpoint(800 + size));
        }
        assert_eq!(kept.signed.len(), MAX_SIGNED);
        for (bytes, held) in [(MAX_SIGNED_BYTES, 1), (MAX_SIGNED_BYTES + 1, 0)] {
            let lines = |more: usize| format!("{}{}\n", tree(9).text(), "x".repeat(more));
            let empty = note(&[1], lines(0)).len();
            let note = note(&[1], lines(bytes - empty));
            assert_eq!(note.len(), bytes);
            let signed = Signed::open(&key(1).verifier(), note.as_bytes()).unwrap();
            let mut kept = Kept::new(key(1).verifier());
            kept.hold(signed.clone());
            kept.fork(signed);
            assert_eq!((kept.signed.len(), kept.fork.iter().len()), (held, held));
        }
    }
}
