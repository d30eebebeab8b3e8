//! Late work, off the request path: index rows, last use, `list` files.
//!
//! All of it follows from the store; a crash loses at most the last interval, and `fsck --reindex` makes it again.
#![expect(
    clippy::disallowed_methods,
    reason = "replaces what follows from module files, never a module file"
)]

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use db::Row;
use gomod::{ModVer, ModulePath};
use store::Key;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use units::Timestamp;

use crate::flights::blocking;
use crate::load::Target;
use crate::{Kind, Rooms, drift};

/// How often late work is done.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many uses wait for one flush; further ones in the same interval are not counted.
const MAX_USED: usize = 100_000;

/// What is still to be written.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    rows: HashMap<ModVer, Row>,
    used: Vec<(ModVer, Timestamp)>,
    lists: HashSet<ModulePath>,
}

impl Ledger {
    /// Notes a stored file.
    pub(crate) fn stored(&self, target: &Target, size: u64, now: Timestamp) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = pending.rows.entry(target.module.clone()).or_insert_with(|| Row {
            module: target.module.clone(),
            size: 0,
            stored: now,
            last_used: None,
            has_info: false,
            has_mod: false,
            has_zip: false,
        });
        row.size += size;
        match target.kind {
            Kind::Mod => row.has_mod = true,
            Kind::Zip => row.has_zip = true,
            _ => row.has_info = true,
        }
        if target.kind != Kind::Mod {
            pending.lists.insert(target.module.path().clone());
        }
    }

    /// Notes that a version's zip was set aside: the `list` file must not name it any more.
    pub(crate) fn unlisted(&self, module: &ModVer) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.lists.insert(module.path().clone());
    }

    /// Notes a use. Called from the hot path, once per file and flush; never waits: a busy ledger is skipped.
    pub(crate) fn used(&self, module: &ModVer, now: Timestamp) {
        if let Ok(mut pending) = self.0.try_lock()
            && pending.used.len() < MAX_USED
        {
            pending.used.push((module.clone(), now));
        }
    }

    fn take(&self) -> Pending {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Flushes every interval, and once more when stopped.
pub(crate) async fn run(rooms: &Rooms, stop: CancellationToken) {
    loop {
        let stopped = tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_ok();
        // Readiness and metrics read what was seen here: they are answered where nothing may block.
        let store = rooms.store.clone();
        let _seen = blocking(move || store.look()).await;
        drift::record(rooms).await;
        flush(rooms).await;
        if stopped {
            return;
        }
    }
}

/// Writes what is pending.
pub(crate) async fn flush(rooms: &Rooms) {
    let Pending { rows, used, lists } = rooms.ledger.take();
    if let Some(index) = &rooms.index {
        let rows: Vec<Row> = rows.into_values().collect();
        if let Err(error) = index.upsert(&rows).await {
            warn!(%error, rows = rows.len(), "index rows were not written");
        }
        if let Err(error) = index.touch(&used).await {
            debug!(%error, "last uses were not written");
        }
    }
    rooms.shelf.forget_uses(&used);
    for path in lists {
        if let Err(error) = write_list(rooms, &path).await {
            debug!(module = %path, %error, "the list file of {path} was not written");
        }
    }
}

/// Rewrites the `list` file from what is stored: pseudo-versions included, as Go's own download cache has them.
pub(crate) async fn write_list(rooms: &Rooms, path: &ModulePath) -> Result<(), store::Error> {
    list_file(&rooms.store, path).await
}

/// As [`write_list`], for a store without a running proxy.
pub(crate) async fn list_file(store: &store::Store, path: &ModulePath) -> Result<(), store::Error> {
    let mut versions = store.versions(path).await?;
    versions.sort();
    let text: String = versions.iter().flat_map(|version| [version.as_str(), "\n"]).collect();
    let old = store.open(&Key::ListFile(path), None).await?;
    let tag = old.map(|object| object.tag);
    store.replace(&Key::ListFile(path), Bytes::from(text), tag.as_ref()).await?;
    Ok(())
}
