//! A checksum database with a real tree and key, which can be told to lie in every way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use tlog::{Checkpoint, LogName, Note, SigningKey, Tile, TileLevel, VerifierKey, record_hash};

use crate::{Behaviour, FakeUpstream, Modules, Seen, escape};

mod hash;
mod tree;

use hash::h1_of_text;
pub use hash::{h1_of_mod, h1_of_zip};
use tree::Tree;

/// How a [`FakeSumdb`] does not tell the truth. Several may hold at once.
///
/// What every HTTP server can do wrong (silence, delay, statuses, cut bodies, only so many times) is
/// said with [`FakeSumdb::behave`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// Everything is as it was when the log had this size.
    Rollback(u64),
    /// The heads are as old as that, below look-ups, too, while records and tiles are there: a
    /// replica that lags behind.
    OldHeads(u64),
    /// `latest` alone is as old as that.
    OldLatest(u64),
    /// Look-ups give the module a hash that is not the log's.
    WrongHash,
    /// Look-ups give the valid record of another module: the first of the log (CVE-2026-42501).
    OtherModule,
    /// As before, and the head has signed extension lines with hashes for the module asked for
    /// (CVE-2026-56864).
    ExtensionHashes,
    /// A head with a harmless extension line.
    Extension,
    /// A wrong hash, and tiles forged so that it looks proven, from the leaf's up to this level,
    /// below an honest head (CVE-2026-56865).
    ForgedTiles(u8),
    /// One bit of every tile of this level is turned.
    BrokenTiles(u8),
    /// Signatures are those of another key under our name and id.
    BadSignature,
    /// Notes are signed by somebody else only.
    UnknownSigner,
    /// Partial tiles whose full tile exists are gone.
    NoPartials,
    /// Data tiles have other hashes for this record than the tree.
    AlteredRecord(u64),
    /// Data tiles leave this record out.
    MissingRecord(u64),
    /// The C2SP checkpoint is of another tree of the same size.
    OtherCheckpoint,
}

/// A checksum database on a free port of 127.0.0.1; ends when dropped.
///
/// ```
/// let sumdb = testkit::FakeSumdb::start("sum.example")?;
/// sumdb.fill(1000);
/// sumdb.add("example.com/a", "v1.0.0", &testkit::h1_of_mod(b"zip"), &testkit::h1_of_mod(b"mod"));
/// let answer = testkit::get(&format!("{}/lookup/example.com/a@v1.0.0", sumdb.url()))?;
/// assert!(answer.text().starts_with("1000\nexample.com/a v1.0.0 h1:"));
/// # anyhow::Ok(())
/// ```
#[derive(Debug)]
pub struct FakeSumdb {
    log: Arc<Mutex<Log>>,
    upstream: FakeUpstream,
    name: LogName,
    key: VerifierKey,
}

#[derive(Debug)]
struct Log {
    tree: Tree,
    key: SigningKey,
    stranger: SigningKey,
    lies: Vec<Lie>,
    filler: u64,
}

impl FakeSumdb {
    /// Starts with an empty log; the key follows from the name.
    ///
    /// # Errors
    ///
    /// When the name is none, or the machine has no free port.
    pub fn start(name: &str) -> anyhow::Result<Self> {
        let name = LogName::parse(name).context("the name of a log")?;
        let key = SigningKey::from_seed(name.clone(), record_hash(name.as_str().as_bytes()));
        let verifier = key.verifier();
        let stranger = SigningKey::from_seed(LogName::parse("stranger.example")?, [7; 32]);
        let log = Log { tree: Tree::default(), key, stranger, lies: Vec::new(), filler: 0 };
        let upstream = FakeUpstream::start(Modules::new())?;
        let sumdb = Self { log: Arc::new(Mutex::new(log)), upstream, name, key: verifier };
        sumdb.mount(&sumdb.upstream);
        Ok(sumdb)
    }

    /// Lets a module proxy serve the database, too, below `/sumdb/<name>/`.
    pub fn mount(&self, upstream: &FakeUpstream) {
        let log = Arc::clone(&self.log);
        let below = format!("/sumdb/{}", self.name);
        upstream.mount(move |path| {
            let path = path.strip_prefix(&below).unwrap_or(path);
            lock(&log).answer(path.strip_prefix('/')?)
        });
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &LogName {
        &self.name
    }

    /// The key that verifies its heads.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// `http://127.0.0.1:PORT`, where it answers directly; below `/sumdb/<name>` as a proxy would.
    #[must_use]
    pub fn url(&self) -> String {
        self.upstream.url()
    }

    /// The same as a list of one, as a configuration wants it.
    ///
    /// # Panics
    ///
    /// Never: the URL is one.
    #[must_use]
    pub fn urls(&self) -> Vec<url::Url> {
        vec![self.url().parse().expect("a URL made of an address")]
    }

    /// `name+hash+key http://…`: what a `go` command takes as GOSUMDB.
    #[must_use]
    pub fn gosumdb(&self) -> String {
        format!("{} {}", self.key, self.url())
    }

    /// The server, for its bad behaviour and its counts.
    #[must_use]
    pub fn upstream(&self) -> &FakeUpstream {
        &self.upstream
    }

    /// Lets requests for a path pattern (`/lookup/*`, `/latest`) be answered in a certain way.
    pub fn behave(&self, pattern: &str, behaviour: Behaviour) {
        self.upstream.behave(pattern, behaviour);
    }

    /// Tells a lie, besides those told already.
    pub fn lie(&self, lie: Lie) {
        self.log().lies.push(lie);
    }

    /// Takes back all lies and bad behaviour, but for a [`fork`](Self::fork).
    pub fn be_honest(&self) {
        self.log().lies.clear();
        self.upstream.behave_well();
    }

    /// How many requests came for paths that match a pattern with at most one `*`.
    #[must_use]
    pub fn calls(&self, pattern: &str) -> u64 {
        self.upstream.calls(pattern)
    }

    /// The requests so far, at most ten thousand.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.upstream.seen()
    }

    /// How many records there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.log().tree.size()
    }

    /// Appends a record. Its number is what [`size`](Self::size) was before.
    pub fn add(&self, path: &str, version: &str, zip_h1: &str, mod_h1: &str) {
        self.log().add(path, version, zip_h1, mod_h1);
    }

    /// Appends a record of this text, well written or not, that look-ups of `name` find.
    pub fn add_text(&self, name: &str, text: &str) {
        self.log().tree.append(name, text.to_owned());
    }

    /// Appends the records of all zips that are not recorded yet.
    ///
    /// # Panics
    ///
    /// When what is named so is no zip.
    pub fn add_modules(&self, modules: &Modules) {
        for (file, zip) in modules.files() {
            let Some(file) = file.strip_suffix(".zip") else { continue };
            let Some((path, version)) = file.trim_start_matches('/').split_once("/@v/") else {
                continue;
            };
            let go_mod = modules.file(&format!("{file}.mod")).cloned().unwrap_or_default();
            let (path, version) = (unescape(path), unescape(version));
            let mut log = self.log();
            if log.tree.number(&name_of(&path, &version)).is_none() {
                let zip_h1 = h1_of_zip(zip).expect("a zip under the name of one");
                log.add(&path, &version, &zip_h1, &h1_of_mod(&go_mod));
            }
        }
    }

    /// Appends records of modules that nobody asks for.
    pub fn fill(&self, records: u64) {
        let mut log = self.log();
        for _ in 0..records {
            log.fill();
        }
    }

    /// Goes on with another history: what was logged from record `at` on is logged anew behind other
    /// records, under the same key.
    pub fn fork(&self, at: u64) {
        self.log().fork(at);
    }

    /// What was the history before a [`fork`](Self::fork), to be told again by
    /// [`restore`](Self::restore).
    #[must_use]
    pub fn history(&self) -> History {
        History(self.log().tree.clone())
    }

    /// Tells a history, whatever it was before.
    pub fn restore(&self, history: History) {
        self.log().tree = history.0;
    }

    /// The signed head of the first `size` records of the present history.
    #[must_use]
    pub fn head(&self, size: u64) -> String {
        self.log().head(size, "")
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }
}

/// A history of a [`FakeSumdb`].
#[derive(Debug, Clone)]
pub struct History(Tree);

/// A panic elsewhere in the test must not hide behind a poisoned lock.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn add(&mut self, path: &str, version: &str, zip_h1: &str, mod_h1: &str) {
        self.tree.append(&name_of(path, version), record(path, version, zip_h1, mod_h1));
    }

    fn fill(&mut self) {
        self.filler += 1;
        let version = format!("v0.0.{}", self.filler);
        let hash = h1_of_text(&version);
        self.add("filler.example/m", &version, &hash, &hash);
    }

    fn fork(&mut self, at: u64) {
        let old = std::mem::take(&mut self.tree);
        let mut names: Vec<_> = old.names().map(|(name, id)| (id, name.to_owned())).collect();
        names.sort();
        for (id, name) in names {
            if id == at {
                self.filler += 1_000_000;
                self.fill();
            }
            let text = old.record(id).unwrap_or_default().to_owned();
            self.tree.append(&name, text);
        }
    }

    fn lies(&self, lie: &Lie) -> bool {
        self.lies.contains(lie)
    }

    /// What is served at a path without its first slash.
    fn answer(&mut self, path: &str) -> Option<Bytes> {
        let rollback = self.lies.iter().find_map(|lie| match lie {
            Lie::Rollback(size) => Some(*size),
            _ => None,
        });
        let size = rollback.unwrap_or(self.tree.size());
        match path {
            "supported" => Some(Bytes::new()),
            "latest" => {
                let old = self.lies.iter().find_map(|lie| match lie {
                    Lie::OldLatest(size) | Lie::OldHeads(size) => Some(*size),
                    _ => None,
                });
                Some(self.head(old.unwrap_or(size), "").into())
            }
            "checkpoint" => Some(self.checkpoint(size).into()),
            _ => match path.strip_prefix("lookup/") {
                Some(name) => self.lookup(name, size),
                None => self.tile(Tile::parse(path).ok()?, size),
            },
        }
    }

    fn lookup(&mut self, name: &str, size: u64) -> Option<Bytes> {
        let mut id = self.tree.number(name).filter(|id| *id < size)?;
        let mut text = self.tree.record(id)?.to_owned();
        let mut extension = String::new();
        if self.is_hash_forged() {
            text = forged(&text);
        }
        if self.lies(&Lie::ExtensionHashes) {
            extension = forged(&text);
        }
        if self.lies(&Lie::OtherModule) || self.lies(&Lie::ExtensionHashes) {
            id = 0;
            self.tree.record(id)?.clone_into(&mut text);
        }
        let old = self.lies.iter().find_map(|lie| match lie {
            Lie::OldHeads(size) => Some(*size),
            _ => None,
        });
        let head = self.head(old.unwrap_or(size), &extension);
        Some(format!("{id}\n{text}\n{head}").into())
    }

    fn is_hash_forged(&self) -> bool {
        self.lies.iter().any(|lie| matches!(lie, Lie::WrongHash | Lie::ForgedTiles(_)))
    }

    fn head(&mut self, size: u64, extension: &str) -> String {
        let mut text = self.tree.head(size).text() + extension;
        if self.lies(&Lie::Extension) {
            text.push_str("an extension line\n");
        }
        let mut signature = self.key.sign(&text);
        if self.lies(&Lie::BadSignature) {
            signature.bytes = self.stranger.sign(&text).bytes;
        }
        let mut signatures = vec![self.stranger.sign(&text), signature];
        if self.lies(&Lie::UnknownSigner) {
            signatures.truncate(1);
        }
        Note { text, signatures }.message()
    }

    /// The same head for witnesses. Source: C2SP tlog-checkpoint.
    fn checkpoint(&mut self, size: u64) -> String {
        let mut head = self.tree.head(size);
        if self.lies(&Lie::OtherCheckpoint) {
            head.root[0] ^= 1;
        }
        let text = Checkpoint { origin: self.key.verifier().name().clone(), head }.text();
        let signatures = vec![self.key.sign(&text)];
        Note { text, signatures }.message()
    }

    /// The records of a data tile, as they are told.
    fn data(&self, tile: Tile) -> Option<String> {
        let first = tile.index * 256;
        let mut data = String::new();
        for id in first..first + u64::from(tile.width) {
            let record = self.tree.record(id)?;
            if self.lies(&Lie::AlteredRecord(id)) {
                data.push_str(&forged(record));
                data.push('\n');
            } else if !self.lies(&Lie::MissingRecord(id)) {
                data.push_str(record);
                data.push('\n');
            }
        }
        Some(data)
    }

    fn tile(&mut self, tile: Tile, size: u64) -> Option<Bytes> {
        if !tile.exists_in(size) {
            return None;
        }
        let full = Tile { width: 256, ..tile };
        if self.lies(&Lie::NoPartials) && !tile.is_full() && full.exists_in(size) {
            return None;
        }
        let TileLevel::Hashes(level) = tile.level else { return self.data(tile).map(Bytes::from) };
        let mut bytes = self.tree.entries(level, tile.index, tile.width)?;
        if self.lies(&Lie::BrokenTiles(level)) {
            *bytes.last_mut()? ^= 1;
        }
        let forged_up_to = self.lies.iter().find_map(|lie| match lie {
            Lie::ForgedTiles(level) => Some(*level),
            _ => None,
        });
        if forged_up_to.is_some_and(|highest| level <= highest) {
            self.forge(level, tile, &mut bytes);
        }
        Some(bytes.into())
    }

    /// Writes the hashes of forged records, or of forged tiles below, into a tile.
    fn forge(&self, level: u8, tile: Tile, bytes: &mut [u8]) {
        let named: Vec<u64> = self
            .tree
            .names()
            .filter(|(name, _)| !name.starts_with("filler.example/"))
            .map(|(_, id)| id)
            .collect();
        for id in named {
            let entry = id >> (8 * u32::from(level));
            let within = usize::try_from(entry % 256).unwrap_or_default();
            let place = bytes.get_mut(within * 32..within * 32 + 32);
            if let Some(place) = place.filter(|_| entry / 256 == tile.index) {
                place.copy_from_slice(&self.forged_entry(level, entry, id));
            }
        }
    }

    fn forged_entry(&self, level: u8, entry: u64, id: u64) -> [u8; 32] {
        let below = level.checked_sub(1);
        let Some(below) = below else {
            return record_hash(forged(self.tree.record(id).unwrap_or_default()).as_bytes());
        };
        let tile = Tile { level: TileLevel::Hashes(below), index: entry, width: 256 };
        let mut bytes = self.tree.entries(below, entry, 256).unwrap_or_default();
        self.forge(below, tile, &mut bytes);
        let mut subtree = tlog::Frontier::new();
        for hash in bytes.as_chunks().0 {
            subtree.append(*hash);
        }
        subtree.root()
    }
}

fn name_of(path: &str, version: &str) -> String {
    format!("{}@{}", escape(path), escape(version))
}

fn record(path: &str, version: &str, zip_h1: &str, mod_h1: &str) -> String {
    format!("{path} {version} {zip_h1}\n{path} {version}/go.mod {mod_h1}\n")
}

/// The record with another hash for each line.
fn forged(record: &str) -> String {
    let line = |line: &str| {
        let subject = line.rsplit_once(' ').map_or(line, |(subject, _)| subject);
        format!("{subject} {}\n", h1_of_text(subject))
    };
    record.lines().map(line).collect()
}

fn unescape(text: &str) -> String {
    let mut upper = false;
    let mut plain = String::new();
    for c in text.chars() {
        match (c, std::mem::take(&mut upper)) {
            ('!', _) => upper = true,
            (c, true) => plain.push(c.to_ascii_uppercase()),
            (c, false) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
