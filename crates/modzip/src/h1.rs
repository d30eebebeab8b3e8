//! Go's hash of a set of files.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::Error;

/// A hash in Go's `h1:` form: SHA-256 over the sorted list of a module's files and their hashes.
///
/// Displays and parses as it stands in go.sum: `h1:` and 44 characters of padded base64.
/// Source: golang/mod `sumdb/dirhash` (`Hash1`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct H1([u8; 32]);

impl H1 {
    /// Wraps the 32 bytes that stand behind `h1:`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes that stand behind `h1:`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

impl FromStr for H1 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let encoded = text.strip_prefix("h1:").ok_or(Error::BadH1)?;
        let Ok(bytes) = STANDARD.decode(encoded) else { return Err(Error::BadH1) };
        let Ok(bytes) = bytes.try_into() else { return Err(Error::BadH1) };
        Ok(Self(bytes))
    }
}

/// Hashes a go.mod as go.sum's `/go.mod` lines do: as the only file of a set, named `go.mod`.
#[must_use]
pub fn h1_of_mod(bytes: &[u8]) -> H1 {
    let mut summary = Summary::default();
    summary.add(&Sha256::digest(bytes).into(), [b"go.mod".as_slice()]);
    summary.finish()
}

/// The list that `h1:` is the SHA-256 of; files are added in the order of their names' bytes.
#[derive(Default)]
pub(crate) struct Summary(Sha256);

impl Summary {
    /// Adds a file by the SHA-256 of its content and its name, given in parts.
    pub(crate) fn add<'a>(&mut self, content: &[u8; 32], name: impl IntoIterator<Item = &'a [u8]>) {
        let mut hex = [0_u8; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(content) {
            pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
        self.0.update(hex);
        self.0.update(b"  ");
        for part in name {
            self.0.update(part);
        }
        self.0.update(b"\n");
    }

    pub(crate) fn finish(self) -> H1 {
        H1(self.0.finalize().into())
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of no file at all, known from go.sum files of empty modules.
    const EMPTY: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn no_files_hash_to_the_empty_sum() {
        assert_eq!(Summary::default().finish().to_string(), EMPTY);
    }

    #[test]
    fn lone_go_mod_hashes_as_in_go_sum() {
        // rsc.io/quote v1.5.2 and golang.org/x/text's pseudo-version, lines of many a go.sum.
        let quote = "module \"rsc.io/quote\"\n\nrequire \"rsc.io/sampler\" v1.3.0\n";
        assert_eq!(
            h1_of_mod(quote.as_bytes()).to_string(),
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0="
        );
        let text = "module golang.org/x/text\n";
        assert_eq!(
            h1_of_mod(text.as_bytes()).to_string(),
            "h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ="
        );
    }

    #[test]
    fn h1_survives_print_and_parse() {
        let h1 = H1::from_bytes(std::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        assert_eq!(h1.to_string().parse::<H1>().unwrap(), h1);
        assert_eq!(EMPTY.parse::<H1>().unwrap().to_string(), EMPTY);
    }

    #[test]
    fn other_texts_are_no_h1() {
        for text in [
            "",
            "h1:",
            "h2:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= ",
            "h1:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
            "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
            "h1:AAAA",
        ] {
            assert!(matches!(text.parse::<H1>(), Err(Error::BadH1)), "{text}");
        }
    }
}
