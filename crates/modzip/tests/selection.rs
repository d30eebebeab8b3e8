//! Compares selection with Go's own packages on generated trees.
//!
//! The same small Go program as in `differential.rs` checks each list of files by
//! golang.org/x/mod's `zip.CheckFiles`: what is kept, and every word of what is refused. The trees
//! are the same in every run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of a test"
)]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use modzip::{FileKind, RootLicense, TreeFile, select};
use serde_json::{Value, json};

const TREES: usize = 6_000;

/// One tree, as both sides get it.
#[derive(Debug)]
struct Tree {
    files: Vec<(Vec<u8>, FileKind, u64)>,
    go_mod: Option<&'static str>,
    license: Option<u64>,
}

/// A generator of pseudo-random numbers (`SplitMix64`), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound.max(1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.get(self.below(from.len())).unwrap()
    }
}

const PLAIN: &[&str] = &["a", "b", "pkg", "x.go", "main.go", "README.md", "é", "中", "testdata"];

/// Elements that some rule looks at.
const NOTABLE: &[&str] = &[
    "Pkg",
    "PKG",
    "vendor",
    "vendor",
    "vendor",
    "Vendor",
    "vendored",
    "modules.txt",
    "go.mod",
    "go.mod",
    "GO.MOD",
    "LICENSE",
    "License",
    "LICENSE.md",
    ".hg_archival.txt",
    ".gitignore",
    "A",
    "B",
    "K",
    "k",
    "\u{212a}",
    "É",
    "ß",
    "ẞ",
    "ς",
    "Σ",
];

/// Elements that are refused, or nearly.
const STRANGE: &[&str] = &[
    "a:b",
    "aux.txt",
    "Con",
    "com1.x",
    "com0",
    "...",
    "..",
    ".",
    "",
    "end.",
    ".x",
    "nl\nx",
    "tab\t",
    "q\"q",
    "it's",
    "😀",
    "e\u{301}",
    "back\\slash",
    "x~1",
    " ",
    "-x",
    "*",
    "a|b",
    "\u{202e}",
];

const GO_MODS: &[&str] = &[
    "module a.b/c\n\ngo 1.24\n",
    "module a.b/c\n\ngo 1.23.4\n",
    "module a.b/c\n",
    "go 1.25rc1\n",
    "go 1.24.0-beta\n",
    "go \"1.24\"\n",
    "go 1.24\ngo 1.24\n",
    "nonsense",
    "",
];

fn path(random: &mut Random) -> Vec<u8> {
    let depth = 1 + random.below(4);
    let elements: Vec<&str> = (0..depth)
        .map(|_| match random.below(60) {
            0 => random.pick(STRANGE),
            1..=25 => random.pick(NOTABLE),
            _ => random.pick(PLAIN),
        })
        .collect();
    let mut path = elements.join("/").into_bytes();
    match random.below(300) {
        0 => path.push(0xff),
        1 => path.insert(0, b'/'),
        2 => path.push(b'/'),
        _ => {}
    }
    path
}

fn tree(random: &mut Random) -> Tree {
    let count = random.below(14);
    let mut files: Vec<(Vec<u8>, FileKind, u64)> = (0..count)
        .map(|_| {
            let kind = match random.below(12) {
                0 => FileKind::Symlink,
                1 => FileKind::Other,
                _ => FileKind::Regular,
            };
            let size = match random.below(200) {
                0 => 500 << 20,
                1 => (16 << 20) + 1,
                2 => 250 << 20,
                _ => 1000,
            };
            (path(random), kind, size)
        })
        .collect();
    if random.one_in(3) {
        let repeated = files.get(random.below(count)).cloned();
        files.extend(repeated.filter(|_| random.one_in(4)));
        files.sort();
    }
    let go_mod = random.one_in(2).then(|| random.pick(GO_MODS));
    // The content goes with a file; without one there is none.
    files.retain(|(path, _, _)| path != b"go.mod");
    if go_mod.is_some() {
        let at = random.below(files.len() + 1);
        files.insert(at, (b"go.mod".to_vec(), FileKind::Regular, 30));
    }
    let license = random.one_in(2).then(|| random.pick(&[100, 16 << 20, (16 << 20) + 1]));
    Tree { files, go_mod, license }
}

impl Tree {
    fn to_json(&self) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|(path, kind, size)| {
                let kind = match kind {
                    FileKind::Regular => "regular",
                    FileKind::Symlink => "symlink",
                    FileKind::Other => "other",
                };
                json!({ "Path": STANDARD.encode(path), "Kind": kind, "Size": size })
            })
            .collect();
        let tree = json!({ "Files": files, "GoMod": self.go_mod, "License": self.license });
        format!("{tree}\n")
    }

    /// What is kept, sorted; or the lines of the error.
    fn select(&self) -> Result<Vec<String>, Vec<String>> {
        let files: Vec<TreeFile<'_>> = self
            .files
            .iter()
            .map(|(path, kind, size)| TreeFile { path, kind: *kind, size: *size })
            .collect();
        let go_mod = self.go_mod.map(str::as_bytes);
        let license = self.license.map_or(RootLicense::None, RootLicense::Of);
        let selection = select(&files, go_mod, license).map_err(|error| error.lines)?;
        let mut kept: Vec<String> = selection
            .kept
            .iter()
            .map(|index| String::from_utf8(files.get(*index).unwrap().path.to_vec()).unwrap())
            .collect();
        assert!(kept.is_sorted(), "{kept:?}");
        kept.extend(selection.copy_license.then(|| "LICENSE".to_owned()));
        kept.sort();
        Ok(kept)
    }
}

fn ask_go(trees: &[Tree]) -> Vec<Result<Vec<String>, Vec<String>>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let mut child = Command::new("go")
        .args(["run", ".", "select"])
        .current_dir(source)
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs `go` on PATH (1.26 or newer): {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input: String = trees.iter().map(Tree::to_json).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the Go program failed: {}", output.status);
    writer.join().unwrap().unwrap();
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().into_iter().flatten();
        list.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let answer: Value = serde_json::from_str(line).unwrap();
            let lines = texts(answer.get("Lines").unwrap());
            if !lines.is_empty() {
                return Err(lines);
            }
            let mut kept = texts(answer.get("Kept").unwrap());
            kept.sort();
            Ok(kept)
        })
        .collect()
}

#[test]
fn the_room_selects_as_go_does() {
    let mut random = Random(0x7472_6565);
    let trees: Vec<Tree> = (0..TREES).map(|_| tree(&mut random)).collect();
    let theirs = ask_go(&trees);
    assert_eq!(theirs.len(), trees.len());
    let mut differences = Vec::new();
    let (mut kept, mut refused) = (0, 0);
    for (tree, their) in trees.iter().zip(theirs) {
        let ours = tree.select();
        match &ours {
            Ok(_) => kept += 1,
            Err(_) => refused += 1,
        }
        if ours != their {
            differences.push(format!("{tree:?}\n    ours {ours:?}\n    Go's {their:?}"));
        }
    }
    let shown = differences.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {TREES}:\n{shown}", differences.len());
    // The input has to be of every kind, or agreement says little.
    assert!(kept > TREES / 4 && refused > TREES / 4, "{kept} kept, {refused} refused");
}
