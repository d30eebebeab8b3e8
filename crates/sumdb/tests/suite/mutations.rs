//! Answers that were changed on the way, and rooms that are busy.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use store::Key;
use sumdb::{Asking, Error, Sumdb};
use testkit::{Behaviour, FakeSumdb};
use tlog::{LogName, Tile};

use crate::world::{Dice, World, ZIP, confirm, figure, lookup, name, tile, unrecorded};

/// Changes one byte, drops some, doubles some, or swaps two.
fn mutate(body: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut body = body.to_vec();
    let mut at = || usize::try_from(dice.below(body.len() as u64)).unwrap();
    let (one, two, kind) = (at(), at(), at() % 5);
    let (low, high) = (one.min(two), one.max(two));
    match kind {
        0 => body[one] ^= 1 << (two % 8),
        1 => body[one] = b"0123456789 \n+h="[two % 15],
        2 => drop(body.drain(low..high.min(low + 40))),
        3 => {
            let piece = body[low..high.min(low + 40)].to_vec();
            body.splice(low..low, piece);
        }
        _ => body.swap(one, two),
    }
    body
}

#[tokio::test]
async fn no_changed_answer_gives_another_record() {
    let world = World::with(300).await;
    let module = world.module(1);
    world.fake.fill(2000);
    confirm(&world.open().await, &module).await.unwrap();
    let expected = world.open().await.record(&module).await.unwrap();
    let (mut dice, mut refused) = (Dice::new(3), 0);
    for path in ["lookup/example.com/!mod@v1.0.1", "tile/8/0/001", "latest"] {
        let honest = testkit::get(&format!("{}/{path}", world.fake.url())).unwrap().body;
        for round in 0..200 {
            world.fake.be_honest();
            let changed = mutate(&honest, &mut dice);
            world.fake.behave(&format!("/{path}"), Behaviour::new().body(changed.clone()));
            let mut parts = world.parts();
            // As if for the first time.
            parts.store = store::Store::memory();
            parts.state = Some(db::State::memory().await.unwrap());
            let sumdb = Sumdb::open(parts).await.unwrap();
            match sumdb.record(&module).await {
                Ok(record) => assert_eq!(record.expected(), expected.expected(), "{round}"),
                Err(Error::Invalid { .. } | Error::Misbehaved { .. }) => refused += 1,
                Err(error) => panic!("{round}: {error:?}"),
            }
            assert_eq!(sumdb.frozen(), [], "{round}");
        }
    }
    assert!(refused > 250, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_ask_while_the_log_grows_are_all_answered_under_growing_heads() {
    let world = World::with(5000).await;
    let sumdb = world.open().await;
    let mut all = Vec::new();
    for number in 0..200 {
        let module = world.module(number);
        world.fake.fill(40);
        let sumdb = sumdb.clone();
        all.push(tokio::spawn(async move {
            let before = sumdb.head(&name()).await.map_or(0, |head| head.size());
            match number % 4 {
                0 => drop(sumdb.refresh(&name()).await.unwrap()),
                1 => drop(lookup(&sumdb, &module, Asking::Anyone).await.unwrap()),
                _ => confirm(&sumdb, &module).await.unwrap(),
            }
            let after = sumdb.head(&name()).await.unwrap().size();
            assert!(after >= before && after > 0);
        }));
        tokio::task::yield_now().await;
    }
    for done in join_all(all).await {
        done.unwrap();
    }
    let size = sumdb.refresh(&name()).await.unwrap().size();
    assert_eq!((size, world.kept_size().await), (world.fake.size(), Some(size)));
    assert_eq!(sumdb.frozen(), []);
    assert_eq!(figure(&sumdb, "sumdb_lookups_total{outcome=\"found\"}"), 150);
}

#[tokio::test]
async fn two_databases_do_not_mix() {
    let world = World::with(1000).await;
    let other = FakeSumdb::start("sum.example").unwrap();
    other.fill(700);
    let mut parts = world.parts();
    let mut second = world.database();
    (second.name, second.key, second.urls) =
        (other.name().clone(), other.key().clone(), other.urls());
    parts.databases.push(second);
    let sumdb = Sumdb::open(parts).await.unwrap();
    let path = "tile/8/0/001".to_owned();
    let request = gomod::SumdbRequest::Tile(path.clone());
    // The fillers of both are the same records.
    other.fork(300);
    let ours = tile(&sumdb, &path, Asking::Anyone).await.unwrap();
    let theirs = sumdb.answer(other.name(), &request, Asking::Anyone).await.unwrap();
    assert_ne!(ours, theirs);
    assert_eq!(tile(&sumdb, &path, Asking::Stored).await.unwrap(), ours);
    let tile = Tile::parse(&path).unwrap();
    for name in [name(), other.name().clone()] {
        assert!(world.is_stored(&Key::Tile(&name, tile)).await, "{name}");
    }
    assert_eq!(sumdb.head(other.name()).await.unwrap().size(), 701);
    let stranger = LogName::parse("sum.example/y").unwrap();
    assert!(!world.is_stored(&Key::Tile(&stranger, tile)).await);
}

#[tokio::test]
async fn all_kinds_of_versions_are_looked_up() {
    let world = World::with(10).await;
    let sumdb = world.open().await;
    for (path, version) in [
        ("golang.org/toolchain", "v0.0.1-go1.27.3.linux-amd64"),
        ("github.com/Azure/X", "v3.2.1+incompatible"),
        ("gopkg.in/yaml.v3", "v3.0.1"),
        ("example.com/a/v2", "v2.0.0-20240506070809-abcdefabcdef"),
        ("example.com/~a_b-c", "v1.0.0-RC1"),
    ] {
        world.fake.add(path, version, ZIP, ZIP);
        let module = gomod::ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap();
        let record = sumdb.record(&module).await.unwrap();
        assert_eq!(record.expected(), Some((ZIP, ZIP)), "{module}");
        assert!(world.open().await.proven(&name(), &module).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn figures_are_there_from_the_start() {
    let world = World::with(1).await;
    let sumdb = world.open().await;
    for (series, outcomes) in [
        ("sumdb_lookups_total{outcome=", &["found", "absent", "failed"][..]),
        ("sumdb_tile_fetches_total{outcome=", &["found", "absent", "failed"]),
        (
            "sumdb_confirmations_total{outcome=",
            &["confirmed", "mismatch", "first_use", "exempt", "off"],
        ),
        (
            "sumdb_incidents_total{kind=",
            &["fork", "rollback", "forged", "wrong_record", "extension"],
        ),
        ("sumdb_frozen{database=", &["sum.example/x"]),
        ("sumdb_tree_size{database=", &["sum.example/x"]),
    ] {
        for outcome in outcomes {
            assert_eq!(figure(&sumdb, &format!("{series}\"{outcome}\"}}")), 0);
        }
    }
    let error = sumdb.record_now(&unrecorded(1)).await.unwrap_err();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    assert_eq!(figure(&sumdb, "sumdb_lookups_total{outcome=\"absent\"}"), 1);
    let answers: BTreeSet<_> = world.fake.requests().into_iter().map(|seen| seen.path).collect();
    assert!(answers.contains("/lookup/example.com/!mod@v1.0.1"), "{answers:?}");
}
