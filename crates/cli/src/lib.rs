//! Commands, configuration and construction: everything behind the one binary, `larder`.

pub mod args;
pub mod commands;
pub mod config;
pub mod exit;
pub mod fsck;
pub mod logging;
pub mod output;
pub mod pages;
pub mod serve;
pub mod sumdb;
pub mod verify;
pub mod warm;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use config::World;
use exit::Exit;

/// Runs the command that the process was started with.
///
/// 0: done. 1: found something, or failed. 64: usage. 75: the data folder is in use. 78:
/// configuration.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors to clap either; nothing can be done about a closed
            // terminal.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match commands::run(args, &World::of_process()) {
        Ok(code) => code,
        Err(error) => {
            output::err(&exit::text(&error));
            Exit::of(&error).into()
        }
    }
}
