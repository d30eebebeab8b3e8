//! Reading the tree: which versions are here, and all there is.

use std::{
    fs::{self, ReadDir},
    path::Path,
    sync::Arc,
};

use gomod::{ModulePath, Version};
use tokio::sync::mpsc;

use super::{Disk, read};
use crate::{
    Error, Found, MAX_FOLDER_ENTRIES, MAX_TREE_DEPTH, Walk,
    key::{VersionFile, versions_folder},
    walk::Folder,
};

/// Findings on their way to a slower reader; the walk waits when so many are unread.
const MAX_AHEAD: usize = 64;

/// Lists the versions whose zip and info are here, in order. Blocks.
pub(crate) fn versions(root: &Path, path: &ModulePath) -> Result<Vec<Version>, Error> {
    let mut folder = Folder::new(path);
    for (name, _is_folder) in names(&root.join(versions_folder("modules", path)))? {
        folder.add(&name, VersionFile::in_modules);
    }
    Ok(folder.listed())
}

/// Starts a walk on a blocking thread; it ends early when the reader is dropped.
pub(crate) fn walk(disk: Arc<Disk>) -> Walk {
    let (out, findings) = mpsc::channel(MAX_AHEAD);
    drop(tokio::task::spawn_blocking(move || {
        let walker = Walker { root: &disk.root, out: &out };
        let result = walker
            .tree("modules", Walker::module)
            .and_then(|()| walker.tree("facts", Walker::lone_facts));
        if let Err(Stop::Failed(error)) = result {
            // Nobody listens: nobody wants to know.
            drop(out.blocking_send(disk.note(Err(error))));
        }
    }));
    Walk::over(findings)
}

/// Why a walk ends early.
enum Stop {
    /// Its reader was dropped.
    Unread,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Walker<'a> {
    root: &'a Path,
    out: &'a mpsc::Sender<Result<Found, Error>>,
}

impl Walker<'_> {
    /// Visits each module folder below `tree`. Holds one open folder per level, so memory does not
    /// grow with the tree.
    fn tree(
        &self,
        tree: &str,
        visit: fn(&Self, &ModulePath) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut open: Vec<(String, ReadDir)> = Vec::new();
        open.extend(self.read_folder(tree)?.map(|entries| (String::new(), entries)));
        while let Some((above, entries)) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let folder = self.root.join(tree).join(&*above);
            let entry = entry.map_err(|error| Error::io("read", &folder, error))?;
            let kind = entry.file_type().map_err(|error| Error::io("look at", &folder, error))?;
            let name = entry.file_name().into_string().ok();
            let Some(name) = name.filter(|_name| kind.is_dir()) else {
                self.stranger(&entry.path())?;
                continue;
            };
            // A copied module cache brings its checksum database along.
            if above.is_empty() && tree == "modules" && name == "sumdb" {
                continue;
            }
            if name == "@v" {
                match ModulePath::unescape(above) {
                    Ok(path) => visit(self, &path)?,
                    Err(_no_module) => self.stranger(&entry.path())?,
                }
                continue;
            }
            let below = if above.is_empty() { name } else { format!("{above}/{name}") };
            if open.len() >= MAX_TREE_DEPTH {
                self.stranger(&entry.path())?;
                continue;
            }
            let entries = self.read_folder(&format!("{tree}/{below}"))?;
            open.extend(entries.map(|entries| (below, entries)));
        }
        Ok(())
    }

    /// Tells of each version that has a file in the module tree.
    fn module(&self, path: &ModulePath) -> Result<(), Stop> {
        let place = self.root.join(versions_folder("modules", path));
        let mut folder = Folder::new(path);
        for (name, is_folder) in names(&place)? {
            if is_folder || !folder.add(&name, VersionFile::in_modules) {
                self.stranger(&place.join(name))?;
            }
        }
        for (name, _is_folder) in names(&self.root.join(versions_folder("facts", path)))? {
            folder.add(&name, VersionFile::in_facts);
        }
        folder.found().filter(|found| !found.is_facts_only()).try_for_each(|found| self.tell(found))
    }

    /// Tells of each version that has facts and nothing else.
    fn lone_facts(&self, path: &ModulePath) -> Result<(), Stop> {
        let place = self.root.join(versions_folder("facts", path));
        let mut folder = Folder::new(path);
        for (name, is_folder) in names(&place)? {
            if is_folder || !folder.add(&name, VersionFile::in_facts) {
                self.stranger(&place.join(name))?;
            }
        }
        for (name, _is_folder) in names(&self.root.join(versions_folder("modules", path)))? {
            folder.add(&name, VersionFile::in_modules);
        }
        folder.found().filter(Found::is_facts_only).try_for_each(|found| self.tell(found))
    }

    fn read_folder(&self, name: &str) -> Result<Option<ReadDir>, Error> {
        let folder = self.root.join(name);
        match fs::read_dir(&folder) {
            Ok(entries) => Ok(Some(entries)),
            // Removed while we walk.
            Err(error) if read::is_absence(&error) => Ok(None),
            Err(error) => Err(Error::io("read", folder, error)),
        }
    }

    fn stranger(&self, path: &Path) -> Result<(), Stop> {
        let inside = path.strip_prefix(self.root).unwrap_or(path);
        self.tell(Found::Stranger(inside.to_owned()))
    }

    fn tell(&self, found: Found) -> Result<(), Stop> {
        self.out.blocking_send(Ok(found)).map_err(|_unread| Stop::Unread)
    }
}

/// Reads the names in a folder, and which are folders; a missing folder is empty. Names that are
/// not text come as they can be shown, which is no name of ours.
fn names(folder: &Path) -> Result<Vec<(String, bool)>, Error> {
    let failed = |error| Error::io("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if read::is_absence(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        if names.len() >= MAX_FOLDER_ENTRIES {
            let key = folder.display().to_string();
            return Err(Error::TooLarge { key, cap: MAX_FOLDER_ENTRIES as u64 });
        }
        let entry = entry.map_err(failed)?;
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        names.push((entry.file_name().to_string_lossy().into_owned(), is_folder));
    }
    Ok(names)
}
