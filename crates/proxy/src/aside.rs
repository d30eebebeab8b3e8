//! Files that are taken from the store: contradicted ones, and those that no log is going to record.
//!
//! The order is the same for all: the file first, then the count, memory, and facts last. Whatever a
//! crash leaves says too much of a file that is gone, never too little of one that is there.

use std::sync::atomic::Ordering;

use gomod::ModVer;
use store::Key;
use tracing::{error, warn};

use crate::load::Target;
use crate::{Error, Kind, Rooms, facts};

/// What is kept of a file that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The bytes, as evidence: a record might speak of them.
    Evidence,
    /// Nothing: no record ever will, and the next request would bring as much again.
    Nothing,
}

/// Takes a contradicted file from whoever might ask for it: it lies in `evidence/` from now on, and
/// the next request fetches the version anew, to be confirmed before anybody gets it.
pub(crate) async fn set_aside(
    rooms: &Rooms,
    target: &Target,
    mismatch: &sumdb::Mismatch,
) -> Result<(), Error> {
    rooms.metrics.contradicted();
    let evidence = rooms.store.quarantine(&target.key()).await?.unwrap_or_default();
    forget(rooms, target).await?;
    error!(
        module = %target.module, database = %mismatch.database, expected = %mismatch.expected,
        found = %mismatch.found, evidence = %evidence,
        "{mismatch}: it was stored before and is set aside now"
    );
    Ok(())
}

/// Takes the pending files of a version away, which nobody got; returns which.
///
/// They came from where private modules come from, and the path is no longer, or cannot be, one
/// that our log records: whatever is public under this name is fetched and confirmed as if new.
pub(crate) async fn withdraw(
    rooms: &Rooms,
    module: &ModVer,
    keep: Keep,
) -> Result<Vec<Kind>, Error> {
    let known = facts::read(&rooms.store, module).await?;
    let mut taken = Vec::new();
    for kind in [Kind::Zip, Kind::Mod] {
        if facts::is_pending(&known, kind) {
            take(rooms, &Target { kind, module: module.clone() }, keep).await?;
            taken.push(kind);
        }
    }
    // Beside files of its own repository, and nothing else, lies the `.info` of that repository.
    let direct = known.info.as_ref().is_some_and(|info| info.origin == upstream::DIRECT);
    let others = [&known.zip, &known.go_mod].into_iter().flatten().count() - taken.len();
    if direct && others == 0 && !taken.is_empty() {
        take(rooms, &Target { kind: Kind::Info, module: module.clone() }, Keep::Nothing).await?;
    }
    Ok(taken)
}

async fn take(rooms: &Rooms, target: &Target, keep: Keep) -> Result<(), Error> {
    match keep {
        Keep::Evidence => drop(rooms.store.quarantine(&target.key()).await?),
        Keep::Nothing => rooms.store.remove(&target.key()).await?,
    }
    forget(rooms, target).await?;
    warn!(module = %target.module, "{target} waited for its record, gets none, and is taken away");
    Ok(())
}

/// Lets nothing speak any more of a file that is no longer stored.
async fn forget(rooms: &Rooms, target: &Target) -> Result<(), Error> {
    // Counted between the file and its memory: see `Rooms::keep_loaded`.
    rooms.set_aside.fetch_add(1, Ordering::SeqCst);
    rooms.shelf.remove(&target.request());
    if target.kind == Kind::Zip {
        rooms.store.remove(&Key::ZipHash(&target.module)).await?;
    }
    if target.kind != Kind::Mod {
        rooms.ledger.unlisted(&target.module);
    }
    facts::update(rooms, &target.module, |facts| facts::unset(facts, target.kind)).await;
    Ok(())
}
