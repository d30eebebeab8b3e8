//! Records: from memory, the store or a look-up, and believed only when proven.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gomod::{ModVer, SumdbRequest};
use store::Key;
use tlog::{Inclusion, Lookup, Proven, Question, SignedHead};
use tokio::sync::SemaphorePermit;

use super::{Log, MAX_NOTE_BYTES};
use crate::{Asking, Error, memory::Found, metrics::Asked};

/// Other writers of one record that are yielded to before keeping it is given up.
const MAX_YIELDS: usize = 4;
/// The first pause before a version that is not recorded is asked for again, at most; each is twice
/// the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Versions that are waited for at once. Each wait holds a turn to fetch, of 256 by default, and there
/// is no end of versions that no database records: without a bound they would hold all of them.
pub(super) const MAX_WAITING: usize = 64;

impl Log {
    /// The record of a version, proven under a head of ours.
    pub(crate) async fn find(
        self: &Arc<Self>,
        module: &ModVer,
        asking: Asking,
    ) -> Result<Arc<Found>, Error> {
        if let Some(found) = self.memory.record(module) {
            return Ok(found);
        }
        if asking == Asking::Stored {
            return self.stored_record(module).await.ok_or_else(|| self.not_stored());
        }
        let joined = self.finding.join(module.clone(), || {
            let (log, module) = (Arc::clone(self), module.clone());
            Box::pin(async move { log.find_once(&module).await })
        });
        joined.await
    }

    /// The same, waiting for a version that is not recorded yet: a fresh tag takes a while. While
    /// [`MAX_WAITING`] others are waited for, it is not.
    pub(crate) async fn wait_for(
        self: &Arc<Self>,
        module: &ModVer,
        longest: Duration,
    ) -> Result<Arc<Found>, Error> {
        if let Some(found) = self.memory.record(module) {
            return Ok(found);
        }
        let joined = self.waiting.join(module.clone(), || {
            let (log, module) = (Arc::clone(self), module.clone());
            Box::pin(async move { log.wait_until_found(&module, longest).await })
        });
        joined.await
    }

    async fn wait_until_found(
        self: &Arc<Self>,
        module: &ModVer,
        longest: Duration,
    ) -> Result<Arc<Found>, Error> {
        let (mut left, mut place) = (longest, None);
        let mut pause = FIRST_PAUSE.min(longest / 8);
        loop {
            match self.find(module, Asking::Anyone).await {
                Err(Error::NotFound { .. }) if !left.is_zero() && self.may_wait(&mut place) => {}
                Err(Error::NotFound { .. }) => {
                    let (module, database) = (module.clone(), self.name.to_string());
                    return Err(Error::NotRecorded { module, database });
                }
                other => return other,
            }
            // The last pause is what is left, so that the last question comes at the end.
            let now = if left < pause * 2 { left } else { pause };
            tokio::time::sleep(now).await;
            left = left.saturating_sub(now);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes one of the places of those who wait, unless it is taken already.
    fn may_wait<'a>(&'a self, place: &mut Option<SemaphorePermit<'a>>) -> bool {
        if place.is_none() {
            *place = self.places.try_acquire().ok();
        }
        place.is_some()
    }

    async fn find_once(self: &Arc<Self>, module: &ModVer) -> Result<Arc<Found>, Error> {
        // Somebody may have found it between our look into memory and this.
        if let Some(found) = self.memory.record(module) {
            return Ok(found);
        }
        if let Some(found) = self.stored_record(module).await {
            return Ok(found);
        }
        Box::pin(self.look_up(module)).await
    }

    /// What is stored, if it proves from stored tiles.
    async fn stored_record(self: &Arc<Self>, module: &ModVer) -> Option<Arc<Found>> {
        let (proven, _inclusion, _head) = self.prove_stored(module).await?;
        Some(self.found(proven))
    }

    fn found(&self, proven: Proven) -> Arc<Found> {
        let found = Arc::new(Found { proven, at: self.clock.now() });
        self.memory.keep_record(&found);
        found
    }

    /// Proves what is stored, from the store alone, under our newest head.
    pub(crate) async fn prove_stored(
        self: &Arc<Self>,
        module: &ModVer,
    ) -> Option<(Proven, Inclusion, Arc<SignedHead>)> {
        let head = self.head()?;
        let object = self.store.open(&Key::Record(&self.name, module), None).await.ok()??;
        let bytes = object.bytes(MAX_NOTE_BYTES).await.ok()?;
        let (id, text) = std::str::from_utf8(&bytes).ok()?.split_once('\n')?;
        let id: u64 = id.parse().ok()?;
        let record = tlog::Record::parse(module, text).ok()?;
        // A record that came with a head which was never kept is beyond ours.
        let covered = (id < head.size()).then_some([Question::Leaf(id)])?;
        let read = self.read(head.head(), &covered, Asking::Stored).await.ok()??;
        let proven = read.reading.prove(id, record).ok()?;
        let inclusion = read.reading.inclusion(id).ok()?;
        self.keep_if_possible(&read).await;
        Some((proven, inclusion, head))
    }

    /// Asks the database.
    async fn look_up(self: &Arc<Self>, module: &ModVer) -> Result<Arc<Found>, Error> {
        self.must_be_believed()?;
        if self.state.is_none() {
            let reason = format!("there is no state to keep the tree head of {} in", self.name);
            return Err(Error::Kept { reason });
        }
        let (answer, begun) = tokio::join!(self.ask_record(module), self.begin());
        let (body, source) = answer?;
        begun?;
        let lookup = match Lookup::parse(module, &body) {
            Ok(lookup) => lookup,
            Err(error @ tlog::Error::WrongModule { .. }) => {
                let is_signed =
                    signed_part(&body).is_some_and(|note| self.opened(note, &source).is_ok());
                return Err(self.wrong_record(module, &body, &error, is_signed).await);
            }
            Err(error) => {
                return Err(Error::Invalid { source_name: source, reason: error.to_string() });
            }
        };
        let seen = self.opened(lookup.message.as_bytes(), &source)?;
        let ours = self.settle_seen(&seen).await?;
        let questions = [Question::Leaf(lookup.id)];
        let Some(read) = self.read(ours.head(), &questions, Asking::Anyone).await? else {
            return Err(self.not_stored());
        };
        // The tiles are the tree's own, whatever the record is.
        self.keep_if_possible(&read).await;
        match read.reading.prove(lookup.id, lookup.record) {
            Ok(proven) => {
                self.keep_record(&proven).await;
                Ok(self.found(proven))
            }
            Err(error) => Err(self.wrong_record(module, &body, &error, true).await),
        }
    }

    async fn ask_record(&self, module: &ModVer) -> Result<(Bytes, Arc<str>), Error> {
        let asked = self.ask(&SumdbRequest::Lookup(module.clone()), MAX_NOTE_BYTES).await;
        self.metrics.looked_up(match &asked {
            Ok(_) => Asked::Found,
            Err(Error::NotFound { .. }) => Asked::Absent,
            Err(_) => Asked::Failed,
        });
        asked
    }

    /// On the first use of all, asks for the newest head: what comes with the look-ups is older.
    async fn begin(self: &Arc<Self>) -> Result<(), Error> {
        if self.head().is_none() && self.may_ask_newest(self.clock.now()) {
            return self.try_refresh().await;
        }
        Ok(())
    }

    /// Stores a proven record; what could not be stored is looked up again one day.
    #[expect(clippy::disallowed_methods, reason = "the one place where records change")]
    async fn keep_record(&self, proven: &Proven) {
        let key = Key::Record(&self.name, proven.record().module());
        let body = Bytes::from(format!("{}\n{}", proven.id(), proven.record().text()));
        let mut expected = None;
        for _ in 0..MAX_YIELDS {
            match self.store.replace(&key, body.clone(), expected.as_ref()).await {
                Err(store::Error::Changed { current }) => expected = current,
                Ok(_tag) => return,
                Err(error) => {
                    let module = proven.record().module();
                    tracing::warn!(%module, %error, "the record of {module} was not kept: {error}");
                    return;
                }
            }
        }
    }
}

/// The note of an answer to a look-up: what stands behind the first empty line.
fn signed_part(body: &[u8]) -> Option<&[u8]> {
    let at = body.windows(2).position(|two| two == b"\n\n")?;
    body.get(at + 2..)
}
