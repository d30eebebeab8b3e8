//! Our own log, as it is found in the data folder: `serve` makes neither key nor log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use sumdb::{OwnLog, OwnParts};
use tlog::{LogName, Signer, SigningKey, VerifierKey};

use super::build;
use crate::config::{Resolved, world};

/// Where the key lies in the data folder.
const KEY_FILE: &str = "keys/sumdb";

/// The file of the key, whether it is there or not.
pub(crate) fn key_file(resolved: &Resolved) -> PathBuf {
    let named = resolved.settings.sumdb.key_file.clone();
    named.unwrap_or_else(|| resolved.settings.store.data.join(KEY_FILE))
}

/// The key in a file; `None`: there is no such file.
///
/// # Errors
/// It cannot be read, or holds no key.
pub(crate) fn signing_key(file: &Path) -> anyhow::Result<Option<SigningKey>> {
    let text = world::read(file).with_context(|| format!("reading {}", file.display()))?;
    let Some(text) = text.map(zeroize::Zeroizing::new) else { return Ok(None) };
    let key = SigningKey::parse(text.trim()).with_context(|| format!("{}", file.display()))?;
    Ok(Some(key))
}

/// What a log is made of.
pub(crate) fn own_parts(
    name: LogName,
    key: Option<SigningKey>,
    store: store::Store,
    state: db::State,
) -> OwnParts {
    let clock = proxy::Clock::system();
    OwnParts {
        name,
        key: key.map(|key| Arc::new(key) as Arc<dyn Signer>),
        store,
        state,
        clock: sumdb::Clock::new(move || clock.now()),
    }
}

/// Opens the log, if one was made. Trouble with it is told, and the rest of larder goes on.
pub(super) async fn open(
    resolved: &Resolved,
    store: store::Store,
    state: Option<db::State>,
) -> Option<OwnLog> {
    match try_open(resolved, store, state?).await {
        Ok(own) => own,
        Err(error) => {
            tracing::error!("our own log cannot be opened: {error:#}");
            None
        }
    }
}

async fn try_open(
    resolved: &Resolved,
    store: store::Store,
    state: db::State,
) -> anyhow::Result<Option<OwnLog>> {
    let Some(name) = state.log_name().await? else { return Ok(None) };
    let name = LogName::parse(&name)?;
    let key = signing_key(&key_file(resolved)).unwrap_or_else(|error| {
        tracing::error!("the key of our own log: {error:#}");
        None
    });
    let own = OwnLog::open(own_parts(name, key, store, state)).await?;
    tracing::info!(log = %own.name(), size = own.head().size(), "our own log is {}", own.name());
    if let Some(why) = own.frozen() {
        tracing::error!(log = %own.name(), "our own log is frozen: {why}");
    }
    Ok(Some(own))
}

/// The log, for looking, beside a server that may run.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn own_beside(resolved: &Resolved) -> anyhow::Result<Option<OwnLog>> {
    let Some(state) = build::state_beside(resolved).await? else { return Ok(None) };
    let Some(name) = state.log_name().await? else { return Ok(None) };
    let key = signing_key(&key_file(resolved))?;
    let store = build::store_beside(resolved)?;
    let parts = own_parts(LogName::parse(&name)?, key, store, state);
    Ok(Some(OwnLog::open(parts).await?))
}

/// What verifies the log's heads; `None`: there is no key.
///
/// # Errors
/// The key cannot be read.
pub(crate) fn verifier(resolved: &Resolved) -> anyhow::Result<Option<VerifierKey>> {
    Ok(signing_key(&key_file(resolved))?.map(|key| key.verifier()))
}
