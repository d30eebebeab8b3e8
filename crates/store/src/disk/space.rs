//! Room on the disk: whether anything new may be written.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::StatVfsMountFlags;

use crate::Degraded;

/// How long an answer about the disk holds.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the disk at most once a second, and remembers refusals for as long.
#[derive(Debug)]
pub(crate) struct Space {
    folder: PathBuf,
    min_free: u64,
    /// Opened without a lock, because nothing could be written: so it stays until the next start.
    read_only: bool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    degraded: Option<Degraded>,
}

impl Space {
    pub(crate) fn new(folder: &Path, min_free: u64, read_only: bool) -> Self {
        Self { folder: folder.to_owned(), min_free, read_only, seen: Mutex::default() }
    }

    /// Returns why nothing new may be written now. One `statvfs` a second at most.
    pub(crate) fn look(&self) -> Option<Degraded> {
        if self.read_only {
            return Some(Degraded::ReadOnly);
        }
        let lock = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().at.is_none_or(|at| at.elapsed() >= CHECK_EVERY) {
            // Not under the lock: a disk that does not answer must not stop those who only read.
            let degraded = self.ask();
            *lock() = Seen { at: Some(Instant::now()), degraded };
        }
        lock().degraded.clone()
    }

    /// Returns what the last look found, without looking: never waits for the disk.
    pub(crate) fn known(&self) -> Option<Degraded> {
        if self.read_only {
            return Some(Degraded::ReadOnly);
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).degraded.clone()
    }

    /// Remembers that the system refused a write. The next look decides anew, so a quota that
    /// `statvfs` does not know costs one failed try a second.
    pub(crate) fn refused(&self, why: &Degraded) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { at: Some(Instant::now()), degraded: Some(why.clone()) };
    }

    fn ask(&self) -> Option<Degraded> {
        // A disk that cannot be asked will say so at the write.
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Some(Degraded::ReadOnly);
        }
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        // File systems without a table of files say 0 of 0.
        if free == 0 || (disk.f_files > 0 && disk.f_favail == 0) {
            return Some(Degraded::Full);
        }
        let min = self.min_free;
        (free < min).then_some(Degraded::BelowMinFree { free, min })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_min_free_stops_and_enough_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Space::new(folder.path(), 0, false).look(), None);
        let degraded = Space::new(folder.path(), u64::MAX, false).look();
        assert!(
            matches!(degraded, Some(Degraded::BelowMinFree { free, min: u64::MAX }) if free > 0),
            "{degraded:?}"
        );
    }

    #[test]
    fn a_refusal_is_remembered_until_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::new(folder.path(), 0, false);
        space.refused(&Degraded::Full);
        assert_eq!(space.known(), Some(Degraded::Full));
        assert_eq!(space.look(), Some(Degraded::Full));
        space.seen.lock().unwrap().at = Instant::now().checked_sub(CHECK_EVERY);
        assert_eq!(space.look(), None);
    }

    #[test]
    fn a_folder_opened_without_a_lock_stays_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::new(folder.path(), 0, true);
        assert_eq!(
            [space.known(), space.look()],
            [Some(Degraded::ReadOnly), Some(Degraded::ReadOnly)]
        );
    }
}
