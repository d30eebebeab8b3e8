//! Where a log is asked: its heads, tiles and records, some at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use outbound::Client;
use tlog::{
    HASH_BYTES, MAX_RECORD_BYTES, Plan, Question, Reading, Tile, TileLevel, TreeHead, VerifierKey,
};

use crate::bases::Bases;
use crate::{Clock, Database, Error};

/// The most bytes of a data tile: 256 records of the greatest size, each with its empty line.
pub(super) const MAX_DATA_TILE_BYTES: u64 = 256 * (MAX_RECORD_BYTES as u64 + 1);
/// The most bytes of a data tile that is fetched beside others. Real ones stay below 64 KiB; larger
/// ones are fetched again, one at a time.
pub(super) const MAX_QUICK_BYTES: u64 = 512 << 10;
/// Upper tiles that are held, so that each batch need not fetch them again: 8 MiB of them.
const MAX_UPPER_TILES: usize = 1024;
/// Entries of a full tile.
pub(super) const FULL: u16 = 256;

/// One log, at one or more addresses.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: VerifierKey,
    bases: Bases,
    via: Arc<str>,
    clock: Clock,
    at_once: usize,
    upper: Mutex<HashMap<Tile, Bytes>>,
}

/// An answer that says something about the log.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Found(Bytes),
    /// 404 or 410.
    Absent(u16),
    /// An answer that is none: too large, a page for people.
    Bad(String),
}

/// A data tile, perhaps wider than it was asked for.
#[derive(Debug, Clone)]
pub(super) struct DataTile {
    pub(super) tile: Tile,
    pub(super) said: Said,
}

/// Why a tree could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The head promises a tile that is not there.
    #[error("it answered {status} for {tile}, which its tree has")]
    Absent { tile: Tile, status: u16 },
    /// What is served as a tile is none.
    #[error("{tile} is none: {reason}")]
    Bad { tile: Tile, reason: String },
    /// Tiles are not those of the head.
    #[error(transparent)]
    Inconsistent(tlog::Error),
    /// Nothing is said about the log.
    #[error(transparent)]
    Unreachable(Error),
}

impl Place {
    pub(super) fn new(database: &Database, client: &Client, via: &Arc<str>, clock: &Clock) -> Self {
        Self {
            key: database.key.clone(),
            bases: Bases::new(database, client),
            via: Arc::clone(via),
            clock: clock.clone(),
            at_once: 1,
            upper: Mutex::default(),
        }
    }

    pub(super) fn at_once(self, at_once: usize) -> Self {
        Self { at_once: at_once.max(1), ..self }
    }

    pub(super) fn parallel(&self) -> usize {
        self.at_once
    }

    pub(super) fn name(&self) -> &str {
        self.key.name().as_str()
    }

    /// Lets go of all tiles: a head of another tree must not be judged by them.
    pub(super) fn forget(&self) {
        self.upper().clear();
    }

    fn upper(&self) -> MutexGuard<'_, HashMap<Tile, Bytes>> {
        self.upper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for what every log of this kind has.
    pub(super) async fn ask(&self, tail: &str, max_bytes: u64) -> Result<Said, Error> {
        let base = self.bases.choose(&self.via, self.clock.now()).await?;
        let answer = async { base.ask(base.get(tail, max_bytes, &self.via)).await?.bytes().await };
        match answer.await {
            Ok(body) => Ok(Said::Found(body)),
            Err(outbound::Error::NotFound { status, .. }) => Ok(Said::Absent(status)),
            Err(outbound::Error::BadBody { reason, .. }) => Ok(Said::Bad(reason)),
            Err(error) => Err(base.told(error)),
        }
    }

    /// Asks for what a log need not have; a refusal of the question is a no.
    pub(super) async fn ask_if_there(
        &self,
        tail: &str,
        max_bytes: u64,
    ) -> Result<Option<Bytes>, Error> {
        let base = self.bases.choose(&self.via, self.clock.now()).await?;
        let answer = async { base.ask(base.get(tail, max_bytes, &self.via)).await?.bytes().await };
        match answer.await {
            Ok(body) => Ok(Some(body)),
            Err(
                outbound::Error::NotFound { .. }
                | outbound::Error::Status { status: 400 | 403 | 405, .. },
            ) => Ok(None),
            Err(error) => Err(base.told(error)),
        }
    }

    /// Fetches a tile of records; a partial one may have gone when the full one came.
    pub(super) async fn records(&self, tile: Tile, max_bytes: u64) -> Result<DataTile, Error> {
        let said = self.ask(&tile.path(), max_bytes).await?;
        if matches!(said, Said::Absent(404)) && !tile.is_full() {
            let full = Tile { width: FULL, ..tile };
            let whole = self.ask(&full.path(), max_bytes).await?;
            if !matches!(whole, Said::Absent(404)) {
                return Ok(DataTile { tile: full, said: whole });
            }
        }
        Ok(DataTile { tile, said })
    }

    /// Reads the tree of a head; `known` are tiles that are taken instead of being fetched.
    pub(super) async fn read(
        &self,
        head: &TreeHead,
        questions: &[Question],
        known: &HashMap<Tile, Bytes>,
    ) -> Result<Reading, Failed> {
        let plan = Plan::new(head, questions).map_err(Failed::Inconsistent)?;
        let tiles = plan.tiles().iter().map(|tile| self.hashes(*tile, known));
        let bytes: Vec<Bytes> = stream::iter(tiles).buffered(self.at_once).try_collect().await?;
        let reading = plan.verify(&bytes).map_err(Failed::Inconsistent)?;
        self.hold(&plan, bytes);
        Ok(reading)
    }

    /// Holds the upper ones of tiles that were verified.
    fn hold(&self, plan: &Plan, bytes: Vec<Bytes>) {
        let mut upper = self.upper();
        for (tile, bytes) in plan.tiles().iter().zip(bytes) {
            if upper.len() >= MAX_UPPER_TILES {
                upper.clear();
            }
            if tile.level != TileLevel::Hashes(0) {
                upper.insert(*tile, bytes);
            }
        }
    }

    async fn hashes(&self, tile: Tile, known: &HashMap<Tile, Bytes>) -> Result<Bytes, Failed> {
        if let Some(bytes) = known.get(&tile) {
            return Ok(bytes.clone());
        }
        let held = self.upper().get(&tile).cloned();
        if let Some(bytes) = held {
            return Ok(bytes);
        }
        let (wanted, most) = (tile_bytes(&tile), tile_bytes(&Tile { width: FULL, ..tile }));
        let ask = async |tile: Tile| {
            self.ask(&tile.path(), most as u64).await.map_err(Failed::Unreachable)
        };
        match ask(tile).await? {
            Said::Found(bytes) => Ok(bytes),
            Said::Bad(reason) => Err(Failed::Bad { tile, reason }),
            Said::Absent(status) if tile.is_full() => Err(Failed::Absent { tile, status }),
            Said::Absent(status) => match ask(Tile { width: FULL, ..tile }).await? {
                Said::Found(bytes) if bytes.len() >= wanted => Ok(bytes.slice(..wanted)),
                _ => Err(Failed::Absent { tile, status }),
            },
        }
    }
}

fn tile_bytes(tile: &Tile) -> usize {
    usize::from(tile.width) * HASH_BYTES
}
