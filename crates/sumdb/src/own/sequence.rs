//! The sequencer: S1 to S6 of the commit protocol, never reordered.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, PoisonError};

use db::{NewRecord, Placed};
use store::OwnFile;
use tlog::{Consistency, Question, TreeHead};
use units::Timestamp;

use super::edge::{Edge, NewFile};
use super::entry::Entry;
use super::files::{Prepared, Trouble};
use super::floor::HeldFloor;
use super::keys::{self, Keys};
use super::metrics::Appended;
use super::queue::Waiting;
use super::start::{self, RECOVER};
use super::{Inner, Logged, OwnError, OwnLog, View};

/// Most records of a batch: those of one full tile.
pub const MAX_BATCH: usize = 256;

/// A step of a commit, told to [`OwnLog::observe`] before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// S1: the records get their places.
    Place,
    /// S2: the tiles are written, and the floor is raised.
    Tiles,
    /// S3: the head is signed.
    Sign,
    /// S4: the head is kept.
    Head,
    /// S6: the head is published.
    Publish,
    /// Whoever waited is answered.
    Answer,
}

impl OwnLog {
    /// Makes records until `stop`; ends earlier only when another sequencer took over.
    ///
    /// First does again what a crash left half done. A batch that is under way at `stop` is
    /// finished. Dropped: as after a crash, the next run goes on from the rows.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let inner = &*self.inner;
        inner.queue.begin();
        tokio::select! {
            () = inner.sequence(stop) => {}
            () = inner.keep_publishing() => {}
        }
        inner.queue.end(&OwnError::Unavailable { reason: "the log is stopping".into() });
        inner.publish_files().await;
    }
}

impl Inner {
    async fn sequence(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let (mut leader, mut batch) = (None, Vec::new());
        loop {
            // The first turn has no batch: it does what a crash left half done.
            match self.turn(leader.take(), batch).await {
                Ok(leading) => leader = Some(leading),
                Err(Trouble::Superseded) => {
                    tracing::error!(
                        "another process writes {}: this one ends",
                        self.verifier.name()
                    );
                    return;
                }
                Err(Trouble::Contradiction(reason)) => self.freeze(reason).await,
                Err(Trouble::Mismatch(reason)) => self.freeze_here(reason),
                // Where the log stands is open after an error: the next turn begins from the rows.
                Err(Trouble::Unavailable(error)) => {
                    tracing::warn!(%error, "records were not made: {error}");
                }
            }
            batch = tokio::select! {
                biased;
                () = &mut stop => return,
                batch = self.queue.take(MAX_BATCH) => batch,
            };
        }
    }

    /// Makes the records of a batch, and whoever waits is answered in any case.
    async fn turn<'a>(
        &'a self,
        leader: Option<Leader<'a>>,
        batch: Vec<Waiting>,
    ) -> Result<Leader<'a>, Trouble> {
        let leader = match (leader, self.reason()) {
            (_, Some(reason)) => Err(Trouble::Unavailable(self.is_frozen(reason))),
            (Some(leader), None) => Ok(leader),
            (None, None) => Leader::begin(self).await,
        };
        let made = match leader {
            Ok(mut leader) => leader.commit(&batch).await.map(|placed| (leader, placed)),
            Err(trouble) => Err(trouble),
        };
        self.at(Step::Answer);
        match made {
            Ok((leader, placed)) => {
                for (waiting, placed) in batch.into_iter().zip(placed) {
                    let answer = self.answer(&waiting, placed);
                    // Nobody listens any more: the record stands all the same.
                    drop(waiting.answer.send(answer));
                }
                Ok(leader)
            }
            Err(trouble) => {
                let error = self.refusal(&trouble);
                for waiting in batch {
                    self.metrics.appended(Appended::Failed);
                    drop(waiting.answer.send(Err(error.clone())));
                }
                Err(trouble)
            }
        }
    }

    /// What is told to one who waited.
    fn answer(&self, waiting: &Waiting, placed: (Placed, Timestamp)) -> Result<Logged, OwnError> {
        let record = &waiting.record;
        match placed {
            (Placed::New(id), at) => {
                self.metrics.appended(Appended::New);
                let logged = Logged { id, record: record.clone(), kind: waiting.kind, at };
                self.records.insert(record.module().clone(), Arc::new(logged.clone()));
                Ok(logged)
            }
            (Placed::Known(row), _) => self.same(Logged::read(row)?, record, waiting.kind),
            (Placed::Bound(binding), _) => {
                self.metrics.appended(Appended::Bound);
                Err(OwnError::Bound { path: record.module().path().clone(), binding })
            }
        }
    }

    fn refusal(&self, trouble: &Trouble) -> OwnError {
        match trouble {
            Trouble::Contradiction(reason) | Trouble::Mismatch(reason) => {
                self.is_frozen(reason.clone())
            }
            Trouble::Superseded => {
                OwnError::Unavailable { reason: "another process writes the log".into() }
            }
            Trouble::Unavailable(error) => error.clone(),
        }
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs nothing any more, as long as this process lives.
    pub(super) fn freeze_here(&self, reason: String) {
        tracing::error!("log {} is frozen: {reason}", self.verifier.name());
        self.metrics.frozen(true);
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    /// Signs nothing any more, until a person has looked.
    async fn freeze(&self, reason: String) {
        if let Err(error) = self.rows.freeze(&reason).await {
            tracing::warn!(%error, "the next start will not know that the log is frozen");
        }
        self.freeze_here(reason);
    }
}

/// The one who writes, as long as its epoch lasts.
struct Leader<'a> {
    log: &'a Inner,
    epoch: u64,
    floor: HeldFloor,
    /// The edge of the newest signed head.
    edge: Edge,
    /// Partial tiles in the store, of tiles that are not full yet.
    partial: Vec<OwnFile>,
}

/// What the tree becomes with some records more: its files are durable, but have no names yet.
struct Growth {
    edge: Edge,
    /// That it begins with the tree that was signed last.
    proof: Consistency,
    tiles: Vec<Prepared>,
    floor: Prepared,
    full: Vec<OwnFile>,
    partial: Vec<OwnFile>,
}

impl<'a> Leader<'a> {
    /// Ends all earlier epochs, and makes and publishes the head over all places there are.
    async fn begin(log: &'a Inner) -> Result<Self, Trouble> {
        let database = |error: db::Error| Trouble::from(OwnError::database(&error));
        let epoch = log.rows.lead().await.map_err(database)?;
        let standing = log.rows.standing().await.map_err(database)?;
        let head = log.rows.head(standing.integrated).await.map_err(database)?;
        let floor = HeldFloor::read(&log.files).await?;
        let raised = floor.as_ref().map(|held| &held.floor);
        let changed = Keys::read(&standing).as_ref() != Some(&log.keys);
        let changed = changed.then(|| "its keys were changed: start larder again".to_owned());
        let reason = changed.or_else(|| start::mismatch(&standing, &head, raised, raised));
        let (None, Some(floor)) = (reason.clone(), floor) else {
            return Err(Trouble::Mismatch(reason.unwrap_or_default()));
        };
        let edge = log.files.edge(head.size).await?;
        let root = TreeHead { size: head.size, root: head.root };
        let Some(edge) = edge.filter(|edge| edge.head() == root) else {
            let reason = format!("the tiles of {} records are missing; {RECOVER}", head.size);
            return Err(Trouble::Mismatch(reason));
        };
        let mut leader = Self { log, epoch, floor, edge, partial: Vec::new() };
        // Another process may have signed since this one opened the log.
        if log.view().head.size() < head.size {
            let view = log.view_of(&head, leader.edge.clone())?;
            log.publish(view);
        }
        leader.catch_up(standing.next).await?;
        Ok(leader)
    }

    /// Makes heads over places that have none: S2 to S6 of batches that a crash cut short.
    async fn catch_up(&mut self, next: u64) -> Result<(), Trouble> {
        while self.edge.size() < next {
            let count = u16::try_from(MAX_BATCH).unwrap_or(u16::MAX);
            let rows = self.log.rows.records(self.edge.size(), count).await;
            let rows = rows.map_err(|error| OwnError::database(&error))?;
            let entries: Vec<_> = rows.into_iter().map(Entry::of_row).collect();
            if entries.is_empty() {
                return Err(self.log.is_damaged("a record is missing".into()).into());
            }
            let growth = self.prepare(&entries).await?;
            self.grow(growth).await?;
        }
        Ok(())
    }

    /// Gives the records of a batch their places, and returns when a published head covers them.
    async fn commit(&mut self, batch: &[Waiting]) -> Result<Vec<(Placed, Timestamp)>, Trouble> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let new = |waiting: &Waiting| NewRecord {
            module: waiting.record.module().clone(),
            text: Some(waiting.record.text().to_owned()),
            leaf: waiting.record.hash(),
            kind: waiting.kind,
        };
        let records: Vec<_> = batch.iter().map(new).collect();
        let mut entries: Vec<_> =
            batch.iter().map(|waiting| Entry::Text(waiting.record.text().into())).collect();
        let now = self.log.clock.now();
        // S1. From its commit on the content of these places is final. The tiles, in case that all
        // are new, become durable beside it; they get their names afterwards.
        self.log.at(Step::Place);
        let (placed, growth) =
            tokio::join!(self.log.rows.append(self.epoch, &records, now), self.prepare(&entries));
        let placed = placed.map_err(|error| OwnError::database(&error))?;
        let placed = placed.ok_or(Trouble::Superseded)?;
        let mut answers = placed.iter();
        entries.retain(|_entry| matches!(answers.next(), Some(Placed::New(_))));
        if entries.len() == batch.len() {
            self.grow(growth?).await?;
        } else if !entries.is_empty() {
            let growth = self.prepare(&entries).await?;
            self.grow(growth).await?;
        }
        Ok(placed.into_iter().map(|placed| (placed, now)).collect())
    }

    /// Makes what the tree becomes with records that follow the newest head. Nobody sees it yet.
    async fn prepare(&self, entries: &[Entry]) -> Result<Growth, Trouble> {
        let (log, older, mut edge) = (self.log, self.edge.size(), self.edge.clone());
        let mut files = Vec::new();
        for entry in entries {
            edge.append(entry, &mut files);
        }
        let full = files.len();
        files.extend(edge.partial(older));
        let head = edge.head();
        let floor = self.floor.floor.signed.size;
        let reading = log.reading(&head, &edge, &files, &[Question::Tree(floor)]).await?;
        let proof = reading.consistency(floor).map_err(|error| log.damaged(&error))?;
        let (tiles, floor) =
            tokio::try_join!(log.files.prepare(&files), self.floor.prepare(&log.files, &head))?;
        let (full, partial) = files.split_at(full);
        let names = |files: &[NewFile]| files.iter().map(|(file, _bytes)| *file).collect();
        Ok(Growth { edge, proof, tiles, floor, full: names(full), partial: names(partial) })
    }

    /// S2 to S6 for what was prepared on top of the newest head.
    async fn grow(&mut self, growth: Growth) -> Result<(), Trouble> {
        let log = self.log;
        let Growth { edge, proof, tiles, floor, full, partial } = growth;
        let head = edge.head();
        // S2. The floor is raised beside: it says which head is on its way, and its tiles, or their
        // absence, say whether it may have left.
        log.at(Step::Tiles);
        let raised = self.floor.raise(&log.files, floor, (&head, &proof));
        let (kept, raised) = tokio::join!(log.files.keep(tiles), raised);
        kept?;
        raised?;
        let view = self.sign(&head, edge.clone()).await?;
        // S6. Readers first, then whoever waits.
        log.at(Step::Publish);
        log.publish(view);
        self.edge = edge;
        self.supersede(&full, partial);
        Ok(())
    }

    /// S3 and S4: signs a head by all keys and keeps it. No signature leaves before it is kept.
    async fn sign(&self, head: &TreeHead, edge: Edge) -> Result<View, Trouble> {
        let log = self.log;
        log.at(Step::Sign);
        let signed = keys::sign(&log.signers, head, log.clock.now())?;
        log.at(Step::Head);
        let kept = log.rows.integrate(self.epoch, self.edge.size(), &signed.row).await;
        if !kept.map_err(|error| OwnError::database(&error))? {
            return Err(Trouble::Superseded);
        }
        log.metrics.signed();
        Ok(View { head: signed.head, checkpoint: signed.checkpoint, edge })
    }

    /// Gives partial tiles away once a published head has the full one.
    fn supersede(&mut self, full: &[OwnFile], partial: Vec<OwnFile>) {
        let is_full = |file: &OwnFile| full.iter().any(|wide| begins(file, wide));
        let gone: Vec<_> = self.partial.extract_if(.., |file| is_full(file)).collect();
        self.partial.extend(partial);
        let mut superfluous = self.log.superfluous.lock().unwrap_or_else(PoisonError::into_inner);
        superfluous.extend(gone);
    }
}

/// Whether a file is the beginning of another.
fn begins(narrow: &OwnFile, wide: &OwnFile) -> bool {
    match (narrow, wide) {
        (OwnFile::Tile(narrow), OwnFile::Tile(wide))
        | (OwnFile::Entries(narrow), OwnFile::Entries(wide)) => {
            (narrow.level, narrow.index) == (wide.level, wide.index)
        }
        _ => false,
    }
}
