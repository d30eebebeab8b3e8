//! What a database says of one version, and whether content agrees.

use gomod::ModVer;
use modzip::{Checked, CheckedKind};
use policy::Verification;

use crate::Metrics;

/// What a database says of one version.
#[derive(Debug, Clone)]
pub struct Record {
    module: ModVer,
    hashes: Option<Hashes>,
    by: Verification,
    metrics: Metrics,
}

/// The two hashes of a record.
#[derive(Debug, Clone)]
struct Hashes {
    database: String,
    zip_h1: String,
    mod_h1: String,
}

impl Record {
    /// A record that was proven.
    pub(crate) fn proven(
        record: &tlog::Record,
        database: &str,
        by: Verification,
        metrics: &Metrics,
    ) -> Self {
        let hashes = Hashes {
            database: database.to_owned(),
            zip_h1: record.zip_h1().to_owned(),
            mod_h1: record.mod_h1().to_owned(),
        };
        let module = record.module().clone();
        Self { module, hashes: Some(hashes), by, metrics: metrics.clone() }
    }

    /// No database says anything; `by` says why that is good enough.
    pub(crate) fn without_hashes(module: &ModVer, by: Verification, metrics: &Metrics) -> Self {
        Self { module: module.clone(), hashes: None, by, metrics: metrics.clone() }
    }

    /// Compares content with the record, a zip with its zip hash, a `.mod` with its go.mod hash.
    ///
    /// Pure, but for a counter.
    ///
    /// # Errors
    ///
    /// The content is another module's, or has another hash.
    pub fn confirm(self, content: &Checked) -> Result<Verified, Mismatch> {
        let found = content.h1().to_string();
        let expected = match (&self.hashes, content.kind()) {
            _ if *content.module() != self.module => {
                let (expected, found) = (self.module.to_string(), content.module().to_string());
                return Err(self.mismatch(expected, found));
            }
            (None, _) => None,
            (Some(hashes), CheckedKind::Zip { .. }) => Some(&hashes.zip_h1),
            (Some(hashes), CheckedKind::Mod { .. }) => Some(&hashes.mod_h1),
        };
        if let Some(expected) = expected.filter(|expected| **expected != found).cloned() {
            return Err(self.mismatch(expected, found));
        }
        self.metrics.confirmed(&self.by);
        Ok(Verified { module: self.module, sha256: *content.sha256(), by: self.by })
    }

    fn mismatch(self, expected: String, found: String) -> Mismatch {
        self.metrics.mismatched();
        let database = self.hashes.map_or_else(|| self.by.to_string(), |hashes| hashes.database);
        Mismatch { module: self.module, database, expected, found }
    }

    /// The hash of the zip and that of the go.mod file; `None` when no database was asked.
    #[must_use]
    pub fn expected(&self) -> Option<(&str, &str)> {
        self.hashes.as_ref().map(|hashes| (hashes.zip_h1.as_str(), hashes.mod_h1.as_str()))
    }

    /// Who confirms by it.
    #[must_use]
    pub fn by(&self) -> &Verification {
        &self.by
    }

    /// Whether a database is to be asked as soon as one can be.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.by.is_open()
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

/// Content that is not what the database records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("checksum mismatch: {database} records {expected} for {module}, the content is {found}")]
pub struct Mismatch {
    /// The module of the record.
    pub module: ModVer,
    /// The database's name, or why none was asked.
    pub database: String,
    /// What the record says.
    pub expected: String,
    /// What the content has.
    pub found: String,
}
