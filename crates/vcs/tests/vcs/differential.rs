//! Worktree conversion against `git archive`, byte for byte, over random trees.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use testkit::GitRepo;
use vcs::EntryKind;

use crate::world::{World, commit, id};

/// Trees compared by default; `VCS_TREES` asks for more.
const TREES: u32 = 25;

/// Marsaglia's xorshift: the same trees everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(u32::try_from(from.len()).unwrap()) as usize].clone()
    }
}

const ATTRIBUTES: [&str; 30] = [
    "text",
    "-text",
    "!text",
    "text=auto",
    "text=input",
    "text=foo",
    "crlf",
    "-crlf",
    "crlf=input",
    "crlf=auto",
    "eol=crlf",
    "eol=lf",
    "eol=CRLF",
    "eol",
    "-eol",
    "!eol",
    "ident",
    "-ident",
    "!ident",
    "ident=x",
    "binary",
    "-binary",
    "filter=lfs",
    "export-ignore",
    "export-subst",
    "mine",
    "other",
    "mine=x",
    "diff=go",
    "-merge",
];
const ENCODINGS: [&str; 8] = [
    "working-tree-encoding=UTF-16",
    "working-tree-encoding=UTF-16LE",
    "working-tree-encoding=UTF-16LE-BOM",
    "working-tree-encoding=utf8",
    "working-tree-encoding=ISO-8859-1",
    "!working-tree-encoding",
    "working-tree-encoding=nonsense",
    "working-tree-encoding=UTF-32BE",
];
const PATTERNS: [&str; 26] = [
    "*",
    "*.go",
    "*.txt",
    "/a.go",
    "a.go",
    "sub/*",
    "sub/**",
    "**/b.txt",
    "sub/deep/c.bat",
    "*.bat",
    "[ab].*",
    "\"a b.txt\"",
    "sub",
    "sub/",
    "!a.go",
    "\\!x",
    "?.go",
    "**",
    "/sub/a.go",
    "deep/*",
    "*.[tg]*",
    "a.go/",
    "S*",
    "*.TXT",
    "[!a].go",
    "d?ep/**/c.bat",
];
const FILES: [&str; 14] = [
    "a.go",
    "b.txt",
    "a b.txt",
    "x.bat",
    "sub/a.go",
    "sub/b.txt",
    "sub/x.bat",
    "sub/deep/c.bat",
    "sub/deep/a.go",
    "sub/deep/.hidden",
    "other/sub/a.go",
    "!x",
    "sub/deep/er/c.bat",
    "README",
];
const PIECES: [&str; 20] = [
    "line\n",
    "line\r\n",
    "\r",
    "\n",
    "\0",
    "$Id$",
    "$Id: abc $",
    "$Id:abc$",
    "$Id: a b $",
    "$Id: $",
    "$Id",
    "$",
    "\u{1}",
    "\u{1a}",
    "text ",
    "\u{e4}\u{f6}",
    "$Format:%H$",
    "\t",
    "\u{7f}",
    "$Id: x\n$",
];

fn attributes(dice: &mut Dice, is_root: bool) -> String {
    let mut file = String::new();
    for _ in 0..=dice.roll(6) {
        let mut line = match dice.roll(12) {
            0 => format!("[attr]{}", dice.pick(&["mine", "other", "binary", "text"])),
            1 => "# a comment".to_owned(),
            2 if !is_root => "[attr]mine eol=crlf".to_owned(),
            3 => format!("  {}", dice.pick(&PATTERNS)),
            _ => dice.pick(&PATTERNS).to_owned(),
        };
        for _ in 0..=dice.roll(3) {
            let one_in_ten = dice.roll(10) == 0;
            let attribute = if one_in_ten { dice.pick(&ENCODINGS) } else { dice.pick(&ATTRIBUTES) };
            line = format!("{line}{}{attribute}", dice.pick(&[" ", "\t", "  "]));
        }
        match dice.roll(30) {
            0 => line.push_str(" -bad-=-name*"),
            1 => {
                let rest = "y".repeat(2040 - line.len().min(2000));
                line = format!("{line} x{rest}");
            }
            2 => line.push_str(&"z".repeat(2048)),
            _ => {}
        }
        file.push_str(&line);
        file.push_str(dice.pick(&["\n", "\n", "\n", "\r\n", "\n\n"]));
    }
    if dice.roll(8) == 0 {
        file = format!("\u{feff}{file}");
    }
    if dice.roll(12) == 0 {
        file.push_str("\0* eol=crlf\n");
    }
    file
}

fn content(dice: &mut Dice) -> String {
    let count = dice.roll(12);
    let mut text: String = (0..count).map(|_| dice.pick(&PIECES)).collect();
    if dice.roll(4) == 0 {
        text = format!("{}\n{text}", "plain text\n".repeat(20));
    }
    text
}

/// What `git archive` gives, as Go calls it.
fn archived(
    repo: &GitRepo,
    commit: &str,
    folder: &str,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let bare = repo.folder().with_extension("bare");
    let _ = std::fs::remove_dir_all(&bare);
    repo.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]).unwrap();
    std::fs::create_dir_all(bare.join("info")).unwrap();
    std::fs::write(bare.join("info/attributes"), "* -export-subst -export-ignore\n").unwrap();
    let dir = format!("--git-dir={}", bare.display());
    let mut args = vec![dir.as_str(), "-c", "core.autocrlf=input", "-c", "core.eol=lf"];
    args.extend(["archive", "--format=tar", commit]);
    if !folder.is_empty() {
        args.push(folder);
    }
    let tar = repo.git_with(&args, b"").map_err(|error| error.to_string())?;
    Ok(untar(&tar))
}

/// Regular files of a tar of short names.
fn untar(tar: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut at = 0;
    while at + 512 <= tar.len() && tar[at] != 0 {
        let header = &tar[at..at + 512];
        let text = |range: std::ops::Range<usize>| -> Vec<u8> {
            header[range].iter().copied().take_while(|byte| *byte != 0).collect()
        };
        let size = String::from_utf8(text(124..135)).unwrap();
        let size = usize::from_str_radix(&size, 8).unwrap();
        at += 512;
        let prefix = text(345..500);
        let name =
            if prefix.is_empty() { text(0..100) } else { [prefix, text(0..100)].join(&b'/') };
        if header[156] == b'0' {
            files.insert(name, tar[at..at + size].to_vec());
        }
        at += size.div_ceil(512) * 512;
    }
    files
}

async fn compare(world: &World, repo: &GitRepo, told: &str, folder: &str) {
    let hash = repo.commit("tree").unwrap();
    let remote = world.open(&repo.url());
    commit(&remote, &hash).await.unwrap();
    let ours = remote.snapshot(&id(&hash), folder).await;
    let git = archived(repo, &hash, folder);
    let (ours, git) = match (ours, git) {
        (Ok(ours), Ok(git)) => (ours, git),
        (Err(_), Err(_)) => return,
        (ours, git) => panic!("{told}: {ours:?} and {git:?}"),
    };
    let mut count = 0;
    for entry in ours.entries().iter().filter(|entry| entry.kind == EntryKind::Regular) {
        let above = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let path = [above.as_bytes(), &entry.path].concat();
        let wanted = &git[&path];
        let content = ours.content(entry).unwrap();
        let shown = String::from_utf8_lossy(&path);
        assert_eq!(&*content, wanted.as_slice(), "{shown} in {told}");
        if entry.verbatim {
            let blob = repo.git_with(&["cat-file", "blob", entry.id.as_str()], b"").unwrap();
            assert_eq!(&*content, blob, "{shown} says it is verbatim");
        }
        count += 1;
    }
    assert_eq!(count, git.len(), "{told}");
}

#[tokio::test]
async fn random_trees_are_converted_as_git_archive_does() {
    let trees = std::env::var("VCS_TREES").map_or(TREES, |count| count.parse().unwrap());
    let seed = std::env::var("VCS_SEED").map_or(1, |seed| seed.parse::<u64>().unwrap());
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let world = World::new().await;
    for tree in 0..trees {
        let repo = world.repo(&format!("{tree}"));
        let mut told = format!("tree {tree}:\n");
        for folder in ["", "sub/", "sub/deep/"] {
            if folder.is_empty() || dice.roll(2) == 0 {
                let file = attributes(&mut dice, folder.is_empty());
                writeln!(told, "{folder}: {}", file.escape_debug()).unwrap();
                repo.write(&format!("{folder}.gitattributes"), file).unwrap();
            }
        }
        for file in FILES {
            repo.write(file, content(&mut dice)).unwrap();
        }
        let folder = dice.pick(&["", "", "sub", "sub/deep"]);
        compare(&world, &repo, &told, folder).await;
        std::fs::remove_dir_all(repo.folder()).unwrap();
    }
}

#[tokio::test]
async fn every_attribute_is_converted_as_git_archive_does() {
    let world = World::new().await;
    let lines = [
        "*.go text eol=crlf\n*.txt eol=crlf\n*.bat text=auto eol=crlf\n",
        "[attr]win text eol=crlf\n*.bat win\n*.txt win -text\n",
        "* ident\n*.bat -ident\n",
        "*.go working-tree-encoding=UTF-16 eol=crlf\n*.txt working-tree-encoding=UTF-16LE ident\n",
        "* working-tree-encoding\n",
        "* -working-tree-encoding\n",
        "[attr]a b\n[attr]b a eol=crlf\n* a\n",
        "* binary eol=crlf\n*.go text eol=crlf binary\n*.txt binary text\n",
        "*.go eol=crlf\n*.go !eol\n*.txt eol=crlf !eol\n",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let repo = world.repo(&format!("{number}"));
        repo.write(".gitattributes", line).unwrap();
        for (at, file) in FILES.into_iter().enumerate() {
            let pieces = ["a\nb\r\n$Id$\n", "a\nb\n", "\0\n", "a\rb\n", "$Id: x $\u{e4}\n", ""];
            repo.write(file, pieces[at % pieces.len()]).unwrap();
        }
        compare(&world, &repo, line, "").await;
    }
}

#[tokio::test]
async fn a_symlink_of_attributes_is_read_as_git_reads_it() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write("a.go", "a\nb\n").unwrap();
    for (number, target) in ["* eol=crlf", "other"].into_iter().enumerate() {
        let link = repo.folder().join(".gitattributes");
        let _ = std::fs::remove_file(&link);
        repo.write("other", "* eol=crlf\n").unwrap();
        std::os::unix::fs::symlink(Path::new(target), link).unwrap();
        compare(&world, &repo, &format!("symlink {number}"), "").await;
    }
}
