//! A cursor over ASCII text, and types whose serde form is their text.

/// Reads a text from left to right; every method consumes only what it accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    pub(crate) fn at_end(self) -> bool {
        self.0.is_empty()
    }

    /// Takes `literal`, byte for byte.
    pub(crate) fn literal(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal.as_bytes())?;
        Some(())
    }

    /// Takes one byte that `accept` accepts.
    pub(crate) fn byte(&mut self, accept: impl Fn(u8) -> bool) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        if !accept(first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }

    /// Takes exactly `count` decimal digits (at most 18) as a number.
    pub(crate) fn digits(&mut self, count: usize) -> Option<i64> {
        let mut value = 0;
        for _ in 0..count.min(18) {
            value = value * 10 + i64::from(self.byte(|b| b.is_ascii_digit())? - b'0');
        }
        Some(value)
    }

    /// Takes a decimal number of any length; `None` without a digit or past `u64::MAX`.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = u64::from(self.byte(|b| b.is_ascii_digit())? - b'0');
        while let Some(digit) = self.byte(|b| b.is_ascii_digit()) {
            value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        }
        Some(value)
    }

    /// Takes one of `names` and returns its place in the list.
    pub(crate) fn one_of(&mut self, names: &[&str]) -> Option<usize> {
        names.iter().position(|name| self.literal(name).is_some())
    }
}

/// Writes serde's two traits for a type with `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ty, $expected:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use serde_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_step_consumes_nothing() {
        let mut cursor = Cursor::new("12:x");
        assert_eq!(cursor.literal(":"), None);
        assert_eq!(cursor.digits(3), None);
        let mut cursor = Cursor::new("12:x");
        assert_eq!(cursor.digits(2), Some(12));
        assert_eq!(cursor.byte(|byte| byte == b'x'), None);
        assert_eq!(cursor.literal(":"), Some(()));
        assert_eq!(cursor.one_of(&["y", "x"]), Some(1));
        assert!(cursor.at_end());
        assert_eq!(cursor.byte(|_any| true), None);
    }

    #[test]
    fn numbers_end_at_64_bits() {
        assert_eq!(Cursor::new("18446744073709551615").number(), Some(u64::MAX));
        assert_eq!(Cursor::new("18446744073709551616").number(), None);
        assert_eq!(Cursor::new("99999999999999999999999").number(), None);
        assert_eq!(Cursor::new("").number(), None);
        assert_eq!(Cursor::new("x1").number(), None);
    }

    #[test]
    fn the_first_name_that_fits_is_taken() {
        let mut cursor = Cursor::new("ms");
        assert_eq!(cursor.one_of(&["m", "ms"]), Some(0));
        assert!(!cursor.at_end());
        assert_eq!(cursor.one_of(&[]), None);
    }
}
