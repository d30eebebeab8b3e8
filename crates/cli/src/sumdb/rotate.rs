//! `larder sumdb rotate`: changes the key of our own log, under its name.
//!
//! The state says who signs; the files only hold keys. So the state is changed first, and files are
//! moved when no signature depends on where they lie.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "key files are moved here; no other room knows them"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use db::KeyState;
use sumdb::{OwnLog, OwnParts};
use tlog::{LogName, VerifierKey};

use crate::config::Resolved;
use crate::exit::Exit;
use crate::{output, serve};

/// How long the older key signs beside the newer one, as advised: what clients keep is as old.
const OVERLAP_DAYS: u16 = 180;

/// Lets a second key sign, and prints the line that clients set from now on.
///
/// # Errors
/// Two keys sign already, the log is frozen, or the data folder is in use.
pub(super) fn begin(resolved: &Resolved) -> anyhow::Result<ExitCode> {
    let next = with_log(resolved, async |parts, signing| {
        let file = serve::next_key_file(resolved);
        let next = match signing.split_last() {
            // Two sign already: cut short before the end, or to be refused.
            Some((newest, [_, ..])) => newest.clone(),
            _ => next_key(&file, &parts.name)?,
        };
        let keys = serve::held_keys(resolved)?;
        let OwnParts { name, store, state, .. } = parts;
        OwnLog::rotate(&serve::own_parts(name, keys, store, state), &next).await?;
        Ok(next)
    })?;
    output::err(&format!(
        "both keys sign from now on: back up {}, apart from the data folder. Give clients the new line \
         (`larder sumdb setup`); when the last one has had it for a while ({OVERLAP_DAYS} days are \
         advised), run `larder sumdb rotate --finish`",
        serve::next_key_file(resolved).display()
    ));
    output::out(&next.to_string());
    Ok(Exit::Done.into())
}

/// The key in the file, which an earlier run may have made; else a new one.
fn next_key(file: &Path, name: &LogName) -> anyhow::Result<VerifierKey> {
    let key = match serve::signing_key(file)? {
        Some(key) => key,
        None => super::own::make_key(file, name.clone())?,
    };
    sync_folder(file)?;
    Ok(key.verifier())
}

/// Lets the older key retire, and puts the newer one in its place.
///
/// # Errors
/// The key is not being changed, the log is frozen, the data folder is in use, or a file cannot be
/// moved: then the older key has retired all the same.
pub(super) fn finish(resolved: &Resolved) -> anyhow::Result<ExitCode> {
    let retired =
        with_log(resolved, async |parts, _signing| Ok(OwnLog::finish_rotation(&parts).await?))?;
    let moved = move_files(resolved, &retired.key)?;
    if retired.old.is_empty() && moved == Moved::Nothing {
        bail!("{} has one key: there is nothing to finish", retired.key.name());
    }
    for old in &retired.old {
        output::err(&format!("retired: {old}"));
    }
    if let Moved::Both(aside) = moved {
        output::err(&format!("the retired key is in {}", aside.display()));
    }
    output::out(&retired.key.to_string());
    Ok(Exit::Done.into())
}

/// Opens the log for a change, under the lock of the data folder; hands its parts with the keys at
/// hand, and the keys that sign, the oldest first.
fn with_log<T>(
    resolved: &Resolved,
    change: impl AsyncFnOnce(OwnParts, Vec<VerifierKey>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // By the lock of the data folder no server runs: it would go on with the keys that it knows.
    let store = serve::store(resolved)?;
    serve::fill_runtime(resolved)?.block_on(async {
        let none = "there is no log: run `larder sumdb init NAME`";
        let state = serve::state_to_change(resolved).await?.context(none)?;
        let name = state.log_name().await?.context(none)?;
        let standing = state.log(&name).await?.context(none)?.standing().await?;
        let signs = standing.keys.iter().filter(|key| key.state == KeyState::Signs);
        let signing = signs.map(|key| key.key.parse()).collect::<Result<_, tlog::Error>>()?;
        let keys = serve::held_keys(resolved)
            .context("a key file that was cut short when it was made can be removed")?;
        let parts = serve::own_parts(LogName::parse(&name)?, keys, store, state.clone());
        let changed = change(parts, signing).await?;
        state.close().await;
        Ok(changed)
    })
}

/// Which key files were moved.
#[derive(Debug, PartialEq, Eq)]
enum Moved {
    /// The key that signs lies in its place.
    Nothing,
    /// It came there; no other lay there.
    Next,
    /// It came there, and the retired one here.
    Both(PathBuf),
}

/// Moves the file of a key that no longer signs aside, and the one that does into its place.
///
/// A crash between the two leaves the key that signs where `serve` looks for it, and the next run
/// does the rest.
fn move_files(resolved: &Resolved, key: &VerifierKey) -> anyhow::Result<Moved> {
    let (file, next) = (serve::key_file(resolved), serve::next_key_file(resolved));
    let holds =
        |file: &Path| anyhow::Ok(serve::signing_key(file)?.map(|held| held.verifier() == *key));
    let moved = match (holds(&file)?, holds(&next)?) {
        (Some(false), Some(true)) => Moved::Both(aside(&file)?),
        (None, Some(true)) => Moved::Next,
        _ => return Ok(Moved::Nothing),
    };
    if let Moved::Both(aside) = &moved {
        rename(&file, aside)?;
    }
    rename(&next, &file)?;
    Ok(moved)
}

/// A name that no file has: `<key_file>.retired`, then `.retired-2` and so on. Keys are never
/// overwritten.
fn aside(file: &Path) -> anyhow::Result<PathBuf> {
    let name = |number: u32| {
        let mut name = OsString::from(file);
        name.push(".retired");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    (1..1000).map(name).find(free).context("there are a thousand retired keys")
}

/// Durable on return.
fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let moving = || format!("moving {} to {}", from.display(), to.display());
    fs::rename(from, to).with_context(moving)?;
    sync_folder(to)
}

fn sync_folder(file: &Path) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("syncing {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::{self, Flags, World};

    const NAME: &str = "sum.corp.example/go";

    /// A data folder with a log.
    struct Place {
        folder: tempfile::TempDir,
        resolved: Resolved,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().display().to_string();
            let world = World::empty("/nowhere".into())
                .with("LARDER_SUMDB_DATABASES", "off")
                .with("LARDER_STORE_MIN_FREE", "1MiB")
                .with("LARDER_STORE_DATA", &data);
            let resolved = config::load(&Flags::default(), &world).unwrap();
            super::super::own::init(&resolved, NAME).unwrap();
            Self { folder, resolved }
        }

        fn file(&self, suffix: &str) -> PathBuf {
            self.folder.path().join(format!("keys/sumdb{suffix}"))
        }

        fn key(&self, suffix: &str) -> Option<VerifierKey> {
            serve::signing_key(&self.file(suffix)).unwrap().map(|key| key.verifier())
        }

        fn files(&self) -> Vec<String> {
            let files = fs::read_dir(self.folder.path().join("keys")).unwrap();
            let name = |file: fs::DirEntry| file.file_name().into_string().unwrap();
            let mut names: Vec<_> = files.map(|file| name(file.unwrap())).collect();
            names.sort();
            names
        }

        fn rotate(&self) -> anyhow::Result<ExitCode> {
            begin(&self.resolved)
        }

        fn finish(&self) -> anyhow::Result<ExitCode> {
            finish(&self.resolved)
        }

        /// The keys that sign as `serve` would; it would not be frozen.
        fn signs(&self) -> Vec<VerifierKey> {
            let runtime = serve::fill_runtime(&self.resolved).unwrap();
            let log = runtime.block_on(serve::own_beside(&self.resolved)).unwrap().unwrap();
            assert_eq!(log.frozen(), None);
            log.verifiers()
        }
    }

    fn refused(done: anyhow::Result<ExitCode>, word: &str) {
        let error = format!("{:#}", done.unwrap_err());
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn a_key_goes_from_file_to_file_and_none_is_lost() {
        let place = Place::new();
        let old = place.key("").unwrap();
        refused(place.finish(), "nothing to finish");
        place.rotate().unwrap();
        let new = place.key(".next").unwrap();
        assert_eq!(
            (place.key(""), place.signs()),
            (Some(old.clone()), vec![old.clone(), new.clone()])
        );
        let mode = fs::metadata(place.file(".next")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        refused(place.rotate(), "two keys already");
        assert_eq!(place.files(), ["sumdb", "sumdb.next"]);
        // What lies there under the name of a retired key stays.
        fs::write(place.file(".retired"), "another").unwrap();
        place.finish().unwrap();
        assert_eq!(place.files(), ["sumdb", "sumdb.retired", "sumdb.retired-2"]);
        assert_eq!((place.key(""), place.key(".retired-2")), (Some(new.clone()), Some(old)));
        assert_eq!(fs::read(place.file(".retired")).unwrap(), b"another");
        assert_eq!(place.signs(), [new]);
        refused(place.finish(), "nothing to finish");
    }

    #[test]
    fn a_key_that_was_made_before_is_used() {
        let place = Place::new();
        let key = next_key(&place.file(".next"), &NAME.parse().unwrap()).unwrap();
        assert_eq!(place.signs(), [place.key("").unwrap()], "it signs nothing yet");
        place.rotate().unwrap();
        assert_eq!(place.signs(), [place.key("").unwrap(), key]);
    }

    #[test]
    fn a_file_that_holds_no_key_is_never_touched() {
        let place = Place::new();
        fs::write(place.file(".next"), "PRIVATE").unwrap();
        refused(place.rotate(), "can be removed");
        assert_eq!(fs::read(place.file(".next")).unwrap(), b"PRIVATE");
    }

    /// The files as a crash leaves them after the state was changed: none moved, or one.
    #[test]
    fn an_end_that_was_cut_short_is_done_again() {
        for moved in [false, true] {
            let place = Place::new();
            place.rotate().unwrap();
            let (old, new) = (place.key("").unwrap(), place.key(".next").unwrap());
            place.finish().unwrap();
            fs::rename(place.file(""), place.file(".next")).unwrap();
            if !moved {
                fs::rename(place.file(".retired"), place.file("")).unwrap();
            }
            assert_eq!(place.signs(), std::slice::from_ref(&new), "serve does not mind");
            place.finish().unwrap();
            assert_eq!(place.files(), ["sumdb", "sumdb.retired"]);
            assert_eq!((place.key(""), place.key(".retired")), (Some(new), Some(old)));
        }
    }

    #[test]
    fn which_file_holds_which_key_does_not_matter() {
        let place = Place::new();
        place.rotate().unwrap();
        let (old, new) = (place.key("").unwrap(), place.key(".next").unwrap());
        let (file, next, aside) = (place.file(""), place.file(".next"), place.file(".x"));
        for (from, to) in [(&file, &aside), (&next, &file), (&aside, &next)] {
            fs::rename(from, to).unwrap();
        }
        assert_eq!(place.signs(), [old, new.clone()]);
        place.finish().unwrap();
        assert_eq!((place.key(""), place.signs()), (Some(new.clone()), vec![new]));
    }

    #[test]
    fn without_a_log_there_is_nothing_to_change() {
        let place = Place::new();
        for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
            drop(fs::remove_file(place.folder.path().join(name)));
        }
        refused(place.rotate(), "there is no log");
        assert_eq!(place.files(), ["sumdb"]);
    }
}
