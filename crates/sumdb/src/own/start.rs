//! Making a log, and opening one: what belongs together, and what may be answered from.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db::{LogHead, LogStanding};
use quick_cache::sync::Cache;
use store::OwnFile;
use tlog::{
    Frontier, SignedCheckpoint, SignedHead, Signer, TreeHead, VerifierKey, sign_checkpoint,
    sign_head,
};
use tokio::sync::watch;

use super::edge::Edge;
use super::files::{Files, Trouble};
use super::floor::{Floor, HeldFloor};
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
        let signer = parts.signer()?;
        let database = |error: db::Error| OwnError::database(&error);
        let files = parts.files();
        if parts.state.log(parts.name.as_str()).await.map_err(database)?.is_some() {
            return Err(wrong("exists"));
        }
        let first = first_head(signer, parts)?;
        let empty = TreeHead { size: first.size, root: first.root };
        match HeldFloor::read(&files).await {
            // Begun before, and cut short.
            Ok(Some(held)) if held.floor.signed == empty => {}
            Ok(None) => drop(HeldFloor::make(&files, &empty).await?),
            Err(Trouble::Unavailable(error)) => return Err(error),
            _ => return Err(wrong("has tiles in the store, but is not in the database")),
        }
        let key = signer.verifier().to_string();
        let made = parts.state.create_log(parts.name.as_str(), &key, &first).await;
        if !made.map_err(database)? {
            return Err(wrong("exists"));
        }
        let log = Self::open(parts.clone()).await?;
        log.inner.publish_files().await;
        Ok(log)
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
        let wrong = |problem| OwnError::Existence { log: parts.name.clone(), problem };
        let damaged =
            |reason: &str| OwnError::Damaged { log: parts.name.clone(), reason: reason.into() };
        let database = |error: db::Error| OwnError::database(&error);
        let rows = parts.state.log(parts.name.as_str()).await.map_err(database)?;
        let rows = rows.ok_or_else(|| wrong("was never made: run `larder sumdb init`"))?;
        let (files, before) = (parts.files(), floor(&parts).await?);
        let latest = files.read(OwnFile::Latest).await?;
        let standing = rows.standing().await.map_err(database)?;
        let head = rows.head(standing.integrated).await.map_err(database)?;
        let verifier: Result<VerifierKey, _> = standing.key.parse();
        let verifier = verifier.ok().ok_or_else(|| damaged("its key is none"))?;
        let published = Published::read(&parts, &verifier, latest, before).await?;
        let frozen = freezing(&parts, &verifier, &standing, &head, &published);
        let view = newest(&files, &verifier, &head, published.head).await?;
        let view = view.ok_or_else(|| damaged("no head has its tiles"))?;
        let log = Self {
            inner: Arc::new(Inner {
                signer: parts.key,
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
    /// The key, if it is there and the log's.
    pub(super) fn signer(&self) -> Result<&dyn Signer, OwnError> {
        let wrong = |problem| OwnError::Existence { log: self.name.clone(), problem };
        let signer = self.key.as_deref().ok_or_else(|| wrong("has no key"))?;
        if *signer.verifier().name() == self.name {
            Ok(signer)
        } else {
            Err(wrong("has a key of another name"))
        }
    }

    pub(super) fn files(&self) -> Files {
        Files { store: self.store.clone(), name: self.name.clone() }
    }
}

/// The head of the empty tree.
pub(super) fn first_head(signer: &dyn Signer, parts: &OwnParts) -> Result<LogHead, OwnError> {
    let head = Frontier::new().head();
    let refused = |error: tlog::Error| OwnError::Unavailable { reason: error.to_string() };
    Ok(LogHead {
        size: head.size,
        root: head.root,
        note: sign_head(signer, &head).map_err(refused)?.message().to_owned(),
        checkpoint: sign_checkpoint(signer, &head).map_err(refused)?.message().to_owned(),
        signed: parts.clock.now(),
    })
}

/// What the store says was signed and published.
///
/// Another process may write meanwhile. The floor lies between the newest head and the next place,
/// so it is read twice: before the database, for what it may not exceed, and after it.
struct Published {
    before: Result<Option<Floor>, String>,
    after: Result<Option<Floor>, String>,
    /// The newest head, with its checkpoint if that was published too.
    head: Option<(SignedHead, SignedCheckpoint)>,
    /// Whether a head is there that the key did not sign.
    foreign: bool,
}

impl Published {
    async fn read(
        parts: &OwnParts,
        key: &VerifierKey,
        latest: Option<Bytes>,
        before: Result<Option<Floor>, String>,
    ) -> Result<Self, OwnError> {
        let after = floor(parts).await?;
        let checkpoint = parts.files().read(OwnFile::Checkpoint).await?.unwrap_or_default();
        let opened = latest.as_ref().map(|message: &Bytes| SignedHead::open(key, message));
        let foreign = matches!(opened, Some(Err(_)));
        let head = opened.and_then(Result::ok).and_then(|head| {
            let checkpoint = SignedCheckpoint::open(key, &checkpoint).ok()?;
            // The two files are written one beside the other.
            (checkpoint.head() == head.head()).then_some((head, checkpoint))
        });
        Ok(Self { before, after, head, foreign })
    }
}

/// Why nothing may be signed with these parts.
fn freezing(
    parts: &OwnParts,
    verifier: &VerifierKey,
    standing: &LogStanding,
    head: &LogHead,
    published: &Published,
) -> Option<String> {
    if standing.frozen.is_some() {
        return standing.frozen.clone();
    }
    let Some(key) = &parts.key else { return Some("its key is missing".into()) };
    if key.verifier() != *verifier || published.foreign {
        return Some(format!("its key is not {verifier}, which clients know"));
    }
    let ahead = published.head.as_ref().map(|(head, _checkpoint)| head.size());
    if let Some(ahead) = ahead.filter(|ahead| *ahead > standing.integrated) {
        return Some(behind(standing, ahead));
    }
    match (&published.before, &published.after) {
        (Ok(before), Ok(after)) => mismatch(standing, head, before.as_ref(), after.as_ref()),
        (Err(reason), _) | (_, Err(reason)) => Some(reason.clone()),
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

/// The newest head whose tiles are all there.
async fn newest(
    files: &Files,
    key: &VerifierKey,
    row: &LogHead,
    published: Option<(SignedHead, SignedCheckpoint)>,
) -> Result<Option<View>, OwnError> {
    let mut heads: Vec<_> = open_row(key, row).into_iter().chain(published).collect();
    heads.sort_by_key(|(head, _checkpoint)| std::cmp::Reverse(head.size()));
    for (head, checkpoint) in heads {
        let edge = files.edge(head.size()).await?;
        if let Some(edge) = edge.filter(|edge| edge.head() == *head.head()) {
            return Ok(Some(View { head, checkpoint, edge }));
        }
    }
    Ok(None)
}

/// A head as the database holds it; `None`: it is not one that the key signed.
fn open_row(key: &VerifierKey, row: &LogHead) -> Option<(SignedHead, SignedCheckpoint)> {
    let head = SignedHead::open(key, row.note.as_bytes()).ok()?;
    let checkpoint = SignedCheckpoint::open(key, row.checkpoint.as_bytes()).ok()?;
    let as_row = TreeHead { size: row.size, root: row.root };
    (*head.head() == as_row && *checkpoint.head() == as_row).then_some((head, checkpoint))
}

impl Inner {
    /// What is answered from under a head of the database.
    pub(super) fn view_of(&self, row: &LogHead, edge: Edge) -> Result<View, OwnError> {
        let opened = open_row(&self.verifier, row);
        let (head, checkpoint) =
            opened.ok_or_else(|| self.is_damaged("a head is not signed by its key".into()))?;
        Ok(View { head, checkpoint, edge })
    }
}
