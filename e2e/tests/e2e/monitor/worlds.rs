//! Each misbehaviour once.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use testkit::{Behaviour, Lie};

use super::{NAME, Watch};

/// What is done to a log that has been watched, how it is looked at then, and what comes of it.
struct World {
    name: &'static str,
    does: fn(&Watch),
    with: &'static [&'static str],
    code: i32,
    says: &'static str,
    has_evidence: bool,
}

/// The one in which the log signs nothing.
const STRANGER: &str = "a head of somebody else";

const WORLDS: [World; 24] = [
    World {
        name: "another tree goes on",
        does: |watch| {
            watch.sumdb.fork(500);
            watch.sumdb.fill(300);
        },
        with: &[],
        code: 10,
        says: "fork: the tree of size 1001 does not begin with the tree of size 700",
        has_evidence: true,
    },
    World {
        name: "another tree of the same size",
        does: |watch| {
            watch.sumdb.fork(500);
            watch.sumdb.lie(Lie::Rollback(700));
        },
        with: &[],
        code: 10,
        says: "fork: there are two trees of size 700",
        has_evidence: true,
    },
    World {
        name: "another tree that is smaller",
        does: |watch| {
            watch.sumdb.fork(500);
            watch.sumdb.lie(Lie::OldLatest(600));
        },
        with: &[],
        // Shown by its larger checkpoint; of the head alone it could not be told.
        code: 12,
        says: "one of size 700 was seen before; whether it is a fork cannot be told",
        has_evidence: true,
    },
    World {
        name: "a signature that is none",
        does: |watch| watch.sumdb.lie(Lie::BadSignature),
        with: &[],
        code: 11,
        says: "head: the newest head is none: signature of sum.example.com/log does not verify",
        has_evidence: true,
    },
    World {
        name: STRANGER,
        does: |watch| watch.sumdb.lie(Lie::UnknownSigner),
        with: &[],
        code: 11,
        says: "head: the newest head is none: note is not signed by",
        has_evidence: true,
    },
    World {
        name: "witnesses see another tree",
        does: |watch| watch.sumdb.lie(Lie::OtherCheckpoint),
        with: &[],
        code: 12,
        says: "checkpoint: the checkpoint of size 700 is of another tree",
        has_evidence: true,
    },
    World {
        name: "a checkpoint that is none",
        does: |watch| watch.sumdb.behave("/checkpoint", Behaviour::new().body("hello\n")),
        with: &[],
        code: 12,
        says: "checkpoint: the checkpoint is none",
        has_evidence: true,
    },
    World {
        name: "a name that only public modules have, in a private log",
        does: |watch| watch.add("golang.org/x/mod", "v0.1.0"),
        with: &["--realm", "filler.example"],
        code: 14,
        says: "reserved: record 700: golang.org/x/mod@v0.1.0 is a reserved name in a private log",
        has_evidence: true,
    },
    World {
        name: "a toolchain as a private module",
        does: |watch| watch.add("golang.org/toolchain", "v0.0.1-go1.99.0.linux-amd64"),
        with: &["--realm", "*"],
        code: 14,
        says: "is a private record of a reserved name",
        has_evidence: true,
    },
    World {
        name: "one version twice, and runs apart",
        does: |watch| watch.add("filler.example/m", "v0.0.6"),
        with: &[],
        code: 15,
        says: "duplicate: record 700: filler.example/m@v0.0.6 is recorded as 5 already",
        has_evidence: true,
    },
    World {
        name: "a name that the log is not for",
        does: |watch| watch.add("github.com/a/b", "v1.0.0"),
        with: &["--realm", "filler.example,corp.example"],
        code: 16,
        says: "realm: record 700: github.com/a/b@v1.0.0 is outside the realm",
        has_evidence: true,
    },
    World {
        name: "a data tile is not there",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.behave("/tile/8/data/003", Behaviour::new().status(404));
        },
        with: &[],
        code: 17,
        says: "gap: it answered 404 for tile/8/data/003, which its tree has",
        has_evidence: false,
    },
    World {
        name: "a record is not there",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.lie(Lie::MissingRecord(1023));
        },
        with: &[],
        code: 17,
        says: "gap: tile/8/data/003: 255 records instead of 256",
        has_evidence: false,
    },
    World {
        name: "a record is not the one of the tree",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.lie(Lie::AlteredRecord(900));
        },
        with: &[],
        code: 17,
        says: "gap: tile/8/data/003: record 900 is not the one of the tree",
        has_evidence: false,
    },
    World {
        name: "a record that was judged is another one now",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.lie(Lie::AlteredRecord(699));
        },
        with: &[],
        code: 17,
        says: "gap: tile/8/data/002: record 699 is not the one of the tree",
        has_evidence: false,
    },
    World {
        name: "a tile of hashes is not there",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.behave("/tile/8/0/003", Behaviour::new().status(404));
        },
        with: &[],
        code: 17,
        says: "gap: it answered 404 for tile/8/0/003, which its tree has",
        has_evidence: false,
    },
    World {
        name: "a tile of hashes is another one",
        does: |watch| {
            watch.sumdb.fill(500);
            let bytes = vec![7; 8192];
            watch.sumdb.behave("/tile/8/0/003", Behaviour::new().body(bytes));
        },
        with: &[],
        code: 17,
        says: "gap: tile/8/0/003 is inconsistent with the tree of size 1200",
        has_evidence: false,
    },
    World {
        name: "a head without its tiles",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.lie(Lie::BrokenTiles(1));
        },
        with: &[],
        code: 17,
        says: "gap: the head of size 1200 cannot be shown to go on from size 700: tile/8/1/",
        has_evidence: true,
    },
    World {
        name: "records are withheld",
        does: |watch| {
            watch.sumdb.fill(500);
            watch.sumdb.behave("/tile/8/data/003", Behaviour::new().status(410));
        },
        with: &[],
        code: 18,
        says: "redaction: records 768 to 1023 are withheld: 410 for tile/8/data/003",
        has_evidence: false,
    },
    World {
        name: "a record that is none",
        does: |watch| watch.sumdb.add_text("x", "hello\n"),
        with: &[],
        code: 19,
        says: r#"grammar: record 700: its first line names no module version: "hello\n""#,
        has_evidence: true,
    },
    World {
        name: "an older head",
        does: |watch| watch.sumdb.lie(Lie::OldLatest(600)),
        with: &[],
        code: 20,
        says: "stale: the newest head is of size 600, one of size 700 was seen before",
        has_evidence: true,
    },
    World {
        name: "an older log, whose tiles are gone",
        does: |watch| watch.sumdb.lie(Lie::Rollback(600)),
        with: &[],
        code: 20,
        says: "whether it is a fork cannot be told",
        has_evidence: true,
    },
    World {
        name: "a head that stays the newest",
        does: |_watch| std::thread::sleep(Duration::from_millis(20)),
        with: &["--max-age", "10ms"],
        code: 20,
        says: "stale: the head of size 700 has been the newest since",
        has_evidence: false,
    },
    World {
        name: "lines below the root",
        does: |watch| watch.sumdb.lie(Lie::Extension),
        with: &[],
        code: 21,
        says: "extension: the head of size 700 has lines below its root",
        has_evidence: true,
    },
];

#[test]
fn each_misbehaviour_has_its_code_its_line_and_its_evidence() -> anyhow::Result<()> {
    for world in WORLDS {
        let terms = if world.with.contains(&"--realm") { world.with } else { &[] };
        let watch = Watch::begun(terms)?;
        (world.does)(&watch);
        let ran = watch.run(world.with)?;
        let (name, said) = (world.name, &ran.said);
        ensure!(ran.code == world.code, "{name}: {}\n{said}", ran.code);
        ensure!(said.contains(world.says), "{name}\n{said}");
        let file = said.lines().find_map(|line| line.split_once(", see ")).map(|(_, file)| file);
        ensure!(file.is_some() == world.has_evidence, "{name}\n{said}");
        if let Some(file) = file {
            let text = fs::read_to_string(file)?;
            let key = format!("key: {}\n", watch.sumdb.key());
            ensure!(text.starts_with("evidence: ") && text.contains(&key), "{name}\n{text}");
            let signed = format!("\n\u{2014} {NAME} ");
            ensure!(text.contains(&signed) || world.name == STRANGER, "{name}\n{text}");
        }
    }
    Ok(())
}
