use base64::{Engine, engine::general_purpose::STANDARD};
use outbound::ProxyEnvironment;
use testkit::{Behaviour, FakeSumdb, Lie, h1_of_mod};
use tlog::{Inclusion, LogName, SignedHead, SigningKey, record_hash};
use units::Timestamp;

use super::*;
use crate::Error;

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
        max_age: None,
        at_once: 0,
        client: Client::new(&config, &ProxyEnvironment::default()).unwrap(),
        via: Arc::from("1.1 larder-test"),
        clock: Clock::new(|| Timestamp::from_unix_secs(1_700_000_000)),
    }
}

fn monitor(fake: &FakeSumdb, other: Option<&FakeSumdb>) -> Monitor {
    let kept = Kept::new(fake.key().clone());
    Monitor::new(parts(fake, other), kept, Seen::new()).unwrap()
}

async fn round(monitor: &mut Monitor) -> Result<Vec<Finding>, Error> {
    monitor.look().await?;
    while monitor.walk().await? == Walked::On {}
    Ok(monitor.findings())
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

#[tokio::test]
async fn evidence_is_bounded_and_findings_are_not() {
    let fake = log(0);
    for _twice in 0..2 {
        (0..103).for_each(|number| add(&fake, number, "zip"));
    }
    let mut monitor = monitor(&fake, None);
    let found = round(&mut monitor).await.unwrap();
    let shown = found.iter().filter(|finding| finding.evidence.is_some()).count();
    assert_eq!((found.len(), shown), (103, 100));
    assert_eq!(monitor.kept().untold().len(), 103);
    // The next round may show again.
    add(&fake, 0, "zip");
    let found = round(&mut monitor).await.unwrap();
    assert!(matches!(&found[..], [finding] if finding.evidence.is_some()), "{found:?}");
}

#[tokio::test]
async fn evidence_of_a_duplicate_proves_both_records() {
    let fake = log(300);
    add(&fake, 1, "zip");
    fake.fill(500);
    add(&fake, 1, "another");
    let found = round(&mut monitor(&fake, None)).await.unwrap();
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
async fn what_could_not_be_compared_is_compared_later() {
    let (fake, other) = (log(0), FakeSumdb::start("other.example").unwrap());
    (0..300).for_each(|number| add(&fake, number, "zip"));
    (0..299).for_each(|number| add(&other, number, "zip"));
    add(&other, 299, "another");
    let mut monitor = monitor(&fake, Some(&other));
    other.behave("/lookup/*", Behaviour::new().status(503));
    for _round in 0..3 {
        let error = round(&mut monitor).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    other.be_honest();
    let found = round(&mut monitor).await.unwrap();
    let [Finding { kind: Misbehaviour::Hash, what, .. }] = &found[..] else { panic!("{found:?}") };
    assert!(
        what.starts_with("record 299, example.com/a@v1.0.299: other.example has h1:"),
        "{what}"
    );
}

#[tokio::test]
async fn a_database_that_forks_is_no_judge() {
    let (fake, other) = (log(0), FakeSumdb::start("other.example").unwrap());
    other.fill(400);
    for fake in [&fake, &other] {
        (0..3).for_each(|number| add(fake, number, "zip"));
    }
    let mut monitor = monitor(&fake, Some(&other));
    assert_eq!(round(&mut monitor).await.unwrap(), []);
    other.fork(100);
    for fake in [&fake, &other] {
        (3..5).for_each(|number| add(fake, number, "zip"));
    }
    let error = round(&mut monitor).await.unwrap_err();
    assert!(
        matches!(&error, Error::Invalid { source_name, .. } if &**source_name == "other.example")
    );
}

#[tokio::test]
async fn a_data_tile_past_the_limit_is_no_answer() {
    let fake = log(256);
    let tile = |bytes: usize| Behaviour::new().body(vec![b'x'; bytes]);
    fake.behave("/tile/8/data/000", tile(2 << 20));
    let found = round(&mut monitor(&fake, None)).await.unwrap();
    assert!(matches!(&found[..], [Finding { kind: Misbehaviour::Gap, .. }]), "{found:?}");
    fake.be_honest();
    fake.behave("/tile/8/data/000", tile((2 << 20) + 1));
    let error = round(&mut monitor(&fake, None)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn neither_hashes_nor_records_that_fit_the_head_end_the_round() {
    let fake = log(600);
    fake.behave("/tile/8/0/001", Behaviour::new().body(vec![7; 8192]));
    fake.lie(Lie::AlteredRecord(300));
    let mut monitor = monitor(&fake, None);
    let found = round(&mut monitor).await.unwrap();
    assert!(matches!(&found[..], [Finding { kind: Misbehaviour::Gap, .. }]), "{found:?}");
    assert_eq!((monitor.kept().records(), monitor.seen().records()), (256, 256));
    fake.be_honest();
    assert_eq!(round(&mut monitor).await.unwrap(), []);
    assert_eq!((monitor.kept().records(), monitor.seen().records()), (600, 600));
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let fake = log(1);
    let other = SigningKey::from_seed(LogName::parse("sum.example/x").unwrap(), [9; 32]).verifier();
    assert!(Monitor::new(parts(&fake, None), Kept::new(other), Seen::new()).is_none());
    let mut seen = Seen::new();
    seen.unnamed();
    let kept = Kept::new(fake.key().clone());
    assert!(Monitor::new(parts(&fake, None), kept, seen).is_none());
}

#[tokio::test]
async fn a_fork_is_told_in_each_round_and_never_believed() {
    let fake = log(500);
    let mut monitor = monitor(&fake, None);
    round(&mut monitor).await.unwrap();
    let kept = monitor.kept().clone();
    fake.fork(300);
    for _round in 0..3 {
        fake.fill(100);
        let found = round(&mut monitor).await.unwrap();
        assert!(matches!(&found[..], [Finding { kind: Misbehaviour::Fork, .. }]), "{found:?}");
        monitor.told();
        assert_eq!(*monitor.kept(), kept);
    }
}
