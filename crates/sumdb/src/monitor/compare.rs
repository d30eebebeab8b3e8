//! The other database, which says what public records must be.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gomod::{ModVer, SumdbRequest};
use tlog::{Lookup, MAX_MESSAGE_BYTES, Proven, Question, Reading, Record, SignedHead};

use super::evidence::InHand;
use super::names::Reserved;
use super::passed::Why;
use super::place::{Failed, Place, Said};
use super::{Misbehaviour, Monitor};
use crate::Error;
use crate::bases::tail;

/// The most bytes of an answer to a look-up.
const MAX_LOOKUP_BYTES: u64 = MAX_MESSAGE_BYTES as u64;

/// Look-ups that may fail one after the other before no more are tried in a round.
const MAX_SILENT: u32 = 16;

/// A public record that is to be compared.
#[derive(Debug, Clone)]
pub(super) struct Public {
    pub(super) id: u64,
    pub(super) record: Record,
    pub(super) reserved: Reserved,
}

/// A database that is believed about public modules.
#[derive(Debug)]
pub(super) struct Other {
    place: Place,
    sample: NonZeroU64,
    /// Chooses the sample: by a seed that the watched log cannot know.
    chance: RandomState,
    newest: Mutex<Option<SignedHead>>,
}

impl Other {
    pub(super) fn new(place: Place, sample: NonZeroU64) -> Self {
        Self { place, sample, chance: RandomState::new(), newest: Mutex::default() }
    }

    /// Whether a record is of the sample.
    pub(super) fn samples(&self, module: &ModVer, reserved: Reserved) -> bool {
        reserved == Reserved::Yes
            || self.chance.hash_one(module.to_string()).is_multiple_of(self.sample.get())
    }

    /// Looks a version up: its record, proven, with the answer as it came; `None`: not recorded.
    async fn record(&self, module: &ModVer) -> Result<Option<(Proven, Bytes)>, Error> {
        let question = tail(&SumdbRequest::Lookup(module.clone()));
        let body = match self.place.ask(&question, MAX_LOOKUP_BYTES).await? {
            Said::Found(body) => body,
            Said::Absent(_) => return Ok(None),
            Said::Bad(reason) => return Err(self.invalid(reason)),
        };
        let lookup = Lookup::parse(module, &body).map_err(|error| self.bad(&error))?;
        let told = SignedHead::open(&self.place.key, lookup.message.as_bytes());
        let told = told.map_err(|error| self.bad(&error))?;
        // Under the newest head, whatever the answer's own: so the upper tiles are few.
        let before = self.newest().clone();
        let (head, older) = match before {
            Some(before) if before.size() >= told.size() => (before, None),
            older => (told, older),
        };
        let mut questions = vec![Question::Leaf(lookup.id)];
        questions.extend(older.as_ref().map(|older| Question::Tree(older.size())));
        let reading = self.place.read(head.head(), &questions, &HashMap::new()).await;
        let reading = reading.map_err(|failed| match failed {
            Failed::Unreachable(error) => error,
            failed => self.invalid(failed.to_string()),
        })?;
        if let Some(older) = &older {
            reading.extends(older.head()).map_err(|error| self.bad(&error))?;
        }
        self.raise(&head);
        let proven = reading.prove(lookup.id, lookup.record).map_err(|error| self.bad(&error))?;
        Ok(Some((proven, body)))
    }

    fn newest(&self) -> MutexGuard<'_, Option<SignedHead>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, head: &SignedHead) {
        let mut newest = self.newest();
        if newest.as_ref().is_none_or(|newest| newest.size() < head.size()) {
            *newest = Some(head.clone());
        }
    }

    fn bad(&self, error: &tlog::Error) -> Error {
        self.invalid(error.to_string())
    }

    /// What the other database does wrong is no finding about the log that is watched.
    fn invalid(&self, reason: String) -> Error {
        Error::Invalid { source_name: self.place.name().into(), reason }
    }
}

/// What the other database says of a record.
enum Compared {
    Same,
    Other { answer: String, what: String },
    Absent,
}

impl Monitor {
    /// Compares the public records of one tile. Those about which the other database cannot be
    /// asked, or does not tell the truth itself, are noted, and asked about in the next round.
    pub(super) async fn compare(&mut self, ids: Range<u64>, publics: &[Public], reading: &Reading) {
        let answers = self.answers(publics).await;
        let unasked = publics.get(answers.len());
        for (public, answer) in publics.iter().zip(answers) {
            match answer {
                Ok(compared) => self.compared(public, compared, reading).await,
                Err(error) => {
                    self.kept.passed.put(public.id..public.id + 1, Why::Uncompared);
                    self.troubled(error);
                }
            }
        }
        if let Some(public) = unasked {
            // The private ones among them, too: so that all of a long outage are one stretch.
            self.kept.passed.put_uncompared(public.id..ids.end);
        }
    }

    /// What is said of the records, in their order: of fewer when nothing is said any more.
    async fn answers(&mut self, publics: &[Public]) -> Vec<Result<Compared, Error>> {
        let Some(other) = &self.other else { return Vec::new() };
        let each = publics.iter().map(|public| compared(other, public));
        let mut each = stream::iter(each).buffered(other.place.parallel());
        let mut answers = Vec::with_capacity(publics.len());
        while self.other_silent < MAX_SILENT {
            let Some(answer) = each.next().await else { break };
            self.other_silent = if answer.is_ok() { 0 } else { self.other_silent + 1 };
            answers.push(answer);
        }
        answers
    }

    async fn compared(&mut self, public: &Public, compared: Compared, reading: &Reading) {
        let Some(other) = &self.other else { return };
        let name = other.place.name().to_owned();
        let (id, module) = (public.id, public.record.module());
        let (kind, what, answer) = match compared {
            Compared::Same => return,
            Compared::Other { answer, what } => (Misbehaviour::Hash, what, answer),
            Compared::Absent => {
                let kind = self.names.absent(public.reserved);
                (kind, format!("{name} does not record it"), String::new())
            }
        };
        let what = format!("record {id}, {module}: {what}");
        let title = format!("answer of {name} to the look-up of {module}");
        let more = [(title.as_str(), answer.as_str())];
        let more = if answer.is_empty() { &[][..] } else { &more[..] };
        let hand = InHand { id, text: public.record.text().as_bytes(), reading };
        let finding = self.of_records((kind, &what), hand, None, more).await;
        self.find(finding);
    }
}

async fn compared(other: &Other, public: &Public) -> Result<Compared, Error> {
    let record = &public.record;
    let Some((proven, body)) = other.record(record.module()).await? else {
        return Ok(Compared::Absent);
    };
    let theirs = proven.record();
    if theirs.zip_h1() == record.zip_h1() && theirs.mod_h1() == record.mod_h1() {
        return Ok(Compared::Same);
    }
    let what = format!(
        "{} has {} and {}, this log {} and {}",
        other.place.name(),
        theirs.zip_h1(),
        theirs.mod_h1(),
        record.zip_h1(),
        record.mod_h1()
    );
    Ok(Compared::Other { answer: String::from_utf8_lossy(&body).into_owned(), what })
}
