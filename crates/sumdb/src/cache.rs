//! Answers in memory, bounded by their bytes.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use bytes::Bytes;
use gomod::SumdbRequest;
use quick_cache::{Equivalent, Weighter, sync::Cache as Table};
use tlog::LogName;
use units::Timestamp;

/// Bytes of answers kept, over all databases: about 40,000 look-ups, or 8,000 full tiles.
const MAX_CACHE_BYTES: u64 = 64 << 20;
/// What an entry weighs beside its bytes.
const ENTRY_BYTES: u64 = 256;
/// A guess for the table's first size.
const EXPECTED_ENTRIES: usize = 4096;

/// How long a look-up is given again without asking. Its head stays valid for ever.
const LOOKUP_LIFE: Duration = Duration::from_mins(5);
/// How long the newest head is.
const LATEST_LIFE: Duration = Duration::from_secs(30);
/// How long a "not found" is.
const ABSENT_LIFE: Duration = Duration::from_secs(10);

/// What a database said, or that it does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Body(Bytes),
    Absent { status: u16, text: Option<String> },
}

/// Answers by database and question.
#[derive(Debug)]
pub(crate) struct Cache {
    table: Table<Key, (Kept, Option<Timestamp>), Weight>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    database: LogName,
    request: SumdbRequest,
}

/// A key that borrows, so that a hit allocates nothing.
struct Asked<'a>(&'a LogName, &'a SumdbRequest);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked(&self.database, &self.request).hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.database && *self.1 == key.request
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, (Kept, Option<Timestamp>)> for Weight {
    fn weight(&self, _key: &Key, (kept, _until): &(Kept, Option<Timestamp>)) -> u64 {
        let bytes = match kept {
            Kept::Body(body) => body.len(),
            Kept::Absent { text, .. } => text.as_ref().map_or(0, String::len),
        };
        ENTRY_BYTES + bytes as u64
    }
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { table: Table::with_weighter(EXPECTED_ENTRIES, MAX_CACHE_BYTES, Weight) }
    }

    /// What is fresh.
    pub(crate) fn fresh(
        &self,
        database: &LogName,
        request: &SumdbRequest,
        now: Timestamp,
    ) -> Option<Kept> {
        let (kept, until) = self.table.get(&Asked(database, request))?;
        until.is_none_or(|until| now < until).then_some(kept)
    }

    /// A body however old: for a look-up whose database cannot be asked.
    pub(crate) fn old_body(&self, database: &LogName, request: &SumdbRequest) -> Option<Bytes> {
        match self.table.get(&Asked(database, request))?.0 {
            Kept::Body(body) => Some(body),
            Kept::Absent { .. } => None,
        }
    }

    /// Keeps an answer for as long as its kind lives.
    pub(crate) fn keep(
        &self,
        database: &LogName,
        request: &SumdbRequest,
        kept: Kept,
        now: Timestamp,
    ) {
        let life = match (&kept, request) {
            (Kept::Absent { .. }, _) => Some(ABSENT_LIFE),
            (Kept::Body(_), SumdbRequest::Tile(_)) => None,
            (Kept::Body(_), SumdbRequest::Lookup(_)) => Some(LOOKUP_LIFE),
            (Kept::Body(_), _) => Some(LATEST_LIFE),
        };
        let key = Key { database: database.clone(), request: request.clone() };
        self.table.insert(key, (kept, life.map(|life| now.plus(life))));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gomod::SumdbRequest;
    use tlog::LogName;
    use units::Timestamp;

    use super::{Cache, Kept, MAX_CACHE_BYTES};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs)
    }

    fn tile(index: u32) -> SumdbRequest {
        SumdbRequest::Tile(format!("tile/8/0/{index:03}"))
    }

    #[test]
    fn each_kind_lives_as_long_as_it_is_true() {
        let (cache, name) = (Cache::new(), LogName::parse("sum.example").unwrap());
        let body = Kept::Body(Bytes::from_static(b"x"));
        let absent = Kept::Absent { status: 404, text: None };
        for (request, kept, life) in [
            (SumdbRequest::Latest, body.clone(), 30),
            (tile(0), body.clone(), i64::from(u32::MAX)),
            (tile(1), absent, 10),
        ] {
            cache.keep(&name, &request, kept.clone(), at(0));
            assert_eq!(cache.fresh(&name, &request, at(life - 1)), Some(kept.clone()));
            let immutable = kept == body && matches!(request, SumdbRequest::Tile(_));
            assert_eq!(cache.fresh(&name, &request, at(life)).is_some(), immutable);
        }
        let other = LogName::parse("other.example").unwrap();
        assert_eq!(cache.fresh(&other, &tile(0), at(0)), None);
        assert!(cache.old_body(&name, &SumdbRequest::Latest).is_some());
        assert!(cache.old_body(&name, &tile(1)).is_none());
    }

    #[test]
    fn memory_is_bounded_by_bytes() {
        let (cache, name) = (Cache::new(), LogName::parse("sum.example").unwrap());
        let body = Bytes::from(vec![0; 1 << 20]);
        for index in 0..200 {
            cache.keep(&name, &tile(index), Kept::Body(body.clone()), at(0));
        }
        assert!(cache.table.weight() <= MAX_CACHE_BYTES);
        assert!(cache.table.len() > 10);
    }
}
