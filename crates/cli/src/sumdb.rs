//! `larder sumdb`: heads and proofs of checksum databases, larder's own log, and the monitor.

mod erase;
mod monitor;
mod own;
mod proof;
mod rotate;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use gomod::{ModVer, ModulePath, Version};
use tlog::LogName;

use crate::args::SumdbCommand;
use crate::config::{self, Resolved, World};
use crate::exit::Exit;
use crate::{output, serve};

/// Runs one of the commands.
///
/// # Errors
/// The data folder cannot be read, or there is no such thing in it.
pub fn run(command: SumdbCommand, world: &World) -> anyhow::Result<ExitCode> {
    match command {
        SumdbCommand::Head { config } => head(&config::load(&config.into(), world)?),
        SumdbCommand::Prove { config, module, format, output } => {
            let resolved = config::load(&config.into(), world)?;
            proof::prove(&resolved, &module, format, output.as_deref())
        }
        SumdbCommand::VerifyBundle { config, file, key } => {
            proof::verify(&config::load(&config.into(), world)?, &file, key)
        }
        SumdbCommand::Init { config, name } => {
            own::init(&config::load(&config.into(), world)?, &name)
        }
        SumdbCommand::Setup { config } => own::setup(&config::load(&config.into(), world)?),
        SumdbCommand::Rotate { config, finish } => {
            let resolved = config::load(&config.into(), world)?;
            if finish { rotate::finish(&resolved) } else { rotate::begin(&resolved) }
        }
        SumdbCommand::Recover { config, head } => {
            own::recover(&config::load(&config.into(), world)?, &head)
        }
        SumdbCommand::Erase { config, module, yes } => {
            let sure = if yes { erase::Sure::Yes } else { erase::Sure::No };
            erase::run(&config::load(&config.into(), world)?, &module, sure)
        }
        SumdbCommand::Thaw { config, name } => {
            thaw(&config::load(&config.into(), world)?, name.as_str())
        }
        SumdbCommand::Monitor { monitor } => monitor::run(&monitor, world),
    }
}

fn head(resolved: &Resolved) -> anyhow::Result<ExitCode> {
    let runtime = serve::fill_runtime(resolved)?;
    let own = runtime.block_on(serve::own_beside(resolved))?;
    if let Some(own) = &own {
        let erased = match own.erased() {
            0 => String::new(),
            erased => format!(", {erased} erased"),
        };
        output::out(&format!("{}: {} records, our own{erased}", own.name(), own.head().size()));
        if let Some(why) = own.frozen() {
            output::out(&format!("FROZEN: {why}"));
        }
        output::out(own.head().message().trim_end());
    }
    let heads = runtime.block_on(async {
        let Some(state) = serve::state_beside(resolved).await? else { return Ok(Vec::new()) };
        let mut heads = Vec::new();
        for database in &resolved.databases {
            if let Some(head) = state.sumdb_head(database.name.as_str()).await? {
                heads.push((database.name.clone(), head));
            }
        }
        state.close().await;
        anyhow::Ok(heads)
    })?;
    if heads.is_empty() && own.is_none() {
        bail!("no checksum database was asked yet");
    }
    for (name, head) in heads {
        output::out(&format!("{name}: {} records, verified {}", head.size, head.checked));
        if let Some(evidence) = head.evidence {
            output::out(&format!("FROZEN: it contradicted itself, see evidence/{evidence}"));
        }
        output::out(head.note.trim_end());
    }
    Ok(Exit::Done.into())
}

fn thaw(resolved: &Resolved, name: &str) -> anyhow::Result<ExitCode> {
    let name = LogName::parse(name).with_context(|| format!("{name:?}"))?;
    // By the lock of the data folder no server runs: it would not see the change.
    let _store = serve::store(resolved)?;
    let runtime = serve::fill_runtime(resolved)?;
    let thawed = runtime.block_on(async {
        let Some(state) = serve::state_to_change(resolved).await? else { return Ok(false) };
        let thawed = state.thaw_sumdb(name.as_str()).await?;
        state.close().await;
        anyhow::Ok(thawed)
    })?;
    if !thawed {
        bail!("{name} is not frozen");
    }
    output::out(&format!("{name} is believed again, from the head that was last verified on"));
    Ok(Exit::Done.into())
}

fn module_of(text: &str) -> anyhow::Result<ModVer> {
    let (path, version) = text.split_once('@').context("expected MODULE@VERSION")?;
    let (path, version) = (ModulePath::parse(path)?, Version::parse(version)?);
    Ok(ModVer::new(path, version)?)
}
