//! Killed at random moments: no torn file under a name, nothing left over.
//!
//! This binary runs itself: the child publishes in a loop until it is killed. `LARDER_KILLS` sets
//! how often (20).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a failed step is a failed test"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Version};
use store::{Config, Error, Found, Key, Store};
use units::ByteSize;

const FOLDER: &str = "LARDER_TEST_KILL_FOLDER";

fn module(number: u64) -> ModVer {
    let path = ModulePath::parse(&format!("example.com/o{}/m", number % 97)).unwrap();
    ModVer::new(path, Version::parse(&format!("v1.0.{number}")).unwrap()).unwrap()
}

/// The one body that `number` may have: some fit into memory, some do not.
fn body(number: u64) -> Bytes {
    let len = number * 7919 % 600_000;
    let seed = u8::try_from(number % 251).unwrap();
    let bytes = (0..len).map(|at| u8::try_from(at % 251).unwrap().wrapping_add(seed));
    bytes.collect::<Vec<_>>().into()
}

fn open(folder: &Path) -> Store {
    Store::disk(folder, &Config { min_free: ByteSize(0), ..Config::default() }).unwrap()
}

async fn publish(store: &Store, number: u64) -> Result<(), Error> {
    let module = module(number);
    let mut staged = store.stage().await?;
    let body = body(number);
    for at in (0..body.len()).step_by(70_000) {
        staged.write(body.slice(at..body.len().min(at + 70_000))).await?;
    }
    store.create(&Key::Zip(&module), staged).await?;
    let current = store.open(&Key::Facts(&module), None).await?.map(|object| object.tag);
    let facts = Bytes::from(vec![u8::try_from(number % 251).unwrap(); 3000]);
    store.replace(&Key::Facts(&module), facts, current.as_ref()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_publishes_until_it_is_killed() {
    // Without a folder this is no child: nothing to do.
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let first: u64 = fs::read_dir(Path::new(&folder).join("modules")).unwrap().count() as u64;
    let start = u64::from(std::process::id()) * 1000 + first;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                // Long enough to be killed, short enough to end if nobody does.
                for step in 0..20_000 {
                    publish(&store, start + writer + 8 * step).await.unwrap();
                }
            })
        })
        .collect();
    // Tells the parent that the folder is open.
    fs::write(Path::new(&folder).join("ready"), "").unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Runs a child and kills it `after` it has begun.
fn kill_a_child(folder: &Path, after: Duration) {
    let ready = folder.join("ready");
    drop(fs::remove_file(&ready));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_publishes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while !ready.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(!said.into_iter().any(|line| line.contains("FAILED")));
}

#[tokio::test]
async fn a_killed_process_leaves_whole_files_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let kills = std::env::var("LARDER_KILLS").map_or(20, |kills| kills.parse::<u64>().unwrap());
    let mut found = 0;
    for round in 0..kills {
        kill_a_child(folder.path(), Duration::from_millis(round * 37 % 90));
        let store = open(folder.path());
        assert!(fs::read_dir(folder.path().join("scratch")).unwrap().next().is_none());
        found = check_all(&store).await;
    }
    assert!(found > kills, "{found} versions: the children did nothing");
}

/// Compares everything with what it must be; returns how many versions there are.
async fn check_all(store: &Store) -> u64 {
    let (mut count, mut walk) = (0, store.walk().await.unwrap());
    while let Some(found) = walk.next().await.unwrap() {
        let Found::Version { module, zip, facts, .. } = found else {
            panic!("{found:?}");
        };
        let patch = module.version().as_str().rsplit('.').next().unwrap();
        let number: u64 = patch.parse().unwrap();
        assert!(zip, "facts of {module} are ahead of it");
        let object = store.open(&Key::Zip(&module), None).await.unwrap().unwrap();
        assert_eq!(object.bytes(u64::MAX).await.unwrap(), body(number), "{module}");
        if facts {
            let object = store.open(&Key::Facts(&module), None).await.unwrap().unwrap();
            let wanted = vec![u8::try_from(number % 251).unwrap(); 3000];
            assert_eq!(object.bytes(u64::MAX).await.unwrap(), wanted, "{module}");
        }
        count += 1;
    }
    count
}
