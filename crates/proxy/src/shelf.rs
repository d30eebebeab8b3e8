//! The hot table: everything that is answered from memory, by request.
//!
//! One weighed and bounded cache for all kinds. A small body weighs its bytes; an open zip weighs its share of
//! the table of open files, so that both bounds are one.
#![expect(
    clippy::disallowed_types,
    reason = "open files of the store, handed on to be sent; never read here"
)]

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gomod::{ModVer, Query, Request};
use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest, Sha256};
use units::Timestamp;

use crate::{Answer, Body, Config, Error, Kind, Outcome, Validators};

/// What an entry costs besides its body: key, header values, table slots.
const ENTRY_OVERHEAD_BYTES: u64 = 512;

/// Freshness of what never changes: tiles of a checksum database.
pub(crate) const FOR_EVER: Duration = Duration::MAX;

/// One answer in memory.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A file of a version: never changes.
    Stored(Stored),
    /// A list, `@latest` or query as it was at a moment.
    Kept(Kept),
    /// Did not exist at a moment.
    Absent(Absent),
    /// Policy refuses it.
    Denied(policy::Denial),
}

/// A published file, or one whose verdict is in and whose publication is under way.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) kind: Kind,
    pub(crate) module: ModVer,
    pub(crate) body: StoredBody,
    pub(crate) validators: Validators,
    used: AtomicBool,
}

#[derive(Debug, Clone)]
pub(crate) enum StoredBody {
    Memory(Bytes),
    File { file: Arc<File>, len: u64 },
}

/// A mutable answer and when it was fetched.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) kind: Kind,
    pub(crate) body: Bytes,
    pub(crate) fetched: Timestamp,
    /// For how long it is fresh.
    pub(crate) fresh: Duration,
    pub(crate) validators: Validators,
}

/// A negative answer and when it was given.
#[derive(Debug, Clone)]
pub(crate) struct Absent {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) fetched: Timestamp,
}

impl Stored {
    pub(crate) fn new(
        kind: Kind,
        module: ModVer,
        body: StoredBody,
        validators: Validators,
    ) -> Self {
        Self { kind, module, body, validators, used: AtomicBool::new(false) }
    }

    /// A small file, hashed here: at most 64 KiB, which takes some 40 µs.
    pub(crate) fn small(kind: Kind, module: ModVer, bytes: Bytes, modified: Timestamp) -> Self {
        let validators = Validators::new(&sha256_hex(&bytes), modified, bytes.len() as u64);
        Self::new(kind, module, StoredBody::Memory(bytes), validators)
    }

    pub(crate) fn answer(&self, outcome: Outcome) -> Answer {
        let body = match &self.body {
            StoredBody::Memory(bytes) => Body::Memory(bytes.clone()),
            StoredBody::File { file, len } => Body::File { file: file.clone(), len: *len },
        };
        let validators = Some(self.validators.clone());
        Answer { kind: self.kind, body, validators, outcome, fresh_for: None, private: false }
    }
}

impl Kept {
    pub(crate) fn new(kind: Kind, body: Bytes, fetched: Timestamp, fresh: Duration) -> Self {
        let validators = Validators::new(&sha256_hex(&body), fetched, body.len() as u64);
        Self { kind, body, fetched, fresh, validators }
    }

    pub(crate) fn answer(&self, outcome: Outcome, fresh_for: Duration) -> Answer {
        Answer {
            kind: self.kind,
            body: Body::Memory(self.body.clone()),
            validators: Some(self.validators.clone()),
            outcome,
            fresh_for: (self.fresh != FOR_EVER).then_some(fresh_for),
            private: false,
        }
    }

    /// For how much longer it is fresh; `None`: no longer. A time in the future counts as expired.
    pub(crate) fn fresh_for(&self, now: Timestamp) -> Option<Duration> {
        remaining(self.fresh, self.fetched, now)
    }
}

impl Absent {
    pub(crate) fn fresh_for(&self, config: &Config, now: Timestamp) -> Option<Duration> {
        remaining(config.negative_fresh, self.fetched, now)
    }

    pub(crate) fn error(&self, fresh_for: Duration) -> Error {
        Error::NotFound { status: self.status, text: self.text.clone(), fresh_for }
    }
}

/// What is left of `span` since `start`; `None` when it has run out, or when `start` lies in the future.
fn remaining(span: Duration, start: Timestamp, now: Timestamp) -> Option<Duration> {
    span.checked_sub(now.since(start)?).filter(|left| !left.is_zero())
}

impl Entry {
    /// The answer of the hot path: stored, or mutable and fresh.
    pub(crate) fn fresh_answer(&self, now: Timestamp) -> Option<Answer> {
        match self {
            Self::Stored(stored) => Some(stored.answer(Outcome::Hit)),
            Self::Kept(kept) => {
                let fresh_for = kept.fresh_for(now)?;
                Some(kept.answer(Outcome::Hit, fresh_for))
            }
            Self::Absent(_) | Self::Denied(_) => None,
        }
    }

    /// The module, once per flush of the ledger: a hit costs one relaxed load.
    pub(crate) fn first_use(&self) -> Option<&ModVer> {
        let Self::Stored(stored) = self else { return None };
        if stored.used.load(Ordering::Relaxed) || stored.used.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(&stored.module)
    }

    fn weight(&self, file_weight: u64) -> u64 {
        ENTRY_OVERHEAD_BYTES
            + match self {
                Self::Stored(Stored { body: StoredBody::File { .. }, .. }) => file_weight,
                Self::Stored(Stored { body: StoredBody::Memory(bytes), .. }) => bytes.len() as u64,
                Self::Kept(kept) => kept.body.len() as u64,
                Self::Absent(absent) => absent.text.len() as u64,
                Self::Denied(denial) => denial.text.len() as u64,
            }
    }
}

#[derive(Debug, Clone)]
struct ByBytes {
    file_weight: u64,
}

impl Weighter<Request, Placed> for ByBytes {
    fn weight(&self, _key: &Request, placed: &Placed) -> u64 {
        placed.entry.weight(self.file_weight)
    }
}

/// An entry, and whether its module is private: decided once, for patterns are too slow for a hit.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) entry: Arc<Entry>,
    pub(crate) private: bool,
}

/// The bounded table.
#[derive(Debug)]
pub(crate) struct Shelf {
    entries: Cache<Request, Placed, ByBytes>,
    private: policy::Private,
}

impl Shelf {
    /// At most `bytes` of bodies and about `open_files` open files, whichever is reached first.
    pub(crate) fn new(bytes: u64, open_files: usize, private: policy::Private) -> Self {
        let file_weight = bytes / (open_files.max(1) as u64);
        // Items: the estimate only sizes the table; a typical `.info` or `.mod` weighs about 1 KiB here.
        let items = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        Self { entries: Cache::with_weighter(items, bytes, ByBytes { file_weight }), private }
    }

    /// What lies here for a caller whose right is known: with whether it is private.
    pub(crate) fn find(&self, request: &Request) -> Option<Placed> {
        self.entries.get(request)
    }

    pub(crate) fn get(&self, request: &Request) -> Option<Arc<Entry>> {
        self.entries.get(request).map(|placed| placed.entry)
    }

    pub(crate) fn put(&self, request: Request, entry: Arc<Entry>) {
        let private = request.module().is_some_and(|path| self.private.find(path).is_some());
        self.entries.insert(request, Placed { entry, private });
    }

    pub(crate) fn remove(&self, request: &Request) {
        self.entries.remove(request);
    }

    /// Lets the next hit on each of these count as a use again.
    pub(crate) fn forget_uses(&self, modules: &[(ModVer, Timestamp)]) {
        for (module, _) in modules {
            for request in files_of(module) {
                if let Some(placed) = self.entries.peek(&request)
                    && let Entry::Stored(stored) = &*placed.entry
                {
                    stored.used.store(false, Ordering::Relaxed);
                }
            }
        }
    }
}

/// The three requests for files of a version.
pub(crate) fn files_of(module: &ModVer) -> [Request; 3] {
    let query = Query::Version(module.version().clone());
    [
        Request::Info(module.path().clone(), query),
        Request::Mod(module.clone()),
        Request::Zip(module.clone()),
    ]
}

/// Verdicts on bad content and fresh failures, so that a retry gets the reason at once.
#[derive(Debug)]
pub(crate) struct Refusals {
    verdicts: Cache<Request, (Error, Timestamp)>,
}

/// How many verdicts are remembered; the least used go first.
const MAX_REFUSALS: usize = 10_000;

impl Default for Refusals {
    fn default() -> Self {
        Self { verdicts: Cache::new(MAX_REFUSALS) }
    }
}

impl Refusals {
    pub(crate) fn remember(&self, request: Request, error: Error, until: Timestamp) {
        self.verdicts.insert(request, (error, until));
    }

    pub(crate) fn find(&self, request: &Request, now: Timestamp) -> Option<Error> {
        let (error, until) = self.verdicts.get(request)?;
        if until.since(now).is_some_and(|left| !left.is_zero()) {
            return Some(error);
        }
        self.verdicts.remove(request);
        None
    }
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(n: usize) -> ModVer {
        let path = gomod::ModulePath::parse(&format!("example.com/m{n}")).unwrap();
        ModVer::new(path, gomod::Version::parse("v1.0.0").unwrap()).unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs)
    }

    fn small(n: usize, len: usize) -> (Request, Arc<Entry>) {
        let stored = Stored::small(Kind::Mod, module(n), Bytes::from(vec![b'x'; len]), at(0));
        (Request::Mod(module(n)), Arc::new(Entry::Stored(stored)))
    }

    #[test]
    fn bodies_together_stay_below_the_bound() {
        let shelf = Shelf::new(1 << 20, 16, policy::Private::default());
        for n in 0..1000 {
            let (request, entry) = small(n, 10_000);
            shelf.put(request, entry);
        }
        let held = (0..1000).filter(|n| shelf.get(&Request::Mod(module(*n))).is_some()).count();
        assert!((1..=104).contains(&held), "{held} bodies of 10 kB in 1 MiB");
    }

    #[test]
    fn a_use_is_told_once_until_the_ledger_is_flushed() {
        let shelf = Shelf::new(1 << 20, 16, policy::Private::default());
        let (request, entry) = small(1, 10);
        shelf.put(request, Arc::clone(&entry));
        assert_eq!(entry.first_use(), Some(&module(1)));
        assert_eq!(entry.first_use(), None);
        shelf.forget_uses(&[(module(1), at(0))]);
        assert_eq!(entry.first_use(), Some(&module(1)));
    }

    #[test]
    fn freshness_ends_at_its_bound_and_never_holds_for_the_future() {
        let kept = Kept::new(Kind::List, Bytes::new(), at(100), Duration::from_mins(1));
        for (now, want) in [(100, Some(60)), (159, Some(1)), (160, None), (99, None)] {
            let left = kept.fresh_for(at(now)).map(|left| left.as_secs());
            assert_eq!(left, want, "at {now}");
        }
    }

    #[test]
    fn a_verdict_is_forgotten_when_its_time_is_up() {
        let refusals = Refusals::default();
        let request = Request::Mod(module(1));
        refusals.remember(request.clone(), Error::fault("bad"), at(10));
        assert!(refusals.find(&request, at(9)).is_some());
        assert!(refusals.find(&request, at(10)).is_none());
        assert!(refusals.find(&request, at(9)).is_none(), "it was not forgotten");
    }

    #[test]
    fn validators_are_whole_seconds_a_strong_tag_and_a_length() {
        let nanos = Timestamp::from_unix_nanos(1_500_000_000);
        let validators = Validators::new(&sha256_hex(b"abc"), nanos, 3);
        assert_eq!(validators.modified, at(1));
        assert_eq!(validators.content_length, "3");
        assert_eq!(validators.last_modified, "Thu, 01 Jan 1970 00:00:01 GMT");
        let tag = validators.etag.to_str().unwrap();
        assert!(tag.starts_with("\"ba7816bf") && tag.ends_with("f20015ad\""), "{tag}");
    }
}
