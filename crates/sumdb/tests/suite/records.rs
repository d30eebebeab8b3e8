//! Records: proven once, kept, and held against content.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use modzip::{Checker, Opinion};
use policy::Verification;
use store::Key;
use sumdb::{Asking, Error};
use testkit::{Behaviour, ModuleVersion, h1_of_mod, h1_of_zip};
use tlog::Tile;

use crate::world::{World, confirm, content, figure, go_mod, lookup, name, unrecorded};

#[tokio::test]
async fn a_record_confirms_the_zip_and_the_go_mod_alone() {
    let world = World::with(700).await;
    let version = ModuleVersion::new("example.com/Up", "v1.0.0");
    let zip = version.zip_bytes().unwrap();
    let (zip_h1, mod_h1) = (h1_of_zip(&zip).unwrap(), h1_of_mod(&version.mod_bytes()));
    let id = world.fake.size();
    world.fake.add("example.com/Up", "v1.0.0", &zip_h1, &mod_h1);
    world.fake.fill(70);
    let sumdb = world.open().await;
    let module = gomod::ModVer::new("example.com/Up".parse().unwrap(), "v1.0.0".parse().unwrap());
    let module = module.unwrap();

    let record = sumdb.record(&module).await.unwrap();
    assert_eq!(record.expected(), Some((zip_h1.as_str(), mod_h1.as_str())));
    assert!(!record.is_open());
    let mut checker = Checker::new(&module);
    checker.feed(&zip).unwrap();
    let Opinion::Final(whole) = checker.finish().unwrap() else { panic!("a plain zip") };
    let verified = record.clone().confirm(&whole).unwrap();
    assert!(verified.covers(&whole));
    let (tree_size, at) = (771, world.clock.now());
    let by = Verification::Database { name: name().to_string(), record: id, tree_size, at };
    assert_eq!(verified.by(), &by);

    let go_mod = modzip::Checked::go_mod(&module, &version.mod_bytes()).unwrap();
    let verified = record.confirm(&go_mod).unwrap();
    assert!(verified.covers(&go_mod) && !verified.covers(&whole));
    assert_eq!(figure(&sumdb, "sumdb_confirmations_total{outcome=\"confirmed\"}"), 2);
}

#[tokio::test]
async fn other_content_is_a_mismatch_that_says_both_hashes() {
    let world = World::with(10).await;
    let module = world.module(1);
    let sumdb = world.open().await;
    let other = modzip::Checked::go_mod(&module, b"module evil\n").unwrap();
    let mismatch = sumdb.record(&module).await.unwrap().confirm(&other).unwrap_err();
    let (expected, found) = (h1_of_mod(go_mod(&module).as_bytes()), h1_of_mod(b"module evil\n"));
    assert_eq!((&mismatch.expected, &mismatch.found), (&expected, &found));
    assert_eq!(
        mismatch.to_string(),
        format!(
            "checksum mismatch: sum.example/x records {expected} for {module}, the content is {found}"
        )
    );
    assert_eq!(figure(&sumdb, "sumdb_confirmations_total{outcome=\"mismatch\"}"), 1);
}

#[tokio::test]
async fn content_of_another_module_is_never_confirmed() {
    let world = World::with(10).await;
    let (module, other) = (world.module(1), world.module(2));
    let sumdb = world.open().await;
    for record in [sumdb.record(&module).await.unwrap(), sumdb.exempt(&module)] {
        let mismatch = record.confirm(&content(&other)).unwrap_err();
        assert_eq!((mismatch.expected, mismatch.found), (module.to_string(), other.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_who_ask_at_once_are_one_look_up() {
    let world = World::with(1000).await;
    let module = world.module(1);
    world.fake.fill(1000);
    world.fake.behave("/lookup/*", Behaviour::new().delay(Duration::from_millis(100)));
    let sumdb = world.open().await;
    let each = (0..50).map(|n| {
        let (sumdb, module) = (sumdb.clone(), module.clone());
        tokio::spawn(async move {
            match n % 3 {
                0 => sumdb.record(&module).await.map(drop),
                1 => sumdb.record_now(&module).await.map(drop),
                _ => lookup(&sumdb, &module, Asking::Anyone).await.map(drop),
            }
        })
    });
    for answer in join_all(each).await {
        answer.unwrap().unwrap();
    }
    assert_eq!(world.fake.calls("/lookup/*"), 1);
    assert_eq!(world.fake.calls("/latest"), 1);
    assert_eq!(figure(&sumdb, "sumdb_lookups_total{outcome=\"found\"}"), 1);
    confirm(&sumdb, &module).await.unwrap();
    assert_eq!(world.fake.calls("/lookup/*"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tiles_are_fetched_once_and_never_again_after_a_restart() {
    let mut world = World::with(30_000).await;
    let folder = tempfile::tempdir().unwrap();
    let config = store::Config { fsync: false, ..store::Config::default() };
    world.store = store::Store::disk(folder.path(), &config).unwrap();
    let modules: Vec<_> = (0..300)
        .map(|number| {
            world.fake.fill(100);
            world.module(number)
        })
        .collect();
    let sumdb = world.open().await;
    let each = modules.iter().map(|module| {
        let (sumdb, module) = (sumdb.clone(), module.clone());
        tokio::spawn(async move { confirm(&sumdb, &module).await })
    });
    for answer in join_all(each).await {
        answer.unwrap().unwrap();
    }
    let asked = world.fake.calls("*");
    assert_eq!(world.fake.calls("/lookup/*"), 300);
    assert_eq!(world.fake.calls("/latest"), 1);
    let mut tiles: Vec<_> = world.fake.requests().into_iter().map(|seen| seen.path).collect();
    tiles.retain(|path| path.starts_with("/tile/"));
    let fetched = tiles.len();
    tiles.sort();
    tiles.dedup();
    assert_eq!(fetched, tiles.len(), "each tile once");
    // 60,300 records: 236 tiles of leaves at the most, one above them.
    assert!(fetched <= 237, "{fetched}");

    let sumdb = world.open().await;
    for module in &modules {
        confirm(&sumdb, module).await.unwrap();
    }
    assert_eq!(world.fake.calls("*"), asked, "nobody was asked");
}

#[tokio::test]
async fn a_version_that_is_recorded_meanwhile_was_worth_waiting_for() {
    let mut world = World::with(500).await;
    world.config.missing_wait = Duration::from_millis(400);
    let module = world.module(1);
    world.fake.behave("/lookup/*", Behaviour::new().status(404).times(3));
    let sumdb = world.open().await;
    confirm(&sumdb, &module).await.unwrap();
    assert_eq!(world.fake.calls("/lookup/*"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_stays_unrecorded_is_refused_with_a_hint() {
    let mut world = World::with(500).await;
    world.config.missing_wait = Duration::from_millis(300);
    let (sumdb, module) = (world.open().await, unrecorded(1));
    let each = (0..20).map(|_| {
        let (sumdb, module) = (sumdb.clone(), module.clone());
        tokio::spawn(async move { sumdb.record(&module).await.map(drop) })
    });
    for answer in join_all(each).await {
        let error = answer.unwrap().unwrap_err();
        assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
        assert!(error.to_string().contains("if this module is private, add it to private"));
    }
    let asked = world.fake.calls("/lookup/*");
    assert!((4..=8).contains(&asked), "{asked}: by all twenty together, with growing pauses");
    // Nothing of it is remembered: the next who asks may be lucky.
    world.record(&module);
    confirm(&sumdb, &module).await.unwrap();
}

/// Versions that may be waited for at once.
const PLACES: usize = 64;

#[tokio::test]
async fn so_many_versions_are_waited_for_and_no_more() {
    let mut world = World::with(10).await;
    world.config.missing_wait = Duration::from_hours(1);
    let sumdb = world.open().await;
    let modules: Vec<_> = (0..PLACES).map(unrecorded).collect();
    let waiting = join_all(modules.iter().map(|module| sumdb.record(module)));
    let (other, known) = (unrecorded(PLACES), world.module(PLACES + 1));
    let others = async {
        // Told at once as soon as all the others wait.
        for _ in 0..100 {
            let asked = sumdb.record(&other);
            match tokio::time::timeout(Duration::from_millis(200), asked).await {
                Ok(Err(Error::NotRecorded { .. })) => break,
                Ok(other) => panic!("{other:?}"),
                Err(_waits) => {}
            }
        }
        assert!(world.fake.calls("/lookup/*") >= PLACES as u64);
        confirm(&sumdb, &known).await.unwrap();
    };
    tokio::select! {
        ended = waiting => panic!("{ended:?}"),
        () = others => {}
    }
    // Who gives up waiting leaves a place.
    let asked = tokio::time::timeout(Duration::from_secs(1), sumdb.record(&other));
    assert!(asked.await.is_err(), "it is waited for");
}

#[tokio::test]
async fn who_does_not_wait_is_told_at_once() {
    let mut world = World::with(500).await;
    world.config.missing_wait = Duration::from_hours(1);
    let sumdb = world.open().await;
    for _ in 0..2 {
        let error = sumdb.record_now(&unrecorded(1)).await.unwrap_err();
        assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    }
    assert_eq!(world.fake.calls("/lookup/*"), 2);
}

#[tokio::test]
async fn what_is_damaged_in_the_store_is_fetched_again() {
    let world = World::with(900).await;
    let module = world.module(1);
    world.fake.fill(3000);
    confirm(&world.open().await, &module).await.unwrap();
    let (name, tile) = (name(), Tile::parse("tile/8/0/003").unwrap());
    let (record, tile) = (Key::Record(&name, &module), Key::Tile(&name, tile));
    let other = crate::world::ZIP.replace("47", "48");
    let forged = format!("900\n{module} {other}\n{module}/go.mod {other}\n").replace('@', " ");
    for (key, damage, asked) in [
        (tile, Bytes::from(vec![7; 8192]), true),
        (tile, Bytes::new(), true),
        (tile, Bytes::from(vec![7; 100_000]), true),
        (record, Bytes::from_static(b"7\n"), true),
        (record, Bytes::new(), true),
        (record, Bytes::from(forged), true),
    ] {
        let whole = world.store.open(&key, None).await.unwrap().unwrap();
        let before = whole.bytes(1 << 20).await.unwrap();
        world.store.replace(&key, damage.clone(), Some(&whole.tag)).await.unwrap();
        world.fake.upstream().reset_counts();
        let sumdb = world.open().await;
        assert!(sumdb.proven(&name, &module).await.unwrap().is_none());
        confirm(&sumdb, &module).await.unwrap();
        assert_eq!(world.fake.calls("*") > 0, asked);
        let again = world.store.open(&key, None).await.unwrap().unwrap();
        assert_eq!(again.bytes(1 << 20).await.unwrap(), before);
        assert!(sumdb.proven(&name, &module).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_record_whose_name_fits_no_file_system_is_confirmed_all_the_same() {
    let mut world = World::with(10).await;
    let folder = tempfile::tempdir().unwrap();
    world.store = store::Store::disk(folder.path(), &store::Config::default()).unwrap();
    let version = format!("v1.0.0-{}", "a".repeat(245));
    let path = "example.com/long".parse().unwrap();
    let module = gomod::ModVer::new(path, version.parse().unwrap()).unwrap();
    world.record(&module);
    confirm(&world.open().await, &module).await.unwrap();
    assert!(world.open().await.proven(&name(), &module).await.unwrap().is_none());
    confirm(&world.open().await, &module).await.unwrap();
    assert_eq!(world.fake.calls("/lookup/*"), 2);
}

#[tokio::test]
async fn what_was_proven_comes_as_a_bundle_that_verifies_offline() {
    let world = World::with(900).await;
    let module = world.module(1);
    world.fake.fill(3000);
    let sumdb = world.open().await;
    assert!(sumdb.proven(&name(), &module).await.unwrap().is_none());
    confirm(&sumdb, &module).await.unwrap();
    world.fake.behave("*", Behaviour::new().status(500));
    let (proven, bundle) = world.open().await.proven(&name(), &module).await.unwrap().unwrap();
    assert_eq!((proven.id(), proven.head().size), (900, 3901));
    assert_eq!(proven.record().module(), &module);
    let again = tlog::Bundle::parse(bundle.to_string().as_bytes()).unwrap();
    assert_eq!(again.verify(world.fake.key()).unwrap(), proven);
    let other = tlog::LogName::parse("other.example").unwrap();
    assert!(matches!(sumdb.proven(&other, &module).await, Err(Error::Malformed { .. })));
}
