use std::{fs, sync::Arc};

use policy::address::Word;
use testkit::GitRepo;

use super::{FORGET_AFTER, Instant, REST_AFTER, let_rest};
use crate::{
    Config, Freshness, Git, Place, Protocols, Remote, RemoteUrl, Repository, blocking::now,
};

async fn open(folder: &std::path::Path) -> (Git, Repository) {
    let repo = GitRepo::init(folder.join("repo")).unwrap();
    repo.write("f", "x").unwrap().commit("first").unwrap();
    let git = Git::open(Config::default(), Place::at(folder.join("git"))).await.unwrap();
    let url = RemoteUrl::parse(&repo.url(), Protocols { http: true, file: true }).unwrap();
    let remote = git.repository(Remote { url, credential: None, word: Word::Operator });
    (git, remote)
}

/// Whether a file of the folder is mapped into this process.
fn is_mapped(folder: &std::path::Path) -> bool {
    let folder = folder.to_str().unwrap();
    fs::read_to_string("/proc/self/maps").unwrap().lines().any(|line| line.contains(folder))
}

#[tokio::test]
async fn mirrors_out_of_use_give_back_their_memory_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let (git, remote) = open(folder.path()).await;
    let found = remote.commit("main", Freshness::Now).await.unwrap().unwrap();
    let mirror = remote.state.mirror.folder().to_owned();
    let used = || remote.state.weight().used;
    let rest = |at: Instant| let_rest(&git.0, at);

    rest(used() + REST_AFTER).await.unwrap();
    assert!(is_mapped(&mirror), "at the bound it is in use");
    let before = remote.state.peek().unwrap();
    rest(used() + REST_AFTER + std::time::Duration::from_secs(1)).await.unwrap();
    let after = remote.state.peek().unwrap();
    assert!(Arc::ptr_eq(&before.graph, &after.graph), "history stays");
    drop((before, after));
    assert!(!is_mapped(&mirror), "the packs are let go of");
    // And are there when they are wanted.
    assert_eq!(remote.snapshot(&found.id, "").await.unwrap().entries().len(), 1);
    assert!(is_mapped(&mirror));

    rest(used() + FORGET_AFTER).await.unwrap();
    assert!(remote.state.peek().is_some(), "at the bound");
    rest(used() + FORGET_AFTER + std::time::Duration::from_secs(1)).await.unwrap();
    assert!(remote.state.peek().is_none() && remote.state.weight().refs == 0);
    assert!(!is_mapped(&mirror));
    let again = remote.commit("main", Freshness::Known).await.unwrap();
    assert_eq!(again.unwrap().id, found.id);
}

#[tokio::test]
async fn housekeeping_is_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let (git, remote) = open(folder.path()).await;
    remote.commit("main", Freshness::Now).await.unwrap();
    let before = (now(), remote.state.weight().used);
    git.keep_house().await.unwrap();
    assert!(remote.state.weight().used == before.1 && before.1 <= before.0);
}
