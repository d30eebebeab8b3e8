//! A synthetic GOPROXY tree: the same bytes on every machine.

use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zip::write::SimpleFileOptions;

/// Small modules for the hot scenarios.
pub(crate) const SMALL: usize = 1000;
/// Modules of 20 kB for the cold ones.
pub(crate) const COLD: usize = 500;
/// Modules of 30 MB for the memory scenario: links to one file would be one module version.
pub(crate) const BIG: usize = 64;

/// The tree and its names.
pub(crate) struct Corpus {
    root: PathBuf,
}

/// The name of the version that every module has.
pub(crate) const VERSION: &str = "v1.0.0";

impl Corpus {
    /// Makes the tree, or takes the one that a former run made.
    pub(crate) fn make(root: &Path) -> anyhow::Result<Self> {
        let corpus = Self { root: root.to_owned() };
        let done = root.join(".complete-2");
        if done.exists() {
            return Ok(corpus);
        }
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        println!("making the corpus (once)");
        for n in 0..SMALL {
            corpus.add(&small(n), &[(1, 2_000)])?;
        }
        for n in 0..COLD {
            corpus.add(&cold(n), &[(4, 12_000)])?;
        }
        for n in 0..16 {
            corpus.add(&middle(n), &[(75, 15_000)])?;
        }
        for n in 0..BIG {
            corpus.add(&big(n), &[(8_200, 15_500)])?;
        }
        fs::write(done, "")?;
        Ok(corpus)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Adds a module: groups of (files, bytes of each before compression).
    pub(crate) fn add(&self, path: &str, groups: &[(usize, usize)]) -> anyhow::Result<()> {
        self.add_requiring(path, VERSION, groups, "")
    }

    /// Adds a version with requirements.
    pub(crate) fn add_requiring(
        &self,
        path: &str,
        version: &str,
        groups: &[(usize, usize)],
        requirements: &str,
    ) -> anyhow::Result<()> {
        let folder = self.root.join(path).join("@v");
        fs::create_dir_all(&folder)?;
        let go_mod = format!("module {path}\n\ngo 1.21\n{requirements}");
        let info = format!("{{\"Version\":\"{version}\",\"Time\":\"2024-05-06T07:08:09Z\"}}");
        fs::write(folder.join("list"), format!("{version}\n"))?;
        fs::write(folder.join(format!("{version}.info")), info)?;
        fs::write(folder.join(format!("{version}.mod")), &go_mod)?;
        if !groups.is_empty() {
            let zip = pack(path, version, &go_mod, groups)?;
            fs::write(folder.join(format!("{version}.zip")), zip)?;
        }
        Ok(())
    }
}

pub(crate) fn small(n: usize) -> String {
    format!("bench.example/small/m{n:04}")
}

pub(crate) fn cold(n: usize) -> String {
    format!("bench.example/cold/m{n:04}")
}

pub(crate) fn middle(n: usize) -> String {
    format!("bench.example/middle/m{n:02}")
}

pub(crate) fn big(n: usize) -> String {
    format!("bench.example/big/m{n:02}")
}

/// `/<path>/@v/v1.0.0.<suffix>`
pub(crate) fn file(path: &str, suffix: &str) -> String {
    format!("/{path}/@v/{VERSION}.{suffix}")
}

fn pack(
    path: &str,
    version: &str,
    go_mod: &str,
    groups: &[(usize, usize)],
) -> anyhow::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let prefix = format!("{path}@{version}");
    zip.start_file(format!("{prefix}/go.mod"), options)?;
    zip.write_all(go_mod.as_bytes())?;
    let mut seed = path.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    for (group, &(files, bytes)) in groups.iter().enumerate() {
        for n in 0..files {
            let name = format!("{prefix}/g{group}/d{:03}/file{n}.go", n / 50);
            zip.start_file(name, options).context("a zip entry")?;
            zip.write_all(source(&mut seed, bytes).as_bytes())?;
        }
    }
    Ok(zip.finish()?.into_inner())
}

/// Text that compresses about as Go source does: four to one.
fn source(seed: &mut u64, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "func ",
        "return ",
        "if err != nil {\n",
        "}\n",
        "string",
        "context.Context",
        "package ",
        "type ",
        "struct {\n",
        "interface",
        "error",
        "// comment ",
        "\t\t",
        "make(map[string]int)",
        "range ",
        ":= ",
    ];
    let mut text = String::with_capacity(bytes + 32);
    while text.len() < bytes {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let word = WORDS.get((*seed % 16) as usize).copied().unwrap_or_default();
        text.push_str(word);
        if seed.is_multiple_of(5) {
            let _ = write!(text, "{:x}", *seed >> 40);
        }
    }
    text.truncate(bytes);
    text
}
