mod silence;
mod trees;

use std::sync::atomic::{AtomicI64, Ordering};

use base64::{Engine, engine::general_purpose::STANDARD};
use outbound::ProxyEnvironment;
use testkit::{Behaviour, FakeSumdb, Lie, h1_of_mod};
use tlog::{Inclusion, LogName, Note, SignedHead, SigningKey, record_hash};

use super::evidence::MAX_SECTION_BYTES;
use super::place::{MAX_DATA_TILE_BYTES, MAX_QUICK_BYTES};
use super::*;

fn database(fake: &FakeSumdb) -> Database {
    Database { name: fake.name().clone(), key: fake.key().clone(), urls: fake.urls() }
}

fn parts(fake: &FakeSumdb, other: Option<&FakeSumdb>) -> Parts {
    let config = outbound::Config { attempts: 1, ..outbound::Config::default() };
    Parts {
        database: database(fake),
        compare: other.map(database),
        sample: NonZeroU64::MIN,
        names: Names::default(),
        terms: "no realm".to_owned(),
        heads: Vec::new(),
        max_age: None,
        at_once: 0,
        client: Client::new(&config, &ProxyEnvironment::default()).unwrap(),
        via: Arc::from("1.1 larder-test"),
        clock: Clock::new(|| Timestamp::from_unix_secs(1_700_000_000)),
    }
}

fn monitor(fake: &FakeSumdb, other: Option<&FakeSumdb>) -> Monitor {
    begin(parts(fake, other))
}

fn begin(parts: Parts) -> Monitor {
    let kept = Kept::new(parts.database.key.clone());
    Monitor::new(parts, kept, Seen::new()).unwrap()
}

/// The next run: of what was written by the one before.
fn next(parts: Parts, before: &Monitor) -> Monitor {
    let kept = Kept::parse(&parts.database.key, &before.kept().text()).unwrap();
    let mut seen = Seen::new();
    seen.extend(&before.seen().since(0), &kept);
    Monitor::new(parts, kept, seen).unwrap()
}

async fn round(monitor: &mut Monitor) -> Vec<Finding> {
    monitor.look().await;
    while monitor.walk().await == Walked::On {}
    monitor.finish();
    monitor.findings()
}

fn kinds(found: &[Finding]) -> Vec<Misbehaviour> {
    found.iter().map(|finding| finding.kind).collect()
}

fn log(records: u64) -> FakeSumdb {
    let fake = FakeSumdb::start("sum.example/x").unwrap();
    fake.fill(records);
    fake
}

fn add(fake: &FakeSumdb, number: usize, zip: &str) {
    let (zip, go_mod) = (h1_of_mod(zip.as_bytes()), h1_of_mod(b"mod"));
    fake.add("example.com/a", &format!("v1.0.{number}"), &zip, &go_mod);
}

/// What the fake log would sign.
fn signed(fake: &FakeSumdb, text: String) -> String {
    let seed = record_hash(fake.name().as_str().as_bytes());
    let key = SigningKey::from_seed(fake.name().clone(), seed);
    Note { signatures: vec![key.sign(&text)], text }.message()
}

fn serves(fake: &FakeSumdb, path: &str, body: impl Into<bytes::Bytes>) {
    fake.behave(path, Behaviour::new().body(body));
}

#[tokio::test]
async fn evidence_is_bounded_and_findings_are_not() {
    let fake = log(0);
    for _twice in 0..2 {
        (0..103).for_each(|number| add(&fake, number, "zip"));
    }
    let mut monitor = monitor(&fake, None);
    let found = round(&mut monitor).await;
    let shown = found.iter().filter(|finding| finding.evidence.is_some()).count();
    assert_eq!((found.len(), shown), (103, 100));
    assert_eq!(monitor.kept().untold().len(), 103);
    // The next round may show again.
    add(&fake, 0, "zip");
    let found = round(&mut monitor).await;
    assert!(matches!(&found[..], [finding] if finding.evidence.is_some()), "{found:?}");
}

#[tokio::test]
async fn evidence_of_a_duplicate_proves_both_records() {
    let fake = log(300);
    add(&fake, 1, "zip");
    fake.fill(500);
    add(&fake, 1, "another");
    let found = round(&mut monitor(&fake, None)).await;
    let [Finding { evidence: Some(evidence), .. }] = &found[..] else { panic!("{found:?}") };
    let sections: Vec<_> = evidence.text.split("\n--- ").skip(1).collect();
    let [note, records @ ..] = &sections[..] else { panic!("{}", evidence.text) };
    let body = |section: &str| section.split_once(" ---\n").unwrap().1.to_owned();
    // The line feed of the note's end is the one before the next title.
    let head = SignedHead::open(fake.key(), (body(note).trim_end().to_owned() + "\n").as_bytes());
    let head = head.unwrap();
    assert_eq!((head.size(), records.len()), (802, 2));
    for (section, id) in records.iter().zip([300, 801]) {
        let body = body(section);
        let lines: Vec<_> = body.lines().collect();
        let (record, hashes) = lines.split_at(2);
        let leaf = record_hash(format!("{}\n", record.join("\n")).as_bytes());
        let hash = |line: &&str| STANDARD.decode(line).unwrap().try_into().unwrap();
        let inclusion = Inclusion { hashes: hashes.iter().map(hash).collect() };
        inclusion.verify(&leaf, id, head.head()).unwrap();
    }
}

#[tokio::test]
async fn evidence_of_a_duplicate_stands_though_the_earlier_record_is_gone() {
    let fake = log(300);
    add(&fake, 1, "zip");
    fake.fill(9000);
    let mut monitor = monitor(&fake, None);
    assert_eq!(round(&mut monitor).await, []);
    add(&fake, 1, "another");
    fake.behave("/tile/8/data/001", Behaviour::new().status(404));
    let found = round(&mut monitor).await;
    let [Finding { kind: Misbehaviour::Duplicate, evidence: Some(evidence), .. }] = &found[..]
    else {
        panic!("{found:?}")
    };
    let gone = "--- record 300 ---\n(not served again: 404 for tile/8/data/001)\n";
    let from = evidence.text.find("--- record 300").unwrap();
    assert!(evidence.text[from..].starts_with(gone), "{}", &evidence.text[from..]);
    let rest =
        evidence.text.split_once("--- record 9301, and its proof of inclusion ---\n").unwrap();
    assert!(rest.1.lines().count() >= 4, "{}", evidence.text);
    assert!(fake.calls("/tile/8/data/036*") < 3, "the new one is in hand");
}

#[tokio::test]
async fn evidence_of_long_records_is_short() {
    let fake = log(1);
    for number in 0..20 {
        fake.add_text("x", &format!("{number}{}\n", "x".repeat(200_000)));
    }
    let mut monitor = monitor(&fake, None);
    let found = round(&mut monitor).await;
    assert_eq!(kinds(&found), [Misbehaviour::Grammar; 20]);
    for Finding { evidence, .. } in found {
        let text = evidence.unwrap().text;
        assert!(text.len() < MAX_SECTION_BYTES + 2000, "{}", text.len());
    }
    assert!(monitor.kept().text().len() < 20_000);
}

#[tokio::test]
async fn junk_has_one_name_however_often_it_is_served() {
    let fake = log(10);
    let mut names = std::collections::BTreeSet::new();
    for junk in ["a", "b", "a", "a"] {
        serves(&fake, "/latest", junk.repeat(1_000_000));
        let found = round(&mut monitor(&fake, None)).await;
        let [Finding { kind: Misbehaviour::Head, evidence: Some(evidence), .. }] = &found[..]
        else {
            panic!("{found:?}")
        };
        assert!(evidence.text.len() < MAX_SECTION_BYTES + 2000);
        names.insert(evidence.name.clone());
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let fake = log(1);
    let other = SigningKey::from_seed(LogName::parse("sum.example/x").unwrap(), [9; 32]).verifier();
    let new = |kept, seen| Monitor::new(parts(&fake, None), kept, seen).unwrap_err();
    assert_eq!(new(Kept::new(other.clone()), Seen::new()), Unfit::Key(other));
    let mut seen = Seen::new();
    seen.unnamed();
    assert_eq!(new(Kept::new(fake.key().clone()), seen), Unfit::Damaged);
}

#[tokio::test]
async fn records_are_judged_by_one_set_of_terms() {
    let fake = log(1);
    let mut monitor = monitor(&fake, None);
    round(&mut monitor).await;
    let with = |terms: &str| {
        let (parts, kept) = (parts(&fake, None), monitor.kept().clone());
        let mut seen = Seen::new();
        seen.extend(&monitor.seen().since(0), &kept);
        Monitor::new(Parts { terms: terms.to_owned(), ..parts }, kept, seen).map(|_monitor| ())
    };
    assert_eq!(with("no realm"), Ok(()));
    let (before, now) = ("no realm".to_owned(), "--realm a\u{fffd}b".to_owned());
    assert_eq!(with("--realm a\nb"), Err(Unfit::Terms { before, now }));
    // Nothing was judged yet.
    let kept = Kept::parse(fake.key(), &Kept::new(fake.key().clone()).text()).unwrap();
    assert!(Monitor::new(parts(&fake, None), kept, Seen::new()).is_ok());
}
