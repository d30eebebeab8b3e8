//! The log's files in the store: the one place that writes them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use store::{Created, Key, OwnFile, Store, Tag};
use tlog::{HASH_BYTES, LogName, MAX_RECORD_BYTES, Tile, TileLevel, split_data_tile};

use super::OwnError;
use super::edge::{Edge, FULL, NewFile, width};

/// The most bytes of a file: 256 records, each framed by two bytes at most.
pub(super) const MAX_FILE_BYTES: u64 = 256 * (MAX_RECORD_BYTES as u64 + 2);

/// The files of one log.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) store: Store,
    pub(super) name: LogName,
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

    /// Writes tiles, all at once; durable on return. One that is there must have the same bytes.
    pub(super) async fn keep(&self, files: &[NewFile]) -> Result<(), Trouble> {
        let each = files.iter().map(|(file, bytes)| self.keep_one(*file, bytes));
        try_join_all(each).await.map(drop)
    }

    #[expect(clippy::disallowed_methods, reason = "the one function that makes the log's tiles")]
    async fn keep_one(&self, file: OwnFile, bytes: &Bytes) -> Result<(), Trouble> {
        let failed = |error| OwnError::store(&error);
        let mut staged = self.store.stage().await.map_err(failed)?;
        staged.write(bytes.clone()).await.map_err(failed)?;
        let key = Key::Own(&self.name, file);
        match self.store.create(&key, staged).await.map_err(failed)? {
            Created::New(_) => Ok(()),
            Created::Exists(object)
                if object.bytes(MAX_FILE_BYTES).await.map_err(failed)? == *bytes =>
            {
                Ok(())
            }
            Created::Exists(_) => {
                Err(Trouble::Contradiction(format!("{key} holds another part of a tree")))
            }
        }
    }

    /// Writes what a crash, or a restored backup, left out; what is there must have the same bytes.
    pub(super) async fn mend(&self, files: &[NewFile]) -> Result<usize, Trouble> {
        let mut missing = Vec::new();
        for (file, bytes) in files {
            match self.read(*file).await? {
                Some(found) if found == *bytes => {}
                Some(_) => {
                    let key = Key::Own(&self.name, *file);
                    let found = format!("{key} holds another part of a tree");
                    return Err(Trouble::Contradiction(found));
                }
                None => missing.push((*file, bytes.clone())),
            }
        }
        self.keep(&missing).await?;
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
        let mut texts = Vec::new();
        if data.width > 0 {
            let Some(bytes) = self.tile(data).await? else { return Ok(None) };
            let Ok(split) = split_data_tile(&bytes, data.width) else { return Ok(None) };
            texts = split.into_iter().map(Arc::from).collect();
        }
        Ok(Edge::from_parts(size, levels, texts))
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
