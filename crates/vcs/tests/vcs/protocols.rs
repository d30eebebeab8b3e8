//! Servers of many kinds: old protocols, other hashes, no HEAD, no objects by name.

use testkit::{GitRepo, GitRule};
use units::ByteSize;
use vcs::{Config, Error, Freshness};

use crate::world::{World, commit, id, name};

async fn partial() -> World {
    World::with(Config { whole_below: ByteSize(0), ..Config::default() }).await
}

#[tokio::test]
async fn the_first_protocol_is_enough() {
    for (filter, any) in [("true", "true"), ("true", "false"), ("false", "false")] {
        let world = partial().await;
        let repo = world.repo("a");
        repo.git(&["config", "uploadpack.allowFilter", filter]).unwrap();
        repo.git(&["config", "uploadpack.allowAnySHA1InWant", any]).unwrap();
        let first = repo.write("f", "1").unwrap().commit("first").unwrap();
        repo.annotate("v1").unwrap();
        let second = repo.write("f", "2").unwrap().commit("second").unwrap();
        let server = world.serve();
        server.rule(GitRule { old_protocol: true, ..GitRule::default() });
        let remote = world.open(&format!("{}/a", server.url()));
        assert_eq!(name(&remote, "v1").await.as_deref(), Some(first.as_str()));
        assert_eq!(name(&remote, "main").await.as_deref(), Some(second.as_str()));
        for (hash, wanted) in [(&first, "1"), (&second, "2")] {
            let snapshot = remote.snapshot(&id(hash), "").await.unwrap();
            let content = snapshot.content(&snapshot.entries()[0]).unwrap();
            assert_eq!(content, wanted, "filter {filter}, any name {any}");
        }
    }
}

#[tokio::test]
async fn sha256_goes_over_http_too() {
    let world = partial().await;
    let repo = GitRepo::init_with(world.root().join("a"), &["--object-format=sha256"]).unwrap();
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    assert_eq!(name(&remote, "main").await.as_deref(), Some(first.as_str()));
    let snapshot = remote.snapshot(&id(&first), "").await.unwrap();
    assert_eq!(snapshot.content(&snapshot.entries()[0]).unwrap(), "x");
    // The same address with other hashes: the mirror is made again.
    std::fs::remove_dir_all(repo.folder()).unwrap();
    let short = world.repo("a").commit("another").unwrap();
    assert_eq!(name(&remote, "main").await.as_deref(), Some(short.as_str()));
    assert_eq!(name(&remote, &first).await, None);
}

#[tokio::test]
async fn heads_that_lead_nowhere_or_stand_alone_are_told() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]).unwrap();
    let remote = world.open(&repo.url());
    assert!(remote.refs(Freshness::Now).await.unwrap().head.is_none());
    assert_eq!(name(&remote, "HEAD").await, None);
    // A commit that only a detached HEAD leads to is one of the repository.
    repo.git(&["checkout", "-q", "--detach", &first]).unwrap();
    let alone = repo.commit("alone").unwrap();
    let found = commit(&remote, "HEAD").await.unwrap();
    assert_eq!((found.id.as_str(), found.named_by.as_deref()), (alone.as_str(), Some("HEAD")));
    assert_eq!(name(&remote, &alone).await.as_deref(), Some(alone.as_str()));
    let refs = remote.refs(Freshness::Known).await.unwrap();
    assert_eq!(refs.head.as_ref().unwrap().1, None);
}

#[tokio::test]
async fn renamed_branches_and_folders_of_refs_are_followed() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    repo.git(&["branch", "topic"]).unwrap();
    let remote = world.open(&repo.url());
    assert_eq!(name(&remote, "topic").await.as_deref(), Some(first.as_str()));
    // `topic` is a folder now, which one ref store cannot hold beside the old one.
    repo.git(&["branch", "-D", "topic"]).unwrap();
    let second = repo.commit("second").unwrap();
    repo.git(&["branch", "topic/inner"]).unwrap();
    assert_eq!(name(&remote, "topic/inner").await.as_deref(), Some(second.as_str()));
    assert_eq!(name(&remote, "topic").await, None);
}

#[tokio::test]
async fn a_repository_that_disappears_is_said_to() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    std::fs::remove_dir_all(repo.folder()).unwrap();
    let gone = remote.commit("main", Freshness::Now).await;
    assert!(matches!(gone, Err(Error::Refused { .. })), "{gone:?}");
    let known = remote.commit("main", Freshness::Known).await.unwrap().unwrap();
    assert_eq!(known.id.as_str(), first, "what is known stays known");
}

#[tokio::test]
async fn a_repository_that_lacks_its_own_objects_is_an_error_in_bounded_time() {
    let world = partial().await;
    let repo = world.repo("a");
    repo.write("f", "x").unwrap();
    let first = repo.commit("first").unwrap();
    let blob = repo.git(&["rev-parse", "HEAD:f"]).unwrap();
    std::fs::remove_file(repo.folder().join(".git/objects").join(&blob[..2]).join(&blob[2..]))
        .unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    let error = remote.snapshot(&id(&first), "").await.unwrap_err();
    assert!(matches!(error, Error::Limit { .. } | Error::Unavailable { .. }), "{error}");
    assert!(server.talks() < 12, "{}", server.talks());
}
