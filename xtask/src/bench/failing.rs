//! An upstream that fails, and hits beside misses that hang.

use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use super::corpus::{self, file};
use super::load::{Client, Loop, closed_loop};
use super::peers::{Peer, Scheme};
use super::process::Server;
use super::report::{Report, Table};

/// Status and time of the first and second answer to a cold file, a warm list and a warm zip.
pub(crate) fn upstream(bench: &Bench) -> anyhow::Result<()> {
    type Way = (&'static str, fn(&Bench));
    let ways: [Way; 5] = [
        ("503", |bench| bench.fixture.fail(503)),
        ("429", |bench| bench.fixture.fail(429)),
        ("403", |bench| bench.fixture.fail(403)),
        ("cut in the middle", |bench| bench.fixture.cut_after(5_000)),
        ("silent", |bench| bench.fixture.silent()),
    ];
    Report::line(
        "| upstream | cold zip: status, s | again: status, s | warm list: status, ms | warm zip: status, ms |",
    );
    Report::line("|---|---|---|---|---|");
    for (name, fail) in ways {
        bench.fixture.near();
        let server = bench.start(&Peer::Larder, Scheme::Plain)?;
        let warm = [format!("/{}/@v/list", corpus::small(1)), file(&corpus::middle(1), "zip")];
        for path in &warm {
            Client::connect(server.port)?.get(path)?;
        }
        fail(bench);
        // A silent upstream is given up by the first-byte limit of files (90 s): ask for a list, whose limit is 10 s.
        let cold = if name == "silent" {
            format!("/{}/@v/list", corpus::cold(7))
        } else {
            file(&corpus::cold(7), "zip")
        };
        let (first, again) = (timed(&server, &cold), timed(&server, &cold));
        let [list, zip] = warm.each_ref().map(|path| timed(&server, path));
        Report::line(&format!(
            "| {name} | {}, {:.2} | {}, {:.3} | {}, {:.2} | {}, {:.2} |",
            first.0,
            first.1,
            again.0,
            again.1,
            list.0,
            list.1 * 1000.0,
            zip.0,
            zip.1 * 1000.0
        ));
        bench.fixture.near();
    }
    Report::line("");
    Ok(())
}

fn timed(server: &Server, path: &str) -> (String, f64) {
    let started = Instant::now();
    let got = Client::connect(server.port).and_then(|mut client| client.get(path));
    let status = got.map_or_else(|error| error.to_string(), |got| got.status.to_string());
    (status, started.elapsed().as_secs_f64())
}

/// Four clients with pauses of 5 ms, alone and beside 200 misses whose upstream takes 5 s.
pub(crate) fn slow_misses(bench: &Bench) -> anyhow::Result<()> {
    let mut table = Table::default();
    for _ in 0..bench.options.rounds.min(3) {
        for peer in bench.with_others(vec![Peer::NginxCache, Peer::Larder]) {
            bench.fixture.near();
            let server = bench.start(&peer, Scheme::Plain)?;
            paced(&server, Duration::from_millis(200))?;
            let quiet = paced(&server, Duration::from_secs(3))?;
            bench.fixture.far(Duration::from_secs(5), 0);
            let misses: Vec<Vec<String>> =
                (0..200).map(|n| vec![file(&corpus::cold(n), "zip")]).collect();
            let beside = thread::scope(|scope| {
                scope.spawn(|| closed_loop(server.port, 200, &misses, Duration::from_secs(1)).ok());
                thread::sleep(Duration::from_millis(500));
                paced(&server, Duration::from_secs(3))
            })?;
            table.add(peer.name(), "quiet p50 ms", quiet.percentile(0.5));
            table.add(peer.name(), "quiet p99 ms", quiet.percentile(0.99));
            table.add(peer.name(), "beside p50 ms", beside.percentile(0.5));
            table.add(peer.name(), "beside p99 ms", beside.percentile(0.99));
            let ratio = beside.percentile(0.99) / quiet.percentile(0.99);
            table.add(peer.name(), "p99 ratio", ratio);
            table.add(peer.name(), "hits", beside.answers as f64);
        }
    }
    bench.fixture.near();
    table.print();
    Ok(())
}

fn paced(server: &Server, span: Duration) -> anyhow::Result<Loop> {
    let port = server.port;
    let worker = move |n: usize| -> anyhow::Result<Loop> {
        let mut sum = Loop::default();
        let mut client = Client::connect(port)?;
        let deadline = Instant::now() + span;
        while Instant::now() < deadline {
            let got = client.get(&file(&corpus::small(n), "mod"))?;
            sum.answers += 1;
            sum.millis.push(got.whole.as_secs_f64() * 1000.0);
            thread::sleep(Duration::from_millis(5));
        }
        Ok(sum)
    };
    let mut all = Loop::default();
    let sums: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|n| scope.spawn(move || worker(n))).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    for sum in sums {
        let sum = sum?;
        all.answers += sum.answers;
        all.millis.extend(sum.millis);
    }
    Ok(all)
}
