//! Walks of a commit's tree, each bounded: a few small trees can name billions of files.

use std::collections::HashSet;

use gix::objs::tree::EntryKind as Mode;

use crate::{
    Config, Entry, EntryKind, ObjectId,
    objects::{Fault, Objects, Reader, entries},
};

/// What stands below a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<Entry>,
    /// Blobs that are not here.
    pub(crate) missing: Vec<gix::ObjectId>,
    /// Folders of the commit with a `.gitattributes`, in order, each with `/` at its end; those
    /// above the listed one among them.
    pub(crate) attributes: Vec<(Vec<u8>, gix::ObjectId)>,
}

/// An entry of a tree, on its own.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    name: Vec<u8>,
    mode: Mode,
    pub(crate) id: gix::ObjectId,
}

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum At {
    Nothing,
    Blob(EntryKind, gix::ObjectId),
    Tree(gix::ObjectId),
}

/// Finds what stands at a path of a tree. A path that is not clean leads to nothing.
pub(crate) fn find(reader: &mut Reader, root: gix::ObjectId, path: &str) -> Result<At, Fault> {
    let mut at = At::Tree(root);
    for name in path.split('/').filter(|_| !path.is_empty()) {
        let At::Tree(tree) = at else { return Ok(At::Nothing) };
        at = match item(reader, &tree, name.as_bytes())? {
            None => return Ok(At::Nothing),
            Some(item) => match item.mode {
                Mode::Tree => At::Tree(item.id),
                Mode::Blob | Mode::BlobExecutable => At::Blob(EntryKind::Regular, item.id),
                Mode::Link => At::Blob(EntryKind::Symlink, item.id),
                Mode::Commit => return Ok(At::Nothing),
            },
        };
    }
    Ok(at)
}

fn item(reader: &mut Reader, tree: &gix::oid, name: &[u8]) -> Result<Option<Item>, Fault> {
    let kind = reader.hash_kind();
    for entry in entries(reader.tree(tree)?, kind) {
        let entry = entry?;
        if *entry.filename == *name {
            let (name, mode, id) = (name.to_owned(), entry.mode.kind(), entry.oid.to_owned());
            return Ok(Some(Item { name, mode, id }));
        }
    }
    Ok(None)
}

/// Lists all files below a folder of a commit; none where there is no such folder. Blocking.
pub(crate) fn list(
    objects: &Objects,
    root: gix::ObjectId,
    folder: &str,
    config: &Config,
) -> Result<Listing, Fault> {
    let mut walk = Walk {
        reader: objects.quick_reader(),
        config,
        listing: Listing::default(),
        missing: HashSet::new(),
        visited: 0,
        bytes: 0,
    };
    let Some(start) = walk.descend(root, folder)? else { return Ok(walk.listing) };
    walk.below(start, folder)?;
    let mut listing = walk.listing;
    listing.missing = walk.missing.into_iter().collect();
    Ok(listing)
}

struct Walk<'a> {
    reader: Reader,
    config: &'a Config,
    listing: Listing,
    missing: HashSet<gix::ObjectId>,
    visited: u32,
    bytes: u64,
}

impl Walk<'_> {
    /// From the root to the folder, with the attributes on the way.
    fn descend(
        &mut self,
        root: gix::ObjectId,
        folder: &str,
    ) -> Result<Option<gix::ObjectId>, Fault> {
        let mut tree = root;
        let mut path = Vec::new();
        for name in folder.split('/').filter(|_| !folder.is_empty()) {
            if let Some(found) = item(&mut self.reader, &tree, b".gitattributes")? {
                self.note_attributes(&path, &found)?;
            }
            match item(&mut self.reader, &tree, name.as_bytes())? {
                Some(Item { mode: Mode::Tree, id, .. }) => tree = id,
                _ => return Ok(None),
            }
            path.extend_from_slice(name.as_bytes());
            path.push(b'/');
        }
        Ok(Some(tree))
    }

    fn note_attributes(&mut self, folder: &[u8], item: &Item) -> Result<(), Fault> {
        // git reads it from its index, where a symlink is a blob like any other.
        if matches!(item.mode, Mode::Blob | Mode::BlobExecutable | Mode::Link) {
            self.size(&item.id)?;
            self.listing.attributes.push((folder.to_owned(), item.id));
        }
        Ok(())
    }

    /// The size of a blob, or a note that it is missing.
    fn size(&mut self, id: &gix::oid) -> Result<u64, Fault> {
        match self.reader.header(id)? {
            Some((gix::objs::Kind::Blob, size)) => Ok(size),
            Some((kind, _)) => Err(Fault::Limit(format!("object {id} is a {kind}, not a blob"))),
            None => {
                self.missing.insert(id.to_owned());
                Ok(0)
            }
        }
    }

    fn below(&mut self, tree: gix::ObjectId, folder: &str) -> Result<(), Fault> {
        let above = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut prefix = Vec::new();
        let mut levels = vec![self.open(&tree, above.as_bytes(), &prefix)?];
        // The length of the prefix above each level but the first.
        let mut lengths = Vec::new();
        while let Some(level) = levels.last_mut() {
            let Some(item) = level.next() else {
                levels.pop();
                prefix.truncate(lengths.pop().unwrap_or(0));
                continue;
            };
            let path = [prefix.as_slice(), &item.name].concat();
            if (above.len() + path.len()) as u64 > self.config.max_path_size.0 {
                let limit = self.config.max_path_size;
                return Err(Fault::Limit(format!("it has a path longer than {limit}")));
            }
            if item.mode != Mode::Tree {
                self.add(path, &item)?;
                continue;
            }
            if levels.len() >= self.config.max_tree_depth as usize {
                let limit = self.config.max_tree_depth;
                return Err(Fault::Limit(format!("its folders are nested deeper than {limit}")));
            }
            lengths.push(prefix.len());
            prefix = path;
            prefix.push(b'/');
            levels.push(self.open(&item.id, above.as_bytes(), &prefix)?);
        }
        Ok(())
    }

    /// The entries of one tree, checked and counted.
    fn open(
        &mut self,
        tree: &gix::oid,
        above: &[u8],
        prefix: &[u8],
    ) -> Result<std::vec::IntoIter<Item>, Fault> {
        let kind = self.reader.hash_kind();
        let mut items = Vec::new();
        for entry in entries(self.reader.tree(tree)?, kind) {
            let entry = entry?;
            // Visits, not objects: the same tree may stand in a thousand places.
            self.visited += 1;
            if self.visited > self.config.max_tree_entries {
                let limit = self.config.max_tree_entries;
                return Err(Fault::Limit(format!("it has more than {limit} files and folders")));
            }
            let name: &[u8] = entry.filename;
            if name.is_empty()
                || matches!(name, b"." | b"..")
                || name.contains(&b'/')
                || name.eq_ignore_ascii_case(b".git")
            {
                let name = crate::error::line(&String::from_utf8_lossy(name));
                return Err(Fault::Limit(format!("a tree has an entry named {name:?}")));
            }
            let (mode, id) = (entry.mode.kind(), entry.oid.to_owned());
            items.push(Item { name: name.to_owned(), mode, id });
        }
        if let Some(found) = items.iter().find(|item| item.name == b".gitattributes") {
            let found = found.clone();
            self.note_attributes(&[above, prefix].concat(), &found)?;
        }
        Ok(items.into_iter())
    }

    fn add(&mut self, path: Vec<u8>, item: &Item) -> Result<(), Fault> {
        let kind = match item.mode {
            Mode::Blob | Mode::BlobExecutable => EntryKind::Regular,
            Mode::Link => EntryKind::Symlink,
            Mode::Commit | Mode::Tree => EntryKind::Gitlink,
        };
        let size = if kind == EntryKind::Gitlink { 0 } else { self.size(&item.id)? };
        if size > self.config.max_file_size.0 {
            let (path, limit) = (String::from_utf8_lossy(&path), self.config.max_file_size);
            return Err(Fault::Limit(format!("{path} has {size} bytes, more than {limit}")));
        }
        self.bytes += size;
        if self.bytes > self.config.max_tree_size.0 {
            let limit = self.config.max_tree_size;
            return Err(Fault::Limit(format!("its files have more than {limit} together")));
        }
        let id = ObjectId::from_git(&item.id);
        self.listing.entries.push(Entry { path, kind, size, id, verbatim: true });
        Ok(())
    }
}
