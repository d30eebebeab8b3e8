//! Killed in each step and at random moments: no fork, no lost record, no doubled one.
//!
//! This binary runs itself: the child records until it is killed. `LARDER_LOG_KILLS` sets how often
//! (100).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sumdb::{OwnLog, Step};
use tlog::{SignedHead, TreeHead};

use crate::site::{Running, append, assert_extends, audit, module, parts};

const FOLDER: &str = "LARDER_TEST_LOG_FOLDER";
const FIRST: &str = "LARDER_TEST_LOG_FIRST";
const STEP: &str = "LARDER_TEST_LOG_STEP";
const STEPS: [Step; 6] =
    [Step::Place, Step::Tiles, Step::Sign, Step::Head, Step::Publish, Step::Answer];

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_records_until_it_is_killed() {
    // Without a folder this is no child: nothing to do.
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let last = std::env::var(STEP).ok().map(|step| {
        let (step, count) = step.split_once(' ').unwrap();
        (step.to_owned(), count.parse::<u64>().unwrap())
    });
    let log = OwnLog::open(parts(Path::new(&folder)).await).await.unwrap();
    assert_eq!(log.frozen(), None);
    let (seen, reached) = (log.clone(), AtomicU64::new(0));
    log.observe(move |step| {
        let here = last.as_ref().filter(|(name, _count)| *name == format!("{step:?}"));
        if here.is_some_and(|(_, count)| reached.fetch_add(1, Ordering::Relaxed) + 1 == *count) {
            // No unwinding, no flushing, no destructors: as a kill.
            std::process::abort();
        }
        if step == Step::Answer {
            say(&format!("head {}", STANDARD.encode(seen.head().message())));
        }
    });
    let running = Running::start(log.clone());
    say("ready");
    let writers = (0..6).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            // Long enough to be killed, short enough to end if nobody does.
            for step in 0..2000 {
                let number = first + writer + 6 * step;
                let logged = append(&log, number).await.unwrap();
                say(&format!("record {number} {}", logged.id));
            }
        })
    });
    for writer in futures_util::future::join_all(writers).await {
        writer.unwrap();
    }
    running.stop().await;
}

/// What children said: all of it must hold for ever.
#[derive(Default)]
struct Said {
    records: BTreeMap<u64, u64>,
    heads: BTreeMap<u64, TreeHead>,
    new_heads: Vec<TreeHead>,
}

/// Runs a child until it ends at its step, or kills it a while after it has begun.
fn kill_a_child(folder: &Path, round: u64, said: &mut Said) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "kill::child_records_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, (round * 100_000).to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let at_step = round.is_multiple_of(2);
    if at_step {
        let step = STEPS[usize::try_from(round / 2).unwrap() % STEPS.len()];
        child.env(STEP, format!("{step:?} {}", 1 + round / 2 % 7));
    }
    let mut child = child.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut all = String::new();
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        all.push_str(&String::from_utf8_lossy(&bytes));
        all
    });
    if !at_step {
        thread::sleep(Duration::from_millis(40 + round * 37 % 160));
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let out = reader.join().unwrap();
    assert!(!status.success() && !out.contains("FAILED"), "the child ended by itself: {out}");
    hear(&out, said);
}

fn hear(out: &str, said: &mut Said) {
    // The last line may be cut.
    let whole = out.rsplit_once('\n').map_or("", |(whole, _cut)| whole);
    for line in whole.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["record", number, id] => {
                let id = id.parse().unwrap();
                let before = said.records.insert(number.parse().unwrap(), id);
                assert!(before.is_none_or(|before| before == id));
            }
            ["head", note] => {
                let note = STANDARD.decode(note).unwrap();
                let key = crate::site::key(0).verifier();
                let head = SignedHead::open(&key, &note).unwrap().head().clone();
                let before = said.heads.insert(head.size, head.clone());
                assert!(before.is_none_or(|before| before == head), "two heads of {}", head.size);
                said.new_heads.push(head);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_a_log_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(OwnLog::create(&parts(folder.path()).await).await.unwrap());
    let kills = std::env::var("LARDER_LOG_KILLS").map_or(100, |kills| kills.parse().unwrap());
    let mut said = Said::default();
    for round in 0..kills {
        kill_a_child(folder.path(), round, &mut said);
        let log = OwnLog::open(parts(folder.path()).await).await.unwrap();
        assert_eq!(log.frozen(), None, "round {round}");
        for head in said.new_heads.drain(..) {
            assert_extends(&log, &head).await;
        }
    }
    // What the last one left half done is done, then everything is looked at.
    let running = Running::start(OwnLog::open(parts(folder.path()).await).await.unwrap());
    append(&running.log, kills * 100_000 + 99_999).await.unwrap();
    let texts = audit(&running.log).await;
    for (number, id) in &said.records {
        let text = &texts[usize::try_from(*id).unwrap()];
        assert!(text.starts_with(&format!("{} ", module(*number).path())));
        assert!(text.contains(&format!(" {} h1:", module(*number).version())), "{number}: {text}");
    }
    for head in said.heads.values() {
        assert_extends(&running.log, head).await;
    }
    let size = running.log.head().size();
    running.stop().await;
    all_kept_heads_agree(folder.path(), size).await;
    let (records, heads) = (said.records.len(), said.heads.len());
    assert!(records as u64 > kills, "{records} records: the children did nothing");
    say(&format!(
        "{kills} kills, {size} records, {records} told, {heads} heads seen: 0 losses, 0 forks"
    ));
}

/// Also heads that no checker saw must be of the one tree.
async fn all_kept_heads_agree(folder: &Path, size: u64) {
    let parts = parts(folder).await;
    let log = OwnLog::open(parts.clone()).await.unwrap();
    let rows = parts.state.log("sumdb.golden.example").await.unwrap().unwrap();
    let mut next = 0;
    while next <= size {
        let heads = rows.heads(next, 500).await.unwrap();
        let Some(last) = heads.last() else { break };
        next = last.size + 1;
        for head in heads.iter().filter(|head| head.size > 0) {
            let opened = SignedHead::open(log.verifier(), head.note.as_bytes()).unwrap();
            assert_extends(&log, opened.head()).await;
        }
    }
}
