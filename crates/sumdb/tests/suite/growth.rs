//! Whatever was provable stays so, from the store alone, however the log grows.

use std::collections::BTreeSet;

use sumdb::{Asking, Sumdb};
use testkit::Behaviour;
use tlog::{Lookup, Plan, Question, SignedHead, Tile, TreeHead};

use crate::world::{Dice, World, confirm, lookup, name, tile};

/// Plays a client: reads what its questions need, as tiles of exactly the head that it knows.
async fn client_reads(sumdb: &Sumdb, head: &TreeHead, questions: &[Question]) -> tlog::Reading {
    let plan = Plan::new(head, questions).unwrap();
    let mut tiles = Vec::new();
    for wanted in plan.tiles() {
        let bytes = tile(sumdb, &wanted.path(), Asking::Stored).await;
        tiles.push(bytes.unwrap_or_else(|error| panic!("{wanted} of {head:?}: {error}")));
    }
    plan.verify(&tiles).unwrap()
}

/// Random growth, then a world without network: every client that ever got an answer from us can
/// go on with any record that we ever gave.
async fn grows(seed: u64, advances: usize, most: u64) {
    let world = World::with(1).await;
    let mut dice = Dice::new(seed);
    let mut sumdb = world.open().await;
    let (mut heads, mut modules) = (Vec::new(), Vec::new());
    for step in 0..advances {
        // Small and large steps, and sizes around the edges of tiles.
        let size = world.fake.size();
        let by = match dice.below(4) {
            0 => 1 + dice.below(3),
            1 => (256 - size % 256) + dice.below(2),
            2 => 1 + dice.below(most / 16),
            _ => 1 + dice.below(most),
        };
        world.fake.fill(by);
        if dice.below(3) == 0 {
            let module = world.module(step);
            world.fake.fill(dice.below(600));
            confirm(&sumdb, &module).await.unwrap();
            modules.push(module);
        } else {
            sumdb.refresh(&name()).await.unwrap();
        }
        heads.push(sumdb.head(&name()).await.unwrap());
        if dice.below(20) == 0 {
            sumdb = world.open().await;
        }
    }
    world.fake.behave("*", Behaviour::new().status(500));
    let asked = world.fake.calls("*");
    let sumdb = world.open().await;
    let newest = sumdb.head(&name()).await.unwrap();
    assert_eq!(newest.size(), world.fake.size());
    for head in &heads {
        // A client whose `latest` is this one goes to our newest.
        let reading = client_reads(&sumdb, newest.head(), &[Question::Tree(head.size())]).await;
        reading.extends(head.head()).unwrap();
        // And one that has only this one reads its root tiles, as they were then.
        client_reads(&sumdb, head.head(), &[]).await;
    }
    for module in &modules {
        assert!(sumdb.proven(&name(), module).await.unwrap().is_some());
        let answer = lookup(&sumdb, module, Asking::Stored).await.unwrap();
        let answer = Lookup::parse(module, &answer).unwrap();
        let head = SignedHead::open(world.fake.key(), answer.message.as_bytes()).unwrap();
        assert_eq!(head, newest);
        // By the newest head and by any in between.
        let later: Vec<_> = heads.iter().filter(|head| head.size() > answer.id).collect();
        let some = later[usize::try_from(dice.below(later.len() as u64)).unwrap()];
        for head in [&newest, some, later[0]] {
            let reading = client_reads(&sumdb, head.head(), &[Question::Leaf(answer.id)]).await;
            reading.prove(answer.id, answer.record.clone()).unwrap();
        }
    }
    assert_eq!(world.fake.calls("*"), asked, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_proven_stays_provable_offline() {
    for seed in 1..=6 {
        grows(seed, 100, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stays_so_over_three_levels_of_tiles() {
    grows(7, 150, 2000).await;
}

#[tokio::test]
async fn growing_asks_for_the_right_edge_only() {
    let world = World::with(60_000).await;
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    for _ in 0..50 {
        world.fake.fill(100);
        sumdb.refresh(&name()).await.unwrap();
    }
    let tiles: BTreeSet<_> = world
        .fake
        .requests()
        .into_iter()
        .filter_map(|seen| Tile::parse(seen.path.trim_start_matches('/')).ok())
        .map(|tile| (tile.path(), tile))
        .map(|(path, _)| path)
        .collect();
    // Two levels, and now and then the tile that was completed.
    assert_eq!(world.fake.calls("/tile/*"), tiles.len() as u64, "each once");
    assert!(tiles.len() <= 51 * 3, "{}", tiles.len());
}
