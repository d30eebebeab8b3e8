//! What is stored already: small files, lists, zips; in clear text and by TLS.

use std::time::Duration;

use super::Bench;
use super::corpus::{self, SMALL, file};
use super::load::{Client, closed_loop, wrk};
use super::peers::{Peer, Scheme};
use super::process::Server;
use super::report::{Report, Table};

/// How many small files are rotated through.
const ROTATED: usize = 500;

fn small_paths() -> Vec<String> {
    let pair = |n| [file(&corpus::small(n), "info"), file(&corpus::small(n), "mod")];
    (0..SMALL.min(ROTATED)).flat_map(pair).collect()
}

fn list_paths() -> Vec<String> {
    (0..SMALL.min(ROTATED)).map(|n| format!("/{}/@v/list", corpus::small(n))).collect()
}

fn middle_paths() -> Vec<String> {
    (0..16).map(|n| file(&corpus::middle(n), "zip")).collect()
}

fn big_paths() -> Vec<String> {
    (0..4).map(|n| file(&corpus::big(n), "zip")).collect()
}

/// Starts the peers and lets each fetch the paths once.
fn warmed(
    bench: &Bench,
    larder: &Peer,
    scheme: Scheme,
    paths: &[String],
) -> anyhow::Result<Vec<Server>> {
    bench.fixture.near();
    let peers = bench.with_others(vec![Peer::Nginx, larder.clone()]);
    let mut servers = Vec::new();
    for peer in peers {
        let server = bench.start(&peer, scheme)?;
        if scheme == Scheme::Plain {
            let work: Vec<Vec<String>> = paths.iter().map(|path| vec![path.clone()]).collect();
            closed_loop(server.port, 8, &work, Duration::from_mins(2))?;
        } else {
            wrk(&format!("https://127.0.0.1:{}", server.port), paths, 8, 2, &bench.work)?;
        }
        servers.push(server);
    }
    Ok(servers)
}

fn by_wrk(
    bench: &Bench,
    scheme: Scheme,
    paths: &[String],
    connections: usize,
) -> anyhow::Result<Table> {
    by_wrk_of(bench, &Peer::Larder, (scheme, connections), paths)
}

fn by_wrk_of(
    bench: &Bench,
    larder: &Peer,
    (scheme, connections): (Scheme, usize),
    paths: &[String],
) -> anyhow::Result<Table> {
    let servers = warmed(bench, larder, scheme, paths)?;
    let mut table = Table::default();
    let protocol = if scheme == Scheme::Tls { "https" } else { "http" };
    for round in 0..bench.options.rounds {
        let mut order: Vec<&Server> = servers.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for server in order {
            let before = server.cpu_secs();
            let url = format!("{protocol}://127.0.0.1:{}", server.port);
            let rate = wrk(&url, paths, connections, bench.options.secs, &bench.work)?;
            let cpu = server.cpu_secs() - before;
            let answers = rate.per_sec * bench.options.secs as f64;
            table.add(&server.name, "req/s", rate.per_sec);
            table.add(&server.name, "CPU µs", cpu * 1e6 / answers);
            table.add(&server.name, "p50 ms", rate.p50_ms);
            table.add(&server.name, "p99 ms", rate.p99_ms);
            table.add(&server.name, "RSS MB", server.rss_mb());
        }
    }
    table.ratio("req/s", "nginx", "× nginx");
    table.ratio("CPU µs", "nginx", "CPU ÷ nginx");
    Ok(table)
}

fn by_loop(bench: &Bench, paths: &[String], clients: usize) -> anyhow::Result<Table> {
    let servers = warmed(bench, &Peer::Larder, Scheme::Plain, paths)?;
    let mut table = Table::default();
    let work: Vec<Vec<String>> = (0..200_000)
        .filter_map(|n| paths.get(n % paths.len()).cloned())
        .map(|path| vec![path])
        .collect();
    for round in 0..bench.options.rounds {
        let mut order: Vec<&Server> = servers.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for server in order {
            let before = server.cpu_secs();
            let limit = Duration::from_secs(bench.options.secs);
            let run = closed_loop(server.port, clients, &work, limit)?;
            let cpu = server.cpu_secs() - before;
            table.add(&server.name, "MB/s", run.mb_per_sec());
            table.add(&server.name, "CPU s/GB", cpu * 1e9 / run.bytes as f64);
            table.add(&server.name, "p99 ms", run.percentile(0.99));
            table.add(&server.name, "failed", run.failed as f64);
            table.add(&server.name, "RSS MB", server.rss_mb());
        }
    }
    table.ratio("MB/s", "nginx", "× nginx");
    Ok(table)
}

pub(crate) fn small(bench: &Bench) -> anyhow::Result<()> {
    by_wrk(bench, Scheme::Plain, &small_paths(), 32)?.print();
    Ok(())
}

pub(crate) fn list(bench: &Bench) -> anyhow::Result<()> {
    let table = by_wrk(bench, Scheme::Plain, &list_paths(), 32)?;
    table.print();
    let server = bench.start(&Peer::Larder, Scheme::Plain)?;
    bench.fixture.taken();
    let mut client = Client::connect(server.port)?;
    for _ in 0..1000 {
        client.get(&format!("/{}/@v/list", corpus::small(0)))?;
    }
    Report::line(&format!("larder: {} upstream calls for 1,000 lists", bench.fixture.taken().0));
    Ok(())
}

/// Look-ups of a checksum database, beside the same answers as files.
pub(crate) fn lookups(bench: &Bench) -> anyhow::Result<()> {
    let modules: Vec<_> = (0..ROTATED).map(|n| (corpus::small(n), corpus::VERSION)).collect();
    let key = super::sumdb::publish(bench, &modules)?;
    let lookup = |(path, version): &(String, &str)| {
        format!("/sumdb/{}/lookup/{path}@{version}", super::sumdb::NAME)
    };
    let paths: Vec<_> = modules.iter().map(lookup).collect();
    by_wrk_of(bench, &Peer::LarderRequire(key), (Scheme::Plain, 32), &paths)?.print();
    Ok(())
}

pub(crate) fn zip_280k(bench: &Bench) -> anyhow::Result<()> {
    by_loop(bench, &middle_paths(), 16)?.print();
    Ok(())
}

pub(crate) fn zip_30m(bench: &Bench) -> anyhow::Result<()> {
    by_loop(bench, &big_paths(), 8)?.print();
    Ok(())
}

pub(crate) fn tls_small(bench: &Bench) -> anyhow::Result<()> {
    by_wrk(bench, Scheme::Tls, &small_paths(), 32)?.print();
    Ok(())
}

pub(crate) fn tls_zip(bench: &Bench) -> anyhow::Result<()> {
    by_wrk(bench, Scheme::Tls, &middle_paths(), 16)?.print();
    Ok(())
}

pub(crate) fn thousand(bench: &Bench) -> anyhow::Result<()> {
    by_wrk(bench, Scheme::Plain, &small_paths(), 1000)?.print();
    Ok(())
}
