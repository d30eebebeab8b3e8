//! A checksum database over given modules that remembers what it was asked.
//!
//! Its heads are signed and its tiles are true, so the real `go` command believes it. Its log is
//! made at the start and never grows.

use std::fmt::Write as _;
use std::io::{Cursor, Read as _};

use anyhow::{Context, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use sha2::{Digest as _, Sha256};

use crate::{FakeUpstream, Modules, Seen};

/// Most versions: all hashes of records are in one tile, which is not full.
const MAX_RECORDS: usize = 255;
/// Before the key in its hash and in its text. Source: golang.org/x/mod/sumdb/note.
const ED25519: u8 = 1;

type Hash = [u8; 32];

/// A checksum database on a free port of 127.0.0.1; ends when dropped.
#[derive(Debug)]
pub struct FakeSumdb {
    server: FakeUpstream,
    key: String,
}

impl FakeSumdb {
    /// Its name: the beginning of its key, and of its paths on a proxy.
    pub const NAME: &str = "sum.testkit.example";

    /// Serves the records of all versions that have a zip.
    ///
    /// # Errors
    ///
    /// When there are more than 255 of them, or the machine has no free port.
    pub fn start(modules: &Modules) -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let records = records(modules)?;
        ensure!(records.len() <= MAX_RECORDS, "{} records are too many", records.len());
        let leaves: Vec<Hash> = records.iter().map(|(_, text)| leaf(text)).collect();
        let head = signed_head(&key, &leaves)?;
        let mut answers = Modules::new();
        for (number, (module, text)) in records.iter().enumerate() {
            answers.raw(&format!("/lookup/{module}"), format!("{number}\n{text}\n{head}"));
        }
        answers.raw("/latest", head);
        let width = leaves.len();
        answers.raw(&format!("/tile/8/0/000.p/{width}"), leaves.concat());
        let texts: Vec<_> = records.iter().map(|(_, text)| format!("{text}\n")).collect();
        answers.raw(&format!("/tile/8/data/000.p/{width}"), texts.concat());
        Ok(Self { server: FakeUpstream::start(answers)?, key: verifier(&key) })
    }

    /// The key that its heads are signed with, as GOSUMDB takes it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How many requests came for paths that match a pattern; `*` counts all.
    #[must_use]
    pub fn calls(&self, pattern: &str) -> u64 {
        self.server.calls(pattern)
    }

    /// All requests, in the order of their arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.server.seen()
    }
}

/// `path@version`, escaped, and the two lines of its record.
fn records(modules: &Modules) -> anyhow::Result<Vec<(String, String)>> {
    let mut records = Vec::new();
    for (path, zip) in modules.files() {
        let Some(file) = path.strip_suffix(".zip") else { continue };
        let go_mod = modules.file(&format!("{file}.mod")).context("a zip without go.mod")?;
        let (module, version) = file.split_once("/@v/").context("a zip outside of @v")?;
        let module = module.trim_start_matches('/');
        let (files, named) = files(zip)?;
        let of_mod = vec![("go.mod".to_owned(), sha256(go_mod))];
        let text = format!("{named} {}\n{named}/go.mod {}\n", h1(files), h1(of_mod));
        records.push((format!("{module}@{version}"), text));
    }
    Ok(records)
}

/// Names and hashes of a zip's files, and `path version` as they tell it.
fn files(zip: &[u8]) -> anyhow::Result<(Vec<(String, Hash)>, String)> {
    let mut archive = ::zip::ZipArchive::new(Cursor::new(zip))?;
    let (mut files, mut named) = (Vec::new(), None);
    for at in 0..archive.len() {
        let mut file = archive.by_index(at)?;
        let name = file.name()?.into_owned();
        let (path, rest) = name.split_once('@').context("a file outside of its module")?;
        let version = rest.split('/').next().unwrap_or(rest);
        named = Some(format!("{path} {version}"));
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        files.push((name, sha256(&content)));
    }
    Ok((files, named.context("an empty zip")?))
}

/// Source: golang.org/x/mod/sumdb/dirhash.
fn h1(mut files: Vec<(String, Hash)>) -> String {
    files.sort();
    let line = |(name, hash): &(String, Hash)| {
        let mut line = hash.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        line.extend(["  ", name, "\n"]);
        line
    };
    let lines: String = files.iter().map(line).collect();
    format!("h1:{}", BASE64_STANDARD.encode(sha256(lines.as_bytes())))
}

fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Source: RFC 6962 §2.1.
fn leaf(text: &str) -> Hash {
    sha256(&[&[0], text.as_bytes()].concat())
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [one] => *one,
        several => {
            let (left, right) = several.split_at(several.len().next_power_of_two() / 2);
            sha256(&[&[1][..], &root(left), &root(right)].concat())
        }
    }
}

fn key_bytes(key: &KeyPair) -> Vec<u8> {
    [&[ED25519], key.der_bytes()].concat()
}

fn key_hash(key: &KeyPair) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[FakeSumdb::NAME.as_bytes(), b"\n", &key_bytes(key)].concat());
    [a, b, c, d]
}

/// Source: golang.org/x/mod/sumdb/note (`NewVerifier`).
fn verifier(key: &KeyPair) -> String {
    let (hash, text) = (u32::from_be_bytes(key_hash(key)), BASE64_STANDARD.encode(key_bytes(key)));
    format!("{}+{hash:08x}+{text}", FakeSumdb::NAME)
}

/// Source: golang.org/x/mod/sumdb/tlog (`FormatTree`), golang.org/x/mod/sumdb/note (`Sign`).
fn signed_head(key: &KeyPair, leaves: &[Hash]) -> anyhow::Result<String> {
    let root = BASE64_STANDARD.encode(root(leaves));
    let head = format!("go.sum database tree\n{}\n{root}\n", leaves.len());
    let signature = [&key_hash(key)[..], &key.sign(head.as_bytes())?].concat();
    let (name, signature) = (FakeSumdb::NAME, BASE64_STANDARD.encode(signature));
    Ok(format!("{head}\n\u{2014} {name} {signature}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleVersion;

    fn modules(count: usize) -> Modules {
        let mut modules = Modules::new();
        for number in 0..count {
            modules.add(&ModuleVersion::new("example.com/A", &format!("v1.{number}.0")));
        }
        modules
    }

    #[test]
    fn hashes_are_those_of_the_go_command() {
        // Source: sum.golang.org, the go.mod of github.com/pkg/errors v0.9.1.
        let of_mod = vec![("go.mod".to_owned(), sha256(b"module github.com/pkg/errors\n"))];
        assert_eq!(h1(of_mod), "h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=");
    }

    #[test]
    fn look_ups_and_heads_are_answered_and_remembered() {
        let sumdb = FakeSumdb::start(&modules(3)).unwrap();
        let get = |path: &str| crate::get(&format!("{}{path}", sumdb.url())).unwrap();
        let found = get("/lookup/example.com/!a@v1.1.0").text();
        assert!(found.starts_with("1\nexample.com/A v1.1.0 h1:"), "{found}");
        assert!(found.contains("\nexample.com/A v1.1.0/go.mod h1:"), "{found}");
        assert!(found.ends_with(&get("/latest").text()), "{found}");
        assert_eq!(get("/tile/8/0/000.p/3").body.len(), 96);
        assert_eq!(get("/lookup/example.com/b@v1.0.0").status, 404);
        assert_eq!((sumdb.calls("/lookup/*"), sumdb.seen().len()), (2, 4));
    }

    #[test]
    fn one_tile_is_the_most() {
        assert!(FakeSumdb::start(&modules(MAX_RECORDS)).is_ok());
        assert!(FakeSumdb::start(&modules(MAX_RECORDS + 1)).is_err());
    }

    #[test]
    fn trees_are_split_at_powers_of_two() {
        let leaves: Vec<Hash> = ["a", "b", "c"].map(leaf).to_vec();
        let left = sha256(&[&[1][..], &leaves[0], &leaves[1]].concat());
        assert_eq!(root(&leaves), sha256(&[&[1][..], &left, &leaves[2]].concat()));
        assert_eq!(root(&leaves[..2]), left);
    }
}
