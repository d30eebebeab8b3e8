//! What is known of one commit so far, and what a decision still has to know.
//!
//! Decisions about versions are pure functions over [`Facts`]. One that lacks a fact stops with the
//! question; who asked finds the answer, notes it and asks the decision again. So the rules are
//! read and tested without a repository, and nothing is fetched that no rule wants.

use std::collections::BTreeMap;

use bytes::Bytes;
use gomod::{ModulePath, Version, modfile::GoMod};
use vcs::{Commit, Refs};

use super::place::Place;

/// What is known of one commit of a module's repository.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) place: &'a Place,
    pub(crate) commit: &'a Commit,
    pub(crate) refs: &'a Refs,
    /// Files of the commit that were asked for: raw, `None` where there is none.
    files: BTreeMap<String, Option<Bytes>>,
    retracted: Option<Retracted>,
    /// Tags of the commit and of its ancestors.
    behind: Option<Vec<String>>,
    /// Whether the commit descends from the tag.
    descends: BTreeMap<String, bool>,
}

/// A question that a decision cannot go on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// The file of the commit with this path.
    File(String),
    /// What the newest go.mod of the module retracts.
    Retracted,
    /// The tags of the commit and of its ancestors.
    Behind,
    /// Whether the commit descends from this tag.
    Descends(String),
}

/// The answer to a [`Need`].
#[derive(Debug)]
pub(crate) enum Fact {
    File(Option<Bytes>),
    Retracted(Retracted),
    Behind(Vec<String>),
    Descends(bool),
}

/// Why a decision came to no version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Need(Need),
    /// There is no such version, with authority.
    Invalid(Invalid),
}

/// A version that is none, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) version: String,
    /// Whether it was refused as a pseudo-version.
    pub(crate) pseudo: bool,
    pub(crate) reason: String,
}

impl Invalid {
    pub(crate) fn version(version: &str, reason: impl Into<String>) -> Self {
        Self { version: version.to_owned(), pseudo: false, reason: reason.into() }
    }

    /// The line that `go` prints. Source: golang/mod `module.ModuleError`.
    pub(crate) fn text(&self, path: &ModulePath) -> String {
        let noun = if self.pseudo { "pseudo-version" } else { "version" };
        format!("{path}@{}: invalid {noun}: {}", self.version, self.reason)
    }
}

impl From<Invalid> for Stop {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn new(place: &'a Place, commit: &'a Commit, refs: &'a Refs) -> Self {
        let (files, descends) = (BTreeMap::new(), BTreeMap::new());
        Self { place, commit, refs, files, retracted: None, behind: None, descends }
    }

    pub(crate) fn note(&mut self, need: Need, fact: Fact) {
        match (need, fact) {
            (Need::File(path), Fact::File(bytes)) => {
                self.files.insert(path, bytes);
            }
            (Need::Descends(tag), Fact::Descends(yes)) => {
                self.descends.insert(tag, yes);
            }
            (_, Fact::Retracted(retracted)) => self.retracted = Some(retracted),
            (_, Fact::Behind(behind)) => self.behind = Some(behind),
            (_, Fact::File(_) | Fact::Descends(_)) => {}
        }
    }

    pub(crate) fn file(&self, path: &str) -> Result<Option<Bytes>, Stop> {
        let known = self.files.get(path).cloned();
        known.ok_or_else(|| Stop::Need(Need::File(path.to_owned())))
    }

    pub(crate) fn retracted(&self) -> Result<&Retracted, Stop> {
        self.retracted.as_ref().ok_or(Stop::Need(Need::Retracted))
    }

    pub(crate) fn behind(&self) -> Result<&[String], Stop> {
        self.behind.as_deref().ok_or(Stop::Need(Need::Behind))
    }

    pub(crate) fn descends(&self, tag: &str) -> Result<bool, Stop> {
        let known = self.descends.get(tag).copied();
        known.ok_or_else(|| Stop::Need(Need::Descends(tag.to_owned())))
    }

    /// The commit's short name in pseudo-versions: twelve digits, of SHA-256 names too.
    pub(crate) fn short(&self) -> &str {
        let id = self.commit.id.as_str();
        id.get(..12).unwrap_or(id)
    }

    /// The commit's time as pseudo-versions tell it: UTC, `yyyymmddhhmmss`.
    pub(crate) fn stamp(&self) -> String {
        let text = units::Timestamp::from_unix_secs(self.commit.time.unix_secs()).to_string();
        text.chars().filter(char::is_ascii_digit).collect()
    }
}

/// The retractions of a go.mod; none when it cannot be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retracted(GoMod);

impl Retracted {
    /// Of these bytes; what `go` cannot parse retracts nothing.
    pub(crate) fn of(go_mod: &[u8]) -> Self {
        Self(GoMod::parse(go_mod).unwrap_or_default())
    }

    /// Whether it covers a canonical version.
    pub(crate) fn covers(&self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|version| self.0.retracts(&version))
    }
}
