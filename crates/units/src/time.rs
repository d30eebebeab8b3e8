//! Moments in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Error;
use crate::calendar::{Civil, weekday};
use crate::text::{Cursor, serde_as_text};

const NANOS_PER_SEC: i64 = 1_000_000_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const LONG_DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Names a moment in UTC, in nanoseconds since the Unix epoch.
///
/// Holds the years 1677 to 2262. Prints, parses and serialises as RFC 3339 text (`Z`, the fraction
/// only when there is one); comparing and hashing go by the moment.
///
/// ```
/// let when: units::Timestamp = "2019-04-10T21:08:52+02:00".parse()?;
/// assert_eq!(when.to_string(), "2019-04-10T19:08:52Z");
/// assert_eq!(when.http_date(), "Wed, 10 Apr 2019 19:08:52 GMT");
/// # Ok::<(), units::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a moment from nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Makes a moment from seconds since the Unix epoch, saturating at 1677 and 2262.
    #[must_use]
    pub const fn from_unix_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Returns nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// Returns whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn unix_secs(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SEC)
    }

    /// Parses an RFC 3339 time with any offset and an optional fraction.
    ///
    /// `T` and `Z` may be lower case; digits of the fraction past the ninth are dropped; a leap
    /// second counts as second 59. Source: RFC 3339 §5.6.
    ///
    /// # Errors
    ///
    /// [`Error::Rfc3339`] for other text, [`Error::OutOfRange`] for a time outside 1677 to 2262
    /// (Go's zero time, `0001-01-01T00:00:00Z`, is the one met in practice).
    pub fn parse_rfc3339(text: &str) -> Result<Self, Error> {
        let (secs, nanos) = rfc3339(text).ok_or(Error::Rfc3339)?;
        from_parts(secs, nanos)
    }

    /// Parses an HTTP date in any of its three forms.
    ///
    /// The name of the day must be one, but is not compared with the date. Two-digit years are
    /// 1969 to 2068, as Go reads them: without a clock the rule of fifty years cannot be applied.
    /// Source: RFC 9110 §5.6.7.
    ///
    /// # Errors
    ///
    /// [`Error::HttpDate`] for other text, [`Error::OutOfRange`] for a time outside 1677 to 2262.
    pub fn parse_http_date(text: &str) -> Result<Self, Error> {
        let civil = imf_fixdate(text).or_else(|| rfc850(text)).or_else(|| asctime(text));
        let secs = civil.and_then(Civil::to_unix_secs).ok_or(Error::HttpDate)?;
        from_parts(secs, 0)
    }

    /// Prints the moment as HTTP does: `Sun, 06 Nov 1994 08:49:37 GMT`; the fraction is dropped.
    #[must_use]
    pub fn http_date(self) -> String {
        let Civil { year, month, day, hour, minute, second } =
            Civil::from_unix_secs(self.unix_secs());
        let weekday = DAYS.get(weekday(self.unix_secs())).copied().unwrap_or_default();
        let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month).copied());
        let month = month.unwrap_or_default();
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// Returns the moment `span` later, saturating in 2262.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Returns the time from `earlier` to this moment.
    ///
    /// `None` when `earlier` is in fact later: a stored time in the future must count as expired,
    /// not as fresh for years.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        // The greatest difference of two i64 is below u64::MAX.
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second } =
            Civil::from_unix_secs(self.unix_secs());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let nanos = self.0.rem_euclid(NANOS_PER_SEC);
        if nanos != 0 {
            let fraction = format!("{nanos:09}");
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse_rfc3339(text)
    }
}

serde_as_text!(Timestamp, "an RFC 3339 time");

fn from_parts(secs: i64, nanos: i64) -> Result<Timestamp, Error> {
    let total = i128::from(secs) * i128::from(NANOS_PER_SEC) + i128::from(nanos);
    i64::try_from(total).map(Timestamp).map_err(|_outside| Error::OutOfRange)
}

/// Returns seconds since the epoch and the nanoseconds within the second.
fn rfc3339(text: &str) -> Option<(i64, i64)> {
    let mut cursor = Cursor::new(text);
    let year = cursor.digits(4)?;
    cursor.literal("-")?;
    let month = cursor.digits(2)?;
    cursor.literal("-")?;
    let day = cursor.digits(2)?;
    cursor.byte(|byte| matches!(byte, b'T' | b't'))?;
    let (hour, minute, second) = clock(&mut cursor)?;
    let nanos = fraction(&mut cursor)?;
    let offset = offset_secs(&mut cursor)?;
    let secs = Civil { year, month, day, hour, minute, second }.to_unix_secs()?;
    cursor.at_end().then_some((secs - offset, nanos))
}

fn fraction(cursor: &mut Cursor<'_>) -> Option<i64> {
    if cursor.literal(".").is_none() {
        return Some(0);
    }
    let mut nanos = cursor.digits(1)? * (NANOS_PER_SEC / 10);
    let mut unit = NANOS_PER_SEC / 100;
    while let Some(digit) = cursor.digits(1) {
        nanos += digit * unit;
        unit /= 10;
    }
    Some(nanos)
}

fn offset_secs(cursor: &mut Cursor<'_>) -> Option<i64> {
    let sign = match cursor.byte(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'))? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = cursor.digits(2)?;
    cursor.literal(":")?;
    let minutes = cursor.digits(2)?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &str) -> Option<Civil> {
    let mut cursor = Cursor::new(text);
    cursor.one_of(&DAYS)?;
    cursor.literal(", ")?;
    let day = cursor.digits(2)?;
    cursor.literal(" ")?;
    let month = month(&mut cursor)?;
    cursor.literal(" ")?;
    let year = cursor.digits(4)?;
    cursor.literal(" ")?;
    let (hour, minute, second) = clock(&mut cursor)?;
    cursor.literal(" GMT")?;
    cursor.at_end().then_some(Civil { year, month, day, hour, minute, second })
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &str) -> Option<Civil> {
    let mut cursor = Cursor::new(text);
    cursor.one_of(&LONG_DAYS)?;
    cursor.literal(", ")?;
    let day = cursor.digits(2)?;
    cursor.literal("-")?;
    let month = month(&mut cursor)?;
    cursor.literal("-")?;
    let short_year = cursor.digits(2)?;
    let year = short_year + if short_year >= 69 { 1900 } else { 2000 };
    cursor.literal(" ")?;
    let (hour, minute, second) = clock(&mut cursor)?;
    cursor.literal(" GMT")?;
    cursor.at_end().then_some(Civil { year, month, day, hour, minute, second })
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<Civil> {
    let mut cursor = Cursor::new(text);
    cursor.one_of(&DAYS)?;
    cursor.literal(" ")?;
    let month = month(&mut cursor)?;
    cursor.literal(" ")?;
    let day = if cursor.literal(" ").is_some() { cursor.digits(1)? } else { cursor.digits(2)? };
    cursor.literal(" ")?;
    let (hour, minute, second) = clock(&mut cursor)?;
    cursor.literal(" ")?;
    let year = cursor.digits(4)?;
    cursor.at_end().then_some(Civil { year, month, day, hour, minute, second })
}

fn month(cursor: &mut Cursor<'_>) -> Option<i64> {
    i64::try_from(cursor.one_of(&MONTHS)?).ok().map(|index| index + 1)
}

fn clock(cursor: &mut Cursor<'_>) -> Option<(i64, i64, i64)> {
    let hour = cursor.digits(2)?;
    cursor.literal(":")?;
    let minute = cursor.digits(2)?;
    cursor.literal(":")?;
    let second = cursor.digits(2)?;
    Some((hour, minute, second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RFC_EXAMPLE: Timestamp = Timestamp::from_unix_secs(784_111_777);

    #[test]
    fn all_three_http_dates_are_one_moment() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(Timestamp::parse_http_date(text), Ok(RFC_EXAMPLE), "{text}");
        }
        assert_eq!(RFC_EXAMPLE.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn malformed_http_dates_are_refused() {
        for text in [
            "",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun Nov 06 08:49:37 94",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(Timestamp::parse_http_date(text), Err(Error::HttpDate), "{text}");
        }
    }

    #[test]
    fn two_digit_years_turn_at_69() {
        let year = |text: &str| Timestamp::parse_http_date(text).unwrap().to_string();
        assert!(year("Sunday, 06-Nov-69 08:49:37 GMT").starts_with("1969-"));
        assert!(year("Sunday, 06-Nov-68 08:49:37 GMT").starts_with("2068-"));
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        for (text, printed) in [
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.52Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.87Z"),
            ("2020-01-01t00:00:00z", "2020-01-01T00:00:00Z"),
            ("2020-01-01T00:00:00.1234567899Z", "2020-01-01T00:00:00.123456789Z"),
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
        ] {
            let parsed = Timestamp::parse_rfc3339(text).unwrap();
            assert_eq!(parsed.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn malformed_rfc3339_is_refused() {
        for text in [
            "",
            "2020-01-01",
            "2020-01-01 00:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00,5Z",
            "2020-01-01T00:00:00+24:00",
            "2020-01-01T00:00:00+0100",
            "2020-13-01T00:00:00Z",
            "2020-02-30T00:00:00Z",
            "2020-01-01T00:00:61Z",
            "+020-01-01T00:00:00Z",
            "2020-01-01T00:00:00ZZ",
            "2020-01-01T00:00:0\u{663}Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(Error::Rfc3339), "{text}");
        }
    }

    #[test]
    fn years_that_do_not_fit_are_out_of_range() {
        for text in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00+23:59"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(Error::OutOfRange), "{text}");
        }
        let far = "Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(Timestamp::parse_http_date(far), Err(Error::OutOfRange));
    }

    #[test]
    fn the_ends_of_the_range_print_and_parse() {
        for nanos in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let moment = Timestamp::from_unix_nanos(nanos);
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
        assert_eq!(Timestamp::from_unix_secs(i64::MAX).unix_nanos(), i64::MAX);
        assert_eq!(Timestamp::from_unix_secs(i64::MIN).unix_nanos(), i64::MIN);
    }

    #[test]
    fn sums_saturate() {
        let late = Timestamp::from_unix_nanos(i64::MAX - 1);
        assert_eq!(late.plus(Duration::from_nanos(1)).unix_nanos(), i64::MAX);
        assert_eq!(late.plus(Duration::MAX).unix_nanos(), i64::MAX);
    }

    #[test]
    fn a_moment_in_the_future_has_no_age() {
        let now = Timestamp::from_unix_secs(100);
        assert_eq!(now.since(Timestamp::from_unix_secs(101)), None);
        assert_eq!(now.since(now), Some(Duration::ZERO));
        assert_eq!(now.since(Timestamp::from_unix_secs(90)), Some(Duration::from_secs(10)));
        let widest = Timestamp::from_unix_nanos(i64::MAX);
        let age = widest.since(Timestamp::from_unix_nanos(i64::MIN));
        assert_eq!(age, Some(Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn serde_uses_the_text() {
        let json = serde_json::to_string(&RFC_EXAMPLE).unwrap();
        assert_eq!(json, r#""1994-11-06T08:49:37Z""#);
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), RFC_EXAMPLE);
        assert!(serde_json::from_str::<Timestamp>("784111777").is_err());
        assert!(serde_json::from_str::<Timestamp>(r#""yesterday""#).is_err());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(nanos: i64) {
            let moment = Timestamp::from_unix_nanos(nanos);
            prop_assert_eq!(Timestamp::parse_rfc3339(&moment.to_string()), Ok(moment));
            let whole = Timestamp::from_unix_secs(moment.unix_secs());
            // The first second of the range is cut short, so its start does not fit.
            prop_assume!(whole.unix_nanos() > i64::MIN);
            prop_assert_eq!(Timestamp::parse_http_date(&moment.http_date()), Ok(whole));
        }

        #[test]
        fn no_text_panics(text in "\\PC*", near in "[-+0-9TZ:. ]{0,40}") {
            for text in [text, near] {
                let _ = Timestamp::parse_rfc3339(&text);
                let _ = Timestamp::parse_http_date(&text);
            }
        }
    }
}
