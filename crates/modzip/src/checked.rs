//! The proof that content keeps the rules.

use gomod::ModVer;
use sha2::{Digest, Sha256};

use crate::{Error, H1, MAX_GO_MOD_BYTES, h1_of_mod};

/// Content that keeps the rules of its kind, with its hashes: proof for publication.
///
/// Made in this room only: by [`crate::check`], [`crate::Checker`] and [`Checked::go_mod`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    module: ModVer,
    kind: CheckedKind,
    sha256: [u8; 32],
    size: u64,
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedKind {
    /// A module zip.
    Zip {
        /// Hash of the zip's files.
        h1: H1,
        /// The bytes of the go.mod at its root, when it has one; at most [`MAX_GO_MOD_BYTES`].
        go_mod: Option<Vec<u8>>,
    },
    /// A `.mod` file alone.
    Mod {
        /// Hash of the file, as go.sum has it.
        h1: H1,
    },
}

impl Checked {
    /// Checks a `.mod` as an upstream sent it.
    ///
    /// Only its size is judged: the bytes are hashed as they are, and a declared path may differ
    /// from the module's (forks, renames), which the `go` command reports itself.
    ///
    /// # Errors
    ///
    /// [`Error::GoModTooLarge`] past [`MAX_GO_MOD_BYTES`].
    pub fn go_mod(module: &ModVer, bytes: &[u8]) -> Result<Self, Error> {
        let size = bytes.len() as u64;
        if size > MAX_GO_MOD_BYTES {
            return Err(Error::GoModTooLarge { size, limit: MAX_GO_MOD_BYTES });
        }
        let kind = CheckedKind::Mod { h1: h1_of_mod(bytes) };
        Ok(Self { module: module.clone(), kind, sha256: Sha256::digest(bytes).into(), size })
    }

    pub(crate) fn zip(module: ModVer, found: Found) -> Self {
        let Found { h1, go_mod, sha256, size } = found;
        Self { module, kind: CheckedKind::Zip { h1, go_mod }, sha256, size }
    }

    /// Returns the module version that the content was checked for.
    #[must_use]
    pub fn module(&self) -> &ModVer {
        &self.module
    }

    /// Returns what was checked, with what its kind adds.
    #[must_use]
    pub fn kind(&self) -> &CheckedKind {
        &self.kind
    }

    /// Returns the `h1:` hash: of the zip's files, or of the go.mod alone.
    #[must_use]
    pub fn h1(&self) -> &H1 {
        match &self.kind {
            CheckedKind::Zip { h1, .. } | CheckedKind::Mod { h1 } => h1,
        }
    }

    /// Returns the SHA-256 of the file's bytes as they are stored.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Returns the length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What the judgement of a zip found out.
pub(crate) struct Found {
    pub(crate) h1: H1,
    pub(crate) go_mod: Option<Vec<u8>>,
    pub(crate) sha256: [u8; 32],
    pub(crate) size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module() -> ModVer {
        let path = gomod::ModulePath::parse("example.com/m").unwrap();
        ModVer::new(path, gomod::Version::parse("v1.0.0").unwrap()).unwrap()
    }

    #[test]
    fn go_mod_is_hashed_as_it_is() {
        let bytes = b"module example.com/other\r\n\xff";
        let checked = Checked::go_mod(&module(), bytes).unwrap();
        assert_eq!(checked.h1(), &h1_of_mod(bytes));
        assert_eq!(checked.sha256(), &<[u8; 32]>::from(Sha256::digest(bytes)));
        assert_eq!(checked.size(), bytes.len() as u64);
        assert_eq!(checked.module(), &module());
        assert!(matches!(checked.kind(), CheckedKind::Mod { .. }));
    }

    #[test]
    fn go_mod_of_16_mib_is_checked_and_one_byte_more_is_not() {
        let mut bytes = vec![b'/'; usize::try_from(MAX_GO_MOD_BYTES).unwrap()];
        assert!(Checked::go_mod(&module(), &bytes).is_ok());
        bytes.push(b'/');
        assert!(matches!(
            Checked::go_mod(&module(), &bytes),
            Err(Error::GoModTooLarge { size, limit }) if size == limit + 1
        ));
    }
}
