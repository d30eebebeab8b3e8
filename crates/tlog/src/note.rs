//! Signed notes, structure only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, VerifierKey};

/// Greatest size of a note or look-up answer. Source: golang/mod `tlog.ParseTree` (1e6).
pub const MAX_MESSAGE_BYTES: usize = 1_000_000;
/// Greatest number of signature lines. Source: golang/mod `note.Open`.
pub const MAX_SIGNATURES: usize = 100;

/// What a signature line begins with: an em dash and a blank.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// Holds a text and the signatures below it, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The signed text, its last line feed included.
    pub text: String,
    /// The signatures in the order of their lines; at least one.
    pub signatures: Vec<Signature>,
}

/// Holds one signature of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the signer; not empty, without white space and `+`.
    pub name: String,
    /// The id of the signer's key.
    pub key_id: u32,
    /// The signature itself, of a form that the type of the key decides; not empty.
    pub bytes: Vec<u8>,
}

impl Note {
    /// Parses a signed note.
    ///
    /// One bad signature line spoils the note, one of an unknown signer too. Source: golang/mod
    /// `note.Open`; C2SP signed-note.
    ///
    /// # Errors
    ///
    /// [`Error::Note`] for other text and past the limits.
    pub fn parse(message: &[u8]) -> Result<Self, Error> {
        parse(message).ok_or(Error::Note)
    }

    /// Checks that a key signed the text.
    ///
    /// The first signature of the key's name and id must verify; further ones of it and those of
    /// other keys do not count. Source: golang/mod `note.Open`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsigned`] without a signature of the key, [`Error::Signature`] for a wrong one.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), Error> {
        let is_of_key = |signature: &&Signature| {
            signature.key_id == key.id() && signature.name == key.name().as_str()
        };
        let Some(signature) = self.signatures.iter().find(is_of_key) else {
            return Err(Error::Unsigned { name: key.name().clone() });
        };
        if key.verify(&self.text, &signature.bytes) {
            Ok(())
        } else {
            Err(Error::Signature { name: key.name().clone() })
        }
    }

    /// Returns the note as it is written: [`Note::parse`] of it is this note.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = format!("{}\n", self.text);
        for signature in &self.signatures {
            let mut bytes = signature.key_id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&signature.bytes);
            message.push_str(SIGNATURE_MARK);
            message.push_str(&signature.name);
            message.push(' ');
            STANDARD.encode_string(&bytes, &mut message);
            message.push('\n');
        }
        message
    }
}

fn parse(message: &[u8]) -> Option<Note> {
    let message = plain_text(message)?;
    // The last empty line counts: the text may have others.
    let (text, lines) = message.rsplit_once("\n\n")?;
    let lines = lines.strip_suffix('\n')?;
    if lines.split('\n').nth(MAX_SIGNATURES).is_some() {
        return None;
    }
    let signatures = lines.split('\n').map(signature).collect::<Option<_>>()?;
    Some(Note { text: format!("{text}\n"), signatures })
}

fn signature(line: &str) -> Option<Signature> {
    let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
        return None;
    }
    let bytes = STANDARD.decode(base64).ok()?;
    let (key_id, bytes) = bytes.split_first_chunk()?;
    let key_id = u32::from_be_bytes(*key_id);
    (!bytes.is_empty()).then(|| Signature { name: name.to_owned(), key_id, bytes: bytes.to_vec() })
}

/// Returns a message that is UTF-8 without control characters but line feeds, and not too long.
pub(crate) fn plain_text(message: &[u8]) -> Option<&str> {
    if message.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    std::str::from_utf8(message).ok().filter(|text| is_plain(text))
}

/// Whether text has no control characters below U+0020 but line feeds.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' || byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "go.sum database tree\n1\nWR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=\n";
    const SIGNATURE: &str = "\u{2014} sumdb.golden.example oSmN4DyE4ZJOi47vD3p4R6txHistcsZdyLUtIxj0yxvJfohA1fVSuOqhBT9CWUHOCuI0qifb7VWNfRsT0soMesxUPgA=\n";

    fn note(text: &str) -> Result<Note, Error> {
        Note::parse(text.as_bytes())
    }

    #[test]
    fn text_and_signatures_are_parted() {
        let note = note(&format!("{TEXT}\n{SIGNATURE}{SIGNATURE}")).unwrap();
        assert_eq!(note.text, TEXT);
        assert_eq!(note.signatures.len(), 2);
        let signature = note.signatures.first().unwrap();
        assert_eq!(signature.name, "sumdb.golden.example");
        assert_eq!(signature.key_id, 0xa129_8de0);
        assert_eq!(signature.bytes.len(), 64);
    }

    #[test]
    fn a_note_is_written_as_it_was_read() {
        for text in [
            format!("{TEXT}\n{SIGNATURE}{SIGNATURE}"),
            format!("a\n\nb\n\n{SIGNATURE}"),
            format!("\n\n\u{2014} é AAAAAQI=\n{SIGNATURE}"),
        ] {
            assert_eq!(note(&text).unwrap().message(), text);
        }
    }

    #[test]
    fn the_last_empty_line_parts() {
        let note = note(&format!("a\n\nb\n\n{SIGNATURE}")).unwrap();
        assert_eq!(note.text, "a\n\nb\n");
    }

    #[test]
    fn other_messages_are_refused() {
        for text in [
            String::new(),
            TEXT.to_owned(),
            format!("{TEXT}\n"),
            format!("{TEXT}{SIGNATURE}"),
            format!("{TEXT}\n{}", SIGNATURE.trim_end()),
            format!("{TEXT}\n{SIGNATURE}\n"),
            format!("{TEXT}\n{SIGNATURE}x\n"),
            format!("{TEXT}\r\n{SIGNATURE}"),
            format!("{TEXT}\0\n{SIGNATURE}"),
            format!("{TEXT}\n{}", SIGNATURE.replace('\u{2014}', "-")),
            format!("{TEXT}\n{}", SIGNATURE.replace("sumdb.", "sumdb+")),
            format!("{TEXT}\n{}", SIGNATURE.replace("sumdb.", "sumdb\u{a0}")),
            format!("{TEXT}\n{}", SIGNATURE.replace("sumdb.golden.example", "")),
            format!("{TEXT}\n{}", SIGNATURE.replace("PgA=", "PgA")),
            format!("{TEXT}\n{}", SIGNATURE.replace("PgA=", "PgB=")),
            format!("{TEXT}\n\u{2014} a AAAAAA==\n"),
            format!("{TEXT}\n\u{2014} a\n"),
        ] {
            assert_eq!(note(&text), Err(Error::Note), "{text}");
        }
        assert_eq!(Note::parse(b"a\xff\n\n\xe2\x80\x94 a AAAAAAA=\n"), Err(Error::Note));
    }

    #[test]
    fn a_signature_has_at_least_one_byte() {
        let five = note("a\n\n\u{2014} b AAAAAQI=\n").unwrap();
        assert_eq!(five.signatures, [Signature { name: "b".into(), key_id: 1, bytes: vec![2] }]);
        assert_eq!(note("a\n\n\u{2014} b AAAAAQ==\n"), Err(Error::Note));
    }

    #[test]
    fn signatures_are_bounded() {
        let signed = |count: usize| format!("{TEXT}\n{}", SIGNATURE.repeat(count));
        assert_eq!(note(&signed(MAX_SIGNATURES)).unwrap().signatures.len(), MAX_SIGNATURES);
        assert_eq!(note(&signed(MAX_SIGNATURES + 1)), Err(Error::Note));
    }

    #[test]
    fn size_is_bounded() {
        let tail = format!("\n\n{SIGNATURE}");
        let message = |bytes: usize| format!("{}{tail}", "x".repeat(bytes - tail.len()));
        assert!(note(&message(MAX_MESSAGE_BYTES)).is_ok());
        assert_eq!(note(&message(MAX_MESSAGE_BYTES + 1)), Err(Error::Note));
    }

    proptest! {
        #[test]
        fn no_message_panics(bytes: Vec<u8>, text in "(a|\n|\u{2014} |AAAAAAA=| )*") {
            let _ = Note::parse(&bytes);
            let _ = Note::parse(text.as_bytes());
        }
    }
}
