//! Restored backups, foreign keys, two writers, full disks: frozen or refused, never forked.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use gomod::ModVer;
use store::Config;
use sumdb::{Kind, OwnError, OwnLog};
use tempfile::TempDir;
use tlog::{SignedHead, TreeHead};
use units::ByteSize;

use crate::site::{
    Running, Site, append, assert_extends, audit, grow, h1, key, memory, module, parts, parts_with,
};

fn private(_module: &ModVer) -> Kind {
    Kind::Private
}

async fn refused(log: &OwnLog, number: u64, word: &str) {
    let refused = append(log, number).await;
    let Err(OwnError::Frozen { reason, .. }) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains(word), "{reason}");
    assert!(log.frozen().unwrap().contains(word));
}

/// A site whose log has 600 records, after a backup was made at 300.
async fn site(what: &str) -> (Site, TempDir) {
    let site = Site::new();
    let running = site.create().await;
    grow(&running.log, 300).await;
    running.stop().await;
    let backup = site.back_up(what).await;
    let running = Running::start(site.open().await);
    grow(&running.log, 600).await;
    running.stop().await;
    (site, backup)
}

#[tokio::test]
async fn an_old_database_over_a_new_store_freezes_and_recovers() {
    let (site, backup) = site("db").await;
    let (head, files) = (site.open().await.head(), site.files("data/log"));
    site.restore("db", &backup);
    let running = Running::start(site.open().await);
    refused(&running.log, 601, "the database, of 300").await;
    // Everything else goes on, under the newest head that was given out.
    assert_eq!(running.log.head(), head);
    assert!(running.log.lookup(&module(299)).await.unwrap().is_some());
    assert!(running.log.prove(&module(0)).await.unwrap().is_some());
    assert_eq!(append(&running.log, 3).await.unwrap().id, 3);
    audit(&running.log).await;
    running.stop().await;
    assert_eq!(recover(&site, 600, (300, 0)).await, head);
    let now = site.files("data/log");
    for (path, bytes) in files.iter().filter(|(path, _bytes)| path.contains("/tile/")) {
        assert_eq!(now.get(path), Some(bytes), "{path}");
    }
}

/// Recovers, and sees that the log goes on; returns the head after the recovery.
async fn recover(site: &Site, records: u64, (restored, rewritten): (u64, u64)) -> SignedHead {
    let parts = site.parts().await;
    let recovered = OwnLog::recover(&parts, &[], private).await.unwrap();
    assert_eq!((recovered.records, recovered.restored), (records, restored));
    assert!(recovered.rewritten >= rewritten, "{recovered:?}");
    let log = OwnLog::open(parts).await.unwrap();
    assert_eq!(log.frozen(), None);
    let before = log.head();
    let running = Running::start(log);
    assert_eq!(append(&running.log, records).await.unwrap().id, records);
    assert_extends(&running.log, before.head()).await;
    assert_eq!(audit(&running.log).await.len() as u64, records + 1);
    running.stop().await;
    before
}

#[tokio::test]
async fn a_lost_database_is_rebuilt_from_the_store() {
    let (site, _backup) = site("db").await;
    let head = site.open().await.head();
    fs::remove_dir_all(site.folder.path().join("db")).unwrap();
    let parts = site.parts().await;
    let missing = OwnLog::open(parts.clone()).await;
    assert!(matches!(missing, Err(OwnError::Existence { .. })), "{missing:?}");
    let again = OwnLog::create(&parts).await;
    assert!(matches!(again, Err(OwnError::Existence { .. })), "a second log: {again:?}");
    drop(parts);
    let parts = site.parts().await;
    let recovered = OwnLog::recover(&parts, &[], private).await.unwrap();
    assert_eq!((recovered.records, recovered.restored), (600, 600));
    let log = OwnLog::open(parts).await.unwrap();
    assert_eq!(log.head(), head, "the same head, bit by bit");
    assert_eq!(log.record(&module(599)).await.unwrap().unwrap().id, 599);
}

#[tokio::test]
async fn a_new_database_over_an_old_store_freezes_and_recovers() {
    let (site, backup) = site("data").await;
    let (head, files) = (site.open().await.head(), site.files("data/log"));
    site.restore("data", &backup);
    let running = Running::start(site.open().await);
    refused(&running.log, 601, "the store, of 300").await;
    assert_eq!(running.log.head().size(), 300, "the newest head whose tiles are there");
    assert!(running.log.lookup(&module(299)).await.unwrap().is_some());
    audit(&running.log).await;
    running.stop().await;
    let parts = site.parts().await;
    let recovered = OwnLog::recover(&parts, &[], private).await.unwrap();
    assert_eq!((recovered.records, recovered.restored), (600, 0));
    let log = OwnLog::open(parts).await.unwrap();
    assert_eq!((log.frozen(), log.head()), (None, head));
    drop(log);
    // The tiles of the newest head are the same, bit by bit.
    let now = site.files("data/log");
    let newest = |path: &String| {
        !path.contains(".p/") || path.contains("002.p/88") || path.contains("8/1/000.p/2")
    };
    for (path, bytes) in files.iter().filter(|(path, _bytes)| newest(path)) {
        if !path.ends_with("/floor") {
            assert_eq!(now.get(path), Some(bytes), "{path}");
        }
    }
}

#[tokio::test]
async fn a_lost_store_is_rewritten_from_the_database() {
    let (site, _backup) = site("db").await;
    let head = site.open().await.head();
    fs::remove_dir_all(site.folder.path().join("data")).unwrap();
    let missing = OwnLog::open(site.parts().await).await;
    assert!(matches!(missing, Err(OwnError::Damaged { .. })), "{missing:?}");
    drop(missing);
    // An old database knows no better: only others can say that this was the newest head.
    let alone = OwnLog::recover(&site.parts().await, &[], private).await;
    assert!(matches!(alone, Err(OwnError::Damaged { .. })), "{alone:?}");
    let outside = [Bytes::from(head.message().to_owned())];
    let recovered = OwnLog::recover(&site.parts().await, &outside, private).await.unwrap();
    assert_eq!((recovered.records, recovered.restored), (600, 0));
    let log = site.open().await;
    assert_eq!((log.frozen(), log.head()), (None, head));
    assert_eq!(audit(&log).await.len(), 600);
}

/// Tiles, database and `latest` are restored, and only the floor is left of what was signed since.
#[tokio::test]
async fn a_head_that_was_signed_is_never_forgotten() {
    let site = Site::new();
    let running = site.create().await;
    grow(&running.log, 300).await;
    running.stop().await;
    let (db, data) = (site.back_up("db").await, site.back_up("data").await);
    let running = Running::start(site.open().await);
    append(&running.log, 300).await.unwrap();
    let given = running.log.head();
    running.stop().await;
    let floor = site.folder.path().join("data/log/sumdb.golden.example/@/floor");
    let newest = fs::read(&floor).unwrap();
    site.restore("db", &db);
    site.restore("data", &data);
    fs::write(&floor, newest).unwrap();
    let reason = site.open().await.frozen().unwrap();
    assert!(reason.contains("301"), "{reason}");
    let refused = OwnLog::recover(&site.parts().await, &[], private).await;
    let Err(OwnError::Damaged { reason, .. }) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("301"), "{reason}");
    // Everything of one backup shows nothing by itself; others know.
    site.restore("data", &data);
    assert_eq!(site.open().await.frozen(), None);
    for head in [given.message(), "no head\n"] {
        let outside = [Bytes::from(head.to_owned())];
        let refused = OwnLog::recover(&site.parts().await, &outside, private).await;
        assert!(matches!(refused, Err(OwnError::Damaged { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn altered_tiles_are_rewritten_from_the_database() {
    let (site, _backup) = site("db").await;
    let head = site.open().await.head();
    let folder = site.folder.path().join("data/log/sumdb.golden.example/@/tile/8");
    for tile in ["1/000.p/2", "0/002.p/88", "0/000", "data/001", "data/002.p/88"] {
        let path = folder.join(tile);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[9] ^= 1;
        fs::write(&path, bad).unwrap();
        let recovered = OwnLog::recover(&site.parts().await, &[], private).await.unwrap();
        assert_eq!((recovered.records, recovered.restored), (600, 0), "{tile}");
        assert_eq!(fs::read(&path).unwrap(), good, "{tile}");
        let log = site.open().await;
        assert_eq!((log.frozen(), log.head()), (None, head.clone()), "{tile}");
    }
    assert!(site.folder.path().join("data/evidence").is_dir());
}

#[tokio::test]
async fn records_that_both_lost_end_the_log() {
    let (site, db) = site("db").await;
    let latest = site.folder.path().join("data/log/sumdb.golden.example/@/latest");
    let newest = fs::read(&latest).unwrap();
    // Database and tiles of 300 records, and a head of 600 that was given out.
    fs::remove_dir_all(site.folder.path().join("data/log/sumdb.golden.example/@/tile")).unwrap();
    site.restore("db", &db);
    fs::write(&latest, newest).unwrap();
    let lost = OwnLog::recover(&site.parts().await, &[], private).await;
    let Err(OwnError::Damaged { reason, .. }) = &lost else { panic!("{lost:?}") };
    assert!(reason.contains("600"), "{reason}");
}

#[tokio::test]
async fn another_history_is_never_signed() {
    let (site, backup) = site("db").await;
    // The database is put back to 300 and goes on differently, as it may where nobody looks.
    site.restore("db", &backup);
    let state = db::State::open(&site.folder.path().join("db/state.sqlite")).await.unwrap();
    let rows = state.log("sumdb.golden.example").await.unwrap().unwrap();
    let epoch = rows.lead().await.unwrap();
    for number in 5000..5300 {
        let record = tlog::Record::new(&module(number), &h1("zip", 1), &h1("mod", 1)).unwrap();
        let new = db::NewRecord {
            module: module(number),
            text: Some(record.text().into()),
            leaf: record.hash(),
            kind: Kind::Private,
        };
        rows.append(epoch, &[new], units::Timestamp::from_unix_secs(0)).await.unwrap().unwrap();
    }
    state.close().await;
    drop((rows, state));
    let log = site.open().await;
    let given = log.head();
    let running = Running::start(log);
    refused(&running.log, 9000, "older than").await;
    assert_eq!(running.log.head(), given);
    running.stop().await;
    let refused = OwnLog::recover(&site.parts().await, &[], private).await;
    assert!(matches!(refused, Err(OwnError::Damaged { .. })), "{refused:?}");
}

/// The same, with the published heads and the open's look at them out of the way: the floor alone.
#[tokio::test]
async fn the_floor_stops_a_signer_that_was_told_otherwise() {
    let parts = memory().await;
    let running = Running::start(OwnLog::create(&parts).await.unwrap());
    grow(&running.log, 20).await;
    running.stop().await;
    // Another database, of the same name and key, that has 25 other records.
    let mut other = memory().await;
    let begun = Running::start(OwnLog::create(&other).await.unwrap());
    for number in 100..125 {
        append(&begun.log, number).await.unwrap();
    }
    begun.stop().await;
    other.store = parts.store.clone();
    let opened = OwnLog::open(other).await.unwrap();
    let running = Running::start(opened);
    let refused = append(&running.log, 200).await;
    assert!(matches!(refused, Err(OwnError::Frozen { .. })), "{refused:?}");
    assert_eq!(running.log.head().size(), 20, "the head of the store, whose tiles are there");
    running.stop().await;
}

#[tokio::test]
async fn without_its_key_or_with_another_a_log_only_answers() {
    let parts = memory().await;
    let running = Running::start(OwnLog::create(&parts).await.unwrap());
    grow(&running.log, 5).await;
    running.stop().await;
    for (signers, word) in [(vec![], "missing"), (vec![key(1)], "not")] {
        let parts = sumdb::OwnParts { signers, ..parts.clone() };
        let running = Running::start(OwnLog::open(parts.clone()).await.unwrap());
        refused(&running.log, 5, word).await;
        assert_eq!(append(&running.log, 4).await.unwrap().id, 4);
        assert!(running.log.lookup(&module(0)).await.unwrap().is_some());
        running.stop().await;
        let recovered = OwnLog::recover(&parts, &[], private).await;
        assert!(matches!(recovered, Err(OwnError::Existence { .. })), "{recovered:?}");
    }
    let running = Running::start(OwnLog::open(parts).await.unwrap());
    append(&running.log, 5).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn tiles_that_differ_freeze_until_a_person_has_looked() {
    let site = Site::new();
    let running = site.create().await;
    grow(&running.log, 5).await;
    running.stop().await;
    let stranger = site.folder.path().join("data/log/sumdb.golden.example/@/tile/8/0/000.p/6");
    fs::write(&stranger, [7; 192]).unwrap();
    let running = Running::start(site.open().await);
    let first = append(&running.log, 5).await;
    assert!(matches!(first, Err(OwnError::Frozen { .. })), "{first:?}");
    assert_eq!(running.log.head().size(), 5);
    running.stop().await;
    let running = Running::start(site.open().await);
    refused(&running.log, 6, "another part of a tree").await;
    running.stop().await;
    // The person finds that the file was put there, and takes it away.
    fs::remove_file(stranger).unwrap();
    recover(&site, 6, (0, 1)).await;
}

#[tokio::test]
async fn the_second_of_two_writers_ends_the_first() {
    let parts = memory().await;
    let first = Running::start(OwnLog::create(&parts).await.unwrap());
    grow(&first.log, 3).await;
    let second = Running::start(OwnLog::open(parts).await.unwrap());
    append(&second.log, 3).await.unwrap();
    for number in 4..6 {
        let refused = append(&first.log, number).await;
        assert!(matches!(refused, Err(OwnError::Unavailable { .. })), "{refused:?}");
    }
    assert_eq!(append(&second.log, 4).await.unwrap().id, 4);
    assert_extends(&second.log, first.log.head().head()).await;
    assert_eq!(audit(&second.log).await.len(), 5);
    second.stop().await;
}

/// Opens and appends again and again; returns the heads that covered its records.
async fn takes_turns(parts: sumdb::OwnParts, writer: u64) -> Vec<TreeHead> {
    let mut heads = Vec::new();
    for round in 0..25 {
        let running = Running::start(OwnLog::open(parts.clone()).await.unwrap());
        for number in 0..20 {
            let number = writer * 100_000 + round * 100 + number;
            if append(&running.log, number).await.is_ok() {
                heads.push(running.log.head().head().clone());
            }
        }
        assert_eq!(running.log.frozen(), None);
    }
    heads
}

/// Both write as fast as they can, and take over from each other all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_take_turns_make_one_log() {
    let parts = memory().await;
    drop(OwnLog::create(&parts).await.unwrap());
    let writers = (0..2).map(|writer| tokio::spawn(takes_turns(parts.clone(), writer)));
    let heads = futures_util::future::join_all(writers).await;
    let log = Running::start(OwnLog::open(parts).await.unwrap());
    append(&log.log, 999_999).await.unwrap();
    let mut count = 0;
    for head in heads.into_iter().flat_map(Result::unwrap) {
        assert_extends(&log.log, &head).await;
        count += 1;
    }
    assert!(count > 25, "{count} heads");
    audit(&log.log).await;
    log.stop().await;
}

#[tokio::test]
async fn without_room_nothing_is_recorded_and_afterwards_it_goes_on() {
    let site = Site::new();
    let running = site.create().await;
    grow(&running.log, 3).await;
    running.stop().await;
    let full = Config { min_free: ByteSize(u64::MAX), ..Config::default() };
    let parts_full = parts_with(site.folder.path(), &full).await;
    let running = Running::start(OwnLog::open(parts_full).await.unwrap());
    let refused = append(&running.log, 3).await;
    assert!(matches!(refused, Err(OwnError::Unavailable { .. })), "{refused:?}");
    assert_eq!((running.log.head().size(), running.log.frozen()), (3, None));
    assert!(running.log.lookup(&module(2)).await.unwrap().is_some());
    running.stop().await;
    let running = Running::start(OwnLog::open(parts(site.folder.path()).await).await.unwrap());
    // It had its place already.
    assert_eq!(append(&running.log, 3).await.unwrap().id, 3);
    audit(&running.log).await;
    running.stop().await;
}

#[tokio::test]
async fn needs_root_a_full_disk_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mount.is_ok_and(|done| done.status.success()) {
        return;
    }
    let running = Running::start(OwnLog::create(&parts(folder.path()).await).await.unwrap());
    grow(&running.log, 3).await;
    let mut heads = vec![running.log.head()];
    let fill = folder.path().join("fill");
    drop(fs::write(&fill, vec![b'x'; 20 << 20]).unwrap_err());
    let mut failed = 0;
    for number in 3..40 {
        match append(&running.log, number).await {
            Ok(_) => heads.push(running.log.head()),
            Err(OwnError::Unavailable { .. }) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(failed > 0, "the disk was not full");
    assert_eq!(running.log.frozen(), None);
    fs::remove_file(fill).unwrap();
    for number in 3..40 {
        // Room is noticed within a second.
        for patience in (0..100).rev() {
            match append(&running.log, number).await {
                Ok(_) => break,
                Err(error) => assert!(patience > 0, "{error:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    for head in heads {
        assert_extends(&running.log, head.head()).await;
    }
    assert_eq!(audit(&running.log).await.len(), 40);
    running.stop().await;
    drop(Command::new("umount").arg("-l").arg(folder.path()).status());
}
