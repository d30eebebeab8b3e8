//! Opening a data folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
};

use super::{Disk, publish::Publisher, space::Space};
use crate::{Config, Error, Metrics};

/// The number of the arrangement that this program reads and writes.
const LAYOUT: u64 = 1;

/// Folders that are there from the start; others come with their first file.
const FOLDERS: [&str; 4] = ["modules", "facts", "evidence", "scratch"];

impl Disk {
    /// Opens or makes the data folder. Blocks; meant for the start of the process.
    ///
    /// A folder that cannot be written is opened for reading, and stays so until it is opened
    /// again.
    pub(crate) fn open(folder: &Path, config: &Config) -> Result<Self, Error> {
        let root = std::path::absolute(folder).map_err(|error| Error::io("find", folder, error))?;
        make_root(&root)?;
        let (lock, mut writable) = lock(&root)?;
        let layout = layout(&root)?;
        if let Some(found) = layout.filter(|found| *found > LAYOUT) {
            return Err(Error::NewerLayout { found });
        }
        if writable {
            // A folder of another user, or a mount turned read-only: hits go on.
            writable = allowed(prepare(&root, layout))?;
        }
        Ok(Self {
            space: Space::new(&root, config.min_free.0, !writable),
            root,
            sync: config.fsync,
            publisher: Publisher::default(),
            metrics: Metrics::default(),
            scratch_names: AtomicU64::new(0),
            _lock: lock,
        })
    }
}

/// Looking at a folder that another process may hold.
impl Disk {
    pub(crate) fn beside(folder: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(folder).map_err(|error| Error::io("find", folder, error))?;
        match layout(&root)? {
            None => {
                let missing = io::Error::from(io::ErrorKind::NotFound);
                Err(Error::io("find a layout in", root, missing))
            }
            Some(found) if found > LAYOUT => Err(Error::NewerLayout { found }),
            Some(_) => Ok(Self {
                space: Space::new(&root, 0, true),
                root,
                sync: false,
                publisher: Publisher::default(),
                metrics: Metrics::default(),
                scratch_names: AtomicU64::new(0),
                _lock: None,
            }),
        }
    }
}

/// A step of opening that failed, with what it tried.
type Tried<T> = Result<T, (&'static str, PathBuf, io::Error)>;

/// Tells "may not write here" from other trouble.
fn allowed(step: Tried<()>) -> Result<bool, Error> {
    match step {
        Ok(()) => Ok(true),
        Err((_, _, error)) if is_refusal(&error) => Ok(false),
        Err((action, path, error)) => Err(Error::io(action, path, error)),
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn make_root(root: &Path) -> Result<(), Error> {
    if root.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(|error| Error::io("make", root, error))?;
    if let Some(parent) = root.parent() {
        // Best effort: the folder above may not be ours to open.
        let _not_ours = File::open(parent).and_then(|open| open.sync_all());
    }
    Ok(())
}

/// Takes the lock; also returns whether the folder can be written. Without a lock it is not.
fn lock(root: &Path) -> Result<(Option<File>, bool), Error> {
    let path = root.join("lock");
    let made = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let writable = match made {
        Ok(_closed_at_once) => true,
        Err(error) if is_refusal(&error) => false,
        Err(error) => return Err(Error::io("open", path, error)),
    };
    // Held for reading: a file open for writing would keep the disk from turning read-only.
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(_missing_or_secret) if !writable => return Ok((None, false)),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    match file.try_lock() {
        Ok(()) => Ok((Some(file), writable)),
        Err(TryLockError::WouldBlock) => Err(Error::Busy),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path, error)),
    }
}

/// Reads the layout's number; `None`: a new folder.
fn layout(root: &Path) -> Result<Option<u64>, Error> {
    let path = root.join("layout");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let number = text.trim().parse();
    number.map(Some).map_err(|error| Error::io("read", path, io::Error::other(error)))
}

/// Makes what is missing and removes what dead processes left: we hold the lock, so none lives.
fn prepare(root: &Path, layout: Option<u64>) -> Tried<()> {
    for name in FOLDERS {
        let folder = root.join(name);
        fs::create_dir_all(&folder).map_err(|error| ("make", folder, error))?;
    }
    let scratch = root.join("scratch");
    empty(&scratch)?;
    if layout.is_none() {
        write_layout(root).map_err(|error| ("write layout in", root.to_owned(), error))?;
    }
    File::open(root)
        .and_then(|open| open.sync_all())
        .map_err(|error| ("sync", root.to_owned(), error))
}

fn empty(folder: &Path) -> Tried<()> {
    let failed = |error| ("empty", folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| ("remove", path, error))?;
    }
    Ok(())
}

/// Written aside and renamed, so that a crash leaves no empty layout file.
fn write_layout(root: &Path) -> io::Result<()> {
    let aside = root.join("scratch").join("layout");
    let mut file = File::create(&aside)?;
    writeln!(file, "{LAYOUT}")?;
    file.sync_all()?;
    fs::rename(aside, root.join("layout"))
}
