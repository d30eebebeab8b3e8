//! Confirms later what was stored unconfirmed: trusted on first use, copied in, or older than
//! verification.
//!
//! The pass goes through the whole store and asks for each version that no database has confirmed.
//! It can end at any point: what is confirmed is marked in the facts and passed over next time. A
//! version that a database contradicts, a public one or our own log, is set aside, so that nobody gets
//! it any more. One that cannot be asked about holds up no other.

use gomod::ModVer;
use policy::Verification;
use store::Found;
use sumdb::OwnError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::aside::{self, Keep};
use crate::load::{Target, check_again};
use crate::{Error, Kind, Rooms, facts, own};

/// How many times the first wait lies between two passes while something is unconfirmed: what the
/// database does not know now, it will hardly know in a moment.
const AGAIN: u32 = 60;

/// Versions that failed one after the other, after which a pass asks no more of the public database,
/// or of our own log: it is down, and each further question might take its time limit. A single one,
/// and whatever an answer says of a version, is that version's own trouble.
const MAX_IN_VAIN: u32 = 3;

/// What came of one file, or of a version: of its files the last of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Came {
    /// Nothing was open.
    Settled,
    /// A database confirmed it, or it is exempt.
    Confirmed,
    /// A database contradicts it.
    Contradicted,
    /// It is still open.
    Open,
}

/// Passes until `stop`; at rest while nothing is open.
pub(crate) async fn run(rooms: &Rooms, stop: CancellationToken) {
    if (rooms.sumdb.confirming().is_none() && rooms.own.is_none()) || rooms.config.offline {
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
    let (mut log_in_vain, mut database_in_vain) = (0, 0);
    while let Some(found) = walk.next().await? {
        let Found::Version { module, go_mod, zip, .. } = found else { continue };
        let is_ours = rooms.own_log_of(module.path()).is_some();
        let in_vain = if is_ours { &mut log_in_vain } else { &mut database_in_vain };
        let came = match unconfirmed(rooms, &module, [(Kind::Mod, go_mod), (Kind::Zip, zip)]).await
        {
            Ok(kinds) if kinds.is_empty() => continue,
            // Counted only.
            Ok(_) if *in_vain >= MAX_IN_VAIN => Ok(Came::Open),
            Ok(kinds) => version(rooms, &module, kinds).await,
            Err(error) => Err(error),
        };
        match came {
            Ok(Came::Settled | Came::Contradicted) => *in_vain = 0,
            Ok(Came::Confirmed) => (confirmed, *in_vain) = (confirmed + 1, 0),
            Ok(Came::Open) => open += 1,
            Err(error) => {
                warn!(module = %module, %error, "{module} is not confirmed yet: {error}");
                open += 1;
                *in_vain += u32::from(is_down(&error));
            }
        }
    }
    rooms.metrics.unconfirmed(i64::try_from(open).unwrap_or(i64::MAX));
    if confirmed > 0 || open > 0 {
        info!(confirmed, open, "{confirmed} stored versions confirmed, {open} not yet");
    }
    Ok(open)
}

/// Whether whoever was asked answers nobody now, whatever the question.
fn is_down(error: &Error) -> bool {
    match error {
        Error::Own(error) => {
            matches!(**error, OwnError::Unavailable { .. } | OwnError::Frozen { .. })
        }
        Error::Sumdb(error) => {
            matches!(**error, sumdb::Error::Unavailable { .. } | sumdb::Error::Frozen { .. })
        }
        _ => false,
    }
}

/// The files of a version that nobody has confirmed; also those that nobody was to be asked about,
/// as far as that has changed.
async fn unconfirmed(
    rooms: &Rooms,
    module: &ModVer,
    files: [(Kind, bool); 2],
) -> Result<Vec<Kind>, Error> {
    let known = facts::read(&rooms.store, module).await?;
    let may_be_asked = rooms.judge_lookup(module.path()).is_ok();
    let own = rooms.own_log_of(module.path());
    let databases = rooms.sumdb.databases();
    // A log of ours from before, retired or lost: the one there is now knows nothing of it.
    let is_retired = |name: &str| {
        own.is_some_and(|own| own.name().as_str() != name)
            && !databases.iter().any(|database| database.as_str() == name)
    };
    let is_open = |verified: &Verification| match verified {
        Verification::Exempt => may_be_asked || own.is_some(),
        Verification::Database { name, .. } => is_retired(name.as_str()),
        // Ours: to be recorded. Else: to be taken away.
        Verification::Pending => true,
        verified => verified.is_open(),
    };
    let wanted = files.into_iter().filter(|(kind, present)| {
        let verified = facts::of(&known, *kind).and_then(|file| file.verified.as_ref());
        *present && verified.is_none_or(is_open)
    });
    Ok(wanted.map(|(kind, _)| kind).collect())
}

/// Holds a private version against its record, or has it recorded: it was stored before there was a
/// log, or while that could not record.
async fn record(
    rooms: &Rooms,
    own: &sumdb::OwnLog,
    (module, kinds): (&ModVer, Vec<Kind>),
) -> Result<Came, Error> {
    let came = async {
        if let Some(logged) = own.record(module).await? {
            return hold(rooms, module, kinds, &rooms.sumdb.recorded_here(own, &logged)).await;
        }
        own::log_stored(rooms, own, module).await.map(|_logged| Came::Confirmed)
    };
    match came.await {
        // A lone `.mod`, say: it is recorded when the rest is fetched.
        Err(Error::NotHere { .. }) => Ok(Came::Settled),
        // Put back from a backup: nobody gets it.
        Err(Error::Own(error)) if matches!(*error, OwnError::Erased { .. }) => Ok(Came::Settled),
        // What differs is set aside.
        Err(Error::Own(error)) if matches!(*error, OwnError::Conflict { .. }) => {
            Ok(Came::Contradicted)
        }
        came => came,
    }
}

/// Confirms these files of a version, each for itself: a go.mod that is contradicted says nothing
/// good of its zip.
///
/// # Errors
///
/// The database cannot be asked, or the store fails.
async fn version(rooms: &Rooms, module: &ModVer, mut kinds: Vec<Kind>) -> Result<Came, Error> {
    if let Some(own) = rooms.own_log_of(module.path()) {
        return record(rooms, own, (module, kinds)).await;
    }
    let taken = aside::withdraw(rooms, module, Keep::Evidence).await?;
    kinds.retain(|kind| !taken.contains(kind));
    if kinds.is_empty() {
        return Ok(Came::Settled);
    }
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
    hold(rooms, module, kinds, &record).await
}

/// Holds stored files of a version against a record: what agrees is marked, what does not is set
/// aside.
///
/// # Errors
///
/// The store fails.
pub(crate) async fn hold(
    rooms: &Rooms,
    module: &ModVer,
    kinds: impl IntoIterator<Item = Kind>,
    record: &sumdb::Record,
) -> Result<Came, Error> {
    let mut came = Came::Settled;
    for kind in kinds {
        let target = Target { kind, module: module.clone() };
        came = came.max(file(rooms, &target, record.clone()).await?);
    }
    Ok(came)
}

async fn file(rooms: &Rooms, target: &Target, record: sumdb::Record) -> Result<Came, Error> {
    let module = &target.module;
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
        Err(mismatch) => {
            aside::set_aside(rooms, target, &mismatch).await?;
            return Ok(Came::Contradicted);
        }
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
