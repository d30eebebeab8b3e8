//! Checks larder against published hashes: `cargo xtask corpus --mirrors DIR`.
//!
//! Every row of the corpus is a public module version with the `h1:` of its zip and its go.mod, as go.sum files of
//! other projects have them. larder runs as it ships, with `GOPROXY=direct` and no checksum database, and is asked
//! for `.info`, `.mod` and `.zip` of each. Repositories come from a folder of bare ones, served as GitHub serves them,
//! instead of the network: everything talks to 127.0.0.1. Rows that the folder cannot tell are named, with the reason.
//! Any difference is exit status 1.

mod ask;
mod compare;
mod host;
mod mirrors;
mod report;
mod rows;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use compare::Outcome;
use host::Host;
use mirrors::Mirrors;
use report::{Checked, Cost};
use rows::Row;
use server::Larder;

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of bare repositories: OWNER/NAME.git, as `git clone --mirror` makes them.
    #[arg(long, value_name = "DIR")]
    mirrors: PathBuf,
    /// The corpus (default: corpus/git-h1.tsv in the folder `LARDER_SHARED`, else ../shared beside the checkout).
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// Only repositories whose OWNER/NAME contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Versions asked for at one time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// The larder to check (default: built here with `cargo build --release`).
    #[arg(long, value_name = "PATH")]
    larder: Option<PathBuf>,
    /// Where larder's settings, log and data go; `data` in it is emptied first (default: target/corpus).
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

/// Checks the rows and prints the tables of docs/corpus.md.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<bool> {
    let larder = match &options.larder {
        Some(larder) => larder.canonicalize().with_context(|| larder.display().to_string())?,
        None => crate::bench::build(root)?,
    };
    let corpus = options.corpus.clone().unwrap_or_else(|| shared(root).join("corpus/git-h1.tsv"));
    let rows = rows::read(&corpus)?;
    let mirrors = Mirrors::open(&options.mirrors)?;
    let wanted = |row: &&Row| options.only.as_ref().is_none_or(|only| row.repo.contains(only));
    let rows: Vec<Row> = rows.iter().filter(wanted).cloned().collect();
    let (rows, skipped) = mirrors.sort_out(rows)?;
    if rows.is_empty() {
        bail!("none of the rows has its repository in {}", options.mirrors.display());
    }
    let work = options.work.clone().unwrap_or_else(|| root.join("target/corpus"));
    let host = Host::start(mirrors.folder())?;
    let larder = Larder::start(&larder, &work, &rows, &host)?;
    let (checked, cost) = check_all(&larder, rows, options.jobs, &mirrors)?;
    report::print(&checked, &skipped, &cost);
    Ok(checked.iter().all(|checked| checked.outcome == Outcome::Equal))
}

fn shared(root: &Path) -> PathBuf {
    std::env::var_os("LARDER_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from)
}

/// Asks for all rows, `jobs` at one time, in the order of the corpus: neighbours are of one repository, so
/// that fetches are shared as they are in life.
fn check_all(
    larder: &Larder,
    rows: Vec<Row>,
    jobs: u16,
    mirrors: &Mirrors,
) -> anyhow::Result<(Vec<Checked>, Cost)> {
    let (next, left) = (AtomicUsize::new(0), AtomicUsize::new(usize::from(jobs)));
    let outcomes = Mutex::new(Vec::new());
    let started = Instant::now();
    let worker = || {
        while let Some((index, row)) = take(&rows, &next) {
            let asked = Instant::now();
            let outcome = compare::check(larder.port(), row);
            let secs = asked.elapsed().as_secs_f64();
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes.push((index, outcome, secs));
                progress(outcomes.len(), rows.len());
            }
        }
        left.fetch_sub(1, Ordering::Relaxed);
    };
    let peak_tree_mb = thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
        larder.highest_memory_until(SAMPLE, || left.load(Ordering::Relaxed) == 0)
    });
    let wall_secs = started.elapsed().as_secs_f64();
    let mut outcomes = outcomes.into_inner().context("a worker died")?;
    outcomes.sort_by_key(|(index, ..)| *index);
    if outcomes.len() != rows.len() {
        bail!("only {} of {} rows were asked for", outcomes.len(), rows.len());
    }
    let cost = Cost { wall_secs, peak_tree_mb, ..larder.cost(&rows, mirrors)? };
    let joined = rows.into_iter().zip(outcomes);
    let checked = joined.map(|(row, (_, outcome, secs))| Checked { row, outcome, secs });
    Ok((checked.collect(), cost))
}

fn take<'a>(rows: &'a [Row], next: &AtomicUsize) -> Option<(usize, &'a Row)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, rows.get(index)?))
}

/// A line now and then on standard error: tables go to standard output.
#[expect(clippy::print_stderr, reason = "for whoever waits; standard output is the page")]
fn progress(done: usize, of: usize) {
    if done.is_multiple_of(100) {
        eprintln!("{done} of {of}");
    }
}
