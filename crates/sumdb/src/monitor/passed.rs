//! Records that were passed over: kept, asked for again, and told as long as they stay so.
//!
//! Nothing that a log answers, or does not, ends the walk for good: what cannot be judged is noted
//! here, and the walk goes on behind it.

use std::ops::Range;

/// Stretches that are held; a log with more of them is walked no further.
///
/// Each takes about 50 bytes of the state.
pub(super) const MAX_STRETCHES: usize = 10_000;

/// Why records were passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// They are not there, or not those of the tree.
    Gap,
    /// They are withheld: 410.
    Redaction,
    /// The log could not be asked for them.
    Unasked,
    /// They were judged, but the other database could not be asked about them.
    Uncompared,
}

impl Why {
    const ALL: [Self; 4] = [Self::Gap, Self::Redaction, Self::Unasked, Self::Uncompared];

    fn slug(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Redaction => "redaction",
            Self::Unasked => "unasked",
            Self::Uncompared => "uncompared",
        }
    }
}

/// Records one after the other that were passed over for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) ids: Range<u64>,
    pub(super) why: Why,
    /// Whether it was part of an exit code.
    pub(super) told: bool,
}

/// All that was passed over: in order, without overlaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Passed(Vec<Stretch>);

impl Passed {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stretch> {
        self.0.iter()
    }

    /// Whether there is no room for what one more tile may add.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_STRETCHES
    }

    /// How many records were passed over for a reason.
    pub(super) fn count(&self, why: Why) -> u64 {
        let of_why = self.0.iter().filter(|stretch| stretch.why == why);
        of_why.map(|stretch| stretch.ids.end - stretch.ids.start).sum()
    }

    /// How many records were not judged.
    pub(super) fn unjudged(&self) -> u64 {
        [Why::Gap, Why::Redaction, Why::Unasked].into_iter().map(|why| self.count(why)).sum()
    }

    /// Whether a record was judged: then its name is known.
    pub(super) fn is_judged(&self, id: u64) -> bool {
        self.at(id).is_none_or(|stretch| stretch.why == Why::Uncompared)
    }

    /// Whether some of these records are not there.
    pub(super) fn has_gap(&self, ids: &Range<u64>) -> bool {
        let overlaps =
            |stretch: &Stretch| stretch.ids.start < ids.end && ids.start < stretch.ids.end;
        self.0.iter().any(|stretch| stretch.why == Why::Gap && overlaps(stretch))
    }

    fn at(&self, id: u64) -> Option<&Stretch> {
        self.from(id).filter(|stretch| stretch.ids.contains(&id))
    }

    /// The first stretch that is not wholly before a record.
    pub(super) fn from(&self, id: u64) -> Option<&Stretch> {
        self.0.get(self.0.partition_point(|stretch| stretch.ids.end <= id))
    }

    /// Notes that records were passed over; what was noted of them before is forgotten.
    pub(super) fn put(&mut self, ids: Range<u64>, why: Why) {
        if ids.is_empty() {
            return;
        }
        self.remove(ids.clone());
        let at = self.0.partition_point(|stretch| stretch.ids.end <= ids.start);
        self.0.insert(at, Stretch { ids, why, told: false });
        self.join();
    }

    /// Notes that those of the records that were judged were not compared.
    pub(super) fn put_uncompared(&mut self, ids: Range<u64>) {
        let is_hole = |stretch: &&Stretch| {
            stretch.why != Why::Uncompared
                && stretch.ids.start < ids.end
                && ids.start < stretch.ids.end
        };
        let holes: Vec<_> = self.0.iter().filter(is_hole).map(|hole| hole.ids.clone()).collect();
        let mut from = ids.start;
        for hole in holes {
            self.put(from..hole.start, Why::Uncompared);
            from = hole.end;
        }
        self.put(from..ids.end, Why::Uncompared);
    }

    /// Notes that records were judged, and compared.
    pub(super) fn remove(&mut self, ids: Range<u64>) {
        if ids.is_empty() {
            return;
        }
        let mut rest = Vec::with_capacity(self.0.len() + 1);
        for stretch in self.0.drain(..) {
            let before = stretch.ids.start..stretch.ids.end.min(ids.start);
            let behind = stretch.ids.start.max(ids.end)..stretch.ids.end;
            let parts = [before, behind].into_iter().filter(|ids| !ids.is_empty());
            rest.extend(parts.map(|ids| Stretch { ids, ..stretch.clone() }));
        }
        self.0 = rest;
    }

    /// Notes that all are about to be told by an exit code.
    pub(super) fn told(&mut self) {
        self.0.iter_mut().for_each(|stretch| stretch.told = true);
        self.join();
    }

    fn join(&mut self) {
        self.0.dedup_by(|next, before| {
            let joins = before.ids.end == next.ids.start
                && (before.why, before.told) == (next.why, next.told);
            if joins {
                before.ids.end = next.ids.end;
            }
            joins
        });
    }

    /// One line for each stretch.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|Stretch { ids, why, told }| {
            let told = if *told { "told" } else { "new" };
            format!("passed {} {} {} {told}", ids.start, ids.end, why.slug())
        })
    }

    /// Takes in the next line, without its first word.
    pub(super) fn take_in(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let ids = words.next()?.parse().ok()?..words.next()?.parse().ok()?;
        let slug = words.next()?;
        let why = Why::ALL.into_iter().find(|why| why.slug() == slug)?;
        let told = match words.next()? {
            "told" => true,
            "new" => false,
            _ => return None,
        };
        let is_behind = self.0.last().is_none_or(|last| last.ids.end <= ids.start);
        // A tile adds up to 256 stretches before the walk ends.
        let has_room = self.0.len() < MAX_STRETCHES + 256;
        if ids.is_empty() || !is_behind || !has_room || words.next().is_some() {
            return None;
        }
        self.0.push(Stretch { ids, why, told });
        Some(())
    }

    /// Whether all are among so many records.
    pub(super) fn is_within(&self, records: u64) -> bool {
        self.0.last().is_none_or(|last| last.ids.end <= records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<Passed> {
        let mut passed = Passed::default();
        for line in lines {
            passed.take_in(line)?;
        }
        Some(passed)
    }

    #[test]
    fn stretches_join_split_and_replace_each_other() {
        let mut passed = Passed::default();
        passed.put(256..512, Why::Gap);
        passed.put(512..600, Why::Gap);
        passed.put(0..256, Why::Redaction);
        assert_eq!(Some(&passed), of(&["0 256 redaction new", "256 600 gap new"]).as_ref());
        passed.told();
        passed.put(300..301, Why::Uncompared);
        passed.remove(0..10);
        let want = [
            "10 256 redaction told",
            "256 300 gap told",
            "300 301 uncompared new",
            "301 600 gap told",
        ];
        assert_eq!(Some(&passed), of(&want).as_ref());
        assert_eq!((passed.count(Why::Gap), passed.unjudged()), (343, 589));
        for (id, judged) in [(9, true), (10, false), (299, false), (300, true), (600, true)] {
            assert_eq!(passed.is_judged(id), judged, "{id}");
        }
        passed.put_uncompared(9..602);
        let want = [
            "9 10 uncompared new",
            "10 256 redaction told",
            "256 300 gap told",
            "300 301 uncompared new",
            "301 600 gap told",
            "600 602 uncompared new",
        ];
        assert_eq!(Some(&passed), of(&want).as_ref());
        passed.remove(20..20);
        assert_eq!(Some(&passed), of(&want).as_ref());
        passed.remove(0..1000);
        passed.put(5..5, Why::Gap);
        assert_eq!(passed, Passed::default());
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let lines = ["0 256 unasked new", "256 257 uncompared told", "300 301 gap new"];
        let passed = of(&lines).unwrap();
        let written: Vec<_> = passed.lines().collect();
        assert_eq!(written, lines.map(|line| format!("passed {line}")));
        assert!(passed.is_within(301) && !passed.is_within(300));
        for bad in [
            &["0 0 gap new"][..],
            &["2 1 gap new"],
            &["0 2 gap new", "1 3 gap new"],
            &["0 1 hole new"],
            &["0 1 gap old"],
            &["0 1 gap new more"],
            &["0 1 gap"],
            &["-1 1 gap new"],
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn their_number_is_bounded() {
        let mut passed = Passed::default();
        for number in 0..MAX_STRETCHES as u64 {
            assert!(!passed.is_full());
            passed.put(2 * number..2 * number + 1, Why::Gap);
        }
        assert!(passed.is_full());
        let line = |number: usize| format!("{} {} gap new", 2 * number, 2 * number + 1);
        let mut read = Passed::default();
        for number in 0..MAX_STRETCHES + 256 {
            assert_eq!(read.take_in(&line(number)), Some(()));
        }
        assert_eq!(read.take_in(&line(MAX_STRETCHES + 256)), None);
    }
}
