//! The records, in their order: tiles of them are fetched, and the leaves that they must be.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tlog::{HASH_BYTES, Question, Reading, Tile, TileLevel, TreeHead, record_hash};

use super::grammar::split;
use super::passed::{MAX_STRETCHES, Why};
use super::place::{DataTile, FULL, Failed, MAX_DATA_TILE_BYTES, MAX_QUICK_BYTES, Place, Said};
use super::{Finding, Misbehaviour, Monitor, Walked};
use crate::Error;

/// Tiles of one batch: 8,192 records, about two megabytes, and 16 MiB at most.
const BATCH_TILES: usize = 32;

/// Records of one tile that are to be judged.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// As the tree has it.
    pub(super) tile: Tile,
    pub(super) ids: Range<u64>,
    /// Why they were passed over before; `None`: they come for the first time.
    pub(super) before: Option<Why>,
}

/// Hashes that records showed, and what was served instead of them.
#[derive(Default)]
struct Edge {
    known: HashMap<Tile, Bytes>,
    wrong: Option<Failed>,
}

/// What came of a piece.
struct Fetched {
    data: Result<DataTile, Error>,
    leaves: Leaves,
}

/// The tile of leaves that belongs to a piece.
struct Leaves {
    reading: Result<Arc<Reading>, Failed>,
    /// What was wrong with it, though the records themselves showed what it should be.
    wrong: Option<Failed>,
}

impl Fetched {
    /// Why nothing is known, and nothing said about the log.
    fn silence(&self) -> Option<&Error> {
        match (&self.data, &self.leaves.reading) {
            (Err(error), _) | (_, Err(Failed::Unreachable(error))) => Some(error),
            _ => None,
        }
    }
}

impl Monitor {
    /// Judges the next records, up to the head that [`look`](Self::look) kept: first those that are
    /// new, then those that were passed over in an earlier round.
    ///
    /// What cannot be judged is passed over: it is asked for in the next round. Only when nothing
    /// at all came of a batch, the walk ends there. Not cancel safe: drop the monitor, too.
    pub async fn walk(&mut self) -> Walked {
        let Some(head) = self.kept.head.clone().filter(|_| self.walks) else { return Walked::End };
        if self.again.is_none() && self.kept.passed.is_full() {
            let reason = format!("more than {MAX_STRETCHES} stretches of records are not judged");
            self.troubled(Error::Kept { reason });
            return self.turn();
        }
        let pieces = match self.again {
            None => self.new_pieces(head.size()),
            Some(from) => self.pieces_again(from, head.size()),
        };
        if pieces.is_empty() {
            return self.turn();
        }
        let all = self.fetch(head.head(), &pieces).await;
        // The place is down, or the way to it: what is behind would not be answered either.
        if all.iter().all(|fetched| fetched.silence().is_some()) {
            let first = all.iter().find_map(Fetched::silence).cloned();
            if let Some(error) = first {
                self.troubled(error);
            }
            return self.turn();
        }
        for (piece, fetched) in pieces.iter().zip(all) {
            self.piece(piece, fetched).await;
        }
        if self.again.is_some() {
            self.again = pieces.last().map(|piece| piece.ids.end);
        }
        Walked::On
    }

    /// From the new records to those that were passed over, and from there to the end.
    fn turn(&mut self) -> Walked {
        if self.again.is_some() {
            return Walked::End;
        }
        self.again = Some(0);
        Walked::On
    }

    fn new_pieces(&self, size: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut from = self.kept.records;
        while from < size && pieces.len() < BATCH_TILES {
            let piece = piece(from, size, None);
            from = piece.ids.end;
            pieces.push(piece);
        }
        pieces
    }

    /// What was passed over before this round, from a record on.
    fn pieces_again(&self, mut from: u64, size: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(stretch) = self.kept.passed.from(from)
            && pieces.len() < BATCH_TILES
        {
            let (first, end) = (from.max(stretch.ids.start), stretch.ids.end.min(self.began));
            if first >= end {
                break;
            }
            let piece = piece(first, size.min(end), Some(stretch.why));
            let tile = data_tile(piece.tile.index, size);
            from = piece.ids.end;
            pieces.push(Piece { tile, ..piece });
        }
        pieces
    }

    async fn fetch(&mut self, head: &TreeHead, pieces: &[Piece]) -> Vec<Fetched> {
        let place = &self.place;
        let data = pieces.iter().map(|piece| place.records(piece.tile, MAX_QUICK_BYTES));
        let data = stream::iter(data).buffered(place.parallel()).collect::<Vec<_>>().await;
        let questions: Vec<_> =
            pieces.iter().map(|piece| Question::Tile(beside(&piece.tile))).collect();
        let (mut whole, mut edge) = (None, Edge::default());
        if data.iter().any(Result::is_ok) {
            whole = place.read(head, &questions, &HashMap::new()).await.ok().map(Arc::new);
            if whole.is_none() {
                edge = self.edge(head, pieces, &data).await;
            }
        }
        if let Some(wrong) = edge.wrong {
            self.mended(wrong);
        }
        let (place, known) = (&self.place, &edge.known);
        let leaves = pieces.iter().zip(&data).map(|(piece, data)| {
            let whole = whole.clone();
            async move {
                match whole {
                    Some(reading) => Leaves { reading: Ok(reading), wrong: None },
                    // Which one it is, is found out tile by tile.
                    None => leaves(place, head, known, (piece.tile, data)).await,
                }
            }
        });
        let leaves = stream::iter(leaves).buffered(place.parallel()).collect::<Vec<_>>().await;
        data.into_iter().zip(leaves).map(|(data, leaves)| Fetched { data, leaves }).collect()
    }

    /// The tile of leaves at the right edge is a part of every proof: when what is served for it is
    /// wrong, its records show what it should be.
    async fn edge(
        &self,
        head: &TreeHead,
        pieces: &[Piece],
        data: &[Result<DataTile, Error>],
    ) -> Edge {
        let tile = data_tile(head.size >> 8, head.size);
        let Err(wrong) = self.place.read(head, &[], &HashMap::new()).await else {
            return Edge::default();
        };
        let here = pieces.iter().zip(data).find(|(piece, _)| piece.tile == tile);
        let data = match here {
            Some((_, data)) => data.clone(),
            None => self.place.records(tile, MAX_QUICK_BYTES).await,
        };
        let leaves = data.ok().and_then(|data| leaves_of(tile, &data));
        let known = leaves.map(|bytes| HashMap::from([(beside(&tile), bytes)])).unwrap_or_default();
        match self.place.read(head, &[], &known).await {
            Ok(_) => Edge { known, wrong: Some(wrong) },
            Err(_) => Edge::default(),
        }
    }

    /// Tells of a tile that was wrong, though it hid nothing.
    fn mended(&mut self, wrong: Failed) {
        match wrong {
            Failed::Unreachable(error) => self.troubled(error),
            failed => self.find(Finding::new(Misbehaviour::Gap, &failed.to_string())),
        }
    }

    /// Judges a piece, or passes it over.
    async fn piece(&mut self, piece: &Piece, fetched: Fetched) {
        if let Some(error) = fetched.silence() {
            self.troubled(error.clone());
            return self.pass(piece, Why::Unasked);
        }
        if let Some(wrong) = fetched.leaves.wrong {
            self.mended(wrong);
        }
        let reading = match fetched.leaves.reading {
            Ok(reading) => reading,
            Err(failed) => return self.miss(piece, Misbehaviour::Gap, &failed.to_string()),
        };
        let Ok(data) = fetched.data else { return };
        let data = match data.said {
            // Alone: it may be large.
            Said::Bad(_) => match self.place.records(piece.tile, MAX_DATA_TILE_BYTES).await {
                Ok(data) => data,
                Err(error) => {
                    self.troubled(error);
                    return self.pass(piece, Why::Unasked);
                }
            },
            _ => data,
        };
        self.tile(piece, &data, &reading).await;
    }

    /// Passes a piece over, and tells why, unless that was why before: then it is told as what lasts.
    pub(super) fn miss(&mut self, piece: &Piece, kind: Misbehaviour, what: &str) {
        let why = if kind == Misbehaviour::Redaction { Why::Redaction } else { Why::Gap };
        if piece.before != Some(why) {
            self.find(Finding::new(kind, what));
        }
        self.pass(piece, why);
    }

    fn pass(&mut self, piece: &Piece, why: Why) {
        let is_known = match (piece.before, why) {
            // Judged, and known to be so; or seen to be wrong: that the log is away mends nothing.
            (Some(_), Why::Unasked) => true,
            (before, why) => before == Some(why),
        };
        if !is_known {
            self.kept.passed.put(piece.ids.clone(), why);
        }
        self.come_to(piece.ids.end);
    }

    /// Goes on behind records whose names are not known.
    pub(super) fn come_to(&mut self, end: u64) {
        while self.kept.records < end {
            self.seen.unnamed();
            self.kept.records += 1;
        }
    }
}

/// The records of one tile, from one on, in a tree of some size.
fn piece(from: u64, size: u64, before: Option<Why>) -> Piece {
    let tile = data_tile(from >> 8, size);
    let end = (tile.index << 8) + u64::from(tile.width);
    Piece { tile, ids: from..end, before }
}

fn data_tile(index: u64, size: u64) -> Tile {
    let width = Tile::width_in(TileLevel::Data, index, size);
    Tile { level: TileLevel::Data, index, width }
}

/// The tile of leaf hashes beside a data tile.
fn beside(data: &Tile) -> Tile {
    Tile { level: TileLevel::Hashes(0), ..*data }
}

/// Reads one tile of leaves; when what is served for it is wrong, the records themselves may show
/// what it should be.
async fn leaves(
    place: &Place,
    head: &TreeHead,
    known: &HashMap<Tile, Bytes>,
    (tile, data): (Tile, &Result<DataTile, Error>),
) -> Leaves {
    let question = [Question::Tile(beside(&tile))];
    let data = match data {
        Ok(data) => data,
        Err(error) => return silent(error),
    };
    let wrong = match place.read(head, &question, known).await {
        Ok(reading) => return Leaves { reading: Ok(Arc::new(reading)), wrong: None },
        Err(wrong) => wrong,
    };
    let mut known = known.clone();
    known.extend(leaves_of(tile, data).map(|bytes| (beside(&tile), bytes)));
    match place.read(head, &question, &known).await {
        Ok(reading) => Leaves { reading: Ok(Arc::new(reading)), wrong: Some(wrong) },
        Err(_) => Leaves { reading: Err(wrong), wrong: None },
    }
}

fn silent(error: &Error) -> Leaves {
    Leaves { reading: Err(Failed::Unreachable(error.clone())), wrong: None }
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
