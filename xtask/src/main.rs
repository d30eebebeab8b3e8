//! Checks and measurements of the workspace that cargo itself does not offer.
//!
//! `cargo xtask floors` checks who may import whom, `cargo xtask budgets` measures the budgets of the
//! house's style, `cargo xtask docs` writes the generated pages anew. Each exits with 1 when it found something.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool: what it found goes to standard output"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool: reads the workspace and runs cargo"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod budgets;
mod corpus;
mod docs;
mod floors;
mod source;
mod workspace;

#[derive(Debug, Parser)]
#[command(about = "Checks and measurements of the workspace")]
struct Arguments {
    /// Root of the workspace (default: the one this tool was built from).
    #[arg(long, global = true)]
    root: Option<PathBuf>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks that every room imports only what the floors allow.
    Floors,
    /// Measures lengths, comments, tests and packages against the budgets.
    Budgets,
    /// Writes the generated pages of docs/ anew.
    Docs,
    /// Measures larder beside nginx and prints ratios.
    Bench(bench::Options),
    /// Checks larder against published hashes, with repositories from a folder.
    Corpus(corpus::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let built_from = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = arguments.root.unwrap_or_else(built_from).canonicalize()?;
    let clean = match arguments.task {
        Task::Floors => floors::run(&root)?,
        Task::Budgets => budgets::run(&root)?,
        Task::Docs => docs::run(&root)?,
        Task::Bench(options) => bench::run(&root, options)?,
        Task::Corpus(options) => corpus::run(&root, &options)?,
    };
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
