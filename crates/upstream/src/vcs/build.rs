//! A module's zip, from a commit's files. Source: git.md §3.

use std::sync::Arc;

use bytes::Bytes;
use gomod::{ModVer, modfile::Language};
use modzip::{
    Deflater, FileKind, MAX_LICENSE_BYTES, MAX_PACKED_BYTES, Packed, Packer, RootLicense, TreeFile,
};
use quick_cache::{Weighter, sync::Cache};
use store::Staged;
use tokio::sync::mpsc;
use vcs::{Entry, EntryKind, ObjectId, Snapshot};

use super::{VcsSource, locate::Home, pins::Pin, trouble::Fail};
use crate::{Error, Fetched};

/// The newest `go` line whose rules for zips are known here: those of Go 1.26.
///
/// The rules may change with the `go` line, as those for vendor folders did at 1.24, which is why
/// the `go` command refuses to zip modules that are newer than itself. What is newer is built by the
/// newest rules known and noted; for public modules the checksum database then has the last word.
/// Source: coderepo.go `Zip`; git.md §3.7.
pub const KNOWN_GO: Language = Language { major: 1, minor: 26 };

/// Deflated blobs kept, in bytes, unless [`Settings`](super::Settings) says otherwise.
pub(crate) const PACKED_BYTES: u64 = 64 << 20;
/// What a blob in that table costs besides its bytes.
const PACKED_OVERHEAD_BYTES: u64 = 192;
/// One blob may take this part of the table: a large one would drive out many small ones, which
/// later versions want more.
const PACKED_SHARE: u64 = 8;
/// Bytes of a zip handed on at once, and how many such pieces wait for the writer.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS: usize = 4;
/// The file that is copied from the repository's root.
const LICENSE: &str = "LICENSE";

/// A blob of a repository. The repository counts: no other one, perhaps private or hostile, may
/// learn or decide what a name of SHA-1 stands for here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Blob {
    repository: Arc<str>,
    id: ObjectId,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Blob, Packed> for Weight {
    fn weight(&self, _: &Blob, packed: &Packed) -> u64 {
        packed.bytes.len() as u64 + PACKED_OVERHEAD_BYTES
    }
}

/// Blobs that were hashed and deflated for an earlier version.
pub(crate) struct PackedBlobs {
    blobs: Cache<Blob, Packed, Weight>,
    largest: u64,
}

impl PackedBlobs {
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / (16 << 10)).unwrap_or(usize::MAX);
        Self {
            blobs: Cache::with_weighter(items.max(1), bytes, Weight),
            largest: bytes / PACKED_SHARE,
        }
    }

    /// What was packed of a blob before; converted content is not named by its blob.
    fn find(&self, key: &Blob, entry: &Entry) -> Option<Packed> {
        if entry.verbatim { self.blobs.get(key) } else { None }
    }

    fn keep(&self, key: Blob, entry: &Entry, packed: &Packed) {
        if entry.verbatim && packed.bytes.len() as u64 <= self.largest {
            self.blobs.insert(key, packed.clone());
        }
    }
}

/// Why a zip came to nothing.
#[derive(Debug)]
enum Broken {
    /// These files can never be a module's zip: Go's words, one line each.
    Never(String),
    Git(vcs::Error),
    /// Who waited for it has gone.
    Nobody,
}

type Packing<T> = Result<T, Broken>;

impl From<vcs::Error> for Broken {
    fn from(error: vcs::Error) -> Self {
        Self::Git(error)
    }
}

/// The writer's limits: what breaks them can never be a zip.
impl From<modzip::Error> for Broken {
    fn from(error: modzip::Error) -> Self {
        Self::Never(format!("create zip: {error}"))
    }
}

/// What a zip is made of.
struct Material {
    module: ModVer,
    repository: Arc<str>,
    snapshot: Snapshot,
    go_mod: Option<Bytes>,
    /// The root's LICENSE, for a module below it. `Err`: it is too large.
    license: Option<Result<Bytes, ()>>,
}

impl VcsSource {
    /// Builds the zip of a version into `into`. Nothing is announced: the length is known last.
    pub(crate) async fn build(
        &self,
        home: &Home,
        module: &ModVer,
        pin: &Pin,
        into: &mut Staged,
    ) -> Result<Fetched, Fail> {
        self.judge_language(module, pin)?;
        let material = match self.gather(home, module, pin).await {
            Err(Fail::Git(error)) => return Err(self.gone(home, module, &pin.commit, error).await),
            material => material?,
        };
        // Behind the fetching: a slow host must not keep others from the cores. Never closed, so
        // there always is a permit.
        let _turn = self.builds.acquire().await.ok();
        let (chunks, mut arriving) = mpsc::channel::<Bytes>(CHUNKS);
        let packed = Arc::clone(&self.packed);
        let packing = vcs::blocking(move || Ok(write(&material, &packed, &chunks)));
        let staging = |source| Error::Store { what: module.to_string(), source: Arc::new(source) };
        let staged = async move {
            // When staging fails the channel goes, and the packer with it.
            while let Some(chunk) = arriving.recv().await {
                into.write(chunk).await.map_err(staging)?;
            }
            into.flush().await.map_err(staging)?;
            Ok::<u64, Error>(into.written())
        };
        let (packed, staged) = tokio::join!(packing, staged);
        let size = staged?;
        match packed? {
            Ok(()) => Ok(Fetched { size, origin: self.origin.clone() }),
            Err(Broken::Never(text)) => Err(Fail::Absent(format!("{module}: {text}"))),
            Err(Broken::Git(error)) => Err(error.into()),
            Err(Broken::Nobody) => Err(Fail::Told(Error::Unavailable {
                origin: self.origin.clone(),
                kind: crate::Trouble::Broken,
                reason: format!("building {module} was given up"),
                retry_after: None,
            })),
        }
    }

    /// Notes a module that is newer than the rules, or refuses it where that is wanted.
    fn judge_language(&self, module: &ModVer, pin: &Pin) -> Result<(), Fail> {
        let Some(go_mod) = &pin.found.go_mod else { return Ok(()) };
        let Ok(Some(language)) = Language::of_mod(go_mod) else { return Ok(()) };
        if language <= KNOWN_GO {
            return Ok(());
        }
        let Language { major, minor } = KNOWN_GO;
        tracing::info!(%module, "{module} asks for a newer Go than {major}.{minor}: its zip is built by the rules known");
        if !self.settings.refuse_newer {
            return Ok(());
        }
        Err(Fail::Told(Error::Forbidden {
            what: module.to_string(),
            origin: self.origin.clone(),
            text: Some(format!(
                "{module} asks for a newer Go than {major}.{minor}, whose rules for zips are not known"
            )),
        }))
    }

    async fn gather(&self, home: &Home, module: &ModVer, pin: &Pin) -> Result<Material, Fail> {
        let repository = &home.repository;
        let dir = &pin.found.dir;
        let snapshot = repository.snapshot(&pin.commit, dir).await?;
        // A submodule of that name is an empty folder to `git archive`, so none at all.
        let is_license =
            |entry: &Entry| entry.path == LICENSE.as_bytes() && entry.kind != EntryKind::Gitlink;
        let has_license = dir.is_empty() || snapshot.entries().iter().any(is_license);
        let license = if has_license {
            None
        } else {
            match repository.file(&pin.commit, LICENSE, MAX_LICENSE_BYTES).await {
                Ok(file) => file.map(|file| Ok(file.bytes)),
                Err(vcs::Error::Limit { .. }) => Some(Err(())),
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Material {
            module: module.clone(),
            repository: Arc::from(repository.url().as_str()),
            snapshot,
            go_mod: pin.found.go_mod.clone(),
            license,
        })
    }
}

/// A zip on its way, on a blocking thread.
struct Writing<'a> {
    material: &'a Material,
    packed: &'a PackedBlobs,
    chunks: &'a mpsc::Sender<Bytes>,
    packer: Packer,
    deflater: Deflater,
    out: Vec<u8>,
}

/// Selects and packs; on a blocking thread.
fn write(material: &Material, packed: &PackedBlobs, chunks: &mpsc::Sender<Bytes>) -> Packing<()> {
    let entries = material.snapshot.entries();
    let files = tree(&material.snapshot)?;
    let go_mod = regular_go_mod(entries).and(material.go_mod.as_deref());
    let license = match &material.license {
        None => RootLicense::None,
        Some(Ok(bytes)) => RootLicense::Of(bytes.len() as u64),
        Some(Err(())) => RootLicense::Of(MAX_LICENSE_BYTES + 1),
    };
    let selection = modzip::select(&files, go_mod, license);
    let selection = selection.map_err(|error| Broken::Never(error.to_string()))?;
    let mut copied = match &material.license {
        Some(Ok(bytes)) if selection.copy_license => Some(bytes),
        _ => None,
    };
    let mut writing = Writing {
        material,
        packed,
        chunks,
        packer: Packer::new(&material.module),
        deflater: Deflater::new(),
        out: Vec::with_capacity(2 * CHUNK_BYTES),
    };
    for entry in selection.kept.iter().filter_map(|&kept| entries.get(kept)) {
        // Names of kept files are UTF-8: the selection has refused all others.
        let name = String::from_utf8_lossy(&entry.path);
        if &*name > LICENSE
            && let Some(license) = copied.take()
        {
            writing.content(LICENSE, license)?;
        }
        writing.entry(&name, entry)?;
    }
    if let Some(license) = copied {
        writing.content(LICENSE, license)?;
    }
    writing.finish()
}

impl Writing<'_> {
    fn entry(&mut self, name: &str, entry: &Entry) -> Packing<()> {
        let repository = Arc::clone(&self.material.repository);
        let key = Blob { repository, id: entry.id.clone() };
        if let Some(packed) = self.packed.find(&key, entry) {
            return self.add(name, &packed);
        }
        let content = self.material.snapshot.content(entry)?;
        if content.len() as u64 > MAX_PACKED_BYTES {
            return self.stream(name, &content);
        }
        let packed = self.deflater.pack(&content);
        self.packed.keep(key, entry, &packed);
        self.add(name, &packed)
    }

    fn content(&mut self, name: &str, content: &[u8]) -> Packing<()> {
        let packed = self.deflater.pack(content);
        self.add(name, &packed)
    }

    fn add(&mut self, name: &str, packed: &Packed) -> Packing<()> {
        self.packer.add(name, packed, &mut self.out)?;
        self.hand_on(CHUNK_BYTES)
    }

    fn stream(&mut self, name: &str, content: &[u8]) -> Packing<()> {
        let mut streamed = self.packer.stream(name, content.len() as u64, &mut self.out)?;
        for piece in content.chunks(CHUNK_BYTES) {
            streamed.feed(piece, &mut self.out)?;
            hand_on(&mut self.out, CHUNK_BYTES, self.chunks)?;
        }
        streamed.end(&mut self.out)?;
        self.hand_on(CHUNK_BYTES)
    }

    fn finish(mut self) -> Packing<()> {
        self.packer.finish(&mut self.out)?;
        hand_on(&mut self.out, 1, self.chunks)
    }

    fn hand_on(&mut self, enough: usize) -> Packing<()> {
        hand_on(&mut self.out, enough, self.chunks)
    }
}

/// Sends what has been written, once there is enough of it.
fn hand_on(out: &mut Vec<u8>, enough: usize, chunks: &mpsc::Sender<Bytes>) -> Packing<()> {
    if out.len() < enough {
        return Ok(());
    }
    let mut full = Bytes::from(std::mem::replace(out, Vec::with_capacity(2 * CHUNK_BYTES)));
    while !full.is_empty() {
        let piece = full.split_to(full.len().min(CHUNK_BYTES));
        chunks.blocking_send(piece).map_err(|_closed| Broken::Nobody)?;
    }
    Ok(())
}

/// The snapshot as the rules see it: sizes are those of converted content.
fn tree(snapshot: &Snapshot) -> Packing<Vec<TreeFile<'_>>> {
    snapshot.entries().iter().map(|entry| tree_file(snapshot, entry)).collect()
}

fn tree_file<'a>(snapshot: &Snapshot, entry: &'a Entry) -> Packing<TreeFile<'a>> {
    let Entry { path, kind, size, verbatim, .. } = entry;
    let kind = match kind {
        EntryKind::Regular => FileKind::Regular,
        EntryKind::Symlink => FileKind::Symlink,
        EntryKind::Gitlink => FileKind::Other,
    };
    let size = match kind {
        FileKind::Regular if !verbatim => match snapshot.size(entry) {
            // Too large to be converted: if the file is chosen, its content says so.
            Err(vcs::Error::Limit { .. }) => *size,
            size => size?,
        },
        _ => *size,
    };
    Ok(TreeFile { path, kind, size })
}

/// Whether the go.mod is one for the zip's rules: a regular file.
fn regular_go_mod(entries: &[Entry]) -> Option<()> {
    let is_it = |entry: &&Entry| entry.path == b"go.mod" && entry.kind == EntryKind::Regular;
    entries.iter().find(is_it).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(repository: &str, digit: &str, verbatim: bool) -> (Blob, Entry) {
        let id = ObjectId::parse(&digit.repeat(40)).unwrap();
        let (path, kind) = (b"a.go".to_vec(), EntryKind::Regular);
        let entry = Entry { path, kind, size: 1, id: id.clone(), verbatim };
        (Blob { repository: Arc::from(repository), id }, entry)
    }

    /// Bytes that do not deflate.
    fn packed(length: usize) -> Packed {
        let mut state = 1_u32;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let packed = Packed::new(&bytes.take(length).collect::<Vec<_>>());
        assert_eq!(packed.bytes.len(), length);
        packed
    }

    #[test]
    fn a_blob_is_packed_once_for_each_repository() {
        let (blobs, one) = (PackedBlobs::new(PACKED_BYTES), packed(100));
        let (key, entry) = blob("https://a.b/r", "1", true);
        assert_eq!(blobs.find(&key, &entry), None);
        blobs.keep(key.clone(), &entry, &one);
        assert_eq!(blobs.find(&key, &entry), Some(one));
        let (other, entry) = blob("https://a.b/other", "1", true);
        assert_eq!(blobs.find(&other, &entry), None);
        // What is converted is not what the blob's name says.
        let (key, converted) = blob("https://a.b/r", "1", false);
        assert_eq!(blobs.find(&key, &converted), None);
        let (key, converted) = blob("https://a.b/r", "2", false);
        blobs.keep(key.clone(), &converted, &packed(100));
        assert_eq!(blobs.find(&key, &blob("", "2", true).1), None);
    }

    #[test]
    fn one_blob_takes_its_share_of_memory_at_most() {
        let share = 1 << 10;
        for (length, kept) in [(share, true), (share + 1, false)] {
            let blobs = PackedBlobs::new(share as u64 * PACKED_SHARE);
            let (key, entry) = blob("https://a.b/r", "1", true);
            blobs.keep(key.clone(), &entry, &packed(length));
            assert_eq!(blobs.find(&key, &entry).is_some(), kept, "{length}");
        }
    }

    #[test]
    fn all_blobs_stay_within_their_bound() {
        let blobs = PackedBlobs::new(64 << 10);
        for number in 0..1000_u32 {
            let id = ObjectId::parse(&format!("{number:040x}")).unwrap();
            let (_, entry) = blob("", "1", true);
            blobs.keep(Blob { repository: Arc::from("r"), id }, &entry, &packed(1 << 10));
        }
        assert!(blobs.blobs.weight() <= 64 << 10);
    }
}
