//! Repositories and servers that mean harm: each must fail in bounded time and memory.

use std::{fmt::Write as _, time::Instant};

use testkit::GitRepo;
use units::ByteSize;
use vcs::{Config, Error, Freshness, Snapshot};

use crate::{
    figures,
    world::{World, commit, id, name},
};

/// Makes a commit of a tree that git's own tools would not make.
pub(crate) fn commit_tree(repo: &GitRepo, tree: &str) -> String {
    let commit = repo.git(&["commit-tree", "-m", "x", tree]).unwrap();
    repo.git(&["update-ref", "refs/heads/main", &commit]).unwrap();
    commit
}

pub(crate) fn tree(repo: &GitRepo, entries: &[(&str, &str, &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, hex) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let pairs = hex.as_bytes().chunks(2);
        bytes.extend(
            pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
    }
    let args = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
    String::from_utf8(repo.git_with(&args, &bytes).unwrap()).unwrap().trim().to_owned()
}

pub(crate) fn blob(repo: &GitRepo, bytes: &[u8]) -> String {
    let out = repo.git_with(&["hash-object", "-w", "--stdin"], bytes).unwrap();
    String::from_utf8(out).unwrap().trim().to_owned()
}

pub(crate) async fn snapshot(world: &World, repo: &GitRepo, hash: &str) -> Result<Snapshot, Error> {
    let remote = world.open(&repo.url());
    figures::of(async {
        remote.commit(hash, Freshness::Now).await?;
        remote.snapshot(&id(hash), "").await
    })
    .await
}

#[tokio::test]
async fn ten_trees_that_are_billions_of_files_end_at_the_limit() {
    let world = World::with(Config { max_tree_entries: 100_000, ..Config::default() }).await;
    let repo = world.repo("a");
    let file = blob(&repo, b"x");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut top = tree(&repo, &names.map(|name| ("100644", name, file.as_str())));
    for _ in 0..9 {
        top = tree(&repo, &names.map(|name| ("40000", name, top.as_str())));
    }
    let hash = commit_tree(&repo, &top);
    let before = Instant::now();
    let error = snapshot(&world, &repo, &hash).await.unwrap_err();
    assert!(
        matches!(&error, Error::Limit { reason, .. } if reason.contains("100000 files")),
        "{error}"
    );
    assert!(before.elapsed().as_secs() < 10);
}

/// Name, files with their sizes, the refusal.
type Case<'a> = (&'a str, &'a [(&'a str, usize)], Option<&'a str>);

#[tokio::test]
async fn entries_depth_paths_and_sizes_are_bounded() {
    let config = Config {
        max_tree_entries: 6,
        max_tree_depth: 3,
        max_path_size: ByteSize(8),
        max_file_size: ByteSize(100),
        max_tree_size: ByteSize(150),
        ..Config::default()
    };
    let world = World::with(config).await;
    let cases: [Case<'_>; 10] = [
        ("six", &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1)], None),
        (
            "seven",
            &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1), ("g", 1)],
            Some("more than 6 files"),
        ),
        ("deep", &[("a/b/c", 1)], None),
        ("deeper", &[("a/b/c/d", 1)], Some("deeper than 3")),
        ("long", &[("abcdefgh", 1)], None),
        ("longer", &[("abcdefghi", 1)], Some("path longer than 8B")),
        ("large", &[("a", 100)], None),
        ("larger", &[("a", 101)], Some("101 bytes, more than 100B")),
        ("sum", &[("a", 100), ("b", 50)], None),
        ("more", &[("a", 100), ("b", 51)], Some("more than 150B together")),
    ];
    for (told, files, wanted) in cases {
        let repo = world.repo(told);
        for (path, size) in files {
            repo.write(path, "x".repeat(*size)).unwrap();
        }
        let hash = repo.commit("x").unwrap();
        match (snapshot(&world, &repo, &hash).await, wanted) {
            (Ok(_), None) => {}
            (Err(Error::Limit { reason, .. }), Some(wanted)) => {
                assert!(reason.contains(wanted), "{told}: {reason}");
            }
            (other, _) => panic!("{told}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn trees_with_names_that_lead_elsewhere_are_refused() {
    let world = World::new().await;
    for (number, name) in ["..", ".", ".git", ".GIT", "a/b", ""].into_iter().enumerate() {
        let repo = world.repo(&format!("{number}"));
        let file = blob(&repo, b"x");
        let hash = commit_tree(&repo, &tree(&repo, &[("100644", name, &file)]));
        let error = snapshot(&world, &repo, &hash).await.unwrap_err();
        // A tree with an empty name is not even packed by the remote's git.
        let unpacked = name.is_empty() && matches!(error, Error::Unavailable { .. });
        assert!(unpacked || matches!(error, Error::Limit { .. }), "{name}: {error}");
    }
    let repo = world.repo("twice");
    let file = blob(&repo, b"x");
    let hash = commit_tree(&repo, &tree(&repo, &[("100644", "a", &file), ("100644", "a", &file)]));
    assert!(matches!(snapshot(&world, &repo, &hash).await, Err(Error::Limit { .. })));
}

#[tokio::test]
async fn old_harmless_faults_are_borne() {
    let world = World::new().await;
    let repo = world.repo("a");
    let file = blob(&repo, b"x");
    let inner = tree(&repo, &[("100644", "f", &file)]);
    let top = tree(&repo, &[("040000", "folder", &inner)]);
    let text = format!("tree {top}\nauthor x<x@y>1 +0000\ncommitter x <x@y> 1 +051800\n\nx\n");
    let args = ["hash-object", "-t", "commit", "-w", "--literally", "--stdin"];
    let hash = String::from_utf8(repo.git_with(&args, text.as_bytes()).unwrap()).unwrap();
    let hash = hash.trim();
    repo.git(&["update-ref", "refs/heads/main", hash]).unwrap();
    let snapshot = snapshot(&world, &repo, hash).await.unwrap();
    assert_eq!(snapshot.entries()[0].path, b"folder/f");
}

#[tokio::test]
async fn refs_with_hostile_names_are_not_there() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for name in ["a..b", "a b", "a\u{7}", "x.lock", "-fine", "ok", "a\u{1b}[31m"] {
        writeln!(packed, "{first} refs/tags/{name}").unwrap();
    }
    std::fs::write(repo.folder().join(".git/packed-refs"), packed).unwrap();
    let remote = world.open(&repo.url());
    let refs = figures::of(remote.refs(Freshness::Now)).await.unwrap();
    for name in refs.tags.keys() {
        // Of `a b` the protocol shows `a`: names end at the blank.
        assert!(["-fine", "ok", "a"].contains(&name.as_str()), "{name:?}");
    }
    for revision in [
        "a..b",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=id",
        "ok\n",
        "ok^{}",
        "ok~0",
        "@",
        "@{0}",
    ] {
        assert_eq!(name(&remote, revision).await, None, "{revision}");
    }
    assert_eq!(name(&remote, "ok").await.as_deref(), Some(first.as_str()));
}

#[tokio::test]
async fn more_refs_than_allowed_are_an_error() {
    let repo_of = |world: &World| {
        let repo = world.repo("a");
        repo.commit("first").unwrap();
        repo.tag("v1").unwrap();
        repo
    };
    // HEAD, main, v1.
    let world = World::with(Config { max_refs: 3, ..Config::default() }).await;
    assert!(world.open(&repo_of(&world).url()).refs(Freshness::Now).await.is_ok());
    let world = World::with(Config { max_refs: 2, ..Config::default() }).await;
    let many = figures::of(world.open(&repo_of(&world).url()).refs(Freshness::Now)).await;
    assert!(
        matches!(&many, Err(Error::Limit { reason, .. }) if reason.contains("2 refs")),
        "{many:?}"
    );
    let world = World::with(Config { max_refs_size: ByteSize(100), ..Config::default() }).await;
    let long = world.open(&repo_of(&world).url()).refs(Freshness::Now).await;
    assert!(matches!(long, Err(Error::Limit { .. })), "{long:?}");
}

#[tokio::test]
async fn more_commits_than_allowed_are_an_error() {
    for (max_commits, fine) in [(3, true), (2, false)] {
        let world = World::with(Config { max_commits, ..Config::default() }).await;
        let repo = world.repo("a");
        for _ in 0..3 {
            repo.commit("x").unwrap();
        }
        let remote = world.open(&repo.url());
        let found = figures::of(remote.commit("main", Freshness::Now)).await;
        assert_eq!(found.is_ok(), fine, "{found:?}");
        assert!(fine || matches!(found, Err(Error::Limit { .. })));
    }
}

#[tokio::test]
async fn a_fetch_past_its_size_leaves_nothing() {
    let world =
        World::with(Config { max_fetch_size: ByteSize(100_000), ..Config::default() }).await;
    let repo = world.repo("a");
    // What does not compress: a chain of hashes.
    let mut noise = Vec::new();
    let mut state = 1_u64;
    for _ in 0..50_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.extend_from_slice(&state.to_be_bytes()[..4]);
    }
    let hash = repo.write("f", noise).unwrap().commit("x").unwrap();
    let error = snapshot(&world, &repo, &hash).await.unwrap_err();
    assert!(matches!(error, Error::Limit { .. } | Error::Unavailable { .. }), "{error}");
    let packs = std::fs::read_dir(world.mirror().join("objects/pack")).unwrap();
    let sum: u64 = packs.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(sum < 100_000, "{sum}");
}

#[tokio::test]
async fn a_bomb_of_zeros_is_not_inflated() {
    let world = World::with(Config { max_file_size: ByteSize(1 << 20), ..Config::default() }).await;
    let repo = world.repo("a");
    repo.write("zeros", vec![0; 64 << 20]).unwrap().write("small", "x").unwrap();
    let hash = repo.commit("x").unwrap();
    let error = snapshot(&world, &repo, &hash).await.unwrap_err();
    assert!(
        matches!(&error, Error::Limit { reason, .. } if reason.contains("zeros has 67108864 bytes")),
        "{error}"
    );
    let remote = world.open(&repo.url());
    assert!(matches!(remote.file(&id(&hash), "zeros", 1 << 20).await, Err(Error::Limit { .. })));
    assert!(remote.file(&id(&hash), "small", 1).await.unwrap().is_some());
}

#[tokio::test]
async fn deep_tags_of_tags_end() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    let mut object = first.clone();
    for number in 0..70 {
        let kind = if number == 0 { "commit" } else { "tag" };
        let text =
            format!("object {object}\ntype {kind}\ntag t{number}\ntagger x <x@y> 1 +0000\n\nx\n");
        let out =
            repo.git_with(&["hash-object", "-t", "tag", "-w", "--stdin"], text.as_bytes()).unwrap();
        object = String::from_utf8(out).unwrap().trim().to_owned();
    }
    repo.git(&["update-ref", "refs/tags/deep", &object]).unwrap();
    let remote = world.open(&repo.url());
    // The remote peels it; what it says is a commit of the history.
    let found = figures::of(name(&remote, "deep")).await;
    assert_eq!(found.as_deref(), Some(first.as_str()));
    assert!(commit(&remote, "main").await.is_some());
}

#[tokio::test]
async fn attributes_that_expand_each_other_end() {
    let world = World::new().await;
    let repo = world.repo("a");
    let mut file = String::new();
    for number in 0..2000 {
        let (next, further) = ((number + 1) % 2000, (number + 7) % 2000);
        writeln!(file, "[attr]m{number} m{next} m{further} text").unwrap();
    }
    file.push_str("* m0 eol=crlf\n");
    repo.write(".gitattributes", file).unwrap().write("f", "a\n").unwrap();
    let hash = repo.commit("x").unwrap();
    let snapshot = snapshot(&world, &repo, &hash).await.unwrap();
    assert_eq!(&*snapshot.content(&snapshot.entries()[1]).unwrap(), b"a\r\n");
}

#[tokio::test]
async fn attributes_that_cost_too_much_are_refused() {
    let world = World::new().await;
    // Each pattern fails at its first letter; what it might have cost is what counts.
    let pattern = format!("/zzz/{}b ident\n", "**/a/".repeat(8));
    for (told, attributes, files, wanted) in [
        ("fine", pattern.repeat(500), 10, None),
        ("work", pattern.repeat(500), 300, Some("more than 268435456 steps")),
        ("stars", format!("{}b ident\n", "**/a/".repeat(9)), 1, Some("more than 8 `**`")),
        ("patterns", "b ident\n".repeat(100_001), 1, Some("more than 100000 patterns")),
        ("bytes", "#".repeat((16 << 20) + 1), 1, Some("more than 16777216 bytes")),
    ] {
        let repo = world.repo(told);
        repo.write(".gitattributes", attributes).unwrap();
        for number in 0..files {
            repo.write(&format!("folder/with/a/long/name/file{number:07}"), "x").unwrap();
        }
        let hash = repo.commit("x").unwrap();
        let before = Instant::now();
        match (snapshot(&world, &repo, &hash).await, wanted) {
            (Ok(_), None) => {}
            (Err(Error::Limit { reason, .. }), Some(wanted)) => {
                assert!(reason.contains(wanted), "{told}: {reason}");
            }
            (other, _) => panic!("{told}: {other:?}"),
        }
        assert!(before.elapsed().as_secs() < 10, "{told}: {:?}", before.elapsed());
    }
}

#[tokio::test]
async fn a_file_is_converted_up_to_a_size() {
    let world = World::new().await;
    let repo = world.repo("a");
    let bound = usize::try_from(vcs::MAX_CONVERTED_BYTES).unwrap();
    repo.write(".gitattributes", "* eol=crlf\nplain -text\n").unwrap();
    for (name, size) in [("bound", bound), ("past", bound + 1), ("plain", bound + 1)] {
        // One line end: the bytes are what counts here.
        let mut bytes = vec![b'x'; size];
        bytes[size - 1] = b'\n';
        repo.write(name, bytes).unwrap();
    }
    let hash = repo.commit("x").unwrap();
    let snapshot = snapshot(&world, &repo, &hash).await.unwrap();
    let entry =
        |name: &str| snapshot.entries().iter().find(|entry| entry.path == name.as_bytes()).unwrap();
    assert_eq!(snapshot.size(entry("bound")).unwrap(), bound as u64 + 1);
    assert_eq!(
        figures::of(async { snapshot.content(entry("bound")) }).await.unwrap().len(),
        bound + 1
    );
    for refused in [
        snapshot.size(entry("past")).map(|_| ()),
        figures::of(async { snapshot.content(entry("past")) }).await.map(|_| ()),
    ] {
        assert!(
            matches!(&refused, Err(Error::Limit { reason, .. })
                if reason == "past has 67108865 bytes, more than 67108864 that are converted"),
            "{refused:?}"
        );
    }
    assert_eq!(snapshot.size(entry("plain")).unwrap(), bound as u64 + 1);
    assert_eq!(snapshot.content(entry("plain")).unwrap().len(), bound + 1);
}
