//! How many small bodies a second become durable. Prints, asserts nothing about speed:
//! `LARDER_BENCH=/folder/on/the/disk taskset -c 1 cargo test --release -p store --test throughput -- --ignored --nocapture`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for people"
)]

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Version};
use store::{Config, Created, Key, Store};
use units::ByteSize;

const CLIENTS: usize = 32;
const MODULES: usize = 1_500;

/// Publishes info, mod and zip of one version after the other, and its facts.
async fn publish(store: &Store, number: usize, with_facts: bool) {
    let path = ModulePath::parse(&format!("example.com/owner{}/m{number}", number / 7)).unwrap();
    let module = ModVer::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
    for (key, len) in
        [(Key::Info(&module), 200), (Key::Mod(&module), 800), (Key::Zip(&module), 20_000)]
    {
        let mut body = store.stage().await.unwrap();
        body.write(Bytes::from(vec![b'x'; len])).await.unwrap();
        let created = store.create(&key, body).await.unwrap();
        assert!(matches!(created, Created::New(_)));
    }
    if with_facts {
        let facts = Bytes::from(vec![b'{'; 600]);
        store.replace(&Key::Facts(&module), facts, None).await.unwrap();
    }
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // After the name in brackets, the 12th and 13th: utime and stime. Source: proc(5).
    let ticks: u32 =
        fields.iter().skip(11).take(2).map(|field| field.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / 100.0
}

async fn round(fsync: bool, with_facts: bool) {
    let above = std::env::var_os("LARDER_BENCH").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(above).unwrap();
    let config = Config { min_free: ByteSize(0), fsync };
    let store = Store::disk(folder.path(), &config).unwrap();
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_client| {
            let (store, next) = (store.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= MODULES {
                        break;
                    }
                    publish(&store, number, with_facts).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let files = MODULES * if with_facts { 4 } else { 3 };
    let took = start.elapsed().as_secs_f64();
    println!(
        "fsync {fsync}, facts {with_facts}: {:.0} files/s, {:.0} CPU µs a file",
        f64::from(u32::try_from(files).unwrap()) / took,
        (cpu_seconds() - cpu) * 1e6 / f64::from(u32::try_from(files).unwrap()),
    );
    let mut registry = prometheus_client::registry::Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in text.lines().filter(|line| line.starts_with("store_sync")) {
        println!("    {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a measurement"]
async fn small_publications_a_second() {
    for _round in 0..3 {
        for (fsync, with_facts) in [(true, false), (true, true), (false, false)] {
            round(fsync, with_facts).await;
        }
    }
}
