//! Random trees: odd names, attributes, vendor folders, nested modules, `go` lines.

use crate::{
    Case,
    builder::{Blob, Repo},
    case,
};

/// Trees of one repository.
pub(crate) const TREES_PER_REPO: u64 = 25;

/// A small generator of numbers that is the same everywhere (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

const GO_LINES: [&str; 12] = [
    "",
    "go 1.11",
    "go 1.20",
    "go 1.23",
    "go 1.23.4",
    "go 1.24",
    "go 1.24.1",
    "go 1.25",
    "go 1.24rc1",
    "go x",
    "go 1.25.0-beta",
    "toolchain go1.24.0",
];

const FOLDERS: [&str; 14] = [
    "",
    "",
    "",
    "pkg/",
    "internal/x/",
    "vendor/",
    "vendor/a.b/c/",
    "pkg/vendor/",
    "pkg/vendor/d/",
    "sub/",
    "sub/deep/",
    "testdata/",
    ".hidden/",
    "vendor/vendor/",
];

const NAMES: [&str; 30] = [
    "a.go",
    "b.go",
    "c_test.go",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "Makefile",
    "modules.txt",
    "go.sum",
    "go.work",
    "x y.txt",
    "\u{e9}.txt",
    "\u{65e5}.go",
    ".gitignore",
    ".hg_archival.txt",
    "go.mod.bak",
    "doc.txt",
    "win.bat",
    "data.bin",
    "t.id",
    "#x",
    "a+b",
    "vendor",
    "z",
    "1.txt",
    "2.txt",
    "a-b",
    "_under",
    "~",
    "Upper.go",
];

/// Names that no module may have, or that collide with others.
const BAD: [&str; 10] = [
    "a:b",
    "aux.go",
    "dot.",
    "\u{1f600}",
    "A.go",
    "upper.go",
    "a\\b",
    "GO.MOD",
    "e\u{301}",
    "license",
];

const PATTERNS: [&str; 8] =
    ["*", "*.txt", "*.go", "/a.go", "pkg/**", "*.bat", "LICENSE", "sub/*.md"];

const ATTRIBUTES: [&str; 16] = [
    "text",
    "-text",
    "text=auto",
    "eol=crlf",
    "text eol=crlf",
    "text=auto eol=crlf",
    "eol=lf",
    "binary",
    "ident",
    "!eol",
    "-eol",
    "crlf",
    "export-ignore",
    "export-subst",
    "filter=lfs",
    "win",
];

const CONTENTS: [&str; 12] = [
    "",
    "x",
    "one\n",
    "one\ntwo\n",
    "one\r\ntwo\r\n",
    "one\r\ntwo\n",
    "one\rtwo\n",
    "\r",
    "a\0b\n",
    "$Id$\n",
    "$Id: 0123 $ $Format:%H$\n",
    "\u{e9}\n\u{1a}",
];

/// Repositories with so many trees, one version each; half of them with the module in a folder.
pub(crate) fn all(trees: u64) -> Vec<Case> {
    let repos = trees.div_ceil(TREES_PER_REPO);
    (0..repos)
        .map(|number| repo(number, TREES_PER_REPO.min(trees - number * TREES_PER_REPO)))
        .collect()
}

fn repo(number: u64, trees: u64) -> Case {
    let name = format!("fuzz-{number}");
    let below = number % 2 == 1;
    let (module, folder) = if below { (format!("{name}/m"), "m/") } else { (name.clone(), "") };
    let mut repo = Repo::new(&name);
    let mut versions = Vec::new();
    for tree in 0..trees {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number * 1009 + tree + 1));
        let files = tree_of(&mut dice, &module, folder);
        let files: Vec<_> = files.iter().map(|(path, blob)| (&path[..], blob.clone())).collect();
        let version = format!("v0.0.{tree}");
        repo = repo.tree(&files).tag(&format!("{folder}{version}"));
        versions.push(version);
    }
    case(repo, &[(&module, &versions.join(" "))])
}

type Files = Vec<(Vec<u8>, Blob<'static>)>;

fn tree_of(dice: &mut Dice, module: &str, folder: &str) -> Files {
    let mut files: Files = Vec::new();
    let go_mod = format!("module github.com/oracle/{module}\n\n{}\n", dice.pick(&GO_LINES));
    if !folder.is_empty() || !dice.one_in(8) {
        add(&mut files, &format!("{folder}go.mod"), Blob::File(go_mod.leak().as_bytes()));
    }
    for _ in 0..dice.roll(3) {
        let at = dice.pick(&["", "", folder, "sub/", "pkg/", "m/sub/"]);
        add(&mut files, &format!("{at}.gitattributes"), Blob::File(attributes(dice)));
    }
    for _ in 0..3 + dice.roll(25) {
        let at = if dice.one_in(4) { "" } else { folder };
        let name = if dice.one_in(60) { dice.pick(&BAD) } else { dice.pick(&NAMES) };
        let name = if dice.one_in(20) { "go.mod" } else { name };
        let path = format!("{at}{}{name}", dice.pick(&FOLDERS));
        let content = dice.pick(&CONTENTS).as_bytes();
        let blob = match dice.roll(14) {
            0 => Blob::Symlink("a.go"),
            1 if dice.one_in(3) => Blob::Gitlink,
            2 => Blob::Executable(content),
            _ => Blob::File(content),
        };
        add(&mut files, &path, blob);
    }
    files
}

fn attributes(dice: &mut Dice) -> &'static [u8] {
    let mut text = String::new();
    if dice.one_in(3) {
        text.push_str("[attr]win text eol=crlf\n");
    }
    for _ in 0..=dice.roll(3) {
        text.push_str(dice.pick(&PATTERNS));
        for _ in 0..=dice.roll(2) {
            text.push(' ');
            text.push_str(dice.pick(&ATTRIBUTES));
        }
        text.push('\n');
    }
    text.leak().as_bytes()
}

/// A path is either a file or a folder, and stands once: git has no other trees.
fn add(files: &mut Files, path: &str, blob: Blob<'static>) {
    let below = |longer: &[u8], shorter: &[u8]| {
        longer.strip_prefix(shorter).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    let path = path.as_bytes();
    if !files.iter().any(|(other, _)| below(other, path) || below(path, other)) {
        files.push((path.to_vec(), blob));
    }
}
