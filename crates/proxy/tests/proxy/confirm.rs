//! What was stored unconfirmed is confirmed or set aside, whatever else is wrong; and what the
//! database's trouble may cost those who ask for something else.

use std::time::Duration;

use policy::Verification;
use proxy::{Config, Error, Outcome, SumdbError};
use store::Key;
use sumdb::Mode;
use testkit::{Behaviour, FakeSumdb, ModuleVersion, Modules};

use crate::verified::{
    NAME, asking, at_once, confirmed_by, database, head_of, is_stored, m, of_database, on_disk,
    pass_until, recorded, two_versions, verify, verifying,
};
use crate::world::{Choices, M, World, some_modules};

fn by_database(by: Option<&Verification>) -> bool {
    matches!(by, Some(Verification::Database { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_go_mod_is_contradicted_keeps_no_zip_either() {
    let sumdb = recorded(&some_modules());
    sumdb.behave("*", Behaviour::new().status(500));
    let world = World::with(some_modules(), asking(&sumdb, Mode::TrustOnFirstUse)).await;
    let evil = ModuleVersion::new("example.com/m", "v1.0.0").file("evil.go", "package m");
    let evil = evil.go_mod("module example.com/m\n\nrequire example.com/evil v1.0.0\n");
    world.upstream.change(|modules| modules.add(&evil));
    for suffix in ["mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    sumdb.be_honest();
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::TrustOnFirstUse) };
    let world = world.restarted(choices).await;
    let module = m("v1.0.0");
    let gone = async || {
        !is_stored(&world, &Key::Mod(&module)).await && !is_stored(&world, &Key::Zip(&module)).await
    };
    pass_until(&world, gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_asked_about_holds_up_no_other() {
    for lookup in [Behaviour::new().status(500), Behaviour::new().body("nonsense")] {
        let sumdb = recorded(&some_modules());
        let world = World::new().await;
        for version in ["v1.0.0", "v1.10.0", "v1.2.0"] {
            world.get(&format!("{M}{version}.mod")).await;
        }
        sumdb.behave("/lookup/example.com/m@v1.0.0", lookup);
        let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::Require) };
        let world = world.restarted(choices).await;
        let confirmed = async || {
            by_database(confirmed_by(&world, "v1.10.0").await[0].as_ref())
                && by_database(confirmed_by(&world, "v1.2.0").await[0].as_ref())
        };
        pass_until(&world, confirmed).await;
        assert!(!by_database(confirmed_by(&world, "v1.0.0").await[0].as_ref()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_cannot_be_read_hold_up_no_other_version() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let choices = Choices { store: on_disk(&folder), ..Choices::default() };
    let world = World::with(some_modules(), choices).await;
    for version in ["v1.0.0", "v1.2.0"] {
        world.get(&format!("{M}{version}.mod")).await;
    }
    world.settle().await;
    let facts = folder.path().join(Key::Facts(&m("v1.0.0")).path());
    std::fs::write(facts, vec![b' '; policy::MAX_FACTS_BYTES + 1]).unwrap();
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::Require) };
    let world = world.restarted(choices).await;
    let confirmed = async || by_database(confirmed_by(&world, "v1.2.0").await[0].as_ref());
    pass_until(&world, confirmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_private_is_confirmed() {
    let sumdb = recorded(&some_modules());
    let private = vec![("example.com/m".to_owned(), "test".to_owned())];
    let folder = tempfile::tempdir().unwrap();
    let world = two_versions(&sumdb, &folder).await;
    let choices = Choices { private, config: at_once(), ..asking(&sumdb, Mode::Require) };
    let world = world.restarted(choices).await;
    world.store.remove(&Key::Facts(&m("v1.0.0"))).await.unwrap();
    let exempt = async || confirmed_by(&world, "v1.0.0").await[1] == Some(Verification::Exempt);
    pass_until(&world, exempt).await;
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::Require) };
    let world = world.restarted(choices).await;
    let confirmed = async || by_database(confirmed_by(&world, "v1.0.0").await[1].as_ref());
    pass_until(&world, confirmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_is_copied_in_while_larder_runs_is_confirmed() {
    let sumdb = recorded(&some_modules());
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let there = two_versions(&sumdb, &from).await;
    drop(there);
    let choices =
        Choices { store: on_disk(&to), config: at_once(), ..asking(&sumdb, Mode::Require) };
    let world = World::with(some_modules(), choices).await;
    world.get(&format!("{M}v1.2.0.zip")).await;
    world.settle().await;
    let zip = Key::Zip(&m("v1.0.0")).path();
    let copied_and_confirmed = async || {
        if !is_stored(&world, &Key::Zip(&m("v1.0.0"))).await {
            // After the first pass, which found nothing open.
            tokio::time::sleep(Duration::from_millis(500)).await;
            std::fs::copy(from.path().join(&zip), to.path().join(&zip)).unwrap();
            assert_eq!(world.get(&format!("{M}v1.0.0.zip")).await.0, Outcome::Hit);
        }
        by_database(confirmed_by(&world, "v1.0.0").await[1].as_ref())
    };
    pass_until(&world, copied_and_confirmed).await;
    assert_eq!(world.upstream.calls("*v1.0.0.zip"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_file_does_not_name_what_was_set_aside() {
    let sumdb = recorded(&some_modules());
    sumdb.behave("*", Behaviour::new().status(500));
    let world = World::with(some_modules(), asking(&sumdb, Mode::TrustOnFirstUse)).await;
    let evil = ModuleVersion::new("example.com/m", "v1.0.0").file("evil.go", "package m");
    world.upstream.change(|modules| modules.add(&evil));
    let module = m("v1.0.0");
    for suffix in ["info", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    world.settle().await;
    let listed = async || {
        let object = world.store.open(&Key::ListFile(module.path()), None).await.unwrap();
        Some(String::from_utf8(object?.bytes(1 << 10).await.unwrap().to_vec()).unwrap())
    };
    pass_until(&world, async || listed().await.as_deref() == Some("v1.0.0\n")).await;
    sumdb.be_honest();
    let choices = Choices { config: at_once(), ..asking(&sumdb, Mode::TrustOnFirstUse) };
    let world = world.restarted(choices).await;
    let listed = async || {
        let object = world.store.open(&Key::ListFile(module.path()), None).await.unwrap().unwrap();
        String::from_utf8(object.bytes(1 << 10).await.unwrap().to_vec()).unwrap()
    };
    let unlisted =
        async || !is_stored(&world, &Key::Zip(&module)).await && listed().await.is_empty();
    pass_until(&world, unlisted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_down_a_zip_is_not_fetched_for_each_who_asks() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    sumdb.behave("*", Behaviour::new().status(500));
    for _ in 0..5 {
        let error = world.ask(&format!("{M}v1.0.0.zip")).await.unwrap_err();
        assert!(matches!(of_database(&error), SumdbError::Unavailable { .. }), "{error}");
    }
    assert!(world.upstream.calls("*.zip") <= 1, "{}", world.upstream.calls("*.zip"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_cannot_be_confirmed_is_not_fetched_to_its_end() {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/m", "v1.0.0").noise("a.bin", 3 << 20, 1));
    let sumdb = recorded(&modules);
    let world = World::with(modules, asking(&sumdb, Mode::Require)).await;
    sumdb.behave("*", Behaviour::new().status(500));
    world.upstream.behave("*.zip", Behaviour::new().delay(Duration::from_secs(20)));
    let zip = format!("{M}v1.0.0.zip");
    let asked = tokio::time::timeout(Duration::from_secs(10), world.ask(&zip));
    let error = asked.await.expect("an answer before the zip is here").unwrap_err();
    assert!(matches!(of_database(&error), SumdbError::Unavailable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_look_up_waits_for_no_fetch() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    let lookup = format!("/sumdb/{NAME}/lookup/example.com/m@v1.0.0");
    let tile = format!("/sumdb/{NAME}/tile/8/0/001.p/{}", sumdb.size() - 256);
    world.get(&lookup).await;
    world.get(&tile).await;
    // One turn only, and it is held by somebody who waits for a record.
    let mut choices = asking(&sumdb, Mode::Require);
    choices.config = Config { max_flights: 1, ..Config::default() };
    choices.sumdb.missing_wait = Duration::from_mins(1);
    let state = head_of(&world, &sumdb).await;
    let world = world.restarted(Choices { state: Some(state), ..choices }).await;
    world.upstream.change(|modules| modules.add(&ModuleVersion::new("example.com/n", "v1.0.0")));
    let ask = world.ask("/example.com/n/@v/v1.0.0.mod");
    let others = async {
        while sumdb.calls("/lookup/example.com/n@v1.0.0") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for path in [&lookup, &tile] {
            let asked = tokio::time::timeout(Duration::from_secs(10), world.ask(path));
            asked.await.expect("no wait").unwrap();
        }
    };
    tokio::select! {
        answered = ask => panic!("{answered:?}"),
        () = others => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_cannot_be_read_end_no_verification() {
    let sumdb = recorded(&some_modules());
    let folder = tempfile::tempdir().unwrap();
    let world = two_versions(&sumdb, &folder).await;
    let facts = folder.path().join(Key::Facts(&m("v1.0.0")).path());
    std::fs::write(facts, vec![b' '; policy::MAX_FACTS_BYTES + 1]).unwrap();
    let report = verify(&world, &sumdb).await;
    assert_eq!((report.versions, report.confirmed), (2, 4));
    assert_eq!(report.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_database_confirmed_is_held_against_that_one() {
    let (first, second) = (recorded(&some_modules()), FakeSumdb::start("sum.other").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let world = two_versions(&first, &folder).await;
    let both = |databases: [&FakeSumdb; 2]| databases.map(database).into();
    let state = head_of(&world, &first).await;
    let choices = Choices {
        databases: both([&second, &first]),
        state: Some(state),
        ..asking(&second, Mode::Require)
    };
    let world = world.restarted(choices).await;
    let report = verify(&world, &second).await;
    assert_eq!((report.confirmed, report.unconfirmed), (4, 0), "{:?}", report.findings);
    // Who is not asked any more proves nothing, and accuses nobody.
    let world = world.restarted(asking(&second, Mode::Require)).await;
    let report = verify(&world, &second).await;
    assert_eq!((report.confirmed, report.unconfirmed), (0, 4), "{:?}", report.findings);
    assert_eq!(report.findings, []);
}

/// Source: cmd/go/internal/modfetch (`useSumDB`): GONOSUMDB does not exempt toolchains.
#[tokio::test(flavor = "multi_thread")]
async fn reserved_names_are_looked_up_whatever_gonosumdb_says() {
    let mut modules = some_modules();
    modules.add(&ModuleVersion::new("golang.org/toolchain", "v0.0.1-go1.27.3.linux-amd64"));
    modules.add(&ModuleVersion::new("golang.org/x/text", "v0.9.0"));
    modules.add(&ModuleVersion::new("golang.org/dl", "v0.1.0"));
    let sumdb = recorded(&modules);
    let no_sumdb = vec![("golang.org".to_owned(), "test".to_owned())];
    let choices = Choices { no_sumdb, ..asking(&sumdb, Mode::Require) };
    let world = World::with(modules, choices).await;
    let lookup = format!("/sumdb/{NAME}/lookup/golang.org");
    world.get(&format!("{lookup}/toolchain@v0.0.1-go1.27.3.linux-amd64")).await;
    world.get(&format!("{lookup}/x/text@v0.9.0")).await;
    let refused = world.ask(&format!("{lookup}/dl@v0.1.0")).await;
    assert!(matches!(refused, Err(Error::PrivateLookup { .. })), "{refused:?}");
    world.upstream.change(|modules| {
        let toolchain = ModuleVersion::new("golang.org/toolchain", "v0.0.1-go1.27.3.linux-amd64");
        modules.add(&toolchain.file("evil.go", "package evil"));
    });
    let zip = "/golang.org/toolchain/@v/v0.0.1-go1.27.3.linux-amd64.zip";
    assert!(world.ask(zip).await.is_err(), "a toolchain that the database contradicts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_database_is_told_once_more_for_a_second_only() {
    let sumdb = recorded(&some_modules());
    let world = verifying(&sumdb).await;
    sumdb.behave("*", Behaviour::new().status(500));
    let go_mod = format!("{M}v1.0.0.mod");
    assert!(matches!(world.ask(&go_mod).await, Err(Error::Sumdb(_))));
    sumdb.be_honest();
    assert!(matches!(world.ask(&go_mod).await, Err(Error::Sumdb(_))));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.pass(Duration::from_secs(2));
    world.get(&go_mod).await;
}
