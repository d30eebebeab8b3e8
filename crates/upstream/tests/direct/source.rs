//! What a source does over time, and with what it may not do.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Query};
use outbound::{Client, Config, ProxyEnvironment};
use policy::Private;
use store::{Key, Store};
use tempfile::TempDir;
use upstream::{
    Credentials, Discovery, DiscoverySettings, Drift, Error, Grant, Origin, Override, Trouble,
    Upstream, VcsParts, VcsSettings, VcsSource,
};

use crate::{
    builder::{Blob, Made, Repo, file, git, run},
    host::Host,
    larder,
};

fn path(text: &str) -> ModulePath {
    ModulePath::parse(text).unwrap()
}

fn module(name: &str, version: &str) -> ModVer {
    ModVer::new(path(name), version.parse().unwrap()).unwrap()
}

fn query(path: &ModulePath, text: &str) -> Query {
    Query::parse(text, path).unwrap()
}

/// A repository `github.com/oracle/moving` with two commits, and everything said of drift.
struct World {
    folder: TempDir,
    made: Made,
    store: Store,
    drifts: Arc<Mutex<Vec<Drift>>>,
}

const MOVING: &str = "github.com/oracle/moving";

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let go_mod = format!("module {MOVING}\n");
        let repo =
            Repo::new("moving").commit(&[file("go.mod", &go_mod), file("a.go", "package a")]);
        let repo = repo.tag("v1.0.0").commit(&[file("a.go", "package b")]);
        let made = repo.make(folder.path());
        Self { folder, made, store: Store::memory(), drifts: Arc::default() }
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("oracle/moving")
    }

    /// A process with mirrors of its own.
    async fn source(&self, settings: VcsSettings) -> VcsSource {
        let drifts = Arc::clone(&self.drifts);
        let note = move |drift: &Drift| drifts.lock().unwrap().push(drift.clone());
        let settings = VcsSettings { on_drift: Some(Arc::new(note)), ..settings };
        let folder = TempDir::new_in(self.folder.path()).unwrap().keep();
        larder::source_in(self.folder.path(), &folder, self.store.clone(), settings).await
    }

    fn point(&self, name: &str, commit: &str) {
        run(git(&self.repo()).args(["update-ref", name, &self.made.fill(commit)]), b"");
    }

    async fn store_info(&self, bytes: Bytes) {
        let mut staged = self.store.stage().await.unwrap();
        staged.write(bytes).await.unwrap();
        self.store.create(&Key::Info(&module(MOVING, "v1.0.0")), staged).await.unwrap();
    }

    fn drift(&self) -> Vec<Drift> {
        self.drifts.lock().unwrap().clone()
    }

    fn moved(&self) -> Vec<Drift> {
        let id = |word: &str| vcs::ObjectId::parse(&self.made.fill(word)).unwrap();
        let (version, now) = ("v1.0.0".parse().unwrap(), Some(id("{2}")));
        vec![Drift { path: path(MOVING), version, pinned: id("{1}"), now }]
    }
}

/// Info, go.mod and `h1:` of v1.0.0.
async fn served(source: &VcsSource) -> Result<(Bytes, Bytes, String), Error> {
    let module = module(MOVING, "v1.0.0");
    let info = source.info(module.path(), &query(module.path(), "v1.0.0")).await?;
    let go_mod = source.go_mod(&module).await?;
    Ok((info.bytes, go_mod.bytes, larder::zip(source, &module).await?))
}

#[tokio::test]
async fn a_version_stays_the_commit_that_it_was_served_from() {
    let world = World::new();
    let source = world.source(VcsSettings::default()).await;
    let before = served(&source).await.unwrap();
    world.point("refs/tags/v1.0.0", "{2}");
    source.list(&path(MOVING)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(served(&source).await.unwrap(), before);
    }
    assert_eq!(world.drift(), world.moved(), "told once");
    let fresh = world.source(VcsSettings::default()).await;
    assert_ne!(served(&fresh).await.unwrap(), before, "who never served it takes it as it is");
}

#[tokio::test]
async fn a_tag_that_moved_before_it_was_ever_served_is_where_it_is_now() {
    let world = World::new();
    let mirrors = world.folder.path().join("mirrors");
    let source = || {
        let (folder, store) = (world.folder.path(), world.store.clone());
        larder::source_in(folder, &mirrors, store, VcsSettings::default())
    };
    // The mirror learns of the tag, of which nothing is served.
    let module = path(MOVING);
    source().await.info(&module, &query(&module, "main")).await.unwrap();
    world.point("refs/tags/v1.0.0", "{2}");
    let restarted = served(&source().await).await.unwrap();
    let fresh = served(&world.source(VcsSettings::default()).await).await.unwrap();
    assert_eq!(restarted, fresh);
}

#[tokio::test]
async fn a_stored_info_keeps_the_commit_over_a_restart() {
    let world = World::new();
    let before = served(&world.source(VcsSettings::default()).await).await.unwrap();
    world.store_info(before.0.clone()).await;
    world.point("refs/tags/v1.0.0", "{2}");
    let source = world.source(VcsSettings::default()).await;
    assert_eq!(served(&source).await.unwrap(), before);
    assert_eq!(world.drift(), world.moved());
}

#[tokio::test]
async fn a_list_compares_what_is_stored_with_tags_that_have_changed() {
    let world = World::new();
    let before = served(&world.source(VcsSettings::default()).await).await.unwrap();
    world.store_info(before.0).await;
    let source = world.source(VcsSettings::default()).await;
    source.list(&path(MOVING)).await.unwrap();
    assert_eq!(world.drift(), []);
    world.point("refs/tags/v1.0.0", "{2}");
    source.list(&path(MOVING)).await.unwrap();
    source.list(&path(MOVING)).await.unwrap();
    assert_eq!(world.drift(), world.moved());
}

#[tokio::test]
async fn a_commit_that_is_gone_is_an_error_that_names_it_and_where_the_tag_went() {
    let world = World::new();
    let before = served(&world.source(VcsSettings::default()).await).await.unwrap();
    world.store_info(before.0).await;
    // Another history: nothing leads to the first commit any more.
    let other = Repo::new("other").commit(&[file("go.mod", "module x\n")]);
    let hash = other.make(world.folder.path()).fill("{1}");
    let from = world.folder.path().join("oracle/other").display().to_string();
    run(git(&world.repo()).args(["fetch", "--quiet", "--force", &from, "main:main"]), b"");
    run(git(&world.repo()).args(["update-ref", "refs/tags/v1.0.0", &hash]), b"");
    let source = world.source(VcsSettings::default()).await;
    let error = source.go_mod(&module(MOVING, "v1.0.0")).await.unwrap_err();
    let Error::Unavailable { reason, .. } = error else { panic!("{error:?}") };
    for part in [world.made.fill("{1}"), hash, "v1.0.0".to_owned(), MOVING.to_owned()] {
        assert!(reason.contains(&part), "{reason}");
    }
}

#[tokio::test]
async fn branches_are_asked_anew_each_time_and_new_tags_are_seen() {
    let world = World::new();
    let source = world.source(VcsSettings::default()).await;
    let path = path(MOVING);
    let main = async || source.info(&path, &query(&path, "main")).await.unwrap().version;
    assert!(main().await.as_str().starts_with("v1.0.1-0.20200103030405-"));
    world.point("refs/tags/v1.1.0", "{2}");
    assert_eq!(main().await.as_str(), "v1.1.0");
    world.point("refs/tags/v1.2.0", "{2}");
    let info = source.info(&path, &query(&path, "v1.2.0")).await.unwrap();
    assert_eq!(info.version.as_str(), "v1.2.0");
    assert_eq!(source.list(&path).await.unwrap().versions.len(), 3);
}

#[tokio::test]
async fn a_newer_go_line_is_built_unless_that_is_refused() {
    let world = World::new();
    let go_mod = format!("module {MOVING}\n\ngo 1.99\n");
    let repo = Repo::new("moving2").commit(&[file("go.mod", &go_mod)]).tag("v1.0.0");
    repo.make(world.folder.path());
    let module = module("github.com/oracle/moving2", "v1.0.0");
    assert!(larder::zip(&world.source(VcsSettings::default()).await, &module).await.is_ok());
    let strict = VcsSettings { refuse_newer: true, ..VcsSettings::default() };
    let error = larder::zip(&world.source(strict).await, &module).await.unwrap_err();
    let Error::Forbidden { text: Some(text), .. } = error else { panic!("{error:?}") };
    assert!(text.contains("newer Go than 1.26"), "{text}");
}

#[tokio::test]
async fn a_disk_that_is_too_full_is_told_as_the_store_tells_it() {
    let world = World::new();
    let mirrors = world.folder.path().join("mirrors");
    let place = vcs::Place { min_free: u64::MAX, ..vcs::Place::at(mirrors) };
    let (folder, store) = (world.folder.path(), world.store.clone());
    let source = larder::source_at(folder, place, store, VcsSettings::default()).await;
    let error = served(&source).await.unwrap_err();
    let Error::Store { source, .. } = &error else { panic!("{error:?}") };
    let below = |why: &store::Degraded| why.slug() == "below_min_free";
    assert!(matches!(&**source, store::Error::Stopped(why) if below(why)), "{source:?}");
}

#[tokio::test]
async fn a_file_too_large_to_be_converted_fails_only_the_zip_that_it_is_in() {
    let world = World::new();
    let large = vec![b'\n'; usize::try_from(vcs::MAX_CONVERTED_BYTES).unwrap() + 1];
    let nested = [
        file("go.mod", "module github.com/oracle/crlf\n"),
        file(".gitattributes", "*.txt eol=crlf\n"),
        file("nested/go.mod", "module github.com/oracle/crlf/nested\n"),
        (&b"nested/large.txt"[..], Blob::File(&large)),
    ];
    let repo = Repo::new("crlf").commit(&nested).tag("v1.0.0");
    let chosen = [(&b"large.txt"[..], Blob::File(&large))];
    repo.commit(&chosen).tag("v1.1.0").make(world.folder.path());
    let source = world.source(VcsSettings::default()).await;
    let zip =
        async |version| larder::zip(&source, &module("github.com/oracle/crlf", version)).await;
    assert!(zip("v1.0.0").await.is_ok());
    let error = zip("v1.1.0").await.unwrap_err();
    let Error::Invalid { reason, .. } = error else { panic!("{error:?}") };
    assert!(reason.contains("large.txt has 67108865 bytes, more than 67108864 that are converted"));
}

#[tokio::test]
async fn zips_are_the_same_with_every_size_of_memory() {
    let world = World::new();
    let large = vec![b'x'; usize::try_from(modzip::MAX_PACKED_BYTES).unwrap() + 1];
    let medium: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let files = [
        file("a.go", "package a\n"),
        (&b"large.bin"[..], Blob::File(&large)),
        (&b"medium.bin"[..], Blob::File(&medium)),
    ];
    let repo = Repo::new("large").commit(&files).tag("v1.0.0").commit(&[file("b.go", "package b")]);
    repo.tag("v1.1.0").make(world.folder.path());
    let mut all = Vec::new();
    for packed_bytes in [Some(1), Some(64 << 10), None] {
        let settings = VcsSettings { packed_bytes, ..VcsSettings::default() };
        let source = world.source(settings).await;
        let mut bodies = Vec::new();
        for version in ["v1.0.0", "v1.1.0", "v1.0.0"] {
            let module = module("github.com/oracle/large", version);
            let mut staged = world.store.stage().await.unwrap();
            let fetched = source.zip(&module, &mut staged).await.unwrap();
            assert_eq!(staged.follower().expected(), None, "nobody knows the length before");
            assert_eq!((fetched.size, fetched.origin), (staged.written(), Origin("direct".into())));
            staged.finish().await.unwrap();
            let h1 = larder::h1(&module, &staged);
            bodies.push((h1, crate::content(&staged)));
        }
        assert!(bodies[0] == bodies[2] && bodies[0] != bodies[1]);
        all.push(bodies);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

/// A source whose repositories are told, not found.
async fn overridden(folder: &Path, settings: VcsSettings) -> VcsSource {
    let extra = vec![vcs::ExtraProtocol::File, vcs::ExtraProtocol::Http];
    let config = vcs::Config { protocols: extra, ..vcs::Config::default() };
    let settings = VcsSettings { protocols: config.protocols(), ..settings };
    let git = vcs::Git::open(config, vcs::Place::at(folder.join("mirrors"))).await.unwrap();
    let client = Client::new(&Config::default(), &ProxyEnvironment::default()).unwrap();
    let discovery = Discovery::new(client.clone(), DiscoverySettings::default()).unwrap();
    VcsSource::new(VcsParts { git, discovery, store: Store::memory(), client, settings })
}

fn at(prefix: &str, url: &str) -> Override {
    let (prefix, url) = (prefix.to_owned(), url.to_owned());
    Override { prefix, url, root: None, subdir: String::new() }
}

#[tokio::test]
async fn the_operator_s_word_comes_before_table_and_hosts() {
    let folder = TempDir::new().unwrap();
    for (name, files) in
        [("one", ["corp.example/team", "x"]), ("two", ["x", "corp.example/team/deep"])]
    {
        let (root, deep) = (format!("module {}\n", files[0]), format!("module {}\n", files[1]));
        let repo = Repo::new(name).commit(&[file("go.mod", &root), file("in/go.mod", &deep)]);
        repo.tags(&["v1.0.0", "in/v1.1.0"]).make(folder.path());
    }
    let url = |name: &str| format!("file://{}/oracle/{name}", folder.path().display());
    let deep = Override { subdir: "in".to_owned(), ..at("corp.example/team/deep", &url("two")) };
    let table = at("github.com/acme", &url("one"));
    let overrides = vec![at("corp.example/team", &url("one")), deep, table];
    let settings = VcsSettings { overrides, ..VcsSettings::default() };
    let source = overridden(folder.path(), settings).await;
    let listed = async |name: &str| {
        let listed = source.list(&path(name)).await;
        listed.map(|listed| listed.versions.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(listed("corp.example/team").await.unwrap(), ["v1.0.0"]);
    assert_eq!(listed("corp.example/team/deep").await.unwrap(), ["v1.1.0"]);
    assert_eq!(listed("github.com/acme").await.unwrap(), ["v1.0.0"]);
    assert_eq!(listed("corp.example/team/in").await.unwrap(), ["v1.1.0"]);
    let module = module("corp.example/team/deep", "v1.1.0");
    let go_mod = source.go_mod(&module).await.unwrap();
    assert_eq!(go_mod.bytes, "module corp.example/team/deep\n");
    assert!(larder::zip(&source, &module).await.is_ok());
}

/// What is said of a repository whose host answers git and asks for its page so.
async fn refused(git: u16, page: u16, settings: VcsSettings) -> (Error, Host) {
    let host = Host::start(git, page).await;
    let folder = TempDir::new().unwrap();
    let overrides = vec![at("a.example/repo", &host.url())];
    let source = overridden(folder.path(), VcsSettings { overrides, ..settings }).await;
    (source.list(&path("a.example/repo")).await.unwrap_err(), host)
}

#[tokio::test]
async fn a_repository_is_absent_where_git_or_its_page_is_told_so() {
    for (git, page) in [(404, 404), (404, 410), (401, 404), (404, 200), (404, 403), (404, 500)] {
        let (error, _) = refused(git, page, VcsSettings::default()).await;
        let Error::NotFound { text: Some(text), .. } = error else { panic!("{error:?}") };
        let start = "not found: module a.example/repo: git ls-remote http://127.0.0.1:";
        assert!(text.starts_with(start), "{text}");
    }
    for (git, page, wanted) in
        [(401, 200, Trouble::Hidden), (401, 403, Trouble::Hidden), (500, 404, Trouble::Broken)]
    {
        let (error, _) = refused(git, page, VcsSettings::default()).await;
        let Error::Unavailable { kind, .. } = error else { panic!("{git} {page} {error:?}") };
        assert_eq!(kind, wanted, "{git} {page}");
    }
}

#[tokio::test]
async fn a_private_repository_is_never_called_absent() {
    let list = vec![("a.example".to_owned(), "test".to_owned())];
    let settings = VcsSettings { private: Private::new(list), ..VcsSettings::default() };
    let (error, host) = refused(404, 404, settings).await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(host.pages(), 0, "its page would prove nothing");
}

#[tokio::test]
async fn a_refused_credential_is_ours_to_mend_and_shown_nowhere() {
    let host = Host::start(401, 401).await;
    let folder = TempDir::new().unwrap();
    let (user, password) = ("larder".to_owned(), "hunter2".to_owned().into());
    let credential = vcs::Credential::Basic { user, password };
    let grant = Grant { prefix: host.address.to_string(), host: None, credential };
    let settings = VcsSettings {
        overrides: vec![at("a.example/repo", &host.url())],
        credentials: Credentials::new(vec![grant]),
        private: Private::new(vec![("a.example".to_owned(), "test".to_owned())]),
        ..VcsSettings::default()
    };
    let source = overridden(folder.path(), settings).await;
    let error = source.list(&path("a.example/repo")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(!format!("{error:?} {error} {source:?}").contains("hunter2"));
}

#[tokio::test]
async fn only_git_is_run_and_only_where_govcs_lets_it() {
    let folder = TempDir::new().unwrap();
    let govcs = "github.com/acme:hg,public:all".parse().unwrap();
    let settings = VcsSettings { govcs, ..VcsSettings::default() };
    for (settings, name, words) in [
        (
            VcsSettings::default(),
            "chiselapp.com/user/x/repository/y",
            "GOVCS disallows using fossil",
        ),
        (settings.clone(), "chiselapp.com/user/x/repository/y", "larder runs git only"),
        (settings.clone(), "a.example/r.hg/sub", "larder runs git only"),
        (settings, "github.com/acme/x", "GOVCS disallows using git for public github.com/acme/x"),
    ] {
        let source = overridden(folder.path(), settings).await;
        let error = source.list(&path(name)).await.unwrap_err();
        let Error::Forbidden { text: Some(text), .. } = error else { panic!("{error:?}") };
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn paths_that_no_host_of_the_table_can_have_are_absent() {
    let folder = TempDir::new().unwrap();
    let source = overridden(folder.path(), VcsSettings::default()).await;
    for name in ["github.com/acme", "github.com", "github.com/acme/x.git"] {
        let error = source.list(&path(name)).await.unwrap_err();
        let Error::NotFound { text: Some(text), .. } = error else { panic!("{error:?}") };
        assert!(text.starts_with(&format!("not found: module {name}: invalid ")), "{text}");
    }
}

#[tokio::test]
async fn a_protocol_that_is_not_allowed_is_not_spoken() {
    let folder = TempDir::new().unwrap();
    for url in ["git://a.example/x", "ext::sh -c id", "http://-o/x", "file://host/x"] {
        let overrides = vec![at("a.example/x", url)];
        let settings = VcsSettings { overrides, ..VcsSettings::default() };
        let source = overridden(folder.path(), settings).await;
        let error = source.list(&path("a.example/x")).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{url} {error:?}");
    }
}

#[tokio::test]
async fn of_addresses_without_a_protocol_the_one_that_answers_is_taken() {
    let folder = TempDir::new().unwrap();
    let repo = Repo::new("probed").commit(&[file("go.mod", "module corner.test/x/probed.git\n")]);
    repo.tag("v1.0.0").make(folder.path());
    let rewrite = |scheme: &str| {
        format!("{scheme}://corner.test/x/=file://{}/oracle/", folder.path().display())
    };
    for (scheme, insecure, found) in
        [("https", "", true), ("http", "", false), ("http", "corner.test", true)]
    {
        let config = vcs::Config {
            rewrite: vec![rewrite(scheme).parse().unwrap()],
            ..vcs::Config::default()
        };
        let mirrors = TempDir::new_in(folder.path()).unwrap().keep();
        let git = vcs::Git::open(config, vcs::Place::at(mirrors)).await.unwrap();
        let client = Client::new(&Config::default(), &ProxyEnvironment::default()).unwrap();
        let discovery = Discovery::new(client.clone(), DiscoverySettings::default()).unwrap();
        let insecure = gomod::pattern::Patterns::parse(insecure);
        let settings = VcsSettings { insecure, ..VcsSettings::default() };
        let parts = VcsParts { git, discovery, store: Store::memory(), client, settings };
        let listed = VcsSource::new(parts).list(&path("corner.test/x/probed.git")).await;
        assert_eq!(listed.is_ok(), found, "{scheme} {listed:?}");
        if let Err(error) = listed {
            assert!(!error.is_not_found(), "nobody said so: {error:?}");
        }
    }
}

/// A source that reads the pages of all hosts from one of ours, and repositories from a folder.
async fn discovering(folder: &Path, pages: &Host, private: &str) -> VcsSource {
    let repositories = format!("=file://{}/oracle/", folder.display());
    let rewrite = ["https://gopkg.in/", "https://git.x.org/"]
        .map(|from| format!("{from}{repositories}").parse().unwrap());
    let config = vcs::Config { rewrite: rewrite.to_vec(), ..vcs::Config::default() };
    let git = vcs::Git::open(config, vcs::Place::at(folder.join("mirrors"))).await.unwrap();
    let client = Client::new(&Config::default(), &ProxyEnvironment::default()).unwrap();
    let rewrite = vec![("https://".to_owned(), format!("http://{}/", pages.address))];
    let list = || Private::new(vec![(private.to_owned(), "test".to_owned())]);
    let insecure = || gomod::pattern::Patterns::parse(private);
    let told = DiscoverySettings {
        rewrite,
        private: list(),
        insecure: insecure(),
        ..DiscoverySettings::default()
    };
    let discovery = Discovery::new(client.clone(), told).unwrap();
    let settings = VcsSettings { private: list(), insecure: insecure(), ..VcsSettings::default() };
    VcsSource::new(VcsParts { git, discovery, store: Store::memory(), client, settings })
}

fn page(content: &str) -> String {
    format!("<head><meta name=\"go-import\" content=\"{content}\"></head>")
}

async fn listed(source: &VcsSource, name: &str) -> Result<Vec<String>, Error> {
    let listed = source.list(&path(name)).await?;
    assert_eq!(listed.origin, Origin("direct".into()));
    Ok(listed.versions.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn hosts_tell_where_their_repositories_are() {
    let folder = TempDir::new().unwrap();
    let two = Repo::new("y.v2").commit(&[file("go.mod", "module gopkg.in/y.v2\n")]);
    two.tags(&["v1.0.0", "v2.0.0", "v2.1.0"]).make(folder.path());
    let sub = Repo::new("mono").commit(&[
        file("go/x/go.mod", "module x.org/m\n"),
        file("go/x/x.go", "package x\n"),
        file("a/go/x/go.mod", "module x.org/m/a\n"),
        file("LICENSE", "free\n"),
    ]);
    sub.tags(&["go/x/v1.0.0", "a/go/x/v1.5.0", "v9.0.0"]).make(folder.path());
    let pages = Host::serving(|path| match path {
        path if path.starts_with("/gopkg.in/y.v2") => {
            (200, page("gopkg.in/y.v2 git https://gopkg.in/y.v2"))
        }
        path if path.starts_with("/x.org/m") => {
            (200, page("x.org/m git https://git.x.org/mono go/x"))
        }
        _ => (404, "nothing".to_owned()),
    });
    let pages = pages.await;
    let source = discovering(folder.path(), &pages, "").await;
    assert_eq!(listed(&source, "gopkg.in/y.v2").await.unwrap(), ["v2.0.0", "v2.1.0"]);
    assert_eq!(listed(&source, "x.org/m").await.unwrap(), ["v1.0.0"]);
    // Below the prefix first, then the subdirectory.
    assert_eq!(listed(&source, "x.org/m/a").await.unwrap(), ["v1.5.0"]);
    assert!(listed(&source, "x.org/other").await.unwrap_err().is_not_found());
    for (name, version) in
        [("gopkg.in/y.v2", "v2.1.0"), ("x.org/m", "v1.0.0"), ("x.org/m/a", "v1.5.0")]
    {
        assert!(larder::zip(&source, &module(name, version)).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn a_page_that_names_a_proxy_is_followed_where_its_host_may_be_dialled() {
    let folder = TempDir::new().unwrap();
    let zip = "PK-not-looked-into".to_owned();
    let pages = Host::serving(move |path| match path.split_once("/proxy/x.org/m/") {
        Some((_, "@v/list")) => (200, "v1.0.0\n".to_owned()),
        Some((_, "@v/v1.0.0.mod")) => (200, "module x.org/m\n".to_owned()),
        Some((_, "@v/v1.0.0.zip")) => (200, zip.clone()),
        Some((_, "@latest" | "@v/v1.0.0.info")) => (200, r#"{"Version":"v1.0.0"}"#.to_owned()),
        Some(_) => (404, "not found".to_owned()),
        None => (500, String::new()),
    });
    let pages = pages.await;
    let base = format!("http://{}/proxy", pages.address);
    let naming = Host::serving(move |_| (200, page(&format!("x.org/m mod {base}")))).await;
    let source = discovering(folder.path(), &naming, "x.org").await;
    assert_eq!(listed(&source, "x.org/m").await.unwrap(), ["v1.0.0"]);
    let module = module("x.org/m", "v1.0.0");
    assert_eq!(source.go_mod(&module).await.unwrap().bytes, "module x.org/m\n");
    let info = source.info(module.path(), &query(module.path(), "v1.0.0")).await.unwrap();
    assert_eq!((info.origin, info.version.as_str()), (Origin("direct".into()), "v1.0.0"));
    assert_eq!(source.latest(module.path()).await.unwrap().version.as_str(), "v1.0.0");
    let absent = source.info(module.path(), &query(module.path(), "v2.0.0")).await;
    assert!(absent.unwrap_err().is_not_found());
    let mut staged = Store::memory().stage().await.unwrap();
    let fetched = source.zip(&module, &mut staged).await.unwrap();
    assert_eq!((fetched.size, fetched.origin), (18, Origin("direct".into())));
    let asked = pages.pages();
    // A stranger's page that points inside leads nowhere.
    let naming = Host::serving(|_| (200, page("x.org/m mod https://127.0.0.1:1/proxy"))).await;
    let source = discovering(folder.path(), &naming, "").await;
    let error = listed(&source, "x.org/m").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { kind: Trouble::Barred, .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert_eq!(pages.pages(), asked);
}
