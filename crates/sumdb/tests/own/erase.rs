//! Erased records: withheld for ever, while everything else stays what it was, byte by byte.

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use gomod::ModVer;
use sumdb::{Kind, OwnError, OwnLog, Withheld};
use tempfile::TempDir;
use tlog::{HASH_BYTES, SignedHead, Tile, TileLevel, record_hash};
use units::Timestamp;

use crate::site::{Running, Site, append, assert_extends, grow, h1, module};

/// Records of a log of two full tiles and a partial one.
const SIZE: u64 = 700;

fn private(_module: &ModVer) -> Kind {
    Kind::Private
}

/// A log that was stopped, and what it answered.
struct Past {
    site: Site,
    head: SignedHead,
    checkpoint: Bytes,
    /// Each tile of records, of each width.
    data: BTreeMap<(u64, u16), (Bytes, Bytes)>,
    files: BTreeMap<String, Vec<u8>>,
}

fn data(index: u64, width: u16) -> Tile {
    Tile { level: TileLevel::Data, index, width }
}

fn tiles() -> impl Iterator<Item = (u64, u16)> {
    let width = |index| Tile::width_in(TileLevel::Data, index, SIZE);
    (0..3).flat_map(move |index| (1..=width(index)).map(move |width| (index, width)))
}

impl Past {
    async fn new() -> Self {
        let site = Site::new();
        let running = site.create().await;
        // In steps, so that partial tiles lie in the store.
        for size in [1, 5, 250, 256, 300, 511, 690, SIZE] {
            grow(&running.log, size).await;
        }
        let (head, checkpoint) = (running.log.head(), running.log.checkpoint());
        let mut data = BTreeMap::new();
        for (index, width) in tiles() {
            let tile = running.log.tile(self::data(index, width)).await.unwrap().unwrap();
            let entries = running.log.entries(index, width).await.unwrap().unwrap();
            data.insert((index, width), (tile, entries));
        }
        running.stop().await;
        let files = site.files("data/log");
        Self { site, head, checkpoint, data, files }
    }

    async fn erase(&self, id: u64) {
        let erased = OwnLog::erase(&self.site.parts().await, &module(id)).await.unwrap();
        assert_eq!(erased.map(|erased| (erased.id, erased.kind)), Some((id, Kind::Private)));
    }

    /// All that a log says of which these records were erased, and what it does not say.
    async fn check(&self, log: &OwnLog, erased: &[u64]) {
        assert_eq!((log.frozen(), log.erased()), (None, erased.len()));
        // What lies beside an erased record, and some of the rest.
        let looked_at =
            |id: u64| id.is_multiple_of(31) || erased.iter().any(|erased| erased.abs_diff(id) < 2);
        for (&(index, width), (tile, entries)) in &self.data {
            let (first, end) = (index * 256, index * 256 + u64::from(width));
            if !looked_at(end) && width != 256 {
                continue;
            }
            let found = log.tile(data(index, width)).await;
            let framed = log.entries(index, width).await;
            if erased.iter().any(|id| (first..end).contains(id)) {
                let withheld = |found: Result<Option<Bytes>, OwnError>| {
                    matches!(
                        found,
                        Err(OwnError::Erased { what: Withheld::Tile(tile) }) if tile == data(index, width)
                    )
                };
                assert!(withheld(found), "{index}.p/{width}");
                assert!(withheld(framed), "entries {index}.p/{width}");
            } else {
                assert_eq!(found.unwrap().as_ref(), Some(tile), "{index}.p/{width}");
                assert_eq!(framed.unwrap().as_ref(), Some(entries), "{index}.p/{width}");
            }
        }
        for id in 0..SIZE {
            let module = module(id);
            assert_eq!(log.is_erased(&module), erased.contains(&id));
            if erased.contains(&id) {
                is_withheld(log, id).await;
            } else if looked_at(id) {
                let (proven, bundle) = log.prove(&module).await.unwrap().unwrap();
                assert_eq!((proven.id(), bundle.verify(log.verifier()).unwrap()), (id, proven));
                let proof = log.tlog_proof(&module).await.unwrap().unwrap();
                assert_eq!(proof.verify(log.verifier()).unwrap().id(), id);
                assert!(log.lookup(&module).await.unwrap().is_some());
            }
        }
        assert_extends(log, self.head.head()).await;
        assert_eq!(leaves(log).await[..700], golden_leaves()[..]);
    }

    /// Files of database and store that hold a hash of a record.
    fn holding(&self, id: u64) -> Vec<String> {
        let needle = h1("zip", id);
        let files = self.site.files("");
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|at| at == needle.as_bytes());
        let holding = files.into_iter().filter(|(_path, bytes)| holds(bytes));
        holding.map(|(path, _bytes)| path).collect()
    }

    /// Files of hashes, and heads, are what they were.
    fn assert_hashes_stay(&self) {
        let now = self.site.files("data/log");
        let of_records = |path: &str| path.contains("/data/") || path.contains("/entries/");
        let of_records = |path: &str| of_records(path.split_once("/@/").unwrap().1);
        for (path, bytes) in self.files.iter().filter(|(path, _bytes)| !of_records(path)) {
            assert_eq!(now.get(path), Some(bytes), "{path}");
        }
    }

    async fn rows(&self) -> (db::State, db::Log) {
        let file = self.site.folder.path().join("db/state.sqlite");
        let state = db::State::open(&file).await.unwrap();
        let rows = state.log("sumdb.golden.example").await.unwrap().unwrap();
        (state, rows)
    }

    /// Erases as far as a crash may let it come: from the database alone.
    async fn erase_from_state(&self, id: u64) {
        let (state, rows) = self.rows().await;
        let epoch = rows.lead().await.unwrap();
        assert!(rows.erase(epoch, id).await.unwrap());
        drop(rows);
        state.close().await;
    }

    async fn recover(&self) -> sumdb::Recovered {
        OwnLog::recover(&self.site.parts().await, &[], private).await.unwrap()
    }
}

fn golden_leaves() -> Vec<[u8; HASH_BYTES]> {
    let leaf = |id| {
        let (module, version) = (module(id).path().clone(), format!("v0.0.{id}"));
        let (zip, go_mod) = (h1("zip", id), h1("mod", id));
        let text = format!("{module} {version} {zip}\n{module} {version}/go.mod {go_mod}\n");
        record_hash(text.as_bytes())
    };
    (0..SIZE).map(leaf).collect()
}

async fn is_withheld(log: &OwnLog, id: u64) {
    let module = module(id);
    let errors = [
        log.record(&module).await.err(),
        log.lookup(&module).await.err(),
        log.prove(&module).await.err(),
        log.tlog_proof(&module).await.err(),
    ];
    for error in errors {
        let told = format!("{module} was erased by whoever runs this log");
        assert_eq!(error.as_ref().map(ToString::to_string), Some(told), "{error:?}");
    }
}

/// The leaves of the newest tree, whose root they have.
async fn leaves(log: &OwnLog) -> Vec<[u8; HASH_BYTES]> {
    let (size, mut leaves, mut frontier) = (log.head().size(), Vec::new(), tlog::Frontier::new());
    while (leaves.len() as u64) < size {
        let index = leaves.len() as u64 / 256;
        let level = TileLevel::Hashes(0);
        let tile = Tile { level, index, width: Tile::width_in(level, index, size) };
        let bytes = log.tile(tile).await.unwrap().unwrap();
        leaves.extend_from_slice(bytes.as_chunks().0);
    }
    for leaf in &leaves {
        frontier.append(*leaf);
    }
    assert_eq!(frontier.head(), *log.head().head());
    leaves
}

#[tokio::test]
async fn an_erased_record_is_withheld_and_everything_else_stays() {
    // In a full tile, in the right edge, the first, the last.
    for id in [300, 650, 0, SIZE - 1] {
        let past = Past::new().await;
        past.erase(id).await;
        assert_eq!(past.holding(id), [""; 0], "{id}");
        past.assert_hashes_stay();
        let log = past.site.open().await;
        assert_eq!((log.head(), log.checkpoint()), (past.head.clone(), past.checkpoint.clone()));
        past.check(&log, &[id]).await;
        drop(log);
        let running = Running::start(past.site.open().await);
        // Never again, neither as it was nor otherwise.
        for zip in [h1("zip", id), h1("zip", 9999)] {
            let mod_h1 = h1("mod", id);
            let again = running.log.append(&module(id), &zip, &mod_h1, Kind::Private).await;
            assert!(matches!(again, Err(OwnError::Erased { .. })), "{again:?}");
        }
        for size in [701, 767, 768, 769, 1100] {
            grow(&running.log, size).await;
            past.check(&running.log, &[id]).await;
        }
        running.stop().await;
        assert_eq!(past.holding(id), [""; 0], "{id}");
        let log = past.site.open().await;
        past.check(&log, &[id]).await;
        assert_eq!((log.head().size(), log.frozen()), (1100, None));
        let files = past.site.files("data/log/sumdb.golden.example/@/tile/8");
        let has = |end: &str| files.keys().any(|path| path.ends_with(end));
        for index in 0..4 {
            assert!(has(&format!("/8/0/00{index}")));
            assert_eq!(has(&format!("/8/data/00{index}")), id / 256 != index, "{index}, {id}");
        }
    }
}

#[tokio::test]
async fn records_of_one_tile_are_erased_one_after_the_other_and_again() {
    let past = Past::new().await;
    let ids = [660, 520, 521, SIZE - 1];
    for (count, id) in (1..).zip(ids) {
        past.erase(id).await;
        past.erase(id).await;
        past.check(&past.site.open().await, &ids[..count]).await;
    }
    let running = Running::start(past.site.open().await);
    grow(&running.log, 800).await;
    running.stop().await;
    for id in ids {
        past.erase(id).await;
        assert_eq!(past.holding(id), [""; 0]);
    }
    // The tile is full now.
    past.erase(750).await;
    past.check(&past.site.open().await, &[660, 520, 521, SIZE - 1, 750]).await;
    let none = OwnLog::erase(&past.site.parts().await, &module(5000)).await.unwrap();
    assert_eq!(none, None);
}

/// The crash after which the database has forgotten the text, and the store has not.
#[tokio::test]
async fn a_crash_before_the_files_are_gone_shows_nothing_and_stops_nothing() {
    for id in [300, 650, SIZE - 1] {
        let past = Past::new().await;
        past.erase_from_state(id).await;
        let left = past.holding(id);
        assert!(!left.is_empty());
        past.check(&past.site.open().await, &[id]).await;
        let running = Running::start(past.site.open().await);
        for size in [701, 768, 800] {
            grow(&running.log, size).await;
        }
        past.check(&running.log, &[id]).await;
        running.stop().await;
        let now = past.holding(id);
        assert!(now.iter().all(|path| left.contains(path)), "written again: {now:?}");
        past.erase(id).await;
        assert_eq!(past.holding(id), [""; 0], "{id}");
        past.check(&past.site.open().await, &[id]).await;
    }
}

#[tokio::test]
async fn a_record_without_a_head_is_erased_and_gets_one() {
    let past = Past::new().await;
    let (state, rows) = past.rows().await;
    let epoch = rows.lead().await.unwrap();
    let record = tlog::Record::new(&module(700), &h1("zip", 700), &h1("mod", 700)).unwrap();
    let (text, leaf) = (Some(record.text().to_owned()), record.hash());
    let new = db::NewRecord { module: module(700), text, leaf, kind: Kind::Private };
    rows.append(epoch, &[new], Timestamp::from_unix_secs(0)).await.unwrap().unwrap();
    drop(rows);
    state.close().await;
    past.erase(700).await;
    let running = Running::start(past.site.open().await);
    assert_eq!(append(&running.log, 701).await.unwrap().id, 701);
    is_withheld(&running.log, 700).await;
    assert_eq!(leaves(&running.log).await[700], leaf);
    assert_extends(&running.log, past.head.head()).await;
    running.stop().await;
    assert_eq!(past.holding(700), [""; 0]);
}

/// A log of which some records were erased, and what can be put back.
struct Erased {
    past: Past,
    /// From before the erasure.
    old: [TempDir; 2],
}

const IDS: [u64; 4] = [0, 300, 650, SIZE - 1];

impl Erased {
    async fn new() -> Self {
        let past = Past::new().await;
        let old = [past.site.back_up("db").await, past.site.back_up("data").await];
        for id in IDS {
            past.erase(id).await;
        }
        Self { past, old }
    }

    async fn check_and_go_on(&self) {
        self.check_with(&[]).await;
    }

    /// More were erased since.
    async fn check_with(&self, more: &[u64]) {
        let (past, ids) = (&self.past, [&IDS[..], more].concat());
        for &id in &ids {
            assert_eq!(past.holding(id), [""; 0], "{id}");
        }
        past.check(&past.site.open().await, &ids).await;
        let running = Running::start(past.site.open().await);
        let next = running.log.head().size();
        assert_eq!(append(&running.log, next).await.unwrap().id, next);
        for &id in &ids {
            let again = append(&running.log, id).await;
            assert!(matches!(again, Err(OwnError::Erased { .. })), "{again:?}");
        }
        past.check(&running.log, &ids).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn recovery_changes_nothing_of_a_sound_log() {
    let erased = Erased::new().await;
    let before = erased.past.site.files("data");
    let found = erased.past.recover().await;
    assert_eq!((found.records, found.restored, found.rewritten, found.erased), (700, 0, 0, 4));
    let now = erased.past.site.files("data");
    let floor = |path: &str| path.ends_with("/floor");
    for (path, bytes) in before.iter().filter(|(path, _bytes)| !floor(path)) {
        assert_eq!(now.get(path), Some(bytes), "{path}");
    }
    assert_eq!(now.len(), before.len());
    erased.check_and_go_on().await;
}

#[tokio::test]
async fn a_lost_database_comes_back_without_the_erased_texts() {
    let erased = Erased::new().await;
    fs::remove_dir_all(erased.past.site.folder.path().join("db")).unwrap();
    let found = erased.past.recover().await;
    assert_eq!((found.records, found.restored, found.erased), (700, 700, 4));
    assert_eq!(erased.past.site.open().await.head(), erased.past.head);
    erased.check_and_go_on().await;
}

#[tokio::test]
async fn a_lost_store_comes_back_without_the_erased_texts() {
    let erased = Erased::new().await;
    fs::remove_dir_all(erased.past.site.folder.path().join("data")).unwrap();
    let outside = [erased.past.head.message().to_owned().into()];
    let parts = erased.past.site.parts().await;
    let found = OwnLog::recover(&parts, &outside, private).await.unwrap();
    drop(parts);
    assert_eq!((found.records, found.restored, found.erased), (700, 0, 4));
    assert_eq!(erased.past.site.open().await.head(), erased.past.head);
    erased.check_and_go_on().await;
    // And from what the recovery wrote the database can be made in turn.
    fs::remove_dir_all(erased.past.site.folder.path().join("db")).unwrap();
    assert_eq!(erased.past.recover().await.erased, 4);
    erased.check_and_go_on().await;
}

#[tokio::test]
async fn an_old_store_does_not_bring_a_text_back() {
    let erased = Erased::new().await;
    let [_, old] = &erased.old;
    erased.past.site.restore("data", old);
    assert!(!erased.past.holding(300).is_empty());
    erased.past.check(&erased.past.site.open().await, &IDS).await;
    assert_eq!(erased.past.recover().await.erased, 4);
    erased.check_and_go_on().await;
}

#[tokio::test]
async fn an_old_database_has_the_text_until_it_is_erased_again_or_recovered() {
    for recovers in [false, true] {
        let erased = Erased::new().await;
        let [old, _] = &erased.old;
        erased.past.site.restore("db", old);
        let log = erased.past.site.open().await;
        assert_eq!((log.frozen(), log.erased()), (None, 0));
        assert!(log.lookup(&module(300)).await.unwrap().is_some(), "as the drill says");
        let bulk = log.tile(data(1, 256)).await;
        assert!(matches!(bulk, Err(OwnError::Erased { .. })), "{bulk:?}");
        drop(log);
        // Another record of the tile: the first one's text does not come back to the store.
        erased.past.erase(301).await;
        let held = erased.past.holding(300);
        assert!(held.iter().all(|path| path.contains("/db/")), "{held:?}");
        let log = erased.past.site.open().await;
        let running = Running::start(log);
        grow(&running.log, 710).await;
        running.stop().await;
        if recovers {
            let found = erased.past.recover().await;
            assert_eq!((found.records, found.restored, found.erased), (710, 0, 5));
        } else {
            for id in IDS {
                erased.past.erase(id).await;
            }
        }
        erased.check_with(&[301]).await;
    }
}

#[tokio::test]
async fn an_old_database_over_a_newer_store_must_be_recovered_first() {
    let erased = Erased::new().await;
    let running = Running::start(erased.past.site.open().await);
    grow(&running.log, 800).await;
    running.stop().await;
    let [old, _] = &erased.old;
    erased.past.site.restore("db", old);
    let refused = OwnLog::erase(&erased.past.site.parts().await, &module(650)).await;
    assert!(matches!(refused, Err(OwnError::Frozen { .. })), "{refused:?}");
    let found = erased.past.recover().await;
    assert_eq!((found.records, found.restored, found.erased), (800, 100, 4));
    erased.check_and_go_on().await;
}

#[tokio::test]
async fn what_stays_of_a_tile_is_made_again_when_it_is_damaged() {
    let erased = Erased::new().await;
    let folder = erased.past.site.folder.path().join("data/log/sumdb.golden.example/@/redacted");
    fs::write(folder.join("001"), b"{\"id\":256}\n").unwrap();
    fs::remove_file(folder.join("000")).unwrap();
    assert_eq!(erased.past.recover().await.erased, 4);
    erased.check_and_go_on().await;
}

/// A crash while files were being removed, and then the database is lost.
#[tokio::test]
async fn a_tile_that_was_left_does_not_bring_a_text_back() {
    let erased = Erased::new().await;
    let log = "data/log/sumdb.golden.example/@";
    for folder in ["tile/8/data", "tile/entries"] {
        let to = erased.past.site.folder.path().join(log).join(folder);
        for entry in fs::read_dir(erased.old[1].path().join(log).join(folder)).unwrap() {
            let from = entry.unwrap().path();
            if from.is_file() {
                fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
            }
        }
    }
    assert!(!erased.past.holding(300).is_empty());
    fs::remove_dir_all(erased.past.site.folder.path().join("db")).unwrap();
    let found = erased.past.recover().await;
    assert_eq!((found.records, found.restored, found.erased), (700, 700, 4));
    erased.check_and_go_on().await;
}
