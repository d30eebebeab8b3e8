//! What the state keeps of our own log, in memory and in a file.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step is a failed test")]

use db::{Binding, Log, LogHead, LogKind, NewRecord, Placed, State};
use gomod::{ModVer, ModulePath, Version};
use units::Timestamp;

/// Runs each check against a state in memory and one in a file.
macro_rules! contract {
    ($($check:ident,)*) => {
        mod memory { $(
            #[tokio::test]
            async fn $check() { super::$check(db::State::memory().await.unwrap()).await; }
        )* }
        mod file { $(
            #[tokio::test]
            async fn $check() {
                let folder = tempfile::tempdir().unwrap();
                let state = db::State::open(&folder.path().join("state.sqlite")).await.unwrap();
                super::$check(state).await;
            }
        )* }
    };
}

contract! {
    a_log_is_made_once,
    records_get_their_places_in_order,
    a_version_has_one_record_for_ever,
    a_path_stays_what_it_was_logged_as_first,
    an_ended_epoch_changes_nothing,
    heads_only_grow_and_cover_only_what_is_there,
    the_first_reason_to_freeze_stays,
    records_are_restored_to_their_places_only,
    two_logs_do_not_meet,
}

fn now() -> Timestamp {
    Timestamp::from_unix_secs(1_700_000_000)
}

fn module(path: &str, version: &str) -> ModVer {
    ModVer::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

fn new(number: u64, kind: LogKind) -> NewRecord {
    let module = module("corp.example/m", &format!("v1.0.{number}"));
    let leaf = [u8::try_from(number % 256).unwrap(); 32];
    NewRecord { text: format!("{module} {number}\n"), module, leaf, kind }
}

fn head(size: u64) -> LogHead {
    let (note, checkpoint) = (format!("note {size}\n"), format!("checkpoint {size}\n"));
    LogHead { size, root: [7; 32], note, checkpoint, signed: now() }
}

async fn log(state: &State) -> (Log, u64) {
    assert!(state.create_log("log.example", "key", &head(0)).await.unwrap());
    let log = state.log("log.example").await.unwrap().unwrap();
    let epoch = log.lead().await.unwrap();
    (log, epoch)
}

async fn append(log: &Log, epoch: u64, records: &[NewRecord]) -> Vec<Placed> {
    log.append(epoch, records, now()).await.unwrap().unwrap()
}

async fn a_log_is_made_once(state: State) {
    assert!(state.log("log.example").await.unwrap().is_none());
    let (log, epoch) = log(&state).await;
    assert!(!state.create_log("log.example", "other", &head(0)).await.unwrap());
    let standing = log.standing().await.unwrap();
    assert_eq!((standing.key.as_str(), standing.next, standing.integrated), ("key", 0, 0));
    assert_eq!((standing.epoch, standing.frozen), (epoch, None));
    assert_eq!(log.head(0).await.unwrap(), head(0));
}

async fn records_get_their_places_in_order(state: State) {
    let (log, epoch) = log(&state).await;
    let records = [0, 1, 2].map(|number| new(number, LogKind::Private));
    let placed = append(&log, epoch, &records).await;
    assert_eq!(placed, [0, 1, 2].map(Placed::New));
    assert_eq!(append(&log, epoch, &[new(3, LogKind::Private)]).await, [Placed::New(3)]);
    let rows = log.records(1, 2).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2]);
    let row = log.record(&records[1].module).await.unwrap().unwrap();
    assert_eq!((&row.text, row.leaf), (&Some(records[1].text.clone()), records[1].leaf));
    assert_eq!((row.kind, row.created, &rows[0]), (LogKind::Private, now(), &row));
    assert_eq!(log.record(&module("corp.example/m", "v2.0.0+incompatible")).await.unwrap(), None);
}

async fn a_version_has_one_record_for_ever(state: State) {
    let (log, epoch) = log(&state).await;
    let first = new(0, LogKind::Private);
    let other = NewRecord { text: "other\n".into(), ..first.clone() };
    let batch = [first.clone(), other.clone(), new(1, LogKind::Private)];
    let placed = append(&log, epoch, &batch).await;
    let [Placed::New(0), Placed::Known(known), Placed::New(1)] = &placed[..] else {
        unreachable!("{placed:?}")
    };
    assert_eq!((known.id, &known.text), (0, &Some(first.text)));
    let placed = append(&log, epoch, &[other]).await;
    assert!(matches!(&placed[..], [Placed::Known(row)] if row == known));
    assert_eq!(log.standing().await.unwrap().next, 2);
}

async fn a_path_stays_what_it_was_logged_as_first(state: State) {
    let (log, epoch) = log(&state).await;
    let path = new(0, LogKind::Private).module.path().clone();
    assert_eq!(log.binding(&path).await.unwrap(), None);
    // Within one batch and between two.
    let batch = [new(0, LogKind::Private), new(1, LogKind::Public)];
    let bound = Placed::Bound(Binding::Private);
    assert_eq!(append(&log, epoch, &batch).await, [Placed::New(0), bound.clone()]);
    assert_eq!(append(&log, epoch, &[new(2, LogKind::Toolchain)]).await, [bound]);
    assert_eq!(append(&log, epoch, &[new(3, LogKind::Anchor)]).await, [Placed::New(1)]);
    assert_eq!(log.binding(&path).await.unwrap(), Some(Binding::Private));
    let mut public = new(4, LogKind::Public);
    public.module = module("example.com/public", "v1.0.0");
    assert_eq!(append(&log, epoch, &[public.clone()]).await, [Placed::New(2)]);
    public.kind = LogKind::Private;
    public.module = module("example.com/public", "v1.0.1");
    assert_eq!(append(&log, epoch, &[public]).await, [Placed::Bound(Binding::Public)]);
}

async fn an_ended_epoch_changes_nothing(state: State) {
    let (log, old) = log(&state).await;
    append(&log, old, &[new(0, LogKind::Private)]).await;
    let new_epoch = log.lead().await.unwrap();
    let refused = log.append(old, &[new(1, LogKind::Private)], now()).await.unwrap();
    assert_eq!(refused, None);
    assert!(!log.integrate(old, 0, &head(1)).await.unwrap());
    assert!(!log.restore(old, 1, &[new(1, LogKind::Private)], now()).await.unwrap());
    let standing = log.standing().await.unwrap();
    assert_eq!((standing.next, standing.integrated), (1, 0));
    assert!(log.integrate(new_epoch, 0, &head(1)).await.unwrap());
}

async fn heads_only_grow_and_cover_only_what_is_there(state: State) {
    let (log, epoch) = log(&state).await;
    let records: Vec<_> = (0..5).map(|number| new(number, LogKind::Private)).collect();
    append(&log, epoch, &records).await;
    assert!(!log.integrate(epoch, 0, &head(6)).await.unwrap(), "ahead of the records");
    assert!(!log.integrate(epoch, 1, &head(5)).await.unwrap(), "from another head");
    assert!(!log.integrate(epoch, 0, &head(0)).await.unwrap());
    assert!(log.integrate(epoch, 0, &head(3)).await.unwrap());
    assert!(!log.integrate(epoch, 3, &head(3)).await.unwrap());
    assert!(!log.integrate(epoch, 3, &head(2)).await.unwrap());
    assert!(log.integrate(epoch, 3, &head(5)).await.unwrap());
    assert_eq!(log.head(4).await.unwrap(), head(3));
    assert_eq!(log.head(9).await.unwrap(), head(5));
    let sizes = |heads: Vec<LogHead>| heads.iter().map(|head| head.size).collect::<Vec<_>>();
    assert_eq!(sizes(log.heads(1, 10).await.unwrap()), [3, 5]);
    assert_eq!(sizes(log.heads(0, 2).await.unwrap()), [0, 3]);
}

async fn the_first_reason_to_freeze_stays(state: State) {
    let (log, _epoch) = log(&state).await;
    log.freeze("first").await.unwrap();
    log.freeze("second").await.unwrap();
    assert_eq!(log.standing().await.unwrap().frozen.as_deref(), Some("first"));
    log.thaw().await.unwrap();
    assert_eq!(log.standing().await.unwrap().frozen, None);
}

async fn records_are_restored_to_their_places_only(state: State) {
    let (log, epoch) = log(&state).await;
    append(&log, epoch, &[new(0, LogKind::Private)]).await;
    let lost = [new(1, LogKind::Private), new(2, LogKind::Private)];
    assert!(!log.restore(epoch, 0, &lost, now()).await.unwrap());
    assert!(!log.restore(epoch, 2, &lost, now()).await.unwrap());
    let doubled = [new(1, LogKind::Private), new(0, LogKind::Private)];
    assert!(!log.restore(epoch, 1, &doubled, now()).await.unwrap());
    assert_eq!(log.standing().await.unwrap().next, 1);
    assert!(log.restore(epoch, 1, &lost, now()).await.unwrap());
    assert_eq!(log.record(&lost[1].module).await.unwrap().unwrap().id, 2);
    assert_eq!(log.standing().await.unwrap().next, 3);
}

async fn two_logs_do_not_meet(state: State) {
    let (first, first_epoch) = log(&state).await;
    assert!(state.create_log("log.example/two", "key", &head(0)).await.unwrap());
    let second = state.log("log.example/two").await.unwrap().unwrap();
    let second_epoch = second.lead().await.unwrap();
    append(&first, first_epoch, &[new(0, LogKind::Private)]).await;
    let placed = append(&second, second_epoch, &[new(5, LogKind::Public)]).await;
    assert_eq!(placed, [Placed::New(0)]);
    assert_eq!(second.record(&new(0, LogKind::Private).module).await.unwrap(), None);
    assert_eq!(first.records(0, 9).await.unwrap().len(), 1);
}
