//! `larder sumdb`: heads and proofs of checksum databases, larder's own log, and the monitor.

mod monitor;
mod own;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use gomod::{ModVer, ModulePath, Version};
use tlog::{Bundle, LogName, VerifierKey};

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
        SumdbCommand::Prove { config, module, output } => {
            prove(&config::load(&config.into(), world)?, &module, output.as_deref())
        }
        SumdbCommand::VerifyBundle { config, file, key } => {
            verify_bundle(&config::load(&config.into(), world)?, &file, key)
        }
        SumdbCommand::Init { config, name } => {
            own::init(&config::load(&config.into(), world)?, &name)
        }
        SumdbCommand::Setup { config } => own::setup(&config::load(&config.into(), world)?),
        SumdbCommand::Recover { config } => own::recover(&config::load(&config.into(), world)?),
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
        output::out(&format!("{}: {} records, our own", own.name(), own.head().size()));
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

fn prove(resolved: &Resolved, module: &str, to: Option<&Path>) -> anyhow::Result<ExitCode> {
    let module = module_of(module)?;
    let runtime = serve::fill_runtime(resolved)?;
    let bundle = runtime.block_on(async {
        if let Some(own) = serve::own_beside(resolved).await?
            && let Some((_proven, bundle)) = own.prove(&module).await?
        {
            return Ok(Some(bundle));
        }
        let Some(database) = resolved.databases.first() else { return Ok(None) };
        let sumdb = serve::sumdb_beside(resolved, serve::store_beside(resolved)?).await?;
        let proven = sumdb.proven(&database.name, &module).await?;
        anyhow::Ok(proven.map(|(_proven, bundle)| bundle))
    })?;
    let Some(bundle) = bundle else {
        bail!("there is no stored proof of {module}: no database confirmed it here");
    };
    match to {
        None => output::out(bundle.to_string().trim_end()),
        Some(file) => write(file, &bundle)?,
    }
    Ok(Exit::Done.into())
}

#[expect(clippy::disallowed_methods, reason = "the command's own output file")]
fn write(file: &Path, bundle: &Bundle) -> anyhow::Result<()> {
    fs::write(file, bundle.to_string()).with_context(|| format!("writing {}", file.display()))
}

fn verify_bundle(
    resolved: &Resolved,
    file: &Path,
    key: Option<VerifierKey>,
) -> anyhow::Result<ExitCode> {
    let text = config::required(file)?;
    let bundle = Bundle::parse(text.as_bytes()).with_context(|| file.display().to_string())?;
    let keys: Vec<VerifierKey> = if let Some(key) = key {
        vec![key]
    } else {
        let own = serve::verifier(resolved)?;
        own.into_iter().chain(resolved.databases.iter().map(|db| db.key.clone())).collect()
    };
    let mut last = None;
    for key in &keys {
        match bundle.verify(key) {
            Ok(proven) => {
                let (record, head) = (proven.record(), proven.head());
                output::out(&format!(
                    "record {} of {} ({} records) says:",
                    proven.id(),
                    key.name(),
                    head.size
                ));
                output::out(record.text().trim_end());
                return Ok(Exit::Done.into());
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => output::err(&format!("{} proves nothing: {error}", file.display())),
        None => {
            bail!("no key to verify with: name one with --key, or a database in the configuration")
        }
    }
    Ok(Exit::Failed.into())
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
