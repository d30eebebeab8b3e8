//! Compares the room with Go's own packages on generated zips.
//!
//! A small Go program (`differential/`) judges by golang.org/x/mod's `zip.CheckZip` and
//! `dirhash.HashZip`. The zips are the same in every run: small valid ones with one or two things
//! changed, so that most lie near a border of the rules.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of a test"
)]

use std::{collections::HashMap, fs, path::Path, process::Command};

use modzip::Error;

#[path = "differential/generate.rs"]
mod generate;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/zips.rs"]
mod zips;

use judge::{PATH, VERSION, judge};

const ZIPS: usize = 4_000;

/// Runs the Go program on a folder and returns what it prints.
fn go(command: &str, dir: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    // `go run` builds into Go's own cache, so a second run starts at once.
    let output = Command::new("go")
        .args(["run", ".", command])
        .arg(dir)
        .args([PATH, VERSION])
        .current_dir(source)
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .output()
        .unwrap_or_else(|error| panic!("this test needs `go` on PATH (1.26 or newer): {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the Go program failed: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// Go's verdict on each zip of a folder, by file name.
fn verdicts_of_go(dir: &Path) -> HashMap<String, String> {
    let lines = go("judge", dir);
    let pairs = lines.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(name, verdict)| (name.to_owned(), verdict.to_owned())).collect()
}

#[test]
fn the_room_judges_as_go_does() {
    let dir = tempfile::tempdir().unwrap();
    let cases = generate::cases(ZIPS);
    for (index, case) in cases.iter().enumerate() {
        fs::write(dir.path().join(format!("{index:06}.zip")), &case.zip).unwrap();
    }
    let theirs = verdicts_of_go(dir.path());
    let mut differences = Vec::new();
    let (mut valid, mut conclusive, mut stricter) = (0, 0, 0);
    for (index, case) in cases.iter().enumerate() {
        let verdict = judge(&case.zip);
        let their = theirs.get(&format!("{index:06}.zip")).unwrap();
        conclusive += u32::from(verdict.is_final);
        match (&verdict.checked, their.starts_with("h1:")) {
            (Ok(checked), true) if &checked.h1().to_string() == their => valid += 1,
            // The exceptions that the crate's documentation names.
            (Err(Error::Duplicate { .. } | Error::Overlap), true) => stricter += 1,
            (Err(_), false) => {}
            (ours, _) => {
                let changes = &case.changes;
                differences
                    .push(format!("{index}: {changes:?}\n    ours {ours:?}\n    Go's {their}"));
            }
        }
    }
    let shown = differences.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {ZIPS}:\n{shown}", differences.len());
    // The input has to be of every kind, or agreement says little.
    let (half, tenth) = (u32::try_from(ZIPS / 2).unwrap(), u32::try_from(ZIPS / 10).unwrap());
    assert!((tenth..half * 2 - tenth).contains(&valid), "{valid} valid");
    assert!(conclusive > tenth && conclusive < valid, "{conclusive} conclusive of {valid} valid");
    assert!(stricter > 0 && stricter < tenth, "{stricter} refused by our rules only");
}

#[test]
fn zips_of_the_go_command_are_conclusive() {
    let dir = tempfile::tempdir().unwrap();
    for (tree, files) in [
        ("empty", vec![]),
        ("plain", vec![("go.mod", 30), ("LICENSE", 11_000), ("a.go", 500), ("sub/b.go", 0)]),
        ("large", vec![("data.bin", 3_000_000), ("é/中.txt", 70_000), ("vendor/modules.txt", 9)]),
    ] {
        fs::create_dir(dir.path().join(tree)).unwrap();
        for (name, len) in files {
            let path = dir.path().join(tree).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, generate::content(len)).unwrap();
        }
    }
    go("make", dir.path());
    let theirs = verdicts_of_go(dir.path());
    assert_eq!(theirs.len(), 3);
    for (name, their) in theirs {
        let zip = fs::read(dir.path().join(&name)).unwrap();
        let checked = judge::opinion(&zip, 10_000).unwrap();
        assert_eq!(checked.h1().to_string(), their, "{name}");
        assert_eq!(judge::opinion(&zip, zip.len()).unwrap(), checked, "{name}");
    }
}
