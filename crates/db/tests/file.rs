//! The index as a file: kept, shared, damaged, large.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a failed step is a failed test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use db::{Error, Index, Kept, KeptAnswer, Mutable, Opened, Row};
use gomod::{ModVer, ModulePath, Version};
use units::Timestamp;

const FILE: &str = "LARDER_TEST_INDEX";

fn row(number: usize) -> Row {
    let path = ModulePath::parse(&format!("example.com/owner/m{}", number / 10)).unwrap();
    let version = Version::parse(&format!("v1.{}.0", number % 10)).unwrap();
    Row {
        module: ModVer::new(path, version).unwrap(),
        size: 20_000,
        stored: Timestamp::from_unix_secs(1_700_000_000),
        last_used: None,
        has_info: true,
        has_mod: true,
        has_zip: true,
    }
}

/// Opens, and says how.
async fn opened(file: &Path) -> (Index, Opened) {
    Index::open(file).await.unwrap()
}

/// Makes an index with one version.
async fn filled(file: &Path) {
    let (index, how) = opened(file).await;
    assert_eq!(how, Opened::Made);
    index.upsert(&[row(1)]).await.unwrap();
    index.close().await;
}

fn broken(file: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.broken-{number}", file.display()))
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    filled(&file).await;
    let (index, how) = opened(&file).await;
    assert_eq!((how, index.count().await.unwrap()), (Opened::Existing, 1));
    // Nothing is left beside the file once it is closed.
    index.close().await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("index.sqlite"), folder.path().join("copy.sqlite"));
    let (index, _how) = opened(&file).await;
    index.upsert(&[row(1), row(2)]).await.unwrap();
    // What a kill would leave: the file and its log, taken while the index is open.
    for suffix in ["", "-wal"] {
        let of = |file: &Path| PathBuf::from(format!("{}{suffix}", file.display()));
        fs::copy(of(&file), of(&copy)).unwrap();
    }
    let (after, how) = opened(&copy).await;
    assert_eq!((how, after.count().await.unwrap()), (Opened::Existing, 2));
}

#[tokio::test]
async fn an_empty_file_is_a_new_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    fs::write(&file, "").unwrap();
    filled(&file).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    for round in 1..=5 {
        let text = format!("not a database, round {round}, {}", "x".repeat(5000));
        fs::write(&file, &text).unwrap();
        let (index, how) = opened(&file).await;
        assert_eq!((how, index.count().await.unwrap()), (Opened::Rebuilt, 0));
        index.close().await;
        assert_eq!(fs::read_to_string(broken(&file, round)).unwrap(), text);
    }
    assert!(!broken(&file, 2).exists() && broken(&file, 3).exists());
}

#[tokio::test]
async fn damaged_tables_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    filled(&file).await;
    let mut bytes = fs::read(&file).unwrap();
    // Behind the header, so that it looks like a database until it is read.
    bytes[100..].fill(0xab);
    fs::write(&file, bytes).unwrap();
    let (index, how) = opened(&file).await;
    assert_eq!((how, index.count().await.unwrap()), (Opened::Rebuilt, 0));
}

#[tokio::test]
async fn damage_deep_inside_shows_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    let (index, _how) = opened(&file).await;
    index.upsert(&(0..5_000).map(row).collect::<Vec<_>>()).await.unwrap();
    index.close().await;
    let mut bytes = fs::read(&file).unwrap();
    let len = bytes.len();
    bytes[len / 3..].fill(0xab);
    fs::write(&file, bytes).unwrap();
    let (index, _how) = opened(&file).await;
    let mut seen = Ok(());
    for number in 0..5_000 {
        seen = index.version(&row(number).module).await.map(drop);
        if seen.is_err() {
            break;
        }
    }
    assert!(matches!(seen, Err(Error::Damaged { .. })), "{seen:?}");
    index.close().await;
    db::set_aside(&file).unwrap();
    assert_eq!(opened(&file).await.1, Opened::Made);
}

/// Runs SQL on the file, as somebody else's program would.
async fn sql(file: &Path, statement: &'static str) {
    use sqlx::{Connection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_index_is_set_aside_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    filled(&file).await;
    sql(&file, "PRAGMA user_version = 2").await;
    let (index, how) = opened(&file).await;
    assert_eq!((how, index.count().await.unwrap()), (Opened::Rebuilt, 0));
    sql(&broken(&file, 1), "PRAGMA user_version = 1").await;
    assert_eq!(opened(&broken(&file, 1)).await.0.count().await.unwrap(), 1);
}

#[tokio::test]
async fn somebody_elses_database_is_set_aside() {
    for statement in [
        "CREATE TABLE version (name TEXT)",
        "CREATE TABLE songs (name TEXT); PRAGMA user_version = 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index.sqlite");
        sql(&file, statement).await;
        let (index, how) = opened(&file).await;
        assert_eq!((how, index.count().await.unwrap()), (Opened::Rebuilt, 0), "{statement}");
    }
}

#[tokio::test]
async fn a_folder_in_its_place_is_not_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    fs::create_dir(&file).unwrap();
    assert!(matches!(Index::open(&file).await, Err(Error::Unavailable { .. })));
    assert!(file.is_dir());
}

#[tokio::test]
async fn a_missing_folder_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Index::open(&folder.path().join("none/index.sqlite")).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
}

#[tokio::test]
async fn child_writes_when_it_is_told_a_file() {
    // Without a file this is no child: nothing to do.
    let Some(file) = std::env::var_os(FILE) else { return };
    let (index, _how) = opened(Path::new(&file)).await;
    for number in 1_000..1_300 {
        index.upsert(&[row(number)]).await.unwrap();
    }
    index.close().await;
}

#[tokio::test]
async fn two_processes_write_one_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    let (index, _how) = opened(&file).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_when_it_is_told_a_file"])
        .env(FILE, &file)
        .spawn()
        .unwrap();
    for number in 0..300 {
        index.upsert(&[row(number)]).await.unwrap();
        assert!(index.count().await.unwrap() > number as u64);
    }
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    assert!(ended.success());
    assert_eq!(index.count().await.unwrap(), 600);
}

#[tokio::test]
async fn reading_goes_on_while_a_batch_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _how) = opened(&folder.path().join("index.sqlite")).await;
    index.upsert(&[row(0)]).await.unwrap();
    let writer = index.clone();
    let writing = tokio::spawn(async move {
        let rows: Vec<_> = (1..5_000).map(row).collect();
        writer.upsert(&rows).await
    });
    while !writing.is_finished() {
        let count = index.count().await.unwrap();
        assert!(count == 1 || count == 5_000, "{count}: half a batch is seen");
    }
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_batch_did_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _how) = opened(&folder.path().join("index.sqlite")).await;
    let rows: Vec<_> = (0..5_000).map(row).collect();
    let limit = std::time::Duration::from_millis(5);
    let done = tokio::time::timeout(limit, index.upsert(&rows)).await.is_ok();
    let count = index.count().await.unwrap();
    assert_eq!(count, if done { 5_000 } else { 0 });
    index.upsert(&rows[..1]).await.unwrap();
}

/// Prints times; asserts only that opening does not read it all.
#[tokio::test]
async fn a_large_index_opens_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.sqlite");
    let (index, _how) = opened(&file).await;
    let rows: Vec<_> = (0..100_000).map(row).collect();
    let start = Instant::now();
    for batch in rows.chunks(1_000) {
        index.upsert(batch).await.unwrap();
    }
    println!("100,000 versions in batches of 1,000: {:?}", start.elapsed());
    let list = Mutable::List(rows[0].module.path().clone());
    let answer = KeptAnswer::Found(b"v1.0.0\n".to_vec());
    let fetched = Timestamp::from_unix_secs(1);
    index.keep(&list, &Kept { answer, fetched, origin: "x".to_owned() }).await.unwrap();
    index.close().await;
    println!("file: {} bytes", fs::metadata(&file).unwrap().len());

    let start = Instant::now();
    let (index, how) = opened(&file).await;
    let took = start.elapsed();
    println!("opened: {took:?}");
    assert_eq!(how, Opened::Existing);
    for (what, rounds) in [("first", 1), ("each of 1,000", 1_000)] {
        let start = Instant::now();
        for row in rows.iter().step_by(100).take(rounds) {
            assert_eq!(index.versions(row.module.path()).await.unwrap().len(), 10);
        }
        println!("list of 10, {what}: {:?}", start.elapsed() / u32::try_from(rounds).unwrap());
    }
    let start = Instant::now();
    assert_eq!(index.count().await.unwrap(), 100_000);
    println!("counted: {:?}", start.elapsed());
    let start = Instant::now();
    let uses: Vec<_> = rows.iter().take(1_000).map(|row| (row.module.clone(), fetched)).collect();
    index.touch(&uses).await.unwrap();
    println!("1,000 uses: {:?}", start.elapsed());
}
