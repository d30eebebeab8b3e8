//! Reading everything again.

use proxy::{Reindex, fsck};
use store::{Config, Store};
use tempfile::TempDir;
use units::ByteSize;

use crate::world::{Choices, M, World, some_modules};

fn disk(folder: &TempDir) -> Store {
    let config = Config { min_free: ByteSize(0), fsync: true };
    Store::disk(folder.path(), &config).unwrap()
}

async fn filled(folder: &TempDir) -> World {
    let world =
        World::with(some_modules(), Choices { store: disk(folder), ..Choices::default() }).await;
    for suffix in ["info", "mod", "zip"] {
        world.get(&format!("{M}v1.0.0.{suffix}")).await;
    }
    world.settle().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_has_no_damage_and_its_files_are_the_go_commands_tree() {
    let folder = tempfile::tempdir().unwrap();
    let world = filled(&folder).await;
    let report = fsck((&world.store, &world.sumdb), Some(&world.index), Reindex::Yes, &|_| ())
        .await
        .unwrap();
    assert_eq!((report.versions, report.files), (1, 3));
    assert_eq!(report.damage, []);
    let tree = folder.path().join("modules/example.com/m/@v");
    assert_eq!(std::fs::read_to_string(tree.join("list")).unwrap(), "v1.0.0\n");
    for file in ["v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "v1.0.0.ziphash"] {
        assert!(tree.join(file).is_file(), "{file}");
    }
    assert_eq!(world.index.count().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_quarantined_and_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = filled(&folder).await;
    let tree = folder.path().join("modules/example.com/m/@v");
    let zip = tree.join("v1.0.0.zip");
    let mut bytes = std::fs::read(&zip).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&zip).unwrap();
    std::fs::write(&zip, bytes).unwrap();
    let report = fsck((&world.store, &world.sumdb), None, Reindex::No, &|_| ()).await.unwrap();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(!zip.exists());
    let world = world.restarted(Choices { store: Store::memory(), ..Choices::default() }).await;
    world.get(&format!("{M}v1.0.0.zip")).await;
    assert_eq!(world.upstream.calls("*.zip"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_in_tree_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(&folder);
    let version = testkit::ModuleVersion::new("example.com/m", "v1.0.0");
    let tree = folder.path().join("modules/example.com/m/@v");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("v1.0.0.info"), version.info_bytes()).unwrap();
    std::fs::write(tree.join("v1.0.0.mod"), version.mod_bytes()).unwrap();
    std::fs::write(tree.join("v1.0.0.zip"), version.zip_bytes().unwrap()).unwrap();
    std::fs::write(tree.join("v1.0.0.lock"), "").unwrap();
    let world = World::with(testkit::Modules::new(), Choices { store, ..Choices::default() }).await;
    let rooms = (&world.store, &world.sumdb);
    let report = fsck(rooms, None, Reindex::Yes, &|_| ()).await.unwrap();
    assert_eq!(report.damage, []);
    let (_, zip) = world.get(&format!("{M}v1.0.0.zip")).await;
    assert!(zip == version.zip_bytes().unwrap());
    assert!(world.upstream.seen().is_empty());
}
