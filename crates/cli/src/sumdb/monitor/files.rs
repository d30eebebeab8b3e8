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

use anyhow::{Context as _, bail, ensure};
use sumdb::monitor::{DIGEST_BYTES, Evidence, Kept, MAX_KEPT_BYTES, Seen, Signed, Unfit};
use tlog::{MAX_MESSAGE_BYTES, VerifierKey};

use crate::exit::Usage;

/// How much of the names is read at once.
const PIECE_BYTES: usize = DIGEST_BYTES << 12;
/// How much evidence is kept: a log that is wrong everywhere must not fill the disk.
const MAX_EVIDENCE_BYTES: u64 = 64 << 20;
/// What a file takes at least.
const BLOCK_BYTES: u64 = 4 << 10;

/// The files of one monitor: `FILE`, `FILE.seen`, `FILE.lock` and `FILE.evidence/`.
#[derive(Debug)]
pub(super) struct Files {
    state: PathBuf,
    seen: File,
    /// Records whose names are in the file.
    saved: u64,
    /// What evidence takes; `None`: not looked yet.
    evidence_bytes: Option<u64>,
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
            Some(text) => Kept::parse(key, &text).with_context(|| unread(state, key, &text))?,
        };
        let path = beside(state, "seen");
        let seen =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut seen = seen.with_context(|| format!("opening {}", path.display()))?;
        let names = names(&mut seen, &kept).with_context(|| path.display().to_string())?;
        let (state, saved) = (state.to_path_buf(), kept.records());
        Ok((Self { state, seen, saved, evidence_bytes: None, _lock: lock }, kept, names))
    }

    /// Saves how far the monitor has come; whole or not at all, whenever the process ends.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn save(&mut self, kept: &Kept, seen: &Seen) -> anyhow::Result<()> {
        // The names first: the state must not say that records were judged whose names are not here.
        // What a run that was killed wrote past its state, or of records that its state says were not
        // judged, is written again.
        let since = (self.saved, seen.since(self.saved));
        let changed = seen.changed();
        for (first, digests) in changed.iter().chain([&since]).filter(|(_, new)| !new.is_empty()) {
            self.seen
                .seek(SeekFrom::Start(first * DIGEST_BYTES as u64))
                .and_then(|_at| self.seen.write_all(digests))
                .and_then(|()| self.seen.sync_data())
                .with_context(|| format!("writing {}.seen", self.state.display()))?;
        }
        self.saved = seen.records();
        let new = beside(&self.state, "new");
        write_through(&new, kept.text().as_bytes())
            .and_then(|()| fs::rename(&new, &self.state))
            .with_context(|| format!("writing {}", self.state.display()))
    }

    /// Keeps evidence; what is there under its name stays. Returns the file, which is whole.
    ///
    /// # Errors
    /// It cannot be written, or there is too much of it already.
    pub(super) fn keep(&mut self, evidence: &Evidence) -> anyhow::Result<PathBuf> {
        let folder = beside(&self.state, "evidence");
        let file = folder.join(format!("{}.txt", evidence.name));
        let writing = || format!("writing {}", file.display());
        if file.try_exists().with_context(writing)? {
            return Ok(file);
        }
        fs::create_dir_all(&folder).with_context(writing)?;
        let there = match self.evidence_bytes {
            Some(bytes) => bytes,
            None => size_of_all(&folder).with_context(writing)?,
        };
        let all = there + taken(evidence.text.len() as u64);
        let full = || format!("{} holds {} MiB already", folder.display(), there >> 20);
        ensure!(all <= MAX_EVIDENCE_BYTES, full());
        // A kill in the middle leaves the file without its name, and the next one writes over it.
        let new = folder.join("new");
        write_through(&new, evidence.text.as_bytes())
            .and_then(|()| name(&new, &file))
            .and_then(|()| File::open(&folder)?.sync_all())
            .with_context(writing)?;
        self.evidence_bytes = Some(all);
        Ok(file)
    }
}

/// Reads a head that the log signed; `None`: the file is empty, as `go` makes it before it has one.
///
/// # Errors
/// It cannot be read, or is no head of this log: then a wrong command line.
pub(super) fn signed(file: &Path, key: &VerifierKey) -> anyhow::Result<Option<Signed>> {
    let reading = || format!("reading {}", file.display());
    let mut bytes = Vec::new();
    let opened = File::open(file).with_context(reading)?;
    opened.take(MAX_MESSAGE_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(reading)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let signed = Signed::open(key, &bytes);
    let signed = signed.map_err(|error| Usage(format!("--head {}: {error}", file.display())))?;
    Ok(Some(signed))
}

/// Why a state is not read, and what to do.
fn unread(state: &Path, key: &VerifierKey, text: &str) -> String {
    let state = state.display();
    match Kept::parse(key, text) {
        Err(Unfit::Key(before)) if before.name() == key.name() => format!(
            "{state} was kept with the key {before}, and its head is not signed by {key}: as long as \
             the log signs with both, run the monitor once with the old key, then with the new one; \
             later, begin anew with another --state"
        ),
        Err(Unfit::Key(before)) => format!("{state} is of another log, {}", before.name()),
        Err(Unfit::Version) => {
            format!("{state} cannot be gone on with: begin anew with another --state")
        }
        _ => format!("{state} cannot be read"),
    }
}

/// Gives a file its name, if nothing has it.
fn name(new: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(new, file) {
        Ok(()) => fs::remove_file(new),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(new),
        // Not every file system has links; the lock keeps others out.
        Err(_) => fs::rename(new, file),
    }
}

fn size_of_all(folder: &Path) -> io::Result<u64> {
    let mut all = 0;
    for file in fs::read_dir(folder)? {
        all += taken(file?.metadata()?.len());
    }
    Ok(all)
}

fn taken(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
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

/// The names of all records that were walked.
fn names(file: &mut File, kept: &Kept) -> anyhow::Result<Seen> {
    let mut seen = Seen::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = kept.records() * DIGEST_BYTES as u64;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let Some(piece) = piece.get_mut(..len) else { break };
        if file.read_exact(piece).is_err() {
            bail!(
                "there are fewer names than the state says: remove both to judge all records again"
            );
        }
        seen.extend(piece, kept);
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
        let refused = || format!("{:#}", Files::open(&state, &key()).unwrap_err());
        fs::write(&state, "larder monitor v2\n").unwrap();
        assert!(refused().contains("it is damaged"), "{}", refused());
        fs::write(&state, "larder monitor v1\n").unwrap();
        let says = ["begin anew with another --state", "kept by another version of larder"];
        assert!(says.iter().all(|word| refused().contains(word)), "{}", refused());
    }

    #[test]
    fn there_are_as_many_names_as_records() {
        let key = tlog::SigningKey::from_seed("sum.example".parse().unwrap(), [1; 32]);
        let text = tlog::TreeHead { size: 5, root: [3; 32] }.text();
        let note = tlog::Note { signatures: vec![key.sign(&text)], text }.message();
        let kept = Kept::new(key.verifier()).text().replace("records 0", "records 5");
        let kept = kept.trim_end().to_owned() + &format!("\nhead {}\n\n{note}", note.len());
        let kept = Kept::parse(&key.verifier(), &kept).unwrap();
        for (names, good) in [(4, false), (5, true), (6, true)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[7; 6 * DIGEST_BYTES][..names * DIGEST_BYTES]).unwrap();
            file.rewind().unwrap();
            assert_eq!(super::names(&mut file, &kept).is_ok(), good, "{names}");
        }
    }

    #[test]
    fn a_state_of_another_key_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, Kept::new(key()).text()).unwrap();
        let name = |name: &str| tlog::SigningKey::from_seed(name.parse().unwrap(), [1; 32]);
        for (other, word) in
            [("sum.golang.org", "once with the old key"), ("a.example", "another log")]
        {
            let error = Files::open(&state, &name(other).verifier()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    fn files(folder: &Path) -> Files {
        Files::open(&folder.join("state"), &key()).unwrap().0
    }

    fn evidence(name: &str, bytes: usize) -> Evidence {
        Evidence { name: name.to_owned(), text: "x".repeat(bytes) }
    }

    #[test]
    fn evidence_stays_as_it_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path());
        for bytes in [3, 4] {
            let file = files.keep(&evidence("fork-1-2", bytes)).unwrap();
            assert!(file.ends_with("state.evidence/fork-1-2.txt"));
            assert_eq!(fs::read_to_string(file).unwrap(), "xxx");
        }
        assert_eq!(fs::read_dir(folder.path().join("state.evidence")).unwrap().count(), 1);
    }

    /// As after a kill, and on a disk that is full.
    #[test]
    fn evidence_is_whole_or_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path());
        let new = folder.path().join("state.evidence/new");
        fs::create_dir_all(new.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", &new).unwrap();
        assert!(files.keep(&evidence("a", 3)).is_err());
        assert!(!new.with_file_name("a.txt").exists());
        fs::remove_file(&new).unwrap();
        fs::write(&new, "half of somethi").unwrap();
        let file = files.keep(&evidence("a", 3)).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "xxx");
    }

    #[test]
    fn evidence_is_bounded_and_what_is_there_counts() {
        let folder = tempfile::tempdir().unwrap();
        let blocks = MAX_EVIDENCE_BYTES / BLOCK_BYTES;
        let all = folder.path().join("state.evidence/earlier");
        fs::create_dir_all(all.parent().unwrap()).unwrap();
        File::create(all).unwrap().set_len((blocks - 2) * BLOCK_BYTES).unwrap();
        let mut files = files(folder.path());
        assert!(files.keep(&evidence("a", 1)).is_ok());
        assert!(files.keep(&evidence("b", 4097)).is_err());
        assert!(files.keep(&evidence("c", 4096)).is_ok());
        assert!(files.keep(&evidence("d", 1)).is_err());
        assert!(files.keep(&evidence("a", 1)).is_ok(), "it is there");
    }

    #[test]
    fn a_head_from_elsewhere_is_signed_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("latest");
        let key = tlog::SigningKey::from_seed("sum.example".parse().unwrap(), [1; 32]);
        let text = tlog::TreeHead { size: 7, root: [3; 32] }.text();
        let note = tlog::Note { signatures: vec![key.sign(&text)], text }.message();
        assert!(signed(&file, &key.verifier()).is_err(), "it is not there");
        fs::write(&file, "").unwrap();
        assert_eq!(signed(&file, &key.verifier()).unwrap(), None);
        fs::write(&file, &note).unwrap();
        assert!(signed(&file, &key.verifier()).unwrap().is_some());
        for wrong in [note.replace("\n7\n", "\n8\n"), "hello\n".repeat(200_000)] {
            fs::write(&file, wrong).unwrap();
            let error = signed(&file, &key.verifier()).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{error:#}");
        }
    }
}
