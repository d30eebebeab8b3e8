//! Room on the disk: how much a run may write, and what must stay free beside it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// What a run writes to.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) folder: PathBuf,
    /// Bytes by which the folder may grow.
    pub(crate) growth: u64,
    /// Bytes that stay free on its disk for everybody else.
    pub(crate) min_free: u64,
}

/// Less is free than must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) free: u64,
    pub(crate) min: u64,
}

/// The store's own words for the same trouble.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { free, min } = self;
        write!(f, "{free} bytes are free on the disk, store.min_free is {min}")
    }
}

impl Disk {
    /// Whether enough is free. A disk that cannot be asked will say so at the write.
    pub(crate) async fn has_room(&self) -> Result<(), Shortage> {
        let (folder, min) = (self.folder.clone(), self.min_free);
        if min == 0 {
            return Ok(());
        }
        let free = tokio::task::spawn_blocking(move || free(&folder)).await;
        match free {
            Ok(Ok(free)) if free < min => Err(Shortage { free, min }),
            _ => Ok(()),
        }
    }
}

/// Bytes that a process without privileges may still write. Blocking.
fn free(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::{Disk, Shortage, free};

    #[tokio::test]
    async fn less_than_the_floor_is_a_shortage_and_as_much_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let disk = |min_free| Disk { folder: folder.path().to_owned(), growth: 1, min_free };
        assert_eq!(disk(0).has_room().await, Ok(()));
        assert!(free(folder.path()).unwrap() > 1);
        assert_eq!(disk(1).has_room().await, Ok(()));
        let short = disk(u64::MAX).has_room().await.unwrap_err();
        assert!(short.free > 0 && short.min == u64::MAX, "{short:?}");
        assert_eq!(
            Shortage { free: 4, min: 5 }.to_string(),
            "4 bytes are free on the disk, store.min_free is 5"
        );
        let nowhere = Disk { folder: folder.path().join("nowhere"), ..disk(5) };
        assert_eq!(nowhere.has_room().await, Ok(()), "the write will say it");
    }
}
