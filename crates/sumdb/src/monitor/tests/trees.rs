//! All that a log signs is of one tree, or it is told.

use super::*;
use tlog::{Checkpoint, Frontier, TreeHead};

/// The head of a tree that is not there.
fn nowhere(size: u64) -> TreeHead {
    TreeHead { size, root: [7; 32] }
}

fn checkpoint(fake: &FakeSumdb, head: TreeHead) -> String {
    signed(fake, Checkpoint { origin: fake.name().clone(), head }.text())
}

/// What the checkpoint of the present tree says.
fn present(fake: &FakeSumdb) -> TreeHead {
    let size = fake.size();
    SignedHead::open(fake.key(), fake.head(size).as_bytes()).unwrap().head().clone()
}

/// The notes of a finding's evidence.
fn notes(finding: &Finding) -> usize {
    let evidence = finding.evidence.as_ref().map(|evidence| evidence.text.as_str());
    evidence.unwrap_or_default().matches("\n\u{2014} sum.example/x ").count()
}

#[tokio::test]
async fn a_fork_is_told_in_each_round_and_never_believed() {
    let fake = log(500);
    let mut monitor = monitor(&fake, None);
    round(&mut monitor).await;
    let (head, before) = (monitor.kept().head.clone(), fake.history());
    fake.fork(300);
    for _round in 0..3 {
        fake.fill(100);
        let found = round(&mut monitor).await;
        assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Fork], 2));
        monitor.told();
        assert_eq!((&monitor.kept().head, monitor.kept().records()), (&head, 500));
    }
    // Back on the old tree it is still one.
    fake.restore(before);
    for _run in 0..2 {
        monitor = next(parts(&fake, None), &monitor);
        let found = round(&mut monitor).await;
        assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Fork], 2));
        monitor.told();
    }
}

#[tokio::test]
async fn a_larger_checkpoint_is_remembered() {
    let fake = log(700);
    fake.fill(200);
    serves(&fake, "/latest", fake.head(700));
    let mut monitor = monitor(&fake, None);
    assert_eq!(round(&mut monitor).await, []);
    assert_eq!(monitor.kept().size(), 700);
    monitor = next(parts(&fake, None), &monitor);
    fake.be_honest();
    let honest = fake.history();
    fake.fork(800);
    fake.fill(100);
    assert_eq!(fake.size(), 1001);
    let found = round(&mut monitor).await;
    assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Fork], 2), "{found:?}");
    // And what is honest is done with.
    let mut monitor = super::monitor(&fake, None);
    fake.restore(honest);
    serves(&fake, "/latest", fake.head(700));
    assert_eq!(round(&mut monitor).await, []);
    fake.be_honest();
    fake.fill(100);
    assert_eq!(round(&mut monitor).await, []);
    assert_eq!((monitor.kept().size(), monitor.kept().signed.len()), (1000, 0));
}

#[tokio::test]
async fn a_larger_checkpoint_of_another_tree_is_told_with_both_notes() {
    let fake = log(700);
    serves(&fake, "/checkpoint", checkpoint(&fake, nowhere(900)));
    let found = round(&mut monitor(&fake, None)).await;
    assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Checkpoint], 2));
    // Of one size, and smaller.
    for size in [700, 600] {
        serves(&fake, "/checkpoint", checkpoint(&fake, nowhere(size)));
        let found = round(&mut monitor(&fake, None)).await;
        assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Checkpoint], 2));
    }
}

#[tokio::test]
async fn a_head_that_was_shown_once_without_its_tree_is_not_forgotten() {
    for silent in [false, true] {
        let fake = log(700);
        let mut monitor = monitor(&fake, None);
        assert_eq!(round(&mut monitor).await, []);
        serves(&fake, "/latest", signed(&fake, nowhere(900).text()));
        if silent {
            fake.behave("/tile/*", Behaviour::new().status(503));
        }
        let found = round(&mut monitor).await;
        if !silent {
            assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Gap], 2));
        }
        assert_eq!((silent, monitor.trouble().is_empty()), (silent, !silent));
        monitor.told();
        fake.be_honest();
        for _run in 0..2 {
            monitor = next(parts(&fake, None), &monitor);
            let found = round(&mut monitor).await;
            assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Gap], 2));
            monitor.told();
        }
        fake.fill(300);
        assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Fork], "it is shown");
    }
}

#[tokio::test]
async fn an_old_replica_with_a_wrong_tile_is_stale_and_no_fork() {
    let fake = log(700);
    let mut monitor = monitor(&fake, None);
    assert_eq!(round(&mut monitor).await, []);
    fake.lie(Lie::OldLatest(600));
    fake.behave("/tile/8/0/002.p/188", Behaviour::new().body(vec![7; 188 * 32]));
    let found = round(&mut monitor).await;
    assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Stale], 2));
    assert!(found[0].what.contains("whether it is a fork cannot be told"), "{found:?}");
    monitor.told();
    fake.be_honest();
    assert_eq!(round(&mut monitor).await, [], "it was none");
}

/// A tree of 2^32 records that begins with those of the log, and goes on with nothing.
fn huge(fake: &FakeSumdb) -> TreeHead {
    let mut below = None;
    for level in 0..4 {
        let mut entries = vec![[7; 32]; 256];
        if let Some(root) = below {
            entries[0] = root;
        } else {
            let path = format!("{}/tile/8/0/000.p/{}", fake.url(), fake.size());
            let tile = testkit::get(&path).unwrap().body;
            for (entry, leaf) in entries.iter_mut().zip(tile.as_chunks().0) {
                *entry = *leaf;
            }
        }
        let mut tree = Frontier::new();
        for entry in &entries {
            tree.append(*entry);
        }
        below = Some(tree.root());
        serves(fake, &format!("/tile/8/{level}/000"), entries.concat());
    }
    let root = below.unwrap();
    serves(fake, "/tile/8/4/000.p/1", root.to_vec());
    TreeHead { size: 1 << 32, root }
}

#[tokio::test]
async fn a_head_of_more_records_than_can_be_held_is_told_and_not_followed() {
    let fake = log(200);
    let mut monitor = monitor(&fake, None);
    assert_eq!(round(&mut monitor).await, []);
    let head = huge(&fake);
    for shown in [true, false] {
        serves(&fake, "/latest", signed(&fake, head.text()));
        let found = round(&mut monitor).await;
        assert_eq!(kinds(&found)[0], Misbehaviour::Gap, "{shown}: {found:?}");
        let says = if shown { "promises more than 4294967294" } else { "cannot be shown" };
        assert!(found[0].what.contains(says) && notes(&found[0]) > 0, "{found:?}");
        assert_eq!(monitor.kept().size(), 200);
        fake.be_honest();
    }
    // The log goes on to be watched.
    monitor = next(parts(&fake, None), &monitor);
    add(&fake, 1, "zip");
    add(&fake, 1, "zip");
    let found = kinds(&round(&mut monitor).await);
    assert!(found.contains(&Misbehaviour::Duplicate), "{found:?}");
    assert_eq!(monitor.kept().records(), 202);
}

#[tokio::test]
async fn heads_from_elsewhere_must_be_of_the_tree() {
    let fake = log(700);
    let honest = fake.head(400);
    let before = fake.history();
    fake.fork(300);
    fake.fill(200);
    let forked = fake.head(500);
    let forked_checkpoint = checkpoint(&fake, present(&fake));
    fake.restore(before);
    let with = |notes: &[&str]| {
        let open = |note: &&str| Signed::open(fake.key(), note.as_bytes()).unwrap();
        begin(Parts { heads: notes.iter().map(open).collect(), ..parts(&fake, None) })
    };
    assert_eq!(round(&mut with(&[&honest])).await, []);
    let mut monitor = with(&[&honest, &forked]);
    let found = round(&mut monitor).await;
    assert_eq!((kinds(&found), notes(&found[0])), (vec![Misbehaviour::Fork], 2));
    monitor.told();
    // It is a fork for good, though it is not handed in again.
    monitor = next(parts(&fake, None), &monitor);
    assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Fork]);
    // One that is larger cannot be told yet, and is when the log has come so far.
    let mut monitor = with(&[&forked_checkpoint]);
    assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Gap]);
    monitor.told();
    fake.fill(300);
    monitor = next(parts(&fake, None), &monitor);
    assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Fork]);
    let stranger = FakeSumdb::start("stranger.example/x").unwrap();
    assert!(Signed::open(fake.key(), stranger.head(0).as_bytes()).is_err());
}

#[tokio::test]
async fn lines_below_the_root_of_a_checkpoint_are_told() {
    let fake = log(700);
    for (more, kind) in [("more\n", Misbehaviour::Extension), ("\n", Misbehaviour::Checkpoint)] {
        let text = Checkpoint { origin: fake.name().clone(), head: present(&fake) }.text();
        serves(&fake, "/checkpoint", signed(&fake, text + more));
        assert_eq!(kinds(&round(&mut monitor(&fake, None)).await), [kind], "{more:?}");
    }
}

#[tokio::test]
async fn an_empty_tree_has_one_root_or_the_old_one() {
    let fake = log(0);
    let empty = Frontier::new().root();
    for (root, want) in [(empty, vec![]), ([0; 32], vec![]), ([1; 32], vec![Misbehaviour::Head])] {
        serves(&fake, "/latest", signed(&fake, TreeHead { size: 0, root }.text()));
        assert_eq!(kinds(&round(&mut monitor(&fake, None)).await), want);
    }
}
