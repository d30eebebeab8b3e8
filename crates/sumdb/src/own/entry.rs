//! What stands in a place of the log: a record, or what stays of an erased one.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use db::LogRecord;
use gomod::ModVer;
use tlog::{HASH_BYTES, Tile, record_hash};

/// What stands in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// The text of a record.
    Text(Arc<str>),
    /// An erased one: its leaf stands for it, so the tree stays what it was.
    Erased(Arc<Gone>),
}

/// What stays of an erased record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gone {
    /// The version, which is never recorded again.
    pub(super) module: ModVer,
    pub(super) leaf: [u8; HASH_BYTES],
}

impl Entry {
    pub(super) fn of_row(row: LogRecord) -> Self {
        match row.text {
            Some(text) => Self::Text(text.into()),
            None => Self::Erased(Arc::new(Gone { module: row.module, leaf: row.leaf })),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Erased(_) => None,
        }
    }

    pub(super) fn leaf(&self) -> [u8; HASH_BYTES] {
        match self {
            Self::Text(text) => record_hash(text.as_bytes()),
            Self::Erased(gone) => gone.leaf,
        }
    }
}

/// The texts of all, if none was erased.
pub(super) fn texts(entries: &[Entry]) -> Option<Vec<&str>> {
    entries.iter().map(Entry::text).collect()
}

/// The erased records that the database knew when the log was opened. None is added while it is
/// open: who erases has the data folder for itself. A few hundred bytes each.
#[derive(Debug, Clone, Default)]
pub(super) struct Erased(Arc<ById>);

#[derive(Debug, Default)]
struct ById {
    entries: BTreeMap<u64, Arc<Gone>>,
    modules: HashSet<ModVer>,
}

impl Erased {
    pub(super) fn of_rows(rows: Vec<LogRecord>) -> Self {
        let modules = rows.iter().map(|row| row.module.clone()).collect();
        let gone = |row: LogRecord| (row.id, Arc::new(Gone { module: row.module, leaf: row.leaf }));
        Self(Arc::new(ById { entries: rows.into_iter().map(gone).collect(), modules }))
    }

    pub(super) fn len(&self) -> usize {
        self.0.entries.len()
    }

    pub(super) fn has(&self, module: &ModVer) -> bool {
        self.0.modules.contains(module)
    }

    /// What stays of record `id`, if it was erased.
    pub(super) fn at(&self, id: u64) -> Option<&Arc<Gone>> {
        self.0.entries.get(&id)
    }

    /// Whether one of the records of a tile was erased.
    pub(super) fn in_tile(&self, tile: &Tile) -> bool {
        let first = tile.index << 8;
        self.0.entries.range(first..first + u64::from(tile.width)).next().is_some()
    }
}

/// What is not served because a record was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Withheld {
    /// The record, and the files, of a version.
    Version(ModVer),
    /// A tile of records, in any form, that would hold an erased one.
    Tile(Tile),
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(module) => write!(f, "{module}"),
            Self::Tile(tile) => write!(f, "a record in {tile}"),
        }
    }
}
