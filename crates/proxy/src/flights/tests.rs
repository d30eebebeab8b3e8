//! Flights without anything to fetch: joining, landing, leaving.

use std::sync::atomic::{AtomicUsize, Ordering};

use units::Timestamp;

use super::*;
use crate::{Clock, Config, Parts, Proxy};

pub(crate) async fn rooms() -> Arc<Rooms> {
    let environment = outbound::ProxyEnvironment::default();
    let client = outbound::Client::new(&outbound::Config::default(), &environment).unwrap();
    let store = store::Store::memory();
    let sumdb = sumdb::Sumdb::open(sumdb::Parts {
        databases: Vec::new(),
        client,
        accesses: Vec::new(),
        via: "test".into(),
        store: store.clone(),
        state: None,
        config: sumdb::Config::default(),
        clock: sumdb::Clock::new(|| Timestamp::from_unix_secs(0)),
    });
    let sumdb = sumdb.await.unwrap();
    let proxy = Proxy::new(Parts {
        config: Config { max_flights: 2, ..Config::default() },
        store,
        index: None,
        gate: Arc::new(upstream::Gate::new(
            policy::Private::default(),
            policy::Private::default(),
            Arc::new(upstream::Chain::new(Vec::new())),
            None,
        )),
        drifts: crate::Drifts::default(),
        sumdb,
        own: None,
        closed: None,
        private: policy::Private::new(Vec::new()),
        no_sumdb: policy::Private::new(Vec::new()),
        policy: policy::Policy::default(),
        clock: Clock::manual(Timestamp::from_unix_secs(0)),
        metrics: Metrics::default(),
        fill: tokio::runtime::Handle::current(),
    });
    Arc::clone(&proxy.rooms)
}

fn key() -> FlightKey {
    (Purpose::Fetch, Request::parse("/example.com/m/@v/list").unwrap())
}

fn nothing() -> Landing {
    Landing { entry: None, outcome: Outcome::Miss }
}

async fn landing(watch: &mut Watch) -> Result<Landing, Error> {
    match watch.progress(Duration::from_secs(10), &key().1).await? {
        Phase::Landed(result) => result,
        phase => panic!("not landed: {phase:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_caller_joins_the_first_ones_flight() {
    let rooms = rooms().await;
    let flown = Arc::new(AtomicUsize::new(0));
    let mut watches: Vec<Watch> = (0..50)
        .map(|_| {
            let flown = Arc::clone(&flown);
            join(&rooms, key(), |pilot| async move {
                flown.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                pilot.land_last(Ok(nothing()));
            })
        })
        .collect();
    for watch in &mut watches {
        landing(watch).await.unwrap();
    }
    assert_eq!(flown.load(Ordering::SeqCst), 1);
    assert_eq!(watches.iter().filter(|watch| watch.joined).count(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_whose_callers_all_left_flies_on() {
    let rooms = rooms().await;
    let flown = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&flown);
    drop(join(&rooms, key(), |pilot| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        counted.fetch_add(1, Ordering::SeqCst);
        pilot.land_last(Ok(nothing()));
    }));
    assert_eq!(rooms.flights.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(flown.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_work_is_a_fault_for_the_watchers_and_clears_the_table() {
    let rooms = rooms().await;
    let mut watch = join(&rooms, key(), |pilot| async move {
        assert!(!pilot.may_fetch(), "on purpose");
        drop(pilot);
    });
    let error = landing(&mut watch).await.unwrap_err();
    assert!(matches!(error, Error::Store { stopped: false, .. }), "{error:?}");
    rooms.flights.drain(Duration::from_secs(10)).await;
    assert!(rooms.flights.table().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_landing_counts() {
    let rooms = rooms().await;
    let mut watch = join(&rooms, key(), |pilot| async move {
        pilot.land(Ok(nothing()));
        pilot.land_last(Err(Error::fault("too late")));
    });
    landing(&mut watch).await.unwrap();
    rooms.flights.drain(Duration::from_secs(10)).await;
    landing(&mut watch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_after_a_last_landing_gets_a_flight_of_its_own() {
    let rooms = rooms().await;
    for _ in 0..200 {
        let mut watch = join(&rooms, key(), |pilot| async move { pilot.land_last(Ok(nothing())) });
        assert!(!watch.joined);
        landing(&mut watch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_limit_fetch_at_once_and_turns_are_fair() {
    let rooms = rooms().await;
    let (list, zip) = (Request::parse("/x.y/m/@v/list"), Request::parse("/x.y/m/@v/v1.0.0.zip"));
    let (list, zip) = (list.unwrap(), zip.unwrap());
    let first = rooms.flights.turn(&zip).await.unwrap();
    let _second = rooms.flights.turn(&zip).await.unwrap();
    let third = rooms.flights.turn(&zip);
    let mut third = std::pin::pin!(third);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut third).await.is_err());
    // Slow zips hold no list back.
    drop(rooms.flights.turn(&list).await.unwrap());
    drop(first);
    drop(third.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_does_not_end_is_counted_when_time_is_up() {
    let rooms = rooms().await;
    let watch = join(&rooms, key(), |pilot| async move {
        std::future::pending::<()>().await;
        drop(pilot);
    });
    assert_eq!(rooms.flights.drain(Duration::from_millis(20)).await, 1);
    drop(watch);
}
