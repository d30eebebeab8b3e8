//! A real `go mod download` of a graph of 300 files over a far upstream, eight files at once; also with
//! every version confirmed against a checksum database as far away.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::Bench;
use super::corpus::VERSION;
use super::peers::{Peer, Scheme};
use super::report::Table;

/// Modules downloaded whole: info, mod and zip.
const WHOLE: usize = 82;
/// Older versions that the graph only mentions: their mod alone.
const MENTIONED: usize = 54;
/// The version that is only mentioned.
const OLDER: &str = "v0.9.0";

fn module(n: usize) -> String {
    format!("bench.example/graph/m{n:03}")
}

/// Every version of the graph.
fn versions() -> Vec<(String, &'static str)> {
    let whole = (0..WHOLE).map(|n| (module(n), VERSION));
    whole.chain((0..MENTIONED).map(|n| (module(n + 1), OLDER))).collect()
}

/// The graph's modules in the corpus and the main module that wants them.
fn make(bench: &Bench, main: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(main)?;
    let mut wanted = String::from("module bench.example/main\n\ngo 1.16\n\nrequire (\n");
    for n in 0..WHOLE {
        writeln!(wanted, "\t{} {VERSION}", module(n))?;
        // Before go 1.17 every go.mod of the graph is loaded: the next module's older version is mentioned.
        let mentions = if n < MENTIONED {
            format!("\nrequire {} {OLDER}\n", module(n + 1))
        } else {
            String::new()
        };
        let files = 4 + n % 40;
        bench.corpus.add_requiring(&module(n), VERSION, &[(files, 15_000)], &mentions)?;
        if n < MENTIONED {
            bench.corpus.add_requiring(&module(n + 1), OLDER, &[], "")?;
        }
    }
    wanted.push_str(")\n");
    fs::write(main.join("go.mod"), wanted)?;
    Ok(())
}

/// Cold through each peer, then warm through larder.
pub(crate) fn download(bench: &Bench) -> anyhow::Result<()> {
    let main = bench.work.join("graph-main");
    make(bench, &main)?;
    let key = super::sumdb::publish(bench, &versions())?;
    let mut table = Table::default();
    for _ in 0..bench.options.rounds.min(3) {
        bench.fixture.far(Duration::from_millis(50), 0);
        bench.fixture.taken();
        let secs = go_mod_download(bench, &main, &bench.fixture.url())?;
        let (calls, bytes) = bench.fixture.taken();
        table.add("no proxy", "cold s", secs);
        table.add("no proxy", "upstream calls", calls as f64);
        table.add("no proxy", "upstream MB", bytes as f64 / 1e6);
        let peers = vec![Peer::NginxCache, Peer::Larder, Peer::LarderRequire(key.clone())];
        for peer in bench.with_others(peers) {
            let server = bench.start(&peer, Scheme::Plain)?;
            bench.fixture.taken();
            table.add(peer.name(), "cold s", go_mod_download(bench, &main, &server.url())?);
            let (calls, bytes) = bench.fixture.taken();
            table.add(peer.name(), "upstream calls", calls as f64);
            table.add(peer.name(), "upstream MB", bytes as f64 / 1e6);
            table.add(peer.name(), "warm s", go_mod_download(bench, &main, &server.url())?);
        }
    }
    bench.fixture.near();
    table.print();
    Ok(())
}

/// Seconds of `go mod download` with an empty module cache, in memory where the machine has such a place.
fn go_mod_download(bench: &Bench, main: &Path, proxy: &str) -> anyhow::Result<f64> {
    let memory = Path::new("/dev/shm");
    let cache = if memory.is_dir() {
        memory.join("larder-bench-cache")
    } else {
        bench.work.join("modcache")
    };
    let clean = || -> anyhow::Result<()> {
        if cache.exists() {
            fs::remove_dir_all(&cache)?;
        }
        Ok(())
    };
    clean()?;
    let started = Instant::now();
    let output = Command::new("go")
        .args(["mod", "download"])
        .current_dir(main)
        .env("GOPROXY", proxy)
        .env("GOMODCACHE", &cache)
        .env("GOFLAGS", "-modcacherw -mod=mod")
        .env("GONOSUMDB", "*")
        .env("GOSUMDB", "off")
        .env("GOPRIVATE", "")
        .env("GOTOOLCHAIN", "local")
        .env("GOMAXPROCS", "8")
        .stdin(Stdio::null())
        .output()?;
    let secs = started.elapsed().as_secs_f64();
    clean()?;
    if !output.status.success() {
        bail!("go mod download failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(secs)
}
