//! Which module versions were recorded already.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use tlog::record_hash;

use super::Kept;

/// Bytes that stand for one record.
pub const DIGEST_BYTES: usize = 16;
/// The most records that are held apart: their numbers have 32 bits here.
pub const MAX_RECORDS: u64 = u32::MAX as u64 - 1;

/// Stands for a record whose name is not known; no name has this digest.
const UNNAMED: [u8; DIGEST_BYTES] = [0; DIGEST_BYTES];
/// Room is made for so many digests at least.
const STEP: usize = 8192;
/// Digests that are kept anew together, when one of them was found out later.
const PIECE: usize = 256;

/// Holds one digest of 16 bytes for each record, in their order, and finds names that come again.
///
/// Digests are the first half of a SHA-256: to make two names look like one takes 2^64 steps, and
/// gains a false alarm. Memory: 16 bytes a record, and 4.6 to 9.2 for finding them; 24 MB for a
/// million records.
#[derive(Debug, Default)]
pub struct Seen {
    digests: Vec<[u8; DIGEST_BYTES]>,
    /// Numbers of records plus one, by open addressing; 0 is free. Its length is a power of two.
    slots: Vec<u32>,
    /// Seeded anew in each process: names cannot be chosen so that they collide here.
    hasher: RandomState,
    /// Pieces with digests that were found out later than those behind them.
    changed: BTreeSet<usize>,
}

impl Seen {
    /// Begins without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many records there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.digests.len() as u64
    }

    /// Returns the digests from a record on, to be kept.
    #[must_use]
    pub fn since(&self, record: u64) -> Vec<u8> {
        let from = usize::try_from(record).unwrap_or(usize::MAX);
        self.digests.get(from..).unwrap_or_default().concat()
    }

    /// Returns what changed among digests that were kept before, with the number of the first
    /// record of each piece.
    #[must_use]
    pub fn changed(&self) -> Vec<(u64, Vec<u8>)> {
        let pieces = self.changed.iter().map(|piece| {
            let from = piece * PIECE;
            let to = self.digests.len().min(from + PIECE);
            (from as u64, self.digests.get(from..to).unwrap_or_default().concat())
        });
        pieces.collect()
    }

    /// Notes that all changes are kept.
    pub(super) fn saved(&mut self) {
        self.changed.clear();
    }

    /// Takes in digests that were kept; bytes at the end that are no whole digest are left out.
    ///
    /// Those of records that were not judged are not believed: they may have been written just
    /// before a crash, and are written again.
    pub fn extend(&mut self, digests: &[u8], kept: &Kept) {
        for digest in digests.as_chunks().0 {
            let is_judged = kept.passed.is_judged(self.records());
            self.push(if is_judged { *digest } else { UNNAMED });
        }
    }

    /// Notes the name of a record: of the next one, or of one whose name was not known; returns the
    /// number of another one of the same name.
    pub(super) fn record(&mut self, id: u64, name: &str) -> Option<u64> {
        let hash = record_hash(name.as_bytes());
        let digest = hash.first_chunk().copied().unwrap_or(UNNAMED);
        let Some(at) = usize::try_from(id).ok().filter(|at| *at < self.digests.len()) else {
            return self.push(digest);
        };
        *self.digests.get_mut(at)? = digest;
        self.changed.insert(at / PIECE);
        self.find(at)
    }

    /// Notes that the next record has a name that is not known.
    pub(super) fn unnamed(&mut self) {
        self.push(UNNAMED);
    }

    fn push(&mut self, digest: [u8; DIGEST_BYTES]) -> Option<u64> {
        if self.digests.len() == self.digests.capacity() {
            // An eighth more, not twice as much: most of the memory is here.
            self.digests.reserve_exact(STEP.max(self.digests.len() / 8));
        }
        self.digests.push(digest);
        if digest == UNNAMED {
            return None;
        }
        self.find(self.digests.len() - 1)
    }

    /// Finds an earlier record of the name of one, which is put into the table if there is none.
    fn find(&mut self, record: usize) -> Option<u64> {
        if self.slots.len() / 8 * 7 < self.digests.len() {
            self.grow(record);
            // All are in the new table but this one's place, which is found below.
        }
        self.place(record)
    }

    /// Doubles the table, with all records in it but one.
    fn grow(&mut self, but: usize) {
        let len = (self.slots.len() * 2).max(16);
        self.slots = vec![0; len];
        for record in (0..self.digests.len()).filter(|record| *record != but) {
            if self.digests.get(record).is_some_and(|digest| *digest != UNNAMED) {
                self.place(record);
            }
        }
    }

    /// Finds the place of a record, or the earlier record of its name that has it.
    fn place(&mut self, record: usize) -> Option<u64> {
        let digest = self.digests.get(record)?;
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(self.hasher.hash_one(digest) & mask as u64).ok()?;
        // One slot in eight is free, so this ends.
        loop {
            let slot = self.slots.get_mut(at)?;
            let Some(held) = slot.checked_sub(1) else {
                *slot = u32::try_from(record + 1).ok()?;
                return None;
            };
            if self.digests.get(held as usize) == Some(digest) {
                return Some(u64::from(held)).filter(|_| held as usize != record);
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::passed::Why;
    use super::*;

    fn next(seen: &mut Seen, name: &str) -> Option<u64> {
        seen.record(seen.records(), name)
    }

    fn kept() -> Kept {
        let name = tlog::LogName::parse("sum.example").unwrap();
        Kept::new(tlog::SigningKey::from_seed(name, [1; 32]).verifier())
    }

    #[test]
    fn a_name_that_comes_again_is_found_with_its_first_record() {
        let mut seen = Seen::new();
        for number in 0..50_000_u64 {
            assert_eq!(next(&mut seen, &format!("a.b/c@v1.0.{number}")), None);
        }
        for number in [0, 1, 777, 49_999] {
            assert_eq!(next(&mut seen, &format!("a.b/c@v1.0.{number}")), Some(number));
        }
        assert_eq!(next(&mut seen, "a.b/c@v1.0.50000"), None);
        assert_eq!(seen.records(), 50_005);
    }

    #[test]
    fn records_without_a_name_are_counted_and_never_found() {
        let mut seen = Seen::new();
        seen.unnamed();
        assert_eq!(next(&mut seen, "a"), None);
        seen.unnamed();
        assert_eq!((next(&mut seen, "a"), seen.records()), (Some(1), 4));
    }

    #[test]
    fn what_was_kept_is_known_again() {
        let mut seen = Seen::new();
        for number in 0..1000 {
            match number % 7 {
                0 => seen.unnamed(),
                _ => assert_eq!(next(&mut seen, &number.to_string()), None),
            }
        }
        let (one, two) = (seen.since(0), seen.since(900));
        assert_eq!(two, one[900 * DIGEST_BYTES..]);
        let mut again = Seen::new();
        again.extend(&one[..5003 * 2], &kept());
        assert_eq!(again.records(), 625, "the rest of a digest is left out");
        let mut again = Seen::new();
        again.extend(&one, &kept());
        assert_eq!((again.records(), next(&mut again, "999")), (1000, Some(999)));
        assert!(seen.since(1000).is_empty());
        assert!(seen.since(u64::MAX).is_empty());
    }

    #[test]
    fn a_name_may_be_found_out_later() {
        let mut seen = Seen::new();
        assert_eq!(next(&mut seen, "a"), None);
        (0..1000).for_each(|_| seen.unnamed());
        assert_eq!(next(&mut seen, "b"), None);
        assert_eq!(seen.changed(), []);
        let before = seen.since(0);
        assert_eq!((seen.record(3, "c"), seen.record(3, "c")), (None, None), "of itself");
        assert_eq!((seen.record(4, "a"), seen.record(700, "b")), (Some(0), Some(1001)));
        assert_eq!(next(&mut seen, "c"), Some(3));
        // What changed is enough to be kept.
        let (mut file, after) = (before, seen.since(0));
        file.extend(seen.since(1002));
        for (first, digests) in seen.changed() {
            let at = usize::try_from(first).unwrap() * DIGEST_BYTES;
            file[at..at + digests.len()].copy_from_slice(&digests);
        }
        assert!(file == after);
        seen.saved();
        assert_eq!(seen.changed(), []);
    }

    #[test]
    fn names_of_records_that_were_not_judged_are_not_believed() {
        let mut seen = Seen::new();
        for name in ["a", "b", "c", "d"] {
            assert_eq!(next(&mut seen, name), None);
        }
        let mut kept = kept();
        kept.passed.put(1..2, Why::Unasked);
        kept.passed.put(2..3, Why::Uncompared);
        let mut again = Seen::new();
        again.extend(&seen.since(0), &kept);
        assert_eq!((next(&mut again, "b"), next(&mut again, "c")), (None, Some(2)));
        assert_eq!(again.record(1, "b"), Some(4), "judged at last");
    }

    #[test]
    fn memory_is_what_the_documentation_says() {
        let mut seen = Seen::new();
        for number in 0..1_000_000_u64 {
            let mut digest = [1; DIGEST_BYTES];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            assert_eq!(seen.push(digest), None);
        }
        let bytes = seen.digests.capacity() * DIGEST_BYTES + seen.slots.capacity() * 4;
        assert!(bytes < 27_000_000, "{bytes}");
    }
}
