//! What is judged of a record: it is a leaf of the tree, well written, new, and allowed.

use std::collections::HashMap;

use tlog::{Reading, record_hash};

use super::compare::Public;
use super::evidence::InHand;
use super::grammar::{read, shown, split};
use super::names::Standing;
use super::passed::Why;
use super::place::{DataTile, Said};
use super::walk::Piece;
use super::{Finding, Misbehaviour, Monitor};

/// The most parts that a data tile is taken apart into. A record that has an empty line in it, which
/// no tile can frame, is more than one; those behind it are found nevertheless.
const MAX_PARTS: u16 = 1024;

/// What a record is found to be: with which earlier one, if any, it is to be shown.
struct Wrong {
    kind: Misbehaviour,
    what: String,
    earlier: Option<u64>,
}

/// The records of a data tile, found by the leaves that they are.
struct Records<'a> {
    parts: Vec<(&'a [u8], [u8; 32])>,
    by_leaf: HashMap<[u8; 32], &'a [u8]>,
}

impl<'a> Records<'a> {
    fn new(body: &'a [u8]) -> Self {
        let parts = split(body, MAX_PARTS).into_iter();
        let parts: Vec<_> = parts.map(|part| (part, record_hash(part))).collect();
        let by_leaf = parts.iter().map(|(part, leaf)| (*leaf, *part)).collect();
        Self { parts, by_leaf }
    }

    /// The text of a leaf, wherever it stands.
    fn text(&self, leaf: &[u8; 32]) -> Option<&'a [u8]> {
        self.by_leaf.get(leaf).copied()
    }

    /// What is wrong with a tile that should have these leaves.
    fn wrong(&self, tile: &DataTile, first: u64, leaves: &[[u8; 32]]) -> Option<String> {
        for ((id, leaf), (part, hash)) in (first..).zip(leaves).zip(&self.parts) {
            if leaf != hash {
                let (tile, part) = (tile.tile, shown(part));
                return Some(format!("{tile}: record {id} is not the one of the tree: {part}"));
            }
        }
        let (found, width) = (self.parts.len(), usize::from(tile.tile.width));
        (found != width).then(|| format!("{}: {found} records instead of {width}", tile.tile))
    }
}

impl Monitor {
    /// Judges the records of a piece, as far as they are there.
    pub(super) async fn tile(&mut self, piece: &Piece, data: &DataTile, reading: &Reading) {
        let (first, last, tile) = (piece.ids.start, piece.ids.end - 1, piece.tile);
        let body = match &data.said {
            Said::Found(body) => body,
            Said::Absent(410) => {
                let what = format!("records {first} to {last} are withheld: 410 for {tile}");
                return self.miss(piece, Misbehaviour::Redaction, &what);
            }
            Said::Absent(status) => {
                let what = format!("it answered {status} for {tile}, which its tree has");
                return self.miss(piece, Misbehaviour::Gap, &what);
            }
            Said::Bad(reason) => {
                return self.miss(piece, Misbehaviour::Gap, &format!("{tile} is none: {reason}"));
            }
        };
        let first = tile.index << 8;
        let ids = first..first + u64::from(tile.width);
        let leaves: Vec<_> = ids.clone().map_while(|id| reading.leaf(id).ok()).collect();
        let records = Records::new(body);
        let is_lost =
            |(id, leaf): (u64, &[u8; 32])| piece.ids.contains(&id) && records.text(leaf).is_none();
        let is_new = piece.before != Some(Why::Gap) && (first..).zip(&leaves).any(is_lost);
        // One that is not there puts those behind it in other places: that is told with it.
        if let Some(what) = records.wrong(data, first, &leaves)
            && (is_new || !self.kept.passed.has_gap(&ids))
        {
            self.find(Finding::new(Misbehaviour::Gap, &what));
        }
        let mut publics = Vec::new();
        for (id, leaf) in (first..).zip(&leaves).filter(|(id, _)| piece.ids.contains(id)) {
            match records.text(leaf) {
                Some(text) => {
                    publics.extend(self.record(InHand { id, text, reading }, piece).await);
                }
                None => self.lost(id, piece),
            }
        }
        self.compare(piece.ids.clone(), &publics, reading).await;
    }

    /// Judges one record, which is the tree's; returns it if it is to be compared.
    async fn record(&mut self, hand: InHand<'_>, piece: &Piece) -> Option<Public> {
        let (id, text) = (hand.id, hand.text);
        if piece.before != Some(Why::Uncompared) {
            for Wrong { kind, what, earlier } in self.judge(id, text) {
                let finding = self.of_records((kind, &what), hand, earlier, &[]).await;
                self.find(finding);
            }
        }
        self.kept.records = self.kept.records.max(id + 1);
        if piece.before.is_some() {
            self.kept.passed.remove(id..id + 1);
        }
        self.public(id, text)
    }

    /// Passes over one record of a tile.
    fn lost(&mut self, id: u64, piece: &Piece) {
        if piece.before != Some(Why::Gap) {
            self.kept.passed.put(id..id + 1, Why::Gap);
        }
        self.come_to(id + 1);
    }

    fn judge(&mut self, id: u64, text: &[u8]) -> Vec<Wrong> {
        let entry = read(text);
        let mut wrong = Vec::new();
        let Some(module) = entry.module else {
            self.come_to(id + 1);
            let why = entry.record.err().unwrap_or_default();
            let what = format!("record {id}: {why}: {}", shown(text));
            return vec![Wrong { kind: Misbehaviour::Grammar, what, earlier: None }];
        };
        if let Some(other) = self.seen.record(id, &module.to_string()) {
            let what = format!("record {id}: {module} is recorded as {other} already");
            let earlier = Some(other);
            wrong.push(Wrong { kind: Misbehaviour::Duplicate, what, earlier });
        }
        if let Standing::Bad(kind, why) = self.names.standing(&module, self.other.is_some()) {
            let what = format!("record {id}: {module} {why}");
            wrong.push(Wrong { kind, what, earlier: None });
        }
        if let Err(why) = entry.record {
            let what = format!("record {id}, {module}: {why}");
            wrong.push(Wrong { kind: Misbehaviour::Grammar, what, earlier: None });
        }
        wrong
    }

    /// A record that the other database is to be asked about.
    fn public(&self, id: u64, text: &[u8]) -> Option<Public> {
        let other = self.other.as_ref()?;
        let record = read(text).record.ok()?;
        match self.names.standing(record.module(), true) {
            Standing::Public(reserved) if other.samples(record.module(), reserved) => {
                Some(Public { id, record, reserved })
            }
            _ => None,
        }
    }
}
