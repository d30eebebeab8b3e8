//! A log, or the other database, that does not answer hides nothing by it.

use super::*;

/// 1001 records, one of them twice: 300 has the name of 5.
fn doubled() -> FakeSumdb {
    let fake = log(300);
    fake.add("filler.example/m", "v0.0.6", &h1_of_mod(b"a"), &h1_of_mod(b"b"));
    fake.fill(700);
    fake
}

/// Lets the clock stand so many seconds after its beginning.
fn clocked(parts: Parts, max_age: Duration) -> (Parts, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(1_700_000_000));
    let hands = Arc::clone(&now);
    let clock = Clock::new(move || Timestamp::from_unix_secs(hands.load(Ordering::SeqCst)));
    (Parts { clock, max_age: Some(max_age), ..parts }, now)
}

#[tokio::test]
async fn a_tile_that_is_not_answered_hides_nothing_before_or_behind_it() {
    for status in [401, 403, 429, 500, 503] {
        for tile in ["/tile/8/data/000", "/tile/8/data/003.p/233", "/tile/8/data/003*"] {
            let fake = doubled();
            fake.behave(tile, Behaviour::new().status(status));
            let mut monitor = monitor(&fake, None);
            let found = round(&mut monitor).await;
            let trouble = monitor.trouble();
            assert!(matches!(trouble, [Error::Unavailable { .. }]), "{status} {tile}: {trouble:?}");
            // With 000 the duplicate is found when that is shown at last.
            let at_once = if tile.contains("000") { vec![] } else { vec![Misbehaviour::Duplicate] };
            assert_eq!(kinds(&found), at_once, "{status} {tile}");
            assert!((233..=256).contains(&monitor.kept().unjudged()));
            assert_eq!(monitor.kept().records(), 1001);
            fake.be_honest();
            let mut monitor = next(parts(&fake, None), &monitor);
            let found = round(&mut monitor).await;
            let later = if at_once.is_empty() { vec![Misbehaviour::Duplicate] } else { vec![] };
            assert_eq!(kinds(&found), later, "{status} {tile}");
            assert_eq!((monitor.trouble(), monitor.kept().unjudged()), (&[][..], 0));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_gap() {
    let long = |bytes: u64| Behaviour::new().body(vec![b'x'; usize::try_from(bytes).unwrap()]);
    for (path, behaviour, unjudged) in [
        ("/tile/8/data/003*", Behaviour::html(), 233),
        ("/tile/8/data/003*", long(MAX_QUICK_BYTES + 1), 233),
        ("/tile/8/data/003*", long(MAX_DATA_TILE_BYTES), 233),
        ("/tile/8/data/003*", long(MAX_DATA_TILE_BYTES + 1), 233),
        ("/tile/8/data/003*", Behaviour::new().body(""), 233),
        // The records show what their hashes must be.
        ("/tile/8/0/003*", long(8193), 0),
        ("/tile/8/0/003*", Behaviour::html(), 0),
        ("/tile/8/0/000", long(8191), 0),
    ] {
        let fake = doubled();
        fake.behave(path, behaviour);
        let mut monitor = monitor(&fake, None);
        let mut found = kinds(&round(&mut monitor).await);
        found.sort();
        assert_eq!(found, [Misbehaviour::Duplicate, Misbehaviour::Gap], "{path}");
        assert_eq!((monitor.kept().unjudged(), monitor.trouble()), (unjudged, &[][..]), "{path}");
    }
}

#[tokio::test]
async fn a_tile_of_large_records_is_read() {
    let fake = log(1);
    let long = "x".repeat(30_000);
    for number in 0..255 {
        add(&fake, number, "zip");
        fake.add_text("x", &format!("{number}{long}\n"));
    }
    add(&fake, 7, "zip");
    let mut monitor = monitor(&fake, None);
    let found = kinds(&round(&mut monitor).await);
    assert_eq!((found.len(), found.iter().min()), (256, Some(&Misbehaviour::Duplicate)));
    assert_eq!((monitor.kept().unjudged(), monitor.trouble()), (0, &[][..]));
}

#[tokio::test]
async fn trouble_with_head_or_checkpoint_does_not_stop_the_walk() {
    for status in [401, 500, 503] {
        let fake = doubled();
        fake.behave("/checkpoint", Behaviour::new().status(status));
        let mut monitor = monitor(&fake, None);
        assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Duplicate]);
        assert_eq!(monitor.trouble().len(), 1);
        // Nor does one with the head, once one is known.
        let fake = doubled();
        fake.behave("/tile/8/data/*", Behaviour::new().status(503));
        let mut monitor = super::monitor(&fake, None);
        assert_eq!(round(&mut monitor).await, []);
        fake.be_honest();
        fake.behave("/latest", Behaviour::new().status(status));
        assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Duplicate]);
        assert_eq!((monitor.trouble().len(), monitor.kept().records()), (1, 1001));
    }
}

#[tokio::test]
async fn a_place_that_is_down_is_not_asked_for_everything() {
    let fake = log(40_000);
    fake.behave("/tile/8/data/*", Behaviour::new().status(503));
    let mut monitor = monitor(&fake, None);
    assert_eq!(round(&mut monitor).await, []);
    assert_eq!((fake.calls("/tile/8/data/*"), monitor.kept().records()), (32, 0));
    assert_eq!((monitor.trouble().len(), monitor.kept().unjudged()), (1, 0));
}

#[tokio::test]
async fn silence_is_stale_when_it_lasts() {
    let max_age = Duration::from_mins(1);
    for (path, grows) in [("/latest", false), ("/latest", true), ("/tile/8/data/003*", true)] {
        let fake = log(1000);
        let (parts, now) = clocked(parts(&fake, None), max_age);
        let mut monitor = begin(parts);
        fake.behave(path, Behaviour::new().status(503));
        for (secs, stale) in [(0, false), (60, false), (61, true), (70, true)] {
            now.store(1_700_000_000 + secs, Ordering::SeqCst);
            fake.fill(u64::from(grows));
            let found = kinds(&round(&mut monitor).await);
            let want = if stale { vec![Misbehaviour::Stale] } else { vec![] };
            assert_eq!(found, want, "{path} after {secs} s");
            assert!(!monitor.trouble().is_empty());
            monitor.told();
        }
        // The next run knows since when.
        let (parts, now) = clocked(super::parts(&fake, None), max_age);
        let mut monitor = next(parts, &monitor);
        now.store(1_700_000_080, Ordering::SeqCst);
        assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Stale]);
        monitor.told();
        fake.be_honest();
        fake.fill(1);
        assert_eq!(round(&mut monitor).await, [], "{path}");
        // From then on.
        fake.behave(path, Behaviour::new().status(503));
        for (secs, want) in [(140, vec![]), (141, vec![Misbehaviour::Stale])] {
            now.store(1_700_000_000 + secs, Ordering::SeqCst);
            fake.fill(1);
            assert_eq!(kinds(&round(&mut monitor).await), want, "{path}");
        }
    }
}

#[tokio::test]
async fn an_empty_log_grows_stale_too() {
    let fake = log(0);
    let (parts, now) = clocked(parts(&fake, None), Duration::from_mins(1));
    let mut monitor = begin(parts);
    for (secs, want) in [(0, vec![]), (60, vec![]), (61, vec![Misbehaviour::Stale])] {
        now.store(1_700_000_000 + secs, Ordering::SeqCst);
        assert_eq!(kinds(&round(&mut monitor).await), want, "{secs}");
    }
}

#[tokio::test]
async fn what_is_withheld_is_told_while_it_lasts_and_judged_when_it_is_shown() {
    for (status, kind, tile) in [
        (410, Misbehaviour::Redaction, "/tile/8/data/001"),
        (404, Misbehaviour::Gap, "/tile/8/data/001"),
    ] {
        let fake = doubled();
        fake.behave(tile, Behaviour::new().status(status));
        let mut monitor = monitor(&fake, None);
        assert_eq!(kinds(&round(&mut monitor).await), [kind]);
        assert_eq!((monitor.kept().unjudged(), monitor.worst()), (256, Some(kind)));
        for _run in 0..2 {
            monitor.told();
            monitor = next(parts(&fake, None), &monitor);
            let found = round(&mut monitor).await;
            assert_eq!(kinds(&found), [kind]);
            assert!(found[0].what.starts_with("records 256 to 511 are still"), "{found:?}");
            assert_eq!(monitor.worst(), Some(kind));
        }
        // Who follows is not stopped again and again by what may be for good.
        let ends = monitor.kept().worst().is_some();
        assert_eq!(ends, kind == Misbehaviour::Gap);
        monitor.told();
        fake.be_honest();
        assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Duplicate]);
        assert_eq!(
            (monitor.kept().unjudged(), monitor.worst()),
            (0, Some(Misbehaviour::Duplicate))
        );
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_framed_is_passed_over_alone() {
    let fake = log(700);
    fake.add_text("x", "a\n\nb\n");
    fake.fill(20);
    add(&fake, 1, "zip");
    add(&fake, 1, "zip");
    let mut monitor = monitor(&fake, None);
    let found = round(&mut monitor).await;
    assert_eq!(kinds(&found), [Misbehaviour::Gap, Misbehaviour::Duplicate], "{found:?}");
    assert_eq!((monitor.kept().records(), monitor.kept().unjudged()), (723, 1));
    monitor.told();
    fake.fill(1000);
    add(&fake, 1, "zip");
    let found = round(&mut monitor).await;
    let [duplicate, gap] = &found[..] else { panic!("{found:?}") };
    assert_eq!(duplicate.kind, Misbehaviour::Duplicate);
    assert_eq!(gap.to_string(), "gap: records 700 to 700 are still not those of the tree");
}

/// Of a record with so many empty lines, the parts that fill the tile; and the three behind it.
#[tokio::test]
async fn records_are_looked_for_in_so_many_parts() {
    for (parts, unjudged) in [(1022, 1), (1023, 2)] {
        let fake = log(0);
        fake.add_text("x", &("a\n\n".repeat(parts - 1) + "a\n"));
        fake.fill(3);
        let mut monitor = monitor(&fake, None);
        assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Gap]);
        assert_eq!(monitor.kept().unjudged(), unjudged, "{parts}");
    }
}

#[tokio::test]
async fn records_in_another_order_are_told_and_judged() {
    let fake = doubled();
    let tile = testkit::get(&format!("{}/tile/8/data/001", fake.url())).unwrap().text();
    let mut records: Vec<_> = tile.split_inclusive("\n\n").collect();
    records.swap(10, 11);
    serves(&fake, "/tile/8/data/001", records.concat());
    let mut monitor = monitor(&fake, None);
    let found = round(&mut monitor).await;
    assert_eq!(kinds(&found), [Misbehaviour::Gap, Misbehaviour::Duplicate], "{found:?}");
    assert_eq!(monitor.kept().unjudged(), 0);
}

/// A log and the database that its records are from; the last one is another there.
fn pair() -> (FakeSumdb, FakeSumdb) {
    let (fake, other) = (log(0), FakeSumdb::start("other.example").unwrap());
    (0..300).for_each(|number| add(&fake, number, "zip"));
    (0..299).for_each(|number| add(&other, number, "zip"));
    add(&other, 299, "another");
    (fake, other)
}

#[tokio::test]
async fn what_could_not_be_compared_is_compared_later() {
    let (fake, other) = pair();
    other.behave("/lookup/*", Behaviour::new().status(503));
    let mut monitor = monitor(&fake, Some(&other));
    for _run in 0..3 {
        assert_eq!(round(&mut monitor).await, []);
        assert_eq!((monitor.kept().records(), monitor.kept().uncompared()), (300, 300));
        assert!(matches!(monitor.trouble(), [Error::Unavailable { .. }]));
        monitor = next(parts(&fake, Some(&other)), &monitor);
    }
    assert_eq!(other.calls("/lookup/*"), 3 * 16, "no more when nothing is said");
    other.be_honest();
    let found = round(&mut monitor).await;
    let [Finding { kind: Misbehaviour::Hash, what, evidence: Some(_) }] = &found[..] else {
        panic!("{found:?}")
    };
    let says = "record 299, example.com/a@v1.0.299: other.example has h1:";
    assert!(what.starts_with(says), "{what}");
    assert_eq!((monitor.kept().uncompared(), monitor.trouble()), (0, &[][..]));
}

#[tokio::test]
async fn one_comparison_that_fails_stops_no_other_and_hides_no_fork() {
    let (fake, other) = pair();
    other.behave("/lookup/example.com/a@v1.0.7", Behaviour::new().status(500));
    let mut monitor = monitor(&fake, Some(&other));
    assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Hash]);
    assert_eq!(monitor.kept().uncompared(), 1);
    let asked = other.calls("/lookup/*");
    assert_eq!(round(&mut monitor).await, []);
    assert_eq!(other.calls("/lookup/*"), asked + 1);
    fake.fork(200);
    fake.fill(50);
    assert_eq!(kinds(&round(&mut monitor).await), [Misbehaviour::Fork]);
}

#[tokio::test]
async fn comparisons_that_fail_for_long_are_overdue_and_no_misbehaviour() {
    let (fake, other) = pair();
    other.behave("/lookup/example.com/a@v1.0.299", Behaviour::new().status(500));
    let (parts, now) = clocked(parts(&fake, Some(&other)), Duration::from_mins(1));
    let mut monitor = begin(parts);
    for (secs, overdue) in [(0, false), (60, false), (61, true)] {
        now.store(1_700_000_000 + secs, Ordering::SeqCst);
        fake.fill(0);
        round(&mut monitor).await;
        assert_eq!(monitor.is_overdue(), overdue, "{secs}");
    }
    other.be_honest();
    round(&mut monitor).await;
    assert!(!monitor.is_overdue());
}

#[tokio::test]
async fn trouble_is_bounded() {
    let (fake, other) = pair();
    // Each answer is wrong in another way.
    other.lie(Lie::WrongHash);
    let mut monitor = monitor(&fake, Some(&other));
    assert_eq!(round(&mut monitor).await, []);
    assert_eq!((monitor.trouble().len(), monitor.kept().uncompared()), (MAX_TROUBLE, 300));
}

#[tokio::test]
async fn a_database_that_forks_is_no_judge() {
    let (fake, other) = (log(0), FakeSumdb::start("other.example").unwrap());
    other.fill(400);
    for fake in [&fake, &other] {
        (0..3).for_each(|number| add(fake, number, "zip"));
    }
    let mut monitor = monitor(&fake, Some(&other));
    assert_eq!(round(&mut monitor).await, []);
    other.fork(100);
    for fake in [&fake, &other] {
        (3..5).for_each(|number| add(fake, number, "zip"));
    }
    assert_eq!(round(&mut monitor).await, []);
    let [Error::Invalid { source_name, .. }] = monitor.trouble() else {
        panic!("{:?}", monitor.trouble())
    };
    assert_eq!((&**source_name, monitor.kept().uncompared()), ("other.example", 2));
}
