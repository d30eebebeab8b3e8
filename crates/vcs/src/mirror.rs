//! A mirror's folder: a bare repository of our own making, which may be thrown away at any time.
//!
//! Its refs are one file, `packed-refs`, replaced by one rename after each fetch: objects that
//! arrived without it are not part of the repository. Its configuration is one of four texts of
//! ours; with any other text in it, it is not ours any more.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use gix::hash::Kind;
use rustix::fs::{FlockOperation, flock};

use crate::{Error, Refs, blocking, objects::Fault, run::size_of};

/// Largest `packed-refs`: what [`Refs`] of a million names and their peeled tags come to.
const MAX_PACKED_REFS_BYTES: u64 = 512 << 20;
/// How often a lock that another process holds is tried.
const LOCK_EVERY: Duration = Duration::from_millis(50);
/// Touched when the mirror is used: the quota removes what was not used for longest.
const USED: &str = "larder-used";

/// Holds how often the remote did not give everything; written at the last time.
const NOT_WHOLE: &str = "larder-not-whole";

/// How much of a repository a mirror holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Commits and trees; blobs as they are wanted.
    Partial,
    /// Everything.
    Full,
}

/// Where a mirror is, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    folder: PathBuf,
}

/// Held while a mirror is changed; others wait, in this process and in any other.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: File,
}

impl Mirror {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    /// Waits for the lock beside the folder, which outlives the folder.
    ///
    /// Dropped: not locked, nothing to undo.
    pub(crate) async fn lock(&self, patience: Duration) -> Result<Locked, Error> {
        let path = self.folder.with_extension("lock");
        let deadline = blocking::now() + patience;
        loop {
            let file = path.clone();
            let tried = blocking::blocking(move || {
                try_lock(&file).map_err(|error| failed(&file, "lock", &error))
            });
            if let Some(locked) = tried.await? {
                return Ok(locked);
            }
            if blocking::now() >= deadline {
                return Err(Error::mirror(&path.display(), "another process holds the lock"));
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
    }

    /// What is there: `None` for nothing. Blocking, like all below.
    ///
    /// # Errors
    ///
    /// `Damaged` for a folder that is not as we left it.
    pub(crate) fn inspect(&self) -> Result<Option<(Kind, Mode)>, Fault> {
        let config = match fs::read_to_string(self.folder.join("config")) {
            Ok(config) => config,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.folder.exists() => {
                return Ok(None);
            }
            Err(error) => return Err(Fault::Damaged(format!("config: {error}"))),
        };
        let all = [Kind::Sha1, Kind::Sha256];
        let all = all.into_iter().flat_map(|kind| [(kind, Mode::Partial), (kind, Mode::Full)]);
        let found = all.into_iter().find(|(kind, mode)| config_text(*kind, *mode) == config);
        let found = found.ok_or_else(|| Fault::Damaged("its config is not ours".to_owned()))?;
        // Others' objects must not become ours; git would follow these names.
        for name in
            ["objects/info/alternates", "objects/info/http-alternates", "commondir", "shallow"]
        {
            if self.folder.join(name).exists() {
                return Err(Fault::Damaged(format!("it has a file {name}")));
            }
        }
        if self.has_loose_objects() {
            return Err(Fault::Damaged("it has objects outside packs".to_owned()));
        }
        Ok(Some(found))
    }

    /// Everything that passed git's checks came in a pack; what lies elsewhere did not.
    fn has_loose_objects(&self) -> bool {
        let Ok(entries) = fs::read_dir(self.objects()) else { return true };
        entries.flatten().any(|entry| !matches!(entry.file_name().to_str(), Some("pack" | "info")))
    }

    /// Makes an empty mirror.
    pub(crate) fn create(&self, kind: Kind, mode: Mode) -> io::Result<()> {
        for folder in ["objects/pack", "objects/info", "refs"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        fs::write(self.folder.join("HEAD"), "ref: refs/heads/larder\n")?;
        // Last: a folder without it is taken for damaged.
        fs::write(self.folder.join("config"), config_text(kind, mode))
    }

    /// Removes it. Readers that have it open keep what they have mapped.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // Renamed first, so that a crash leaves no half mirror under its name.
        let trash = self.folder.with_extension(format!("trash-{:016x}", rand::random::<u64>()));
        match fs::rename(&self.folder, &trash) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => fs::remove_dir_all(trash),
        }
    }

    /// A mirror in the making, to take this one's place.
    pub(crate) fn successor(&self) -> Self {
        Self::new(self.folder.with_extension(format!("new-{:016x}", rand::random::<u64>())))
    }

    /// Gives the successor this one's place. Under the lock.
    pub(crate) fn give_way(&self, successor: &Self) -> io::Result<()> {
        self.remove()?;
        fs::rename(&successor.folder, &self.folder)
    }

    /// The refs of the last fetch; `None` before the first.
    pub(crate) fn read_refs(&self) -> Result<Option<Refs>, Fault> {
        let path = self.folder.join("packed-refs");
        let damaged = |what: String| Fault::Damaged(format!("packed-refs: {what}"));
        let text = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(metadata) if metadata.len() > MAX_PACKED_REFS_BYTES => {
                return Err(damaged("too large".to_owned()));
            }
            _ => fs::read_to_string(&path).map_err(|error| damaged(error.to_string()))?,
        };
        Refs::from_packed(&text).map(Some).ok_or_else(|| damaged("not as we wrote it".to_owned()))
    }

    /// Shows a fetch: from here on, these are the mirror's refs.
    pub(crate) fn write_refs(&self, refs: &Refs) -> io::Result<()> {
        let new = self.folder.join("packed-refs.new");
        File::create(&new)?.write_all(refs.to_packed().as_bytes())?;
        fs::rename(new, self.folder.join("packed-refs"))
    }

    /// Removes what a cut fetch has left. Under the lock only: a running one owns such files.
    pub(crate) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.objects().join("pack")) else { return };
        // git marks a pack with `.keep` while it fetches; kept for ever, it would never be packed
        // with others.
        let is_left = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("tmp_")
                || name.starts_with(".tmp-")
                || path.extension() == Some("keep".as_ref())
        };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_left(path)) {
            // What cannot be removed is in nobody's way, and tried again.
            let _ = fs::remove_file(path);
        }
    }

    pub(crate) fn packs(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.objects().join("pack")) else { return 0 };
        entries.flatten().filter(|entry| entry.path().extension() == Some("pack".as_ref())).count()
    }

    pub(crate) fn size(&self) -> u64 {
        size_of(&self.folder)
    }

    /// Notes that the remote did not give everything. A mirror that is made anew knows nothing of it.
    pub(crate) fn note_not_whole(&self) {
        let times = self.not_whole().map_or(0, |(times, _)| times).saturating_add(1);
        // Without the note it is tried again too soon, no worse.
        let _ = fs::write(self.folder.join(NOT_WHOLE), times.to_string());
    }

    /// How often the remote did not give everything, and when it did not last.
    pub(crate) fn not_whole(&self) -> Option<(u32, SystemTime)> {
        let path = self.folder.join(NOT_WHOLE);
        let when = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
        Some((fs::read_to_string(&path).ok()?.parse().ok()?, when))
    }

    /// Notes a use, for the quota.
    pub(crate) fn touch(&self) {
        // Only the order of removal hangs on it.
        let _ = fs::write(self.folder.join(USED), "");
    }

    /// When it was last used, as far as it was noted.
    pub(crate) fn used(&self) -> Option<SystemTime> {
        let noted = fs::metadata(self.folder.join(USED));
        noted.or_else(|_| fs::metadata(&self.folder)).and_then(|metadata| metadata.modified()).ok()
    }
}

fn try_lock(path: &Path) -> io::Result<Option<Locked>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Locked { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn failed(path: &Path, what: &str, error: &io::Error) -> Error {
    Error::mirror(&path.display(), format!("cannot {what} it: {error}"))
}

/// No URL, no credential, nothing that anyone could be curious about.
fn config_text(kind: Kind, mode: Mode) -> String {
    let mut extensions = String::new();
    let mut remote = "";
    if mode == Mode::Partial {
        extensions.push_str("\tpartialClone = origin\n");
        remote = "[remote \"origin\"]\n\tpromisor = true\n\tpartialclonefilter = blob:none\n";
    }
    if kind == Kind::Sha256 {
        extensions.push_str("\tobjectFormat = sha256\n");
    }
    if extensions.is_empty() {
        return "[core]\n\trepositoryformatversion = 0\n\tbare = true\n".to_owned();
    }
    format!(
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n{extensions}{remote}"
    )
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
