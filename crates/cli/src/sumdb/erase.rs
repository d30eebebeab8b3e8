//! `larder sumdb erase`: a version goes from our own log and from the store.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use gomod::ModVer;
use sumdb::{Kind, OwnError, OwnLog};
use tlog::LogName;

use super::module_of;
use crate::config::Resolved;
use crate::exit::{Exit, Usage};
use crate::{output, serve};

/// Did the person who asks say yes?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    Yes,
    No,
}

/// What stays, of which larder cannot know whether it matters.
const STAYS: &str = "what stays: module path and version in state.sqlite and in the log's folder; \
                     the commit in git/ (a cache: remove it with larder stopped); evidence/, \
                     backups and access logs; what clients have";

/// Erases a version, or says what would be erased.
///
/// # Errors
/// Nobody said yes; the log does not record the version; the data folder is in use.
pub(super) fn run(resolved: &Resolved, module: &str, sure: Sure) -> anyhow::Result<ExitCode> {
    let module = module_of(module)?;
    let runtime = serve::fill_runtime(resolved)?;
    if sure == Sure::No {
        let own = runtime.block_on(serve::own_beside(resolved))?.context("there is no log")?;
        output::out(&runtime.block_on(plan(&own, &module))?);
        output::out(STAYS);
        return Err(Usage("nothing was erased: say --yes".to_owned()).into());
    }
    // By the lock of the data folder no server runs: it would go on answering from memory.
    let store = serve::store(resolved)?;
    let erased = runtime.block_on(async {
        let state = serve::state(resolved).await.context("the state cannot be used")?;
        let name = state.log_name().await?.context("there is no log")?;
        let index = serve::index(resolved).await;
        let parts = serve::own_parts(LogName::parse(&name)?, Vec::new(), store, state.clone());
        let erased = proxy::erase(&parts, index.as_ref(), &module).await?;
        if let Some(index) = index {
            index.close().await;
        }
        state.close().await;
        anyhow::Ok(erased)
    })?;
    let Some(erased) = erased else { bail!("{module} is not recorded: there is nothing to erase") };
    for file in &erased.files {
        output::out(&format!("removed {file}"));
    }
    output::out(&format!("record {} is erased: {module} is gone for ever", erased.record.id));
    if erased.record.kind != Kind::Private {
        output::out("what the public database says of it stays public, and a copy in records/");
    }
    output::out(STAYS);
    Ok(Exit::Done.into())
}

async fn plan(own: &OwnLog, module: &ModVer) -> anyhow::Result<String> {
    match own.record(module).await {
        Ok(Some(logged)) => Ok(format!(
            "would erase record {} of {}, withhold the tile of records that holds it, and remove all files of {module}",
            logged.id,
            own.name()
        )),
        Err(OwnError::Erased { .. }) => {
            Ok(format!("{module} is erased; would remove what is left of it"))
        }
        Ok(None) => bail!("{module} is not recorded: there is nothing to erase"),
        Err(error) => Err(error.into()),
    }
}
