use tlog::{Lookup, Plan, Question, SignedCheckpoint, SignedHead, split_data_tile, tile_of};

use super::*;
use crate::{ModuleVersion, get};

const H1: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn body(sumdb: &FakeSumdb, path: &str) -> Vec<u8> {
    let answer = get(&format!("{}/{path}", sumdb.url())).unwrap();
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}

fn status(sumdb: &FakeSumdb, path: &str) -> u16 {
    get(&format!("{}/{path}", sumdb.url())).unwrap().status
}

fn newest(sumdb: &FakeSumdb) -> SignedHead {
    SignedHead::open(sumdb.key(), &body(sumdb, "latest")).unwrap()
}

#[test]
fn records_prove_from_its_tiles() {
    let sumdb = FakeSumdb::start("sum.example/x").unwrap();
    sumdb.fill(700);
    let id = sumdb.size();
    sumdb.add("example.com/Up", "v1.0.0-RC1", H1, H1);
    sumdb.fill(70_000);
    let head = newest(&sumdb);
    let plan = Plan::new(head.head(), &[Question::Leaf(id)]).unwrap();
    let tiles: Vec<_> = plan.tiles().iter().map(|tile| body(&sumdb, &tile.path())).collect();
    assert!(tiles.len() > 2);
    let module = gomod("example.com/Up", "v1.0.0-RC1");
    let answer = body(&sumdb, "lookup/example.com/!up@v1.0.0-!r!c1");
    let lookup = Lookup::parse(&module, &answer).unwrap();
    plan.verify(&tiles).unwrap().prove(lookup.id, lookup.record).unwrap();
    assert_eq!(status(&sumdb, "lookup/example.com/other@v1.0.0"), 404);
    assert_eq!(status(&sumdb, &format!("sumdb/{}/supported", sumdb.name())), 200);
}

fn gomod(path: &str, version: &str) -> gomod::ModVer {
    gomod::ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap()
}

#[test]
fn its_tiles_are_those_of_all_leaves() {
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.fill(700);
    let mut leaves = Vec::new();
    for (index, width) in [(0, 256), (1, 256), (2, 188)] {
        let tile = Tile { level: TileLevel::Data, index, width };
        let data = body(&sumdb, &tile.path());
        let records = split_data_tile(&data, width).unwrap();
        leaves.extend(records.iter().map(|record| record_hash(record.as_bytes())));
    }
    for path in ["tile/8/0/000", "tile/8/0/002.p/188", "tile/8/0/001.p/3", "tile/8/1/000.p/2"] {
        let tile = Tile::parse(path).unwrap();
        assert_eq!(body(&sumdb, path), tile_of(tile, &leaves).unwrap(), "{path}");
    }
    assert_eq!(status(&sumdb, "tile/8/0/002.p/189"), 404);
}

#[test]
fn a_fork_has_the_same_beginning_and_another_end() {
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.fill(10);
    sumdb.add("example.com/a", "v1.0.0", H1, H1);
    let (before, old) = (sumdb.head(8), sumdb.head(11));
    let history = sumdb.history();
    sumdb.fork(8);
    assert_eq!(sumdb.size(), 12);
    assert_eq!(sumdb.head(8), before);
    assert_ne!(sumdb.head(11), old);
    assert!(body(&sumdb, "lookup/example.com/a@v1.0.0").starts_with(b"11\n"));
    sumdb.restore(history);
    assert_eq!(sumdb.head(11), old);
}

#[test]
fn modules_of_a_proxy_are_recorded_once() {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/Up", "v1.0.0"));
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.add_modules(&modules);
    sumdb.add_modules(&modules);
    assert_eq!(sumdb.size(), 1);
    let upstream = FakeUpstream::start(modules).unwrap();
    sumdb.mount(&upstream);
    let path = "/sumdb/sum.example/lookup/example.com/!up@v1.0.0";
    let answer = get(&format!("{}{path}", upstream.url())).unwrap();
    assert!(answer.text().starts_with("0\nexample.com/Up v1.0.0 h1:"), "{}", answer.text());
}

#[test]
fn forged_tiles_agree_with_each_other_up_to_their_level() {
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.fill(300);
    let id = sumdb.size();
    sumdb.add("example.com/a", "v1.0.0", H1, H1);
    sumdb.fill(70_000);
    let head = newest(&sumdb);
    let plan = Plan::new(head.head(), &[Question::Leaf(id)]).unwrap();
    let path = plan.tiles().last().unwrap().path();
    let honest = body(&sumdb, &path);
    sumdb.lie(Lie::ForgedTiles(0));
    let forged = body(&sumdb, &path);
    assert_ne!(forged, honest);
    let lookup = body(&sumdb, "lookup/example.com/a@v1.0.0");
    let lookup = Lookup::parse(&self::gomod("example.com/a", "v1.0.0"), &lookup).unwrap();
    let at = usize::try_from(id % 256).unwrap() * 32;
    assert_eq!(forged[at..at + 32], lookup.record.hash());
    let tiles: Vec<_> = plan.tiles().iter().map(|tile| body(&sumdb, &tile.path())).collect();
    assert!(plan.verify(&tiles).is_err());
    sumdb.be_honest();
    assert_eq!(body(&sumdb, &path), honest);
}

#[test]
fn lies_about_signatures_are_lies() {
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.fill(3);
    let open = || SignedHead::open(sumdb.key(), &body(&sumdb, "latest"));
    assert!(!open().unwrap().has_extensions());
    sumdb.lie(Lie::Extension);
    assert!(open().unwrap().has_extensions());
    sumdb.lie(Lie::BadSignature);
    assert!(matches!(open(), Err(tlog::Error::Signature { .. })));
    sumdb.lie(Lie::UnknownSigner);
    assert!(matches!(open(), Err(tlog::Error::Unsigned { .. })));
    sumdb.be_honest();
    sumdb.lie(Lie::OldLatest(2));
    assert_eq!(open().unwrap().size(), 2);
}

#[test]
fn its_checkpoint_is_of_the_same_tree_unless_it_lies() {
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.fill(300);
    let open = || SignedCheckpoint::open(sumdb.key(), &body(&sumdb, "checkpoint")).unwrap();
    assert_eq!(open().head(), newest(&sumdb).head());
    sumdb.lie(Lie::OtherCheckpoint);
    assert_eq!(open().head().size, 300);
    assert_ne!(open().head(), newest(&sumdb).head());
}

#[test]
fn lies_about_records_are_told_in_data_tiles_alone() {
    let sumdb = FakeSumdb::start("sum.example").unwrap();
    sumdb.fill(255);
    sumdb.add_text("example.com/a@v1.0.0", "no record\n");
    let honest = body(&sumdb, "tile/8/data/000");
    let hashes = body(&sumdb, "tile/8/0/000");
    assert!(honest.ends_with(b"\n\nno record\n\n"));
    sumdb.lie(Lie::AlteredRecord(3));
    let altered = body(&sumdb, "tile/8/data/000");
    let records = split_data_tile(&altered, 256).unwrap();
    for (id, (record, honest)) in
        records.iter().zip(split_data_tile(&honest, 256).unwrap()).enumerate()
    {
        assert_eq!(*record != honest, id == 3);
    }
    sumdb.be_honest();
    sumdb.lie(Lie::MissingRecord(255));
    let missing = body(&sumdb, "tile/8/data/000");
    assert_eq!(split_data_tile(&missing, 255).unwrap().len(), 255);
    assert_eq!(body(&sumdb, "tile/8/0/000"), hashes);
    sumdb.lie(Lie::NoPartials);
    assert_eq!(status(&sumdb, "tile/8/data/000.p/5"), 404);
}
