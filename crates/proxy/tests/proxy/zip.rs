//! Cold zips: joined, followed, judged.

use std::time::Duration;

use futures_util::StreamExt as _;
use proxy::{Body, Error, Fetching, Outcome};
use testkit::{Behaviour, ModuleVersion, Modules};

use crate::world::{Choices, M, World, part, read};

const ZIP: &str = "/example.com/big/@v/v1.0.0.zip";

/// About 3 MB that do not compress.
fn big() -> ModuleVersion {
    ModuleVersion::new("example.com/big", "v1.0.0").noise("noise.bin", 3 << 20, 7)
}

async fn world() -> World {
    let mut modules = Modules::new();
    modules.add(&big());
    World::with(modules, Choices::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fetch_serves_any_number_of_waiters() {
    let world = world().await;
    world.upstream.behave("*.zip", Behaviour::new().throttle(20 << 20));
    let whole = big().zip_bytes().unwrap();
    let reads = (0..200).map(|_| async { read(world.ask(ZIP).await.unwrap().body).await.unwrap() });
    for bytes in futures_util::future::join_all(reads).await {
        assert!(bytes == whole, "a waiter got other bytes");
    }
    assert_eq!(world.upstream.calls("*.zip"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_flow_before_the_last_has_come_but_the_end_waits_for_the_verdict() {
    let world = world().await;
    let whole = big().zip_bytes().unwrap();
    // All but the last bytes arrive at once; the rest takes its time.
    let slow = Behaviour::new().throttle(4 << 20);
    world.upstream.behave("*.zip", slow);
    let answer = world.ask(ZIP).await.unwrap();
    let Body::Live { mut parts, len } = answer.body else { panic!("not streamed") };
    assert_eq!(len, whole.len() as u64);
    let mut got = Vec::new();
    got.extend_from_slice(&part(parts.next().await.unwrap().unwrap()));
    assert!(world.upstream.bytes_sent("*.zip") < len, "the first part came after the last byte");
    while let Some(next) = parts.next().await {
        got.extend_from_slice(&part(next.unwrap()));
    }
    assert!(got == whole);
}

/// A zip of 3 MB whose last entry breaks a rule.
fn bad_at_the_end() -> Modules {
    let mut modules = Modules::new();
    let bad = big().file("zz/go.mod", "module example.com/nested\n");
    modules.add(&bad);
    modules
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_zip_is_cut_short_never_whole_and_its_verdict_is_remembered() {
    let world = World::with(bad_at_the_end(), Choices::default()).await;
    world.upstream.behave("*.zip", Behaviour::new().throttle(20 << 20));
    let answer = world.ask(ZIP).await.unwrap();
    let Body::Live { mut parts, len } = answer.body else { panic!("not streamed") };
    let mut got = 0;
    let cut = loop {
        match parts.next().await.expect("a bad zip came to its end") {
            Ok(next) => got += next.len(),
            Err(error) => break error,
        }
    };
    assert!(got + (64 << 10) <= len, "{got} of {len} bytes went out");
    assert!(cut.to_string().contains("go.mod"), "{cut}");
    let again = world.ask(ZIP).await.unwrap_err();
    assert!(again.to_string().contains("go.mod"), "{again}");
    assert_eq!(world.upstream.calls("*.zip"), 1);
    let cached = world.ask_as(ZIP, Fetching::CachedOnly).await.unwrap_err();
    assert!(matches!(cached, Error::NotHere { .. }), "{cached:?}");
    world.pass(Duration::from_secs(601));
    assert!(world.ask(ZIP).await.is_ok_and(|answer| matches!(answer.body, Body::Live { .. })));
    assert_eq!(world.upstream.calls("*.zip"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_bad_zip_is_refused_with_a_reason_and_no_byte() {
    let mut modules = Modules::new();
    let version = ModuleVersion::new("example.com/m", "v1.0.0");
    modules.add(&version.file("bad/GO.MOD", "module example.com/nested\n"));
    let world = World::with(modules, Choices::default()).await;
    let error = world.ask(&format!("{M}v1.0.0.zip")).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("go.mod"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_upstream_is_an_outage_and_the_next_fetch_is_right() {
    let world = world().await;
    world.upstream.behave("*.zip", Behaviour::new().cut_after(100_000));
    match world.ask(ZIP).await {
        Ok(answer) => assert!(read(answer.body).await.is_err()),
        Err(error) => assert!(matches!(error, Error::Upstream(_)), "{error:?}"),
    }
    world.upstream.behave_well();
    world.pass(Duration::from_mins(1));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let bytes = read(world.ask(ZIP).await.unwrap().body).await.unwrap();
    assert!(bytes == big().zip_bytes().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_with_another_go_mod_is_an_incident_with_evidence_and_changes_nothing_stored() {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/m", "v1.0.0"));
    modules.raw("/example.com/m/@v/v1.0.0.mod", "module example.com/m\n\ngo 1.99\n");
    let folder = tempfile::tempdir().unwrap();
    let config = store::Config { min_free: units::ByteSize(0), fsync: false };
    let store = store::Store::disk(folder.path(), &config).unwrap();
    let world = World::with(modules, Choices { store, ..Choices::default() }).await;
    world.get(&format!("{M}v1.0.0.mod")).await;
    world.settle().await;
    world.get(&format!("{M}v1.0.0.zip")).await;
    world.settle().await;
    let evidence: Vec<_> = std::fs::read_dir(folder.path().join("evidence")).unwrap().collect();
    assert_eq!(evidence.len(), 1);
    let stored = world.text(&format!("{M}v1.0.0.mod")).await;
    assert!(stored.contains("go 1.99"), "the stored bytes stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_zip_is_a_hit_with_validators_once_it_has_landed() {
    let world = world().await;
    read(world.ask(ZIP).await.unwrap().body).await.unwrap();
    let answer = world.ask(ZIP).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Hit);
    assert!(answer.validators.is_some());
    assert!(read(answer.body).await.unwrap() == big().zip_bytes().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_was_copied_in_is_judged_before_it_is_served_however_small() {
    let world = world().await;
    let module = ModuleVersion::new("example.com/other", "v1.0.0");
    for (path, good) in [("example.com/other", true), ("example.com/m", false)] {
        let path = gomod::ModulePath::parse(path).unwrap();
        let version = gomod::Version::parse("v1.0.0").unwrap();
        let named = gomod::ModVer::new(path, version).unwrap();
        let mut staged = world.store.stage().await.unwrap();
        staged.write(module.zip_bytes().unwrap()).await.unwrap();
        world.store.create(&store::Key::Zip(&named), staged).await.unwrap();
        let answer = world.ask(&format!("/{}/@v/v1.0.0.zip", named.path())).await;
        assert_eq!(answer.is_ok(), good, "{named}");
    }
}
