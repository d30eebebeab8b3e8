//! Reads everything that is stored again: reports and quarantines damage, rebuilds what can be rebuilt.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use db::{Index, Row};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gomod::{ModVer, ModulePath, Query};
use policy::{Facts, FileFacts, Verification};
use store::{Found, Key, Object, Store, Walk};
use sumdb::Sumdb;
use tlog::LogName;
use units::Timestamp;

use crate::load::{Target, check_again};
use crate::shelf::sha256_hex;
use crate::{Error, Kind, facts, housekeeping};

/// How many versions are read at once: enough to keep every core and one disk busy.
const CONCURRENT_VERSIONS: usize = 8;

/// How many index rows are written in one transaction.
const ROWS_AT_ONCE: usize = 1000;

/// Should the index (and facts, `.ziphash`, `list`) be made again from the files?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reindex {
    /// Only read and report; damage is quarantined.
    No,
    /// Also make again what follows from the files.
    Yes,
}

/// A file that is not what it should be. It was moved to `evidence/`, so the next request fetches it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which file.
    pub what: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct FsckReport {
    /// Versions with at least one file.
    pub versions: u64,
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Damaged files, quarantined.
    pub damage: Vec<Damage>,
    /// Files whose stored proof is gone or does not prove; left alone, but confirmed again when the
    /// index is made anew.
    pub unproven: Vec<Damage>,
    /// Files in the module tree that are no module files; left alone.
    pub strangers: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    report: FsckReport,
    rows: Vec<Row>,
    paths: BTreeSet<ModulePath>,
}

struct Fsck<'a> {
    store: &'a Store,
    sumdb: &'a Sumdb,
    reindex: Reindex,
    state: Mutex<State>,
}

/// Reads the whole store again.
///
/// Hashes are compared with the facts, zips are judged by every zip rule, and what confirmed a file is
/// proven again from what is stored of the checksum database.
/// `progress` is called with each version that is done. Idempotent; may be stopped at any time.
///
/// # Errors
///
/// The store's or the index's own trouble; damage is in the report, not an error.
pub async fn fsck(
    (store, sumdb): (&Store, &Sumdb),
    index: Option<&Index>,
    reindex: Reindex,
    progress: &(dyn Fn(&ModVer) + Sync),
) -> Result<FsckReport, Error> {
    let fsck = Fsck { store, sumdb, reindex, state: Mutex::default() };
    let looks = everything(store).await?.map(|found| fsck.look(found, progress));
    looks.buffer_unordered(CONCURRENT_VERSIONS).try_collect::<()>().await?;
    let State { report, rows, paths } =
        fsck.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if reindex == Reindex::Yes {
        rebuild(store, index, &rows, &paths).await?;
    }
    Ok(report)
}

/// All that is stored, one after the other.
pub(crate) async fn everything(
    store: &Store,
) -> Result<impl Stream<Item = Result<Found, store::Error>>, Error> {
    Ok(stream::unfold(store.walk().await?, |mut walk: Walk| async move {
        let next = walk.next().await.transpose()?;
        Some((next, walk))
    }))
}

async fn rebuild(
    store: &Store,
    index: Option<&Index>,
    rows: &[Row],
    paths: &BTreeSet<ModulePath>,
) -> Result<(), Error> {
    if let Some(index) = index {
        let failed = |error: db::Error| Error::fault(format!("rebuilding the index: {error}"));
        index.clear().await.map_err(failed)?;
        for rows in rows.chunks(ROWS_AT_ONCE) {
            index.upsert(rows).await.map_err(failed)?;
        }
    }
    for path in paths {
        housekeeping::list_file(store, path).await?;
    }
    Ok(())
}

impl Fsck<'_> {
    async fn look(
        &self,
        found: Result<Found, store::Error>,
        progress: &(dyn Fn(&ModVer) + Sync),
    ) -> Result<(), Error> {
        match found? {
            Found::Stranger(path) => self.with(|state| state.report.strangers.push(path)),
            Found::Version { module, info, go_mod, zip, .. } => {
                self.version(&module, [(Kind::Info, info), (Kind::Mod, go_mod), (Kind::Zip, zip)])
                    .await?;
                progress(&module);
            }
        }
        Ok(())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn version(&self, module: &ModVer, files: [(Kind, bool); 3]) -> Result<(), Error> {
        let known = facts::read(self.store, module).await?;
        let mut fresh = known.clone();
        let mut row: Option<Row> = None;
        for (kind, _) in files.into_iter().filter(|(_, present)| *present) {
            let target = Target { kind, module: module.clone() };
            let Some(object) = self.store.open(&target.key(), None).await? else { continue };
            let sound = match self.file(&target, &object, &known).await? {
                Ok(file) => file,
                Err(reason) => {
                    self.damaged(&target, reason).await?;
                    continue;
                }
            };
            let row = row.get_or_insert_with(|| empty_row(module, object.modified));
            mark(row, kind, object.len());
            let sound =
                FileFacts { verified: self.proven(&target, sound.verified).await?, ..sound };
            facts::set(&mut fresh, kind, sound);
        }
        self.with(|state| {
            state.report.versions += u64::from(row.is_some());
            state.paths.insert(module.path().clone());
            state.rows.extend(row);
        });
        if self.reindex == Reindex::Yes && fresh != known {
            self.write_facts(module, &fresh).await?;
        }
        Ok(())
    }

    /// One file: its facts as they are now, or what is wrong with it.
    async fn file(
        &self,
        target: &Target,
        object: &Object,
        known: &Facts,
    ) -> Result<Result<FileFacts, String>, Error> {
        self.with(|state| {
            state.report.files += 1;
            state.report.bytes += object.len();
        });
        let known = facts::of(known, target.kind);
        let origin = known.map_or("found in the store", |known| known.origin.as_str());
        let stored = known.map_or(object.modified, |known| known.stored);
        let sound = if target.kind == Kind::Info {
            info(target, object, origin, stored).await?
        } else {
            checked(target, object, origin, stored).await
        };
        Ok(sound.and_then(|sound| match known {
            Some(known) if known.sha256 != sound.sha256 => {
                Err(format!("its SHA-256 is {}, not {}", sound.sha256, known.sha256))
            }
            // The same bytes: what a database confirmed of them stays confirmed.
            Some(known) => Ok(FileFacts { verified: known.verified.clone(), ..sound }),
            None => Ok(sound),
        }))
    }

    /// Whether what confirmed a file is still there: record, tiles and head. Without them the file
    /// is as good as unconfirmed, and is asked about again.
    async fn proven(
        &self,
        target: &Target,
        verified: Option<Verification>,
    ) -> Result<Option<Verification>, Error> {
        let Some(Verification::Database { name, .. }) = &verified else { return Ok(verified) };
        let Ok(database) = LogName::parse(name) else { return Ok(verified) };
        match self.sumdb.proven(&database, &target.module).await {
            Ok(None) => {}
            // The only error: a database that is no longer configured cannot be judged.
            Ok(Some(_)) | Err(_) => return Ok(verified),
        }
        let reason = format!("what {name} records of it is gone or proves nothing");
        let what = target.to_string();
        self.with(|state| state.report.unproven.push(Damage { what, reason }));
        Ok(None)
    }

    async fn damaged(&self, target: &Target, reason: String) -> Result<(), Error> {
        self.store.quarantine(&target.key()).await?;
        if target.kind == Kind::Zip {
            self.store.remove(&Key::ZipHash(&target.module)).await?;
        }
        self.with(|state| state.report.damage.push(Damage { what: target.to_string(), reason }));
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "makes again what follows from module files")]
    async fn write_facts(&self, module: &ModVer, facts: &Facts) -> Result<(), Error> {
        let json = facts.to_json().map_err(|error| Error::fault(error.to_string()))?;
        let old = self.store.open(&Key::Facts(module), None).await?.map(|object| object.tag);
        self.store.replace(&Key::Facts(module), Bytes::from(json), old.as_ref()).await?;
        let Some(h1) = facts.zip.as_ref().and_then(|zip| zip.h1.clone()) else { return Ok(()) };
        let mut staged = self.store.stage().await?;
        staged.write(Bytes::from(h1)).await?;
        self.store.create(&Key::ZipHash(module), staged).await?;
        Ok(())
    }
}

async fn info(
    target: &Target,
    object: &Object,
    origin: &str,
    stored: Timestamp,
) -> Result<Result<FileFacts, String>, Error> {
    let bytes = object.bytes(gomod::modfile::MAX_MOD_BYTES).await?;
    let query = Query::Version(target.module.version().clone());
    let name = upstream::Origin(origin.into());
    if let Err(error) = upstream::Info::parse(target.module.path(), &query, bytes.clone(), name) {
        return Ok(Err(error.to_string()));
    }
    Ok(Ok(FileFacts {
        sha256: sha256_hex(&bytes),
        size: bytes.len() as u64,
        h1: None,
        origin: origin.to_owned(),
        stored,
        verified: None,
    }))
}

async fn checked(
    target: &Target,
    object: &Object,
    origin: &str,
    stored: Timestamp,
) -> Result<FileFacts, String> {
    let checked = check_again(target, object).await.map_err(|error| error.to_string())?;
    Ok(facts::file_facts(&checked, origin, stored))
}

fn empty_row(module: &ModVer, stored: Timestamp) -> Row {
    Row {
        module: module.clone(),
        size: 0,
        stored,
        last_used: None,
        has_info: false,
        has_mod: false,
        has_zip: false,
    }
}

fn mark(row: &mut Row, kind: Kind, size: u64) {
    row.size += size;
    match kind {
        Kind::Mod => row.has_mod = true,
        Kind::Zip => row.has_zip = true,
        _ => row.has_info = true,
    }
}
