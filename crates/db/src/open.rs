//! Opening the index, or beginning a new one.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Error, Index};

/// Most files kept that could not be read; the oldest goes first.
pub const MAX_SET_ASIDE: usize = 3;

/// How far the tables have come: `user_version` of the file, set by the last migration.
const SCHEMA: i64 = 1;

/// How long a write waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a question waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that read. Each has a thread.
const READERS: u32 = 2;

/// Longest write-ahead log that stays on disk after a checkpoint, in bytes.
const MAX_LOG_BYTES: &str = "16777216";

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/index");

/// How the index came to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It was there.
    Existing,
    /// There was none; it is empty.
    Made,
    /// The one that was there is set aside; this one is empty.
    Rebuilt,
}

impl Index {
    /// Opens the index in `file`, or makes it. Time does not grow with its size.
    ///
    /// A file that is damaged, newer than this program or no index at all is set aside as
    /// `<file>.broken-<n>`, of which the newest [`MAX_SET_ASIDE`] stay. Damage deep inside a file
    /// shows later, as [`Error::Damaged`].
    ///
    /// # Errors
    /// `Unavailable` when the file can be neither opened nor made: a read-only folder, a full disk,
    /// another process that writes for long. `SetAside` when the old file cannot be moved.
    pub async fn open(file: &Path) -> Result<(Self, Opened), Error> {
        let existing = fs::metadata(file).is_ok_and(|about| about.len() > 0);
        match connect(file).await {
            Ok(index) if existing => Ok((index, Opened::Existing)),
            Ok(index) => Ok((index, Opened::Made)),
            Err(error @ Error::Damaged { .. }) => {
                let (name, reason) = (file.display(), std::error::Error::source(&error));
                tracing::warn!(
                    file = %name,
                    reason = reason.map(tracing::field::display),
                    "index {name} cannot be read, it is set aside and begun anew"
                );
                set_aside(file)?;
                Ok((connect(file).await?, Opened::Rebuilt))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes an index that lives as long as its clones: for tests, and when no file can be had.
    ///
    /// # Errors
    /// `Unavailable` when memory is short.
    pub async fn memory() -> Result<Self, Error> {
        let pool = single_in_memory().await?;
        bring_up(&pool, &MIGRATIONS, SCHEMA).await?;
        Ok(Self::over(pool.clone(), pool))
    }
}

/// One connection to a database in memory. It is never replaced: the database is that connection's.
pub(crate) async fn single_in_memory() -> Result<SqlitePool, Error> {
    let options = options(SqliteConnectOptions::new().in_memory(true), SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.acquire_timeout(ACQUIRE_TIMEOUT).connect_with(options).await;
    pool.map_err(|error| Error::sql("open", error))
}

/// One connection to a file, which is made if it is not there.
pub(crate) async fn single(
    file: &Path,
    synchronous: SqliteSynchronous,
) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_connections(1);
    let pool = pool.connect_with(self::options(options, synchronous)).await;
    pool.map_err(|error| Error::sql("open", error))
}

/// One connection to a file that is there, for reading; also where nothing can be written.
pub(crate) async fn single_for_reading(file: &Path) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let options = options.busy_timeout(BUSY_TIMEOUT).pragma("temp_store", "MEMORY");
    let log = beside(file, "-wal");
    let mut last = Error::nonsense("open");
    // A file in WAL mode wants its index of shared memory beside it. Where that can be neither opened
    // nor made, the file is read as it is, which is all of it only when it has no log.
    for options in [options.clone(), options.immutable(true)] {
        let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_connections(1);
        let opened = pool.connect_with(options).await.map_err(|error| Error::sql("open", error));
        match opened {
            Ok(pool) => match age(&pool).await {
                Ok(_age) => return Ok(pool),
                Err(error) => {
                    pool.close().await;
                    last = error;
                }
            },
            Err(error) => last = error,
        }
        if log.exists() {
            break;
        }
    }
    Err(last)
}

fn options(options: SqliteConnectOptions, synchronous: SqliteSynchronous) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(BUSY_TIMEOUT)
        // Nothing is written outside the data folder, and there may be no TMPDIR.
        .pragma("temp_store", "MEMORY")
        .pragma("journal_size_limit", MAX_LOG_BYTES)
}

async fn connect(file: &Path) -> Result<Index, Error> {
    let writer = single(file, SqliteSynchronous::Normal).await?;
    if let Err(error) = ready(&writer).await {
        writer.close().await;
        return Err(error);
    }
    let options = options(SqliteConnectOptions::new().filename(file), SqliteSynchronous::Normal);
    let readers = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
    let readers = readers.max_connections(READERS).connect_lazy_with(options);
    Ok(Index::over(writer, readers))
}

/// Brings the tables up to date and looks whether they are ours.
async fn ready(pool: &SqlitePool) -> Result<(), Error> {
    bring_up(pool, &MIGRATIONS, SCHEMA).await?;
    for probe in [
        "SELECT path, version, size, stored, last_used, has_info, has_mod, has_zip
         FROM version LIMIT 1",
        "SELECT kind, path, query, status, body, origin, fetched FROM kept LIMIT 1",
    ] {
        let probed = sqlx::query(probe).fetch_optional(pool).await;
        probed.map_err(|error| Error::sql("show its tables", error))?;
    }
    Ok(())
}

/// How far the tables of a file have come.
pub(crate) async fn age(pool: &SqlitePool) -> Result<i64, Error> {
    let asked = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await;
    asked.map_err(|error| Error::sql("tell its age", error))
}

/// Brings the tables up to `schema`; those of a newer release are refused.
pub(crate) async fn bring_up(
    pool: &SqlitePool,
    migrations: &Migrator,
    schema: i64,
) -> Result<(), Error> {
    let found = age(pool).await?;
    if found > schema {
        return Err(Error::nonsense("tell its age"));
    }
    if found == schema {
        return Ok(());
    }
    let migrated = migrations.run(pool).await;
    migrated.map_err(|error| Error::sql("migrate", sqlx::Error::from(error)))
}

/// Moves the file of a closed index to `<file>.broken-<n>`, with its write-ahead log, and removes
/// all but the newest [`MAX_SET_ASIDE`] of them. No file: done. Blocks, for a few renames.
///
/// # Errors
/// `SetAside` when a file cannot be moved or removed.
pub fn set_aside(file: &Path) -> Result<(), Error> {
    let mut broken = broken_files(file)?;
    let next = broken.last().map_or(1, |newest| newest.saturating_add(1));
    let to = broken_name(file, next);
    // The log first: without its file it is nothing, but a new file must not meet an old log.
    for (from, to) in [(beside(file, "-wal"), beside(&to, "-wal")), (file.to_owned(), to)] {
        absent_is_fine(fs::rename(&from, to), from)?;
    }
    let shared = beside(file, "-shm");
    absent_is_fine(fs::remove_file(&shared), shared)?;
    broken.push(next);
    let surplus = broken.len().saturating_sub(MAX_SET_ASIDE);
    for number in broken.into_iter().take(surplus) {
        let old = broken_name(file, number);
        for old in [beside(&old, "-wal"), old] {
            absent_is_fine(fs::remove_file(&old), old)?;
        }
    }
    Ok(())
}

fn absent_is_fine(result: io::Result<()>, path: PathBuf) -> Result<(), Error> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::SetAside { path, source })
        }
        _ => Ok(()),
    }
}

/// Lists the numbers of the files set aside so far, oldest first.
fn broken_files(file: &Path) -> Result<Vec<u64>, Error> {
    let failed = |source| Error::SetAside { path: file.to_owned(), source };
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let own = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let prefix = format!("{own}.broken-");
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn broken_name(file: &Path, number: u64) -> PathBuf {
    beside(file, &format!(".broken-{number}"))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_three_set_aside_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index.sqlite");
        for round in 1..=5 {
            fs::write(&file, format!("bad {round}")).unwrap();
            fs::write(beside(&file, "-wal"), format!("log {round}")).unwrap();
            set_aside(&file).unwrap();
            assert!(!file.exists() && !beside(&file, "-wal").exists());
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [3, 4, 5].map(|n| format!("index.sqlite.broken-{n}"));
        let expected: Vec<_> =
            expected.iter().flat_map(|name| [name.clone(), format!("{name}-wal")]).collect();
        assert_eq!(names, expected);
        assert_eq!(fs::read(broken_name(&file, 5)).unwrap(), b"bad 5");
    }

    #[test]
    fn setting_aside_nothing_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        set_aside(&folder.path().join("index.sqlite")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_last_migration_sets_the_schema_number() {
        let last = MIGRATIONS.iter().last().unwrap();
        assert_eq!(last.version, SCHEMA);
        assert!(last.sql.as_str().contains(&format!("PRAGMA user_version = {SCHEMA};")));
    }
}
