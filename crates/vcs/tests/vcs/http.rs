//! Over smart http: who is asked how often, with what, and who is not asked.

use std::{sync::Arc, time::Duration};

use policy::address::Word;
use secrecy::SecretString;
use testkit::{Authority, GitRule, GitServer};
use units::ByteSize;
use vcs::{
    Config, Credential, Egress, Error, Freshness, Git, Place, Remote, RemoteUrl, Repository,
};

use crate::{
    figures,
    world::{ALL, World, commit, id, name},
};

fn basic() -> Credential {
    let password = SecretString::from("open sesame");
    Credential::Basic { user: "aladdin".to_owned(), password }
}

const BASIC: &str = "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==";

/// Small repositories, too, are fetched file by file.
fn partial() -> Config {
    Config { whole_below: ByteSize(0), ..Config::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_make_one_fetch() {
    let world = World::with(partial()).await;
    let repo = world.repo("a");
    let mut commits = Vec::new();
    for number in 0..50 {
        repo.write("f", format!("{number}")).unwrap();
        commits.push(repo.commit("x").unwrap());
        repo.tag(&format!("v{number}")).unwrap();
    }
    let server = world.serve();
    server.rule(GitRule { delay_fetch: Some(Duration::from_millis(200)), ..GitRule::default() });
    let remote = world.open(&format!("{}/a", server.url()));
    let all = (0..50).map(|number| {
        let remote = remote.clone();
        async move {
            remote.tag(&format!("v{number}"), Freshness::Now).await.unwrap().unwrap().id.to_string()
        }
    });
    let found = futures_util::future::join_all(all).await;
    assert_eq!(found, commits);
    assert_eq!((server.talks(), server.fetches()), (2, 1), "one list of refs, one fetch");
    server.forget();
    let all = commits.iter().map(|commit| {
        let (remote, commit) = (remote.clone(), id(commit));
        async move { remote.snapshot(&commit, "").await.unwrap().entries().len() }
    });
    assert_eq!(futures_util::future::join_all(all).await, vec![1; 50]);
    assert!(server.talks() <= 3, "blobs of fifty versions in {} batches", server.talks());
}

#[tokio::test]
async fn nothing_is_fetched_that_is_here() {
    let world = World::new().await;
    let repo = world.repo("a");
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    repo.tag("v1").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "v1").await.unwrap();
    repo.commit("second").unwrap();
    server.forget();
    // The branch has moved; the tag and the old commit have not.
    assert!(commit(&remote, "v1").await.is_some());
    assert!(commit(&remote, &first).await.is_some());
    assert_eq!((server.talks(), server.fetches()), (2, 0), "two lists of refs");
    server.forget();
    remote.commit("v1", Freshness::Within(Duration::from_mins(1))).await.unwrap();
    remote.tags_behind(&id(&first)).await.unwrap();
    assert_eq!(server.talks(), 0);
}

#[tokio::test]
async fn credentials_are_shown_and_stay_secret() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write("f", "x").unwrap().commit("first").unwrap();
    let server = world.serve();
    server.rule(GitRule { authorization: Some(BASIC.to_owned()), ..GitRule::default() });
    let url = format!("{}/a", server.url());
    let denied = world.open(&url).refs(Freshness::Now).await;
    assert!(matches!(denied, Err(Error::Refused { .. })), "{denied:?}");
    let remote = world.open_with(&url, Some(basic()));
    let found = commit(&remote, "main").await.unwrap();
    remote.snapshot(&found.id, "").await.unwrap();
    assert!(
        server.seen().iter().rev().take(4).all(|seen| seen.header("authorization") == Some(BASIC))
    );
    // A handle without the credential has no part in what was fetched with it.
    let stranger = world.open(&url).commit("main", Freshness::Known).await;
    assert!(matches!(stranger, Err(Error::Refused { .. })), "{stranger:?}");
    let wrong = Credential::Header(SecretString::from("Basic d3JvbmctcGFzc3dvcmQ="));
    let wrong = world.open_with(&url, Some(wrong)).refs(Freshness::Now).await.unwrap_err();
    assert!(!wrong.to_string().contains("d3JvbmctcGFzc3dvcmQ"), "{wrong}");
    assert!(!on_disk(&world, "YWxhZGRpb").await && !on_disk(&world, "127.0.0.1").await);
    let debugged = format!("{remote:?}");
    assert!(!debugged.contains("sesame") && !debugged.contains("YWxh"), "{debugged}");
}

async fn on_disk(world: &World, text: &str) -> bool {
    let folder = world.folder.path().join("git");
    let found = tokio::process::Command::new("grep").args(["-r", text]).arg(folder).output();
    !found.await.unwrap().stdout.is_empty()
}

#[tokio::test]
async fn dumb_http_is_refused() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.commit("first").unwrap();
    repo.git(&["update-server-info"]).unwrap();
    let server = world.serve();
    server.rule(GitRule { dumb: true, ..GitRule::default() });
    let remote = world.open(&format!("{}/a/.git", server.url()));
    let refused = figures::of(remote.refs(Freshness::Now)).await;
    assert!(
        matches!(&refused, Err(Error::Forbidden { reason, .. }) if reason.contains("dumb http")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    let world = World::new().await;
    world.repo("a").commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    for (status, refused) in [
        (401, true),
        (403, true),
        (404, true),
        (410, true),
        (500, false),
        (503, false),
        (429, false),
    ] {
        server.rule(GitRule { status: Some(status), ..GitRule::default() });
        match remote.refs(Freshness::Now).await {
            Err(Error::Refused { .. }) => assert!(refused, "{status}"),
            Err(Error::Unavailable { timeout: false, .. }) => assert!(!refused, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
    }
    let gone = world.open(&format!("{}/nothing", server.url()));
    server.rule(GitRule::default());
    assert!(matches!(gone.refs(Freshness::Now).await, Err(Error::Refused { .. })));
    drop(server);
    assert!(matches!(remote.refs(Freshness::Now).await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn plain_http_follows_no_redirect() {
    let world = World::new().await;
    world.repo("a").commit("first").unwrap();
    let (server, other) = (world.serve(), world.serve());
    server.rule(GitRule { redirect: Some(other.url()), ..GitRule::default() });
    let remote = world.open(&format!("{}/a", server.url()));
    assert!(figures::of(remote.refs(Freshness::Now)).await.is_err());
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_cut_fetch_shows_nothing_and_is_begun_again() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write("f", "x".repeat(10_000)).unwrap();
    let first = repo.commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    server.rule(GitRule { cut_fetch_after: Some(100), ..GitRule::default() });
    let cut = figures::of(remote.commit("main", Freshness::Now)).await;
    assert!(matches!(cut, Err(Error::Unavailable { .. } | Error::Limit { .. })), "{cut:?}");
    server.rule(GitRule::default());
    assert_eq!(name(&remote, "main").await.as_deref(), Some(first.as_str()));
}

#[tokio::test]
async fn a_server_that_drips_is_given_up() {
    let config = Config { fetch_timeout: "1s".parse().unwrap(), ..Config::default() };
    let world = World::with(config).await;
    let repo = world.repo("a");
    repo.write("f", "x".repeat(10_000)).unwrap().commit("first").unwrap();
    let server = world.serve();
    server.rule(GitRule { drip: Some(Duration::from_millis(100)), ..GitRule::default() });
    let remote = world.open(&format!("{}/a", server.url()));
    let late = figures::of(remote.commit("main", Freshness::Now)).await;
    assert!(matches!(late, Err(Error::Unavailable { timeout: true, .. })), "{late:?}");
}

#[tokio::test]
async fn a_caller_that_leaves_spoils_nothing() {
    let world = World::new().await;
    let first = world.repo("a").commit("first").unwrap();
    let server = world.serve();
    server.rule(GitRule { delay_fetch: Some(Duration::from_millis(300)), ..GitRule::default() });
    let remote = world.open(&format!("{}/a", server.url()));
    let hasty =
        tokio::time::timeout(Duration::from_millis(250), remote.commit("main", Freshness::Now));
    let patient = remote.commit("main", Freshness::Now);
    let (hasty, patient) = tokio::join!(hasty, patient);
    assert!(hasty.is_err());
    assert_eq!(patient.unwrap().unwrap().id.as_str(), first);
    // On a busy machine the first caller may have left before the second went along with its fetch.
    assert!((1..=2).contains(&server.fetches()), "{}", server.fetches());
}

#[tokio::test]
async fn servers_without_partial_clone_give_everything_at_once() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.git(&["config", "uploadpack.allowFilter", "false"]).unwrap();
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    server.forget();
    let snapshot = remote.snapshot(&id(&first), "").await.unwrap();
    assert_eq!(&*snapshot.content(&snapshot.entries()[0]).unwrap(), b"x");
    assert_eq!(server.seen().len(), 0);
}

struct Tls {
    server: GitServer,
    world: World,
    authority: Authority,
    ca: std::path::PathBuf,
}

impl Tls {
    async fn new() -> Self {
        let world = World::new().await;
        let authority = Authority::new().unwrap();
        let ca = world.folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let issued = authority.issue(&["127.0.0.1", "localhost"]).unwrap();
        std::fs::create_dir_all(world.root()).unwrap();
        let server = GitServer::start_tls(world.root(), &issued).unwrap();
        Self { server, world, authority, ca }
    }

    async fn git(&self, config: Config, egress: Egress) -> Git {
        let folder = self.world.folder.path().join("tls");
        let place = Place { ca_bundle: Some(self.ca.clone()), egress, ..Place::at(folder) };
        Git::open(config, place).await.unwrap()
    }

    fn open(&self, git: &Git, word: Word, credential: Option<Credential>) -> Repository {
        let url = RemoteUrl::parse(&format!("{}/a", self.server.url()), ALL).unwrap();
        git.repository(Remote { url, credential, word })
    }
}

#[tokio::test]
async fn https_goes_through_the_door() {
    let tls = Tls::new().await;
    let repo = tls.world.repo("a");
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    let git = tls.git(Config::default(), Egress::default()).await;
    let remote = tls.open(&git, Word::Operator, Some(basic()));
    tls.server.rule(GitRule { authorization: Some(BASIC.to_owned()), ..GitRule::default() });
    assert_eq!(name(&remote, "main").await.as_deref(), Some(first.as_str()));
    assert_eq!(remote.snapshot(&id(&first), "").await.unwrap().entries().len(), 1);
    // Nobody but the operator may name a host in here.
    tls.server.forget();
    let ports = vec![tls.server.address().port()];
    let git = tls.git(Config { ports, ..Config::default() }, Egress::default()).await;
    let refused = tls.open(&git, Word::Discovered, None).refs(Freshness::Now).await;
    assert!(
        matches!(&refused, Err(Error::Forbidden { reason, .. }) if reason.contains("loopback")),
        "{refused:?}"
    );
    let git = tls.git(Config::default(), Egress::default()).await;
    let refused = tls.open(&git, Word::Discovered, None).refs(Freshness::Now).await;
    assert!(
        matches!(&refused, Err(Error::Forbidden { reason, .. }) if reason.contains("port")),
        "{refused:?}"
    );
    assert_eq!(tls.server.seen().len(), 0);
}

#[tokio::test]
async fn certificates_are_checked() {
    let tls = Tls::new().await;
    tls.world.repo("a").commit("first").unwrap();
    let other = Authority::new().unwrap();
    std::fs::write(&tls.ca, other.pem()).unwrap();
    let git = tls.git(Config::default(), Egress::default()).await;
    let refused = tls.open(&git, Word::Operator, None).refs(Freshness::Now).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert_eq!(tls.server.seen().len(), 0);
}

#[tokio::test]
async fn redirects_are_judged_and_credentials_stay() {
    let tls = Tls::new().await;
    let repo = tls.world.repo("a");
    let first = repo.commit("first").unwrap();
    let git = tls.git(Config::default(), Egress::default()).await;
    let redirect = |base: &str| {
        tls.server.rule(GitRule { redirect: Some(base.to_owned()), ..GitRule::default() });
    };
    for target in ["https://169.254.169.254", "https://localhost.invalid"] {
        redirect(target);
        let refused = tls.open(&git, Word::Operator, None).refs(Freshness::Now).await;
        assert!(refused.is_err(), "{target}");
    }
    redirect("https://169.254.169.254");
    let remote = tls.open(&git, Word::Operator, None);
    let refused = figures::of(remote.refs(Freshness::Now)).await;
    assert!(
        matches!(&refused, Err(Error::Forbidden { reason, .. }) if reason.contains("metadata")),
        "{refused:?}"
    );
    // A machine in here may lead on in here, but not with a credential.
    let issued = tls.authority.issue(&["127.0.0.1"]).unwrap();
    let second = GitServer::start_tls(tls.world.root(), &issued).unwrap();
    redirect(&second.url());
    let followed = tls.open(&git, Word::Operator, None);
    assert_eq!(name(&followed, "main").await.as_deref(), Some(first.as_str()));
    second.forget();
    let kept = tls.open(&git, Word::Operator, Some(basic())).refs(Freshness::Now).await;
    assert!(
        matches!(&kept, Err(Error::Forbidden { reason, .. }) if reason.contains("credentials")),
        "{kept:?}"
    );
    assert_eq!(second.seen().len(), 0);
    // To plain http nobody is led.
    let plain = tls.world.serve();
    redirect(&plain.url());
    assert!(tls.open(&git, Word::Operator, None).refs(Freshness::Now).await.is_err());
    assert_eq!(plain.seen().len(), 0);
}

#[tokio::test]
async fn a_test_may_rewrite_where_a_repository_is() {
    let base = World::new().await;
    let first = base.repo("x/y").commit("first").unwrap();
    let rewrite = vec![
        "https://example.com/=https://example.invalid/".parse().unwrap(),
        format!("https://example.com/x/=file://{}/x/", base.root().display()).parse().unwrap(),
    ];
    let world = World::with(Config { rewrite, ..Config::default() }).await;
    let url = RemoteUrl::parse("https://example.com/x/y", vcs::Protocols::default()).unwrap();
    let remote = world.git.repository(Remote { url, credential: None, word: Word::Discovered });
    assert_eq!(name(&remote, "main").await.as_deref(), Some(first.as_str()));
}

#[tokio::test]
async fn metrics_count_runs_and_failures() {
    let world = World::new().await;
    world.repo("a").commit("first").unwrap();
    let remote = world.open(&format!("file://{}/a", world.root().display()));
    commit(&remote, "main").await.unwrap();
    let gone = world.open(&format!("file://{}/b", world.root().display()));
    assert!(matches!(gone.refs(Freshness::Now).await, Err(Error::Refused { .. })));
    let metrics = Arc::new(world.git.metrics());
    assert_eq!((metrics.runs(vcs::Action::Refs), metrics.runs(vcs::Action::Fetch)), (2, 1));
    assert_eq!(metrics.failures(vcs::Action::Refs, vcs::Failure::Refused), 1);
}

#[tokio::test]
async fn one_file_brings_the_same_file_of_other_versions() {
    let world = World::with(partial()).await;
    let repo = world.repo("a");
    let mut commits = Vec::new();
    for number in 0..10 {
        repo.write("go.mod", format!("module x // {number}")).unwrap();
        commits.push(repo.commit("x").unwrap());
    }
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    server.forget();
    for (number, hash) in commits.iter().enumerate() {
        let file = remote.file(&id(hash), "go.mod", 100).await.unwrap().unwrap();
        assert_eq!(file.bytes, format!("module x // {number}"));
    }
    assert_eq!(server.talks(), 1);
}

#[tokio::test]
async fn a_small_repository_is_fetched_whole_with_its_first_file() {
    let world = World::new().await;
    let repo = world.repo("a");
    let commits: Vec<_> = (0..5)
        .map(|number| repo.write("f", format!("{number}")).unwrap().commit("x").unwrap())
        .collect();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    for (number, hash) in commits.iter().enumerate() {
        let snapshot = remote.snapshot(&id(hash), "").await.unwrap();
        assert_eq!(snapshot.content(&snapshot.entries()[0]).unwrap(), format!("{number}"));
    }
    // Refs and fetch; refs and all of it.
    assert_eq!((server.talks(), server.fetches()), (4, 2));
    let new = repo.write("f", "new").unwrap().commit("x").unwrap();
    commit(&remote, "main").await.unwrap();
    server.forget();
    assert_eq!(remote.snapshot(&id(&new), "").await.unwrap().entries().len(), 1);
    assert_eq!(server.talks(), 0, "a whole mirror stays whole");
}

#[tokio::test]
async fn a_large_repository_is_fetched_whole_in_the_background() {
    let world = World::with(Config { whole_after: 2, ..partial() }).await;
    let repo = world.repo("a");
    let commits: Vec<_> = (0..4)
        .map(|number| repo.write("f", format!("{number}")).unwrap().commit("x").unwrap())
        .collect();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    remote.snapshot(&id(&commits[0]), "").await.unwrap();
    world.git.keep_house().await.unwrap();
    let early = remote.snapshot(&id(&commits[1]), "").await.unwrap();
    assert_eq!(server.talks(), 2 + 2, "one by one at first");
    world.git.keep_house().await.unwrap();
    assert_eq!(server.talks(), 4 + 2);
    server.forget();
    for hash in &commits {
        assert_eq!(remote.snapshot(&id(hash), "").await.unwrap().entries().len(), 1);
    }
    assert_eq!(server.talks(), 0);
    assert_eq!(&*early.content(&early.entries()[0]).unwrap(), b"1", "a reader of before");
}

#[tokio::test]
async fn what_is_never_given_whole_is_asked_for_ever_more_seldom() {
    let small = ByteSize(100_000);
    let world = World::with(Config { whole_after: 1, max_fetch_size: small, ..partial() }).await;
    let repo = world.repo("a");
    let mut noise = 1_u64;
    let noise = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.to_be_bytes()[0]
    });
    repo.write("noise", noise.take(200_000).collect::<Vec<_>>()).unwrap();
    let mut commits = Vec::new();
    for number in 0..3 {
        repo.write("f/f", format!("{number}")).unwrap();
        commits.push(id(&repo.commit("x").unwrap()));
    }
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    let housekeeping = async |commit: usize| {
        remote.snapshot(&commits[commit], "f").await.unwrap();
        server.forget();
        world.git.keep_house().await.unwrap();
        server.fetches()
    };
    assert_eq!(housekeeping(0).await, 1, "all of it is too much");
    assert_eq!(housekeeping(1).await, 0, "it was too much a moment ago");
    let note = world.mirror().join("larder-not-whole");
    let ago = std::time::SystemTime::now() - Duration::from_mins(11);
    std::fs::File::options().write(true).open(&note).unwrap().set_modified(ago).unwrap();
    assert_eq!(housekeeping(2).await, 1, "the first wait is over");
    assert_eq!(std::fs::read_to_string(&note).unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetches_of_one_host_take_turns() {
    let world = World::with(Config { fetches_per_host: 1, ..Config::default() }).await;
    let server = world.serve();
    server.rule(GitRule { delay_fetch: Some(Duration::from_millis(300)), ..GitRule::default() });
    let all = (0..3).map(|number| {
        world.repo(&format!("{number}")).commit("x").unwrap();
        let remote = world.open(&format!("{}/{number}", server.url()));
        async move { commit(&remote, "main").await.is_some() }
    });
    let all: Vec<_> = all.collect();
    let before = std::time::Instant::now();
    assert_eq!(futures_util::future::join_all(all).await, [true; 3]);
    assert!(before.elapsed() >= Duration::from_millis(900), "one after the other");
}
