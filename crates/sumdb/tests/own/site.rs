//! A place with a store and a database, and a log that runs there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use gomod::ModVer;
use sha2::{Digest, Sha256};
use sumdb::{Clock, Kind, Logged, OwnError, OwnLog, OwnParts};
use tempfile::TempDir;
use tlog::{LogName, SignedHead, Signer, SigningKey, Tile, TileLevel, TreeHead};
use tokio::{sync::oneshot, task::JoinHandle};
use units::{ByteSize, Timestamp};

pub(crate) const NAME: &str = "sumdb.golden.example";

/// The key of the golden vectors, or another one of the same name.
pub(crate) fn key(first: u8) -> Arc<dyn Signer> {
    let seed: Vec<u8> = (first..first + 32).collect();
    let name: LogName = NAME.parse().unwrap();
    Arc::new(SigningKey::from_seed(name, seed.try_into().unwrap()))
}

pub(crate) fn module(number: u64) -> ModVer {
    let version = format!("v0.0.{number}").parse().unwrap();
    ModVer::new("golden.example/m".parse().unwrap(), version).unwrap()
}

/// The golden hashes: source reference sumdb.md §7.
pub(crate) fn h1(kind: &str, number: u64) -> String {
    format!("h1:{}", STANDARD.encode(Sha256::digest(format!("{kind}{number}"))))
}

pub(crate) async fn append(log: &OwnLog, number: u64) -> Result<Logged, OwnError> {
    let (zip, go_mod) = (h1("zip", number), h1("mod", number));
    log.append(&module(number), &zip, &go_mod, Kind::Private).await
}

/// Appends golden records until there are as many, in order.
pub(crate) async fn grow(log: &OwnLog, to: u64) {
    let mut from = log.head().size();
    while from < to {
        let until = to.min(from + 2000);
        let logged = join_all((from..until).map(|number| append(log, number))).await;
        for (number, logged) in (from..until).zip(logged) {
            assert_eq!(logged.unwrap().id, number);
        }
        from = until;
    }
}

pub(crate) struct Site {
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn parts(&self) -> OwnParts {
        parts(self.folder.path()).await
    }

    /// Makes the log and runs it.
    pub(crate) async fn create(&self) -> Running {
        Running::start(OwnLog::create(&self.parts().await).await.unwrap())
    }

    pub(crate) async fn open(&self) -> OwnLog {
        OwnLog::open(self.parts().await).await.unwrap()
    }

    /// All files below a folder, by path.
    pub(crate) fn files(&self, below: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.folder.path().join(below), &mut files);
        files
    }

    /// Keeps a copy of the database or the store, which nobody has open any more.
    pub(crate) async fn back_up(&self, what: &str) -> TempDir {
        // The threads of a database end a moment behind its last handle, and take their log along.
        let log = self.folder.path().join("db/state.sqlite-wal");
        let started = Instant::now();
        while log.exists() && started.elapsed() < Duration::from_secs(10) {
            tokio::task::yield_now().await;
        }
        let backup = tempfile::tempdir().unwrap();
        copy(&self.folder.path().join(what), &backup.path().join(what));
        backup
    }

    pub(crate) fn restore(&self, what: &str, backup: &TempDir) {
        let to = self.folder.path().join(what);
        drop(fs::remove_dir_all(&to));
        copy(&backup.path().join(what), &to);
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            // The write-ahead log of a database may end a moment behind its last handle.
            let Ok(bytes) = fs::read(&path) else { continue };
            files.insert(path.display().to_string(), bytes);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Opens `db/state.sqlite` and `data/` below a folder.
pub(crate) async fn parts(folder: &Path) -> OwnParts {
    let config = store::Config { min_free: ByteSize(0), ..store::Config::default() };
    parts_with(folder, &config).await
}

pub(crate) async fn parts_with(folder: &Path, config: &store::Config) -> OwnParts {
    fs::create_dir_all(folder.join("db")).unwrap();
    let store = loop {
        // What the one before had under way may take a moment to end.
        match store::Store::disk(&folder.join("data"), config) {
            Err(store::Error::Busy) => tokio::task::yield_now().await,
            store => break store.unwrap(),
        }
    };
    let state = db::State::open(&folder.join("db/state.sqlite")).await.unwrap();
    of(store, state)
}

/// All in memory.
pub(crate) async fn memory() -> OwnParts {
    of(store::Store::memory(), db::State::memory().await.unwrap())
}

fn of(store: store::Store, state: db::State) -> OwnParts {
    let clock = Clock::new(|| Timestamp::from_unix_secs(1_700_000_000));
    OwnParts { name: NAME.parse().unwrap(), signers: vec![key(0)], store, state, clock }
}

/// A log and its sequencer.
pub(crate) struct Running {
    pub(crate) log: OwnLog,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(log: OwnLog) -> Self {
        let (stop, stopped) = oneshot::channel();
        let running = log.clone();
        let task = tokio::spawn(async move { running.run(async { drop(stopped.await) }).await });
        Self { log, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// Reads the whole log as an auditor does, and checks it against its head; returns the records.
pub(crate) async fn audit(log: &OwnLog) -> Vec<String> {
    let head = log.head();
    let opened = SignedHead::open(log.verifier(), head.message().as_bytes()).unwrap();
    let (mut texts, mut frontier) = (Vec::new(), tlog::Frontier::new());
    while (texts.len() as u64) < head.size() {
        let index = texts.len() as u64 / 256;
        let width = Tile::width_in(TileLevel::Data, index, head.size());
        let tile = Tile { level: TileLevel::Data, index, width };
        let body = log.tile(tile).await.unwrap().unwrap();
        for text in tlog::split_data_tile(&body, width).unwrap() {
            frontier.append(tlog::record_hash(text.as_bytes()));
            texts.push(text.to_owned());
        }
    }
    assert_eq!(frontier.head(), *opened.head());
    let mut versions: Vec<_> = texts.iter().map(|text| text.split(' ').nth(1).unwrap()).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), texts.len(), "a version has two records");
    texts
}

/// Asserts that the newest head begins with an older one.
pub(crate) async fn assert_extends(log: &OwnLog, older: &TreeHead) {
    let proof = log.extends(older.size).await.unwrap();
    let proof = proof.unwrap_or_else(|| panic!("the head of {} is gone", older.size));
    proof.verify(older, log.head().head()).unwrap();
}
