//! Making a log, and opening one: what belongs together, and what may be answered from.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db::{LogHead, LogStanding};
use quick_cache::sync::Cache;
use store::OwnFile;
use tlog::{Frontier, Note, SignedCheckpoint, SignedHead, TreeHead, VerifierKey};
use tokio::sync::watch;

use super::edge::Edge;
use super::entry::Erased;
use super::files::{Files, Trouble};
use super::floor::{Floor, HeldFloor};
use super::keys::{self, Keys};
use super::queue::Queue;
use super::{EXPECTED_ENTRIES, Inner, MAX_RECORD_BYTES, MAX_TILE_BYTES, Weight};
use super::{OwnError, OwnLog, OwnMetrics, OwnParts, View};

/// What to do about a log that is frozen, in a person's words.
pub(super) const RECOVER: &str = "restore the right one, or run `larder sumdb recover`";

impl OwnLog {
    /// Makes a log. Only a person asks for this: whoever serves must never begin a second one.
    ///
    /// Durable on return. After a crash half-way it can be asked again.
    ///
    /// # Errors
    ///
    /// [`OwnError::Existence`] when database or store have a log of that name, or the key is of
    /// another name or missing; [`OwnError::Unavailable`] when they do not answer.
    pub async fn create(parts: &OwnParts) -> Result<Self, OwnError> {
        let wrong = |problem| OwnError::Existence { log: parts.name.clone(), problem };
        let held = parts.held_keys()?;
        Self::is_new(parts).await?;
        let keys = Keys::found(&held, None).ok_or_else(|| wrong("has no key"))?;
        let files = parts.files();
        if HeldFloor::read(&files).await.is_ok_and(|floor| floor.is_none()) {
            HeldFloor::make(&files, &Frontier::new().head()).await?;
        }
        parts.make_rows(&keys).await?;
        let log = Self::open(parts.clone()).await?;
        log.inner.publish_files().await;
        Ok(log)
    }

    /// Looks whether a log of that name may be made: before a key is.
    ///
    /// # Errors
    ///
    /// As of [`create`](Self::create), the key aside.
    pub async fn is_new(parts: &OwnParts) -> Result<(), OwnError> {
        let wrong = |problem| Err(OwnError::Existence { log: parts.name.clone(), problem });
        let rows = parts.state.log(parts.name.as_str()).await;
        if rows.map_err(|error| OwnError::database(&error))?.is_some() {
            return wrong("exists");
        }
        match HeldFloor::read(&parts.files()).await {
            Ok(None) => Ok(()),
            // Begun before, and cut short.
            Ok(Some(held)) if held.floor.signed == Frontier::new().head() => Ok(()),
            Err(Trouble::Unavailable(error)) => Err(error),
            _ => wrong("has tiles in the store, but is not in the database"),
        }
    }

    /// Opens a log that was made. Changes nothing, so it may be opened beside one that runs.
    ///
    /// What is missing or does not belong together freezes the log, and it still answers:
    /// [`frozen`](Self::frozen) says why.
    ///
    /// # Errors
    ///
    /// [`OwnError::Existence`] when it was never made, [`OwnError::Unavailable`] when database or
    /// store do not answer, [`OwnError::Damaged`] when there is no head left to answer under.
    pub async fn open(parts: OwnParts) -> Result<Self, OwnError> {
        let found = Found::read(&parts).await?;
        let contradiction = found.contradiction(&parts);
        let (signers, frozen) = match found.keys.signers(&parts) {
            Ok(signers) => (signers, contradiction),
            Err(missing) => (Vec::new(), Some(contradiction.unwrap_or(missing))),
        };
        let view = found.newest().await?.ok_or_else(|| found.damaged("no head has its tiles"))?;
        let verifier = found.keys.newest().ok_or_else(|| found.damaged("no key signs"))?.clone();
        let Found { rows, files, keys, .. } = found;
        let log = Self {
            inner: Arc::new(Inner {
                signers,
                keys,
                rows,
                files,
                clock: parts.clock,
                metrics: OwnMetrics::new(),
                tiles: Cache::with_weighter(EXPECTED_ENTRIES, MAX_TILE_BYTES, Weight),
                records: Cache::with_weighter(EXPECTED_ENTRIES, MAX_RECORD_BYTES, Weight),
                view: watch::Sender::new(Arc::new(view)),
                queue: Queue::default(),
                superfluous: Mutex::default(),
                frozen: Mutex::default(),
                observer: Mutex::default(),
                verifier,
            }),
        };
        log.inner.metrics.size(log.inner.view().head.size());
        if let Some(reason) = frozen {
            log.inner.freeze_here(reason);
        }
        Ok(log)
    }
}

impl OwnParts {
    /// The keys at hand, if there is one of this name.
    pub(super) fn held_keys(&self) -> Result<Vec<VerifierKey>, OwnError> {
        let wrong = |problem| OwnError::Existence { log: self.name.clone(), problem };
        match self.held() {
            held if !held.is_empty() => Ok(held),
            _ if self.signers.is_empty() => Err(wrong("has no key")),
            _ => Err(wrong("has a key of another name")),
        }
    }

    pub(super) fn files(&self) -> Files {
        Files { store: self.store.clone(), name: self.name.clone(), erased: Erased::default() }
    }

    pub(super) fn damaged(&self, reason: &str) -> OwnError {
        OwnError::Damaged { log: self.name.clone(), reason: reason.into() }
    }

    /// Begins the log in the database, with the head of the empty tree.
    pub(super) async fn make_rows(&self, keys: &Keys) -> Result<db::Log, OwnError> {
        let wrong = |problem| OwnError::Existence { log: self.name.clone(), problem };
        let database = |error: db::Error| OwnError::database(&error);
        let missing = |reason| OwnError::Unavailable { reason };
        let signers = keys.signers(self).map_err(missing)?;
        let first = keys::sign(&signers, &Frontier::new().head(), self.clock.now())?.row;
        let name = self.name.as_str();
        if !self.state.create_log(name, &keys.rows(), &first).await.map_err(database)? {
            return Err(wrong("exists"));
        }
        let rows = self.state.log(name).await.map_err(database)?;
        rows.ok_or_else(|| wrong("was never made"))
    }
}

/// A log as database and store have it.
pub(super) struct Found {
    pub(super) rows: db::Log,
    pub(super) head: LogHead,
    pub(super) keys: Keys,
    files: Files,
    standing: LogStanding,
    published: Published,
    /// The keys at hand.
    held: Vec<VerifierKey>,
}

impl Found {
    /// Reads what there is. Changes nothing.
    pub(super) async fn read(parts: &OwnParts) -> Result<Self, OwnError> {
        let wrong = |problem| OwnError::Existence { log: parts.name.clone(), problem };
        let database = |error: db::Error| OwnError::database(&error);
        let rows = parts.state.log(parts.name.as_str()).await.map_err(database)?;
        let rows = rows.ok_or_else(|| wrong("was never made: run `larder sumdb init`"))?;
        let erased = Erased::of_rows(rows.erased().await.map_err(database)?);
        let (files, before) = (Files { erased, ..parts.files() }, floor(parts).await?);
        let latest = files.read(OwnFile::Latest).await?;
        let standing = rows.standing().await.map_err(database)?;
        let head = rows.head(standing.integrated).await.map_err(database)?;
        let keys = Keys::read(&standing).ok_or_else(|| parts.damaged("its keys are none"))?;
        let published = Published::read(parts, latest, before).await?;
        Ok(Self { rows, head, keys, files, standing, published, held: parts.held() })
    }

    pub(super) fn damaged(&self, reason: &str) -> OwnError {
        OwnError::Damaged { log: self.files.name.clone(), reason: reason.into() }
    }

    /// Whether the store holds the newest head as the database does.
    pub(super) fn is_published(&self) -> bool {
        let Published { latest, checkpoint, .. } = &self.published;
        latest.as_deref() == Some(self.head.note.as_bytes())
            && checkpoint.as_deref() == Some(self.head.checkpoint.as_bytes())
    }

    /// Why nothing may be signed, whoever is there to do it.
    pub(super) fn contradiction(&self, parts: &OwnParts) -> Option<String> {
        let Self { standing, published, .. } = self;
        if standing.frozen.is_some() {
            return standing.frozen.clone();
        }
        if let Some(reason) = self.outdated() {
            return Some(reason);
        }
        let latest = published.latest.as_deref().map(|latest| {
            self.keys.open(|key| SignedHead::open(key, latest)).map(|head| head.size())
        });
        match latest {
            Some(None) => {
                return Some(format!("the newest head of {} is not signed by its key", parts.name));
            }
            Some(Some(ahead)) if ahead > standing.integrated => {
                return Some(behind(standing, ahead));
            }
            _ => {}
        }
        match (&published.before, &published.after) {
            (Ok(before), Ok(after)) => {
                mismatch(standing, &self.head, before.as_ref(), after.as_ref())
            }
            (Err(reason), _) | (_, Err(reason)) => Some(reason.clone()),
        }
    }

    /// Why the database is older than the last change of keys.
    fn outdated(&self) -> Option<String> {
        let latest = Note::parse(self.published.latest.as_deref()?).ok()?;
        self.keys.outdated(&self.held, &latest)
    }

    /// The newest head whose tiles are all there.
    pub(super) async fn newest(&self) -> Result<Option<View>, OwnError> {
        let row = open_row(&self.keys, &self.head);
        let keys = self.keys.signing().chain(&self.held);
        let published = self.published.open(keys);
        let mut heads: Vec<_> = row.into_iter().chain(published).collect();
        if self.outdated().is_some() {
            // Of two heads of one size, the one that clients of the newer key believe.
            heads.reverse();
        }
        heads.sort_by_key(|(head, _checkpoint)| std::cmp::Reverse(head.size()));
        for (head, checkpoint) in heads {
            let edge = self.files.edge(head.size()).await?;
            if let Some(edge) = edge.filter(|edge| edge.head() == *head.head()) {
                return Ok(Some(View { head, checkpoint, edge }));
            }
        }
        Ok(None)
    }
}

/// What the store says was signed and published.
///
/// Another process may write meanwhile. The floor lies between the newest head and the next place,
/// so it is read twice: before the database, for what it may not exceed, and after it.
struct Published {
    before: Result<Option<Floor>, String>,
    after: Result<Option<Floor>, String>,
    latest: Option<Bytes>,
    checkpoint: Option<Bytes>,
}

impl Published {
    async fn read(
        parts: &OwnParts,
        latest: Option<Bytes>,
        before: Result<Option<Floor>, String>,
    ) -> Result<Self, OwnError> {
        let after = floor(parts).await?;
        let checkpoint = parts.files().read(OwnFile::Checkpoint).await?;
        Ok(Self { before, after, latest, checkpoint })
    }

    /// The newest head with its checkpoint, when one of the keys signed both.
    fn open<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k VerifierKey>,
    ) -> Option<(SignedHead, SignedCheckpoint)> {
        let (latest, checkpoint) = (self.latest.as_deref()?, self.checkpoint.as_deref()?);
        keys.find_map(|key| {
            let head = SignedHead::open(key, latest).ok()?;
            let checkpoint = SignedCheckpoint::open(key, checkpoint).ok()?;
            // The two files are written one beside the other.
            (checkpoint.head() == head.head()).then_some((head, checkpoint))
        })
    }
}

/// The floor, or what is wrong with it.
async fn floor(parts: &OwnParts) -> Result<Result<Option<Floor>, String>, OwnError> {
    match HeldFloor::read(&parts.files()).await {
        Ok(held) => Ok(Ok(held.map(|held| held.floor))),
        Err(Trouble::Unavailable(error)) => Err(error),
        Err(Trouble::Contradiction(reason) | Trouble::Mismatch(reason)) => Ok(Err(reason)),
        Err(Trouble::Superseded) => Ok(Ok(None)),
    }
}

fn behind(standing: &LogStanding, signed: u64) -> String {
    let next = standing.next;
    format!(
        "the database, of {next} records, is older than the head of {signed} records that was signed; {RECOVER}"
    )
}

/// Why database and store do not belong together; `None`: they do.
///
/// The floor is raised after places are given and before a head is kept. `before` was read before
/// the database was, `after` after it.
pub(super) fn mismatch(
    standing: &LogStanding,
    head: &LogHead,
    before: Option<&Floor>,
    after: Option<&Floor>,
) -> Option<String> {
    if standing.frozen.is_some() {
        return standing.frozen.clone();
    }
    let (Some(before), Some(after)) = (before, after) else {
        return Some(format!("the store does not hold what was signed; {RECOVER}"));
    };
    if before.signed.size > standing.next {
        return Some(behind(standing, before.signed.size));
    }
    let (there, here) = (after.signed.size, head.size);
    if there < here {
        return Some(format!(
            "the store, of {there} records, is older than the database, of {here}; {RECOVER}"
        ));
    }
    let newest = TreeHead { size: head.size, root: head.root };
    let mut signed = [&before.given, &before.signed, &after.given, &after.signed].into_iter();
    let forked = signed.any(|signed| signed.size == newest.size && *signed != newest);
    forked.then(|| format!("two trees of {} records were signed", newest.size))
}

/// A head as the database holds it; `None`: it is not one that the keys signed, each of them.
fn open_row(keys: &Keys, row: &LogHead) -> Option<(SignedHead, SignedCheckpoint)> {
    let mut opened = None;
    for key in keys.signing() {
        let head = SignedHead::open(key, row.note.as_bytes()).ok()?;
        let checkpoint = SignedCheckpoint::open(key, row.checkpoint.as_bytes()).ok()?;
        opened = Some((head, checkpoint));
    }
    let as_row = TreeHead { size: row.size, root: row.root };
    opened.filter(|(head, checkpoint)| *head.head() == as_row && *checkpoint.head() == as_row)
}

impl Inner {
    /// What is answered from under a head of the database.
    pub(super) fn view_of(&self, row: &LogHead, edge: Edge) -> Result<View, OwnError> {
        let opened = open_row(&self.keys, row);
        let (head, checkpoint) =
            opened.ok_or_else(|| self.is_damaged("a head is not signed by its keys".into()))?;
        Ok(View { head, checkpoint, edge })
    }
}
