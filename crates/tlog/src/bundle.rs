//! Bundles: all that it takes to check one version offline, as one text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::head::decode_hashes;
use crate::note::is_plain;
use crate::record::module_of;
use crate::{Error, Inclusion, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES};
use crate::{Note, Proven, Record, SignedHead, TreeHead, VerifierKey, decimal};

/// Greatest size of a bundle: the greatest note and record, and two kilobytes more for the proof than
/// its 64 hashes take.
pub const MAX_BUNDLE_BYTES: usize = MAX_MESSAGE_BYTES + MAX_RECORD_BYTES + 5_000;

/// What a bundle begins with; a later format has another number.
const FIRST_LINE: &str = "go.sum database proof v1\n";

/// Holds a record, the proof that a tree holds it, and the signed head of the tree.
///
/// Prints as one text, of which there is only one for each bundle:
///
/// ```text
/// go.sum database proof v1
/// <number of the record>
/// <hash of the proof in base64>       one line each, from the leaf to the root
///
/// <text of the record>
///
/// <signed note with the tree head>
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    id: u64,
    inclusion: Inclusion,
    record: Record,
    message: String,
}

impl Bundle {
    /// Packs a record that was proven.
    ///
    /// # Errors
    ///
    /// [`Error::NotInTree`] when `inclusion` and `head` do not prove it; [`Error::Bundle`] when the
    /// first line of the record is not the one of the zip, from which the module is read.
    pub fn new(proven: &Proven, inclusion: &Inclusion, head: &SignedHead) -> Result<Self, Error> {
        let record = proven.record();
        inclusion.verify(&record.hash(), proven.id(), head.head())?;
        if module_of(record.text()).as_ref() != Some(record.module()) {
            return Err(Error::Bundle);
        }
        Ok(Self {
            id: proven.id(),
            inclusion: inclusion.clone(),
            record: record.clone(),
            message: head.message().to_owned(),
        })
    }

    /// Parses the text of a bundle; nothing in it is authenticated.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`] for other text and past [`MAX_BUNDLE_BYTES`]; [`Error::Record`] and
    /// [`Error::WrongModule`], [`Error::Note`] and [`Error::Head`] for the parts.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let (id, hashes, record, message) = split(text).ok_or(Error::Bundle)?;
        let module = module_of(record).ok_or(Error::Bundle)?;
        let record = Record::parse(&module, record)?;
        TreeHead::parse(&Note::parse(message.as_bytes())?.text)?;
        Ok(Self { id, inclusion: Inclusion { hashes }, record, message: message.to_owned() })
    }

    /// Returns the record, unverified.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns the number of the record, unverified.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Checks the signature and the proof.
    ///
    /// That the record is of the module in question is for the caller to compare.
    ///
    /// # Errors
    ///
    /// Those of [`SignedHead::open`]; [`Error::NotInTree`] when the proof does not hold.
    pub fn verify(&self, key: &VerifierKey) -> Result<Proven, Error> {
        let head = SignedHead::open(key, self.message.as_bytes())?;
        Proven::new(self.record.clone(), self.id, head.head(), &self.inclusion)
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}{}", self.id)?;
        for hash in &self.inclusion.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}\n{}", self.record.text(), self.message)
    }
}

/// Splits a bundle into id, proof, record with its last line feed, and signed note.
fn split(text: &[u8]) -> Option<(u64, Vec<Hash>, &str, &str)> {
    if text.len() > MAX_BUNDLE_BYTES {
        return None;
    }
    let text = std::str::from_utf8(text).ok().filter(|text| is_plain(text))?;
    let (proof, rest) = text.strip_prefix(FIRST_LINE)?.split_once("\n\n")?;
    let end = rest.find("\n\n")?;
    let (record, message) = rest.split_at_checked(end + 1)?;
    let mut lines = proof.split('\n');
    let id = decimal(lines.next()?)?;
    Some((id, decode_hashes(lines)?, record, message.strip_prefix('\n')?))
}
