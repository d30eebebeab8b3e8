//! What the state keeps of our own log, in memory and in a file.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed step is a failed test; one looks into the file"
)]

use std::fs;

use db::{Binding, KeyState, Log, LogHead, LogKey, LogKind, NewRecord, Placed, State};
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
    paths_are_listed_by_what_they_were_logged_as,
    an_ended_epoch_changes_nothing,
    heads_only_grow_and_cover_only_what_is_there,
    the_first_reason_to_freeze_stays,
    records_are_restored_to_their_places_only,
    two_logs_do_not_meet,
    an_erased_record_keeps_its_place_its_version_and_its_leaf,
    an_erasure_is_restored_as_one,
    keys_change_with_the_newest_head_only,
    no_key_is_forgotten,
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
    NewRecord { text: Some(format!("{module} {number}\n")), module, leaf, kind }
}

fn head(size: u64) -> LogHead {
    let (note, checkpoint) = (format!("note {size}\n"), format!("checkpoint {size}\n"));
    LogHead { size, root: [7; 32], note, checkpoint, signed: now() }
}

fn key(key: &str, state: KeyState) -> LogKey {
    LogKey { key: key.to_owned(), state }
}

async fn log(state: &State) -> (Log, u64) {
    let keys = [key("old", KeyState::Signs)];
    assert!(state.create_log("log.example", &keys, &head(0)).await.unwrap());
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
    let other = [key("other", KeyState::Signs)];
    assert!(!state.create_log("log.example", &other, &head(0)).await.unwrap());
    let standing = log.standing().await.unwrap();
    assert_eq!((standing.next, standing.integrated), (0, 0));
    assert_eq!(standing.keys, [key("old", KeyState::Signs)]);
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
    assert_eq!((&row.text, row.leaf), (&records[1].text, records[1].leaf));
    assert_eq!((row.kind, row.created, &rows[0]), (LogKind::Private, now(), &row));
    assert_eq!(log.record(&module("corp.example/m", "v2.0.0+incompatible")).await.unwrap(), None);
}

async fn a_version_has_one_record_for_ever(state: State) {
    let (log, epoch) = log(&state).await;
    let first = new(0, LogKind::Private);
    let other = NewRecord { text: Some("other\n".into()), ..first.clone() };
    let batch = [first.clone(), other.clone(), new(1, LogKind::Private)];
    let placed = append(&log, epoch, &batch).await;
    let [Placed::New(0), Placed::Known(known), Placed::New(1)] = &placed[..] else {
        unreachable!("{placed:?}")
    };
    assert_eq!((known.id, &known.text), (0, &first.text));
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

async fn paths_are_listed_by_what_they_were_logged_as(state: State) {
    let (log, epoch) = log(&state).await;
    let private = LogKind::Private;
    let records = [("c.d/e", private), ("a.b/c", private), ("a.b/d", LogKind::Public)];
    for (number, (path, kind)) in (0..).zip(records) {
        let record = NewRecord { module: module(path, "v1.0.0"), ..new(number, kind) };
        append(&log, epoch, &[record]).await;
    }
    let first = log.bindings(Binding::Private, None, 1).await.unwrap();
    assert_eq!(first, [module("a.b/c", "v1.0.0").path().clone()]);
    let next = log.bindings(Binding::Private, first.last(), 2).await.unwrap();
    assert_eq!(next, [module("c.d/e", "v1.0.0").path().clone()]);
    assert_eq!(log.bindings(Binding::Private, next.last(), 2).await.unwrap(), []);
    assert_eq!(log.bindings(Binding::Public, None, 2).await.unwrap().len(), 1);
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
    let keys = [key("old", KeyState::Signs)];
    assert!(state.create_log("log.example/two", &keys, &head(0)).await.unwrap());
    let second = state.log("log.example/two").await.unwrap().unwrap();
    let second_epoch = second.lead().await.unwrap();
    append(&first, first_epoch, &[new(0, LogKind::Private)]).await;
    let placed = append(&second, second_epoch, &[new(5, LogKind::Public)]).await;
    assert_eq!(placed, [Placed::New(0)]);
    assert_eq!(second.record(&new(0, LogKind::Private).module).await.unwrap(), None);
    assert_eq!(first.records(0, 9).await.unwrap().len(), 1);
}

async fn an_erased_record_keeps_its_place_its_version_and_its_leaf(state: State) {
    let (log, old) = log(&state).await;
    let records: Vec<_> = (0..3).map(|number| new(number, LogKind::Private)).collect();
    append(&log, old, &records).await;
    assert_eq!(log.erased().await.unwrap(), []);
    let before = log.record(&records[1].module).await.unwrap().unwrap();
    let epoch = log.lead().await.unwrap();
    assert!(!log.erase(old, 1).await.unwrap(), "its epoch has ended");
    assert!(!log.erase(epoch, 3).await.unwrap(), "no such record");
    assert_eq!(log.erased().await.unwrap(), []);
    for _again in 0..2 {
        assert!(log.erase(epoch, 1).await.unwrap());
        let after = db::LogRecord { text: None, ..before.clone() };
        assert_eq!(log.record(&records[1].module).await.unwrap(), Some(after.clone()));
        assert_eq!(log.erased().await.unwrap(), [after]);
    }
    let again = append(&log, epoch, &records[1..2]).await;
    assert!(matches!(&again[..], [Placed::Known(row)] if row.id == 1 && row.text.is_none()));
    let rows = log.records(0, 9).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.text.is_some()).count(), 2);
    assert_eq!(log.standing().await.unwrap().next, 3);
}

async fn an_erasure_is_restored_as_one(state: State) {
    let (log, epoch) = log(&state).await;
    let erased = NewRecord { text: None, ..new(1, LogKind::Private) };
    let records = [new(0, LogKind::Private), erased.clone(), new(2, LogKind::Private)];
    assert!(log.restore(epoch, 0, &records, now()).await.unwrap());
    let found = log.erased().await.unwrap();
    assert_eq!(found.iter().map(|row| (row.id, row.leaf)).collect::<Vec<_>>(), [(1, erased.leaf)]);
    assert_eq!(found[0].module, erased.module);
}

#[tokio::test]
async fn an_erased_text_leaves_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).await.unwrap();
    let (log, epoch) = log(&state).await;
    for number in 0..600 {
        let text = Some(format!("{} of {number}\n", "a text that nobody may find ".repeat(7)));
        append(&log, epoch, &[NewRecord { text, ..new(number, LogKind::Private) }]).await;
    }
    let holds = |number: u64| {
        let needle = format!("may find  of {number}\n");
        let files = fs::read_dir(folder.path()).unwrap();
        let holds = |file: fs::DirEntry| {
            let bytes = fs::read(file.path()).unwrap();
            bytes.windows(needle.len()).any(|at| at == needle.as_bytes())
        };
        files.map(Result::unwrap).any(holds)
    };
    for number in [0, 599, 300] {
        assert!(holds(number), "{number}");
        assert!(log.erase(epoch, number).await.unwrap());
        assert!(holds(number), "not yet");
        log.scrub().await.unwrap();
        assert!(!holds(number), "{number}");
    }
    assert!(holds(301));
}

/// The same head with other signatures.
fn signed_again(size: u64) -> LogHead {
    LogHead { note: format!("both {size}\n"), checkpoint: "both\n".into(), ..head(size) }
}

async fn keys_change_with_the_newest_head_only(state: State) {
    let (log, epoch) = log(&state).await;
    append(&log, epoch, &[new(0, LogKind::Private), new(1, LogKind::Private)]).await;
    assert!(log.integrate(epoch, 0, &head(2)).await.unwrap());
    let before = log.standing().await.unwrap();
    let both = [key("old", KeyState::Signs), key("new", KeyState::Signs)];
    let other_root = LogHead { root: [8; 32], ..signed_again(2) };
    for (epoch, head, why) in [
        (epoch - 1, signed_again(2), "an ended epoch"),
        (epoch, signed_again(0), "an older head"),
        (epoch, signed_again(1), "no head"),
        (epoch, other_root, "another tree"),
    ] {
        assert!(!log.set_keys(epoch, &both, &head).await.unwrap(), "{why}");
    }
    assert_eq!((log.standing().await.unwrap(), log.head(9).await.unwrap()), (before, head(2)));
    assert!(log.set_keys(epoch, &both, &signed_again(2)).await.unwrap());
    assert_eq!(log.standing().await.unwrap().keys, both);
    assert_eq!(log.head(9).await.unwrap(), signed_again(2));
    assert_eq!(log.head(1).await.unwrap(), head(0), "older heads stay as they were signed");
}

async fn no_key_is_forgotten(state: State) {
    let (log, epoch) = log(&state).await;
    for keys in [&[][..], &[key("new", KeyState::Signs)]] {
        assert!(!log.set_keys(epoch, keys, &signed_again(0)).await.unwrap(), "{keys:?}");
    }
    assert_eq!(log.standing().await.unwrap().keys, [key("old", KeyState::Signs)]);
    assert_eq!(log.head(0).await.unwrap(), head(0));
    let retired = [key("old", KeyState::Retired), key("new", KeyState::Signs)];
    assert!(log.set_keys(epoch, &retired, &signed_again(0)).await.unwrap());
    assert_eq!(log.standing().await.unwrap().keys, retired);
}

/// The tables of the release before keys could be changed.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "an old release is put together from its files")]
async fn a_state_of_version_two_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (old, file) = (folder.path().join("old"), folder.path().join("state.sqlite"));
    std::fs::create_dir(&old).unwrap();
    for name in ["0001_sumdb.sql", "0002_log.sql"] {
        let now = format!("{}/migrations/state/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(now, old.join(name)).unwrap();
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::migrate::Migrator::new(old).await.unwrap().run(&pool).await.unwrap();
    for statement in [
        "INSERT INTO log (log, name, key, next, integrated, epoch, frozen, created)
         VALUES (3, 'log.example', 'name+hash+key', 7, 5, 4, 'why', 1)",
        "INSERT INTO log_head (log, size, root, note, checkpoint, signed)
         VALUES (3, 5, zeroblob(32), 'note', 'checkpoint', 2)",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let state = State::open(&file).await.unwrap();
    let log = state.log("log.example").await.unwrap().unwrap();
    let standing = log.standing().await.unwrap();
    assert_eq!(standing.keys, [key("name+hash+key", KeyState::Signs)]);
    assert_eq!((standing.next, standing.integrated, standing.epoch), (7, 5, 4));
    assert_eq!(standing.frozen.as_deref(), Some("why"));
    assert_eq!(log.head(9).await.unwrap().note, "note");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "looks at the folder, as who makes a backup does")]
async fn a_closed_state_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).await.unwrap();
    let (log, epoch) = log(&state).await;
    append(&log, epoch, &[new(0, LogKind::Private)]).await;
    assert_eq!(log.records(0, 9).await.unwrap().len(), 1);
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 1, "it has a log while it is open");
    // The handle of the log lives on, as it does in a server that stops.
    state.close().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(log.records(0, 9).await.is_err());
}
