//! Tree heads: only growing, of one tree, and frozen when they are not.

use std::time::Duration;

use sumdb::{Asking, Error};
use testkit::{Behaviour, Lie};
use tlog::SignedHead;

use crate::world::{World, confirm, figure, latest, lookup, name, tile, unrecorded};

async fn size(sumdb: &sumdb::Sumdb) -> Option<u64> {
    sumdb.head(&name()).await.map(|head| head.size())
}

#[tokio::test]
async fn the_head_follows_the_log_and_survives_a_restart() {
    let world = World::with(100).await;
    let sumdb = world.open().await;
    assert_eq!(size(&sumdb).await, None);
    assert_eq!(sumdb.refresh(&name()).await.unwrap().size(), 100);
    world.fake.fill(400);
    assert_eq!(size(&sumdb).await, Some(100));
    assert_eq!(sumdb.refresh(&name()).await.unwrap().size(), 500);
    assert_eq!(size(&world.open().await).await, Some(500));
    assert_eq!(figure(&sumdb, "sumdb_tree_size{database=\"sum.example/x\"}"), 500);
    assert_eq!(figure(&sumdb, "sumdb_heads_advanced_total"), 2);
}

#[tokio::test]
async fn an_empty_log_has_no_head_to_keep() {
    let world = World::with(0).await;
    let sumdb = world.open().await;
    let error = sumdb.refresh(&name()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(world.kept_size().await, None);
    confirm(&sumdb, &world.module(1)).await.unwrap();
    assert_eq!(world.kept_size().await, Some(1));
}

#[tokio::test]
async fn a_database_without_latest_is_followed_by_its_look_ups() {
    let world = World::with(100).await;
    world.fake.behave("/latest", Behaviour::new().status(404));
    let sumdb = world.open().await;
    for number in 0..5 {
        confirm(&sumdb, &world.module(number)).await.unwrap();
        world.fake.fill(300);
    }
    assert_eq!(world.kept_size().await, Some(1305));
    assert!(world.fake.calls("/latest") <= 1, "not again within the second");
}

#[tokio::test]
async fn many_heads_lead_to_few_questions_for_the_newest() {
    let world = World::with(1000).await;
    let modules: Vec<_> = (0..40).map(|number| world.module(number)).collect();
    let sumdb = world.open().await;
    for module in &modules {
        world.fake.fill(10);
        confirm(&sumdb, module).await.unwrap();
    }
    // The clock stands still: once at the beginning; then the heads of the look-ups are merged.
    assert_eq!(world.fake.calls("/latest"), 1);
    assert_eq!(size(&sumdb).await, Some(world.fake.size()));
    world.clock.advance(Duration::from_secs(1));
    world.fake.fill(10);
    confirm(&sumdb, &world.module(99)).await.unwrap();
    assert_eq!(world.fake.calls("/latest"), 2);
}

#[tokio::test]
async fn an_older_consistent_head_is_accepted_and_never_kept() {
    let world = World::with(700).await;
    let module = world.module(1);
    world.fake.fill(2000);
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    world.fake.lie(Lie::OldHeads(1500));
    confirm(&sumdb, &module).await.unwrap();
    assert_eq!((size(&sumdb).await, world.kept_size().await), (Some(2701), Some(2701)));
    assert_eq!(sumdb.frozen(), []);
    // It is checked once; what it needs was kept.
    let asked = world.fake.calls("/tile/*");
    let second = world.module(2);
    world.fake.be_honest();
    world.fake.lie(Lie::OldHeads(2702));
    world.clock.advance(Duration::from_secs(5));
    confirm(&sumdb, &second).await.unwrap();
    assert!(world.fake.calls("/tile/*") <= asked + 2, "the right edge of the newer tree only");
}

#[tokio::test]
async fn a_replica_that_lacks_tiles_of_our_tree_is_no_authority_on_records() {
    let world = World::with(700).await;
    let module = world.module(1);
    world.fake.fill(2000);
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    world.fake.lie(Lie::Rollback(1500));
    let error = sumdb.record(&module).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("tile/8/0/005"), "{error}");
    world.fake.be_honest();
    confirm(&sumdb, &module).await.unwrap();
}

#[tokio::test]
async fn a_newest_head_that_goes_back_is_told_once_for_each_size() {
    let world = World::with(2000).await;
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    for (old, told) in [(1500, 1), (1500, 1), (3, 2), (1500, 2), (0, 3)] {
        world.fake.be_honest();
        world.fake.lie(Lie::OldLatest(old));
        assert_eq!(sumdb.refresh(&name()).await.unwrap().size(), 2000);
        assert_eq!(figure(&sumdb, "sumdb_incidents_total{kind=\"rollback\"}"), told);
    }
    let text = world.evidence("sumdb/sum.example/x/rollback-1500.txt").await;
    for part in ["size 2000", "size 1500", "known before", "seen now"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(sumdb.frozen(), []);
    assert_eq!(world.kept_size().await, Some(2000));
}

/// Forks a log of 3,000 records at a record, and asks in the way given.
async fn forked(at: u64, more: u64) -> (World, gomod::ModVer, Error) {
    let world = World::with(1000).await;
    let known = world.module(1);
    world.fake.fill(1999);
    let sumdb = world.open().await;
    confirm(&sumdb, &known).await.unwrap();
    // One record more comes with the fork itself.
    world.fake.fork(at);
    world.fake.fill(more);
    let module = world.module(2);
    let error = sumdb.record(&module).await.unwrap_err();
    (world, known, error)
}

#[tokio::test]
async fn a_fork_freezes_the_database_and_leaves_evidence() {
    for at in [0, 5, 1500, 2999] {
        let (world, known, error) = forked(at, 500).await;
        let Error::Misbehaved { evidence: Some(evidence), reason, .. } = &error else {
            panic!("{at}: {error:?}")
        };
        assert!(reason.starts_with("fork: "), "{reason}");
        let text = world.evidence(evidence).await;
        assert!(text.contains("known before, size 3000"), "{text}");
        let notes = text.matches("go.sum database tree\n").count();
        assert_eq!((notes, text.contains("tile/8/0/")), (2, true), "{text}");
        // Whoever reads it can check both signatures.
        for note in text.split("---\n").skip(1).take(2) {
            let note = note.split("\n---").next().unwrap();
            let note = note.trim_end().to_owned() + "\n";
            SignedHead::open(world.fake.key(), note.as_bytes()).unwrap();
        }

        let sumdb = world.open().await;
        assert_eq!(sumdb.frozen(), [(name(), evidence.clone())]);
        let asked = world.fake.calls("*");
        for module in [unrecorded(2), unrecorded(3)] {
            let error = sumdb.record(&module).await.unwrap_err();
            assert!(matches!(&error, Error::Frozen { evidence: told, .. } if told == evidence));
            let error = lookup(&sumdb, &module, Asking::Anyone).await.unwrap_err();
            assert!(matches!(error, Error::Frozen { .. }), "{error:?}");
        }
        assert!(matches!(sumdb.refresh(&name()).await, Err(Error::Frozen { .. })));
        // What is stored goes on, and the last good head with it.
        confirm(&sumdb, &known).await.unwrap();
        assert!(lookup(&sumdb, &known, Asking::Anyone).await.is_ok());
        assert!(latest(&sumdb, Asking::Anyone).await.is_ok());
        assert_eq!((size(&sumdb).await, world.kept_size().await), (Some(3000), Some(3000)));
        assert_eq!(world.fake.calls("*"), asked, "nobody is asked any more");
        assert_eq!(figure(&sumdb, "sumdb_frozen{database=\"sum.example/x\"}"), 1);
    }
}

#[tokio::test]
async fn a_fork_is_no_matter_of_first_use() {
    let (mut world, _known, _error) = forked(100, 100).await;
    world.config.mode = sumdb::Mode::TrustOnFirstUse;
    let error = world.open().await.record(&unrecorded(2)).await.unwrap_err();
    assert!(matches!(error, Error::Frozen { .. }), "{error:?}");
}

#[tokio::test]
async fn a_fork_does_not_overwrite_tiles_of_the_good_tree() {
    let (world, known, _error) = forked(5, 5000).await;
    world.fake.behave("*", Behaviour::new().status(500));
    assert!(world.open().await.proven(&name(), &known).await.unwrap().is_some());
}

#[tokio::test]
async fn forks_of_the_same_size_and_shorter_ones_are_forks() {
    for shorter in [0, 1, 100] {
        let world = World::with(1000).await;
        let module = world.module(1);
        world.fake.fill(1999);
        let sumdb = world.open().await;
        sumdb.refresh(&name()).await.unwrap();
        world.fake.fork(500);
        world.fake.lie(Lie::OldHeads(3000 - shorter));
        let error = sumdb.record(&module).await.unwrap_err();
        assert!(matches!(error, Error::Misbehaved { .. }), "{shorter}: {error:?}");
        assert_eq!(sumdb.frozen().len(), 1, "{shorter}");
        assert_eq!(figure(&sumdb, "sumdb_incidents_total{kind=\"fork\"}"), 1);
    }
}

#[tokio::test]
async fn two_heads_of_one_size_need_no_tiles_to_contradict_each_other() {
    let mut world = World::with(3000).await;
    world.open().await.refresh(&name()).await.unwrap();
    world.store = store::Store::memory();
    world.fake.fork(500);
    world.fake.lie(Lie::OldLatest(3000));
    world.fake.behave("/tile/*", Behaviour::new().status(500));
    let sumdb = world.open().await;
    let error = sumdb.refresh(&name()).await.unwrap_err();
    assert!(matches!(error, Error::Misbehaved { .. }), "{error:?}");
    assert_eq!(sumdb.frozen().len(), 1);
}

#[tokio::test]
async fn a_fork_that_our_own_tiles_cannot_show_is_refused_all_the_same() {
    let world = World::with(1000).await;
    let module = world.module(1);
    world.fake.fill(1999);
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    world.fake.fork(500);
    // To compute our tree's root at this size takes a tile that only the forked log would give.
    world.fake.lie(Lie::OldHeads(2300));
    let error = sumdb.record(&module).await.unwrap_err();
    assert!(matches!(error, Error::Misbehaved { .. }), "{error:?}");
    assert_eq!(sumdb.frozen(), []);
}

#[tokio::test]
async fn a_shorter_fork_in_latest_is_a_fork_and_no_rollback() {
    let world = World::with(3000).await;
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    world.fake.fork(10);
    world.fake.lie(Lie::OldLatest(2900));
    let error = sumdb.refresh(&name()).await.unwrap_err();
    assert!(matches!(error, Error::Misbehaved { .. }), "{error:?}");
    assert_eq!(figure(&sumdb, "sumdb_incidents_total{kind=\"rollback\"}"), 0);
}

#[tokio::test]
async fn a_thawed_database_is_believed_again() {
    let (world, _known, _error) = forked(100, 100).await;
    let state = world.state.as_ref().unwrap();
    assert!(state.thaw_sumdb(name().as_str()).await.unwrap());
    let sumdb = world.open().await;
    assert_eq!(sumdb.frozen(), []);
    // The fork is still told, and found again.
    let error = sumdb.record(&unrecorded(2)).await.unwrap_err();
    assert!(matches!(error, Error::Misbehaved { .. }), "{error:?}");
}

#[tokio::test]
async fn lines_below_a_head_are_told_and_ignored() {
    let world = World::with(100).await;
    world.fake.lie(Lie::Extension);
    let sumdb = world.open().await;
    confirm(&sumdb, &world.module(1)).await.unwrap();
    assert!(figure(&sumdb, "sumdb_incidents_total{kind=\"extension\"}") >= 1);
    assert_eq!(sumdb.frozen(), []);
}

#[tokio::test]
async fn a_head_that_somebody_else_advanced_is_taken_over() {
    let world = World::with(1000).await;
    let (one, two) = (world.open().await, world.open().await);
    one.refresh(&name()).await.unwrap();
    world.fake.fill(500);
    two.refresh(&name()).await.unwrap();
    world.fake.fill(500);
    assert_eq!(one.refresh(&name()).await.unwrap().size(), 2000);
    assert_eq!(two.refresh(&name()).await.unwrap().size(), 2000);
    // Frozen by the one, frozen for the other as soon as it wants to go on.
    world.fake.fork(10);
    world.fake.fill(10);
    assert!(one.refresh(&name()).await.is_err());
    world.fake.fill(10);
    assert!(two.refresh(&name()).await.is_err());
    assert_eq!(two.frozen().len(), 1);
}

#[tokio::test]
async fn partial_tiles_that_were_withdrawn_are_cut_from_full_ones() {
    let world = World::with(1000).await;
    let sumdb = world.open().await;
    sumdb.refresh(&name()).await.unwrap();
    world.fake.fill(5000);
    world.fake.lie(Lie::NoPartials);
    // Our head is of size 1000, and its tiles were not all asked for: the partial one is gone.
    let cut = tile(&sumdb, "tile/8/0/003.p/100", Asking::Anyone).await.unwrap();
    assert_eq!(cut.len(), 3200);
    let world = World::with(1000).await;
    let module = world.module(1);
    world.fake.behave("/latest", Behaviour::new().body(world.fake.head(1001)));
    world.fake.fill(5000);
    world.fake.lie(Lie::NoPartials);
    let sumdb = world.open().await;
    assert_eq!(sumdb.refresh(&name()).await.unwrap().size(), 1001);
    assert_eq!(world.fake.calls("/tile/8/0/003"), 1);
    confirm(&sumdb, &module).await.unwrap();
}
