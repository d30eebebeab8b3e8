//! Measures what a confirmation costs, against a database in the same process.
//!
//! `cargo run --release -p sumdb --example measure [records]`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for measurements, not a part of larder"
)]

use std::{sync::Arc, time::Instant};

use gomod::ModVer;
use outbound::ProxyEnvironment;
use sumdb::{Clock, Config, Database, Parts, Sumdb};
use testkit::{FakeSumdb, h1_of_mod};
use units::Timestamp;

const MODULES: u32 = 300;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let records: u64 = std::env::args().nth(1).map_or(200_000, |text| text.parse().unwrap());
    let fake = FakeSumdb::start("sum.example").unwrap();
    let modules: Vec<_> = (0..MODULES).map(|number| module(&fake, number, records)).collect();
    println!("log of {} records, {MODULES} modules all over it", fake.size());
    let parts = Parts {
        databases: vec![Database {
            name: fake.name().clone(),
            key: fake.key().clone(),
            urls: fake.urls(),
        }],
        client: outbound::Client::new(&outbound::Config::default(), &ProxyEnvironment::default())
            .unwrap(),
        accesses: Vec::new(),
        via: Arc::from("1.1 measure"),
        store: store::Store::memory(),
        state: Some(db::State::memory().await.unwrap()),
        config: Config::default(),
        clock: Clock::new(|| Timestamp::from_unix_secs(1_795_255_200)),
    };
    let cold = Sumdb::open(parts.clone()).await.unwrap();
    lap("cold, one after the other", &cold, &modules).await;
    let (lookups, tiles) = (fake.calls("/lookup/*"), fake.calls("/tile/*"));
    println!("  requests: {} in all, {lookups} look-ups, {tiles} tiles", fake.calls("*"));
    lap("in memory", &cold, &modules).await;
    let stored = Sumdb::open(parts.clone()).await.unwrap();
    lap("from the store, first use", &stored, &modules).await;
    // The records are gone, the tiles are not: each is looked up, and proven from known tiles.
    for module in &modules {
        parts.store.remove(&store::Key::Record(fake.name(), module)).await.unwrap();
    }
    let known = Sumdb::open(parts.clone()).await.unwrap();
    lap("looked up, tiles stored (with the CPU of the fake's server)", &known, &modules).await;
    println!("  requests: {} look-ups, {} tiles", fake.calls("/lookup/*") - lookups, {
        fake.calls("/tile/*") - tiles
    });
}

fn module(fake: &FakeSumdb, number: u32, records: u64) -> ModVer {
    fake.fill(records / u64::from(MODULES));
    let version = format!("v1.0.{number}");
    let hash = h1_of_mod(version.as_bytes());
    fake.add("example.com/m", &version, &hash, &hash);
    ModVer::new("example.com/m".parse().unwrap(), version.parse().unwrap()).unwrap()
}

async fn lap(what: &str, sumdb: &Sumdb, modules: &[ModVer]) {
    let (began, before) = (Instant::now(), cpu_ms());
    for module in modules {
        sumdb.record(module).await.unwrap();
    }
    let each = |ms: f64| ms / f64::from(MODULES);
    let wall = each(began.elapsed().as_secs_f64() * 1e3);
    println!("{:7.3} ms CPU, {wall:7.3} ms a version: {what}", each(cpu_ms() - before));
}

/// CPU time of the process so far, in milliseconds; ticks are ten of them.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * 10.0
}
