//! What is not stored yet: a lone go.mod, a large zip, a stampede for one.

use std::thread;
use std::time::Duration;

use super::Bench;
use super::corpus::{self, file};
use super::load::{Client, closed_loop};
use super::peers::{Peer, Scheme};
use super::report::{Report, Table};

/// One request to a fresh server, with what it cost.
fn one(bench: &Bench, table: &mut Table, peer: &Peer, path: &str) -> anyhow::Result<()> {
    let server = bench.start(peer, Scheme::Plain)?;
    let mut client = Client::connect(server.port)?;
    client.get("/robots.txt")?;
    bench.fixture.taken();
    let (cpu, rss) = (server.cpu_secs(), server.whole_rss_mb());
    let got = client.get(path)?;
    anyhow::ensure!(got.status == 200, "{}: status {}", peer.name(), got.status);
    let grown = server.whole_rss_mb() - rss;
    thread::sleep(Duration::from_millis(300));
    let (calls, bytes) = bench.fixture.taken();
    table.add(peer.name(), "first byte ms", got.first_byte.as_secs_f64() * 1000.0);
    table.add(peer.name(), "whole ms", got.whole.as_secs_f64() * 1000.0);
    table.add(peer.name(), "CPU s", server.cpu_secs() - cpu);
    table.add(peer.name(), "RSS + MB", grown);
    table.add(peer.name(), "upstream calls", calls as f64);
    table.add(peer.name(), "upstream MB", bytes as f64 / 1e6);
    Ok(())
}

/// The same request to the upstream itself.
fn without_proxy(bench: &Bench, table: &mut Table, path: &str) -> anyhow::Result<()> {
    let port = bench.fixture.url().rsplit(':').next().unwrap_or_default().parse()?;
    let got = Client::connect(port)?.get(path)?;
    table.add("no proxy", "first byte ms", got.first_byte.as_secs_f64() * 1000.0);
    table.add("no proxy", "whole ms", got.whole.as_secs_f64() * 1000.0);
    Ok(())
}

fn compare(bench: &Bench, path: &str) -> anyhow::Result<()> {
    let mut table = Table::default();
    for _ in 0..bench.options.rounds {
        without_proxy(bench, &mut table, path)?;
        for peer in bench.with_others(vec![Peer::NginxCache, Peer::Larder]) {
            one(bench, &mut table, &peer, path)?;
        }
    }
    table.ratio("whole ms", "no proxy", "× no proxy");
    table.print();
    Ok(())
}

pub(crate) fn lone_mod(bench: &Bench) -> anyhow::Result<()> {
    for delay in [0, 50] {
        Report::line(&format!("upstream {delay} ms away:\n"));
        bench.fixture.far(Duration::from_millis(delay), 0);
        compare(bench, &file(&corpus::big(0), "mod"))?;
    }
    Ok(())
}

pub(crate) fn zip(bench: &Bench) -> anyhow::Result<()> {
    bench.fixture.near();
    compare(bench, &file(&corpus::big(0), "zip"))
}

pub(crate) fn zip_far(bench: &Bench) -> anyhow::Result<()> {
    bench.fixture.far(Duration::from_millis(50), 50_000_000);
    compare(bench, &file(&corpus::big(0), "zip"))
}

/// 200 clients at once for one cold zip.
pub(crate) fn stampede(bench: &Bench) -> anyhow::Result<()> {
    bench.fixture.near();
    let mut table = Table::default();
    let work: Vec<Vec<String>> = (0..200).map(|_| vec![file(&corpus::big(0), "zip")]).collect();
    for _ in 0..bench.options.rounds.min(3) {
        for peer in bench.with_others(vec![Peer::NginxCache, Peer::Larder]) {
            let server = bench.start(&peer, Scheme::Plain)?;
            bench.fixture.taken();
            let cpu = server.cpu_secs();
            let (run, peak) = thread::scope(|scope| {
                let load =
                    scope.spawn(|| closed_loop(server.port, 200, &work, Duration::from_mins(2)));
                let mut peak = 0_f64;
                while !load.is_finished() {
                    peak = peak.max(server.rss_mb());
                    thread::sleep(Duration::from_millis(50));
                }
                (load.join(), peak)
            });
            let run = run.map_err(|panic| anyhow::anyhow!("the load failed: {panic:?}"))??;
            table.add(peer.name(), "wall s", run.wall_secs);
            table.add(peer.name(), "CPU s", server.cpu_secs() - cpu);
            table.add(peer.name(), "upstream calls", bench.fixture.taken().0 as f64);
            table.add(peer.name(), "answers", run.answers as f64);
            table.add(peer.name(), "failed", run.failed as f64);
            table.add(peer.name(), "peak RSS MB", peak);
        }
    }
    table.ratio("wall s", "nginx-cache", "× nginx-cache");
    table.print();
    Ok(())
}
