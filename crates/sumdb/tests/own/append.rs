//! Recording and answering.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use gomod::ModVer;
use sumdb::{Binding, Kind, OwnError, OwnLog, Step};
use tlog::{Bundle, Lookup, Record, SignedCheckpoint, SignedHead, Tile, TileLevel};

use crate::site::{NAME, Running, Site, append, assert_extends, audit, grow, h1, memory, module};

async fn running() -> Running {
    Running::start(OwnLog::create(&memory().await).await.unwrap())
}

fn versioned(path: &str) -> ModVer {
    ModVer::new(path.parse().unwrap(), "v1.0.0".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_record_is_answered_under_a_head_that_covers_it() {
    let running = running().await;
    let log = &running.log;
    assert_eq!(log.lookup(&module(0)).await.unwrap(), None);
    let logged = append(log, 0).await.unwrap();
    assert_eq!((logged.id, logged.kind), (0, Kind::Private));
    // Source of the head: reference sumdb.md §7.
    let golden = "go.sum database tree\n1\nWR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=\n\n\u{2014} sumdb.golden.example oSmN4DyE4ZJOi47vD3p4R6txHistcsZdyLUtIxj0yxvJfohA1fVSuOqhBT9CWUHOCuI0qifb7VWNfRsT0soMesxUPgA=\n";
    assert_eq!(log.head().message(), golden);
    let body = log.lookup(&module(0)).await.unwrap().unwrap();
    let lookup = Lookup::parse(&module(0), &body).unwrap();
    assert_eq!((lookup.id, &lookup.record), (0, &logged.record));
    assert!(SignedHead::open(log.verifier(), lookup.message.as_bytes()).unwrap().size() > 0);
    let checkpoint = SignedCheckpoint::open(log.verifier(), &log.checkpoint()).unwrap();
    assert_eq!(checkpoint.head(), log.head().head());
    assert_eq!(log.record(&module(0)).await.unwrap(), Some(logged));
    running.stop().await;
}

#[tokio::test]
async fn the_first_record_of_a_version_counts_for_ever() {
    let running = running().await;
    let log = &running.log;
    let first = append(log, 7).await.unwrap();
    assert_eq!(append(log, 7).await.unwrap(), first);
    let other = log.append(&module(7), &h1("zip", 8), &h1("mod", 7), Kind::Private).await;
    let Err(OwnError::Conflict { first: told }) = other else { panic!("{other:?}") };
    assert_eq!(*told, first);
    // Many at once, within one batch too.
    let same = join_all((0..50).map(|_| append(log, 9))).await;
    assert!(same.into_iter().all(|logged| logged.unwrap().id == 1));
    assert_eq!(log.head().size(), 2);
    let bad = log.append(&module(8), "h1:x", &h1("mod", 8), Kind::Private).await;
    assert!(matches!(bad, Err(OwnError::Malformed { .. })), "{bad:?}");
    running.stop().await;
}

#[tokio::test]
async fn texts_of_the_public_log_stay_as_they_are() {
    let running = running().await;
    let module = versioned("example.com/public");
    let text = format!(
        "example.com/public v1.0.0 {}\nexample.com/public v1.0.0 h2:x\nexample.com/public v1.0.0/go.mod {}\n",
        h1("zip", 1),
        h1("mod", 1)
    );
    let record = Record::parse(&module, &text).unwrap();
    let logged = running.log.append_record(record, Kind::Public).await.unwrap();
    assert_eq!(logged.record.text(), text);
    assert_eq!(audit(&running.log).await, [text]);
    running.stop().await;
}

#[tokio::test]
async fn a_path_is_private_or_public_for_ever() {
    let running = running().await;
    let log = &running.log;
    let path = module(0);
    assert_eq!(log.binding(path.path()).await.unwrap(), None);
    append(log, 0).await.unwrap();
    assert_eq!(log.binding(path.path()).await.unwrap(), Some(Binding::Private));
    for (number, kind) in [(0, Kind::Public), (1, Kind::Public), (2, Kind::Toolchain)] {
        let refused =
            log.append(&module(number), &h1("zip", number), &h1("mod", number), kind).await;
        let Err(OwnError::Bound { binding: Binding::Private, .. }) = refused else {
            panic!("{refused:?}")
        };
    }
    assert_eq!(log.head().size(), 1);
    let bound = log.bound(Binding::Private, None).await.unwrap();
    assert_eq!(bound, [path.path().clone()]);
    assert_eq!(log.bound(Binding::Private, bound.last()).await.unwrap(), []);
    assert_eq!(log.bound(Binding::Public, None).await.unwrap(), []);
    running.stop().await;
}

#[tokio::test]
async fn a_log_that_another_process_took_over_says_so() {
    let site = Site::new();
    let running = site.create().await;
    append(&running.log, 0).await.unwrap();
    // As the other process does: it ends the epoch.
    let state = db::State::open(&site.folder.path().join("db/state.sqlite")).await.unwrap();
    state.log(NAME).await.unwrap().unwrap().lead().await.unwrap();
    assert!(!running.log.has_ended());
    assert!(append(&running.log, 1).await.is_err());
    let ended = async {
        while !running.log.has_ended() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    // What is recorded is recorded.
    append(&running.log, 0).await.unwrap();
    state.close().await;
}

/// Appends of many callers, in batches; one who follows the heads never sees a fork.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_head_extends_the_one_before() {
    let site = Site::new();
    let running = site.create().await;
    let heads = Arc::new(Mutex::new(Vec::new()));
    let (log, seen) = (running.log.clone(), Arc::clone(&heads));
    running.log.observe(move |step| {
        if step == Step::Answer {
            seen.lock().unwrap().push(log.head().head().clone());
        }
    });
    let callers = (0..8).map(|caller| {
        let log = running.log.clone();
        async move {
            for number in 0..90 {
                append(&log, caller * 1000 + number).await.unwrap();
            }
        }
    });
    join_all(callers).await;
    assert_eq!(audit(&running.log).await.len(), 720);
    let heads = heads.lock().unwrap().clone();
    assert!(heads.len() < 700, "{} heads: batches are not batches", heads.len());
    for head in &heads {
        assert_extends(&running.log, head).await;
    }
    for pair in heads.windows(2) {
        assert!(pair[0].size <= pair[1].size);
    }
    running.stop().await;
}

#[tokio::test]
async fn tiles_of_older_trees_stay_readable() {
    let site = Site::new();
    let running = site.create().await;
    let log = &running.log;
    let mut kept = Vec::new();
    for size in [3, 200, 256, 300, 511, 700] {
        grow(log, size).await;
        for tile in tlog::new_tiles(0, size) {
            kept.push((tile, log.tile(tile).await.unwrap().unwrap()));
            let data = Tile { level: TileLevel::Data, ..tile };
            if tile.level == TileLevel::Hashes(0) {
                let body = log.tile(data).await.unwrap().unwrap();
                let packed = log.entries(tile.index, tile.width).await.unwrap().unwrap();
                let entries = tlog::split_entries(&packed, tile.width).unwrap();
                let records = tlog::split_data_tile(&body, tile.width).unwrap();
                assert!(entries.iter().zip(&records).all(|(a, b)| *a == b.as_bytes()));
                kept.push((data, body));
            }
        }
    }
    let level = TileLevel::Hashes(0);
    for missing in [
        Tile { level, index: 2, width: 189 },
        Tile { level, index: 3, width: 1 },
        Tile { level: TileLevel::Hashes(1), index: 0, width: 3 },
        Tile { level: TileLevel::Data, index: 2, width: 256 },
    ] {
        assert_eq!(log.tile(missing).await.unwrap(), None, "{missing}");
    }
    running.stop().await;
    let log = site.open().await;
    for (tile, body) in kept {
        assert_eq!(log.tile(tile).await.unwrap().unwrap(), body, "{tile}");
    }
}

#[tokio::test]
async fn a_proof_needs_nobody() {
    let running = running().await;
    grow(&running.log, 300).await;
    for number in [0, 255, 256, 299] {
        let (proven, bundle) = running.log.prove(&module(number)).await.unwrap().unwrap();
        let text = bundle.to_string();
        let again = Bundle::parse(text.as_bytes()).unwrap();
        assert_eq!(again.verify(running.log.verifier()).unwrap(), proven);
        assert_eq!(proven.id(), number);
    }
    assert!(running.log.prove(&module(300)).await.unwrap().is_none());
    running.stop().await;
}

#[tokio::test]
async fn nobody_is_left_waiting_when_the_sequencer_ends() {
    let parts = memory().await;
    let running = Running::start(OwnLog::create(&parts).await.unwrap());
    let log = running.log.clone();
    append(&log, 0).await.unwrap();
    running.stop().await;
    let refused = append(&log, 1).await;
    assert!(matches!(refused, Err(OwnError::Unavailable { .. })), "{refused:?}");
    assert_eq!(append(&log, 0).await.unwrap().id, 0, "what is recorded needs no sequencer");
    // A log that was never run waits for it.
    let running = Running::start(OwnLog::open(parts).await.unwrap());
    append(&running.log, 1).await.unwrap();
    running.stop().await;
}

/// Reading goes on while a commit is being made durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn questions_do_not_wait_for_the_sequencer() {
    let site = Site::new();
    let running = site.create().await;
    append(&running.log, 0).await.unwrap();
    let wait = Arc::new(tokio::sync::Notify::new());
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let (gate, arrived) = (Mutex::new(gate), Arc::clone(&wait));
    running.log.observe(move |step| {
        if step == Step::Head {
            arrived.notify_one();
            // Until the other end is dropped.
            assert!(gate.lock().unwrap().recv().is_err());
        }
    });
    let log = running.log.clone();
    let appended = tokio::spawn(async move { append(&log, 1).await });
    wait.notified().await;
    assert_eq!(running.log.record(&module(0)).await.unwrap().unwrap().id, 0);
    assert_eq!(running.log.record(&module(1)).await.unwrap(), None, "no head covers it yet");
    assert_eq!(running.log.head().size(), 1);
    assert!(running.log.prove(&module(0)).await.unwrap().is_some());
    drop(go_on);
    assert_eq!(appended.await.unwrap().unwrap().id, 1);
    running.stop().await;
}

#[tokio::test]
async fn figures_are_counted() {
    let running = running().await;
    append(&running.log, 0).await.unwrap();
    append(&running.log, 0).await.unwrap();
    let mut registry = prometheus_client::registry::Registry::default();
    running.log.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "log_records_total{outcome=\"new\"} 1",
        "log_records_total{outcome=\"same\"} 1",
        "log_records_total{outcome=\"conflict\"} 0",
        "log_heads_total 1",
        "log_frozen 0",
        "log_tree_size 1.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    running.stop().await;
}
