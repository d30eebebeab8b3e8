//! Publication: create if absent, then facts, index and list, in that order.
//!
//! Clients were answered on release; what is here makes the bytes last. A crash at any point leaves either no file
//! or a whole one: the store renames complete, synced files into place, and everything behind it (facts, `.ziphash`,
//! index row, `list`) can be made again from the file itself. Before it comes only the mark of a file that goes to
//! nobody until our own log has recorded it.

use std::io::Read as _;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use modzip::{Checked, CheckedKind};
use policy::{FileFacts, Pass, Verification};
use store::{BodyPart, Created, Key, Object, Staged};
use sumdb::Verified;
use tracing::{error, warn};

use crate::flights::blocking;
use crate::load::{Target, check_again};
use crate::shelf::sha256_hex;
use crate::{Error, Kind, Rooms, facts};

/// A module file with both proofs, ready to be published.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) target: Target,
    pub(crate) staged: Staged,
    pub(crate) checked: Checked,
    pub(crate) verified: Verified,
    pub(crate) pass: Pass,
    pub(crate) origin: upstream::Origin,
}

/// Publishes a `.mod` or `.zip`: the only place that creates module files.
///
/// Idempotent. Other content under the same name is a conflict: evidence is kept, the stored bytes stay.
///
/// # Errors
///
/// The store's trouble, or proofs that do not cover the content. The file is then not stored. For a
/// file that waits for its record this is so, too, when its facts cannot be written.
#[expect(clippy::disallowed_methods, reason = "the one place that creates module files")]
pub(crate) async fn publish(rooms: &Rooms, publication: Publication) -> Result<(), Error> {
    let Publication { target, staged, checked, verified, pass, origin } = publication;
    if !verified.covers(&checked) || !pass.covers(&target.module) {
        return Err(Error::fault(format!("the proofs do not cover {target}")));
    }
    let now = rooms.clock.now();
    let verified = Some(verified.by().clone());
    let file = FileFacts { verified, ..facts::file_facts(&checked, &origin.0, now) };
    let marked = mark(rooms, &target, &file).await?;
    let follower = staged.follower();
    match rooms.store.create(&target.key(), staged).await? {
        Created::New(_) => {}
        Created::Exists(stored) => {
            // The stored bytes stay, also when only the packing differs: memory must not hold others.
            rooms.shelf.remove(&target.request());
            if !same(&target, &checked, &stored).await? {
                unmark(rooms, &target, &file).await;
                conflict(rooms, &target, &file.sha256, follower.body(0, checked.size())).await;
                // What is stored may never have been confirmed.
                rooms.unconfirmed.notify_one();
            }
            return Ok(());
        }
    }
    if let CheckedKind::Zip { h1, .. } = checked.kind() {
        derive(rooms, &Key::ZipHash(&target.module), Bytes::from(h1.to_string())).await;
    }
    if !marked {
        facts::update(rooms, &target.module, |facts| facts::set(facts, target.kind, file.clone()))
            .await;
    }
    if file.verified.is_some_and(|verified| verified.is_open()) {
        rooms.unconfirmed.notify_one();
    }
    rooms.ledger.stored(&target, checked.size(), now);
    rooms.metrics.published(target.kind, checked.size());
    Ok(())
}

/// Marks a file that waits for its record before it has its name; returns whether it did.
///
/// Unmarked it would be taken for one that was stored before there was a log, and served. One that
/// is stored already keeps its own facts: they may say that it was recorded.
async fn mark(rooms: &Rooms, target: &Target, file: &FileFacts) -> Result<bool, Error> {
    let waits = file.verified == Some(Verification::Pending);
    if !waits || rooms.store.open(&target.key(), None).await?.is_some() {
        return Ok(false);
    }
    let set = |facts: &mut policy::Facts| facts::set(facts, target.kind, file.clone());
    facts::try_update(rooms, &target.module, set).await?;
    Ok(true)
}

/// Takes a mark back when somebody else's file got the name: it speaks of other bytes.
async fn unmark(rooms: &Rooms, target: &Target, file: &FileFacts) {
    facts::update(rooms, &target.module, |facts| {
        if facts::of(facts, target.kind).is_some_and(|known| known == file) {
            facts::unset(facts, target.kind);
        }
    })
    .await;
}

/// Publishes a validated `.info`, its bytes as they came.
///
/// For an `.info` content means `Version`, which validation has compared, so an existing one is the same.
///
/// # Errors
///
/// The store's trouble.
#[expect(clippy::disallowed_methods, reason = "the one place that creates module files")]
pub(crate) async fn publish_info(
    rooms: &Rooms,
    target: &Target,
    info: upstream::Info,
) -> Result<(), Error> {
    let mut staged = rooms.store.stage().await?;
    staged.write(info.bytes.clone()).await?;
    let Created::New(_) = rooms.store.create(&target.key(), staged).await? else {
        rooms.shelf.remove(&target.request());
        return Ok(());
    };
    let now = rooms.clock.now();
    let file = FileFacts {
        sha256: sha256_hex(&info.bytes),
        size: info.bytes.len() as u64,
        h1: None,
        origin: info.origin.0.to_string(),
        stored: now,
        verified: None,
    };
    facts::update(rooms, &target.module, |facts| facts::set(facts, Kind::Info, file.clone())).await;
    rooms.ledger.stored(target, info.bytes.len() as u64, now);
    rooms.metrics.published(Kind::Info, info.bytes.len() as u64);
    Ok(())
}

/// Equal content: for a zip its `h1`, for a go.mod its bytes.
async fn same(target: &Target, checked: &Checked, stored: &Object) -> Result<bool, Error> {
    let theirs = check_again(target, stored).await?;
    Ok(theirs.h1() == checked.h1())
}

/// Writes a file that follows from another one; a failure costs nothing that cannot be made again.
#[expect(clippy::disallowed_methods, reason = "the one place that creates module files")]
async fn derive(rooms: &Rooms, key: &Key<'_>, bytes: Bytes) {
    let written = async {
        let mut staged = rooms.store.stage().await?;
        staged.write(bytes).await?;
        rooms.store.create(key, staged).await
    };
    if let Err(error) = written.await {
        warn!(%error, "a derived file was not written");
    }
}

/// Evidence of at most this much of a refused body is kept; more would let a bad source fill the disk.
const MAX_EVIDENCE_BYTES: u64 = 64 << 20;

/// How much evidence is copied in one go.
const EVIDENCE_CHUNK_BYTES: u64 = 256 << 10;

/// Other content under an existing name: an incident. Keeps the bytes, tells it, changes nothing.
pub(crate) async fn conflict(rooms: &Rooms, target: &Target, sha256: &str, body: BodyPart) {
    rooms.metrics.conflict();
    let name = evidence_name(target, sha256);
    error!(
        module = %target.module, sha256, evidence = %name,
        "{target} has other content at its source than in the store: the stored bytes stay"
    );
    evidence(rooms, &name, body).await;
}

/// Content that a checksum database contradicts: an incident. Keeps the bytes and tells it; the
/// caller sees to it that nobody gets them.
pub(crate) async fn contradiction(
    rooms: &Rooms,
    target: &Target,
    mismatch: &sumdb::Mismatch,
    (checked, body): (&Checked, BodyPart),
) {
    rooms.metrics.contradicted();
    let name = evidence_name(target, &hex::encode(checked.sha256()));
    error!(
        module = %target.module, database = %mismatch.database, expected = %mismatch.expected,
        found = %mismatch.found, evidence = %name, "{mismatch}: nobody gets it"
    );
    evidence(rooms, &name, body).await;
}

fn evidence_name(target: &Target, sha256: &str) -> String {
    let short = sha256.get(..16).unwrap_or(sha256);
    let path = target.module.path().escaped().replace('/', "_");
    format!("{path}@{}.{:?}.{short}", target.module.version().escaped(), target.kind)
}

async fn evidence(rooms: &Rooms, name: &str, body: BodyPart) {
    if let Err(error) = keep_evidence(rooms, name, body).await {
        warn!(%error, evidence = %name, "the evidence {name} was not kept");
    }
}

#[expect(clippy::disallowed_methods, reason = "evidence is created beside the module tree")]
async fn keep_evidence(rooms: &Rooms, name: &str, body: BodyPart) -> Result<(), Error> {
    let so_far = rooms.evidence.load(Ordering::Relaxed);
    if so_far >= rooms.config.max_evidence.0 {
        return Err(Error::fault("there is more of it than is kept in one run"));
    }
    let mut staged = rooms.store.stage().await?;
    let mut left = body.reader().take(MAX_EVIDENCE_BYTES);
    loop {
        let (chunk, rest) = blocking(move || {
            let mut chunk = Vec::new();
            let read = left.by_ref().take(EVIDENCE_CHUNK_BYTES).read_to_end(&mut chunk);
            (read.map(|_| chunk), left)
        })
        .await?;
        let chunk = chunk.map_err(|error| Error::fault(format!("reading evidence: {error}")))?;
        if chunk.is_empty() {
            break;
        }
        left = rest;
        rooms.evidence.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        staged.write(Bytes::from(chunk)).await?;
    }
    rooms.store.create(&Key::Evidence(name), staged).await?;
    Ok(())
}
