//! What is stored, for `fsck`: versions with their files, and strangers.

use std::{collections::BTreeMap, path::PathBuf};

use gomod::{ModVer, ModulePath, Version};
use tokio::sync::mpsc;

use crate::{
    Error,
    key::{Part, VersionFile},
};

/// Most files in one folder that are read into memory: all those of one module.
///
/// The largest public modules have a few thousand versions of four files.
pub const MAX_FOLDER_ENTRIES: usize = 1_000_000;

/// Deepest folder, counted from `modules/`, that a walk enters; what lies below is a stranger.
pub const MAX_TREE_DEPTH: usize = 128;

/// One finding of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A version, and which of its files are here.
    Version {
        /// The version.
        module: ModVer,
        /// Its `.info` is here.
        info: bool,
        /// Its `.mod` is here.
        go_mod: bool,
        /// Its zip is here.
        zip: bool,
        /// Its `.ziphash` is here.
        zip_hash: bool,
        /// Its facts are here.
        facts: bool,
    },
    /// A path inside the data folder that names nothing of ours.
    Stranger(PathBuf),
}

impl Found {
    /// Are facts all that is left of the version?
    pub(crate) fn is_facts_only(&self) -> bool {
        matches!(
            self,
            Self::Version {
                info: false,
                go_mod: false,
                zip: false,
                zip_hash: false,
                facts: true,
                ..
            }
        )
    }
}

/// Everything in `modules/` and `facts/`, found one by one. Memory stays bounded by the largest
/// module. Changes made meanwhile may or may not be seen. Dropped: the walk ends.
#[derive(Debug)]
pub struct Walk {
    findings: mpsc::Receiver<Result<Found, Error>>,
}

impl Walk {
    pub(crate) fn over(findings: mpsc::Receiver<Result<Found, Error>>) -> Self {
        Self { findings }
    }

    /// Returns the next finding; `None` at the end. Cancel safe.
    ///
    /// Versions of one module come together and in order; modules in no order; versions of which
    /// only facts are left come last.
    ///
    /// # Errors
    /// `Io` when a folder cannot be read, `TooLarge` when one holds more than
    /// [`MAX_FOLDER_ENTRIES`]; the walk is over then.
    pub async fn next(&mut self) -> Result<Option<Found>, Error> {
        self.findings.recv().await.transpose()
    }
}

/// The files of one module, sorted by version.
pub(crate) struct Folder<'a> {
    path: &'a ModulePath,
    versions: BTreeMap<ModVer, Vec<Part>>,
}

impl<'a> Folder<'a> {
    pub(crate) fn new(path: &'a ModulePath) -> Self {
        Self { path, versions: BTreeMap::new() }
    }

    /// Sorts in one file name; false: it is a stranger.
    pub(crate) fn add(&mut self, name: &str, read: fn(&str) -> Option<VersionFile>) -> bool {
        match read(name) {
            Some(VersionFile::Of(version, part)) => {
                let Ok(module) = ModVer::new(self.path.clone(), version) else { return false };
                self.versions.entry(module).or_default().push(part);
                true
            }
            Some(VersionFile::Tolerated) => true,
            None => false,
        }
    }

    /// Lists the versions whose zip and info are here, in order.
    pub(crate) fn listed(self) -> Vec<Version> {
        let whole = |parts: &[Part]| parts.contains(&Part::Zip) && parts.contains(&Part::Info);
        let versions = self.versions.into_iter().filter(|(_module, parts)| whole(parts));
        versions.map(|(module, _parts)| module.version().clone()).collect()
    }

    /// Returns each version with its files, in order.
    pub(crate) fn found(self) -> impl Iterator<Item = Found> {
        self.versions.into_iter().map(|(module, parts)| Found::Version {
            module,
            info: parts.contains(&Part::Info),
            go_mod: parts.contains(&Part::Mod),
            zip: parts.contains(&Part::Zip),
            zip_hash: parts.contains(&Part::ZipHash),
            facts: parts.contains(&Part::Facts),
        })
    }
}
