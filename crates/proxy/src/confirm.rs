//! Confirms later what was stored unconfirmed: trusted on first use, copied in, or older than
//! verification.
//!
//! The pass goes through the whole store and asks for each version that no database has confirmed.
//! It can end at any point: what is confirmed is marked in the facts and passed over next time. A
//! version that a database contradicts is set aside, so that nobody gets it any more.

use gomod::ModVer;
use policy::Verification;
use store::{Found, Key};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::load::{Target, check_again};
use crate::{Error, Kind, Rooms, facts};

/// How many times the first wait lies between two passes while something is unconfirmed: what the
/// database does not know now, it will hardly know in a moment.
const AGAIN: u32 = 60;

/// What came of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Nothing was open.
    Settled,
    /// A database confirmed it, or it is exempt.
    Confirmed,
    /// It is still open.
    Open,
    /// A database contradicts it.
    Contradicted,
}

/// Passes until `stop`; at rest while nothing is open.
pub(crate) async fn run(rooms: &Rooms, stop: CancellationToken) {
    if rooms.sumdb.confirming().is_none() || rooms.config.offline {
        return stop.cancelled().await;
    }
    let after = rooms.config.confirm_after;
    let mut wait = after;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let open = tokio::select! {
            () = stop.cancelled() => return,
            open = pass(rooms) => open,
        };
        if open == 0 {
            tokio::select! {
                () = stop.cancelled() => return,
                () = rooms.unconfirmed.notified() => {}
            }
        }
        wait = if open == 0 { after } else { after.saturating_mul(AGAIN) };
    }
}

/// One pass; returns how many versions are still open.
async fn pass(rooms: &Rooms) -> u64 {
    match try_pass(rooms).await {
        Ok(open) => open,
        Err(error) => {
            warn!(%error, "stored versions were not all confirmed: {error}");
            1
        }
    }
}

async fn try_pass(rooms: &Rooms) -> Result<u64, Error> {
    let mut walk = rooms.store.walk().await?;
    let (mut confirmed, mut open) = (0, 0_u64);
    while let Some(found) = walk.next().await? {
        let Found::Version { module, go_mod, zip, .. } = found else { continue };
        match version(rooms, &module, [(Kind::Mod, go_mod), (Kind::Zip, zip)]).await? {
            Came::Settled | Came::Contradicted => {}
            Came::Confirmed => confirmed += 1,
            Came::Open => open += 1,
        }
    }
    rooms.metrics.unconfirmed(i64::try_from(open).unwrap_or(i64::MAX));
    if confirmed > 0 || open > 0 {
        info!(confirmed, open, "{confirmed} stored versions confirmed, {open} not yet");
    }
    Ok(open)
}

/// Confirms the files of one version.
///
/// # Errors
///
/// The database cannot be asked: the pass ends, the rest would wait for the same.
async fn version(rooms: &Rooms, module: &ModVer, files: [(Kind, bool); 2]) -> Result<Came, Error> {
    let known = facts::read(rooms, module).await?;
    let is_open = |(kind, present): &(Kind, bool)| {
        let verified = facts::of(&known, *kind).and_then(|file| file.verified.as_ref());
        *present && verified.is_none_or(Verification::is_open)
    };
    let mut came = Came::Settled;
    for (kind, _) in files.into_iter().filter(is_open) {
        let target = Target { kind, module: module.clone() };
        came = file(rooms, &target).await?;
        if matches!(came, Came::Open | Came::Contradicted) {
            break;
        }
    }
    Ok(came)
}

async fn file(rooms: &Rooms, target: &Target) -> Result<Came, Error> {
    let module = &target.module;
    let record = if rooms.judge_lookup(module.path()).is_err() {
        rooms.sumdb.exempt(module)
    } else {
        match rooms.sumdb.record_now(module).await {
            Ok(record) => record,
            Err(sumdb::Error::NotFound { .. } | sumdb::Error::NotRecorded { .. }) => {
                warn!(module = %module, "{module} is stored and not in the checksum database");
                return Ok(Came::Open);
            }
            Err(error) => return Err(Error::Sumdb(error.into())),
        }
    };
    let Some(object) = rooms.store.open(&target.key(), None).await? else {
        return Ok(Came::Settled);
    };
    // Hashed again: what the facts say of an unconfirmed file is no more than it said of itself.
    let checked = match check_again(target, &object).await {
        Ok(checked) => checked,
        Err(error) => {
            warn!(module = %module, %error, "{target} cannot be confirmed: {error}");
            return Ok(Came::Open);
        }
    };
    let verified = match record.confirm(&checked) {
        Ok(verified) => verified.by().clone(),
        Err(mismatch) => return set_aside(rooms, target, &mismatch).await,
    };
    facts::update(rooms, module, |facts| {
        let known = facts::of(facts, target.kind).cloned();
        let known = known
            .unwrap_or_else(|| facts::file_facts(&checked, "found in the store", object.modified));
        let file = policy::FileFacts { verified: Some(verified.clone()), ..known };
        facts::set(facts, target.kind, file);
    })
    .await;
    Ok(Came::Confirmed)
}

/// Takes a contradicted file from whoever might ask for it: it lies in `evidence/` from now on, and
/// the next request fetches the version anew, to be confirmed before anybody gets it.
async fn set_aside(
    rooms: &Rooms,
    target: &Target,
    mismatch: &sumdb::Mismatch,
) -> Result<Came, Error> {
    rooms.metrics.contradicted();
    let evidence = rooms.store.quarantine(&target.key()).await?.unwrap_or_default();
    if target.kind == Kind::Zip {
        rooms.store.remove(&Key::ZipHash(&target.module)).await?;
    }
    rooms.shelf.remove(&target.request());
    facts::update(rooms, &target.module, |facts| facts::unset(facts, target.kind)).await;
    error!(
        module = %target.module, database = %mismatch.database, expected = %mismatch.expected,
        found = %mismatch.found, evidence = %evidence,
        "{mismatch}: it was served before and is set aside now"
    );
    Ok(Came::Contradicted)
}
