//! The records, in their order: each is a leaf of the tree, well written, new, and allowed.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tlog::{HASH_BYTES, Question, Reading, Tile, TileLevel, TreeHead, record_hash};

use super::grammar::{read, shown, split};
use super::names::Standing;
use super::place::{DataTile, FULL, Failed, Said};
use super::{Finding, MAX_RECORDS, Misbehaviour, Monitor, Public, Walked};
use crate::Error;

/// Tiles of one batch: 8,192 records, and about two megabytes.
const BATCH_TILES: u64 = 32;

/// What a record is found to be: with which earlier one, if any, it is to be shown.
struct Wrong {
    kind: Misbehaviour,
    what: String,
    ids: Vec<u64>,
}

impl Monitor {
    /// Judges the next records, up to the head that [`look`](Self::look) kept.
    ///
    /// A record that is not there, or not the tree's, ends the round: what follows is judged when
    /// it is. After an error, call it again, or go on later with what was kept before. Not cancel
    /// safe: drop the monitor, too.
    ///
    /// # Errors
    ///
    /// When log or other database cannot be asked; [`Error::Kept`] past [`MAX_RECORDS`].
    pub async fn walk(&mut self) -> Result<Walked, Error> {
        self.compare().await?;
        let Some(head) = self.kept.head.clone().filter(|_| self.walks) else {
            return Ok(Walked::End);
        };
        let (from, size) = (self.kept.records, head.size());
        if from >= size {
            return Ok(Walked::End);
        }
        if size > MAX_RECORDS {
            let reason = format!("a log of more than {MAX_RECORDS} records");
            return Err(Error::Kept { reason });
        }
        let indices = (from >> 8)..size.div_ceil(256).min((from >> 8) + BATCH_TILES);
        let tiles: Vec<Tile> = indices.map(|index| data_tile(index, size)).collect();
        let data = stream::iter(tiles.iter().map(|tile| self.place.records(*tile)));
        let data: Vec<DataTile> = data.buffered(self.place.parallel()).try_collect().await?;
        let questions: Vec<_> = tiles.iter().map(|tile| Question::Tile(beside(tile))).collect();
        let reading = match self.place.read(head.head(), &questions, &HashMap::new()).await {
            Ok(reading) => Some(reading),
            Err(Failed::Unreachable(error)) => return Err(error),
            // Which one it is, is found out tile by tile.
            Err(_) => None,
        };
        for (tile, data) in tiles.into_iter().zip(data) {
            let own = match &reading {
                Some(_) => None,
                None => self.one_by_one(head.head(), tile, &data).await?,
            };
            let judged = match reading.as_ref().or(own.as_ref()) {
                Some(reading) => self.tile(tile, &data, reading).await,
                None => Walked::End,
            };
            if judged == Walked::End {
                self.walks = false;
                break;
            }
        }
        self.compare().await?;
        Ok(if self.walks { Walked::On } else { Walked::End })
    }

    /// Reads one tile of leaves; when what is served for it is wrong, the records themselves may
    /// show what it should be.
    async fn one_by_one(
        &mut self,
        head: &TreeHead,
        tile: Tile,
        data: &DataTile,
    ) -> Result<Option<Reading>, Error> {
        let leaves = beside(&tile);
        let question = [Question::Tile(leaves)];
        let why = match self.place.read(head, &question, &HashMap::new()).await {
            Ok(reading) => return Ok(Some(reading)),
            Err(failed) => failed.what()?,
        };
        self.find(Finding::new(Misbehaviour::Gap, &why));
        let Some(bytes) = leaves_of(tile, data) else { return Ok(None) };
        let known = HashMap::from([(leaves, bytes)]);
        match self.place.read(head, &question, &known).await {
            Ok(reading) => Ok(Some(reading)),
            Err(Failed::Unreachable(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Judges the records of a tile that were not judged yet.
    async fn tile(&mut self, tile: Tile, data: &DataTile, reading: &Reading) -> Walked {
        let first = tile.index << 8;
        let end = first + u64::from(tile.width);
        let body = match &data.said {
            Said::Found(body) => body,
            Said::Absent(410) => {
                let what = format!("records {first} to {} are withheld: 410 for {tile}", end - 1);
                self.find(Finding::new(Misbehaviour::Redaction, &what));
                // For good; the hashes are the tree's, and the names stay unknown.
                while self.kept.records < end {
                    self.seen.unnamed();
                    self.kept.records += 1;
                }
                return Walked::On;
            }
            Said::Absent(status) => {
                let what = format!("it answered {status} for {tile}, which its tree has");
                self.find(Finding::new(Misbehaviour::Gap, &what));
                return Walked::End;
            }
        };
        let records = split(body, FULL);
        for (id, record) in (first..end).zip(&records) {
            if reading.leaf(id) != Ok(record_hash(record)) {
                let what =
                    format!("{tile}: record {id} is not the one of the tree: {}", shown(record));
                self.find(Finding::new(Misbehaviour::Gap, &what));
                return Walked::End;
            }
            if id >= self.kept.records {
                self.record(id, record).await;
            }
        }
        if records.len() == usize::from(data.tile.width) {
            return Walked::On;
        }
        let (found, width) = (records.len(), data.tile.width);
        let what = format!("{}: {found} records instead of {width}", data.tile);
        self.find(Finding::new(Misbehaviour::Gap, &what));
        if self.kept.records < end { Walked::End } else { Walked::On }
    }

    /// Judges one record, which is the tree's.
    async fn record(&mut self, id: u64, text: &[u8]) {
        for Wrong { kind, what, ids } in self.judge(id, text) {
            let finding = self.of_records((kind, &what), &ids, &[]).await;
            self.find(finding);
        }
        self.kept.records = id + 1;
    }

    fn judge(&mut self, id: u64, text: &[u8]) -> Vec<Wrong> {
        let entry = read(text);
        let mut wrong = Vec::new();
        let Some(module) = entry.module else {
            self.seen.unnamed();
            let why = entry.record.err().unwrap_or_default();
            let what = format!("record {id}: {why}: {}", shown(text));
            return vec![Wrong { kind: Misbehaviour::Grammar, what, ids: vec![id] }];
        };
        if let Some(earlier) = self.seen.record(&module.to_string()) {
            let what = format!("record {id}: {module} is recorded as {earlier} already");
            wrong.push(Wrong { kind: Misbehaviour::Duplicate, what, ids: vec![earlier, id] });
        }
        let standing = self.names.standing(&module, self.other.is_some());
        if let Standing::Bad(kind, why) = &standing {
            let what = format!("record {id}: {module} {why}");
            wrong.push(Wrong { kind: *kind, what, ids: vec![id] });
        }
        match (entry.record, standing, &self.other) {
            (Err(why), ..) => {
                let what = format!("record {id}, {module}: {why}");
                wrong.push(Wrong { kind: Misbehaviour::Grammar, what, ids: vec![id] });
            }
            (Ok(record), Standing::Public(reserved), Some(other))
                if other.samples(&module, reserved) =>
            {
                self.public.push_back(Public { id, record, reserved });
            }
            _ => {}
        }
        wrong
    }
}

fn data_tile(index: u64, size: u64) -> Tile {
    let width = Tile::width_in(TileLevel::Data, index, size);
    Tile { level: TileLevel::Data, index, width }
}

/// The tile of leaf hashes beside a data tile.
fn beside(data: &Tile) -> Tile {
    Tile { level: TileLevel::Hashes(0), ..*data }
}

/// The tile of hashes that belongs to the records of a data tile, if they are all there.
fn leaves_of(tile: Tile, data: &DataTile) -> Option<Bytes> {
    let Said::Found(body) = &data.said else { return None };
    let records = split(body, FULL);
    let records = records.get(..usize::from(tile.width))?;
    let mut leaves = Vec::with_capacity(records.len() * HASH_BYTES);
    for record in records {
        leaves.extend_from_slice(&record_hash(record));
    }
    Some(leaves.into())
}
