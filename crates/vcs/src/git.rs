//! All mirrors of this node.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use policy::address::Word;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::{
    Config, Error, Metrics, Place, Remote, Repository,
    blocking::blocking,
    capability, command, leftovers,
    mirror::Mirror,
    objects::Idle,
    run::Limits,
    space::Disk,
    state::{State, Weight},
};

/// Repositories that are remembered; one beyond it makes those forgotten that nobody holds.
const MAX_REPOSITORIES: usize = 10_000;
/// Hosts whose turns are remembered.
const MAX_HOSTS: usize = 10_000;
/// Most fetches at one time from all hosts together, for those of the operator and for those that
/// others name: slow hosts of strangers must not keep the operator's own waiting.
const FETCHES: usize = 16;
/// Refs are asked for at more remotes of a host at one time than are fetched from.
const ASKING_PER_HOST: usize = 16;
/// Memory of all commit graphs together. One graph may pass it while it is the only one in use.
const MAX_GRAPH_BYTES: usize = 128 << 20;
/// Memory of all lists of refs together, those unused for longest forgotten first. One list may
/// pass it while it is the only one in use: a million refs of a repository take about 200 MiB.
const MAX_REFS_BYTES: usize = 64 << 20;

/// All mirrors of this node, and the one way to run git.
///
/// Clones are handles to the same mirrors.
#[derive(Debug, Clone)]
pub struct Git(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) place: Place,
    /// An empty folder: git's home and place of work.
    pub(crate) home: PathBuf,
    pub(crate) metrics: Metrics,
    pub(crate) idle: Arc<Idle>,
    version: String,
    warnings: Vec<String>,
    repositories: Mutex<HashMap<String, Arc<State>>>,
    hosts: Mutex<HashMap<String, Arc<Turns>>>,
    fetching_named: Semaphore,
    fetching_discovered: Semaphore,
    /// Says that somebody has the folder open.
    _held: File,
}

/// Turns at one host.
#[derive(Debug)]
pub(crate) struct Turns {
    pub(crate) asking: Semaphore,
    pub(crate) fetching: Semaphore,
}

impl Git {
    /// Looks for git, judges its capabilities, opens the mirrors' folder and removes what killed
    /// processes have left in it.
    ///
    /// # Errors
    ///
    /// `Mirror` when there is no git, when it is too old to be told anything safely (before 2.31),
    /// or when the folder cannot be made.
    pub async fn open(config: Config, mut place: Place) -> Result<Self, Error> {
        let folder = place.folder.clone();
        let (folder, home, held) = blocking(move || {
            prepare(&folder).map_err(|error| crate::mirror::failed(&folder, "make", &error))
        })
        .await?;
        place.folder = folder;
        let command = || command::Git::new(&config, &place, &home, probing());
        let mut version = command();
        version.args(&["--version"]);
        let (version, warnings) = capability::probe(version, command()).await?;
        Ok(Self(Arc::new(Inner {
            config,
            place,
            home,
            metrics: Metrics::default(),
            idle: Arc::default(),
            version,
            warnings,
            repositories: Mutex::default(),
            hosts: Mutex::default(),
            fetching_named: Semaphore::new(FETCHES),
            fetching_discovered: Semaphore::new(FETCHES),
            _held: held,
        })))
    }

    /// What the operator should know about this git, to be logged once.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// Which git it is, such as `2.39.5`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.0.metrics.clone()
    }

    /// The repository at a remote; cheap, no I/O.
    ///
    /// The same URL on the same word, with a credential of the same kind and user, is one mirror,
    /// one fetch, one ref advertisement. Others are kept apart, or a stranger could read through
    /// larder what was fetched with somebody's credential. The newest credential counts.
    #[must_use]
    pub fn repository(&self, remote: Remote) -> Repository {
        let name = mirror_name(&remote);
        let mut known = self.0.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REPOSITORIES && !known.contains_key(&name) {
            known.retain(|_, state| Arc::strong_count(state) > 1);
        }
        let mirror = Mirror::new(self.0.place.folder.join(&name));
        let state =
            known.entry(name).or_insert_with(|| Arc::new(State::new(remote.clone(), mirror)));
        state.set_remote(remote);
        let state = Arc::clone(state);
        Repository::new(Arc::clone(&self.0), state)
    }
}

impl Inner {
    /// A git command that speaks to nobody.
    pub(crate) fn command(&self, limits: Limits) -> command::Git {
        command::Git::new(&self.config, &self.place, &self.home, limits)
    }

    pub(crate) fn turns(&self, host: &str) -> Arc<Turns> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let fetches = usize::try_from(self.config.fetches_per_host.max(1)).unwrap_or(1);
        let turns = hosts.entry(host.to_owned()).or_insert_with(|| {
            let (asking, fetching) = (Semaphore::new(ASKING_PER_HOST), Semaphore::new(fetches));
            Arc::new(Turns { asking, fetching })
        });
        Arc::clone(turns)
    }

    /// The turns of all fetches on somebody's word.
    pub(crate) fn all_turns(&self, word: Word) -> &Semaphore {
        match word {
            Word::Operator => &self.fetching_named,
            Word::Discovered => &self.fetching_discovered,
        }
    }

    pub(crate) fn states(&self) -> Vec<Arc<State>> {
        let known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }

    /// The state of a mirror's folder, if anybody has asked for it.
    pub(crate) fn state(&self, name: &str) -> Option<Arc<State>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// What a run that writes to a folder may do to the disk.
    pub(crate) fn disk(&self, folder: PathBuf, growth: u64) -> Disk {
        Disk { folder, growth, min_free: self.place.min_free }
    }

    /// Gives back memory of repositories that were unused for longest, but never that of `current`.
    pub(crate) fn trim(&self, current: &State) {
        self.trim_to(current, (MAX_GRAPH_BYTES, MAX_REFS_BYTES));
    }

    fn trim_to(&self, current: &State, (max_graphs, max_refs): (usize, usize)) {
        let mut all: Vec<_> =
            self.states().into_iter().map(|state| (state.weight(), state)).collect();
        let sum = |of: fn(&Weight) -> usize| all.iter().map(|(weight, _)| of(weight)).sum();
        let (mut graphs, mut refs): (usize, usize) =
            (sum(|weight| weight.graph), sum(|weight| weight.refs));
        all.sort_by_key(|(weight, _)| weight.used);
        for (weight, state) in all {
            if std::ptr::eq(&raw const *state, current) {
                continue;
            }
            if refs > max_refs && weight.refs > 0 {
                state.forget();
                refs -= weight.refs;
                graphs -= weight.graph;
            } else if graphs > max_graphs && weight.graph > 0 {
                state.forget_mirror();
                graphs -= weight.graph;
            }
        }
    }
}

fn probing() -> Limits {
    Limits { time: Duration::from_secs(10), stdout: 4096, memory: 1 << 30, disk: None }
}

/// The folders, as real paths: git compares them to where it is.
fn prepare(folder: &Path) -> io::Result<(PathBuf, PathBuf, File)> {
    fs::create_dir_all(folder)?;
    let folder = fs::canonicalize(folder)?;
    let home = folder.join("home");
    fs::create_dir_all(&home)?;
    let held = leftovers::hold(&folder)?;
    Ok((folder, home, held))
}

/// A name that tells nothing and cannot be anything but a name.
fn mirror_name(remote: &Remote) -> String {
    let credential = remote.credential.as_ref().map(crate::Credential::public_name);
    let (url, word) = (remote.url.dialled(), remote.word);
    let text = format!("{url}\n{word:?}\n{}", credential.unwrap_or_default());
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
