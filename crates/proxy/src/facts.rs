//! The facts of a version: read, changed by compare-and-set, never needed for a right answer.
//!
//! Facts are written after the file they speak of is durable, so a crash loses facts, never truth: the next load
//! hashes the file again. Only the mark of a file that waits for its record is written before (decision 0009).
#![expect(
    clippy::disallowed_methods,
    reason = "replaces what follows from module files, never a module file"
)]

use bytes::Bytes;
use gomod::ModVer;
use policy::{Facts, FileFacts, Verification};
use store::{Key, Store};
use tracing::warn;
use units::Timestamp;

use crate::{Error, Kind, Rooms};

/// How often a lost compare-and-set is tried again: three files of one version are published at once at most.
const MAX_TRIES: usize = 8;

/// What is known; empty facts when nothing is, or when the file cannot be understood.
///
/// # Errors
///
/// The store's own trouble.
pub(crate) async fn read(store: &Store, module: &ModVer) -> Result<Facts, Error> {
    Ok(read_tagged(store, module).await?.0)
}

async fn read_tagged(store: &Store, module: &ModVer) -> Result<(Facts, Option<store::Tag>), Error> {
    let Some(object) = store.open(&Key::Facts(module), None).await? else {
        return Ok((Facts::default(), None));
    };
    let facts = match object.bytes(policy::MAX_FACTS_BYTES as u64).await {
        Ok(bytes) => Facts::from_json(&bytes).map_err(|error| error.to_string()),
        Err(error @ store::Error::TooLarge { .. }) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let facts = facts.unwrap_or_else(|error| {
        warn!(module = %module, %error, "the facts of {module} cannot be read and are made again");
        Facts::default()
    });
    Ok((facts, Some(object.tag)))
}

/// Changes the facts of a version. A failure is logged, not returned: facts can be made again.
pub(crate) async fn update(rooms: &Rooms, module: &ModVer, change: impl Fn(&mut Facts)) {
    if let Err(error) = try_update(rooms, module, change).await {
        warn!(module = %module, %error, "the facts of {module} were not written");
    }
}

/// Changes the facts of a version, for whoever cannot go on without.
///
/// # Errors
///
/// The store's own trouble.
pub(crate) async fn try_update(
    rooms: &Rooms,
    module: &ModVer,
    change: impl Fn(&mut Facts),
) -> Result<(), Error> {
    for _ in 0..MAX_TRIES {
        let (mut facts, tag) = read_tagged(&rooms.store, module).await?;
        change(&mut facts);
        let json = facts.to_json().map_err(|error| Error::fault(error.to_string()))?;
        match rooms.store.replace(&Key::Facts(module), Bytes::from(json), tag.as_ref()).await {
            Ok(_) => return Ok(()),
            Err(store::Error::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::fault(format!("the facts of {module} changed {MAX_TRIES} times meanwhile")))
}

/// The facts of one file.
pub(crate) fn of(facts: &Facts, kind: Kind) -> Option<&FileFacts> {
    match kind {
        Kind::Mod => facts.go_mod.as_ref(),
        Kind::Zip => facts.zip.as_ref(),
        _ => facts.info.as_ref(),
    }
}

/// Whether a file waits for its record in our own log: it goes to nobody.
pub(crate) fn is_pending(facts: &Facts, kind: Kind) -> bool {
    of(facts, kind).is_some_and(|file| file.verified == Some(Verification::Pending))
}

pub(crate) fn set(facts: &mut Facts, kind: Kind, file: FileFacts) {
    facts.first_seen.get_or_insert(file.stored);
    match kind {
        Kind::Mod => facts.go_mod = Some(file),
        Kind::Zip => facts.zip = Some(file),
        _ => facts.info = Some(file),
    }
}

/// Forgets a file that is no longer stored.
pub(crate) fn unset(facts: &mut Facts, kind: Kind) {
    match kind {
        Kind::Mod => facts.go_mod = None,
        Kind::Zip => facts.zip = None,
        _ => facts.info = None,
    }
}

/// Facts from checked content; nobody has confirmed it yet.
pub(crate) fn file_facts(checked: &modzip::Checked, origin: &str, stored: Timestamp) -> FileFacts {
    FileFacts {
        sha256: hex::encode(checked.sha256()),
        size: checked.size(),
        h1: Some(checked.h1().to_string()),
        origin: origin.to_owned(),
        stored,
        verified: None,
    }
}

/// The source that another file of this version came from: all files of a version come from one source.
pub(crate) fn origin(facts: &Facts) -> Option<upstream::Origin> {
    let file = facts.info.as_ref().or(facts.go_mod.as_ref()).or(facts.zip.as_ref())?;
    Some(upstream::Origin(file.origin.as_str().into()))
}
