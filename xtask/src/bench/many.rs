//! Many cold modules, memory, and the time to start.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use super::corpus::{self, BIG, COLD, file};
use super::load::{Client, closed_loop};
use super::peers::{Peer, Scheme};
use super::process::free_port;
use super::report::{Report, Table};

/// Info, mod and zip of each module in a row, 32 clients.
pub(crate) fn modules(bench: &Bench) -> anyhow::Result<()> {
    let work: Vec<Vec<String>> = (0..COLD)
        .map(|n| ["info", "mod", "zip"].map(|suffix| file(&corpus::cold(n), suffix)).to_vec())
        .collect();
    for delay in [0, 50] {
        Report::line(&format!("upstream {delay} ms away:\n"));
        bench.fixture.far(Duration::from_millis(delay), 0);
        let mut table = Table::default();
        for _ in 0..bench.options.rounds {
            let peers = vec![Peer::NginxCache, Peer::Larder, Peer::LarderUnsynced];
            for peer in bench.with_others(peers) {
                let server = bench.start(&peer, Scheme::Plain)?;
                bench.fixture.taken();
                let cpu = server.cpu_secs();
                let run = closed_loop(server.port, 32, &work, Duration::from_mins(2))?;
                table.add(peer.name(), "modules/s", COLD as f64 / run.wall_secs);
                let cpu = (server.cpu_secs() - cpu) * 1000.0 / COLD as f64;
                table.add(peer.name(), "CPU ms/module", cpu);
                table.add(peer.name(), "p99 ms", run.percentile(0.99));
                table.add(peer.name(), "failed", run.failed as f64);
                table.add(peer.name(), "upstream calls", bench.fixture.taken().0 as f64);
                table.add(peer.name(), "RSS MB", server.rss_mb());
            }
        }
        table.ratio("modules/s", "nginx-cache", "× nginx-cache");
        table.print();
    }
    Ok(())
}

/// Idle, and while 64 cold zips of 30 MB arrive at once.
pub(crate) fn memory(bench: &Bench) -> anyhow::Result<()> {
    bench.fixture.near();
    let mut table = Table::default();
    let server = bench.start(&Peer::Larder, Scheme::Plain)?;
    Client::connect(server.port)?.get("/healthz")?;
    thread::sleep(Duration::from_secs(1));
    table.add("larder", "idle RSS MB (all)", server.whole_rss_mb());
    table.add("larder", "idle RSS MB (anonymous)", server.rss_mb());
    let work: Vec<Vec<String>> = (0..BIG).map(|n| vec![file(&corpus::big(n), "zip")]).collect();
    let (run, peak) = thread::scope(|scope| {
        let load = scope.spawn(|| closed_loop(server.port, BIG, &work, Duration::from_mins(3)));
        let mut peak = 0_f64;
        while !load.is_finished() {
            peak = peak.max(server.rss_mb());
            thread::sleep(Duration::from_millis(50));
        }
        (load.join(), peak)
    });
    let run = run.map_err(|panic| anyhow::anyhow!("the load failed: {panic:?}"))??;
    table.add("larder", "64 cold zips: peak RSS MB (anonymous)", peak);
    table.add("larder", "wall s", run.wall_secs);
    table.add("larder", "failed", run.failed as f64);
    table.print();
    Ok(())
}

/// From exec to the first 200 of a stored file: over a few versions, and over 100,000.
pub(crate) fn start(bench: &Bench) -> anyhow::Result<()> {
    bench.fixture.near();
    let mut table = Table::default();
    let data = bench.work.join("start/data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::create_dir_all(&data)?;
    let path = file(&corpus::small(0), "mod");
    timed_start(bench, &data, &path)?;
    for _ in 0..bench.options.rounds {
        table.add("larder", "warm store ms", timed_start(bench, &data, &path)?);
    }
    Report::line("making a store with 100,000 versions");
    for module in 0..1000 {
        let folder = data.join(format!("modules/bench.example/many/m{module:04}/@v"));
        fs::create_dir_all(&folder)?;
        for version in 0..100 {
            let text = format!("{{\"Version\":\"v1.{version}.0\"}}");
            fs::write(folder.join(format!("v1.{version}.0.info")), text)?;
            fs::write(folder.join(format!("v1.{version}.0.mod")), "module m\n")?;
        }
    }
    let reindexed = std::process::Command::new(&bench.larder)
        .args(["fsck", "--reindex", "--data"])
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Report::line(&format!("reindexed: {reindexed}\n"));
    for _ in 0..bench.options.rounds {
        table.add("larder", "100,000 versions ms", timed_start(bench, &data, &path)?);
    }
    table.print();
    Ok(())
}

fn timed_start(bench: &Bench, data: &std::path::Path, path: &str) -> anyhow::Result<f64> {
    let port = free_port()?;
    let started = Instant::now();
    let mut child = super::process::on_core(super::SERVER_CORE, &bench.larder)
        .arg("serve")
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--data")
        .arg(data)
        .env("GOENV", "off")
        .env("GOPROXY", bench.fixture.url())
        .env("GOSUMDB", "off")
        .env("LARDER_LOG_ACCESS", "off")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut elapsed = None;
    while started.elapsed() < Duration::from_secs(20) {
        let got = Client::connect(port).and_then(|mut client| client.get(path));
        if got.is_ok_and(|got| got.status == 200) {
            elapsed = Some(started.elapsed());
            break;
        }
        thread::sleep(Duration::from_micros(500));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status()?;
    child.wait()?;
    let elapsed = elapsed.ok_or_else(|| anyhow::anyhow!("larder did not answer"))?;
    Ok(elapsed.as_secs_f64() * 1000.0)
}
