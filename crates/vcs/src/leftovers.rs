//! What processes that were killed have left in the folder of mirrors.
//!
//! Everyone who has the folder open holds its lock, shared. Who gets it alone is the only one
//! alive, so everything half-made in it is nobody's: removed at once, before anything begins.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::mirror::Mirror;

/// Held by all who have the folder open.
const LOCK: &str = "lock";

/// What a name in the folder stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mirror,
    /// A mirror's lock.
    Lock,
    /// Being removed.
    Trash,
    /// Being made.
    Unfinished,
    /// `home`, `lock`, and what is not ours.
    Other,
}

pub(crate) fn kind(name: &str) -> Kind {
    let is_mirror = |name: &str| name.len() == 64 && crate::refs::is_lower_hex(name);
    if is_mirror(name) {
        Kind::Mirror
    } else if name.strip_suffix(".lock").is_some_and(is_mirror) {
        Kind::Lock
    } else if name.contains(".trash-") {
        Kind::Trash
    } else if name.starts_with("tmp-") || name.contains(".new-") {
        Kind::Unfinished
    } else {
        Kind::Other
    }
}

/// Holds the folder until the file is dropped, and clears it first when nobody else does. Blocking.
pub(crate) fn hold(folder: &Path) -> io::Result<File> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => clear(folder)?,
        Err(rustix::io::Errno::WOULDBLOCK) => {}
        Err(error) => return Err(error.into()),
    }
    // Others that open it meanwhile wait here until it is clear.
    flock(&file, FlockOperation::LockShared)?;
    Ok(file)
}

fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // What cannot be removed is in nobody's way, and tried again at the next start.
        let _ = match entry.file_name().to_str().map(kind) {
            Some(Kind::Mirror) => {
                Mirror::new(entry.path()).sweep();
                Ok(())
            }
            Some(Kind::Lock) => fs::remove_file(entry.path()),
            Some(Kind::Trash | Kind::Unfinished) => fs::remove_dir_all(entry.path()),
            Some(Kind::Other) | None => Ok(()),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Kind, hold, kind};

    #[test]
    fn names_are_told_apart() {
        let hash = "a".repeat(64);
        for (name, wanted) in [
            (hash.clone(), Kind::Mirror),
            (format!("{hash}.lock"), Kind::Lock),
            (format!("{hash}.trash-12"), Kind::Trash),
            (format!("{hash}.new-12"), Kind::Unfinished),
            (format!("{hash}.new-12.trash-34"), Kind::Trash),
            ("tmp-12".to_owned(), Kind::Unfinished),
            ("home".to_owned(), Kind::Other),
            ("lock".to_owned(), Kind::Other),
            ("notes.lock".to_owned(), Kind::Other),
            ("A".repeat(64), Kind::Other),
        ] {
            assert_eq!(kind(&name), wanted, "{name}");
        }
    }

    #[test]
    fn who_is_alone_clears_the_folder_and_nobody_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let hash = "a".repeat(64);
        let half = || {
            for name in ["tmp-1", &format!("{hash}.new-1"), &format!("{hash}.trash-1"), "home"] {
                fs::create_dir_all(folder.path().join(name)).unwrap();
            }
            let packs = folder.path().join(&hash).join("objects/pack");
            fs::create_dir_all(&packs).unwrap();
            for name in ["tmp_pack_1", "pack-1.keep", "pack-1.pack"] {
                fs::write(packs.join(name), "").unwrap();
            }
            fs::write(folder.path().join(format!("{hash}.lock")), "").unwrap();
        };
        let names = |below: &str| {
            let all = fs::read_dir(folder.path().join(below)).unwrap();
            let all = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut all: Vec<_> = all.collect();
            all.sort();
            all
        };
        half();
        let first = hold(folder.path()).unwrap();
        let sound = [hash.as_str(), "home", "lock"];
        assert_eq!(names(""), sound);
        assert_eq!(names(&format!("{hash}/objects/pack")), ["pack-1.pack"]);
        half();
        let second = hold(folder.path()).unwrap();
        assert_eq!(names("").len(), sound.len() + 4, "somebody lives");
        drop((first, second));
        drop(hold(folder.path()).unwrap());
        assert_eq!(names(""), sound);
    }
}
