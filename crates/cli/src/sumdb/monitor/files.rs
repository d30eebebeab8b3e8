//! Where a monitor keeps what it knows: the state, the names it has seen, evidence.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the command's own files, wherever --state puts them; no store is needed to watch a log"
)]

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sumdb::monitor::{DIGEST_BYTES, Evidence, Kept, MAX_KEPT_BYTES, Seen};
use tlog::VerifierKey;

/// How much of the names is read at once.
const PIECE_BYTES: usize = DIGEST_BYTES << 12;

/// The files of one monitor: `FILE`, `FILE.seen`, `FILE.lock` and `FILE.evidence/`.
#[derive(Debug)]
pub(super) struct Files {
    state: PathBuf,
    seen: File,
    /// Records whose names are in the file.
    saved: u64,
    /// Held as long as the monitor runs.
    _lock: File,
}

impl Files {
    /// Opens the files, or begins anew where there is no state.
    ///
    /// # Errors
    /// Another monitor has them, they are damaged, or they are of another key.
    pub(super) fn open(state: &Path, key: &VerifierKey) -> anyhow::Result<(Self, Kept, Seen)> {
        if let Some(folder) = state.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let lock = locked(&beside(state, "lock"))?;
        let kept = match read(state)? {
            None => Kept::new(key.clone()),
            Some(text) => Kept::parse(key, &text)
                .with_context(|| format!("{} is damaged, or of another key", state.display()))?,
        };
        let path = beside(state, "seen");
        let seen =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut seen = seen.with_context(|| format!("opening {}", path.display()))?;
        let names = names(&mut seen, kept.records()).with_context(|| path.display().to_string())?;
        let (state, saved) = (state.to_path_buf(), kept.records());
        Ok((Self { state, seen, saved, _lock: lock }, kept, names))
    }

    /// Saves how far the monitor has come; whole or not at all, whenever the process ends.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn save(&mut self, kept: &Kept, seen: &Seen) -> anyhow::Result<()> {
        // The names first: the state must not say that records were judged whose names are not here.
        // What a run that was killed wrote past its state is written again.
        let more = seen.since(self.saved);
        if !more.is_empty() {
            let written = self
                .seen
                .seek(SeekFrom::Start(self.saved * DIGEST_BYTES as u64))
                .and_then(|_at| self.seen.write_all(&more))
                .and_then(|()| self.seen.sync_data());
            written.with_context(|| format!("writing {}.seen", self.state.display()))?;
            self.saved = seen.records();
        }
        let new = beside(&self.state, "new");
        write_through(&new, kept.text().as_bytes())
            .and_then(|()| fs::rename(&new, &self.state))
            .with_context(|| format!("writing {}", self.state.display()))
    }

    /// Keeps evidence; what is there under its name stays. Returns the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn keep(&self, evidence: &Evidence) -> anyhow::Result<PathBuf> {
        let folder = beside(&self.state, "evidence");
        let file = folder.join(format!("{}.txt", evidence.name));
        let kept = fs::create_dir_all(&folder).and_then(|()| {
            if file.exists() { Ok(()) } else { write_through(&file, evidence.text.as_bytes()) }
        });
        kept.with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

/// `FILE.what`.
fn beside(state: &Path, what: &str) -> PathBuf {
    let mut name = state.file_name().unwrap_or(OsStr::new("state")).to_owned();
    name.push(format!(".{what}"));
    state.with_file_name(name)
}

fn locked(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let busy = anyhow::Error::from(store::Error::Busy);
            Err(busy.context(format!("another monitor has {}", path.display())))
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

fn read(state: &Path) -> anyhow::Result<Option<String>> {
    let reading = || format!("reading {}", state.display());
    let file = match File::open(state) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut text = String::new();
    file.take(MAX_KEPT_BYTES).read_to_string(&mut text).with_context(reading)?;
    Ok(Some(text))
}

/// The names of so many records.
fn names(file: &mut File, records: u64) -> anyhow::Result<Seen> {
    let mut seen = Seen::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = records * DIGEST_BYTES as u64;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let Some(piece) = piece.get_mut(..len) else { break };
        if file.read_exact(piece).is_err() {
            bail!(
                "there are fewer names than the state says: remove both to judge all records again"
            );
        }
        seen.extend(piece);
        left -= len as u64;
    }
    Ok(seen)
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    const KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

    fn key() -> VerifierKey {
        KEY.parse().unwrap()
    }

    #[test]
    fn one_monitor_has_the_files_and_what_it_saved_is_there_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        let (mut files, kept, seen) = Files::open(&state, &key()).unwrap();
        assert_eq!(Exit::of(&Files::open(&state, &key()).unwrap_err()), Exit::Busy);
        files.save(&kept, &seen).unwrap();
        drop(files);
        let (_files, again, seen) = Files::open(&state, &key()).unwrap();
        assert_eq!((again, seen.records()), (kept, 0));
    }

    #[test]
    fn damaged_files_are_no_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, "larder monitor v1\n").unwrap();
        assert!(Files::open(&state, &key()).is_err());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 5 * DIGEST_BYTES]).unwrap();
        for (records, good) in [(0, true), (5, true), (6, false)] {
            file.rewind().unwrap();
            assert_eq!(names(&mut file, records).is_ok(), good, "{records}");
        }
    }

    #[test]
    fn evidence_stays_as_it_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let (files, ..) = Files::open(&folder.path().join("state"), &key()).unwrap();
        for text in ["one", "two"] {
            let evidence = Evidence { name: "fork-1-2".to_owned(), text: text.to_owned() };
            let file = files.keep(&evidence).unwrap();
            assert!(file.ends_with("state.evidence/fork-1-2.txt"));
            assert_eq!(fs::read_to_string(file).unwrap(), "one");
        }
    }
}
