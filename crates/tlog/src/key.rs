//! Verifier keys of checksum databases.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Error, LogName, Signature};

/// The type byte of an Ed25519 key.
const ED25519: u8 = 1;
/// What a private key begins with. Source: golang/mod `note.NewSigner`.
const PRIVATE: &str = "PRIVATE+KEY+";

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

    /// Returns whether `signature` is the key's for `text`.
    ///
    /// Stricter than Go: keys and signatures of small order, which prove nothing, never verify.
    #[must_use]
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&self.public) else { return false };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        key.verify_strict(text.as_bytes(), &signature).is_ok()
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

/// Holds the private key of a checksum database.
///
/// Never shown by `Debug`; wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningKey {
    name: LogName,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// Makes the key of a name from 32 random bytes.
    #[must_use]
    pub fn from_seed(name: LogName, seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { name, key: ed25519_dalek::SigningKey::from_bytes(&seed) }
    }

    /// Parses `PRIVATE+KEY+name+hash+key`.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] for other text, another type than Ed25519 or a hash that does not belong to
    /// name and key; [`Error::Name`] when the name is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(PRIVATE).ok_or(Error::Key)?;
        let (name, rest) = rest.split_once('+').ok_or(Error::Key)?;
        let (hash, base64) = rest.split_once('+').ok_or(Error::Key)?;
        let name = LogName::parse(name)?;
        let mut typed = Zeroizing::new([0; 33]);
        let is_whole = base64.len() == 44
            && STANDARD.decode_slice(base64, typed.as_mut_slice()).is_ok_and(|bytes| bytes == 33);
        let [ED25519, seed @ ..] = &*typed else { return Err(Error::Key) };
        let key = Self { name, key: ed25519_dalek::SigningKey::from_bytes(seed) };
        // Go reads a private key without comparing; a hash that is not its own is a mistake.
        if !is_whole || parse_id(hash) != Some(key.verifier().id) {
            return Err(Error::Key);
        }
        Ok(key)
    }

    /// Returns the key as it is written; whoever calls this keeps it secret.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut typed = Zeroizing::new([ED25519; 33]);
        for (byte, seed) in typed.iter_mut().skip(1).zip(self.key.as_bytes()) {
            *byte = *seed;
        }
        let start = format!("{PRIVATE}{}+{:08x}+", self.name, self.verifier().id);
        // Large enough from the start: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(start.len() + 44));
        text.push_str(&start);
        STANDARD.encode_string(*typed, &mut text);
        text
    }

    /// Returns the key that verifies what this one signs.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        let public = self.key.verifying_key().to_bytes();
        VerifierKey { id: key_id(&self.name, &public), name: self.name.clone(), public }
    }

    /// Signs the text of a note; the same text always gives the same signature.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        Signature {
            name: self.name.as_str().to_owned(),
            key_id: self.verifier().id,
            bytes: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
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

    fn private() -> SigningKey {
        let seed = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
        SigningKey::from_seed(LogName::parse("sumdb.golden.example").unwrap(), seed)
    }

    #[test]
    fn a_private_key_parses_and_is_written() {
        let text = private().reveal();
        assert_eq!(
            text.as_str(),
            "PRIVATE+KEY+sumdb.golden.example+a1298de0+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
        );
        let parsed = SigningKey::parse(&text).unwrap();
        assert_eq!(*parsed.reveal(), *text);
        assert_eq!(parsed.verifier().to_string(), GOLDEN);
    }

    #[test]
    fn other_private_keys_are_refused() {
        let text = private().reveal();
        for bad in [
            String::new(),
            GOLDEN.to_owned(),
            text.replace("PRIVATE+KEY+", ""),
            text.replace("PRIVATE+KEY+", "PRIVATE+KEY"),
            text.replace("a1298de0", "a1298de1"),
            text.replace("golden", "g0lden"),
            text.replace("AQABAg", "AQABAh"),
            text.replace("AQABAg", "AgABAg"),
            text.replace("HR4f", "HR4"),
            text.replace("HR4f", "HR4="),
            text.replace("HR4f", "HR4fAAAA"),
            format!("{}\n", *text),
        ] {
            assert_eq!(SigningKey::parse(&bad).err(), Some(Error::Key), "{bad}");
        }
        let named = text.replace("sumdb.golden", "sumdb..golden");
        assert_eq!(SigningKey::parse(&named).err(), Some(Error::Name));
    }

    #[test]
    fn a_private_key_does_not_show_itself() {
        let shown = format!("{:?}", private());
        assert_eq!(shown, r#"SigningKey { name: LogName("sumdb.golden.example"), .. }"#);
    }

    #[test]
    fn what_is_signed_verifies_for_that_text_and_key_alone() {
        let (signing, key) = (private(), VerifierKey::parse(GOLDEN).unwrap());
        let signature = signing.sign("a text\n");
        assert_eq!((signature.name.as_str(), signature.key_id), (key.name().as_str(), key.id()));
        assert!(key.verify("a text\n", &signature.bytes));
        assert!(!key.verify("a text", &signature.bytes));
        let other = SigningKey::from_seed(key.name().clone(), [1; 32]).verifier();
        assert!(!other.verify("a text\n", &signature.bytes));
        assert_eq!(signing.sign("a text\n"), signature);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z.]{0,8}\\+[0-9a-fé]{0,9}\\+[A-Za-z0-9+/=]{0,48}") {
            let _ = VerifierKey::parse(&text);
            let _ = SigningKey::parse(&format!("{PRIVATE}{text}"));
        }
    }
}
