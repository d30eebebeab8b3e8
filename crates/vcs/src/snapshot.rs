//! Files of one commit, as `git archive` would give them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::{
    Error, ObjectId, RemoteUrl,
    attributes::{Attributes, MAX_FILE_BYTES},
    convert::Conversion,
    encode::Spool,
    objects::{Fault, Objects},
    tree::Listing,
};

/// Largest file whose line ends or keywords are converted: it is in memory whole, and its converted
/// form beside it, which may be twice as long.
pub const MAX_CONVERTED_BYTES: u64 = 64 << 20;

/// A file as the repository holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Regular or symlink.
    pub kind: EntryKind,
    /// The blob; of a symlink its target.
    pub bytes: Bytes,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Executable or not.
    Regular,
    /// Its content is the target's name.
    Symlink,
    /// A submodule: no content.
    Gitlink,
}

/// A file of a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the snapshot's folder, `/` between elements; bytes as git has them, no element
    /// of which is empty, `.`, `..` or (in any case) `.git`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Of the blob, before conversion; 0 for a gitlink.
    pub size: u64,
    /// The blob's name; the commit's for a gitlink.
    pub id: ObjectId,
    /// Whether `content` is the blob itself, so that its id names the content.
    pub verbatim: bool,
}

/// Files of one commit; blocking, for use inside [`blocking`](crate::blocking).
///
/// Its mirror is not removed while it lives.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) url: RemoteUrl,
    pub(crate) entries: Vec<Entry>,
    pub(crate) objects: Arc<Objects>,
    /// For the few paths that have one.
    pub(crate) conversions: BTreeMap<Vec<u8>, Conversion>,
    pub(crate) encoded: Spool,
    pub(crate) max_file_size: u64,
    pub(crate) _users: Arc<()>,
}

impl Snapshot {
    /// In git's order of trees; folders themselves are left out.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes as `git archive` gives them (worktree conversion); those of a gitlink are none.
    /// Blocking.
    ///
    /// # Errors
    ///
    /// `Limit` for a blob that is larger than `max_file_size`, or than [`MAX_CONVERTED_BYTES`] where
    /// it is converted; `Mirror` when the mirror is damaged.
    pub fn content(&self, entry: &Entry) -> Result<Bytes, Error> {
        if entry.kind == EntryKind::Gitlink {
            return Ok(Bytes::new());
        }
        let conversion = self.conversions.get(&entry.path);
        if conversion.is_some_and(|conversion| conversion.encoding.is_some()) {
            let read = self.encoded.read(&entry.path);
            return read.map_err(|error| self.lost(&error));
        }
        let Some(conversion) = conversion else { return Ok(self.blob(entry)?.into()) };
        self.is_convertible(entry)?;
        Ok(conversion.apply(self.blob(entry)?, entry.id.as_str()).into())
    }

    /// How many bytes [`content`](Self::content) has; the content itself is not made. Blocking.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    pub fn size(&self, entry: &Entry) -> Result<u64, Error> {
        let Some(conversion) = self.conversions.get(&entry.path) else { return Ok(entry.size) };
        if conversion.encoding.is_some() {
            return self.encoded.size(&entry.path).map_err(|error| self.lost(&error));
        }
        self.is_convertible(entry)?;
        Ok(conversion.size(&self.blob(entry)?, entry.id.as_str()))
    }

    fn blob(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        read_blob(&self.objects, &entry.id, self.max_file_size)
            .map_err(|fault| fault_of(&self.url, &fault))
    }

    fn is_convertible(&self, entry: &Entry) -> Result<(), Error> {
        if entry.size <= MAX_CONVERTED_BYTES {
            return Ok(());
        }
        let (path, size) = (String::from_utf8_lossy(&entry.path), entry.size);
        let limit = MAX_CONVERTED_BYTES;
        let reason = format!("{path} has {size} bytes, more than {limit} that are converted");
        Err(Error::limit(&self.url, reason))
    }

    fn lost(&self, error: &std::io::Error) -> Error {
        Error::mirror(&self.url, error.to_string())
    }
}

pub(crate) fn fault_of(url: &RemoteUrl, fault: &Fault) -> Error {
    match fault {
        Fault::Missing(_) | Fault::Damaged(_) => Error::mirror(url, fault.to_string()),
        Fault::Limit(reason) => Error::limit(url, reason),
    }
}

pub(crate) fn read_blob(objects: &Objects, id: &ObjectId, limit: u64) -> Result<Vec<u8>, Fault> {
    let id = id.to_git().ok_or_else(|| Fault::Limit(format!("{id} is no object")))?;
    let mut reader = objects.reader();
    let blob = reader.read(&id, gix::objs::Kind::Blob, limit)?.to_vec();
    objects.give_back(reader);
    Ok(blob)
}

/// Sets `verbatim` of each entry, and returns the conversions of those that have one. All blobs of
/// the attributes must be here. Blocking.
pub(crate) fn convert(
    objects: &Objects,
    folder: &str,
    listing: &mut Listing,
) -> Result<BTreeMap<Vec<u8>, Conversion>, Fault> {
    let mut conversions = BTreeMap::new();
    if listing.attributes.is_empty() {
        return Ok(conversions);
    }
    let mut reader = objects.reader();
    let mut attributes = Attributes::new()?;
    let mut files = listing.attributes.iter().peekable();
    let above = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    for entry in &mut listing.entries {
        let path = [above.as_bytes(), &entry.path].concat();
        attributes.leave_for(&path);
        // Both run in the order of trees: the next file is of this path's folders, or of a later.
        while let Some((folder, id)) = files.next_if(|(folder, _)| path.starts_with(folder)) {
            attributes.leave_for(folder);
            let (_, size) = reader.header(id)?.ok_or(Fault::Missing(*id))?;
            if size >= MAX_FILE_BYTES {
                continue;
            }
            let file = reader.read(id, gix::objs::Kind::Blob, MAX_FILE_BYTES)?;
            attributes.enter(folder, file)?;
        }
        if entry.kind != EntryKind::Regular {
            continue;
        }
        let conversion = attributes.conversion(&path)?;
        if !conversion.is_none() {
            entry.verbatim = false;
            conversions.insert(entry.path.clone(), conversion);
        }
    }
    objects.give_back(reader);
    Ok(conversions)
}
