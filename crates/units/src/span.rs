//! Durations, as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Error;
use crate::text::{Cursor, serde_as_text};

/// Units from long to short, in nanoseconds. `ms` stands before `m`: the first that fits is taken.
const UNITS: [(&str, u128); 7] = [
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];
/// The same units as they are printed.
const PRINTED: [&str; 7] = ["d", "h", "m", "s", "ms", "us", "ns"];

/// Holds a duration from the configuration.
///
/// Parses and prints as whole numbers with units, the longest first, each at most once: `30s`,
/// `10m`, `1h30m`, `250ms`, `0s`. Units are `d` (24 h), `h`, `m`, `s`, `ms`, `us`, `ns`. A number
/// without a unit is refused. Serialises as that text.
///
/// ```
/// let span: units::Span = "1h30m".parse()?;
/// assert_eq!(span.0, std::time::Duration::from_mins(90));
/// # Ok::<(), units::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map(Self).ok_or(Error::Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, nanos) in PRINTED.iter().filter_map(|unit| UNITS.iter().find(|u| u.0 == *unit)) {
            if rest >= *nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

serde_as_text!(Span, "a duration with units, such as 30s");

fn parse(text: &str) -> Option<Duration> {
    let mut cursor = Cursor::new(text);
    let mut total: u128 = 0;
    let mut shortest = u128::MAX;
    loop {
        let number = cursor.number()?;
        let mut units = UNITS.iter();
        let nanos = units.find_map(|(unit, nanos)| cursor.literal(unit).map(|()| *nanos))?;
        if nanos >= shortest {
            return None;
        }
        shortest = nanos;
        // Seven units of at most 2^64 times 10^14 each stay far below 2^128.
        total += u128::from(number) * nanos;
        if cursor.at_end() {
            break;
        }
    }
    let secs = u64::try_from(total / 1_000_000_000).ok()?;
    let nanos = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Duration::new(secs, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, duration) in [
            ("0s", Duration::ZERO),
            ("30s", Duration::from_secs(30)),
            ("10m", Duration::from_mins(10)),
            ("1h30m", Duration::from_mins(90)),
            ("250ms", Duration::from_millis(250)),
            ("7d", Duration::from_hours(168)),
            ("1m5ms", Duration::from_millis(60_005)),
            ("90m", Duration::from_mins(90)),
            ("3us2ns", Duration::from_nanos(3002)),
            ("18446744073709551615s", Duration::from_secs(u64::MAX)),
        ] {
            assert_eq!(text.parse(), Ok(Span(duration)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "0",
            "30",
            "s",
            "-1s",
            "+1s",
            "1.5h",
            "1 s",
            " 1s",
            "1s ",
            "30m1h",
            "1s1s",
            "1S",
            "1h30",
            "18446744073709551616s",
            "18446744073709551615d",
            "1h\u{0}",
        ] {
            assert_eq!(text.parse::<Span>(), Err(Error::Span), "{text}");
        }
    }

    #[test]
    fn printing_leaves_out_units_that_are_zero() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(30), "30s"),
            (Duration::from_mins(90), "1h30m"),
            (Duration::from_secs(86_401), "1d1s"),
            (Duration::from_millis(250), "250ms"),
        ] {
            assert_eq!(Span(duration).to_string(), text);
        }
    }

    #[test]
    fn serde_uses_the_text() {
        let json = serde_json::to_string(&Span(Duration::from_mins(10))).unwrap();
        assert_eq!(json, r#""10m""#);
        let span: Span = serde_json::from_str(&json).unwrap();
        assert_eq!(span, Span(Duration::from_mins(10)));
        assert!(serde_json::from_str::<Span>("600").is_err());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(secs: u64, nanos in 0_u32..1_000_000_000) {
            let span = Span(Duration::new(secs, nanos));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "[0-9dhmsun.]{0,40}") {
            let _ = text.parse::<Span>();
        }
    }
}
