//! Sizes in bytes, as people write them.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::text::{Cursor, serde_as_text};

/// Units and their factors; binary before decimal, so that a tie prints binary.
const UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Holds a size in bytes.
///
/// Parses and prints as a whole number with a unit: `512MiB`, `1GiB`, `10MB`, `17B`; zero may stand
/// alone (`0`). `KiB` to `TiB` are powers of 1024, `KB` (or `kB`) to `TB` powers of 1000. A number
/// without a unit is refused: nobody remembers whether it meant bytes. Serialises as that text.
///
/// ```
/// assert_eq!("64KiB".parse(), Ok(units::ByteSize(65_536)));
/// assert_eq!(units::ByteSize(10_000_000).to_string(), "10MB");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map(Self).ok_or(Error::Size)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        // Only an exact unit: what `config show` prints must parse to the same value.
        let exact = UNITS.iter().filter(|(_, factor)| self.0.is_multiple_of(*factor));
        let shortest = exact.min_by_key(|(_, factor)| self.0 / factor);
        let (unit, factor) = shortest.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

serde_as_text!(ByteSize, "a size with a unit, such as 512MiB");

fn parse(text: &str) -> Option<u64> {
    let mut cursor = Cursor::new(text);
    let number = cursor.number()?;
    if cursor.at_end() {
        return (text == "0").then_some(0);
    }
    let mut factors = UNITS.iter();
    let factor = factors.find_map(|(unit, factor)| cursor.literal(unit).map(|()| *factor))?;
    if !cursor.at_end() {
        return None;
    }
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("0B", 0),
            ("17B", 17),
            ("64KiB", 65_536),
            ("512MiB", 512 << 20),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("10KB", 10_000),
            ("10kB", 10_000),
            ("10MB", 10_000_000),
            ("3GB", 3_000_000_000),
            ("1TB", 1_000_000_000_000),
            ("18446744073709551615B", u64::MAX),
            ("16777215TiB", 16_777_215 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "17",
            "00",
            "-1B",
            "+1B",
            "1.5GiB",
            "1 MiB",
            " 1MiB",
            "1MiB ",
            "1mib",
            "MiB",
            "1M",
            "18446744073709551616B",
            "16777216TiB",
            "1MiBB",
            "\u{661}B",
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(Error::Size), "{text}");
        }
    }

    #[test]
    fn the_shortest_exact_unit_is_printed() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1000, "1KB"),
            (1_500_000, "1500KB"),
            (1 << 30, "1GiB"),
            (10_000_000, "10MB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn serde_uses_the_text() {
        let json = serde_json::to_string(&ByteSize(1 << 20)).unwrap();
        assert_eq!(json, r#""1MiB""#);
        assert_eq!(serde_json::from_str::<ByteSize>(&json).unwrap(), ByteSize(1 << 20));
        assert!(serde_json::from_str::<ByteSize>("1048576").is_err());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(number: u64, zeros in 0_u32..64) {
            let size = ByteSize(number >> zeros << zeros);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_panics(text in "[0-9KMGTiB.]{0,30}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
