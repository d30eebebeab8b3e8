//! One function per command.

use std::{io, process::ExitCode};

use clap::CommandFactory as _;

use crate::{
    args::{Args, Command, ConfigArgs, ConfigCommand},
    config::{self, Resolved, World, show},
    exit::Exit,
    fsck::{self, Reindex},
    logging, output, serve, sumdb, verify, warm,
};

/// Runs the command of `args`.
///
/// # Errors
/// What [`Exit::of`] makes an exit code of.
pub fn run(args: Args, world: &World) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Serve { config } => {
            let resolved = started(config, world)?;
            for line in resolved.summary() {
                tracing::info!("{line}");
            }
            serve::run(&resolved)
        }
        Command::Config { command: ConfigCommand::Show { config } } => {
            output::out(show::show(&config::load(&config.into(), world)?).trim_end());
            Ok(Exit::Done.into())
        }
        Command::Config { command: ConfigCommand::Check { config } } => {
            let resolved = config::load(&config.into(), world)?;
            for warning in &resolved.warnings {
                output::err(&format!("warning: {warning}"));
            }
            output::out("the configuration is good");
            Ok(Exit::Done.into())
        }
        Command::Fsck { config, reindex } => {
            let reindex = if reindex { Reindex::Yes } else { Reindex::No };
            fsck::run(&started(config, world)?, reindex)
        }
        Command::Verify { config, go_sum } => {
            verify::run(&config::load(&config.into(), world)?, go_sum.as_deref())
        }
        Command::Sumdb { command } => sumdb::run(command, world),
        Command::Warm { warm } => warm::run(warm, world),
        Command::Version => {
            output::out(&version());
            Ok(Exit::Done.into())
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "larder", &mut text);
            // A reader that went away is no failure.
            let _ = io::Write::write_all(&mut io::stdout().lock(), &text);
            Ok(Exit::Done.into())
        }
    }
}

/// The configuration, with the log set up by it and its warnings told.
fn started(config: ConfigArgs, world: &World) -> anyhow::Result<Resolved> {
    let resolved = config::load(&config.into(), world)?;
    logging::start(&resolved.settings.log)?;
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    Ok(resolved)
}

/// Name, version and platform.
#[must_use]
pub fn version() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("larder {} ({os}/{arch})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_platform() {
        let version = version();
        assert!(version.starts_with(concat!("larder ", env!("CARGO_PKG_VERSION"), " (")));
        assert!(version.contains(std::env::consts::OS), "{version}");
    }

    #[test]
    fn a_wrong_configuration_ends_every_command_that_has_one() {
        use clap::Parser as _;
        let world = World::empty("/nonexistent".into()).with("LARDER_SERVER_CORES", "many");
        for line in [&["serve"][..], &["config", "check"], &["config", "show"], &["fsck"]] {
            let args = Args::parse_from([&["larder"], line].concat());
            let error = run(args, &world).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Config, "{line:?}");
        }
    }
}
