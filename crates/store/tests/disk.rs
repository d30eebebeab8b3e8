//! What only a data folder on disk can show.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a failed step is a failed test"
)]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says why")]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Version};
use store::{BUFFER_BYTES, Config, Created, Degraded, Error, Found, Key, MAX_NAME_BYTES, Store};
use units::ByteSize;

fn config() -> Config {
    Config { min_free: ByteSize(0), ..Config::default() }
}

/// Opens; the thread that published last may hold the folder a moment longer than its store.
fn open(folder: &Path) -> Store {
    let start = Instant::now();
    loop {
        match Store::disk(folder, &config()) {
            Err(Error::Busy) if start.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result.unwrap(),
        }
    }
}

fn module(path: &str, version: &str) -> ModVer {
    ModVer::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

async fn create(store: &Store, key: &Key<'_>, body: &[u8]) -> Result<Created, Error> {
    let mut staged = store.stage().await?;
    staged.write(Bytes::copy_from_slice(body)).await?;
    store.create(key, staged).await
}

async fn read(store: &Store, key: &Key<'_>) -> Option<Bytes> {
    Some(store.open(key, None).await.unwrap()?.bytes(u64::MAX).await.unwrap())
}

async fn strangers(store: &Store) -> Vec<PathBuf> {
    let mut walk = store.walk().await.unwrap();
    let mut strangers = Vec::new();
    while let Some(found) = walk.next().await.unwrap() {
        if let Found::Stranger(path) = found {
            strangers.push(path);
        }
    }
    strangers.sort();
    strangers
}

/// Waits for what happens in the background, or with time.
async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn a_new_folder_has_its_layout() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("a/b");
    let store = open(&folder);
    assert_eq!(fs::read_to_string(folder.join("layout")).unwrap(), "1\n");
    for name in ["modules", "facts", "evidence", "scratch", "lock"] {
        assert!(folder.join(name).exists(), "{name}");
    }
    assert_eq!(store.look(), None);
}

#[tokio::test]
async fn a_second_open_is_busy_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let clone = store.clone();
    assert!(matches!(Store::disk(folder.path(), &config()), Err(Error::Busy)));
    drop(store);
    assert!(matches!(Store::disk(folder.path(), &config()), Err(Error::Busy)));
    drop(clone);
    open(folder.path());
}

#[tokio::test]
async fn a_folder_in_use_can_be_looked_at_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Store::beside(folder.path()), Err(Error::Io { .. })));
    assert!(is_empty(folder.path()));
    let store = open(folder.path());
    let m = module("example.com/m", "v1.0.0");
    create(&store, &Key::Mod(&m), b"module example.com/m\n").await.unwrap();
    let beside = Store::beside(folder.path()).unwrap();
    assert!(read(&beside, &Key::Mod(&m)).await.is_some());
    create(&store, &Key::Info(&m), b"{}").await.unwrap();
    assert!(read(&beside, &Key::Info(&m)).await.is_some());
    assert!(matches!(beside.stage().await, Err(Error::Stopped(Degraded::ReadOnly))));
    drop(store);
    drop(open(folder.path()));
}

#[tokio::test]
async fn a_newer_layout_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    fs::write(folder.path().join("layout"), "2\n").unwrap();
    fs::write(folder.path().join("scratch/theirs"), "x").unwrap();
    let refused = Store::disk(folder.path(), &config());
    assert!(matches!(refused, Err(Error::NewerLayout { found: 2 })));
    assert!(folder.path().join("scratch/theirs").exists());
}

#[tokio::test]
async fn a_layout_that_is_no_number_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("layout"), "one").unwrap();
    assert!(matches!(Store::disk(folder.path(), &config()), Err(Error::Io { .. })));
}

#[tokio::test]
async fn scratch_of_a_dead_process_goes_at_start_and_objects_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let module = module("example.com/x", "v1.0.0");
    create(&store, &Key::Zip(&module), b"zip").await.unwrap();
    drop(store);
    fs::write(folder.path().join("scratch/7"), "half").unwrap();
    fs::create_dir_all(folder.path().join("scratch/sub/sub")).unwrap();
    let store = open(folder.path());
    assert!(is_empty(&folder.path().join("scratch")));
    assert_eq!(read(&store, &Key::Zip(&module)).await.unwrap(), "zip");
}

#[tokio::test]
async fn a_file_removed_by_hand_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let module = module("example.com/x", "v1.0.0");
    let key = Key::Zip(&module);
    create(&store, &key, b"one").await.unwrap();
    fs::remove_file(folder.path().join(key.path())).unwrap();
    assert!(read(&store, &key).await.is_none());
    assert!(matches!(create(&store, &key, b"two").await, Ok(Created::New(_))));
}

#[tokio::test]
async fn folders_removed_by_hand_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let module = module("example.com/x", "v1.0.0");
    create(&store, &Key::Info(&module), b"one").await.unwrap();
    for name in ["modules", "scratch"] {
        fs::remove_dir_all(folder.path().join(name)).unwrap();
    }
    assert!(matches!(create(&store, &Key::Info(&module), b"two").await, Ok(Created::New(_))));
    assert_eq!(read(&store, &Key::Info(&module)).await.unwrap(), "two");
}

#[tokio::test]
async fn what_is_no_file_is_a_miss_and_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let module = module("example.com/x", "v1.0.0");
    let key = Key::Zip(&module);
    fs::create_dir_all(folder.path().join(key.path())).unwrap();
    assert!(read(&store, &key).await.is_none());
    assert!(matches!(create(&store, &key, b"zip").await, Err(Error::Io { .. })));
    assert!(is_empty(&folder.path().join("scratch")));
}

#[tokio::test]
async fn the_longest_name_can_be_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let filler = "a".repeat(MAX_NAME_BYTES - "v1.0.0-".len() - ".zip".len());
    let longest = module("example.com/x", &format!("v1.0.0-{filler}"));
    create(&store, &Key::Zip(&longest), b"zip").await.unwrap();
    assert_eq!(read(&store, &Key::Zip(&longest)).await.unwrap(), "zip");
    let refused = store.replace(&Key::Facts(&longest), Bytes::new(), None).await;
    assert!(matches!(refused, Err(Error::LongName { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_path_too_long_as_a_whole_is_a_long_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let name = vec!["a".repeat(200); 30].join("/");
    assert!(read(&store, &Key::Evidence(&name)).await.is_none());
    let refused = create(&store, &Key::Evidence(&name), b"x").await;
    assert!(matches!(refused, Err(Error::LongName { .. })), "{refused:?}");
    assert_eq!(store.look(), None);
}

#[tokio::test]
async fn a_copied_module_cache_is_found_and_strangers_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("modules");
    let at = modules.join("github.com/!azure/go/@v");
    fs::create_dir_all(&at).unwrap();
    for name in ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "v1.0.0.ziphash", "v1.0.0.lock"]
    {
        fs::write(at.join(name), name).unwrap();
    }
    fs::create_dir_all(modules.join("sumdb/sum.golang.org/lookup")).unwrap();
    for stranger in ["v1.0.0.zip123.tmp", "main.info", "v2.0.0.info"] {
        fs::write(at.join(stranger), "?").unwrap();
    }
    fs::create_dir_all(at.join("v1.1.0.zip")).unwrap();
    fs::create_dir_all(modules.join("Upper/@v")).unwrap();
    fs::write(modules.join("README"), "?").unwrap();

    let store = open(folder.path());
    let azure = module("github.com/Azure/go", "v1.0.0");
    assert_eq!(read(&store, &Key::Zip(&azure)).await.unwrap(), "v1.0.0.zip");
    assert_eq!(store.versions(azure.path()).await.unwrap(), [azure.version().clone()]);
    let told: Vec<_> =
        strangers(&store).await.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(
        told,
        [
            "modules/README",
            "modules/Upper/@v",
            "modules/github.com/!azure/go/@v/main.info",
            "modules/github.com/!azure/go/@v/v1.0.0.zip123.tmp",
            "modules/github.com/!azure/go/@v/v1.1.0.zip",
            "modules/github.com/!azure/go/@v/v2.0.0.info",
        ]
    );
}

#[tokio::test]
async fn a_walk_enters_so_many_folders_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // MAX_TREE_DEPTH counts modules/ itself; `@v` is not entered but read.
    let path_of = |parts: usize| vec!["a.b"; parts].join("/");
    let (at, past) = (path_of(store::MAX_TREE_DEPTH - 1), path_of(store::MAX_TREE_DEPTH));
    create(&store, &Key::Info(&module(&at, "v1.0.0")), b"x").await.unwrap();
    assert!(strangers(&store).await.is_empty());
    create(&store, &Key::Info(&module(&past, "v1.0.0")), b"x").await.unwrap();
    assert_eq!(strangers(&store).await, [PathBuf::from(format!("modules/{past}"))]);
}

#[tokio::test]
async fn a_walk_that_is_dropped_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..200 {
        let module = module(&format!("example.com/m{number}"), "v1.0.0");
        fs::create_dir_all(folder.path().join(Key::Zip(&module).path()).parent().unwrap()).unwrap();
        fs::write(folder.path().join(Key::Zip(&module).path()), "x").unwrap();
    }
    let mut walk = store.walk().await.unwrap();
    assert!(walk.next().await.unwrap().is_some());
    drop((walk, store));
    // The walking thread held the folder open.
    until("unlocked", || Store::disk(folder.path(), &config()).is_ok()).await;
}

#[tokio::test]
async fn what_can_be_made_again_is_not_synced() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut registry = prometheus_client::registry::Registry::default();
    store.metrics().register(&mut registry);
    let batches = |wanted: u32| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains(&format!("store_sync_batches_total {wanted}\n")), "{text}");
    };
    let module = module("example.com/x", "v1.0.0");
    store.replace(&Key::ListFile(module.path()), Bytes::new(), None).await.unwrap();
    batches(0);
    store.replace(&Key::Facts(&module), Bytes::new(), None).await.unwrap();
    batches(0);
    create(&store, &Key::Mod(&module), b"module example.com/x\n").await.unwrap();
    batches(1);
}

#[tokio::test]
async fn below_min_free_fills_stop_and_hits_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let module = module("example.com/x", "v1.0.0");
    let store = open(folder.path());
    create(&store, &Key::Zip(&module), b"zip").await.unwrap();
    drop(store);
    drop(open(folder.path()));
    let all = Config { min_free: ByteSize(u64::MAX), ..Config::default() };
    let store = Store::disk(folder.path(), &all).unwrap();
    let min = u64::MAX;
    assert!(
        matches!(store.look(), Some(Degraded::BelowMinFree { free, min: m }) if free > 0 && m == min)
    );
    assert!(matches!(store.stage().await, Err(Error::Stopped(Degraded::BelowMinFree { .. }))));
    assert_eq!(read(&store, &Key::Zip(&module)).await.unwrap(), "zip");
    // Small and in order: facts may follow what is stored.
    store.replace(&Key::Facts(&module), Bytes::new(), None).await.unwrap();
}

/// A small file system of its own; `None`, with the reason, when this user may not mount.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: only root can mount a tmpfs");
        None
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{options}")]).arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a handle may still be open.
        let _gone = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn needs_root_a_full_disk_stops_fills_until_there_is_room() {
    let Some(mount) = Mount::new("size=3m") else { return };
    let store = open(&mount.path());
    let scratch = mount.path().join("scratch");
    let (small, big) = (module("example.com/x", "v1.0.0"), module("example.com/x", "v1.1.0"));
    create(&store, &Key::Zip(&small), &vec![b'x'; 1 << 20]).await.unwrap();

    let mut staged = store.stage().await.unwrap();
    let chunk = Bytes::from(vec![b'y'; BUFFER_BYTES]);
    let mut failed = Ok(());
    for _chunk in 0..40 {
        failed = staged.write(chunk.clone()).await;
        if failed.is_err() {
            break;
        }
    }
    assert!(matches!(failed, Err(Error::Stopped(Degraded::Full))), "{failed:?}");
    assert_eq!(store.look(), Some(Degraded::Full));
    assert!(matches!(store.stage().await, Err(Error::Stopped(Degraded::Full))));
    let published = store.create(&Key::Zip(&big), staged).await;
    assert!(matches!(published, Err(Error::Stopped(Degraded::Full))), "{published:?}");
    assert_eq!(read(&store, &Key::Zip(&small)).await.unwrap().len(), 1 << 20);
    until("scratch is empty", || is_empty(&scratch)).await;
    until("room is noticed", || store.look().is_none()).await;
    create(&store, &Key::Zip(&big), b"now").await.unwrap();
}

#[tokio::test]
async fn needs_root_a_full_disk_refuses_a_small_body_at_create() {
    let Some(mount) = Mount::new("size=1m") else { return };
    let store = open(&mount.path());
    let (fill, more) = (mount.path().join("fill"), module("example.com/x", "v1.1.0"));
    let mut staged = store.stage().await.unwrap();
    staged.write(Bytes::from(vec![b'x'; 50_000])).await.unwrap();
    drop(fs::write(&fill, vec![b'x'; 2 << 20]).unwrap_err());
    let refused = store.create(&Key::Zip(&more), staged).await;
    assert!(matches!(refused, Err(Error::Stopped(Degraded::Full))), "{refused:?}");
    assert!(is_empty(&mount.path().join("scratch")));
    assert!(read(&store, &Key::Zip(&more)).await.is_none());
    fs::remove_file(fill).unwrap();
    until("room is noticed", || store.look().is_none()).await;
    create(&store, &Key::Zip(&more), b"now").await.unwrap();
}

#[tokio::test]
async fn needs_root_a_read_only_folder_opens_for_hits() {
    let Some(mount) = Mount::new("size=3m") else { return };
    let (here, there) = (module("example.com/x", "v1.0.0"), module("example.com/x", "v1.1.0"));
    let store = open(&mount.path());
    for key in [Key::Zip(&here), Key::Info(&here)] {
        create(&store, &key, b"zip").await.unwrap();
    }
    drop(store);
    mount.remount("ro");

    let store = open(&mount.path());
    assert_eq!(store.look(), Some(Degraded::ReadOnly));
    assert_eq!(read(&store, &Key::Zip(&here)).await.unwrap(), "zip");
    assert!(read(&store, &Key::Zip(&there)).await.is_none());
    assert_eq!(store.versions(here.path()).await.unwrap().len(), 1);
    assert!(matches!(store.stage().await, Err(Error::Stopped(Degraded::ReadOnly))));
    let refused = store.replace(&Key::Facts(&here), Bytes::new(), None).await;
    assert!(matches!(refused, Err(Error::Stopped(Degraded::ReadOnly))), "{refused:?}");
    let refused = store.remove(&Key::Zip(&here)).await;
    assert!(matches!(refused, Err(Error::Stopped(Degraded::ReadOnly))), "{refused:?}");
    assert!(matches!(Store::disk(&mount.path(), &config()), Err(Error::Busy)));
}

#[tokio::test]
async fn needs_root_a_disk_turned_read_only_stops_fills_and_recovers() {
    let Some(mount) = Mount::new("size=3m") else { return };
    let module = module("example.com/x", "v1.0.0");
    let store = open(&mount.path());
    create(&store, &Key::Zip(&module), b"zip").await.unwrap();
    mount.remount("ro");
    let refused = store.replace(&Key::Facts(&module), Bytes::new(), None).await;
    assert!(matches!(refused, Err(Error::Stopped(Degraded::ReadOnly))), "{refused:?}");
    assert_eq!(store.look(), Some(Degraded::ReadOnly));
    assert_eq!(read(&store, &Key::Zip(&module)).await.unwrap(), "zip");
    mount.remount("rw");
    until("writable again", || store.look().is_none()).await;
    create(&store, &Key::Info(&module), b"info").await.unwrap();
}

#[tokio::test]
async fn needs_root_a_file_of_another_user_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let module = module("example.com/x", "v1.0.0");
    let key = Key::Zip(&module);
    create(&store, &key, b"zip").await.unwrap();
    let file = folder.path().join(key.path());
    if std::os::unix::fs::chown(&file, Some(12_345), Some(12_345)).is_err() {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    assert_eq!(fs::metadata(&file).unwrap().uid(), 12_345);
    assert_eq!(read(&store, &key).await.unwrap(), "zip");
    let Created::Exists(object) = create(&store, &key, b"other").await.unwrap() else {
        panic!("replaced")
    };
    assert_eq!(object.len(), 3);
}
