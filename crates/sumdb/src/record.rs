//! The seam of verified ingest: what a database says of one version.

use std::fmt;

use gomod::ModVer;
use modzip::Checked;

use crate::{Error, Sumdb};

impl Sumdb {
    /// What the database records of a version.
    ///
    /// In this step no database is asked: every record says [`Verification::NotConfigured`].
    ///
    /// # Errors
    ///
    /// None in this step.
    #[expect(clippy::unused_async, reason = "the seam: the next step asks a database here")]
    pub async fn record(&self, module: &ModVer) -> Result<Record, Error> {
        Ok(Record { module: module.clone() })
    }
}

/// What a database says of one version.
#[derive(Debug, Clone)]
pub struct Record {
    module: ModVer,
}

impl Record {
    /// Compares content with the record. Pure.
    ///
    /// In this step the hash is compared with nothing, but the module must be the record's own.
    ///
    /// # Errors
    ///
    /// The content is another module's or, when a database is asked, has another hash.
    pub fn confirm(self, content: &Checked) -> Result<Verified, Mismatch> {
        let by = Verification::NotConfigured;
        if *content.module() != self.module {
            return Err(Mismatch { module: content.module().clone(), database: by.to_string() });
        }
        Ok(Verified { module: self.module, sha256: *content.sha256(), by })
    }
}

/// Proof that content was held against a record; publication asks for it.
///
/// Made by [`Record::confirm`] only, and good for exactly the content that was confirmed.
#[derive(Debug, Clone)]
pub struct Verified {
    module: ModVer,
    sha256: [u8; 32],
    by: Verification,
}

impl Verified {
    /// Whether this proof is about this content: the same module and the same bytes.
    #[must_use]
    pub fn covers(&self, content: &Checked) -> bool {
        self.module == *content.module() && self.sha256 == *content.sha256()
    }

    /// Who confirmed it.
    #[must_use]
    pub fn by(&self) -> &Verification {
        &self.by
    }
}

/// Who confirmed a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verification {
    /// Nobody: no database is asked yet.
    NotConfigured,
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("not configured"),
        }
    }
}

/// Content that is not what the database records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{module} does not have the hash that {database} records")]
pub struct Mismatch {
    /// The content's module.
    pub module: ModVer,
    /// The database's name.
    pub database: String,
}
