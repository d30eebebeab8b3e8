//! From a revision to a commit, and ancestry.

use testkit::{FIRST_COMMIT_SECS, GitRepo};
use vcs::{Error, Freshness};

use crate::world::{World, commit, id, name};

#[tokio::test]
async fn tags_branches_head_and_hashes_resolve() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    repo.tag("v1.0.0").unwrap();
    let second = repo.commit("second").unwrap();
    repo.annotate("v1.1.0").unwrap();
    repo.git(&["branch", "side", &first]).unwrap();
    let remote = world.open(&repo.url());

    let tagged = commit(&remote, "v1.0.0").await.unwrap();
    assert_eq!(tagged.id.as_str(), first);
    assert_eq!(tagged.time.unix_secs(), FIRST_COMMIT_SECS);
    assert_eq!(tagged.named_by.as_deref(), Some("refs/tags/v1.0.0"));
    assert_eq!(&*tagged.tags, ["v1.0.0"]);
    for (revision, wanted, named_by) in [
        ("v1.1.0", &second, Some("refs/tags/v1.1.0")),
        ("main", &second, Some("refs/heads/main")),
        ("side", &first, Some("refs/heads/side")),
        ("HEAD", &second, Some("HEAD")),
        (first.as_str(), &first, None),
        (&second[..7], &second, None),
        (&first[..12], &first, None),
    ] {
        let found = commit(&remote, revision).await.unwrap();
        assert_eq!((found.id.as_str(), found.named_by.as_deref()), (wanted.as_str(), named_by));
    }
    for unknown in [
        "v2",
        "refs/tags/v1.0.0",
        "refs/heads/main",
        &first[..6],
        &first.to_uppercase(),
        "",
        "-x",
        "a..b",
    ] {
        assert_eq!(name(&remote, unknown).await, None, "{unknown}");
    }
    let refs = remote.refs(Freshness::Known).await.unwrap();
    assert_eq!(refs.head.as_ref().unwrap().1.as_deref(), Some("refs/heads/main"));
    assert_eq!((refs.heads.len(), refs.tags.len()), (2, 2));
}

#[tokio::test]
async fn a_tag_wins_over_a_branch_and_annotations_are_peeled() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    repo.annotate("inner").unwrap();
    let outer = {
        repo.git(&["tag", "-a", "-m", "outer", "outer", "inner"]).unwrap();
        repo.git(&["rev-parse", "refs/tags/outer"]).unwrap()
    };
    repo.git(&["tag", "both"]).unwrap();
    repo.commit("second").unwrap();
    repo.git(&["branch", "both"]).unwrap();
    let remote = world.open(&repo.url());
    let both = commit(&remote, "both").await.unwrap();
    assert_eq!(both.named_by.as_deref(), Some("refs/tags/both"));
    assert_eq!(both.id.as_str(), first);
    assert_eq!(name(&remote, "outer").await.as_deref(), Some(first.as_str()));
    assert_eq!(name(&remote, &outer).await.as_deref(), Some(first.as_str()), "a tag object's name");
    assert_eq!(name(&remote, &outer[..9]).await.as_deref(), Some(first.as_str()));
    assert_eq!(&*both.tags, ["both", "inner", "outer"]);
    let tag = remote.tag("outer", Freshness::Known).await.unwrap().unwrap();
    assert_eq!(tag.id.as_str(), first);
    assert!(remote.tag("main", Freshness::Known).await.unwrap().is_none());
}

#[tokio::test]
async fn tags_of_trees_and_blobs_do_not_resolve() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write("f", "x").unwrap().commit("first").unwrap();
    repo.git(&["tag", "of-tree", "HEAD^{tree}"]).unwrap();
    repo.git(&["tag", "of-blob", "HEAD:f"]).unwrap();
    repo.git(&["tag", "-a", "-m", "x", "annotated-blob", "HEAD:f"]).unwrap();
    repo.git(&["branch", "of-blob"]).unwrap();
    let remote = world.open(&repo.url());
    for tag in ["of-tree", "of-blob", "annotated-blob"] {
        assert_eq!(name(&remote, tag).await, None, "{tag}");
    }
    let blob = repo.git(&["rev-parse", "HEAD:f"]).unwrap();
    assert_eq!(name(&remote, &blob).await, None);
    assert!(name(&remote, "main").await.is_some());
}

#[tokio::test]
async fn only_what_branches_and_tags_lead_to_exists() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    let pull = repo.commit("pull request").unwrap();
    repo.git(&["update-ref", "refs/pull/1/head", &pull]).unwrap();
    repo.git(&["reset", "-q", "--hard", &first]).unwrap();
    let remote = world.open(&repo.url());
    assert_eq!(name(&remote, &pull).await, None);
    assert_eq!(name(&remote, &pull[..10]).await, None);
    assert_eq!(name(&remote, "refs/pull/1/head").await, None);
    assert!(matches!(remote.file(&id(&pull), "f", 10).await, Err(Error::Unknown { .. })));
    assert!(matches!(remote.snapshot(&id(&pull), "").await, Err(Error::Unknown { .. })));
}

#[tokio::test]
async fn what_a_force_push_left_behind_does_not_resolve() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    let old = repo.commit("old").unwrap();
    let remote = world.open(&repo.url());
    assert_eq!(name(&remote, &old).await.as_deref(), Some(old.as_str()));
    repo.git(&["reset", "-q", "--hard", &first]).unwrap();
    let new = repo.commit("new").unwrap();
    assert_eq!(name(&remote, &old).await, None);
    assert_eq!(name(&remote, &old[..8]).await, None);
    assert_eq!(name(&remote, "main").await.as_deref(), Some(new.as_str()));
    assert_eq!(name(&remote, &first).await.as_deref(), Some(first.as_str()));
}

#[tokio::test]
async fn moved_tags_are_seen_when_asked_now() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.commit("first").unwrap();
    repo.tag("v1").unwrap();
    let remote = world.open(&repo.url());
    assert_eq!(name(&remote, "v1").await.as_deref(), Some(first.as_str()));
    let second = repo.commit("second").unwrap();
    repo.tag("v1").unwrap();
    let minute = Freshness::Within(std::time::Duration::from_mins(1));
    for (freshness, wanted) in
        [(Freshness::Known, &first), (minute, &first), (Freshness::Now, &second), (minute, &second)]
    {
        let found = remote.commit("v1", freshness).await.unwrap().unwrap();
        assert_eq!(found.id.as_str(), wanted, "{freshness:?}");
    }
}

#[tokio::test]
async fn digits_of_several_commits_are_ambiguous() {
    let world = World::new().await;
    let repo = world.repo("a");
    let prefix = colliding_commits(&repo);
    let remote = world.open(&repo.url());
    let asked = remote.commit(&prefix, Freshness::Now).await;
    assert!(matches!(asked, Err(Error::Ambiguous { .. })), "{asked:?}");
}

/// Makes two commits with the same first seven digits, by a known pair of messages: with fixed
/// dates and names, the names of commits are fixed, too.
fn colliding_commits(repo: &GitRepo) -> String {
    let tree = repo.git(&["mktree"]).unwrap();
    let person = "testkit <testkit@example.com> 1700000000 +0000";
    let make = |number: u64| {
        let text = format!("tree {tree}\nauthor {person}\ncommitter {person}\n\n{number}\n");
        let out = repo.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes());
        String::from_utf8(out.unwrap()).unwrap().trim().to_owned()
    };
    let (one, other) = (make(COLLISION.0), make(COLLISION.1));
    assert_eq!(one[..7], other[..7]);
    repo.git(&["update-ref", "refs/heads/one", &one]).unwrap();
    repo.git(&["update-ref", "refs/heads/other", &other]).unwrap();
    one[..7].to_owned()
}

/// Found by trying.
const COLLISION: (u64, u64) = (5923, 13515);

#[tokio::test]
async fn ancestry_is_that_of_git() {
    let world = World::new().await;
    let repo = world.repo("a");
    let mut commits = vec![repo.commit("0").unwrap()];
    repo.tag("t0").unwrap();
    for number in 1..30_u32 {
        let back = commits[(number as usize * 7) % commits.len()].clone();
        repo.git(&["checkout", "-q", "--detach", &back]).unwrap();
        if number % 3 == 0 {
            let other = commits[(number as usize * 5) % commits.len()].clone();
            repo.git(&["merge", "-q", "--no-ff", "-s", "ours", "-m", "m", &other]).unwrap();
        }
        commits.push(repo.commit(&number.to_string()).unwrap());
        repo.annotate(&format!("t{number}")).unwrap();
    }
    let remote = world.open(&repo.url());
    for one in commits.iter().step_by(3) {
        let merged = repo.git(&["tag", "--merged", one]).unwrap();
        let mut wanted: Vec<_> = merged.lines().collect();
        wanted.sort_unstable();
        remote.refs(Freshness::Known).await.unwrap();
        let behind = remote.tags_behind(&id(one)).await.unwrap();
        assert_eq!(behind.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
        for other in &commits {
            let wanted = repo.git(&["merge-base", "--is-ancestor", other, one]).is_ok();
            assert_eq!(remote.descends_from(&id(one), &id(other)).await.unwrap(), wanted);
        }
    }
    assert!(!remote.descends_from(&id(&commits[0]), &id(&"0".repeat(40))).await.unwrap());
}

#[tokio::test]
async fn an_empty_repository_has_nothing() {
    let world = World::new().await;
    let repo = world.repo("a");
    let remote = world.open(&repo.url());
    let refs = remote.refs(Freshness::Now).await.unwrap();
    assert!(refs.heads.is_empty() && refs.tags.is_empty() && refs.head.is_none());
    assert_eq!(name(&remote, "HEAD").await, None);
    assert_eq!(name(&remote, &"0".repeat(40)).await, None);
    let first = repo.commit("first").unwrap();
    assert_eq!(name(&remote, "HEAD").await.as_deref(), Some(first.as_str()));
}

#[tokio::test]
async fn sha256_repositories_are_read() {
    let world = World::new().await;
    let repo = GitRepo::init_with(world.root().join("a"), &["--object-format=sha256"]).unwrap();
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    repo.annotate("v1").unwrap();
    assert_eq!(first.len(), 64);
    let remote = world.open(&repo.url());
    assert_eq!(name(&remote, "v1").await.as_deref(), Some(first.as_str()));
    assert_eq!(name(&remote, &first).await.as_deref(), Some(first.as_str()));
    assert_eq!(name(&remote, &first[..40]).await.as_deref(), Some(first.as_str()));
    let file = remote.file(&id(&first), "f", 10).await.unwrap().unwrap();
    assert_eq!(&*file.bytes, b"x");
}

#[tokio::test]
async fn replacements_do_not_count() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.write("f", "true").unwrap().commit("first").unwrap();
    let fake = repo.write("f", "fake").unwrap().commit("fake").unwrap();
    repo.git(&["replace", &first, &fake]).unwrap();
    let remote = world.open(&repo.url());
    assert!(name(&remote, "main").await.is_some());
    let file = remote.file(&id(&first), "f", 10).await.unwrap().unwrap();
    assert_eq!(&*file.bytes, b"true");
}
