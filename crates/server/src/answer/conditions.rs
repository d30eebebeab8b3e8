//! Conditional requests and ranges, judged without I/O. Source: RFC 9110 §13 and §14.

use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proxy::Validators;
use units::{ByteRange, RangeRequest, Timestamp};

/// What a request asks of a stored representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Whole,
    Part(ByteRange),
    NotModified,
    Unsatisfiable,
}

/// Does the representation offer ranges?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranges {
    Offered,
    Ignored,
}

/// Judges the conditions of a GET or HEAD for a representation of `len` bytes, in the order of RFC
/// 9110 §13.2.2.
///
/// `If-Match` and `If-Unmodified-Since` are for methods that change something and are not looked
/// at.
pub(crate) fn judge(
    method: &Method,
    headers: &HeaderMap,
    validators: &Validators,
    len: u64,
    ranges: Ranges,
) -> Verdict {
    if is_unmodified(headers, validators) {
        return Verdict::NotModified;
    }
    // A range is defined for GET alone (RFC 9110 §14.2).
    if ranges == Ranges::Ignored || method != Method::GET {
        return Verdict::Whole;
    }
    let Some(range) = text(headers, &RANGE) else { return Verdict::Whole };
    if !range_applies(headers.get(IF_RANGE), validators) {
        return Verdict::Whole;
    }
    match RangeRequest::parse(range, len) {
        RangeRequest::Whole => Verdict::Whole,
        RangeRequest::Part(part) => Verdict::Part(part),
        RangeRequest::Unsatisfiable => Verdict::Unsatisfiable,
    }
}

fn is_unmodified(headers: &HeaderMap, validators: &Validators) -> bool {
    // If-Modified-Since is ignored when If-None-Match is there, whatever that says.
    if headers.contains_key(IF_NONE_MATCH) {
        let mut lines = headers.get_all(IF_NONE_MATCH).iter();
        return lines.any(|line| names(line.as_bytes(), validators.etag.as_bytes()));
    }
    let since = text(headers, &IF_MODIFIED_SINCE).and_then(date);
    since.is_some_and(|since| validators.modified.unix_secs() <= since.unix_secs())
}

/// Tells whether a line of `If-None-Match` names `etag`, compared weakly. What stands behind a
/// malformed tag is not read.
fn names(line: &[u8], etag: &[u8]) -> bool {
    let mut rest = line.trim_ascii();
    if rest == b"*" {
        return true;
    }
    let etag = opaque(etag);
    loop {
        rest = rest.trim_ascii_start();
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = behind;
            continue;
        }
        let Some((tag, behind)) = first_tag(opaque(rest)) else { return false };
        if tag == etag {
            return true;
        }
        rest = behind;
    }
}

/// An entity tag without the mark of a weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The quoted tag that `text` begins with, quotes included, and what follows it. A tag may hold
/// commas.
fn first_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| *byte == b'"')?;
    text.split_at_checked(end + 2)
}

/// `If-Range` compares strongly: the same strong tag, or exactly the date of `Last-Modified`.
fn range_applies(if_range: Option<&HeaderValue>, validators: &Validators) -> bool {
    let Some(condition) = if_range else { return true };
    let condition = condition.as_bytes().trim_ascii();
    if condition.starts_with(b"\"") || condition.starts_with(b"W/") {
        return condition == validators.etag.as_bytes() && condition.starts_with(b"\"");
    }
    let date = std::str::from_utf8(condition).ok().and_then(date);
    date.is_some_and(|date| date.unix_secs() == validators.modified.unix_secs())
}

fn date(text: &str) -> Option<Timestamp> {
    Timestamp::parse_http_date(text).ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::validators;
    use super::*;

    const LEN: u64 = 1_000;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn verdict(lines: &[(HeaderName, &str)]) -> Verdict {
        judge_as(&Method::GET, lines, Ranges::Offered)
    }

    fn judge_as(method: &Method, lines: &[(HeaderName, &str)], ranges: Ranges) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        judge(method, &headers, &validators(LEN), LEN, ranges)
    }

    fn part(start: u64, end: u64) -> Verdict {
        Verdict::Part(ByteRange { start, end })
    }

    #[test]
    fn no_condition_asks_for_the_whole() {
        assert_eq!(verdict(&[]), Verdict::Whole);
    }

    #[test]
    fn the_own_tag_in_any_notation_is_not_modified() {
        for line in [
            "\"abc\"",
            "W/\"abc\"",
            "*",
            " * ",
            "\"x\", \"abc\"",
            "\"x\",W/\"abc\"",
            ",, \"abc\"",
            "\"a,b\" , \"abc\"",
        ] {
            assert_eq!(verdict(&[(IF_NONE_MATCH, line)]), Verdict::NotModified, "{line}");
        }
    }

    #[test]
    fn another_tag_asks_for_the_whole() {
        for line in ["\"x\"", "abc", "\"abc", "\"ABC\"", "", "\"abcd\"", "x \"abc\"", "\"*\""] {
            assert_eq!(verdict(&[(IF_NONE_MATCH, line)]), Verdict::Whole, "{line}");
        }
    }

    #[test]
    fn lines_of_tags_count_as_one_list() {
        let lines = [(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")];
        assert_eq!(verdict(&lines), Verdict::NotModified);
    }

    #[test]
    fn a_date_at_or_behind_the_last_change_is_not_modified() {
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, DATE)]), Verdict::NotModified);
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, AFTER)]), Verdict::NotModified);
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, BEFORE)]), Verdict::Whole);
        assert_eq!(verdict(&[(IF_MODIFIED_SINCE, "yesterday")]), Verdict::Whole);
    }

    #[test]
    fn a_tag_outweighs_a_date() {
        let lines = [(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)];
        assert_eq!(verdict(&lines), Verdict::Whole);
    }

    #[test]
    fn conditions_come_before_ranges() {
        let lines = [(IF_NONE_MATCH, "\"abc\""), (RANGE, "bytes=0-9")];
        assert_eq!(verdict(&lines), Verdict::NotModified);
    }

    #[test]
    fn single_ranges_are_parts() {
        assert_eq!(verdict(&[(RANGE, "bytes=0-9")]), part(0, 10));
        assert_eq!(verdict(&[(RANGE, "bytes=990-")]), part(990, 1_000));
        assert_eq!(verdict(&[(RANGE, "bytes=-1")]), part(999, 1_000));
        assert_eq!(verdict(&[(RANGE, "bytes=999-5000")]), part(999, 1_000));
    }

    #[test]
    fn a_range_behind_the_end_is_unsatisfiable() {
        assert_eq!(verdict(&[(RANGE, "bytes=1000-")]), Verdict::Unsatisfiable);
        assert_eq!(verdict(&[(RANGE, "bytes=-0")]), Verdict::Unsatisfiable);
    }

    #[test]
    fn ranges_that_may_be_ignored_are() {
        for line in ["lines=0-9", "bytes=0-9,20-29", "bytes=9-0", "bytes", "bytes=a-b"] {
            assert_eq!(verdict(&[(RANGE, line)]), Verdict::Whole, "{line}");
        }
    }

    #[test]
    fn ranges_are_for_get_of_what_offers_them() {
        let lines = [(RANGE, "bytes=0-9")];
        assert_eq!(judge_as(&Method::HEAD, &lines, Ranges::Offered), Verdict::Whole);
        assert_eq!(judge_as(&Method::GET, &lines, Ranges::Ignored), Verdict::Whole);
    }

    #[test]
    fn if_range_lets_a_range_through_on_a_strong_match_only() {
        for (condition, expected) in [
            ("\"abc\"", part(0, 10)),
            (DATE, part(0, 10)),
            ("W/\"abc\"", Verdict::Whole),
            ("\"x\"", Verdict::Whole),
            (BEFORE, Verdict::Whole),
            (AFTER, Verdict::Whole),
            ("abc", Verdict::Whole),
        ] {
            let lines = [(RANGE, "bytes=0-9"), (IF_RANGE, condition)];
            assert_eq!(verdict(&lines), expected, "{condition}");
        }
    }
}
