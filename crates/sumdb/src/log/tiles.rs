//! Tiles: from memory, the store or the database, and kept only when a signed head authenticates them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use gomod::SumdbRequest;
use store::{Key, Tag};
use tlog::{AuthenticTile, HASH_BYTES, Plan, Question, Reading, Tile, TileLevel, TreeHead};

use super::Log;
use crate::{
    Asking, Error,
    metrics::{Asked, Incident},
    single::Joined,
};

/// The most bytes of a data tile: 256 records of 8 KiB. Real ones stay below 64 KiB.
pub(crate) const MAX_DATA_TILE_BYTES: u64 = 2 << 20;
/// Hashes in a full tile.
const FULL_WIDTH: u16 = 256;
/// Other writers of one tile that are yielded to before keeping it is given up.
const MAX_YIELDS: usize = 4;

/// What tiles say, authenticated by a head that is signed but perhaps not ours yet.
pub(super) struct Read {
    pub(super) reading: Reading,
    /// Where each tile came from, in the order of the plan.
    from: Vec<From>,
    /// Held until the tiles are in memory, so that nobody fetches them again meanwhile.
    _fetched: Vec<Joined<Bytes>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Memory,
    Store,
    Network,
}

/// A tile as it was found, unverified.
struct Piece {
    bytes: Bytes,
    from: From,
    fetched: Option<Joined<Bytes>>,
}

impl Log {
    /// Reads a tree: plans, finds the tiles, verifies them. Nothing is kept.
    ///
    /// `None`: what is stored does not answer, and nobody may be asked.
    pub(super) async fn read(
        self: &Arc<Self>,
        head: &TreeHead,
        questions: &[Question],
        asking: Asking,
    ) -> Result<Option<Read>, Error> {
        let plan = Plan::new(head, questions)
            .map_err(|error| Error::Malformed { reason: error.to_string() })?;
        let Some(pieces) = self.pieces(plan.tiles(), asking).await? else { return Ok(None) };
        let first = match verified(&plan, pieces) {
            Ok(read) => return Ok(Some(read)),
            Err(failed) => failed,
        };
        // What is stored may be torn by a power cut, or of a tree that was never advanced to.
        if asking == Asking::Stored {
            return Ok(None);
        }
        if first.local {
            let anew = plan.tiles().iter().map(async |tile| {
                let bytes = self.fetch(*tile).await?;
                Ok(Piece { bytes, from: From::Network, fetched: None })
            });
            let pieces = join_all(anew).await.into_iter().collect::<Result<_, _>>()?;
            match verified(&plan, pieces) {
                Ok(read) => return Ok(Some(read)),
                Err(failed) => return Err(self.forged(&failed.error)),
            }
        }
        Err(self.forged(&first.error))
    }

    fn forged(&self, error: &tlog::Error) -> Error {
        self.incident(Incident::Forged, &error.to_string());
        let database = self.name.to_string();
        Error::Misbehaved { database, reason: error.to_string(), evidence: None }
    }

    /// All tiles, those that are not here fetched at the same time.
    async fn pieces(
        self: &Arc<Self>,
        tiles: &[Tile],
        asking: Asking,
    ) -> Result<Option<Vec<Piece>>, Error> {
        let mut local = Vec::with_capacity(tiles.len());
        for tile in tiles {
            local.push(self.local(tile).await);
        }
        if asking == Asking::Stored && local.iter().any(Option::is_none) {
            return Ok(None);
        }
        let each = tiles.iter().zip(local).map(async |(tile, local)| match local {
            Some(piece) => Ok(piece),
            None => self.fetched(*tile).await,
        });
        join_all(each).await.into_iter().collect::<Result<_, _>>().map(Some)
    }

    async fn local(&self, tile: &Tile) -> Option<Piece> {
        if let Some(bytes) = self.memory.tile(tile) {
            return Some(Piece { bytes, from: From::Memory, fetched: None });
        }
        let (held, _tag) = self.stored_tile(tile).await?;
        let len = tile.hash_bytes().filter(|len| held.len() >= *len)?;
        Some(Piece { bytes: held.slice(..len), from: From::Store, fetched: None })
    }

    /// What the store has under the tile's name, at whatever width.
    pub(super) async fn stored_tile(&self, tile: &Tile) -> Option<(Bytes, Tag)> {
        let key = Key::Tile(&self.name, *tile);
        // A store that cannot be read is a miss: the database will do.
        let object = self.store.open(&key, None).await.ok()??;
        let bytes = object.bytes(MAX_DATA_TILE_BYTES).await.ok()?;
        Some((bytes, object.tag))
    }

    async fn fetched(self: &Arc<Self>, tile: Tile) -> Result<Piece, Error> {
        let joined = self.fetching.join(tile, || {
            let log = Arc::clone(self);
            // Whoever fetched it has let go of it: it was verified, and is in memory, since we looked.
            Box::pin(async move {
                let held = log.memory.tile(&tile);
                if let Some(held) = held { Ok(held) } else { log.fetch(tile).await }
            })
        });
        let bytes = joined.clone().await?;
        Ok(Piece { bytes, from: From::Network, fetched: Some(joined) })
    }

    /// Asks for a tile of hashes. A partial one may have vanished because the full one exists.
    async fn fetch(&self, tile: Tile) -> Result<Bytes, Error> {
        match self.fetch_exactly(tile).await {
            Err(Error::NotFound { .. }) if !tile.is_full() => {
                let full = Tile { width: FULL_WIDTH, ..tile };
                let bytes =
                    self.fetch_exactly(full).await.map_err(|error| self.lacks(&tile, error))?;
                Ok(bytes.slice(..usize::from(tile.width) * HASH_BYTES))
            }
            other => other.map_err(|error| self.lacks(&tile, error)),
        }
    }

    /// A signed head promises the tile: who does not have it lags behind, and is no authority on
    /// what is not recorded.
    fn lacks(&self, tile: &Tile, error: Error) -> Error {
        let Error::NotFound { status, .. } = error else { return error };
        Error::Unavailable {
            source_name: self.name.as_str().into(),
            timeout: false,
            reason: format!("it answered {status} for {tile}, which its tree has"),
            retry_after: None,
        }
    }

    async fn fetch_exactly(&self, tile: Tile) -> Result<Bytes, Error> {
        let expected = usize::from(tile.width) * HASH_BYTES;
        let (bytes, source_name) = self.fetch_any(tile, expected as u64).await?;
        if bytes.len() != expected {
            let reason = format!("{tile} has {} bytes, not {expected}", bytes.len());
            return Err(Error::Invalid { source_name, reason });
        }
        Ok(bytes)
    }

    /// Asks for a tile of any kind; its form is not checked.
    pub(super) async fn fetch_any(
        &self,
        tile: Tile,
        max_bytes: u64,
    ) -> Result<(Bytes, Arc<str>), Error> {
        self.must_be_believed()?;
        let asked = self.ask(&SumdbRequest::Tile(tile.path()), max_bytes).await;
        self.metrics.tile_fetched(match &asked {
            Ok(_) => Asked::Found,
            Err(Error::NotFound { .. }) => Asked::Absent,
            Err(_) => Asked::Failed,
        });
        asked
    }

    /// Keeps tiles that are authenticated by our own head, or by one that is about to be ours.
    ///
    /// # Errors
    ///
    /// `Kept` when the store does not take them; those that it took stay.
    pub(super) async fn keep(&self, read: &Read) -> Result<(), Error> {
        for (tile, from) in read.reading.tiles().iter().zip(&read.from) {
            if *from == From::Network {
                self.keep_tile(tile).await?;
            }
            if *from != From::Memory {
                self.memory.keep_tile(&tile.tile(), &Bytes::copy_from_slice(tile.bytes()));
            }
        }
        Ok(())
    }

    /// The same when nothing depends on it: what could not be kept is fetched again one day.
    pub(super) async fn keep_if_possible(&self, read: &Read) {
        if let Err(error) = self.keep(read).await {
            tracing::warn!(database = %self.name, %error, "tiles of {} were not kept: {error}", self.name);
        }
    }

    async fn keep_tile(&self, tile: &AuthenticTile) -> Result<(), Error> {
        self.keep_bytes(tile.tile(), tile.bytes()).await
    }

    /// Stores what was verified, unless what is stored begins with it.
    #[expect(clippy::disallowed_methods, reason = "the one place where tiles change")]
    pub(super) async fn keep_bytes(&self, tile: Tile, bytes: &[u8]) -> Result<(), Error> {
        let key = Key::Tile(&self.name, tile);
        let mut expected = None;
        for _ in 0..MAX_YIELDS {
            if let Some((held, tag)) = self.stored_tile(&tile).await {
                if held.starts_with(bytes) {
                    return Ok(());
                }
                expected = Some(tag);
            }
            match self.store.replace(&key, Bytes::copy_from_slice(bytes), expected.as_ref()).await {
                Ok(_tag) => return Ok(()),
                // Also when what is there cannot be read: it is in the way all the same.
                Err(store::Error::Changed { current }) => expected = current,
                Err(error) => return Err(self.kept("a tile", &error)),
            }
        }
        // Others write it all the time, and what they write was verified, too.
        Ok(())
    }
}

/// Why tiles did not verify, and whether what is stored may be to blame.
struct Failed {
    error: tlog::Error,
    local: bool,
}

fn verified(plan: &Plan, pieces: Vec<Piece>) -> Result<Read, Failed> {
    let bytes: Vec<&Bytes> = pieces.iter().map(|piece| &piece.bytes).collect();
    let reading = plan.verify(&bytes).map_err(|error| {
        let local = pieces.iter().any(|piece| piece.from != From::Network);
        Failed { error, local }
    })?;
    let from = pieces.iter().map(|piece| piece.from).collect();
    let fetched = pieces.into_iter().filter_map(|piece| piece.fetched).collect();
    Ok(Read { reading, from, _fetched: fetched })
}

/// The tile of leaf hashes beside a data tile.
pub(super) fn beside(data: &Tile) -> Tile {
    Tile { level: TileLevel::Hashes(0), ..*data }
}
