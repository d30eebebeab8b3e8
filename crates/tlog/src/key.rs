//! Verifier keys of checksum databases.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::{Error, LogName};

/// The type byte of an Ed25519 key.
const ED25519: u8 = 1;

/// Holds the public key of a checksum database, written `name+hash+key`.
///
/// The hash, which Go calls key hash and C2SP key id, was compared with that of name and key.
/// Prints as it is written. Source: golang/mod `note.NewVerifier`; C2SP signed-note.
///
/// ```
/// let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
/// let key: tlog::VerifierKey = text.parse()?;
/// assert_eq!((key.name().as_str(), key.id()), ("sum.golang.org", 0x033d_e0ae));
/// # Ok::<(), tlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: LogName,
    id: u32,
    public: [u8; 32],
}

impl VerifierKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] for other text, another type than Ed25519 or a hash that does not belong to
    /// name and key; [`Error::Name`] when the name is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (name, rest) = text.split_once('+').ok_or(Error::Key)?;
        let (hash, base64) = rest.split_once('+').ok_or(Error::Key)?;
        let name = LogName::parse(name)?;
        let id = parse_id(hash).ok_or(Error::Key)?;
        // A key is 33 bytes; more text is not worth decoding.
        let bytes = (base64.len() == 44).then(|| STANDARD.decode(base64).ok()).flatten();
        let Some([ED25519, public @ ..]) = bytes.as_deref() else { return Err(Error::Key) };
        let public = <[u8; 32]>::try_from(public).ok().ok_or(Error::Key)?;
        if id != key_id(&name, &public) {
            return Err(Error::Key);
        }
        Ok(Self { name, id, public })
    }

    /// Returns the name of the database.
    #[must_use]
    pub fn name(&self) -> &LogName {
        &self.name
    }

    /// Returns the first four bytes of the SHA-256 of name and key, big endian.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the Ed25519 public key.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed: Vec<u8> = std::iter::once(ED25519).chain(self.public).collect();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(typed))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

fn parse_id(hash: &str) -> Option<u32> {
    let valid = hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(hash, 16).ok().filter(|_id| valid)
}

fn key_id(name: &LogName, public: &[u8; 32]) -> u32 {
    let mut hash = Sha256::new();
    hash.update(name.as_str());
    hash.update([b'\n', ED25519]);
    hash.update(public);
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN: &str =
        "sumdb.golden.example+a1298de0+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";

    #[test]
    fn a_key_parses_and_prints() {
        let key = VerifierKey::parse(GOLDEN).unwrap();
        assert_eq!((key.name().as_str(), key.id()), ("sumdb.golden.example", 0xa129_8de0));
        assert_eq!(key.public()[..2], [0x03, 0xa1]);
        assert_eq!(key.to_string(), GOLDEN);
        // Go reads the hash in either case.
        assert_eq!(VerifierKey::parse(&GOLDEN.replace("a1298de0", "A1298DE0")), Ok(key));
    }

    #[test]
    fn keys_that_do_not_belong_together_are_refused() {
        for text in [
            GOLDEN.replace("a1298de0", "a1298de1"),
            GOLDEN.replace("golden", "g0lden"),
            GOLDEN.replace("AQOhB", "AQOhC"),
            GOLDEN.replace("AQOhB", "AgOhB"),
            GOLDEN.replace("a1298de0", "+1298de0"),
            GOLDEN.replace("a1298de0", "a1298de"),
            GOLDEN.replace("VTG4", "VTG"),
            GOLDEN.replace("VTG4", "VTE="),
            format!("{GOLDEN} https://sumdb.golden.example"),
            "sum.golang.org".to_owned(),
            "sum.golang.org+033de0ae".to_owned(),
            String::new(),
        ] {
            assert_eq!(VerifierKey::parse(&text), Err(Error::Key), "{text}");
        }
        let named = GOLDEN.replace("sumdb.golden.example", "Sumdb.golden.example");
        assert_eq!(VerifierKey::parse(&named), Err(Error::Name));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z.]{0,8}\\+[0-9a-fé]{0,9}\\+[A-Za-z0-9+/=]{0,48}") {
            let _ = VerifierKey::parse(&text);
        }
    }
}
