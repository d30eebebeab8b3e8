//! A mirror's objects, read natively: no configuration, no refs, no replacements, no alternates,
//! no network, no program.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gix::{
    hash::Kind as HashKind,
    objs::{Find as _, Kind},
    odb::{self, Header as _},
};

/// Largest commit or tag that is read; git's own messages are a few kilobytes.
pub(crate) const MAX_COMMIT_BYTES: u64 = 16 << 20;
/// Largest tree: a folder of a million entries with short names.
pub(crate) const MAX_TREE_BYTES: u64 = 64 << 20;
/// Deepest chain of annotated tags.
pub(crate) const MAX_TAG_DEPTH: usize = 64;
/// Most packs of a mirror that can be open; far above what housekeeping lets stand.
const MAX_PACKS: u16 = 1024;
/// Delta bases that a reader keeps.
const DELTA_CACHE_BYTES: usize = 16 << 20;
/// Readers kept for the next use, of all mirrors together: their delta bases are most of larder's
/// memory where many repositories are in use.
const MAX_IDLE_READERS: usize = 4;

/// Why an object cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It is not here. In a mirror without blobs no wonder for a blob, and damage otherwise.
    #[error("object {0} is missing")]
    Missing(gix::ObjectId),
    /// It is here, and it is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// It is larger than a limit, or breaks git's rules.
    #[error("{0}")]
    Limit(String),
}

/// The objects of one mirror, as of one moment: packs that arrive later are seen by later values.
pub(crate) struct Objects {
    store: Arc<odb::Store>,
    kind: HashKind,
    idle: Arc<Idle>,
}

/// Readers that wait for their next use, by the mirror that they are for; unused for longest first.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<VecDeque<(usize, Reader)>>);

impl Idle {
    fn readers(&self) -> MutexGuard<'_, VecDeque<(usize, Reader)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mirror: usize) -> Option<Reader> {
        let mut readers = self.readers();
        let at = readers.iter().rposition(|(known, _)| *known == mirror)?;
        readers.remove(at).map(|(_, reader)| reader)
    }

    fn keep(&self, mirror: usize, reader: Reader) {
        let mut readers = self.readers();
        readers.push_back((mirror, reader));
        if readers.len() > MAX_IDLE_READERS {
            readers.pop_front();
        }
    }
}

/// Its readers would hold packs open that are removed by now.
impl Drop for Objects {
    fn drop(&mut self) {
        let mirror = self.name();
        self.idle.readers().retain(|(known, _)| *known != mirror);
    }
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("folder", &self.store.path()).finish_non_exhaustive()
    }
}

/// One thread's way to the objects.
pub(crate) struct Reader {
    handle: odb::HandleArc,
    kind: HashKind,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// What history needs of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitParts {
    pub(crate) tree: gix::ObjectId,
    pub(crate) parents: Vec<gix::ObjectId>,
    /// Committer time, seconds since 1970.
    pub(crate) time: i64,
}

impl Objects {
    /// Opens a mirror. `largest` bounds every single allocation that a pack can ask for, delta
    /// bases included. Blocking.
    pub(crate) fn open(
        mirror: &Path,
        kind: HashKind,
        largest: u64,
        idle: &Arc<Idle>,
    ) -> Result<Self, Fault> {
        let options = odb::store::init::Options {
            slots: odb::store::init::Slots::Given(MAX_PACKS),
            use_multi_pack_index: false,
            alloc_limit_bytes: usize::try_from(largest.max(MAX_TREE_BYTES)).ok(),
            // Only relative alternates would need one; there are none.
            current_dir: Some(mirror.to_owned()),
            ..odb::store::init::Options::default()
        };
        let folder = mirror.join("objects");
        let store = odb::Store::at_opts(folder, kind, &mut std::iter::empty(), options)
            .map_err(|error| Fault::Damaged(error.to_string()))?;
        Ok(Self { store: Arc::new(store), kind, idle: Arc::clone(idle) })
    }

    /// What tells this value from all others that are alive.
    fn name(&self) -> usize {
        Arc::as_ptr(&self.store).addr()
    }

    pub(crate) fn kind(&self) -> HashKind {
        self.kind
    }

    /// A way to the objects that goes back with [`give_back`](Self::give_back).
    pub(crate) fn reader(&self) -> Reader {
        self.idle.take(self.name()).unwrap_or_else(|| {
            let handle = self.store.to_cache_arc();
            let handle = handle.with_pack_cache(|| {
                Box::new(odb::pack::cache::lru::MemoryCappedHashmap::new(DELTA_CACHE_BYTES))
            });
            Reader { handle, kind: self.kind, buffer: Vec::new() }
        })
    }

    /// A reader that takes a missing object for missing, without a look at the folder.
    pub(crate) fn quick_reader(&self) -> Reader {
        let mut handle = self.store.to_cache_arc();
        handle.refresh_never();
        Reader { handle, kind: self.kind, buffer: Vec::new() }
    }

    pub(crate) fn give_back(&self, mut reader: Reader) {
        // One huge object must not stay for as long as the mirror is in use.
        reader.buffer = Vec::new();
        self.idle.keep(self.name(), reader);
    }
}

impl Reader {
    /// Kind and size, without inflating; `None` when it is not here.
    pub(crate) fn header(&self, id: &gix::oid) -> Result<Option<(Kind, u64)>, Fault> {
        let header = self.handle.try_header(id).map_err(|error| damaged(id, &error))?;
        Ok(header.map(|header| (header.kind(), header.size())))
    }

    /// The bytes of an object of a certain kind, of at most `limit` bytes.
    pub(crate) fn read(&mut self, id: &gix::oid, kind: Kind, limit: u64) -> Result<&[u8], Fault> {
        let Some((found, size)) = self.header(id)? else { return Err(Fault::Missing(id.into())) };
        if found != kind {
            return Err(Fault::Limit(format!("object {id} is a {found}, not a {kind}")));
        }
        if size > limit {
            return Err(Fault::Limit(format!("{kind} {id} has {size} bytes, more than {limit}")));
        }
        let found = self.handle.try_find(id, &mut self.buffer);
        match found.map_err(|error| damaged(id, &error))? {
            Some(object) => Ok(object.data),
            None => Err(Fault::Missing(id.into())),
        }
    }

    pub(crate) fn commit(&mut self, id: &gix::oid) -> Result<CommitParts, Fault> {
        let bytes = self.read(id, Kind::Commit, MAX_COMMIT_BYTES)?;
        parse_commit(bytes).ok_or_else(|| Fault::Limit(format!("commit {id} is broken")))
    }

    /// The commit behind any number of annotations; `None` when something else is there.
    pub(crate) fn peel(&mut self, id: &gix::oid) -> Result<Option<gix::ObjectId>, Fault> {
        let mut id = id.to_owned();
        for _ in 0..MAX_TAG_DEPTH {
            match self.header(&id)? {
                None => return Err(Fault::Missing(id)),
                Some((Kind::Commit, _)) => return Ok(Some(id)),
                Some((Kind::Tree | Kind::Blob, _)) => return Ok(None),
                Some((Kind::Tag, _)) => {}
            }
            let bytes = self.read(&id, Kind::Tag, MAX_COMMIT_BYTES)?;
            let target = bytes.strip_prefix(b"object ").and_then(first_line);
            let target = target.and_then(|(hex, _)| gix::ObjectId::from_hex(hex).ok());
            id = target.ok_or_else(|| Fault::Limit(format!("tag {id} is broken")))?;
        }
        Err(Fault::Limit(format!("more than {MAX_TAG_DEPTH} tags of tags")))
    }

    /// The bytes of a tree, to be iterated by [`entries`].
    pub(crate) fn tree(&mut self, id: &gix::oid) -> Result<&[u8], Fault> {
        self.read(id, Kind::Tree, MAX_TREE_BYTES)
    }

    pub(crate) fn hash_kind(&self) -> HashKind {
        self.kind
    }
}

/// The entries of a tree's bytes.
pub(crate) fn entries(
    tree: &[u8],
    kind: HashKind,
) -> impl Iterator<Item = Result<gix::objs::tree::EntryRef<'_>, Fault>> {
    gix::objs::TreeRefIter::from_bytes(tree, kind)
        .map(|entry| entry.map_err(|_error| Fault::Limit("a tree is broken".to_owned())))
}

fn damaged(id: &gix::oid, error: &impl std::fmt::Display) -> Fault {
    Fault::Damaged(format!("object {id}: {}", crate::error::line(&error.to_string())))
}

fn first_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// As lenient as git: a commit without a readable time is of 1970. Source: git's commit.c,
/// `parse_commit_date`.
fn parse_commit(bytes: &[u8]) -> Option<CommitParts> {
    let (tree, mut rest) = first_line(bytes.strip_prefix(b"tree ")?)?;
    let tree = gix::ObjectId::from_hex(tree).ok()?;
    let mut parents = Vec::new();
    while let Some(parent) = rest.strip_prefix(b"parent ") {
        let (parent, after) = first_line(parent)?;
        parents.push(gix::ObjectId::from_hex(parent).ok()?);
        rest = after;
    }
    Some(CommitParts { tree, parents, time: committer_time(rest).unwrap_or(0) })
}

fn committer_time(rest: &[u8]) -> Option<i64> {
    let (_, rest) = first_line(rest.strip_prefix(b"author ")?)?;
    let (line, _) = first_line(rest.strip_prefix(b"committer ")?)?;
    let after = line.iter().rposition(|byte| *byte == b'>')?;
    let text = std::str::from_utf8(line.get(after + 1..)?).ok()?.trim_start();
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CommitParts, HashKind, Idle, MAX_IDLE_READERS, Objects, parse_commit};
    use crate::mirror::{Mirror, Mode};

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn parse(rest: &str) -> Option<CommitParts> {
        parse_commit(format!("tree {A}\n{rest}").as_bytes())
    }

    #[test]
    fn idle_readers_are_few_however_many_the_mirrors() {
        let folder = tempfile::tempdir().unwrap();
        let idle = Arc::new(Idle::default());
        let open = |name: &str| {
            let mirror = Mirror::new(folder.path().join(name));
            mirror.create(HashKind::Sha1, Mode::Full).unwrap();
            Objects::open(mirror.folder(), HashKind::Sha1, 1 << 20, &idle).unwrap()
        };
        let kept = |objects: &Objects| {
            let name = objects.name();
            idle.readers().iter().filter(|(known, _)| *known == name).count()
        };
        let (first, second) = (open("first"), open("second"));
        let readers: Vec<_> = (0..=MAX_IDLE_READERS).map(|_| first.reader()).collect();
        for reader in readers {
            first.give_back(reader);
        }
        assert_eq!(kept(&first), MAX_IDLE_READERS);
        second.give_back(second.reader());
        assert_eq!((kept(&first), kept(&second)), (MAX_IDLE_READERS - 1, 1));
        let reader = second.reader();
        assert_eq!((kept(&first), kept(&second)), (MAX_IDLE_READERS - 1, 0));
        second.give_back(reader);
        drop(first);
        assert_eq!(idle.readers().len(), 1, "what is gone has no readers");
    }

    #[test]
    fn commits_are_read_as_git_reads_them() {
        let author = "author x <x> 1 +0000\n";
        for (committer, time) in [
            ("committer x <x@y> 1700000000 +0100\n", 1_700_000_000),
            ("committer x <x@y>   17 +0100\n", 17),
            ("committer x <x@y>17\n", 17),
            ("committer x <a> b> 17 +0000\n", 17),
            ("committer x <x@y> nonsense\n", 0),
            ("committer x <x@y> -5 +0000\n", 0),
            ("committer x <x@y> 99999999999999999999 +0000\n", 0),
            ("encoding x\n", 0),
        ] {
            let commit = parse(&format!("parent {A}\nparent {A}\n{author}{committer}\nmessage"));
            let commit = commit.unwrap();
            assert_eq!((commit.time, commit.parents.len()), (time, 2), "{committer}");
        }
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        assert_eq!(parse_commit(b""), None);
        assert_eq!(parse_commit(b"tree 12\nauthor"), None);
        assert_eq!(parse("parent 12\n"), None);
        assert!(parse("").is_some(), "a commit may lack everything but its tree");
    }
}
