//! C2SP tlog-proof: a record, its place and a checkpoint, as tools for any transparency log read it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::head::decode_hashes;
use crate::note::is_plain;
use crate::record::module_of;
use crate::{Checkpoint, Error, Inclusion, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES};
use crate::{Note, Proven, Record, SignedCheckpoint, VerifierKey, decimal};

/// Greatest size of a proof: the greatest checkpoint, the greatest record in base64, and two
/// kilobytes more than the lines between take.
pub const MAX_TLOG_PROOF_BYTES: usize = MAX_MESSAGE_BYTES + MAX_EXTRA_BYTES + 5_000;

/// Greatest length of the `extra` line's base64.
const MAX_EXTRA_BYTES: usize = MAX_RECORD_BYTES.div_ceil(3) * 4;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1\n";

/// Holds a record, the proof that a tree holds it, and the signed checkpoint of the tree.
///
/// Prints as C2SP tlog-proof, version 1. What the leaf is made of, the text of the record, stands
/// in the `extra` line, so that the proof is checked from its text alone:
///
/// ```text
/// c2sp.org/tlog-proof@v1
/// extra <text of the record in base64>
/// index <number of the record>
/// <hash of the proof in base64>       one line each, from the leaf to the root
///
/// <signed checkpoint>
/// ```
///
/// Source: C2SP tlog-proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    id: u64,
    inclusion: Inclusion,
    record: Record,
    message: String,
}

impl TlogProof {
    /// Packs a record that was proven.
    ///
    /// # Errors
    ///
    /// [`Error::NotInTree`] when `inclusion` and `checkpoint` do not prove it; [`Error::Bundle`] when
    /// the first line of the record is not the one of the zip, from which the module is read.
    pub fn new(
        proven: &Proven,
        inclusion: &Inclusion,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Self, Error> {
        let record = proven.record();
        inclusion.verify(&record.hash(), proven.id(), checkpoint.head())?;
        if module_of(record.text()).as_ref() != Some(record.module()) {
            return Err(Error::Bundle);
        }
        Ok(Self {
            id: proven.id(),
            inclusion: inclusion.clone(),
            record: record.clone(),
            message: checkpoint.message().to_owned(),
        })
    }

    /// Returns whether a text begins as a proof of this kind does.
    #[must_use]
    pub fn is_one(text: &[u8]) -> bool {
        text.starts_with(FIRST_LINE.as_bytes())
    }

    /// Parses the text of a proof that carries its record; nothing in it is authenticated.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`] for other text, without an `extra` line, and past
    /// [`MAX_TLOG_PROOF_BYTES`]; [`Error::Record`] and [`Error::WrongModule`], [`Error::Note`],
    /// [`Error::Head`] and [`Error::Name`] for the parts.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let Parts { id, inclusion, record, message } = Parts::of(text).ok_or(Error::Bundle)?;
        let module = module_of(&record).ok_or(Error::Bundle)?;
        let record = Record::parse(&module, &record)?;
        Checkpoint::parse(&Note::parse(message.as_bytes())?.text)?;
        Ok(Self { id, inclusion, record, message: message.to_owned() })
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

    /// Checks the log's signature and the proof; cosignatures are ignored.
    ///
    /// That the record is of the module in question is for the caller to compare.
    ///
    /// # Errors
    ///
    /// Those of [`SignedCheckpoint::open`]; [`Error::NotInTree`] when the proof does not hold.
    pub fn verify(&self, key: &VerifierKey) -> Result<Proven, Error> {
        let checkpoint = SignedCheckpoint::open(key, self.message.as_bytes())?;
        Proven::new(self.record.clone(), self.id, checkpoint.head(), &self.inclusion)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extra = STANDARD.encode(self.record.text());
        writeln!(f, "{FIRST_LINE}extra {extra}\nindex {}", self.id)?;
        for hash in &self.inclusion.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.message)
    }
}

/// What a proof is made of.
struct Parts<'a> {
    id: u64,
    inclusion: Inclusion,
    record: String,
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        if text.len() > MAX_TLOG_PROOF_BYTES {
            return None;
        }
        let text = std::str::from_utf8(text).ok().filter(|text| is_plain(text))?;
        let (proof, message) = text.strip_prefix(FIRST_LINE)?.split_once("\n\n")?;
        let mut lines = proof.split('\n');
        let extra = lines.next()?.strip_prefix("extra ")?;
        let record = (extra.len() <= MAX_EXTRA_BYTES).then(|| STANDARD.decode(extra).ok())??;
        let id = decimal(lines.next()?.strip_prefix("index ")?)?;
        let hashes = decode_hashes(lines)?;
        let record = String::from_utf8(record).ok()?;
        Some(Self { id, inclusion: Inclusion { hashes }, record, message })
    }
}
