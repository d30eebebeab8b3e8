//! Files and snapshots.

use std::os::unix::fs::symlink;

use vcs::{Entry, EntryKind, Error, Freshness, Snapshot};

use crate::world::{World, commit, id};

fn names(snapshot: &Snapshot) -> Vec<String> {
    let name = |entry: &Entry| String::from_utf8(entry.path.clone()).unwrap();
    snapshot.entries().iter().map(name).collect()
}

#[tokio::test]
async fn files_are_raw_and_bounded() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write(".gitattributes", "* eol=crlf ident\n").unwrap();
    repo.write("dir/go.mod", "module x\n$Id$\n").unwrap();
    symlink("dir/go.mod", repo.folder().join("link")).unwrap();
    let first = id(&repo.commit("first").unwrap());
    let remote = world.open(&repo.url());
    commit(&remote, "main").await.unwrap();
    let file = remote.file(&first, "dir/go.mod", 14).await.unwrap().unwrap();
    assert_eq!((file.kind, &*file.bytes), (EntryKind::Regular, b"module x\n$Id$\n".as_slice()));
    let too_large = remote.file(&first, "dir/go.mod", 13).await;
    assert!(matches!(too_large, Err(Error::Limit { .. })), "{too_large:?}");
    let link = remote.file(&first, "link", 100).await.unwrap().unwrap();
    assert_eq!((link.kind, &*link.bytes), (EntryKind::Symlink, b"dir/go.mod".as_slice()));
    for absent in [
        "dir",
        "nothing",
        "dir/go.mod/x",
        "",
        "/dir/go.mod",
        "dir//go.mod",
        "../a",
        "link/x",
        "dir/",
    ] {
        assert_eq!(remote.file(&first, absent, 100).await.unwrap(), None, "{absent}");
    }
}

#[tokio::test]
async fn a_snapshot_lists_a_folder_in_the_order_of_trees() {
    let world = World::new().await;
    let repo = world.repo("a");
    for path in ["a.go", "sub/z", "sub/a-b", "sub/a/x", "sub/a.x", "other/y"] {
        repo.write(path, path).unwrap();
    }
    symlink("z", repo.folder().join("sub/link")).unwrap();
    let module = world.repo("submodule").commit("x").unwrap();
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{module},sub/mod")])
        .unwrap();
    repo.git(&["add", "-A", "a.go", "sub/z", "sub/a-b", "sub/a", "sub/a.x", "sub/link", "other"])
        .unwrap();
    repo.git(&["commit", "-q", "-m", "first"]).unwrap();
    let first = id(&repo.git(&["rev-parse", "HEAD"]).unwrap());
    let remote = world.open(&repo.url());
    let snapshot = remote.snapshot(&first, "sub").await.unwrap();
    assert_eq!(names(&snapshot), ["a-b", "a.x", "a/x", "link", "mod", "z"]);
    let all = remote.snapshot(&first, "").await.unwrap();
    assert_eq!(names(&all).len(), 8);
    for entry in snapshot.entries() {
        let content = snapshot.content(entry).unwrap();
        assert!(entry.verbatim);
        match entry.path.as_slice() {
            b"mod" => assert_eq!(
                (entry.kind, entry.size, entry.id.as_str(), content.len()),
                (EntryKind::Gitlink, 0, module.as_str(), 0)
            ),
            b"link" => assert_eq!(
                (entry.kind, entry.size, &*content),
                (EntryKind::Symlink, 1, b"z".as_slice())
            ),
            path => assert_eq!(
                (entry.kind, &*content),
                (EntryKind::Regular, [b"sub/", path].concat().as_slice())
            ),
        }
    }
    for absent in ["nothing", "a.go", "sub/link", "sub/mod", "/sub", "sub/"] {
        assert!(remote.snapshot(&first, absent).await.unwrap().entries().is_empty(), "{absent}");
    }
}

#[tokio::test]
async fn snapshots_of_many_versions_share_what_they_have() {
    let whole_below = units::ByteSize(0);
    let world = World::with(vcs::Config { whole_below, ..vcs::Config::default() }).await;
    let repo = world.repo("a");
    for number in 0..5 {
        repo.write("same", "same").unwrap().write("f", format!("{number}")).unwrap();
        repo.commit("x").unwrap();
        repo.tag(&format!("v{number}")).unwrap();
    }
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    for number in 0..5 {
        let tag = remote.tag(&format!("v{number}"), Freshness::Known).await.unwrap().unwrap();
        let snapshot = remote.snapshot(&tag.id, "").await.unwrap();
        let file = &snapshot.entries()[0];
        assert_eq!(snapshot.content(file).unwrap(), format!("{number}").as_bytes());
    }
    // One list of refs, one fetch of commits and trees, one of blobs for each version.
    assert_eq!(server.talks(), 2 + 5);
}
