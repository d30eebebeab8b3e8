//! Modules straight from git, by a larder that has git and no `go`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use e2e::{Go, Larder, Settings};
use testkit::{FakeUpstream, GitRepo, Modules};

/// Where repositories stand in the world, and in the folder of all of them.
const HOSTS: [(&str, &str); 2] = [("https://github.com/", ""), ("https://gopkg.in/", "gopkg.in/")];

/// A folder of repositories as they stand on a host, a data folder, and users' homes.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn repository(&self, name: &str) -> anyhow::Result<GitRepo> {
        GitRepo::init(self.path("hosted").join(name))
    }

    /// A larder whose one source is git.
    pub(crate) fn settings(&self) -> Settings {
        let hosted = self.path("hosted");
        let rewrite =
            HOSTS.map(|(url, folder)| format!("{url}=file://{}/{folder}", hosted.display()));
        Settings::new(&self.path("data"), "direct")
            .git(&hosted)
            .with("LARDER_VCS_REWRITE", &rewrite.join(","))
    }

    /// A user whose `go` finds the repositories where larder does.
    pub(crate) fn client(&self, go: &Go, home: &str, proxy: &str) -> anyhow::Result<e2e::Client> {
        let config = self.path("gitconfig");
        let hosted = self.path("hosted");
        let rewrite = HOSTS.map(|(url, folder)| {
            format!("[url \"file://{}/{folder}\"]\n\tinsteadOf = {url}\n", hosted.display())
        });
        std::fs::write(&config, rewrite.concat())?;
        std::fs::create_dir_all(self.path(home))?;
        let client = go.client(&self.path(home), proxy)?;
        Ok(client
            .with("GIT_CONFIG_GLOBAL", &config.display().to_string())
            .with("GOFLAGS", "-mod=mod")
            .with("GONOSUMDB", "*"))
    }
}

/// A package that says which version it is of.
pub(crate) fn package(
    repo: &GitRepo,
    folder: &str,
    module: Option<&str>,
    version: &str,
) -> anyhow::Result<()> {
    let at =
        |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    if let Some(module) = module {
        repo.write(&at("go.mod"), format!("module {module}\n\ngo 1.21\n"))?;
    }
    let source = format!("package p\n\nconst Version = {version:?}\n");
    repo.write(&at("p.go"), source)?;
    Ok(())
}

/// Modules in all forms that a repository can give them.
pub(crate) fn host(world: &World) -> anyhow::Result<()> {
    let root = world.repository("u/root")?;
    package(&root, "", Some("github.com/u/root"), "root 1.0.0")?;
    root.commit("one")?;
    root.tag("v1.0.0")?;
    package(&root, "", Some("github.com/u/root"), "root later")?;
    root.commit("later")?;

    let mono = world.repository("u/mono")?;
    mono.write("LICENSE", "do as you like\n")?;
    package(&mono, "sub", Some("github.com/u/mono/sub"), "sub 1.2.0")?;
    package(&mono, "nested/v2", Some("github.com/u/mono/nested/v2"), "nested 2.1.0")?;
    mono.commit("both")?;
    mono.tag("sub/v1.2.0")?;
    mono.annotate("nested/v2.1.0")?;

    let major = world.repository("u/Major")?;
    package(&major, "", Some("github.com/u/Major/v2"), "major 2.0.0")?;
    major.commit("two")?;
    major.tag("v2.0.0")?;

    let old = world.repository("u/old")?;
    package(&old, "", None, "old 3.0.0")?;
    old.commit("no go.mod")?;
    old.tag("v3.0.0")?;

    // What gopkg.in shows of go-yaml/yaml: the same tags under each name, HEAD at the best of its
    // major version.
    for (name, version) in [("yaml.v2", "v2.1.0"), ("yaml.v3", "v3.0.1")] {
        let front = world.repository(&format!("gopkg.in/{name}"))?;
        package(&front, "", None, "yaml 1.0.0")?;
        front.commit("one")?;
        front.tag("v1.0.0")?;
        for (version, module) in [("v2.1.0", "gopkg.in/yaml.v2"), ("v3.0.1", "gopkg.in/yaml.v3")] {
            package(&front, "", Some(module), &format!("yaml {version}"))?;
            front.commit(version)?;
            front.tag(version)?;
        }
        front.git(&["checkout", "--quiet", "--detach", version])?;
    }
    Ok(())
}

/// The pages of a gopkg.in of our own.
fn front() -> anyhow::Result<FakeUpstream> {
    let mut pages = Modules::new();
    for name in ["yaml.v2", "yaml.v3"] {
        let page = format!(
            "<html><head>\n<meta name=\"go-import\" content=\"gopkg.in/{name} git https://gopkg.in/{name}\">\n</head></html>\n"
        );
        // larder is told to read it here; `go` has it for its proxy.
        pages.raw(&format!("/gopkg.in/{name}?go-get=1"), page.clone());
        pages.raw(&format!("http://gopkg.in/{name}?go-get=1"), page);
    }
    FakeUpstream::start(pages)
}

const FORMS: [(&str, &str); 7] = [
    ("github.com/u/root", "main"),
    ("github.com/u/mono/sub", "v1.2.0"),
    ("github.com/u/mono/nested/v2", "v2.1.0"),
    ("github.com/u/Major/v2", "v2.0.0"),
    ("github.com/u/old", "v3.0.0+incompatible"),
    ("gopkg.in/yaml.v2", "v2.1.0"),
    ("gopkg.in/yaml.v3", "v3.0.1"),
];

#[test]
fn what_go_in_direct_mode_summed_builds_through_larder() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    // Nothing but git on PATH: no `go`, no shell.
    let programs = world.path("programs");
    std::fs::create_dir(&programs)?;
    let git = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("git"))
        .find(|git| git.exists())
        .expect("git is on PATH");
    std::os::unix::fs::symlink(git, programs.join("git"))?;
    let pages = front()?;
    let settings = world
        .settings()
        .with("PATH", &programs.display().to_string())
        .with("LARDER_DIRECT_DISCOVERY_REWRITE", &format!("https://={}/", pages.url()));
    let larder = Larder::start(&settings)?;
    let packages: Vec<&str> = FORMS.iter().map(|(path, _)| *path).collect();
    for go in Go::all()? {
        let direct = world
            .client(&go, &format!("direct-{}", go.version()), "direct")?
            .with("GOINSECURE", "gopkg.in")
            .with("HTTP_PROXY", &pages.url())
            .with("HTTPS_PROXY", &pages.url());
        let project = direct.project(&[])?;
        project.imports(&packages)?;
        let wanted: Vec<String> =
            FORMS.iter().map(|(path, query)| format!("{path}@{query}")).collect();
        let mut get = vec!["get"];
        get.extend(wanted.iter().map(String::as_str));
        project.go(&get)?;
        let printed = project.build_and_run()?;

        let through = world.client(&go, &format!("larder-{}", go.version()), larder.url())?;
        let copy = through.project(&[])?;
        for name in ["go.mod", "go.sum", "main.go"] {
            std::fs::copy(project.folder().join(name), copy.folder().join(name))?;
        }
        assert_eq!(copy.build_and_run()?, printed, "{}", go.version());
        let sums = |folder: &Path| std::fs::read_to_string(folder.join("go.sum"));
        assert_eq!(sums(copy.folder())?, sums(project.folder())?, "{}", go.version());
    }
    Ok(())
}

#[test]
fn a_tag_that_moves_changes_nothing_and_is_told() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let larder = Larder::start(&world.settings())?;
    let zip = larder.get("/github.com/u/root/@v/v1.0.0.zip")?;
    assert_eq!(zip.status, 200, "{}", zip.text());
    let info = larder.get("/github.com/u/root/@v/v1.0.0.info")?.text();
    let root = GitRepo::reopen(world.path("hosted/u/root"));
    root.git(&["tag", "--force", "v1.0.0", "main"])?;
    // The list is one look at the refs, and old.
    larder.get("/github.com/u/root/@v/list")?;
    let told = e2e::becomes_true(|| {
        let metrics = larder.get("/metrics").map(|answer| answer.text()).unwrap_or_default();
        metrics.contains("larder_origin_drift_total 1")
    });
    assert!(told, "{}", larder.log());
    assert_eq!(larder.get("/github.com/u/root/@v/v1.0.0.info")?.text(), info);
    assert_eq!(larder.get("/github.com/u/root/@v/v1.0.0.mod")?.status, 200);
    larder.stop()?;
    let again = Larder::start(&world.settings())?;
    let same = again.get("/github.com/u/root/@v/v1.0.0.zip")?;
    assert_eq!(same.body, zip.body);
    Ok(())
}

#[test]
fn a_version_is_one_commit_whatever_was_asked_for_first() -> anyhow::Result<()> {
    for first in ["v1.0.0.mod", "v1.0.0.info"] {
        let world = World::new()?;
        host(&world)?;
        let larder = Larder::start(&world.settings())?;
        assert_eq!(larder.get(&format!("/github.com/u/root/@v/{first}"))?.status, 200);
        // What names the commit is fetched beside.
        let named = e2e::becomes_true(|| {
            let info = larder.get("/cached-only/github.com/u/root/@v/v1.0.0.info");
            info.is_ok_and(|info| info.status == 200)
        });
        assert!(named, "{first}");
        larder.stop()?;
        let root = GitRepo::reopen(world.path("hosted/u/root"));
        root.git(&["tag", "--force", "v1.0.0", "main"])?;
        let larder = Larder::start(&world.settings())?;
        // The branch is the tag's new commit, which is not what the version was.
        let main = larder.get("/github.com/u/root/@v/main.info")?;
        assert_eq!(main.status, 502, "{}", main.text());
        assert!(main.text().contains("moved"), "{}", main.text());
        let zip = larder.get("/github.com/u/root/@v/v1.0.0.zip")?;
        assert_eq!(zip.status, 200, "{}", zip.text());
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip.body))?;
        let mut text = String::new();
        archive.by_name("github.com/u/root@v1.0.0/p.go")?.read_to_string(&mut text)?;
        assert!(text.contains("root 1.0.0"), "{first}: {text}");
    }
    Ok(())
}

#[test]
fn a_public_alias_of_a_private_repository_gets_no_credential() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let server = testkit::GitServer::start(world.path("hosted"))?;
    let settings = world
        .settings()
        .with("LARDER_VCS_REWRITE", &format!("https://github.com/={}/", server.url()))
        .with("GOPRIVATE", "github.com/u")
        .with("LARDER_DIRECT_CREDENTIAL_X_URL", "github.com")
        .with("LARDER_DIRECT_CREDENTIAL_X_HEADER", "Bearer s3cret");
    let larder = Larder::start(&settings)?;
    let sent = || {
        let seen = server.seen();
        seen.iter().filter(|request| request.header("authorization").is_some()).count()
    };
    assert_eq!(larder.get("/github.com/u/root/@v/list")?.status, 200);
    let private = sent();
    assert!(private > 0, "a private path is fetched with it");
    larder.get("/github.com/!u/root/@v/list")?;
    assert_eq!(sent(), private, "{:?}", server.seen());
    Ok(())
}

#[test]
fn without_git_direct_is_absent_and_said_once() -> anyhow::Result<()> {
    let world = World::new()?;
    let settings = world.settings().with("LARDER_VCS_PROGRAM", "/no/git");
    let larder = Larder::start(&settings)?;
    for _ in 0..2 {
        let answer = larder.get("/github.com/u/root/@v/list")?;
        assert_eq!(answer.status, 501, "{}", answer.text());
        assert!(answer.text().contains("git"), "{}", answer.text());
    }
    assert_eq!(larder.log().matches("no git").count(), 1, "{}", larder.log());
    let metrics = larder.get("/metrics")?.text();
    assert!(metrics.contains("larder_degraded{reason=\"no_git\"} 1"), "{metrics}");
    Ok(())
}
