//! Mirrors on disk: damage, restarts, quota, packs.

use std::{fs, path::PathBuf};

use testkit::GitServer;
use units::ByteSize;
use vcs::{Config, Freshness, Git, Place, Repository};

use crate::{
    figures,
    world::{World, commit, id, name},
};

fn packs(mirror: &std::path::Path, extension: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(mirror.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

struct One {
    world: World,
    server: GitServer,
    commit: String,
}

impl One {
    async fn new() -> Self {
        let world = World::new().await;
        let repo = world.repo("a");
        repo.write("f", "x").unwrap();
        let commit = repo.commit("first").unwrap();
        repo.annotate("v1").unwrap();
        let server = world.serve();
        Self { world, server, commit }
    }

    fn open(&self) -> Repository {
        self.world.open(&format!("{}/a", self.server.url()))
    }

    async fn reads(&self) {
        let remote = self.open();
        let found = name(&remote, "v1").await;
        assert_eq!(found.as_deref(), Some(self.commit.as_str()));
        let snapshot = remote.snapshot(&id(&self.commit), "").await.unwrap();
        assert_eq!(&*snapshot.content(&snapshot.entries()[0]).unwrap(), b"x");
    }
}

#[tokio::test]
async fn a_mirror_outlives_a_restart() {
    let mut one = One::new().await;
    one.reads().await;
    one.world.restart().await;
    one.server.forget();
    let remote = one.open();
    let found = remote.commit("v1", Freshness::Known).await.unwrap().unwrap();
    assert_eq!(found.id.as_str(), one.commit);
    assert_eq!(remote.snapshot(&found.id, "").await.unwrap().entries().len(), 1);
    assert_eq!(
        remote.refs(Freshness::Known).await.unwrap().head.as_ref().unwrap().1.as_deref(),
        Some("refs/heads/main")
    );
    assert_eq!(one.server.seen().len(), 0, "all of it was on disk");
}

#[tokio::test]
async fn a_damaged_mirror_is_made_again() {
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 9] = [
        ("config", |mirror| fs::write(mirror.join("config"), "[core]\n\tbare = true\n").unwrap()),
        ("config of a stranger", |mirror| {
            let text = fs::read_to_string(mirror.join("config")).unwrap();
            fs::write(
                mirror.join("config"),
                format!("{text}[core]\n\tsshCommand = touch /tmp/x\n"),
            )
            .unwrap();
        }),
        ("no config", |mirror| fs::remove_file(mirror.join("config")).unwrap()),
        ("alternates", |mirror| {
            fs::write(mirror.join("objects/info/alternates"), "/tmp\n").unwrap();
        }),
        ("refs", |mirror| fs::write(mirror.join("packed-refs"), "nonsense").unwrap()),
        ("no packs", |mirror| {
            for extension in ["pack", "idx"] {
                for path in packs(mirror, extension) {
                    fs::remove_file(path).unwrap();
                }
            }
        }),
        ("cut packs", |mirror| {
            for path in packs(mirror, "pack") {
                let _ = fs::remove_file(path.with_extension("rev"));
                let bytes = fs::read(&path).unwrap();
                fs::remove_file(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }),
        ("loose objects", |mirror| fs::create_dir(mirror.join("objects/aa")).unwrap()),
        ("shallow", |mirror| fs::write(mirror.join("shallow"), "").unwrap()),
    ];
    for (_told, damage) in damages {
        let mut one = One::new().await;
        one.reads().await;
        damage(&one.world.mirror());
        one.world.restart().await;
        figures::of(one.reads()).await;
        assert!(!one.world.mirror().join("objects/info/alternates").exists());
    }
}

#[tokio::test]
async fn damage_while_in_use_is_mended() {
    let one = One::new().await;
    let repo = one.world.repo("b");
    repo.write("f", "x").unwrap();
    let first = repo.commit("first").unwrap();
    let remote = one.world.open(&format!("{}/b", one.server.url()));
    commit(&remote, "main").await.unwrap();
    fs::remove_dir_all(one.world.mirror()).unwrap();
    let snapshot = remote.snapshot(&id(&first), "").await.unwrap();
    assert_eq!(&*snapshot.content(&snapshot.entries()[0]).unwrap(), b"x");
}

#[tokio::test]
async fn leftovers_of_a_killed_fetch_are_swept() {
    let one = One::new().await;
    one.reads().await;
    let left = one.world.mirror().join("objects/pack/tmp_pack_AbCdEf");
    fs::write(&left, "x").unwrap();
    one.world.repo("a").commit("second").unwrap();
    assert!(name(&one.open(), "main").await.is_some());
    assert!(!left.exists());
    let trash = one.world.folder.path().join("git/0.trash-12");
    fs::create_dir(&trash).unwrap();
    one.world.git.keep_house().await.unwrap();
    assert!(!trash.exists());
}

#[tokio::test]
async fn what_killed_processes_left_goes_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let hash = "a".repeat(64);
    let left = [format!("{hash}.new-1"), "tmp-1".to_owned(), format!("{hash}.trash-1")];
    for name in &left {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join(format!("{hash}.lock")), "").unwrap();
    let _git = Git::open(Config::default(), Place::at(folder.path())).await.unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["home", "lock"]);
}

#[tokio::test]
async fn nothing_is_fetched_onto_a_disk_that_is_too_full() {
    let one = One::new().await;
    let folder = one.world.folder.path().join("full");
    let open = |min_free| Git::open(Config::default(), Place { min_free, ..Place::at(&folder) });
    let (url, word) = (one.open().url().clone(), policy::address::Word::Operator);
    let remote = vcs::Remote { url, credential: None, word };
    let full = open(u64::MAX).await.unwrap().repository(remote.clone());
    let error = figures::of(full.commit("v1", Freshness::Now)).await.unwrap_err();
    assert!(matches!(error, vcs::Error::Full { min: u64::MAX, .. }), "{error}");
    assert!(error.to_string().ends_with("store.min_free is 18446744073709551615"), "{error}");
    assert_eq!(one.server.fetches(), 0);
    let roomy = open(1).await.unwrap().repository(remote);
    assert_eq!(name(&roomy, "v1").await.as_deref(), Some(one.commit.as_str()));
}

#[tokio::test]
async fn the_quota_removes_what_was_unused_for_longest() {
    let mut one = One::new().await;
    one.world.repo("b").write("f", "y".repeat(10)).unwrap().commit("first").unwrap();
    one.reads().await;
    let first = one.world.mirror();
    let remote = one.world.open(&format!("{}/b", one.server.url()));
    let found = commit(&remote, "main").await.unwrap();
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    fs::File::options()
        .write(true)
        .open(first.join("larder-used"))
        .unwrap()
        .set_modified(hour_ago)
        .unwrap();

    let place = || Place::at(one.world.folder.path().join("git"));
    let roomy = Git::open(Config::default(), place()).await.unwrap();
    roomy.keep_house().await.unwrap();
    assert!(first.exists(), "there is room");
    let size = |path: &std::path::Path| -> u64 {
        let mut sum = 0;
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            sum += if metadata.is_dir() { 0 } else { metadata.len() };
        }
        sum
    };
    assert!(size(&first) > 0);
    let config = || Config { quota: ByteSize(1), ..Config::default() };
    one.world.git = Git::open(config(), place()).await.unwrap();
    let tight = &one.world.git;
    let remote = one.world.open(&format!("{}/b", one.server.url()));
    let in_use = remote.snapshot(&found.id, "").await.unwrap();
    tight.keep_house().await.unwrap();
    assert!(!first.exists(), "unused for longest");
    assert_eq!(in_use.content(&in_use.entries()[0]).unwrap().len(), 10);
    assert!(one.world.mirror().exists(), "in use");
    // It comes back when it is asked for.
    one.reads().await;
}

#[tokio::test]
async fn many_packs_become_one() {
    let config = Config { whole_below: ByteSize(0), ..Config::default() };
    let world = World::with(config).await;
    let repo = world.repo("a");
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    let mut last = String::new();
    for number in 0..52 {
        repo.write("f", format!("{number}")).unwrap();
        last = repo.commit("x").unwrap();
        commit(&remote, "main").await.unwrap();
    }
    let snapshot = remote.snapshot(&id(&last), "").await.unwrap();
    let before = packs(&world.mirror(), "pack").len();
    assert!(before > 50, "{before}");
    world.git.keep_house().await.unwrap();
    let after = packs(&world.mirror(), "pack").len();
    assert!(after <= 2, "{after}");
    assert_eq!(&*snapshot.content(&snapshot.entries()[0]).unwrap(), b"51", "a reader of before");
    let again = remote.snapshot(&id(&last), "").await.unwrap();
    assert_eq!(&*again.content(&again.entries()[0]).unwrap(), b"51");
    repo.commit("more").unwrap();
    assert!(commit(&remote, "main").await.is_some(), "and it is fetched into again");
}

#[tokio::test]
async fn two_processes_take_turns() {
    let one = One::new().await;
    let place = Place::at(one.world.folder.path().join("git"));
    let other = Git::open(Config::default(), place).await.unwrap();
    let mine = one.open();
    let url = mine.url().clone();
    let word = policy::address::Word::Operator;
    let theirs = other.repository(vcs::Remote { url, credential: None, word });
    let (mine, theirs) = tokio::join!(name(&mine, "v1"), name(&theirs, "v1"));
    assert_eq!(
        (mine.as_deref(), theirs.as_deref()),
        (Some(one.commit.as_str()), Some(one.commit.as_str()))
    );
}

#[tokio::test]
async fn no_git_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { program: "git-that-is-nowhere".into(), ..Config::default() };
    let error = Git::open(config, Place::at(folder.path())).await.unwrap_err();
    assert!(error.to_string().contains("git-that-is-nowhere"), "{error}");
    let place = Place { path: Some("/nowhere".into()), ..Place::at(folder.path()) };
    assert!(Git::open(Config::default(), place).await.is_err(), "git is sought on the path given");
}

#[tokio::test]
async fn the_user_s_and_the_system_s_settings_do_not_count() {
    let one = One::new().await;
    let git = one.world.folder.path().join("git");
    assert_eq!(fs::read_dir(git.join("home")).unwrap().count(), 0);
    // A folder of mirrors inside a repository with a hostile configuration.
    let outer = one.world.repo("outer");
    outer.git(&["config", "core.sshCommand", "touch /nonexistent"]).unwrap();
    outer.git(&["config", "url.file:///nonexistent/.insteadOf", "http://"]).unwrap();
    let inner =
        Git::open(Config::default(), Place::at(outer.folder().join("data/git"))).await.unwrap();
    let url = one.open().url().clone();
    let remote = inner.repository(vcs::Remote {
        url,
        credential: None,
        word: policy::address::Word::Operator,
    });
    assert_eq!(name(&remote, "v1").await.as_deref(), Some(one.commit.as_str()));
}
