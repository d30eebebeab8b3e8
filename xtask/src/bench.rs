//! Measures larder beside nginx in one run and prints ratios: `cargo xtask bench`.
//!
//! Method (docs/performance.md): one core for the server, one for load and upstream; rounds interleave the peers;
//! cells are medians with minimum and maximum; a ratio is taken inside a round. Nothing here asserts a time.
//! Everything talks to 127.0.0.1, is bounded in count and time, and ends the processes that it started, by id.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people: counts and times far below 2^52"
)]

mod cold;
mod corpus;
mod failing;
mod fixture;
mod git;
mod graph;
mod hot;
mod load;
mod many;
mod peers;
pub(crate) mod process;
mod report;
mod sumdb;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use corpus::Corpus;
use fixture::Fixture;
use report::Report;

/// The server's core and the core of load and upstream.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only scenarios whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Rounds per scenario.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load per round of a hot scenario.
    #[arg(long, default_value_t = 3)]
    secs: u64,
    /// Another proxy: NAME=COMMAND, run by /bin/sh with LISTEN, DATA and UPSTREAM in its environment.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<String>,
    /// The larder to measure (default: built here with `cargo build --release`).
    #[arg(long)]
    larder: Option<PathBuf>,
}

/// What every scenario needs.
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) larder: PathBuf,
    pub(crate) corpus: Corpus,
    pub(crate) work: PathBuf,
    pub(crate) fixture: Fixture,
}

type Scenario = (&'static str, fn(&Bench) -> anyhow::Result<()>);

const SCENARIOS: [Scenario; 21] = [
    ("hot small", hot::small),
    ("hot list", hot::list),
    ("hot look-ups", hot::lookups),
    ("hot zip 280 kB", hot::zip_280k),
    ("hot zip 30 MB", hot::zip_30m),
    ("tls small", hot::tls_small),
    ("tls zip 280 kB", hot::tls_zip),
    ("hot 1000 connections", hot::thousand),
    ("cold mod of a 30 MB module", cold::lone_mod),
    ("cold zip 30 MB", cold::zip),
    ("cold zip 30 MB, 50 ms 50 MB/s", cold::zip_far),
    ("many 500 cold modules", many::modules),
    ("graph 300 requests, 50 ms", graph::download),
    ("stampede 200 clients", cold::stampede),
    ("failing upstream", failing::upstream),
    ("hits beside 200 slow misses", failing::slow_misses),
    ("memory", many::memory),
    ("start", many::start),
    ("git 30 tags", git::tags),
    ("git large repository", git::large),
    ("git 1000 commits", git::commits),
];

/// Runs the scenarios and prints the tables.
pub(crate) fn run(root: &Path, options: Options) -> anyhow::Result<bool> {
    process::pin_self(LOAD_CORE)?;
    let larder = match &options.larder {
        Some(larder) => larder.clone(),
        None => build(root)?,
    };
    let work = root.join("target/bench");
    std::fs::create_dir_all(&work)?;
    let corpus = Corpus::make(&work.join("corpus"))?;
    let fixture = Fixture::start(corpus.root())?;
    let bench = Bench { options, larder, corpus, work, fixture };
    Report::machine();
    for (name, scenario) in SCENARIOS {
        if bench.options.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        Report::heading(name);
        scenario(&bench).with_context(|| format!("scenario {name}"))?;
    }
    Ok(true)
}

/// Builds larder as it is shipped.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "cli"])
        .current_dir(root)
        .status()?;
    if !built.success() {
        bail!("larder does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(target.join("release/larder"))
}
