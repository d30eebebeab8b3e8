//! Futures that are dropped at any await leave nothing half-done.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll::{Pending, Ready},
};

use sumdb::Asking;
use testkit::Behaviour;

use crate::world::{Dice, World, confirm, lookup, name};

/// Polls `work` so many times at the most, then drops it. `None`: it was not done by then.
async fn cut<T>(work: impl Future<Output = T>, mut polls: u64) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Ready(done) => Ready(Some(done)),
        Pending if polls == 0 => Ready(None),
        Pending => {
            polls -= 1;
            Pending
        }
    })
    .await
}

/// Two hundred times: a look-up or a refresh is cut off at a random moment, perhaps with a restart.
/// Heads only grow, and what was confirmed proves from the store afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_cut_off_anywhere_leaves_heads_growing_and_tiles_verifiable() {
    let mut world = World::with(3000).await;
    let folder = tempfile::tempdir().unwrap();
    let config = store::Config { fsync: false, ..store::Config::default() };
    world.store = store::Store::disk(&folder.path().join("data"), &config).unwrap();
    let file = folder.path().join("state.sqlite");
    world.state = Some(db::State::open(&file).await.unwrap());
    let mut dice = Dice::new(11);
    let mut sumdb = world.open().await;
    let (mut confirmed, mut size, mut cuts) = (Vec::new(), 0, 0);
    for round in 0..200 {
        let module = world.module(round);
        world.fake.fill(dice.below(400));
        let work = async {
            match round % 3 {
                0 => sumdb.refresh(&name()).await.map(drop),
                1 => lookup(&sumdb, &module, Asking::Anyone).await.map(drop),
                _ => confirm(&sumdb, &module).await,
            }
        };
        match cut(work, dice.below(40)).await {
            Some(done) => {
                done.unwrap();
                if round % 3 != 0 {
                    confirmed.push(module);
                }
            }
            None => cuts += 1,
        }
        let kept = world.kept_size().await.unwrap_or(0);
        assert!(kept >= size, "{round}: {kept} after {size}");
        size = kept;
        if dice.below(4) == 0 {
            sumdb = world.open().await;
        }
    }
    assert!(cuts > 20 && confirmed.len() > 20, "cut {cuts}, confirmed {}", confirmed.len());
    world.fake.behave("*", Behaviour::new().status(500));
    let sumdb = world.open().await;
    for module in &confirmed {
        assert!(sumdb.proven(&name(), module).await.unwrap().is_some(), "{module}");
        assert!(lookup(&sumdb, module, Asking::Stored).await.is_ok());
    }
    world.fake.be_honest();
    for round in 0..200 {
        confirm(&sumdb, &crate::world::unrecorded(round)).await.unwrap();
    }
}
