//! `.info` and `.mod`, and what holds for all files of a version.

use std::time::Duration;

use proxy::{Config, Error, Fetching, Outcome};
use testkit::{Behaviour, FakeUpstream, ModuleVersion, Modules};

use crate::world::{Choices, M, World, not_found, read, some_modules};

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_mod_fetches_that_file_only_and_is_a_hit_afterwards() {
    let world = World::new().await;
    let (outcome, bytes) = world.get(&format!("{M}v1.0.0.mod")).await;
    assert_eq!(outcome, Outcome::Miss);
    assert_eq!(bytes, ModuleVersion::new("example.com/m", "v1.0.0").mod_bytes());
    assert_eq!(world.get(&format!("{M}v1.0.0.mod")).await, (Outcome::Hit, bytes));
    world.settle().await;
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_info_is_passed_on_byte_for_byte_and_brings_its_mod() {
    let mut modules = some_modules();
    let odd =
        "{ \"time\": \"2024-05-06T07:08:09+02:00\", \"Version\": \"v1.0.0\", \"Extra\": [1] }\n";
    modules.raw("/example.com/m/@v/v1.0.0.info", odd);
    let world = World::with(modules, Choices::default()).await;
    assert_eq!(world.text(&format!("{M}v1.0.0.info")).await, odd);
    world.settle().await;
    assert_eq!(world.upstream.calls("*.zip"), 0);
    assert_eq!(world.upstream.calls("*.mod"), 1);
    assert_eq!(world.get(&format!("{M}v1.0.0.mod")).await.0, Outcome::Hit);
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_files_survive_a_restart_with_the_upstream_gone() {
    let world = World::new().await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    let etag = world.ask(&format!("{M}v1.0.0.zip")).await.unwrap().validators.unwrap().etag;
    let world = world.restarted(Choices::default()).await;
    world.upstream.behave("*", Behaviour::new().status(503));
    for suffix in ["info", "mod", "zip"] {
        assert_eq!(world.get(&format!("{M}v1.0.0.{suffix}")).await.0, Outcome::Hit, "{suffix}");
    }
    let again = world.ask(&format!("{M}v1.0.0.zip")).await.unwrap().validators.unwrap().etag;
    assert_eq!(again, etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_own_404_is_passed_on_and_kept_while_it_is_fresh() {
    let world = World::new().await;
    let gone = Behaviour::new().status(410).body("not found: this was taken back\nsecond line");
    world.upstream.behave("*v9.0.0.info", gone.header("Content-Type", "text/plain"));
    let path = "/example.com/m/v9/@v/v9.0.0.info";
    for _ in 0..3 {
        let error = world.ask(path).await.unwrap_err();
        assert_eq!(not_found(&error), (410, "not found: this was taken back"));
    }
    assert_eq!(world.upstream.calls("*v9.0.0.info"), 1);
    world.pass(Duration::from_secs(61));
    world.ask(path).await.unwrap_err();
    assert_eq!(world.upstream.calls("*v9.0.0.info"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_absence_stands_in_when_the_source_fails_even_after_a_restart() {
    let world = World::new().await;
    let path = "/example.com/other/@v/v1.0.0.info";
    not_found(&world.ask(path).await.unwrap_err());
    let world = world.restarted(Choices::default()).await;
    world.pass(Duration::from_hours(1));
    world.upstream.behave("*", Behaviour::new().status(503));
    assert_eq!(not_found(&world.ask(path).await.unwrap_err()).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_never_not_found() {
    for status in [429, 500, 502, 503] {
        let world = World::new().await;
        world.upstream.behave("*", Behaviour::new().status(status));
        for suffix in ["info", "mod", "zip"] {
            let error = world.ask(&format!("{M}v1.0.0.{suffix}")).await.unwrap_err();
            assert!(matches!(error, Error::Upstream(_)), "{status} {suffix}: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_info_of_another_version_is_refused_and_not_stored() {
    let mut modules = some_modules();
    modules.raw("/example.com/m/@v/v1.0.0.info", "{\"Version\":\"v1.0.1\"}");
    let world = World::with(modules, Choices::default()).await;
    let error = world.ask(&format!("{M}v1.0.0.info")).await.unwrap_err();
    assert!(error.to_string().contains("v1.0.1"), "{error}");
    let absent = world.ask_as(&format!("{M}v1.0.0.info"), Fetching::CachedOnly).await;
    assert!(absent.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_only_serves_what_is_here_and_asks_nobody() {
    let world = World::new().await;
    world.get(&format!("{M}v1.0.0.mod")).await;
    world.settle().await;
    let calls = world.upstream.seen().len();
    let world = world.restarted(Choices::default()).await;
    let here = world.ask_as(&format!("{M}v1.0.0.mod"), Fetching::CachedOnly).await.unwrap();
    assert_eq!(here.outcome, Outcome::Hit);
    for path in
        [format!("{M}v1.2.0.mod"), format!("{M}v1.2.0.zip"), "/example.com/x/@v/list".into()]
    {
        let error = world.ask_as(&path, Fetching::CachedOnly).await.unwrap_err();
        assert!(matches!(error, Error::NotHere { .. }), "{path}: {error:?}");
    }
    assert_eq!(world.upstream.seen().len(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_is_cached_only_for_everything() {
    let config = Config { offline: true, ..Config::default() };
    let world = World::with(some_modules(), Choices { config, ..Choices::default() }).await;
    let error = world.ask(&format!("{M}v1.0.0.mod")).await.unwrap_err();
    assert!(matches!(error, Error::NotHere { .. }), "{error:?}");
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn private_names_are_refused_before_anyone_is_asked() {
    let private = vec![("corp.example".to_owned(), "GOPRIVATE (environment)".to_owned())];
    let world = World::with(Modules::new(), Choices { private, ..Choices::default() }).await;
    for path in
        ["/corp.example/m/@v/list", "/corp.example/m/@v/v1.0.0.zip", "/git.internal/m/@latest"]
    {
        let error = world.ask(path).await.unwrap_err();
        assert!(matches!(error, Error::Private { .. }), "{path}: {error:?}");
    }
    let error = world.ask("/corp.example/m/@v/list").await.unwrap_err().to_string();
    assert!(error.contains("corp.example") && error.contains("GOPRIVATE"), "{error}");
    assert!(world.upstream.seen().is_empty());
}

fn denying() -> Choices {
    let rule = policy::DenyRule { modules: "example.com".into(), reason: Some("not ours".into()) };
    let policy = policy::Config { allow: Vec::new(), deny: vec![rule] };
    Choices { policy, ..Choices::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_modules_are_refused_if_they_exist_and_their_mod_stays_open() {
    let world = World::with(some_modules(), denying()).await;
    for path in ["@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.zip"] {
        for _ in 0..2 {
            let error = world.ask(&format!("/example.com/m/{path}")).await.unwrap_err();
            assert!(matches!(error, Error::Denied(_)), "{path}: {error:?}");
        }
        let error = world.ask(&format!("/example.com/unknown/{path}")).await.unwrap_err();
        assert_eq!(not_found(&error).0, 404, "{path}");
    }
    world.get(&format!("{M}v1.0.0.mod")).await;
    assert_eq!(world.upstream.calls("*.zip"), 0, "a refused zip is not fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_holds_for_what_was_stored_before_it() {
    let world = World::new().await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    let world = world.restarted(denying()).await;
    for suffix in ["info", "zip"] {
        let error = world.ask(&format!("{M}v1.0.0.{suffix}")).await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{suffix}: {error:?}");
    }
    world.get(&format!("{M}v1.0.0.mod")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_holds_for_what_the_index_kept_before_it() {
    let world = World::new().await;
    for path in ["@v/list", "@latest"] {
        world.get(&format!("/example.com/m/{path}")).await;
    }
    let world = world.restarted(denying()).await;
    for path in ["@v/list", "@latest"] {
        for _ in 0..2 {
            let error = world.ask(&format!("/example.com/m/{path}")).await.unwrap_err();
            assert!(matches!(error, Error::Denied(_)), "{path}: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_info_comes_from_where_the_other_files_of_its_version_came_from() {
    let behind = FakeUpstream::start(some_modules()).unwrap();
    let world =
        World::with(some_modules(), Choices { behind: Some(behind.url()), ..Choices::default() })
            .await;
    world.upstream.behave("*.mod", Behaviour::new().status(404));
    world.get(&format!("{M}v1.0.0.mod")).await;
    world.settle().await;
    world.get(&format!("{M}v1.0.0.info")).await;
    assert_eq!((world.upstream.calls("*.info"), behind.calls("*.info")), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_first_is_served_when_a_fetch_brings_something_else() {
    let world = World::new().await;
    let path = format!("{M}v1.0.0.mod");
    world.upstream.behave("*.mod", Behaviour::new().delay(Duration::from_millis(300)));
    let first = "module example.com/m // copied in\n";
    let copied_in = async {
        while world.upstream.calls("*.mod") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let module = gomod::ModVer::new(
            gomod::ModulePath::parse("example.com/m").unwrap(),
            gomod::Version::parse("v1.0.0").unwrap(),
        );
        let mut staged = world.store.stage().await.unwrap();
        staged.write(first.into()).await.unwrap();
        world.store.create(&store::Key::Mod(&module.unwrap()), staged).await.unwrap();
    };
    let _ = tokio::join!(world.get(&path), copied_in);
    world.settle().await;
    assert_eq!(world.text(&path).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_index_everything_is_served() {
    let world = World::new().await;
    world.index.close().await;
    for path in ["@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip"] {
        world.get(&format!("/example.com/m/{path}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_say_where_a_version_came_from_and_that_nothing_verified_it() {
    let world = World::new().await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    world.settle().await;
    let module = gomod::ModVer::new(
        gomod::ModulePath::parse("example.com/m").unwrap(),
        gomod::Version::parse("v1.0.0").unwrap(),
    );
    let module = module.unwrap();
    let object = world.store.open(&store::Key::Facts(&module), None).await.unwrap().unwrap();
    let facts = policy::Facts::from_json(&object.bytes(1 << 16).await.unwrap()).unwrap();
    assert_eq!(facts.info.as_ref().unwrap().verified, None);
    for file in [&facts.go_mod, &facts.zip] {
        assert_eq!(file.as_ref().unwrap().verified, Some(policy::Verification::Off));
    }
    for file in [facts.info, facts.go_mod, facts.zip] {
        assert_eq!(file.unwrap().origin, "far");
    }
    let hash = world.store.open(&store::Key::ZipHash(&module), None).await.unwrap().unwrap();
    assert!(hash.bytes(100).await.unwrap().starts_with(b"h1:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_client_cancels_no_fetch() {
    let world = World::new().await;
    world.upstream.behave("*.zip", Behaviour::new().delay(Duration::from_millis(200)));
    let path = format!("{M}v1.0.0.zip");
    let leaving = tokio::time::timeout(Duration::from_millis(50), world.ask(&path));
    assert!(leaving.await.is_err());
    world.settle().await;
    let answer = world.ask(&format!("{M}v1.0.0.zip")).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Hit);
    read(answer.body).await.unwrap();
    assert_eq!(world.upstream.calls("*.zip"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_has_a_limit_and_the_flight_goes_on() {
    let config = Config { waiter_timeout: Duration::from_millis(50), ..Config::default() };
    let world = World::with(some_modules(), Choices { config, ..Choices::default() }).await;
    world.upstream.behave("*.mod", Behaviour::new().delay(Duration::from_millis(300)));
    let error = world.ask(&format!("{M}v1.0.0.mod")).await.unwrap_err();
    assert!(matches!(error, Error::StillFetching { .. }), "{error:?}");
    world.settle().await;
    assert_eq!(world.get(&format!("{M}v1.0.0.mod")).await.0, Outcome::Hit);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_and_leave_cannot_fill_the_memory() {
    let config = Config { max_flights: 1, ..Config::default() };
    let world = World::with(some_modules(), Choices { config, ..Choices::default() }).await;
    world.get(&format!("{M}v1.0.0.mod")).await;
    world.upstream.behave("*", Behaviour::silent());
    let ask = |number: usize| {
        let path = format!("/example.com/n{number}/@v/v1.0.0.mod");
        async { world.ask(&{ path }).await }
    };
    for number in 0..10_000 {
        let left = tokio::time::timeout(Duration::ZERO, ask(number)).await;
        assert!(left.is_err(), "{number}: {left:?}");
    }
    let error = ask(10_000).await.unwrap_err();
    assert!(matches!(error, Error::Crowded), "{error:?}");
    let joined = tokio::time::timeout(Duration::ZERO, ask(1)).await;
    assert!(joined.is_err(), "one that is under way is joined all the same: {joined:?}");
    assert_eq!(world.get(&format!("{M}v1.0.0.mod")).await.0, Outcome::Hit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_is_an_outage_not_a_verdict_for_ten_minutes() {
    let world = World::new().await;
    world.upstream.behave("*.mod", Behaviour::html());
    let path = format!("{M}v1.0.0.mod");
    let error = world.ask(&path).await.unwrap_err();
    assert!(error.to_string().contains("login page"), "{error}");
    world.upstream.behave_well();
    // The source is left alone for a moment after its failure.
    for _ in 0..100 {
        world.pass(Duration::from_secs(2));
        if world.ask(&path).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the mended source was not asked again");
}
