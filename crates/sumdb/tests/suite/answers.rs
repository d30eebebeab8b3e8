//! What clients are answered.

use std::time::Duration;

use gomod::SumdbRequest;
use sumdb::{Asking, Error};
use testkit::{Behaviour, Lie};
use tlog::{LogName, Lookup, SignedHead, split_data_tile};

use crate::world::{World, confirm, latest, lookup, name, tile, unrecorded};

#[tokio::test]
async fn a_look_up_comes_with_the_newest_head_that_was_verified() {
    let world = World::with(300).await;
    let module = world.module(1);
    let sumdb = world.open().await;
    let first = lookup(&sumdb, &module, Asking::Anyone).await.unwrap();
    let direct = testkit::get(&format!("{}/lookup/example.com/!mod@v1.0.1", world.fake.url()));
    assert_eq!(first, direct.unwrap().body);
    world.fake.fill(100);
    sumdb.refresh(&name()).await.unwrap();
    world.fake.behave("*", Behaviour::new().status(500));
    for sumdb in [sumdb, world.open().await] {
        for asking in [Asking::Stored, Asking::Anyone] {
            let again = lookup(&sumdb, &module, asking).await.unwrap();
            let parsed = Lookup::parse(&module, &again).unwrap();
            let head = SignedHead::open(world.fake.key(), parsed.message.as_bytes()).unwrap();
            assert_eq!((parsed.id, head.size()), (300, 401));
        }
    }
}

#[tokio::test]
async fn who_asks_for_what_is_stored_asks_nobody() {
    let world = World::with(300).await;
    let module = world.module(1);
    let sumdb = world.open().await;
    for error in [
        lookup(&sumdb, &module, Asking::Stored).await.unwrap_err(),
        tile(&sumdb, "tile/8/0/000", Asking::Stored).await.unwrap_err(),
        tile(&sumdb, "tile/8/data/000", Asking::Stored).await.unwrap_err(),
        latest(&sumdb, Asking::Stored).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(world.fake.calls("*"), 0);
}

#[tokio::test]
async fn absence_is_told_verbatim_and_kept_for_ten_seconds() {
    let world = World::with(300).await;
    let sumdb = world.open().await;
    world.fake.behave("/lookup/*", Behaviour::new().status(410).body("gone: for good\n"));
    for (secs, asked) in [(0, 1), (9, 1), (1, 2)] {
        world.clock.advance(Duration::from_secs(secs));
        let error = lookup(&sumdb, &unrecorded(1), Asking::Anyone).await.unwrap_err();
        let text = Some("gone: for good".to_owned());
        assert_eq!(error, Error::NotFound { status: 410, text });
        assert_eq!(world.fake.calls("/lookup/*"), asked);
    }
    // What is found for the room itself ends it.
    world.fake.be_honest();
    world.record(&unrecorded(1));
    confirm(&sumdb, &unrecorded(1)).await.unwrap();
    assert!(lookup(&sumdb, &unrecorded(1), Asking::Anyone).await.is_ok());
}

#[tokio::test]
async fn tiles_are_verified_and_cut_to_the_width_asked_for() {
    let world = World::with(70_000).await;
    let sumdb = world.open().await;
    for path in [
        "tile/8/0/000",
        "tile/8/0/000.p/1",
        "tile/8/0/200.p/77",
        "tile/8/0/273.p/112",
        "tile/8/1/000.p/255",
        "tile/8/1/001.p/17",
        "tile/8/2/000.p/1",
    ] {
        let direct = testkit::get(&format!("{}/{path}", world.fake.url())).unwrap();
        assert_eq!(tile(&sumdb, path, Asking::Anyone).await.unwrap(), direct.body, "{path}");
        let asked = world.fake.calls("*");
        assert_eq!(tile(&sumdb, path, Asking::Stored).await.unwrap(), direct.body, "{path}");
        let restarted = world.open().await;
        assert_eq!(tile(&restarted, path, Asking::Stored).await.unwrap(), direct.body, "{path}");
        assert_eq!(world.fake.calls("*"), asked);
    }
    assert_eq!(world.fake.calls("/tile/8/0/000*"), 1 + 2, "ours, once full, and the direct ones");
}

#[tokio::test]
async fn a_tile_beyond_our_head_makes_us_ask_for_a_newer_one() {
    let world = World::with(300).await;
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    world.fake.fill(100);
    assert_eq!(tile(&sumdb, "tile/8/0/001.p/144", Asking::Anyone).await.unwrap().len(), 144 * 32);
    assert_eq!(world.kept_size().await, Some(400));
    for beyond in ["tile/8/0/001.p/145", "tile/8/0/001", "tile/8/0/002.p/1", "tile/8/1/001.p/1"] {
        let error = tile(&sumdb, beyond, Asking::Anyone).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { status: 404, .. }), "{beyond}: {error:?}");
    }
    world.fake.behave("*", Behaviour::new().status(500));
    let error = tile(&sumdb, "tile/8/0/002.p/1", Asking::Anyone).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn data_tiles_are_held_against_the_leaves() {
    let world = World::with(600).await;
    let sumdb = world.open().await;
    let path = "tile/8/data/001";
    let data = tile(&sumdb, path, Asking::Anyone).await.unwrap();
    assert_eq!(split_data_tile(&data, 256).unwrap().len(), 256);
    let cut = tile(&world.open().await, "tile/8/data/001.p/7", Asking::Stored).await.unwrap();
    assert_eq!(split_data_tile(&cut, 7).unwrap().len(), 7);
    assert!(data.starts_with(&cut));
    let text = String::from_utf8(data.to_vec()).unwrap();
    for (body, width) in [
        (text.replacen("h1:", "h1:A", 1), 256),
        (text.replacen("\n\n", "\n", 1), 256),
        (text.clone() + "\n", 256),
        (String::new(), 256),
    ] {
        let path = format!("tile/8/data/000{}", if width == 256 { "" } else { ".p/1" });
        world.fake.behave(&format!("/{path}"), Behaviour::new().body(body));
        let error = tile(&sumdb, &path, Asking::Anyone).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(tile(&sumdb, &path, Asking::Stored).await.is_err());
    }
    // Another page of records is another tile's.
    world.fake.behave("/tile/8/data/000", Behaviour::new().body(text));
    assert!(tile(&sumdb, "tile/8/data/000", Asking::Anyone).await.is_err());
}

#[tokio::test]
async fn the_newest_head_is_asked_for_every_half_minute_and_else_is_ours() {
    let world = World::with(300).await;
    let sumdb = world.open().await;
    let size = async |asking| {
        let note = latest(&sumdb, asking).await.unwrap();
        SignedHead::open(world.fake.key(), &note).unwrap().size()
    };
    assert_eq!(size(Asking::Anyone).await, 300);
    world.fake.fill(1);
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(size(Asking::Anyone).await, 300);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(size(Asking::Stored).await, 300);
    assert_eq!(size(Asking::Anyone).await, 301);
    assert_eq!(world.fake.calls("/latest"), 2);
    world.fake.lie(Lie::BadSignature);
    for trouble in [500, 404, 200] {
        world.fake.behave("/latest", Behaviour::new().status(trouble));
        world.clock.advance(Duration::from_mins(1));
        assert_eq!(size(Asking::Anyone).await, 301, "{trouble}");
    }
    let unseen = World::with(300).await;
    unseen.fake.behave("*", Behaviour::new().status(500));
    let error = latest(&unseen.open().await, Asking::Anyone).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_question_is_malformed() {
    let world = World::with(3).await;
    let sumdb = world.open().await;
    let other = LogName::parse("other.example").unwrap();
    for (database, request) in [
        (name(), SumdbRequest::Supported),
        (name(), SumdbRequest::Tile("tile/8/0/x".to_owned())),
        (name(), SumdbRequest::Tile("tile/8/8/000".to_owned())),
        (other.clone(), SumdbRequest::Latest),
    ] {
        let error = sumdb.answer(&database, &request, Asking::Anyone).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{request:?}: {error:?}");
    }
    assert!(matches!(sumdb.refresh(&other).await, Err(Error::Malformed { .. })));
    assert_eq!(sumdb.head(&other).await, None);
    assert_eq!(world.fake.calls("*"), 0);
}
