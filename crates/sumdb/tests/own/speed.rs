//! How fast: run by hand, in release.
//!
//! ```text
//! cargo test --release -p sumdb --test own speed -- --ignored --nocapture --test-threads 1
//! ```

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sumdb::{OwnLog, Step};
use units::ByteSize;

use crate::site::{Running, Site, append, grow, module, parts_with};

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)]
    };
    say(&format!(
        "{what}: p50 {:?} p90 {:?} p99 {:?} max {:?}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    ));
}

/// What one sync of a small append costs here.
fn sync_time(folder: &std::path::Path) {
    let mut file = std::fs::File::create(folder.join("sync")).unwrap();
    let times = (0..100).map(|_| {
        file.write_all(&[7; 4096]).unwrap();
        let begun = Instant::now();
        file.sync_data().unwrap();
        begun.elapsed()
    });
    let times = times.collect();
    show("one sync", times);
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}

async fn twenty(log: OwnLog, first: u64) {
    for number in first..first + 20 {
        append(&log, number).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn durable_records() {
    let site = Site::new();
    sync_time(site.folder.path());
    let running = site.create().await;
    let mut times = Vec::new();
    for number in 0..300 {
        let begun = Instant::now();
        append(&running.log, number).await.unwrap();
        times.push(begun.elapsed());
    }
    show("appends, one after the other", times);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    running.log.observe(move |step| told.lock().unwrap().push((step, Instant::now())));
    let mut times = Vec::new();
    for number in 1000..1100 {
        // Alone: what follows the answer to the one before has ended.
        tokio::time::sleep(Duration::from_millis(40)).await;
        let begun = Instant::now();
        append(&running.log, number).await.unwrap();
        times.push(begun.elapsed());
    }
    show("one append alone", times);
    for pair in [Step::Place, Step::Tiles, Step::Sign, Step::Head, Step::Publish] {
        let steps = steps.lock().unwrap();
        let from = steps.windows(2).filter(|both| both[0].0 == pair);
        show(&format!("  from {pair:?} on"), from.map(|both| both[1].1 - both[0].1).collect());
    }
    for callers in [8, 64, 256, 1024] {
        let begun = Instant::now();
        let each = (0..callers).map(|caller| {
            tokio::spawn(twenty(running.log.clone(), callers * 1_000_000 + caller * 1000))
        });
        join_all(each).await;
        #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
        let rate = (callers * 20) as f64 / begun.elapsed().as_secs_f64();
        say(&format!("{callers} callers: {rate:.0} durable records/s"));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn proofs_of_a_million() {
    let site = Site::new();
    let config = store::Config { min_free: ByteSize(0), fsync: false };
    let parts = parts_with(site.folder.path(), &config).await;
    let running = Running::start(OwnLog::create(&parts).await.unwrap());
    let begun = Instant::now();
    grow(&running.log, 1_000_000).await;
    say(&format!("a million records in {:?}; {}", begun.elapsed(), resident()));
    running.stop().await;
    drop(parts);
    let begun = Instant::now();
    let log = OwnLog::open(parts_with(site.folder.path(), &config).await).await.unwrap();
    say(&format!("opened in {:?}", begun.elapsed()));
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for round in 0..2 {
        for step in 0_u64..5000 {
            let number = step.wrapping_mul(7_919_777) % 1_000_000;
            let begun = Instant::now();
            assert!(log.prove(&module(number)).await.unwrap().is_some());
            if round == 0 { &mut cold } else { &mut warm }.push(begun.elapsed());
        }
    }
    show("proof of a record not in memory", cold);
    show("proof of a record in memory", warm);
    say(&format!("after 10,000 proofs {}", resident()));
}
