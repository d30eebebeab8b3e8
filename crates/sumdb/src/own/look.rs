//! Reading the tree: tiles from the edge, from memory, from the store.

use bytes::Bytes;
use store::OwnFile;
use tlog::{Plan, Question, Reading, Tile, TreeHead};

use super::edge::{self, Edge, FULL, NewFile};
use super::entry::{Withheld, texts};
use super::files::cut;
use super::{Inner, OwnError};

impl Inner {
    /// Reads a tile of the tree that the edge is the edge of; the tree has it.
    pub(super) async fn tile(&self, edge: &Edge, tile: Tile) -> Result<Option<Bytes>, OwnError> {
        match edge.tile(&tile) {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.full(tile).await?.and_then(|full| cut(&full, &tile))),
        }
    }

    /// Reads a tile of records that the tree has; one that would hold an erased record is withheld,
    /// wherever its text may still lie.
    pub(super) async fn records(&self, edge: &Edge, tile: Tile) -> Result<Option<Bytes>, OwnError> {
        let withheld = || Err(OwnError::erased(Withheld::Tile(tile)));
        if self.files.erased.in_tile(&tile) {
            return withheld();
        }
        if let Some(bytes) = self.tile(edge, tile).await? {
            return Ok(Some(bytes));
        }
        // Behind its end a record was erased, so there is no wider file that it is cut from.
        let stays = self.files.redacted(tile.index).await?.unwrap_or_default();
        match stays.get(..usize::from(tile.width)).map(texts) {
            Some(Some(texts)) => Ok(Some(edge::data(&texts))),
            Some(None) => withheld(),
            None => Ok(None),
        }
    }

    /// Reads the full tile that a tile is the beginning of.
    async fn full(&self, tile: Tile) -> Result<Option<Bytes>, OwnError> {
        let place = (tile.level, tile.index);
        if let Some(bytes) = self.tiles.get(&place) {
            return Ok(Some(bytes));
        }
        let bytes = self.files.read(OwnFile::Tile(Tile { width: FULL, ..tile })).await?;
        // Tiles of records are ten times as large, and nobody but auditors asks for them.
        if let Some(bytes) = bytes.as_ref().filter(|_bytes| !tile.is_data()) {
            self.tiles.insert(place, bytes.clone());
        }
        Ok(bytes)
    }

    /// Answers questions about the tree of a head from tiles, none of which is believed.
    ///
    /// `fresh` are tiles that are not in the store yet.
    pub(super) async fn reading(
        &self,
        head: &TreeHead,
        edge: &Edge,
        fresh: &[NewFile],
        questions: &[Question],
    ) -> Result<Reading, OwnError> {
        let plan = Plan::new(head, questions).map_err(|error| self.damaged(&error))?;
        let mut tiles = Vec::with_capacity(plan.tiles().len());
        for tile in plan.tiles() {
            let is_fresh = |file: &&NewFile| file.0 == OwnFile::Tile(*tile);
            let bytes = match fresh.iter().find(is_fresh) {
                Some((_file, bytes)) => Some(bytes.clone()),
                None => self.tile(edge, *tile).await?,
            };
            let missing = || self.is_damaged(format!("{tile} is missing"));
            tiles.push(bytes.ok_or_else(missing)?);
        }
        plan.verify(&tiles).map_err(|error| self.damaged(&error))
    }

    pub(super) fn damaged(&self, error: &tlog::Error) -> OwnError {
        self.is_damaged(error.to_string())
    }

    pub(super) fn is_damaged(&self, reason: String) -> OwnError {
        OwnError::Damaged { log: self.verifier.name().clone(), reason }
    }
}
