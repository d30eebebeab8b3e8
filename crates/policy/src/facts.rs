//! What larder knows of a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use units::Timestamp;

/// Largest facts document that is read, in bytes.
///
/// Facts hold a dozen short fields (about 1 KiB written); 64 KiB leaves room for what newer
/// releases add and keeps a damaged or planted file from being loaded whole.
pub const MAX_FACTS_BYTES: usize = 64 << 10;

/// What larder knows of a version: the one mutable object a version has.
///
/// Kept as JSON beside the module tree, indexed in the database, and all that a policy rule may
/// look at. Fields of a newer release are carried along in [`Facts::unknown`], so that an older
/// binary which rewrites a document does not lose them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// When larder first stored any file of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// The `.info` file, when it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<FileFacts>,
    /// The `.mod` file, when it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_mod: Option<FileFacts>,
    /// The `.zip` file, when it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip: Option<FileFacts>,
    /// That the version's tag was seen at another commit than the one it was served from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Fields that this release does not know, kept as they were read.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// What larder knows of one stored file.
///
/// Fields that this release does not know are dropped when the document is rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// SHA-256 of the stored bytes, lower-case hex. The `ETag` is made of it.
    pub sha256: String,
    /// Length of the stored file in bytes.
    pub size: u64,
    /// The `h1:` hash of a zip or a go.mod; an `.info` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h1: Option<String>,
    /// Name of the upstream that the bytes came from.
    pub origin: String,
    /// When the file was stored.
    pub stored: Timestamp,
    /// Who confirmed its hash; absent in a file that was stored before anybody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verification>,
}

/// Who confirmed a file's hash.
///
/// Written as an object with the field `by`, so that another way can be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verification {
    /// A checksum database, by a proof that ends in a signed tree head.
    Database {
        /// Its name.
        name: String,
        /// The number of the record.
        record: u64,
        /// The size of the tree that the proof is for.
        tree_size: u64,
        /// When that was.
        at: Timestamp,
    },
    /// Nobody yet: the database could not be asked, and the first answer was trusted.
    FirstUse,
    /// Nobody: the module is private, or named in GONOSUMDB.
    Exempt,
    /// Our own log is going to record it: until then it is served to nobody.
    Pending,
    /// Nobody: verification is off.
    Off,
    /// A way that this release does not know.
    #[serde(other)]
    Unknown,
}

impl Verification {
    /// Whether a database is to be asked as soon as one can be.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::FirstUse | Self::Off | Self::Unknown)
    }
}

impl std::fmt::Display for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database { name, tree_size, .. } => write!(f, "{name} at size {tree_size}"),
            Self::FirstUse => f.write_str("unconfirmed, trusted on first use"),
            Self::Exempt => f.write_str("exempt"),
            Self::Pending => f.write_str("not recorded yet"),
            Self::Off => f.write_str("off"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A tag that moved after its version was served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The commit that was served, in hex.
    pub was: String,
    /// The commit that the tag named when it was looked at; absent when the tag was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// When that was.
    pub seen: Timestamp,
}

impl Facts {
    /// Reads a facts document.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] past [`MAX_FACTS_BYTES`], [`Error::Malformed`] when the text is not
    /// the JSON of a facts document. Either way the version is to be hashed again, not fetched.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_FACTS_BYTES {
            return Err(Error::TooLarge { size: bytes.len() });
        }
        serde_json::from_slice(bytes).map_err(|source| Error::Malformed { source })
    }

    /// Writes the document as one line of JSON that ends with LF.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] when [`Facts::from_json`] would refuse to read it again.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = serde_json::to_vec(self).map_err(|source| Error::Malformed { source })?;
        bytes.push(b'\n');
        if bytes.len() > MAX_FACTS_BYTES {
            return Err(Error::TooLarge { size: bytes.len() });
        }
        Ok(bytes)
    }
}

/// Why a facts document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document is longer than [`MAX_FACTS_BYTES`].
    #[error("facts document is too large ({size} bytes; limit is {MAX_FACTS_BYTES} bytes)")]
    TooLarge {
        /// Length of the document in bytes.
        size: usize,
    },
    /// The document is not the JSON of a facts document.
    #[error("facts document is malformed")]
    Malformed {
        /// What the JSON reader said.
        #[source]
        source: serde_json::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Facts {
        let file = FileFacts {
            sha256: "ab".repeat(32),
            size: 1234,
            h1: Some("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned()),
            origin: "proxy.example.com".to_owned(),
            stored: Timestamp::from_unix_secs(1_700_000_000),
            verified: Some(Verification::Database {
                name: "sum.golang.org".to_owned(),
                record: 7,
                tree_size: 8,
                at: Timestamp::from_unix_secs(1_700_000_000),
            }),
        };
        Facts {
            first_seen: Some(Timestamp::from_unix_secs(1_600_000_000)),
            info: None,
            go_mod: Some(FileFacts { h1: None, ..file.clone() }),
            zip: Some(file),
            drift: Some(Drift {
                was: "1f".repeat(20),
                now: None,
                seen: Timestamp::from_unix_secs(1_700_000_001),
            }),
            unknown: BTreeMap::new(),
        }
    }

    #[test]
    fn facts_survive_a_round_trip() {
        let facts = sample();
        assert_eq!(Facts::from_json(&facts.to_json().unwrap()).unwrap(), facts);
    }

    #[test]
    fn empty_facts_are_an_empty_object() {
        assert_eq!(Facts::default().to_json().unwrap(), b"{}\n");
        assert_eq!(Facts::from_json(b"{}").unwrap(), Facts::default());
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        let text = String::from_utf8(sample().to_json().unwrap()).unwrap();
        assert!(text.contains(r#""first_seen":"2020-09-13T12:26:40Z""#), "{text}");
    }

    #[test]
    fn fields_of_a_newer_release_are_carried_along() {
        let text = br#"{"attested":{"by":["a","b"]}}"#;
        let facts = Facts::from_json(text).unwrap();
        let again = String::from_utf8(facts.to_json().unwrap()).unwrap();
        assert!(again.contains(r#""attested":{"by":["a","b"]}"#), "{again}");
    }

    #[test]
    fn unknown_fields_of_a_file_are_tolerated() {
        let text = br#"{"zip":{"sha256":"00","size":1,"origin":"x",
            "stored":"2024-01-01T00:00:00Z","packer":"git"}}"#;
        assert_eq!(Facts::from_json(text).unwrap().zip.unwrap().size, 1);
    }

    #[test]
    fn a_document_at_the_bound_is_read_and_one_byte_more_is_not() {
        let pad = |len: usize| {
            let mut text = b"{}".to_vec();
            text.resize(len, b' ');
            text
        };
        assert!(Facts::from_json(&pad(MAX_FACTS_BYTES)).is_ok());
        let size = MAX_FACTS_BYTES + 1;
        assert!(matches!(
            Facts::from_json(&pad(size)),
            Err(Error::TooLarge { size: found }) if found == size
        ));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let with = |len: usize| Facts {
            unknown: BTreeMap::from([("x".to_owned(), "x".repeat(len).into())]),
            ..Facts::default()
        };
        let frame = with(0).to_json().unwrap().len();
        assert!(with(MAX_FACTS_BYTES - frame).to_json().is_ok());
        assert!(matches!(with(MAX_FACTS_BYTES - frame + 1).to_json(), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn ways_of_verification_that_are_unknown_are_open() {
        let verification = |text: &str| serde_json::from_str::<Verification>(text).unwrap();
        assert_eq!(verification(r#"{"by":"oracle","x":1}"#), Verification::Unknown);
        assert_eq!(verification(r#"{"by":"first-use"}"#), Verification::FirstUse);
        assert!(Verification::Unknown.is_open() && Verification::FirstUse.is_open());
        assert!(!Verification::Exempt.is_open());
    }

    #[test]
    fn broken_documents_are_malformed() {
        for text in ["", "[]", "null", "{", r#"{"zip":{}}"#, r#"{"first_seen":"yesterday"}"#] {
            assert!(
                matches!(Facts::from_json(text.as_bytes()), Err(Error::Malformed { .. })),
                "{text}"
            );
        }
    }
}
