//! What attempts cost, for the table of `docs/hostile.md`:
//!
//! ```sh
//! LARDER_HOSTILE_FIGURES=1 cargo test --release -p vcs --test vcs -- --test-threads=1 --nocapture
//! ```
//!
//! prints a line for each attempt: the test, seconds, and by how much the memory of this process
//! was larger at its peak than before. What git takes is not in it. Without the variable nothing is
//! measured, and the cases of full size are left out.

use std::{fmt::Write as _, fs, time::Instant};

use units::ByteSize;
use vcs::{Config, Error, Freshness};

use crate::{
    hostile::{blob, commit_tree, snapshot, tree},
    world::World,
};

const WANTED: &str = "LARDER_HOSTILE_FIGURES";

fn is_wanted() -> bool {
    std::env::var_os(WANTED).is_some()
}

/// Runs an attempt, and says what it cost.
pub(crate) async fn of<T>(attempt: impl Future<Output = T>) -> T {
    if !is_wanted() {
        return attempt.await;
    }
    // 5: the peak is forgotten. Source: proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun) = (peak(), Instant::now());
    let done = attempt.await;
    let (seconds, memory) = (begun.elapsed().as_secs_f64(), peak().saturating_sub(before));
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let mib = memory.div_ceil(1024);
    // Past the harness, which keeps what a test prints for itself.
    fs::write("/dev/stderr", format!("figures\t{name}\t{seconds:.2} s\t{mib} MiB\n")).unwrap();
    done
}

/// The largest resident set so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn is_limit<T: std::fmt::Debug>(result: &Result<T, Error>, wanted: &str) {
    assert!(
        matches!(result, Err(Error::Limit { reason, .. }) if reason.contains(wanted)),
        "{result:?}"
    );
}

#[tokio::test]
async fn full_size_ten_trees() {
    if !is_wanted() {
        return;
    }
    let world = World::new().await;
    let repo = world.repo("a");
    let file = blob(&repo, b"x");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut top = tree(&repo, &names.map(|name| ("100644", name, file.as_str())));
    for _ in 0..9 {
        top = tree(&repo, &names.map(|name| ("40000", name, top.as_str())));
    }
    let hash = commit_tree(&repo, &top);
    is_limit(&snapshot(&world, &repo, &hash).await, "1000000 files");
}

#[tokio::test]
async fn full_size_refs() {
    if !is_wanted() {
        return;
    }
    for (refs, fine) in [(999_990, true), (1_000_000, false)] {
        // The list is longer than its bound of bytes before it has so many.
        let config = Config { max_refs_size: ByteSize(256 << 20), ..Config::default() };
        let world = World::with(config).await;
        let repo = world.repo("a");
        let first = repo.commit("first").unwrap();
        let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        for number in 0..refs {
            writeln!(packed, "{first} refs/tags/v0.0.{number:07}").unwrap();
        }
        fs::write(repo.folder().join(".git/packed-refs"), packed).unwrap();
        let remote = world.open(&repo.url());
        let found = of(remote.refs(Freshness::Now)).await;
        assert_eq!(found.is_ok(), fine, "{refs}");
    }
}

/// Many patterns, many files.
async fn attributes(patterns: usize, files: usize) -> Result<vcs::Snapshot, Error> {
    let world = World::new().await;
    let repo = world.repo("a");
    let mut lines = String::new();
    for number in 0..patterns {
        writeln!(lines, "*.e{number} -text").unwrap();
    }
    let (lines, file) = (blob(&repo, lines.as_bytes()), blob(&repo, b"x"));
    let names: Vec<_> = (0..files).map(|number| format!("f{number:06}")).collect();
    let entries = names.iter().map(|name| ("100644", name.as_str(), file.as_str()));
    let entries: Vec<_> =
        [("100644", ".gitattributes", lines.as_str())].into_iter().chain(entries).collect();
    let hash = commit_tree(&repo, &tree(&repo, &entries));
    snapshot(&world, &repo, &hash).await
}

#[tokio::test]
async fn full_size_attributes() {
    if !is_wanted() {
        return;
    }
    is_limit(&attributes(99_999, 10_000).await, "268435456 steps");
    is_limit(&attributes(100_001, 10).await, "100000 patterns");
}

#[tokio::test]
async fn full_size_conversion() {
    if !is_wanted() {
        return;
    }
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write(".gitattributes", "* eol=crlf\n").unwrap();
    repo.write("f", vec![b'\n'; 64 << 20]).unwrap();
    let hash = repo.commit("x").unwrap();
    let snapshot = snapshot(&world, &repo, &hash).await.unwrap();
    let entry = snapshot.entries().iter().find(|entry| entry.path == b"f").unwrap();
    assert_eq!(of(async { snapshot.content(entry) }).await.unwrap().len(), 128 << 20);
}
