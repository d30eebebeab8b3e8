//! Where a database is asked.

use std::time::Duration;

use futures_util::future::join3;
use gomod::{Request, SumdbPath, SumdbRequest};
use outbound::Credential;
use sumdb::{Access, Database, Error, Sumdb};
use testkit::{Behaviour, FakeUpstream, Modules};
use tlog::LogName;
use url::Url;

use crate::world::{NAME, World, client, name};

/// A module proxy that relays the database of a world.
fn proxy(world: &World) -> FakeUpstream {
    let upstream = FakeUpstream::start(Modules::new()).unwrap();
    world.fake.mount(&upstream);
    upstream
}

fn below(proxy: &FakeUpstream) -> Url {
    format!("{}/sumdb/{NAME}", proxy.url()).parse().unwrap()
}

async fn open(world: &World, urls: Vec<Url>) -> Sumdb {
    let mut parts = world.parts();
    parts.databases[0].urls = urls;
    Sumdb::open(parts).await.unwrap()
}

fn paths(upstream: &FakeUpstream) -> Vec<String> {
    upstream.seen().into_iter().map(|seen| seen.path).collect()
}

#[tokio::test]
async fn the_first_proxy_that_supports_the_database_is_asked_for_ten_minutes() {
    let world = World::with(3).await;
    let (first, second) = (FakeUpstream::start(Modules::new()).unwrap(), proxy(&world));
    let sumdb =
        open(&world, vec![below(&first), below(&second), world.fake.urls()[0].clone()]).await;
    sumdb.refresh(&name()).await.unwrap();
    world.clock.advance(Duration::from_secs(599));
    sumdb.refresh(&name()).await.unwrap();
    assert_eq!(paths(&first), [format!("/sumdb/{NAME}/supported")]);
    assert_eq!(second.calls("*/supported"), 1);
    assert_eq!((second.calls("*/latest"), world.fake.calls("*")), (2, 0));
    // Then the choice is made anew; no proxy supports it now: the database itself is asked.
    second.behave("*/supported", Behaviour::new().status(410));
    world.clock.advance(Duration::from_secs(2));
    sumdb.refresh(&name()).await.unwrap();
    assert_eq!((first.calls("*"), world.fake.calls("/latest")), (2, 1));
}

#[tokio::test]
async fn a_proxy_in_trouble_is_no_reason_to_go_past_it() {
    let world = World::with(3).await;
    let proxy = proxy(&world);
    proxy.behave("*/supported", Behaviour::new().status(403));
    let sumdb = open(&world, vec![below(&proxy), world.fake.urls()[0].clone()]).await;
    let error = sumdb.refresh(&name()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(world.fake.calls("*"), 0);
}

#[tokio::test]
async fn a_proxy_in_trouble_is_not_asked_again_by_each_who_waits() {
    let world = World::with(3).await;
    let proxy = proxy(&world);
    proxy.behave("*/supported", Behaviour::new().status(503));
    let sumdb = open(&world, vec![below(&proxy), world.fake.urls()[0].clone()]).await;
    let ask = async |number| sumdb.record_now(&crate::world::unrecorded(number)).await;
    let answers = join3(ask(1), ask(2), ask(3)).await;
    assert!(matches!(answers.2, Err(Error::Unavailable { .. })), "{answers:?}");
    assert_eq!(proxy.calls("*"), 1);
    proxy.behave_well();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    sumdb.refresh(&name()).await.unwrap();
}

#[tokio::test]
async fn credentials_go_to_their_own_place_only() {
    let world = World::with(3).await;
    let proxy = FakeUpstream::start(Modules::new()).unwrap();
    let credential = Some(Credential::Bearer("s3cret".to_owned().into()));
    let mut parts = world.parts();
    let access = proxy.url().parse().unwrap();
    parts.accesses = vec![Access { below: access, client: client(), credential }];
    parts.databases[0].urls = vec![below(&proxy), world.fake.urls()[0].clone()];
    let sumdb = Sumdb::open(parts).await.unwrap();
    sumdb.refresh(&name()).await.unwrap();
    let asked = &proxy.seen()[0];
    assert_eq!(asked.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(asked.header("via"), Some("1.1 larder-test"));
    let direct = world.fake.requests();
    assert!(!direct.is_empty() && direct.iter().all(|seen| seen.header("authorization").is_none()));
    assert!(!format!("{sumdb:?}").contains("s3cret"));
}

#[tokio::test]
async fn paths_are_routed_to_the_longest_name_and_the_first_database_confirms() {
    let world = World::with(3).await;
    let mut parts = world.parts();
    let other = World::with(3).await.database();
    let short = LogName::parse("sum.example").unwrap();
    parts.databases = vec![Database { name: short.clone(), ..other }, world.database()];
    let sumdb = Sumdb::open(parts).await.unwrap();
    let path = |text: &str| -> SumdbPath {
        match Request::parse(&format!("/sumdb/{text}")).unwrap() {
            Request::Sumdb(path) => path,
            other => panic!("{other:?}"),
        }
    };
    let (routed, request) = sumdb.route(&path("sum.example/x/latest")).unwrap();
    assert_eq!((routed, request.unwrap()), (name(), SumdbRequest::Latest));
    let (routed, request) = sumdb.route(&path("sum.example/lookup/example.com/!m@v1.0.0")).unwrap();
    assert_eq!(routed, short);
    assert!(matches!(request.unwrap(), SumdbRequest::Lookup(_)));
    assert!(sumdb.route(&path("other.example/latest")).is_none());
    assert!(sumdb.route(&path("sum.example/lookup/main")).unwrap().1.is_err());
    assert_eq!(sumdb.databases(), [name(), short.clone()]);
    assert_eq!(sumdb.confirming(), Some(&short));
}

#[tokio::test]
async fn a_database_without_a_place_cannot_be_asked() {
    let world = World::with(3).await;
    let sumdb = open(&world, Vec::new()).await;
    let error = sumdb.refresh(&name()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}
