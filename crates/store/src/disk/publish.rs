//! Giving and taking names, many at a time.
//!
//! Bytes are made durable by whoever brings them, side by side. Names change in one place: a
//! caller who finds fewer than [`MAX_LEADERS`] leaders becomes one and serves the queue, group by
//! group. All names are changed one after the other (which makes compare-and-swap simple), then
//! every folder that a group touched is synced once, then all of it are answered. Groups sync side
//! by side, so the files of one caller do not wait for each other; while as many sync as may, the
//! next group grows, so the cost per name falls as the load rises.
//!
//! Crash points. Before the rename: a scratch file, removed at the next start. After the rename,
//! before the folder sync: the whole file under its name, or after a power cut no file; the caller
//! has not been answered. After the sync: published.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::RandomState},
    fs::{self, File},
    hash::BuildHasher,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::{
    Disk, Scratch,
    read::{self, Place},
};
use crate::{Created, Error, Lifetime, Object, Tag};

/// Most names in one group: bounds how long the first of them waits for the last.
const MAX_GROUP: usize = 256;

/// Most groups that are synced side by side. Disks merge their flushes.
const MAX_LEADERS: usize = 4;

/// Most folders remembered as durable, 8 bytes each.
const MAX_KNOWN_FOLDERS: usize = 65_536;

/// How often a name that is taken and free again by turns is tried.
const MAX_TRIES: usize = 3;

/// Most places for damaged files of one name.
const MAX_QUARANTINED: u32 = 1000;

/// A change of names.
pub(crate) enum Act {
    /// Give the name to the scratch file, which is this object, if it is free.
    Create(Scratch, Box<Object>),
    /// Give the name to the scratch file, whose tag is `new`, if what it names now has the tag
    /// `expected`; `None`: if it is free.
    Replace { scratch: Scratch, new: Tag, expected: Option<Tag> },
    /// Take the name away.
    Remove,
    /// Move the file to the evidence.
    Quarantine,
}

/// What a change of names came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The name was free, or held this object already.
    Created(Created),
    /// The name means content with this tag now.
    Replaced(Tag),
    /// The name is gone.
    Removed,
    /// There was nothing to remove or move.
    Absent,
    /// Moved to this name, below `evidence/`.
    Moved(String),
}

/// Who waits for the outcome.
pub(crate) type Answer = oneshot::Sender<Result<Outcome, Error>>;

struct Job {
    place: Place,
    act: Act,
    answer: Answer,
}

/// The queue, and how many serve it.
#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    leaders: usize,
}

/// Changes names for one data folder.
#[derive(Default)]
pub(crate) struct Publisher {
    queue: Mutex<Queue>,
    /// Held while names change.
    names: Mutex<()>,
    known: Mutex<Known>,
}

/// Folders whose own names are durable, up to the root. Kept as hashes: two folders with one hash
/// (2^-64 a pair, keyed at random) would cost one folder sync.
#[derive(Default)]
struct Known {
    hashes: HashSet<u64>,
    hasher: RandomState,
    /// How often a folder was forgotten.
    forgotten: u64,
}

impl Known {
    fn contains(&self, folder: &Path) -> bool {
        self.hashes.contains(&self.hasher.hash_one(folder))
    }

    fn forget(&mut self, folder: &Path) {
        self.forgotten += u64::from(self.hashes.remove(&self.hasher.hash_one(folder)));
    }

    fn add(&mut self, folders: &[&Path]) {
        if self.hashes.len() + folders.len() > MAX_KNOWN_FOLDERS {
            self.hashes.clear();
        }
        self.hashes.extend(folders.iter().map(|folder| self.hasher.hash_one(folder)));
    }
}

impl Publisher {
    /// Queues a change and serves the queue if nobody does. Blocks, maybe for others' changes.
    pub(crate) fn submit(&self, disk: &Disk, place: Place, act: Act, answer: Answer) {
        let lead = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.jobs.push(Job { place, act, answer });
            let lead = queue.leaders < MAX_LEADERS;
            queue.leaders += usize::from(lead);
            lead
        };
        if lead {
            while let Some(group) = self.next_group() {
                self.serve(disk, group);
            }
        }
    }

    fn next_group(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.jobs.is_empty() {
            queue.leaders -= 1;
            return None;
        }
        let count = queue.jobs.len().min(MAX_GROUP);
        Some(queue.jobs.drain(..count).collect())
    }

    fn serve(&self, disk: &Disk, group: Vec<Job>) {
        let mut unsynced = Vec::new();
        let mut folders = BTreeSet::new();
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for Job { place, act, answer } in group {
            let derived = place.lifetime == Lifetime::Derived;
            let target = disk.root.join(&place.name);
            let outcome = disk.note(self.apply(disk, &place, &target, act));
            match outcome {
                Ok(outcome) if disk.sync && !derived => {
                    self.add_unsynced(disk, &target, &mut folders);
                    if let Outcome::Moved(name) = &outcome {
                        let moved = disk.root.join("evidence").join(name);
                        self.add_unsynced(disk, &moved, &mut folders);
                    }
                    unsynced.push((answer, outcome, target));
                }
                // Nobody listens any more: the change stands all the same.
                other => drop(answer.send(other)),
            }
        }
        let forgotten = self.known().forgotten;
        drop(names);
        let failed = self.sync(disk, &folders, forgotten);
        for (answer, outcome, target) in unsynced {
            let broken = target.ancestors().find_map(|folder| failed.get(folder));
            drop(answer.send(broken.map_or(Ok(outcome), |error| Err(error.clone()))));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, disk: &Disk, place: &Place, target: &Path, act: Act) -> Result<Outcome, Error> {
        match act {
            Act::Create(scratch, object) => {
                self.create(disk, place, scratch, *object).map(Outcome::Created)
            }
            Act::Replace { scratch, new, expected } => {
                let current = read::object(&disk.root, place, None)?.map(|object| object.tag);
                if current != expected {
                    return Err(Error::Changed { current });
                }
                self.rename_over(disk, target, scratch)?;
                Ok(Outcome::Replaced(new))
            }
            Act::Remove => match fs::remove_file(target) {
                Ok(()) => Ok(Outcome::Removed),
                Err(error) if read::is_absence(&error) => Ok(Outcome::Absent),
                Err(error) => Err(Error::io("remove", target, error)),
            },
            Act::Quarantine => self.quarantine(disk, place, target),
        }
    }

    fn create(
        &self,
        disk: &Disk,
        place: &Place,
        mut scratch: Scratch,
        object: Object,
    ) -> Result<Created, Error> {
        let target = disk.root.join(&place.name);
        for _try in 0..MAX_TRIES {
            match self.in_folder(disk, &target, || rename_to_free(scratch.path(), &target)) {
                Ok(()) => {
                    scratch.mark_published();
                    return Ok(Created::New(object));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("publish", target, error)),
            }
            if let Some(object) = read::object(&disk.root, place, None)? {
                return Ok(Created::Exists(object));
            }
        }
        // Taken, yet not readable as a file: a folder, or somebody plays with the name.
        Err(Error::io("publish", target, io::ErrorKind::AlreadyExists))
    }

    fn rename_over(&self, disk: &Disk, target: &Path, mut scratch: Scratch) -> Result<(), Error> {
        self.in_folder(disk, target, || fs::rename(scratch.path(), target))
            .map_err(|error| Error::io("replace", target, error))?;
        scratch.mark_published();
        Ok(())
    }

    fn quarantine(&self, disk: &Disk, place: &Place, target: &Path) -> Result<Outcome, Error> {
        if fs::symlink_metadata(target).is_err_and(|error| read::is_absence(&error)) {
            return Ok(Outcome::Absent);
        }
        for number in 1..=MAX_QUARANTINED {
            // A folder per number: the file keeps its name, which may be as long as names get.
            let name = format!("damaged/{number}/{}", place.name);
            let moved = disk.root.join("evidence").join(&name);
            match self.in_folder(disk, &moved, || rename_to_free(target, &moved)) {
                Ok(()) => return Ok(Outcome::Moved(name)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if read::is_absence(&error) => return Ok(Outcome::Absent),
                Err(error) => return Err(Error::io("quarantine", target, error)),
            }
        }
        Err(Error::io("quarantine", target, io::ErrorKind::AlreadyExists))
    }

    /// Runs `work` on a name, making its folder when that is missing.
    fn in_folder(
        &self,
        disk: &Disk,
        target: &Path,
        work: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(folder) = target.parent() else { return Err(error) };
                fs::create_dir_all(folder)?;
                // Removed by hand and made again: no longer known to be durable.
                let mut known = self.known();
                for made in within(&disk.root, folder) {
                    known.forget(made);
                }
                drop(known);
                work()
            }
            result => result,
        }
    }

    /// Adds the folders whose entries the change of `target` needs: its own, and above it each one
    /// whose subfolder is not known to be durable, be it made now or before a crash.
    fn add_unsynced(&self, disk: &Disk, target: &Path, folders: &mut BTreeSet<PathBuf>) {
        let Some(own) = target.parent() else { return };
        folders.insert(own.to_owned());
        let known = self.known();
        for folder in within(&disk.root, own) {
            if known.contains(folder) {
                break;
            }
            folders.extend(folder.parent().map(Path::to_owned));
        }
    }

    /// Syncs the folders; returns the ones that failed. `forgotten` was counted when names had changed.
    fn sync(
        &self,
        disk: &Disk,
        folders: &BTreeSet<PathBuf>,
        forgotten: u64,
    ) -> HashMap<PathBuf, Error> {
        if folders.is_empty() {
            return HashMap::new();
        }
        let all: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        let failed = sync_each(&all);
        disk.metrics.sync_batches.inc();
        disk.metrics.synced_folders.inc_by(folders.len() as u64);
        let mut known = self.known();
        // A folder is durable once its parent is synced, as this group did for each of them; but
        // one that was made again meanwhile is another group's.
        if failed.is_empty() && known.forgotten == forgotten {
            known.add(&all);
        }
        failed
    }
}

/// Lists `folder` and the folders above it, without `root`.
fn within<'a>(root: &'a Path, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
    folder.ancestors().take_while(move |above| *above != root && above.starts_with(root))
}

fn sync_each(folders: &[&Path]) -> HashMap<PathBuf, Error> {
    let sync = |folder: &Path| match File::open(folder).and_then(|open| open.sync_all()) {
        // Removed by hand meanwhile: nothing is left to keep.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some((folder.to_owned(), Error::io("sync", folder, error)))
        }
        _ => None,
    };
    folders.iter().filter_map(|folder| sync(folder)).collect()
}

/// Renames, unless `to` exists (`AlreadyExists`).
#[cfg(target_os = "linux")]
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Older kernels and some file systems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_to_free(from, to),
        result => result.map_err(io::Error::from),
    }
}

#[cfg(not(target_os = "linux"))]
use link_to_free as rename_to_free;

/// The portable way: a second name, then the first one goes. A kill in between leaves a scratch
/// name of a published file, which the next start removes.
fn link_to_free(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename_keeps_what_is_there(rename: fn(&Path, &Path) -> io::Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "first").unwrap();
        rename(&from, &to).unwrap();
        assert!(!from.exists());
        fs::write(&from, "second").unwrap();
        assert_eq!(rename(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"first");
        assert!(from.exists());
    }

    #[test]
    fn a_rename_never_replaces() {
        rename_keeps_what_is_there(rename_to_free);
    }

    #[test]
    fn the_portable_rename_never_replaces() {
        rename_keeps_what_is_there(link_to_free);
    }

    #[test]
    fn folders_within_the_root_end_before_it() {
        let got: Vec<_> = within(Path::new("/d"), Path::new("/d/a/b")).collect();
        assert_eq!(got, [Path::new("/d/a/b"), Path::new("/d/a")]);
    }
}
