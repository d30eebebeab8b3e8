//! Lists, `@latest` and queries over time.

use std::time::Duration;

use proxy::{Config, Error, Fetching, Outcome};
use testkit::{Behaviour, ModuleVersion};
use units::Timestamp;

use crate::world::{Choices, M, World, not_found, some_modules};

const LIST: &str = "/example.com/m/@v/list";
const LATEST: &str = "/example.com/m/@latest";

fn version(version: &str) -> ModuleVersion {
    ModuleVersion::new("example.com/m", version)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_canonical_sorted_and_without_pseudo_versions() {
    let mut modules = some_modules();
    modules.raw(
        "/example.com/m/@v/list",
        "v1.10.0\nv1.2.0 2024-01-01T00:00:00Z\nv1.2\nv1.3.0+meta\nv2.0.0\n\nv1.2.0\nfoo\n\
         v0.0.0-20240101000000-abcdefabcdef\nv2.0.0-rc.1+incompatible\nv1.0.0\r\n",
    );
    let world = World::with(modules, Choices::default()).await;
    assert_eq!(world.text(LIST).await, "v1.0.0\nv1.2.0\nv1.10.0\nv2.0.0-rc.1+incompatible\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_list_asks_nobody_and_a_stale_one_is_given_while_it_is_refreshed() {
    let world = World::new().await;
    assert_eq!(world.get(LIST).await.0, Outcome::Miss);
    for _ in 0..100 {
        assert_eq!(world.get(LIST).await.0, Outcome::Hit);
    }
    assert_eq!(world.upstream.calls("*list"), 1);
    world.upstream.change(|modules| modules.add(&version("v1.11.0")));
    world.pass(Duration::from_secs(90));
    let (outcome, old) = world.get(LIST).await;
    assert_eq!(outcome, Outcome::Stale);
    assert!(!old.ends_with(b"v1.11.0\n"));
    wait_for(|| world.upstream.calls("*list") == 2).await;
    world.settle().await;
    assert!(world.text(LIST).await.contains("v1.11.0\n"));
    assert_eq!(world.upstream.calls("*list"), 2);
}

async fn wait_for(done: impl Fn() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_older_than_five_minutes_is_refreshed_before_it_is_given() {
    let world = World::new().await;
    world.get(LIST).await;
    world.upstream.change(|modules| modules.add(&version("v1.11.0")));
    world.pass(Duration::from_secs(301));
    assert!(world.text(LIST).await.contains("v1.11.0\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_the_future_counts_as_expired() {
    let world = World::new().await;
    world.get(LIST).await;
    world.clock.set(Timestamp::from_unix_secs(1_000_000_000));
    assert_eq!(world.get(LIST).await.0, Outcome::Miss);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_gives_the_old_list_however_old_also_after_a_restart() {
    let world = World::new().await;
    let fresh = world.text(LIST).await;
    let world = world.restarted(Choices::default()).await;
    world.upstream.behave("*", Behaviour::new().status(503));
    world.pass(Duration::from_hours(90 * 24));
    let (outcome, stale) = world.get(LIST).await;
    assert_eq!((outcome, stale.as_ref()), (Outcome::Stale, fresh.as_bytes()));
    let calls = world.upstream.calls("*list");
    assert_eq!(world.get(LIST).await.0, Outcome::Stale);
    assert_eq!(world.upstream.calls("*list"), calls, "a failed refresh is not tried again at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_well_again_is_asked_again_however_often_the_list_is_wanted() {
    let world = World::new().await;
    world.get(LIST).await;
    world.upstream.behave("*", Behaviour::new().status(503));
    world.pass(Duration::from_hours(1));
    assert_eq!(world.get(LIST).await.0, Outcome::Stale);
    world.upstream.behave_well();
    // Somebody asks each second, which must not count as one more failure of the source.
    for _ in 0..60 {
        world.pass(Duration::from_secs(1));
        if world.get(LIST).await.0 != Outcome::Stale {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the old list was given for a minute of good health");
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_versions_are_listed_when_the_source_fails_or_forgot_them() {
    let world = World::new().await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.2.0.{suffix}")).await;
    }
    world.settle().await;
    world.upstream.behave("*", Behaviour::new().status(502));
    assert_eq!(world.get(LIST).await.0, Outcome::Stale);
    world.upstream.behave_well();
    world.upstream.change(|modules| modules.raw("/example.com/m/@v/list", "v1.0.0\n"));
    // The source is left alone for a moment after its failure.
    for _ in 0..100 {
        world.pass(Duration::from_mins(1));
        if world.get(LIST).await.0 != Outcome::Stale {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.text(LIST).await, "v1.0.0\nv1.2.0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_module_is_404_and_a_known_one_without_versions_is_empty() {
    let mut modules = some_modules();
    modules.raw("/example.com/empty/@v/list", "");
    let world = World::with(modules, Choices::default()).await;
    assert_eq!(not_found(&world.ask("/example.com/none/@v/list").await.unwrap_err()).0, 404);
    assert_eq!(world.text("/example.com/empty/@v/list").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn absences_are_fresh_for_a_minute_and_stand_in_for_an_outage() {
    let world = World::new().await;
    let path = "/example.com/none/@v/list";
    for _ in 0..10 {
        not_found(&world.ask(path).await.unwrap_err());
    }
    assert_eq!(world.upstream.calls("/example.com/none/@v/list"), 1);
    let world = world.restarted(Choices::default()).await;
    world.pass(Duration::from_hours(2));
    world.upstream.behave("*", Behaviour::new().status(500));
    assert_eq!(not_found(&world.ask(path).await.unwrap_err()).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_asked_each_time_and_stale_for_ten_minutes_at_most() {
    let mut modules = some_modules();
    modules.query("main", &version("v1.0.0"));
    let world = World::with(modules, Choices::default()).await;
    let path = format!("{M}main.info");
    assert!(world.text(&path).await.contains("v1.0.0"));
    world.upstream.change(|modules| modules.query("main", &version("v1.2.0")));
    assert!(world.text(&path).await.contains("v1.2.0"));
    assert_eq!(world.upstream.calls("*main.info"), 2);
    world.upstream.behave("*", Behaviour::new().status(503));
    world.pass(Duration::from_secs(599));
    assert_eq!(world.get(&path).await.0, Outcome::Stale);
    world.pass(Duration::from_secs(2));
    let error = world.ask(&path).await.unwrap_err();
    assert!(matches!(error, Error::Upstream(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_is_the_sources_word_and_without_it_the_newest_stored_release() {
    let mut modules = some_modules();
    modules.latest(&version("v1.10.0"));
    let world = World::with(modules, Choices::default()).await;
    assert!(world.text(LATEST).await.contains("v1.10.0"));
    for stored in ["v1.0.0", "v1.2.0", "v2.0.0-rc.1+incompatible"] {
        for suffix in ["info", "zip"] {
            world.get(&format!("{M}{stored}.{suffix}")).await;
        }
    }
    let config = Config { offline: true, ..Config::default() };
    let world = world.restarted(Choices { config, ..Choices::default() }).await;
    assert!(world.text(LATEST).await.contains("v1.2.0"));
    assert_eq!(world.text(LIST).await, "v1.0.0\nv1.2.0\nv2.0.0-rc.1+incompatible\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_is_neither_a_list_nor_kept() {
    let world = World::new().await;
    world.upstream.behave("*list", Behaviour::html());
    let error = world.ask(LIST).await.unwrap_err();
    assert!(matches!(error, Error::Upstream(_)), "{error:?}");
    assert!(world.ask_as(LIST, Fetching::CachedOnly).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_refreshes_are_one() {
    let world = World::new().await;
    world.upstream.behave("*list", Behaviour::new().delay(Duration::from_millis(100)));
    let asks = (0..50).map(|_| world.ask(LIST));
    let answers = futures_util::future::join_all(asks).await;
    let collapsed = |answer: &Result<proxy::Answer, Error>| {
        answer.as_ref().is_ok_and(|answer| answer.outcome == Outcome::Collapsed)
    };
    assert_eq!(answers.iter().filter(|answer| collapsed(answer)).count(), 49);
    assert_eq!(world.upstream.calls("*list"), 1);
}
