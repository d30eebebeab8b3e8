//! Names that would be one file where letter case does not count.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map},
    hash::BuildHasher,
};

use gomod::filepath;

/// A place in a buffer that holds names one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u16,
}

impl Span {
    pub(crate) fn of(self, names: &[u8]) -> &[u8] {
        let start = self.start as usize;
        names.get(start..start + usize::from(self.len)).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    File,
    Directory,
}

/// How a name, or a directory above it, cannot stand beside those that were noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    Case { first: Span, second: Span },
    FileAndDirectory(Span),
    Duplicate(Span),
}

/// Files and directories by the hash of their folded path.
///
/// Source: golang/mod `zip` (`collisionChecker`).
#[derive(Default)]
pub(crate) struct Collisions {
    pub(crate) seen: HashMap<u64, Seen>,
    clashed: bool,
}

/// A file or directory that was seen; flat, so that it takes eight bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    start: u32,
    len: u16,
    place: Place,
}

impl Collisions {
    /// Notes a path and the directories above it; the first clash is told.
    pub(crate) fn note(
        &mut self,
        names: &[u8],
        mut span: Span,
        mut place: Place,
    ) -> Result<(), Clash> {
        loop {
            let sight = self.see(names, span, place).inspect_err(|_clash| self.clashed = true)?;
            // A directory that was seen under the same name was noted with all above it; but
            // where one clashed, everything below it clashes too.
            if sight == Sight::Known && !self.clashed {
                return Ok(());
            }
            let above = span.of(names).iter().rposition(|byte| *byte == b'/');
            let Some(len) = above.and_then(|at| u16::try_from(at).ok()) else { return Ok(()) };
            (span.len, place) = (len, Place::Directory);
        }
    }

    /// Notes one path, found by the hash of its folded form. Where two forms share a hash, the
    /// later one goes to the next free number, so that the answer is exact.
    fn see(&mut self, names: &[u8], span: Span, place: Place) -> Result<Sight, Clash> {
        let path = span.of(names);
        let folded = fold(path);
        let mut key = self.seen.hasher().hash_one(folded.as_ref());
        loop {
            let other = match self.seen.entry(key) {
                hash_map::Entry::Vacant(slot) => {
                    slot.insert(Seen { start: span.start, len: span.len, place });
                    return Ok(Sight::New);
                }
                hash_map::Entry::Occupied(slot) => *slot.get(),
            };
            let first = Span { start: other.start, len: other.len };
            let other_path = first.of(names);
            if fold(other_path) != folded {
                key = key.wrapping_add(1);
                continue;
            }
            return match (other_path == path, other.place == place, place) {
                (false, _, _) => Err(Clash::Case { first, second: span }),
                (true, false, _) => Err(Clash::FileAndDirectory(span)),
                (true, true, Place::File) => Err(Clash::Duplicate(span)),
                (true, true, Place::Directory) => Ok(Sight::Known),
            };
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    New,
    Known,
}

/// Folds a path that was found to be UTF-8; most are their own folded form.
fn fold(path: &[u8]) -> Cow<'_, [u8]> {
    if path.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(filepath::fold(&String::from_utf8_lossy(path)).into_bytes())
}
