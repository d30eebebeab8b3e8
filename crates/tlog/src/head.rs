//! Tree heads: what a checksum database signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::{Error, MAX_PROOF_HASHES, Note, VerifierKey, decimal};

/// Holds the size and root of a checksum database's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// How many records the tree holds; at most 2^63 - 1.
    pub size: u64,
    /// The root hash.
    pub root: [u8; 32],
}

impl TreeHead {
    /// Parses the text of a signed tree head.
    ///
    /// Lines behind the root are ignored, as the `go` command does; nothing may ever be looked for
    /// in them (CVE-2026-56864). Source: golang/mod `tlog.ParseTree`.
    ///
    /// # Errors
    ///
    /// [`Error::Head`] for other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse(text).ok_or(Error::Head)
    }

    /// Returns the text to be signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("go.sum database tree\n{}\n{}\n", self.size, STANDARD.encode(self.root))
    }
}

/// Holds a tree head whose note a key signed: made by [`SignedHead::open`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    head: TreeHead,
    message: String,
    has_extensions: bool,
}

impl SignedHead {
    /// Opens a signed tree head.
    ///
    /// # Errors
    ///
    /// [`Error::Note`] and [`Error::Head`] for other text, [`Error::Unsigned`] and
    /// [`Error::Signature`] when the key did not sign it.
    pub fn open(key: &VerifierKey, message: &[u8]) -> Result<Self, Error> {
        let note = Note::parse(message)?;
        note.verify(key)?;
        let head = TreeHead::parse(&note.text)?;
        let has_extensions = head.text() != note.text;
        let message = std::str::from_utf8(message).ok().ok_or(Error::Note)?.to_owned();
        Ok(Self { head, message, has_extensions })
    }

    /// Returns the head.
    #[must_use]
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Returns how many records the tree holds.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// Returns the signed note as it came.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns whether lines stand below the root: suspicious, for no known log writes any.
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        self.has_extensions
    }
}

fn parse(text: &str) -> Option<TreeHead> {
    let (size, rest) = text.strip_prefix("go.sum database tree\n")?.split_once('\n')?;
    let (root, _extensions) = rest.split_once('\n')?;
    Some(TreeHead { size: decimal(size)?, root: decode_hash(root)? })
}

/// Reads a hash as it is written: 44 characters of padded base64, one way only.
pub(crate) fn decode_hash(base64: &str) -> Option<Hash> {
    // 32 bytes are 44 digits; more is not worth decoding.
    let bytes = (base64.len() == 44).then(|| STANDARD.decode(base64).ok()).flatten()?;
    bytes.try_into().ok()
}

/// The hashes of a proof, one a line; `None` past [`MAX_PROOF_HASHES`].
pub(crate) fn decode_hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Hash>> {
    let hashes: Vec<_> =
        lines.take(MAX_PROOF_HASHES + 1).map(decode_hash).collect::<Option<_>>()?;
    (hashes.len() <= MAX_PROOF_HASHES).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=";

    #[test]
    fn a_head_has_size_and_root() {
        let head = TreeHead::parse(&format!("go.sum database tree\n35225469\n{ROOT}\n")).unwrap();
        assert_eq!(head.size, 35_225_469);
        assert_eq!(STANDARD.encode(head.root), ROOT);
    }

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 35_225_469, i64::MAX.cast_unsigned()] {
            let head = TreeHead { size, root: [9; 32] };
            assert_eq!(TreeHead::parse(&head.text()), Ok(head));
        }
    }

    #[test]
    fn further_lines_are_ignored() {
        let text = format!("go.sum database tree\n2\n{ROOT}\na.b v1.0.0 h1:x\n\n");
        assert_eq!(TreeHead::parse(&text).unwrap().size, 2);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            String::new(),
            format!("go.sum database tree\n2\n{ROOT}"),
            format!("go.sum database tree\n02\n{ROOT}\n"),
            format!("go.sum database tree\n-2\n{ROOT}\n"),
            format!("go.sum database tree\n9223372036854775808\n{ROOT}\n"),
            format!("go.sum database tree\n\n{ROOT}\n"),
            format!("go.sum database tree \n2\n{ROOT}\n"),
            format!("example.com/log\n2\n{ROOT}\n"),
            format!("go.sum database tree\n2\n{}\n", &ROOT[4..]),
            format!("go.sum database tree\n2\n{}\n", ROOT.replace("CQ=", "CR=")),
            format!("go.sum database tree\n2\nAAAA{ROOT}\n"),
            format!("go.sum database tree\n2 \n{ROOT}\n"),
        ] {
            assert_eq!(TreeHead::parse(&text), Err(Error::Head), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(go\\.sum database tree\n)?[0-9]{0,20}\n?[A-Za-z0-9+/=]{40,46}\n?") {
            let _ = TreeHead::parse(&text);
        }
    }
}
