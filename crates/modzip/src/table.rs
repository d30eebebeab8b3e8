//! The entries of a zip: the rules of their names, and the hash over all.

use gomod::{ModVer, filepath};

use crate::{
    EntryName, Error, H1,
    collisions::{Clash, Collisions, Place, Span},
    h1::Summary,
    limits::Limits,
};

/// What is remembered of a zip's entries while it is judged: about 100 bytes and the name each.
///
/// Names stand one behind the other in one buffer, without the prefix that all have; everything
/// else refers to them by place. A flight of many zips at once lives by this being small.
pub(crate) struct Table {
    prefix: String,
    limits: Limits,
    names: Vec<u8>,
    entries: Vec<Entry>,
    collisions: Collisions,
    content: u64,
}

/// What kind of entry a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    /// `go.mod` at the root.
    GoMod,
    /// `LICENSE` at the root.
    License,
}

/// A name that keeps the rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    span: Span,
    pub(crate) kind: Kind,
}

/// An entry with what the zip says of it and the SHA-256 of its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u32,
    pub(crate) uncompressed: u32,
    /// Where the local header stands in the file.
    pub(crate) offset: u32,
    pub(crate) sha256: [u8; 32],
}

impl Table {
    pub(crate) fn new(module: &ModVer, limits: Limits) -> Self {
        Self {
            prefix: format!("{module}/"),
            limits,
            names: Vec::new(),
            entries: Vec::new(),
            collisions: Collisions::default(),
            content: 0,
        }
    }

    /// Judges the name of the next entry. A rule broken ends the whole judgement.
    pub(crate) fn admit_name(&mut self, full: &[u8]) -> Result<Name, Error> {
        if self.entries.len() >= self.limits.entries {
            return Err(Error::TooManyEntries { limit: self.limits.entries });
        }
        let Some(rest) = full.strip_prefix(self.prefix.as_bytes()) else {
            return Err(Error::Prefix { name: EntryName::new(full), prefix: self.prefix.clone() });
        };
        let start = self.names.len();
        self.names.extend_from_slice(rest);
        let span = match (u32::try_from(start), u16::try_from(rest.len())) {
            (Ok(start), Ok(len)) if self.names.len() <= self.limits.names => Span { start, len },
            _ => return Err(Error::NamesTooLong { limit: self.limits.names }),
        };
        let Ok(rest) = str::from_utf8(rest) else {
            return Err(Error::NotUtf8 { name: EntryName::new(full) });
        };
        let kind = self.judge_name(full, rest, span)?;
        Ok(Name { span, kind })
    }

    fn judge_name(&mut self, full: &[u8], rest: &str, span: Span) -> Result<Kind, Error> {
        if rest.is_empty() {
            return Ok(Kind::Directory);
        }
        let name = || EntryName::new(full);
        let path = rest.strip_suffix('/').unwrap_or(rest);
        if path.split('/').any(|element| matches!(element, "" | "." | "..")) {
            return Err(Error::NotClean { name: name() });
        }
        filepath::check(path).map_err(|source| Error::BadPath { name: name(), source })?;
        if path.len() < rest.len() {
            self.see_all(Span { len: span.len.saturating_sub(1), ..span }, Place::Directory)?;
            return Ok(Kind::Directory);
        }
        self.see_all(span, Place::File)?;
        let base = path.rsplit('/').next().unwrap_or(path);
        if base.eq_ignore_ascii_case("go.mod") {
            return match path {
                "go.mod" => Ok(Kind::GoMod),
                _ if base.len() < path.len() => Err(Error::GoModNotInRoot { name: name() }),
                _ => Err(Error::GoModCase { name: name() }),
            };
        }
        Ok(if path == "LICENSE" { Kind::License } else { Kind::File })
    }

    /// Notes a path and the directories above it.
    fn see_all(&mut self, span: Span, place: Place) -> Result<(), Error> {
        let shown = |span: Span| EntryName::new(span.of(&self.names));
        self.collisions.note(&self.names, span, place).map_err(|clash| match clash {
            Clash::Case { first, second } => {
                Error::CaseCollision { first: shown(first), second: shown(second) }
            }
            Clash::FileAndDirectory(span) => Error::FileAndDirectory { name: shown(span) },
            Clash::Duplicate(span) => Error::Duplicate { name: shown(span) },
        })
    }

    /// Judges the uncompressed size of an entry; directories have none that counts.
    pub(crate) fn admit_size(&mut self, kind: Kind, size: u64) -> Result<(), Error> {
        let Limits { go_mod, license, content, .. } = self.limits;
        match kind {
            Kind::Directory => return Ok(()),
            Kind::GoMod if size > go_mod => {
                return Err(Error::GoModTooLarge { size, limit: go_mod });
            }
            Kind::License if size > license => {
                return Err(Error::LicenseTooLarge { size, limit: license });
            }
            _ => {}
        }
        self.content = self.content.saturating_add(size);
        if self.content > content {
            return Err(Error::ContentTooLarge { limit: content });
        }
        Ok(())
    }

    /// Returns how many bytes of content the rules leave for an entry of this kind.
    pub(crate) fn room(&self, kind: Kind) -> u64 {
        let left = self.limits.content.saturating_sub(self.content);
        match kind {
            Kind::Directory => 0,
            Kind::File => left,
            Kind::GoMod => left.min(self.limits.go_mod),
            Kind::License => left.min(self.limits.license),
        }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn set_sha256(&mut self, index: usize, sha256: [u8; 32]) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.sha256 = sha256;
        }
    }

    /// Reports whether `full` is the whole name of that entry.
    pub(crate) fn is_name(&self, name: Name, full: &[u8]) -> bool {
        full.strip_prefix(self.prefix.as_bytes()) == Some(self.bytes(name.span))
    }

    /// Returns the name as it is shown in errors.
    pub(crate) fn shown(&self, name: Name) -> EntryName {
        EntryName::new(&[self.prefix.as_bytes(), self.bytes(name.span)].concat())
    }

    /// Hashes names and contents of all entries; directory entries are a part of it.
    pub(crate) fn h1(&self) -> Result<H1, Error> {
        let mut order: Vec<&Entry> = self.entries.iter().collect();
        order.sort_unstable_by_key(|entry| self.bytes(entry.name.span));
        let mut summary = Summary::default();
        let mut previous = None;
        for entry in order {
            let name = self.bytes(entry.name.span);
            if previous.replace(name) == Some(name) {
                return Err(Error::Duplicate { name: self.shown(entry.name) });
            }
            summary.add(&entry.sha256, [self.prefix.as_bytes(), name]);
        }
        Ok(summary.finish())
    }

    fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.names)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
