//! Our own log, as it is found in the data folder: `serve` makes neither key nor log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use policy::Private;
use proxy::ClosedLog;
use sumdb::{OwnLog, OwnParts};
use tlog::{LogName, Signer, SigningKey};

use super::build;
use crate::config::{Resolved, world};

/// Where the key lies in the data folder.
const KEY_FILE: &str = "keys/sumdb";
/// What the name of the file ends in where the next key lies, while the key is changed.
const NEXT: &str = ".next";

/// The file of a key may be read by its owner and, as systemd and container engines hand secrets
/// out, by its group.
const OTHERS: u32 = 0o027;

/// The file of the key, whether it is there or not.
pub(crate) fn key_file(resolved: &Resolved) -> PathBuf {
    let named = resolved.settings.sumdb.key_file.clone();
    named.unwrap_or_else(|| resolved.settings.store.data.join(KEY_FILE))
}

/// The file of the next key, beside that of the key.
pub(crate) fn next_key_file(resolved: &Resolved) -> PathBuf {
    let mut name = key_file(resolved).into_os_string();
    name.push(NEXT);
    name.into()
}

/// All keys at hand, whichever file holds which; the state says who signs.
///
/// # Errors
/// A file cannot be read, or holds no key.
pub(crate) fn held_keys(resolved: &Resolved) -> anyhow::Result<Vec<SigningKey>> {
    let files = [key_file(resolved), next_key_file(resolved)];
    let keys = files.iter().map(|file| signing_key(file)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(keys.into_iter().flatten().collect())
}

/// The key in a file; `None`: there is no such file.
///
/// # Errors
/// It cannot be read, or holds no key.
pub(crate) fn signing_key(file: &Path) -> anyhow::Result<Option<SigningKey>> {
    let text = world::read(file).with_context(|| format!("reading {}", file.display()))?;
    let Some(text) = text.map(zeroize::Zeroizing::new) else { return Ok(None) };
    let mode = world::mode(file).with_context(|| format!("looking at {}", file.display()))?;
    if mode & OTHERS != 0 {
        bail!("{} is open to others (mode {:o}): chmod 600 it", file.display(), mode & 0o777);
    }
    let key = SigningKey::parse(text.trim()).with_context(|| format!("{}", file.display()))?;
    Ok(Some(key))
}

/// What a log is made of.
pub(crate) fn own_parts(
    name: LogName,
    keys: Vec<SigningKey>,
    store: store::Store,
    state: db::State,
) -> OwnParts {
    let clock = proxy::Clock::system();
    OwnParts {
        name,
        signers: keys.into_iter().map(|key| Arc::new(key) as Arc<dyn Signer>).collect(),
        store,
        state,
        clock: sumdb::Clock::new(move || clock.now()),
    }
}

/// Opens the log, if one was made, and tells the names what it recorded as private. The rest of larder
/// goes on without it.
///
/// # Errors
/// There is a log, and it cannot be opened: its state, or its key, knows of it.
pub(super) async fn open(
    resolved: &Resolved,
    store: store::Store,
    state: Option<db::State>,
    names: (&Private, &Private),
) -> Result<Option<OwnLog>, ClosedLog> {
    let held: Vec<_> = [key_file(resolved), next_key_file(resolved)]
        .iter()
        .filter_map(|file| match signing_key(file) {
            Ok(key) => key,
            // It is missing then, if it is one that signs.
            Err(error) => {
                tracing::error!("the key of our own log: {error:#}");
                None
            }
        })
        .collect();
    let opened = match (known(state.as_ref()).await, held.first()) {
        (Ok(Some((name, state))), _) => {
            let parts = own_parts(name.clone(), held, store, state);
            try_open(parts, names).await.map_err(|error| (name, error)).map(Some)
        }
        (Ok(None), None) => return Ok(None),
        (Ok(None), Some(key)) => {
            let error = anyhow::anyhow!(
                "there is its key, and the state does not know it: restore the state, or run \
                 `larder sumdb recover` (or `larder sumdb init` again, if that was cut short)"
            );
            Err((key.verifier().name().clone(), error))
        }
        (Err(error), Some(key)) => Err((key.verifier().name().clone(), error)),
        (Err(error), None) => {
            tracing::error!("whether there is a log of our own cannot be told: {error:#}");
            return Ok(None);
        }
    };
    opened.map_err(|(name, error)| {
        let reason = format!("{error:#}");
        tracing::error!(log = %name, "our own log cannot be opened: {reason}");
        ClosedLog { name, reason }
    })
}

/// The log that the state knows.
async fn known(state: Option<&db::State>) -> anyhow::Result<Option<(LogName, db::State)>> {
    let Some(state) = state else { return Ok(None) };
    let Some(name) = state.log_name().await? else { return Ok(None) };
    Ok(Some((LogName::parse(&name)?, state.clone())))
}

async fn try_open(
    parts: OwnParts,
    (private, no_sumdb): (&Private, &Private),
) -> anyhow::Result<OwnLog> {
    let own = OwnLog::open(parts).await?;
    proxy::keep_private(&own, private, no_sumdb).await?;
    tracing::info!(log = %own.name(), size = own.head().size(), "our own log is {}", own.name());
    if let Some(why) = own.frozen() {
        tracing::error!(log = %own.name(), "our own log is frozen: {why}");
    }
    Ok(own)
}

/// The log, for looking, beside a server that may run.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn own_beside(resolved: &Resolved) -> anyhow::Result<Option<OwnLog>> {
    let Some(state) = build::state_beside(resolved).await? else { return Ok(None) };
    let Some(name) = state.log_name().await? else { return Ok(None) };
    let keys = held_keys(resolved)?;
    let store = build::store_beside(resolved)?;
    let parts = own_parts(LogName::parse(&name)?, keys, store, state);
    Ok(Some(OwnLog::open(parts).await?))
}
