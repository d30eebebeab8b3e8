//! What clients, auditors and witnesses ask for. Nobody here waits for the sequencer.

use std::sync::Arc;

use bytes::Bytes;
use gomod::ModVer;
use tlog::{Bundle, Consistency, Inclusion, Proven, Question, Tile, TileLevel, TlogProof};
use tlog::{pack_entries, split_data_tile};

use super::{OwnError, OwnLog, View};

impl OwnLog {
    /// Answers a client's look-up, under a head that covers the record; `None`: not recorded.
    ///
    /// # Errors
    ///
    /// [`OwnError::Erased`]; [`OwnError::Unavailable`] when the database does not answer.
    pub async fn lookup(&self, module: &ModVer) -> Result<Option<Bytes>, OwnError> {
        // The record first: a head that is taken afterwards covers it.
        let Some(logged) = self.record(module).await? else { return Ok(None) };
        let view = self.inner.view();
        let answer = format!("{}\n{}\n{}", logged.id, logged.record.text(), view.head.message());
        Ok(Some(answer.into()))
    }

    /// Returns a tile of hashes or records at any width that the newest tree, or an older one, has.
    ///
    /// A partial tile of an older tree is the beginning of what stands there now. `None`: no
    /// published tree has it.
    ///
    /// # Errors
    ///
    /// [`OwnError::Erased`] for a tile of records that would hold an erased one;
    /// [`OwnError::Unavailable`] when the store does not answer.
    pub async fn tile(&self, tile: Tile) -> Result<Option<Bytes>, OwnError> {
        let view = self.inner.view();
        if !tile.exists_in(view.head.size()) {
            return Ok(None);
        }
        if tile.is_data() {
            return self.inner.records(&view.edge, tile).await;
        }
        self.inner.tile(&view.edge, tile).await
    }

    /// Returns a tile of records as C2SP tlog-tiles frames them; `None`: no published tree has it.
    ///
    /// # Errors
    ///
    /// Those of [`tile`](Self::tile); [`OwnError::Damaged`] when the store holds something else.
    pub async fn entries(&self, index: u64, width: u16) -> Result<Option<Bytes>, OwnError> {
        let data = self.tile(Tile { level: TileLevel::Data, index, width }).await?;
        let Some(data) = data else { return Ok(None) };
        let damaged = |error| self.inner.damaged(&error);
        let texts = split_data_tile(&data, width).map_err(damaged)?;
        Ok(Some(pack_entries(&texts).map_err(damaged)?.into()))
    }

    /// Proves a record under the newest head; the bundle needs nobody to be checked.
    ///
    /// # Errors
    ///
    /// [`OwnError::Erased`]; [`OwnError::Unavailable`] when database or store do not answer,
    /// [`OwnError::Damaged`] when the tiles do not prove it.
    pub async fn prove(&self, module: &ModVer) -> Result<Option<(Proven, Bundle)>, OwnError> {
        let Some((proven, inclusion, view)) = self.proven(module).await? else { return Ok(None) };
        let damaged = |error| self.inner.damaged(&error);
        let bundle = Bundle::new(&proven, &inclusion, &view.head).map_err(damaged)?;
        Ok(Some((proven, bundle)))
    }

    /// Proves a record under the newest checkpoint, as C2SP tlog-proof has it.
    ///
    /// # Errors
    ///
    /// Those of [`prove`](Self::prove).
    pub async fn tlog_proof(&self, module: &ModVer) -> Result<Option<TlogProof>, OwnError> {
        let Some((proven, inclusion, view)) = self.proven(module).await? else { return Ok(None) };
        let proof = TlogProof::new(&proven, &inclusion, &view.checkpoint);
        proof.map(Some).map_err(|error| self.inner.damaged(&error))
    }

    async fn proven(
        &self,
        module: &ModVer,
    ) -> Result<Option<(Proven, Inclusion, Arc<View>)>, OwnError> {
        let Some(logged) = self.record(module).await? else { return Ok(None) };
        let view = self.inner.view();
        let (head, question) = (view.head.head(), [Question::Leaf(logged.id)]);
        let reading = self.inner.reading(head, &view.edge, &[], &question).await?;
        let damaged = |error| self.inner.damaged(&error);
        let proven = reading.prove(logged.id, logged.record).map_err(damaged)?;
        let inclusion = reading.inclusion(logged.id).map_err(damaged)?;
        Ok(Some((proven, inclusion, view)))
    }

    /// Proves that the newest tree begins with the one of an older size; `None`: there is no such.
    ///
    /// # Errors
    ///
    /// Those of [`prove`](Self::prove).
    pub async fn extends(&self, older: u64) -> Result<Option<Consistency>, OwnError> {
        let view = self.inner.view();
        if older > view.head.size() {
            return Ok(None);
        }
        let question = [Question::Tree(older)];
        let reading = self.inner.reading(view.head.head(), &view.edge, &[], &question).await?;
        reading.consistency(older).map(Some).map_err(|error| self.inner.damaged(&error))
    }
}
