//! Erasing a record: its text goes, its place and its leaf stay.
//!
//! The database first, durably: from then on no start serves the text, wherever a copy of it may
//! lie. Then the files that hold it, by [`Files::redact`]. A crash between leaves files that nobody
//! is shown; erasing again, or a recovery, takes them away. Nothing signed changes: tree, heads and
//! all other proofs are what they were.
//!
//! Source: reference sumdb.md, §8.7.

use gomod::ModVer;

use super::entry::{Entry, Withheld};
use super::files::Trouble;
use super::floor::HeldFloor;
use super::{Kind, OwnError, OwnLog, OwnParts, edge, start};

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The number of the record, which stays.
    pub id: u64,
    /// Where it came from.
    pub kind: Kind,
}

impl OwnLog {
    /// Erases the record of a version from database and store, for ever.
    ///
    /// For a person to ask for, with the log open nowhere: who has it open still answers from
    /// memory. `None`: the version is not recorded. Cut short, or asked again, it is completed.
    /// Needs no key.
    ///
    /// # Errors
    ///
    /// [`OwnError::Existence`] when there is no such log; [`OwnError::Frozen`] when database and
    /// store do not belong together, so that records could be lost: recover first;
    /// [`OwnError::Damaged`] when they contradict each other; [`OwnError::Unavailable`] when they
    /// do not answer.
    pub async fn erase(parts: &OwnParts, module: &ModVer) -> Result<Option<Erasure>, OwnError> {
        let database = |error: db::Error| OwnError::database(&error);
        let rows = parts.state.log(parts.name.as_str()).await.map_err(database)?;
        let never = || OwnError::Existence { log: parts.name.clone(), problem: "was never made" };
        let rows = rows.ok_or_else(never)?;
        let Some(row) = rows.record(module).await.map_err(database)? else { return Ok(None) };
        let told = |trouble| told(parts, trouble);
        belong_together(parts, &rows).await.map_err(told)?;
        let epoch = rows.lead().await.map_err(database)?;
        if !rows.erase(epoch, row.id).await.map_err(database)? {
            return Err(told(Trouble::Superseded));
        }
        rows.scrub().await.map_err(database)?;
        let index = row.id >> 8;
        let tile = rows.records(index << 8, edge::FULL).await.map_err(database)?;
        let entries: Vec<_> = tile.into_iter().map(Entry::of_row).collect();
        parts.files().redact(index, &entries).await.map_err(told)?;
        Ok(Some(Erasure { id: row.id, kind: row.kind }))
    }

    /// Returns whether the record of a version was erased. From memory: as it was on opening.
    #[must_use]
    pub fn is_erased(&self, module: &ModVer) -> bool {
        self.inner.files.erased.has(module)
    }

    /// Returns how many records were erased. From memory: as it was on opening.
    #[must_use]
    pub fn erased(&self) -> usize {
        self.inner.files.erased.len()
    }
}

/// What stays of a tile is written from the database, so the database must have all of it.
async fn belong_together(parts: &OwnParts, rows: &db::Log) -> Result<(), Trouble> {
    let database = |error: db::Error| Trouble::from(OwnError::database(&error));
    let floor = HeldFloor::read(&parts.files()).await?.map(|held| held.floor);
    let mut standing = rows.standing().await.map_err(database)?;
    // Frozen for another reason: what is there can be erased all the same.
    standing.frozen = None;
    let head = rows.head(standing.integrated).await.map_err(database)?;
    match start::mismatch(&standing, &head, floor.as_ref(), floor.as_ref()) {
        Some(reason) => Err(Trouble::Mismatch(reason)),
        None => Ok(()),
    }
}

fn told(parts: &OwnParts, trouble: Trouble) -> OwnError {
    let log = parts.name.clone();
    match trouble {
        Trouble::Unavailable(error) => error,
        Trouble::Mismatch(reason) => OwnError::Frozen { log, reason },
        Trouble::Contradiction(reason) => OwnError::Damaged { log, reason },
        Trouble::Superseded => OwnError::Unavailable { reason: "another process writes".into() },
    }
}

impl OwnError {
    /// The version, or the tile, is withheld.
    pub(super) fn erased(what: Withheld) -> Self {
        Self::Erased { what }
    }
}
