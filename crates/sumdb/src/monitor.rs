//! Watches a log of Go's format, ours or another's, and says what it does wrong.
//!
//! A monitor keeps the newest head that it believed and walks all records up to it, once: each is
//! held against the tree, read strictly, and looked for among all records before it. A later run
//! goes on where the last one stopped, on a head whose tree was shown to begin with the kept one;
//! so what was judged stays judged.
//!
//! | part | what |
//! |---|---|
//! | [`Monitor::look`] | the newest head, the C2SP checkpoint beside it, their age |
//! | [`Monitor::walk`] | the next records: tree, grammar, duplicates, names, the other database |
//! | [`Kept`], [`Seen`] | what whoever runs it keeps between runs; this module knows no files |
//!
//! What it finds are [`Finding`]s, and no errors: an error says that nothing could be learnt. A
//! finding does not stop the walk unless what follows could not be judged.
//!
//! Source of what is looked for: sumdb.md §10 and §12.11.

mod compare;
mod evidence;
mod grammar;
mod heads;
mod kept;
mod misbehaviour;
mod names;
mod place;
mod seen;
mod walk;

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use outbound::Client;
use tlog::Record;

use self::compare::Other;
pub use self::kept::{Kept, MAX_KEPT_BYTES};
pub use self::misbehaviour::{Evidence, Finding, Misbehaviour};
pub use self::names::Names;
use self::names::Reserved;
use self::place::Place;
pub use self::seen::{DIGEST_BYTES, MAX_RECORDS, Seen};
use crate::{Clock, Database};

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
/// Memory: [`Seen`], and tiles of one batch: at most 32 of records and as many of hashes.
pub struct Monitor {
    place: Place,
    other: Option<Other>,
    names: Names,
    max_age: Option<Duration>,
    clock: Clock,
    kept: Kept,
    seen: Seen,
    /// Judged, but not compared with the other database yet.
    public: VecDeque<Public>,
    found: Vec<Finding>,
    evidence_left: usize,
    walks: bool,
}

/// A public record that is to be compared.
#[derive(Debug, Clone)]
struct Public {
    id: u64,
    record: Record,
    reserved: Reserved,
}

impl Monitor {
    /// Goes on with what was kept; `seen` holds the names of the records that `kept` has judged.
    ///
    /// `None`: they do not belong together, or are of another key.
    #[must_use]
    pub fn new(parts: Parts, kept: Kept, seen: Seen) -> Option<Self> {
        let Parts { database, compare, sample, names, max_age, at_once, client, via, clock } =
            parts;
        if kept.key != database.key || kept.records != seen.records() {
            return None;
        }
        let place = |database| Place::new(database, &client, &via, &clock).at_once(at_once);
        Some(Self {
            place: place(&database),
            other: compare.as_ref().map(|database| Other::new(place(database), sample)),
            names,
            max_age,
            clock,
            kept,
            seen,
            public: VecDeque::new(),
            found: Vec::new(),
            evidence_left: 0,
            walks: false,
        })
    }

    /// Returns what to keep, once [`look`](Self::look) or [`walk`](Self::walk) returned without an
    /// error; else what was judged, but not compared, would be forgotten.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Returns the names to keep with it.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Takes what was found since this was last called.
    #[must_use]
    pub fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.found)
    }

    /// Notes that all findings are about to be told by an exit code: see [`Kept::told`].
    pub fn told(&mut self) {
        self.kept.told();
    }

    fn find(&mut self, finding: Finding) {
        self.kept.found(&finding);
        self.found.push(finding);
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
