//! Files that have no name of their own yet.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Disk;
use crate::Error;

/// One file in `scratch/`. Dropped before it was published: removed.
///
/// After a kill it stays behind, until the folder is opened again.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    file: Arc<File>,
    len: u64,
    synced: bool,
    published: bool,
}

impl Scratch {
    /// Makes an empty scratch file. Blocks.
    pub(crate) fn make(disk: &Disk) -> Result<Self, Error> {
        let path = disk.next_scratch_path();
        let open = || OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let made = open().or_else(|error| match (error.kind(), path.parent()) {
            // The folder itself was removed by hand.
            (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir(folder).and_then(|()| open()),
            _ => Err(error),
        });
        let file = made.map_err(|error| Error::io("make scratch file", &path, error))?;
        Ok(Self { path, file: Arc::new(file), len: 0, synced: false, published: false })
    }

    /// Makes a scratch file that holds `body`. Blocks.
    pub(crate) fn holding(disk: &Disk, body: &[u8]) -> Result<Self, Error> {
        let mut scratch = Self::make(disk)?;
        scratch.append(body)?;
        Ok(scratch)
    }

    /// Writes behind the end, by position: readers share the handle and its cursor. Blocks.
    pub(crate) fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(piece, self.len)
            .map_err(|error| Error::io("write", &self.path, error))?;
        self.len += piece.len() as u64;
        self.synced = false;
        Ok(())
    }

    /// Makes the bytes durable; the name is not, and need not be. Blocks.
    ///
    /// After a failure the kernel may have dropped the dirty pages, so there is no second try:
    /// the publication fails and the file is removed.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if !self.synced {
            self.file.sync_all().map_err(|error| Error::io("sync", &self.path, error))?;
            self.synced = true;
        }
        Ok(())
    }

    /// Reads the whole body. Blocks.
    pub(crate) fn body(&self) -> Result<Vec<u8>, Error> {
        let mut body = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        let read = self.file.read_exact_at(&mut body, 0);
        read.map_err(|error| Error::io("read", &self.path, error)).map(|()| body)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Says that the scratch name is gone: the file has its final one.
    pub(crate) fn mark_published(&mut self) {
        self.published = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is removed when the folder is opened next.
            let _left_for_next_start = fs::remove_file(&self.path);
        }
    }
}
