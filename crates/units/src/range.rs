//! Byte ranges of HTTP.

use crate::text::Cursor;

/// Names bytes of a representation: `start` is the first, `end` one past the last.
///
/// As [`RangeRequest::parse`] makes it, `start < end`, and `end` is at most the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// Says what a `Range` header asks of a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequest {
    /// Everything: answer 200 as if the header were absent.
    Whole,
    /// One range that exists: answer 206.
    Part(ByteRange),
    /// One well-formed range that holds no byte of the representation: answer 416.
    Unsatisfiable,
}

impl RangeRequest {
    /// Reads a `Range` header for a representation of `len` bytes.
    ///
    /// Other units, several ranges and malformed headers are [`RangeRequest::Whole`], which RFC 9110
    /// §14.2 lets a server do with any range. A range that ends behind the representation is cut.
    ///
    /// ```
    /// use units::{ByteRange, RangeRequest};
    /// let last = RangeRequest::parse("bytes=-10", 100);
    /// assert_eq!(last, RangeRequest::Part(ByteRange { start: 90, end: 100 }));
    /// ```
    #[must_use]
    pub fn parse(header: &str, len: u64) -> Self {
        match Asked::parse(header) {
            None => Self::Whole,
            // An empty representation has no last byte, and 206 cannot say "nothing".
            Some(Asked::Last(count)) if len == 0 && count > 0 => Self::Whole,
            Some(Asked::Last(0)) => Self::Unsatisfiable,
            Some(Asked::Last(count)) => {
                Self::Part(ByteRange { start: len.saturating_sub(count), end: len })
            }
            Some(Asked::From { first, .. }) if first >= len => Self::Unsatisfiable,
            Some(Asked::From { first, last }) => {
                Self::Part(ByteRange { start: first, end: last.saturating_add(1).min(len) })
            }
        }
    }
}

/// One range as it is written.
enum Asked {
    /// `first-last` or `first-` (then `last` is the greatest number).
    From { first: u64, last: u64 },
    /// `-count`
    Last(u64),
}

impl Asked {
    fn parse(header: &str) -> Option<Self> {
        let (unit, set) = header.trim_matches([' ', '\t']).split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim_matches([' ', '\t']).split_once('-')?;
        match (first, last) {
            ("", count) => Some(Self::Last(position(count)?)),
            (first, "") => Some(Self::From { first: position(first)?, last: u64::MAX }),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::From { first, last })
            }
        }
    }
}

/// Reads digits only; numbers past `u64::MAX` are well-formed, so they saturate.
fn position(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Cursor::new(text).number().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(start: u64, end: u64) -> RangeRequest {
        RangeRequest::Part(ByteRange { start, end })
    }

    #[test]
    fn one_range_is_understood() {
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-99", part(0, 100)),
            ("bytes=10-19", part(10, 20)),
            ("bytes=10-", part(10, 100)),
            ("bytes=99-1000", part(99, 100)),
            ("bytes=-1", part(99, 100)),
            ("bytes=-1000", part(0, 100)),
            ("BYTES=1-2", part(1, 3)),
            (" bytes= 1-2 ", part(1, 3)),
            ("bytes=5-99999999999999999999999", part(5, 100)),
            ("bytes=-99999999999999999999999", part(0, 100)),
        ] {
            assert_eq!(RangeRequest::parse(header, 100), expected, "{header}");
        }
    }

    #[test]
    fn ranges_behind_the_end_are_unsatisfiable() {
        for header in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(RangeRequest::parse(header, 100), RangeRequest::Unsatisfiable, "{header}");
        }
    }

    #[test]
    fn what_a_server_may_ignore_is_whole() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=0-1,5-6",
            "bytes=1",
            "bytes=+1-2",
            "bytes=1--2",
            "items=0-1",
            "bytes 0-1",
            "bytes=0x1-2",
            "bytes=\u{661}-2",
        ] {
            assert_eq!(RangeRequest::parse(header, 100), RangeRequest::Whole, "{header}");
        }
    }

    #[test]
    fn an_empty_representation_has_no_part() {
        assert_eq!(RangeRequest::parse("bytes=-5", 0), RangeRequest::Whole);
        assert_eq!(RangeRequest::parse("bytes=0-", 0), RangeRequest::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_within(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", len: u64) {
            if let RangeRequest::Part(range) = RangeRequest::parse(&header, len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }
}
