//! Every lie of the database is found, and nothing of it kept.

use store::Key;
use sumdb::{Asking, Error};
use testkit::Lie;
use tlog::Tile;

use crate::world::{World, confirm, figure, lookup, name, tile, unrecorded};

/// A log in which a leaf's tile is no root tile, and several root subtrees lie in one tile.
async fn world() -> World {
    let world = World::with(300).await;
    world.record(&unrecorded(1));
    world.fake.fill(70_000);
    world
}

#[tokio::test]
async fn each_lie_about_a_record_is_refused_and_nothing_of_it_kept() {
    let world = world().await;
    let module = unrecorded(1);
    confirm(&world.open().await, &world.module(2)).await.unwrap();
    for (lie, kind) in [
        (Lie::WrongHash, "wrong_record"),
        (Lie::OtherModule, "wrong_record"),
        (Lie::ExtensionHashes, "wrong_record"),
        (Lie::ForgedTiles(0), "forged"),
        (Lie::ForgedTiles(1), "forged"),
        (Lie::ForgedTiles(7), "forged"),
    ] {
        world.fake.be_honest();
        world.fake.lie(lie.clone());
        let sumdb = world.open().await;
        let error = sumdb.record(&module).await.unwrap_err();
        assert!(matches!(error, Error::Misbehaved { .. }), "{lie:?}: {error:?}");
        let series = format!("sumdb_incidents_total{{kind=\"{kind}\"}}");
        assert_eq!(figure(&sumdb, &series), 1, "{lie:?}");
        assert!(!world.is_stored(&Key::Record(&name(), &module)).await, "{lie:?}");
        assert!(lookup(&sumdb, &module, Asking::Stored).await.is_err(), "{lie:?}");
        assert_eq!(sumdb.frozen(), [], "{lie:?}");
        // The same room, told the truth, goes on.
        world.fake.be_honest();
        confirm(&sumdb, &module).await.unwrap();
        world.store.remove(&Key::Record(&name(), &module)).await.unwrap();
        let leaf = Tile::parse("tile/8/0/001").unwrap();
        world.store.remove(&Key::Tile(&name(), leaf)).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_below_a_good_signature_is_kept_as_evidence_once() {
    let world = world().await;
    let module = unrecorded(1);
    world.fake.lie(Lie::OtherModule);
    let sumdb = world.open().await;
    for _ in 0..2 {
        let error = sumdb.record(&module).await.unwrap_err();
        let Error::Misbehaved { evidence: Some(evidence), reason, .. } = error else {
            panic!("{error:?}")
        };
        assert!(reason.contains("does not belong to"), "{reason}");
        assert_eq!(evidence, "sumdb/sum.example/x/record/example.com/!mod@v1.0.1.txt");
        let text = world.evidence(&evidence).await;
        for part in ["database: sum.example/x", "filler.example/m v0.0.1 h1:", "go.sum database"] {
            assert!(text.contains(part), "{text}");
        }
    }
    // Whoever cannot sign accuses nobody.
    let other = world.module(2);
    world.fake.lie(Lie::BadSignature);
    let error = sumdb.record(&other).await.unwrap_err();
    assert!(matches!(error, Error::Misbehaved { evidence: None, .. }), "{error:?}");
}

#[tokio::test]
async fn what_the_key_did_not_sign_is_refused() {
    let world = world().await;
    for lie in [Lie::BadSignature, Lie::UnknownSigner] {
        world.fake.be_honest();
        world.fake.lie(lie.clone());
        let sumdb = world.open().await;
        let error = sumdb.record(&unrecorded(1)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{lie:?}: {error:?}");
        let error = sumdb.refresh(&name()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{lie:?}: {error:?}");
        assert_eq!(world.kept_size().await, None, "{lie:?}");
    }
}

#[tokio::test]
async fn a_turned_bit_in_any_tile_is_found() {
    let world = world().await;
    for level in 0..3 {
        world.fake.be_honest();
        world.fake.lie(Lie::BrokenTiles(level));
        let sumdb = world.open().await;
        let error = sumdb.record(&unrecorded(1)).await.unwrap_err();
        assert!(matches!(error, Error::Misbehaved { .. }), "{level}: {error:?}");
        assert!(error.to_string().contains("inconsistent"), "{error}");
        assert_eq!(world.kept_size().await, None, "{level}");
        assert!(tile(&sumdb, "tile/8/0/001", Asking::Anyone).await.is_err(), "{level}");
    }
}

#[tokio::test]
async fn answers_of_another_form_are_refused() {
    let world = world().await;
    let long = vec![b'x'; tlog::MAX_MESSAGE_BYTES + 1];
    for body in [b"".to_vec(), b"1\n".to_vec(), b"<html>".to_vec(), b"\xff\n\n".to_vec(), long] {
        world.fake.be_honest();
        world.fake.behave("/lookup/*", testkit::Behaviour::new().body(body.clone()));
        let sumdb = world.open().await;
        let error = sumdb.record(&unrecorded(1)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        world.fake.behave("/latest", testkit::Behaviour::new().body(body));
        let error = sumdb.refresh(&name()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    }
    for len in [0, 8191, 8193] {
        world.fake.be_honest();
        world.fake.behave("/tile/8/0/001", testkit::Behaviour::new().body(vec![0; len]));
        let error = world.open().await.record(&unrecorded(1)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{len}: {error:?}");
    }
}
