//! Watches a log of Go's format, ours or another's, and says what it does wrong.
//!
//! A monitor keeps the newest head that it believed and walks all records up to it, once: each is
//! held against the tree, read strictly, and looked for among all records before it. A later run
//! goes on where the last one stopped, on a head whose tree was shown to begin with the kept one;
//! so what was judged stays judged.
//!
//! | part | what |
//! |---|---|
//! | [`Monitor::look`] | the newest head, the C2SP checkpoint beside it, what was signed before, ages |
//! | [`Monitor::walk`] | the next records: tree, grammar, duplicates, names, the other database |
//! | [`Monitor::finish`] | what lasts: records that could not be judged, a log that cannot be asked |
//! | [`Kept`], [`Seen`] | what whoever runs it keeps between runs; this module knows no files |
//!
//! What it finds are [`Finding`]s. What cannot be asked is [`Monitor::trouble`]: it says nothing
//! about the log, hides nothing of what else can be judged, and is asked again in the next round.
//!
//! Source of what is looked for: sumdb.md §10 and §12.11.

mod compare;
mod evidence;
mod grammar;
mod heads;
mod judge;
mod kept;
mod misbehaviour;
mod names;
mod passed;
mod place;
mod seen;
mod signed;
mod walk;

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use outbound::Client;
use units::Timestamp;

use self::compare::Other;
pub use self::kept::{Kept, MAX_KEPT_BYTES, Unfit};
pub use self::misbehaviour::{Evidence, Finding, Misbehaviour};
pub use self::names::Names;
use self::passed::Why;
use self::place::Place;
pub use self::seen::{DIGEST_BYTES, MAX_RECORDS, Seen};
pub use self::signed::Signed;
use crate::{Clock, Database, Error};

/// Kinds of trouble that are told of one round.
const MAX_TROUBLE: usize = 8;

/// What a monitor is built of.
#[derive(Debug)]
pub struct Parts {
    /// The log to watch.
    pub database: Database,
    /// Another database, that public records are compared with.
    pub compare: Option<Database>,
    /// One in so many public records is compared, chosen at random; reserved names always are.
    pub sample: NonZeroU64,
    /// Which names the log may record.
    pub names: Names,
    /// What the records are judged by, as whoever runs it would say it: names, and the other
    /// database. What was kept is gone on with by the same terms only.
    pub terms: String,
    /// What the log signed elsewhere: heads that its clients were shown.
    pub heads: Vec<Signed>,
    /// How long a head may be the newest; `None`: for ever.
    pub max_age: Option<Duration>,
    /// The most requests at once; 0 counts as 1.
    pub at_once: usize,
    /// Sends the questions.
    pub client: Client,
    /// Our own `Via` value.
    pub via: Arc<str>,
    /// Tells the time.
    pub clock: Clock,
}

/// Whether there is more to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// Some records were judged.
    On,
    /// All are, or what comes next cannot be judged in this round.
    End,
}

/// A watched log.
///
/// Memory: [`Seen`], and tiles of one batch: at most 32 of records, 16 MiB together, or one of
/// 16 MiB, and as many of hashes.
pub struct Monitor {
    place: Place,
    other: Option<Other>,
    /// Look-ups that failed one after the other in this round.
    other_silent: u32,
    names: Names,
    max_age: Option<Duration>,
    clock: Clock,
    kept: Kept,
    seen: Seen,
    /// What the log signed elsewhere, until it was compared.
    heads: Vec<Signed>,
    /// What it signed now, and is to be compared in the next rounds.
    later: Vec<Signed>,
    found: Vec<Finding>,
    trouble: Vec<Error>,
    evidence_left: usize,
    /// Whether the newest head was seen in this round, and goes on from the one before.
    is_fresh: bool,
    /// Whether what is served is the tree that was believed.
    walks: bool,
    /// Records that were walked when the round began.
    began: u64,
    /// Where the second part of the walk is: records that were passed over before.
    again: Option<u64>,
    /// What lasts, was told, and need not end a run: redactions.
    lasting: Option<Misbehaviour>,
}

impl Monitor {
    /// Goes on with what was kept; `seen` holds the names of the records that `kept` has judged.
    ///
    /// # Errors
    ///
    /// [`Unfit`] when they do not belong together, are of another key, or were judged by other
    /// terms.
    pub fn new(parts: Parts, mut kept: Kept, seen: Seen) -> Result<Self, Unfit> {
        let Parts { database, compare, sample, names, terms, heads, max_age, .. } = parts;
        let Parts { at_once, client, via, clock, .. } = parts;
        if kept.key != database.key {
            return Err(Unfit::Key(kept.key));
        }
        if kept.records != seen.records() {
            return Err(Unfit::Damaged);
        }
        // In the state it is one line.
        let terms = terms.replace(char::is_control, "\u{fffd}");
        if kept.records > 0 && kept.terms != terms {
            return Err(Unfit::Terms { before: kept.terms, now: terms });
        }
        kept.terms = terms;
        let place = |database| Place::new(database, &client, &via, &clock).at_once(at_once);
        Ok(Self {
            place: place(&database),
            other: compare.as_ref().map(|database| Other::new(place(database), sample)),
            other_silent: 0,
            names,
            max_age,
            clock,
            kept,
            seen,
            heads,
            later: Vec::new(),
            found: Vec::new(),
            trouble: Vec::new(),
            evidence_left: 0,
            is_fresh: false,
            walks: false,
            began: 0,
            again: None,
            lasting: None,
        })
    }

    /// Ends a round whose walk has ended: finds what lasts, and how long.
    pub fn finish(&mut self) {
        let now = self.clock.now();
        let lasting: Vec<_> =
            self.kept.passed.iter().filter(|stretch| stretch.told).cloned().collect();
        for stretch in lasting {
            let (first, last) = (stretch.ids.start, stretch.ids.end - 1);
            match stretch.why {
                Why::Gap => {
                    let what = format!("records {first} to {last} are still not those of the tree");
                    self.find(Finding::new(Misbehaviour::Gap, &what));
                }
                Why::Redaction if self.lasting.is_none() => {
                    let what = format!("records {first} to {last} are still withheld");
                    self.found.push(Finding::new(Misbehaviour::Redaction, &what));
                }
                _ => {}
            }
        }
        self.lasting =
            (self.kept.passed.count(Why::Redaction) > 0).then_some(Misbehaviour::Redaction);
        let is_whole = self.is_fresh
            && self.kept.records >= self.kept.size()
            && self.kept.passed.count(Why::Unasked) == 0;
        if is_whole {
            self.kept.judged = Some(now);
        } else if let Some(judged) = self.kept.judged.filter(|judged| self.is_too_long_ago(*judged))
        {
            let what = format!("not all records of the newest head could be judged since {judged}");
            self.find(Finding::new(Misbehaviour::Stale, &what));
        }
        if self.kept.uncompared() == 0 {
            self.kept.compared = Some(now);
        }
    }

    /// Returns what to keep.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Returns the names to keep with it.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Notes that both are kept.
    pub fn saved(&mut self) {
        self.seen.saved();
    }

    /// Takes what was found since this was last called.
    #[must_use]
    pub fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.found)
    }

    /// Returns what could not be asked in this round, each kind of trouble once.
    #[must_use]
    pub fn trouble(&self) -> &[Error] {
        &self.trouble
    }

    /// Returns whether the other database could not be asked about all records for too long.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        let since = self.kept.compared.filter(|_| self.kept.uncompared() > 0);
        since.is_some_and(|since| self.is_too_long_ago(since))
    }

    /// Returns the worst kind of what was found, or lasts.
    #[must_use]
    pub fn worst(&self) -> Option<Misbehaviour> {
        self.kept.worst().into_iter().chain(self.lasting).min()
    }

    /// Notes that all findings are about to be told by an exit code: see [`Kept::told`].
    pub fn told(&mut self) {
        self.kept.told();
    }

    fn find(&mut self, finding: Finding) {
        // What each batch, or round, finds again is one line.
        if self.kept.found(&finding) || finding.evidence.is_some() {
            self.found.push(finding);
        }
    }

    fn troubled(&mut self, error: Error) {
        if self.trouble.len() < MAX_TROUBLE && !self.trouble.contains(&error) {
            self.trouble.push(error);
        }
    }

    fn is_too_long_ago(&self, when: Timestamp) -> bool {
        let age = self.clock.now().since(when).unwrap_or_default();
        self.max_age.is_some_and(|max| age > max)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.kept.size();
        f.debug_struct("Monitor")
            .field("place", &self.place)
            .field("size", &size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
