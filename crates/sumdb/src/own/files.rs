//! The log's files in the store: the one place that writes them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use store::{Created, Key, OwnFile, Staged, Store, Tag};
use tlog::{HASH_BYTES, LogName, MAX_RECORD_BYTES, Tile, TileLevel, split_data_tile};

use super::OwnError;
use super::edge::{Edge, FULL, NewFile, width};
use super::entry::{Entry, Erased};

/// The most bytes of a file: 256 records, each framed by two bytes at most.
pub(super) const MAX_FILE_BYTES: u64 = 256 * (MAX_RECORD_BYTES as u64 + 2);

/// The files of one log.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) store: Store,
    pub(super) name: LogName,
    /// Records whose text is withheld, wherever it may still lie.
    pub(super) erased: Erased,
}

/// A file whose bytes are durable, but which has no name yet. Dropped: it goes away.
#[derive(Debug)]
pub(super) struct Prepared {
    file: OwnFile,
    bytes: Bytes,
    staged: Staged,
}

/// What came of writing files.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Going on could fork the log.
    Contradiction(String),
    /// Database, store and key do not belong together. Seen before anything was changed, so it is
    /// not written down: with the right backup in place the next start goes on.
    Mismatch(String),
    /// Another sequencer writes the log now.
    Superseded,
    /// It may work later.
    Unavailable(OwnError),
}

impl From<OwnError> for Trouble {
    fn from(error: OwnError) -> Self {
        Self::Unavailable(error)
    }
}

impl Files {
    /// Reads a file; `None`: there is none.
    pub(super) async fn read(&self, file: OwnFile) -> Result<Option<Bytes>, OwnError> {
        Ok(self.read_tagged(file).await?.map(|(bytes, _tag)| bytes))
    }

    /// Reads a file with what names its content.
    pub(super) async fn read_tagged(
        &self,
        file: OwnFile,
    ) -> Result<Option<(Bytes, Tag)>, OwnError> {
        let failed = |error| OwnError::store(&error);
        let key = Key::Own(&self.name, file);
        let Some(object) = self.store.open(&key, None).await.map_err(failed)? else {
            return Ok(None);
        };
        let bytes = object.bytes(MAX_FILE_BYTES).await.map_err(failed)?;
        Ok(Some((bytes, object.tag)))
    }

    /// Makes the bytes of files durable, all at once. Nobody sees them before they have their names.
    pub(super) async fn prepare(&self, files: &[NewFile]) -> Result<Vec<Prepared>, OwnError> {
        try_join_all(files.iter().map(|(file, bytes)| self.prepare_one(*file, bytes.clone()))).await
    }

    pub(super) async fn prepare_one(
        &self,
        file: OwnFile,
        bytes: Bytes,
    ) -> Result<Prepared, OwnError> {
        let failed = |error| OwnError::store(&error);
        let mut staged = self.store.stage().await.map_err(failed)?;
        staged.write(bytes.clone()).await.map_err(failed)?;
        staged.sync().await.map_err(failed)?;
        Ok(Prepared { file, bytes, staged })
    }

    /// Gives tiles their names, all at once; durable on return. One that is there must have the same
    /// bytes.
    pub(super) async fn keep(&self, files: Vec<Prepared>) -> Result<(), Trouble> {
        try_join_all(files.into_iter().map(|file| self.keep_one(file))).await.map(drop)
    }

    #[expect(clippy::disallowed_methods, reason = "the one function that makes the log's tiles")]
    async fn keep_one(&self, file: Prepared) -> Result<(), Trouble> {
        if let OwnFile::Redacted(index) = file.file {
            return self.keep_redacted(index, &file.bytes).await;
        }
        let failed = |error| OwnError::store(&error);
        let key = Key::Own(&self.name, file.file);
        match self.store.create(&key, file.staged).await.map_err(failed)? {
            Created::New(_) => Ok(()),
            Created::Exists(object)
                if object.bytes(MAX_FILE_BYTES).await.map_err(failed)? == file.bytes =>
            {
                Ok(())
            }
            Created::Exists(_) => {
                Err(Trouble::Contradiction(format!("{key} holds another part of a tree")))
            }
        }
    }

    /// Writes what a crash, or a restored backup, left out, and what is there with other bytes; that
    /// goes to the evidence. Only for a tree that was held against all heads.
    pub(super) async fn mend(&self, files: &[NewFile]) -> Result<usize, Trouble> {
        let mut missing = Vec::new();
        for (file, bytes) in files {
            match self.read(*file).await {
                Ok(Some(found)) if found == *bytes => continue,
                // Grown, or another record was erased since: judged when it is written.
                Ok(Some(_)) if let OwnFile::Redacted(index) = file => {
                    self.keep_redacted(*index, bytes).await?;
                    continue;
                }
                Ok(None) => {}
                Ok(Some(_)) | Err(OwnError::Damaged { .. }) => {
                    let key = Key::Own(&self.name, *file);
                    let moved = self.store.quarantine(&key).await;
                    let moved = moved.map_err(|error| OwnError::store(&error))?;
                    tracing::warn!("{key} was not of the tree: it is in evidence/{moved:?} now");
                }
                Err(error) => return Err(error.into()),
            }
            missing.push((*file, bytes.clone()));
        }
        self.keep(self.prepare(&missing).await?).await?;
        Ok(missing.len())
    }

    /// Sets a file that changes, if its content is still the expected one; durable on return.
    #[expect(clippy::disallowed_methods, reason = "the one function that sets the log's heads")]
    pub(super) async fn replace(
        &self,
        file: OwnFile,
        bytes: Bytes,
        expected: Option<&Tag>,
    ) -> Result<Tag, OwnError> {
        let key = Key::Own(&self.name, file);
        let replaced = self.store.replace(&key, bytes, expected).await;
        replaced.map_err(|error| OwnError::store(&error))
    }

    /// Sets a file that changes as [`replace`](Self::replace) does, to bytes that are durable.
    #[expect(clippy::disallowed_methods, reason = "the one function that sets what was prepared")]
    pub(super) async fn replace_prepared(
        &self,
        file: Prepared,
        expected: &Tag,
    ) -> Result<Tag, OwnError> {
        let key = Key::Own(&self.name, file.file);
        let replaced = self.store.replace_staged(&key, file.staged, Some(expected)).await;
        replaced.map_err(|error| OwnError::store(&error))
    }

    /// Takes away tiles that wider ones made superfluous. What cannot be taken away stays.
    pub(super) async fn forget(&self, files: &[OwnFile]) {
        for file in files {
            if let Err(error) = self.store.remove(&Key::Own(&self.name, *file)).await {
                tracing::debug!(%error, "a superfluous tile of {} stays", self.name);
            }
        }
    }

    /// Reads a tile of a tree that has it: the file of its width, or the beginning of the full one.
    pub(super) async fn tile(&self, tile: Tile) -> Result<Option<Bytes>, OwnError> {
        if let Some(bytes) = self.read(OwnFile::Tile(tile)).await? {
            return Ok(Some(bytes));
        }
        let full = OwnFile::Tile(Tile { width: FULL, ..tile });
        let bytes = if tile.is_full() { None } else { self.read(full).await? };
        Ok(bytes.and_then(|bytes| cut(&bytes, &tile)))
    }

    /// Reads the edge of a tree; `None` when a tile of it is missing or not as it should be.
    pub(super) async fn edge(&self, size: u64) -> Result<Option<Edge>, OwnError> {
        let mut levels: [Vec<[u8; HASH_BYTES]>; 8] = Default::default();
        for (level, entries) in (0..).zip(&mut levels) {
            let width = width(size, level);
            if width > 0 {
                let index = size >> (8 * u32::from(level)) >> 8;
                let tile = Tile { level: TileLevel::Hashes(level), index, width };
                let Some(bytes) = self.tile(tile).await? else { return Ok(None) };
                *entries = bytes.as_chunks().0.to_vec();
            }
        }
        let data = Tile { level: TileLevel::Data, index: size >> 8, width: width(size, 0) };
        let Some(mut records) = self.records(data).await? else { return Ok(None) };
        for (id, record) in ((data.index << 8)..).zip(&mut records) {
            // A crash may have left the text in a file.
            if let Some(gone) = self.erased.at(id) {
                *record = Entry::Erased(Arc::clone(gone));
            }
        }
        Ok(Edge::from_parts(size, levels, records))
    }

    /// The records of a tile; `None` when it is missing or not as it should be.
    async fn records(&self, data: Tile) -> Result<Option<Vec<Entry>>, OwnError> {
        if data.width == 0 {
            return Ok(Some(Vec::new()));
        }
        if let Some(bytes) = self.tile(data).await? {
            let Ok(texts) = split_data_tile(&bytes, data.width) else { return Ok(None) };
            return Ok(Some(texts.into_iter().map(|text| Entry::Text(text.into())).collect()));
        }
        let stays = self.redacted(data.index).await?;
        Ok(stays.and_then(|stays| stays.get(..usize::from(data.width)).map(<[Entry]>::to_vec)))
    }
}

/// Cuts a full tile to a width.
pub(super) fn cut(full: &Bytes, tile: &Tile) -> Option<Bytes> {
    if let Some(len) = tile.hash_bytes() {
        return (full.len() >= len).then(|| full.slice(..len));
    }
    let records = split_data_tile(full, FULL).ok()?;
    let records = records.get(..usize::from(tile.width))?;
    let bytes: usize = records.iter().map(|text| text.len() + 1).sum();
    Some(full.slice(..bytes))
}
