//! Nothing is published that the checksum database does not confirm.

use std::path::Path;
use std::time::Duration;

use gomod::{ModVer, ModulePath, Version};
use policy::Verification;
use proxy::{Checks, Config, Error, Fetching, Outcome, Reindex, SumdbError, UpstreamError};
use store::{Key, Store};
use sumdb::Mode;
use testkit::{Behaviour, FakeSumdb, Lie, ModuleVersion, Modules};
use tokio_util::sync::CancellationToken;

use crate::world::{Choices, M, World, read, some_modules};

pub(crate) const NAME: &str = "sum.example";

/// A database that records what the upstream has, and nothing else.
pub(crate) fn recorded(modules: &Modules) -> FakeSumdb {
    let sumdb = FakeSumdb::start(NAME).unwrap();
    sumdb.fill(300);
    sumdb.add_modules(modules);
    sumdb
}

pub(crate) fn database(sumdb: &FakeSumdb) -> sumdb::Database {
    let (name, key) = (sumdb.name().clone(), sumdb.key().clone());
    sumdb::Database { name, key, urls: sumdb.urls() }
}

pub(crate) fn asking(sumdb: &FakeSumdb, mode: Mode) -> Choices {
    let config = sumdb::Config { mode, missing_wait: Duration::ZERO };
    Choices { databases: vec![database(sumdb)], sumdb: config, ..Choices::default() }
}

pub(crate) async fn verifying(sumdb: &FakeSumdb) -> World {
    World::with(some_modules(), asking(sumdb, Mode::Require)).await
}

pub(crate) fn m(version: &str) -> ModVer {
    let path = ModulePath::parse("example.com/m").unwrap();
    ModVer::new(path, Version::parse(version).unwrap()).unwrap()
}

async fn facts(store: &Store, version: &str) -> policy::Facts {
    let module = m(version);
    let Some(object) = store.open(&Key::Facts(&module), None).await.unwrap() else {
        return policy::Facts::default();
    };
    policy::Facts::from_json(&object.bytes(1 << 16).await.unwrap()).unwrap()
}

/// Who confirmed the `.mod` and the zip.
pub(crate) async fn confirmed_by(world: &World, version: &str) -> [Option<Verification>; 2] {
    let facts = facts(&world.store, version).await;
    [facts.go_mod, facts.zip].map(|file| file.and_then(|file| file.verified))
}

pub(crate) async fn is_stored(world: &World, key: &Key<'_>) -> bool {
    world.store.open(key, None).await.unwrap().is_some()
}

fn bad_answer(error: &Error) -> &str {
    match error {
        Error::Upstream(error) => match &**error {
            UpstreamError::Invalid { reason, .. } => reason,
            other => panic!("not a bad answer: {other:?}"),
        },
        other => panic!("not a bad answer: {other:?}"),
    }
}

pub(crate) fn of_database(error: &Error) -> &SumdbError {
    match error {
        Error::Sumdb(error) => error,
        other => panic!("not of the database: {other:?}"),
    }
}

/// Passes over the store until `done` or half a minute.
pub(crate) async fn pass_until(world: &World, done: impl AsyncFn() -> bool) {
    let stop = CancellationToken::new();
    let look = async {
        for _ in 0..600 {
            if done().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.cancel();
    };
    tokio::join!(world.proxy.run(stop.clone()), look);
    assert!(done().await, "the pass did not come to an end");
}

pub(crate) fn at_once() -> Config {
    Config { confirm_after: Duration::from_millis(20), ..Config::default() }
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

pub(crate) fn on_disk(folder: &tempfile::TempDir) -> Store {
    let config = store::Config { min_free: units::ByteSize(0), ..store::Config::default() };
    Store::disk(folder.path(), &config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_say_which_record_of_which_tree_confirmed_a_file() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    world.settle().await;
    for by in confirmed_by(&world, "v1.0.0").await {
        let Some(Verification::Database { name, record, tree_size, .. }) = by else {
            panic!("not confirmed: {by:?}")
        };
        assert_eq!((name.as_str(), tree_size), (NAME, sumdb.size()));
        assert!((300..tree_size).contains(&record));
    }
    assert_eq!(sumdb.calls("/lookup/*"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_the_database_contradicts_is_refused_and_kept_as_evidence() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let choices = Choices { store: on_disk(&folder), ..asking(&sumdb, Mode::Require) };
    let world = World::with(some_modules(), choices).await;
    world.upstream.change(|modules| {
        modules.add(&ModuleVersion::new("example.com/m", "v1.0.0").file("evil.go", "package m"));
    });
    let zip = format!("{M}v1.0.0.zip");
    for _ in 0..2 {
        let error = world.ask(&zip).await.unwrap_err();
        assert!(bad_answer(&error).contains(NAME), "{error}");
    }
    assert_eq!(world.upstream.calls("*.zip"), 1, "the verdict is remembered");
    assert!(!is_stored(&world, &Key::Zip(&m("v1.0.0"))).await);
    assert_eq!(files(&folder.path().join("evidence")), 1);
    // The go.mod is the recorded one, and other versions are what they were.
    world.get(&format!("{M}v1.0.0.mod")).await;
    world.get(&format!("{M}v1.2.0.zip")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_the_end_of_a_contradicted_zip_is_ever_seen() {
    let noise = |seed| ModuleVersion::new("example.com/m", "v1.0.0").noise("a.bin", 3 << 20, seed);
    let (mut honest, mut lying) = (Modules::new(), Modules::new());
    honest.add(&noise(1));
    lying.add(&noise(2));
    let sumdb = recorded(&honest);
    let world = World::with(lying, asking(&sumdb, Mode::Require)).await;
    let zip = format!("{M}v1.0.0.zip");
    let answer = world.ask(&zip).await.unwrap();
    let error = read(answer.body).await.unwrap_err();
    assert!(bad_answer(&error).contains(NAME), "{error}");
    assert!(bad_answer(&world.ask(&zip).await.unwrap_err()).contains(NAME));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_mod_that_the_database_contradicts_is_refused() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    world.upstream.change(|modules| {
        let text = "module example.com/m\n\nrequire example.com/evil v1.0.0\n";
        modules.add(&ModuleVersion::new("example.com/m", "v1.0.0").go_mod(text));
    });
    let error = world.ask(&format!("{M}v1.0.0.mod")).await.unwrap_err();
    assert!(bad_answer(&error).contains(NAME), "{error}");
    assert!(!is_stored(&world, &Key::Mod(&m("v1.0.0"))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_what_is_stored_is_served_and_nothing_new() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    world.get(&format!("{M}v1.0.0.zip")).await;
    sumdb.behave("*", Behaviour::new().status(500));
    world.get(&format!("{M}v1.0.0.zip")).await;
    let error = world.ask(&format!("{M}v1.2.0.zip")).await.unwrap_err();
    assert!(matches!(of_database(&error), SumdbError::Unavailable { .. }), "{error}");
    assert!(!is_stored(&world, &Key::Zip(&m("v1.2.0"))).await);
    sumdb.be_honest();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.pass(Duration::from_secs(2));
    world.get(&format!("{M}v1.2.0.zip")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trusted_on_first_use_is_confirmed_later() {
    let sumdb = recorded(&some_modules());
    sumdb.behave("*", Behaviour::new().status(500));
    let world = World::with(some_modules(), asking(&sumdb, Mode::TrustOnFirstUse)).await;
    for suffix in ["mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    world.settle().await;
    let first = Some(Verification::FirstUse);
    assert_eq!(confirmed_by(&world, "v1.0.0").await, [first.clone(), first]);
    sumdb.be_honest();
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::TrustOnFirstUse) };
    let world = world.restarted(choices).await;
    let confirmed = async || {
        let by = confirmed_by(&world, "v1.0.0").await;
        by.iter().all(|by| matches!(by, Some(Verification::Database { .. })))
    };
    pass_until(&world, confirmed).await;
    assert_eq!(world.upstream.calls("*.zip"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trusted_on_first_use_and_is_contradicted_is_set_aside() {
    let sumdb = recorded(&some_modules());
    sumdb.behave("*", Behaviour::new().status(500));
    let folder = tempfile::tempdir().unwrap();
    let choices = Choices { store: on_disk(&folder), ..asking(&sumdb, Mode::TrustOnFirstUse) };
    let world = World::with(some_modules(), choices).await;
    let evil = ModuleVersion::new("example.com/m", "v1.0.0").file("evil.go", "package m");
    world.upstream.change(|modules| modules.add(&evil));
    let zip = format!("{M}v1.0.0.zip");
    world.get(&zip).await;
    sumdb.be_honest();
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::TrustOnFirstUse) };
    let world = world.restarted(choices).await;
    // In memory, as for a client that asked a moment ago.
    world.get(&zip).await;
    // Its facts go last.
    pass_until(&world, async || facts(&world.store, "v1.0.0").await.zip.is_none()).await;
    assert!(!is_stored(&world, &Key::Zip(&m("v1.0.0"))).await);
    assert_eq!(files(&folder.path().join("evidence")), 1);
    assert!(bad_answer(&world.ask(&zip).await.unwrap_err()).contains(NAME));
    // The source mends its ways.
    world.upstream.change(|modules| modules.add(&ModuleVersion::new("example.com/m", "v1.0.0")));
    world.pass(Duration::from_mins(11));
    world.get(&zip).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_turned_on_over_a_store_stops_no_build_and_confirms_it() {
    let sumdb = recorded(&some_modules());
    let world = World::new().await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    sumdb.behave("*", Behaviour::new().status(500));
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::Require) };
    let world = world.restarted(choices).await;
    for suffix in ["info", "mod", "zip"] {
        assert_eq!(world.get(&format!("{M}v1.0.0.{suffix}")).await.0, Outcome::Hit);
    }
    assert_eq!(
        confirmed_by(&world, "v1.0.0").await,
        [Some(Verification::Off), Some(Verification::Off)]
    );
    sumdb.be_honest();
    let confirmed = async || {
        let by = confirmed_by(&world, "v1.0.0").await;
        by.iter().all(|by| matches!(by, Some(Verification::Database { .. })))
    };
    pass_until(&world, confirmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_recorded_is_refused_and_says_what_to_do() {
    let sumdb = recorded(&Modules::new());
    let world = verifying(&sumdb).await;
    let error = world.ask(&format!("{M}v1.0.0.mod")).await.unwrap_err();
    assert!(matches!(of_database(&error), SumdbError::NotRecorded { .. }), "{error}");
    assert!(error.to_string().contains("if this module is private, add it to private"));
    assert!(!is_stored(&world, &Key::Mod(&m("v1.0.0"))).await);
    // A fresh tag is recorded a moment later.
    sumdb.add_modules(&some_modules());
    world.pass(Duration::from_secs(2));
    world.get(&format!("{M}v1.0.0.mod")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_waits_for_no_record() {
    let sumdb = recorded(&Modules::new());
    let mut choices = asking(&sumdb, Mode::Require);
    choices.sumdb.missing_wait = Duration::from_mins(1);
    let world = World::with(some_modules(), choices).await;
    for suffix in ["mod", "zip"] {
        let path = format!("{M}v1.9.9.{suffix}");
        let asked = tokio::time::timeout(Duration::from_secs(20), world.ask(&path));
        assert!(matches!(asked.await.unwrap(), Err(Error::NotFound { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_404_also_when_the_database_says_so_first() {
    let sumdb = recorded(&Modules::new());
    let world = World::with(some_modules(), asking(&sumdb, Mode::Require)).await;
    world.upstream.behave("*v1.9.9*", Behaviour::new().delay(Duration::from_millis(300)));
    for suffix in ["mod", "zip"] {
        let error = world.ask(&format!("{M}v1.9.9.{suffix}")).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{suffix}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fork_what_is_stored_is_served_and_nothing_new_believed() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    world.get(&format!("{M}v1.0.0.zip")).await;
    sumdb.fork(200);
    sumdb.fill(600);
    world.pass(Duration::from_mins(10));
    let error = world.ask(&format!("{M}v1.2.0.zip")).await.unwrap_err();
    assert!(
        matches!(of_database(&error), SumdbError::Misbehaved { .. } | SumdbError::Frozen { .. }),
        "{error}"
    );
    assert!(world.proxy.degraded().iter().any(|(reason, _)| *reason == "sumdb_frozen"));
    world.pass(Duration::from_mins(20));
    let error = world.ask(&format!("{M}v1.10.0.zip")).await.unwrap_err();
    assert!(matches!(of_database(&error), SumdbError::Frozen { .. }), "{error}");
    world.get(&format!("{M}v1.0.0.zip")).await;
    world.get(&format!("/sumdb/{NAME}/lookup/example.com/m@v1.0.0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_of_the_database_is_no_verdict_on_the_module() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    sumdb.lie(Lie::OtherModule);
    let error = world.ask(&format!("{M}v1.0.0.zip")).await.unwrap_err();
    assert!(matches!(error, Error::Sumdb(_)), "{error}");
    sumdb.be_honest();
    world.pass(Duration::from_secs(2));
    world.get(&format!("{M}v1.0.0.zip")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_tiles_and_heads_are_served_without_the_database() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    world.get(&format!("{M}v1.0.0.zip")).await;
    world.settle().await;
    let head = world.sumdb.head(sumdb.name()).await.unwrap();
    sumdb.behave("*", Behaviour::new().status(500));
    let lookup = world.text(&format!("/sumdb/{NAME}/lookup/example.com/m@v1.0.0")).await;
    assert!(lookup.ends_with(head.message()), "{lookup}");
    assert_eq!(world.text(&format!("/sumdb/{NAME}/latest")).await, head.message());
    let cached = format!("/sumdb/{NAME}/tile/8/0/001.p/{}", sumdb.size() - 256);
    let answer = world.ask_as(&cached, Fetching::CachedOnly).await.unwrap();
    assert_eq!(answer.fresh_for, None);
    let other = format!("/sumdb/{NAME}/lookup/example.com/m@v1.10.0");
    let refused = world.ask_as(&other, Fetching::CachedOnly).await.unwrap_err();
    assert!(matches!(refused, Error::NotHere { .. }), "{refused:?}");
    let refused = world.ask(&other).await.unwrap_err();
    assert!(matches!(of_database(&refused), SumdbError::Unavailable { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_module_is_asked_of_no_database() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    let world = {
        let private = vec![("example.com/m".to_owned(), "test".to_owned())];
        let choices = Choices { private, config: at_once(), ..asking(&sumdb, Mode::Require) };
        // Stored while it was public.
        world.get(&format!("{M}v1.0.0.zip")).await;
        let before = sumdb.calls("*");
        let world = world.restarted(choices).await;
        let module = m("v1.0.0");
        world.store.remove(&Key::Facts(&module)).await.unwrap();
        let exempt = async || confirmed_by(&world, "v1.0.0").await[1] == Some(Verification::Exempt);
        pass_until(&world, exempt).await;
        assert_eq!(sumdb.calls("*"), before);
        world
    };
    let lookup = format!("/sumdb/{NAME}/lookup/example.com/m@v1.0.0");
    assert!(matches!(world.ask(&lookup).await, Err(Error::PrivateLookup { .. })));
}

/// Everything of two versions, stored and confirmed, on disk.
pub(crate) async fn two_versions(sumdb: &FakeSumdb, folder: &tempfile::TempDir) -> World {
    let choices = Choices { store: on_disk(folder), ..asking(sumdb, Mode::Require) };
    let world = World::with(some_modules(), choices).await;
    for version in ["v1.0.0", "v1.2.0"] {
        for suffix in ["info", "mod", "zip"] {
            world.get(&format!("{M}{version}.{suffix}")).await;
        }
    }
    world.settle().await;
    world
}

pub(crate) async fn verify(world: &World, sumdb: &FakeSumdb) -> proxy::VerifyReport {
    let none = policy::Private::default();
    let checks = Checks {
        store: &world.store,
        sumdb: &world.sumdb,
        own: None,
        database: Some(sumdb.name()),
        private: &none,
        no_sumdb: &none,
        at_once: 2,
    };
    proxy::verify(&checks, &|_, _| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_holds_every_file_against_its_stored_proof_and_asks_nobody() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let world = two_versions(&sumdb, &folder).await;
    let asked = (sumdb.calls("*"), world.upstream.seen().len());
    let report = verify(&world, &sumdb).await;
    assert_eq!((report.versions, report.confirmed, report.unconfirmed), (2, 4, 0));
    assert_eq!(report.findings, []);
    assert_eq!((sumdb.calls("*"), world.upstream.seen().len()), asked);
    // Whoever can write to the folder changes a go.mod, and its facts with it.
    let file = folder.path().join("modules/example.com/m/@v/v1.0.0.mod");
    std::fs::write(file, "module example.com/m\n\nrequire evil.example v1.0.0\n").unwrap();
    world.store.remove(&Key::Facts(&m("v1.0.0"))).await.unwrap();
    let report = verify(&world, &sumdb).await;
    assert_eq!((report.confirmed, report.findings.len()), (3, 1));
    assert!(report.findings[0].what.contains("v1.0.0"), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_gone_is_found_and_asked_for_again() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let world = two_versions(&sumdb, &folder).await;
    let module = m("v1.0.0");
    world.store.remove(&Key::Record(sumdb.name(), &module)).await.unwrap();
    let choices = Choices {
        state: Some(head_of(&world, &sumdb).await),
        config: at_once(),
        ..asking(&sumdb, Mode::Require)
    };
    let world = world.restarted(choices).await;
    assert_eq!(verify(&world, &sumdb).await.findings.len(), 2);
    let rooms = (&world.store, &world.sumdb);
    let report = proxy::fsck(rooms, None, Reindex::Yes, &|_| ()).await.unwrap();
    assert_eq!((report.unproven.len(), report.damage.len()), (2, 0));
    let asked = sumdb.calls("/lookup/*");
    let confirmed = async || {
        let by = confirmed_by(&world, "v1.0.0").await;
        by.iter().all(|by| matches!(by, Some(Verification::Database { .. })))
    };
    pass_until(&world, confirmed).await;
    assert_eq!(sumdb.calls("/lookup/*"), asked + 1);
    assert_eq!(verify(&world, &sumdb).await.findings, []);
}

/// A state that knows the head which the world's database has verified.
pub(crate) async fn head_of(world: &World, sumdb: &FakeSumdb) -> db::State {
    let head = world.sumdb.head(sumdb.name()).await.unwrap();
    let state = db::State::memory().await.unwrap();
    let kept = db::SumdbHead {
        size: head.size(),
        root: head.head().root,
        note: head.message().to_owned(),
        checked: world.clock.now(),
        evidence: None,
    };
    assert!(state.advance_sumdb_head(NAME, None, &kept).await.unwrap());
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_sum_is_held_against_the_store() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let world = two_versions(&sumdb, &folder).await;
    let facts = facts(&world.store, "v1.0.0").await;
    let zip = facts.zip.unwrap().h1.unwrap();
    let lines = format!(
        "example.com/m v1.0.0 {zip}\nexample.com/m v1.0.0/go.mod {zip}\nexample.com/m v1.10.0 {zip}\n"
    );
    let lines = gomod::gosum::parse(&lines).unwrap();
    let report = proxy::verify_go_sum(&world.store, &lines, &|_, _| ()).await.unwrap();
    assert_eq!((report.confirmed, report.absent, report.findings.len()), (1, 1, 1));
    assert!(report.findings[0].what.contains("go.mod"), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_bounded_in_all() {
    let (mut honest, mut lying) = (Modules::new(), Modules::new());
    let big = 100_000;
    for minor in 0..10 {
        let version = format!("v1.{minor}.0");
        honest.add(&ModuleVersion::new("example.com/m", &version));
        lying.add(&ModuleVersion::new("example.com/m", &version).noise("a.bin", big, minor));
    }
    let sumdb = recorded(&honest);
    let folder = tempfile::tempdir().unwrap();
    let config = Config { max_evidence: units::ByteSize(400_000), ..Config::default() };
    let choices = Choices { store: on_disk(&folder), config, ..asking(&sumdb, Mode::Require) };
    let world = World::with(lying, choices).await;
    for minor in 0..10 {
        if let Ok(answer) = world.ask(&format!("{M}v1.{minor}.0.zip")).await {
            assert!(read(answer.body).await.is_err());
        }
    }
    world.settle().await;
    let kept: u64 = std::fs::read_dir(folder.path().join("evidence"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!((400_000..600_000).contains(&kept), "{kept} bytes are kept");
}
