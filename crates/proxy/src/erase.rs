//! Erasing a version: its record from our own log, its files from the store, what points to them.
//!
//! The record first: once its text is gone from the database, no start serves the version, whatever
//! of its files is left ([`erased`]). Asked again, it takes away what a crash left.

use db::Index;
use gomod::{ModVer, ModulePath, Version};
use store::{Key, Store};
use sumdb::{Erasure, OwnError, OwnLog, OwnParts, Withheld};

use crate::{Error, Rooms, housekeeping};

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The record.
    pub record: Erasure,
    /// Files of the version that were taken from the store, as paths in the data folder.
    pub files: Vec<String>,
}

/// Erases a version from our own log and from the store; `None`: the log does not record it.
///
/// For a person to ask for, while nobody serves from the store. Not touched: mirrors of version
/// control, evidence, logs, and what others keep.
///
/// # Errors
///
/// Those of [`OwnLog::erase`]; the store's or the index's own trouble. What was begun is completed
/// by asking again.
pub async fn erase(
    parts: &OwnParts,
    index: Option<&Index>,
    module: &ModVer,
) -> Result<Option<Erased>, Error> {
    let Some(record) = OwnLog::erase(parts, module).await? else { return Ok(None) };
    let files = remove(&parts.store, module).await?;
    if let Some(index) = index {
        let failed = |error: db::Error| Error::fault(format!("changing the index: {error}"));
        index.forget(module).await.map_err(failed)?;
        index.forget_answers(module.path()).await.map_err(failed)?;
    }
    Ok(Some(Erased { record, files }))
}

/// Takes all files of a version away, and its name from the list.
async fn remove(store: &Store, module: &ModVer) -> Result<Vec<String>, Error> {
    let keys = [
        Key::Info(module),
        Key::Zip(module),
        Key::ZipHash(module),
        Key::Mod(module),
        Key::Facts(module),
    ];
    let mut files = Vec::new();
    for key in keys {
        if store.open(&key, None).await?.is_some() {
            store.remove(&key).await?;
            files.push(key.path());
        }
    }
    if store.open(&Key::ListFile(module.path()), None).await?.is_some() {
        housekeeping::list_file(store, module.path()).await?;
    }
    Ok(files)
}

/// Refuses a version that was erased: its files are gone for ever, and are not fetched again.
///
/// # Errors
///
/// [`OwnError::Erased`].
pub(crate) fn judge(rooms: &Rooms, module: &ModVer) -> Result<(), Error> {
    match &rooms.own {
        Some(own) if own.is_erased(module) => {
            Err(OwnError::Erased { what: Withheld::Version(module.clone()) }.into())
        }
        _ => Ok(()),
    }
}

/// Whether a version of a path was erased.
pub(crate) fn erased(rooms: &Rooms, path: &ModulePath, version: &Version) -> bool {
    let Some(own) = rooms.own.as_ref().filter(|own| own.erased() > 0) else { return false };
    ModVer::new(path.clone(), version.clone()).is_ok_and(|module| own.is_erased(&module))
}
