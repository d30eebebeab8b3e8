//! Our own log: one database over private and public modules, for the unmodified `go` command.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Client, Go, Larder, Settings};
use testkit::{Behaviour, FakeSumdb, FakeUpstream, ModuleVersion, Modules};

use super::direct::{World, host, package};

pub(crate) const NAME: &str = "sum.corp.example/go";
const PUBLIC: &str = "sum.example.com/db";

/// Private repositories, a public proxy, and a public database below it.
pub(crate) struct Company {
    pub(crate) world: World,
    pub(crate) upstream: FakeUpstream,
    pub(crate) sumdb: FakeSumdb,
    pub(crate) settings: Settings,
    /// What clients set GOSUMDB to.
    pub(crate) key: String,
}

impl Company {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let world = World::new()?;
        host(&world)?;
        let mut modules = Modules::new();
        for (path, version) in [
            ("example.com/a", "v1.0.0"),
            ("example.com/Upper", "v1.2.0"),
            ("example.com/b", "v1.0.0"),
        ] {
            modules.add(&ModuleVersion::new(path, version));
        }
        let upstream = FakeUpstream::start(modules.clone())?;
        let sumdb = FakeSumdb::start(PUBLIC)?;
        sumdb.fill(300);
        sumdb.add_modules(&modules);
        sumdb.mount(&upstream);
        let settings = world
            .settings()
            .with("LARDER_UPSTREAM_PROXIES", &upstream.url())
            .with("LARDER_POLICY_PRIVATE", "github.com,gopkg.in")
            .confirmed_by(&sumdb);
        let key = settings.run("sumdb init", &[NAME])?;
        let key = key.lines().find(|line| line.starts_with(NAME)).context("no key")?.to_owned();
        Ok(Self { world, upstream, sumdb, settings, key })
    }

    /// A user with nothing cached who sets what `larder sumdb setup` prints, and no more.
    pub(crate) fn user(&self, go: &Go, home: &str, larder: &Larder) -> anyhow::Result<Client> {
        let client = self.world.client(go, home, larder.url())?;
        Ok(client
            .with("GOSUMDB", &self.key)
            .with("GONOSUMDB", "")
            .with("GOFLAGS", "-mod=mod -modcacherw")
            // Whatever `go` would fetch past larder fails.
            .with("GIT_CONFIG_GLOBAL", "/dev/null"))
    }

    /// The public world is gone.
    fn cut_off(&self) {
        self.upstream.behave("*", Behaviour::new().status(503));
        self.sumdb.behave("*", Behaviour::new().status(503));
    }

    /// What the public world has heard of private names.
    pub(crate) fn heard(&self) -> Vec<String> {
        let seen = self.upstream.seen().into_iter().chain(self.sumdb.requests());
        let private = |path: &String| path.contains("github.com") || path.contains("gopkg.in");
        seen.map(|seen| seen.path).filter(private).collect()
    }
}

const PRIVATE: [&str; 4] =
    ["github.com/u/root", "github.com/u/mono/sub", "github.com/u/Major/v2", "github.com/u/old"];

fn build(user: &Client) -> anyhow::Result<String> {
    let project = user.project(&[])?;
    let public = ["example.com/a", "example.com/Upper"];
    project.imports(&[&PRIVATE[..], &public[..]].concat())?;
    for module in PRIVATE {
        project.go(&["get", &format!("{module}@latest")])?;
    }
    project.go(&["mod", "tidy"])?;
    project.build_and_run()
}

#[test]
fn one_database_covers_public_and_private_modules() -> anyhow::Result<()> {
    let company = Company::new()?;
    for go in Go::all()? {
        let larder = Larder::start(&company.settings)?;
        let printed = build(&company.user(&go, &format!("first-{}", go.version()), &larder)?)?;
        ensure!(printed.contains("root 1.0.0") && printed.contains("v1.2.0"), "{printed}");
        assert_eq!(company.heard(), [""; 0], "{}", go.version());
        company.cut_off();
        let again = build(&company.user(&go, &format!("again-{}", go.version()), &larder)?)?;
        assert_eq!(again, printed, "{}", go.version());
        larder.stop()?;
        let larder = Larder::start(&company.settings)?;
        let after = build(&company.user(&go, &format!("after-{}", go.version()), &larder)?)?;
        assert_eq!(after, printed, "{}", go.version());
        larder.stop()?;
        let verified = company.settings.run("verify", &[])?;
        ensure!(verified.contains(" 0 exempt, 0 unconfirmed, 0 bad"), "{verified}");
        company.upstream.behave_well();
        company.sumdb.be_honest();
    }
    Ok(())
}

#[test]
fn a_private_version_that_changes_after_its_first_use_is_refused() -> anyhow::Result<()> {
    let company = Company::new()?;
    let go = Go::all()?.remove(0);
    let larder = Larder::start(&company.settings)?;
    let user = company.user(&go, "first", &larder)?;
    let project = user.project(&[("github.com/u/root", "v1.0.0")])?;
    project.build_and_run()?;
    larder.stop()?;
    // Somebody with access to repository and data folder rewrites history.
    let root = testkit::GitRepo::reopen(company.world.path("hosted").join("u/root"));
    package(&root, "", Some("github.com/u/root"), "root rewritten")?;
    root.commit("rewritten")?;
    root.git(&["tag", "--force", "v1.0.0"])?;
    let data = company.settings.data();
    for folder in ["modules/github.com/u/root", "facts/github.com/u/root", "git"] {
        fs::remove_dir_all(data.join(folder)).with_context(|| folder.to_owned())?;
    }
    let larder = Larder::start(&company.settings)?;
    let other = company.user(&go, "second", &larder)?;
    let error = other.project(&[("github.com/u/root", "v1.0.0")])?.build_and_run().unwrap_err();
    ensure!(error.to_string().contains(NAME), "{error}");
    ensure!(larder.log().contains("nobody gets it"), "{}", larder.log());
    // What was recorded first stays: the old bytes would be believed, the new ones never are.
    let lookup = larder.get(&format!("/sumdb/{NAME}/lookup/github.com/u/root@v1.0.0"))?;
    assert_eq!(lookup.status, 200);
    Ok(())
}

#[test]
fn a_client_that_is_lied_to_says_so() -> anyhow::Result<()> {
    let company = Company::new()?;
    for go in Go::all()? {
        let larder = Larder::start(&company.settings)?;
        let user = company.user(&go, &format!("honest-{}", go.version()), &larder)?;
        user.project(&[("github.com/u/root", "v1.0.0")])?.build_and_run()?;
        larder.stop()?;
        // Whoever can write to the data folder changes bytes, and lets the facts call them recorded;
        // but has no key.
        let folder = company.settings.data().join("modules/github.com/u/root/@v");
        let file = folder.join("v1.0.0.mod");
        let honest = fs::read(&file)?;
        fs::write(&file, "module github.com/u/root\n\ngo 1.20\n")?;
        let larder = Larder::start(&company.settings)?;
        let user = company.user(&go, &format!("lied-{}", go.version()), &larder)?;
        let project = user.project(&[("github.com/u/root", "v1.0.0")])?;
        let error = project.build_and_run().unwrap_err().to_string();
        ensure!(error.contains("SECURITY ERROR"), "{}: {error}", go.version());
        larder.stop()?;
        fs::write(&file, honest)?;
    }
    Ok(())
}

#[test]
fn the_log_is_read_as_go_and_as_witnesses_read_it() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    let lookup = |module: &str| larder.get(&format!("/sumdb/{NAME}/lookup/{module}"));
    assert_eq!(lookup("github.com/u/root@v1.0.0")?.status, 200);
    assert_eq!(lookup("github.com/u/!major/v2@v2.0.0")?.status, 200);
    let public = lookup("example.com/a@v1.0.0")?;
    let original = larder.get(&format!("/sumdb/{PUBLIC}/lookup/example.com/a@v1.0.0"))?;
    let record = |text: &str| text.lines().skip(1).take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(record(&public.text()), record(&original.text()));
    assert_eq!(lookup("github.com/u/root@v1.9.0")?.status, 404);
    assert_eq!(lookup("github.com/u/root@v9.0.0")?.status, 400, "no version of that path");
    assert_eq!(lookup("github.com/u/none@v1.0.0")?.status / 100, 5);
    assert_eq!(lookup("example.com/none@v1.0.0")?.status, 503);
    for path in ["supported", "latest", "checkpoint", "tile/8/0/000.p/3", "tile/0/000.p/3"] {
        let answer = larder.get(&format!("/sumdb/{NAME}/{path}"))?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for path in ["tile/8/data/000.p/3", "tile/entries/000.p/3"] {
        let answer = larder.get(&format!("/sumdb/{NAME}/{path}"))?;
        ensure!(answer.text().contains("github.com/u/root v1.0.0 h1:"), "{path}");
        let control = answer.header("cache-control").unwrap_or_default();
        ensure!(control.starts_with("private"), "{path}: {control}");
        let far = larder.request("GET", &format!("/sumdb/{NAME}/{path}"));
        let far = far.header("X-Forwarded-For", "192.0.2.1").send()?;
        assert_eq!(far.status, 403, "{path}");
    }
    let far = larder.request("GET", &format!("/sumdb/{NAME}/lookup/github.com/u/root@v1.0.0"));
    assert_eq!(far.header("X-Forwarded-For", "192.0.2.1").send()?.status, 403);
    Ok(())
}

#[test]
fn without_the_key_new_private_versions_wait_and_everything_else_goes_on() -> anyhow::Result<()> {
    let company = Company::new()?;
    let go = Go::all()?.remove(0);
    let larder = Larder::start(&company.settings)?;
    let user = company.user(&go, "first", &larder)?;
    user.project(&[("github.com/u/root", "v1.0.0")])?.build_and_run()?;
    larder.stop()?;
    let key = company.settings.data().join("keys/sumdb");
    let aside = company.world.path("key");
    fs::rename(&key, &aside)?;
    let larder = Larder::start(&company.settings)?;
    let user = company.user(&go, "second", &larder)?;
    user.project(&[("github.com/u/root", "v1.0.0")])?.build_and_run()?;
    assert_eq!(larder.get("/example.com/a/@v/v1.0.0.zip")?.status, 200);
    let refused = larder.get("/github.com/u/mono/sub/@v/v1.2.0.zip")?;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let ready = larder.get("/readyz")?;
    ensure!(ready.status == 200 && ready.text().contains("frozen"), "{}", ready.text());
    larder.stop()?;
    fs::rename(&aside, &key)?;
    let larder = Larder::start(&company.settings)?;
    assert_eq!(larder.get("/github.com/u/mono/sub/@v/v1.2.0.zip")?.status, 200);
    Ok(())
}

#[test]
fn a_recorded_name_stays_private_when_its_pattern_is_gone() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    let lookup =
        |larder: &Larder, module: &str| larder.get(&format!("/sumdb/{NAME}/lookup/{module}"));
    assert_eq!(lookup(&larder, "github.com/u/root@v1.0.0")?.status, 200);
    assert_eq!(lookup(&larder, "example.com/a@v1.0.0")?.status, 200);
    for asked in ["github.com/u/root@main", "nonsense"] {
        assert_eq!(lookup(&larder, asked)?.status, 400, "{asked}");
    }
    larder.stop()?;
    // Somebody takes the name, on the public proxy and in the public database.
    let squatted =
        ModuleVersion::new("github.com/u/root", "v1.0.1").file("evil.go", "package evil\n");
    company.upstream.change(|modules| modules.add(&squatted));
    company.sumdb.add_modules(&company.upstream.modules());
    let proxies = format!("{},direct", company.upstream.url());
    let open = company.settings.clone().with("LARDER_UPSTREAM_PROXIES", &proxies);
    let open = open.with("LARDER_POLICY_PRIVATE", "");
    let larder = Larder::start(&open)?;
    for suffix in ["info", "mod", "zip"] {
        let answer = larder.get(&format!("/github.com/u/root/@v/v1.0.1.{suffix}"))?;
        assert_eq!(answer.status, 404, "{suffix}: {}", answer.text());
    }
    for asked in ["github.com/u/root@v1.0.1", "github.com/u/root/v2@v2.0.0"] {
        let answer = lookup(&larder, asked)?;
        ensure!(answer.status != 200, "{asked}: {}", answer.text());
    }
    for path in [
        format!("/sumdb/{NAME}/lookup/github.com/u/root@v1.0.0"),
        "/github.com/u/root/@v/list".into(),
    ] {
        let far = larder.request("GET", &path).header("X-Forwarded-For", "192.0.2.1").send()?;
        assert_eq!(far.status, 403, "{path}");
        ensure!(far.text().contains("recorded in our own log"), "{}", far.text());
    }
    assert_eq!(larder.get("/github.com/u/root/@v/v1.0.0.zip")?.status, 200);
    assert_eq!(company.heard(), [""; 0]);
    larder.stop()?;
    let verified = open.run("verify", &[])?;
    ensure!(verified.contains(" 0 unconfirmed, 0 bad"), "{verified}");
    // The reverse: what was recorded as public is not private by a pattern.
    let all = company.settings.clone().with("LARDER_POLICY_PRIVATE", "github.com,example.com");
    let larder = Larder::start(&all)?;
    let bound = larder.get("/example.com/a/@v/v1.0.0.zip")?;
    ensure!(bound.status == 403 && bound.text().contains("take it out"), "{}", bound.text());
    Ok(())
}

#[test]
fn a_pattern_that_is_added_by_mistake_and_taken_back_leaves_nothing_behind() -> anyhow::Result<()> {
    let company = Company::new()?;
    // The module is public; its repository has other content by now.
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("github.com/u/root", "v0.9.0"));
    modules.add(&ModuleVersion::new("github.com/u/root", "v1.0.0"));
    company.sumdb.add_modules(&modules);
    let proxy = FakeUpstream::start(modules)?;
    let proxies = format!("{},{}", proxy.url(), company.upstream.url());
    let mistaken = company.settings.clone().with("LARDER_UPSTREAM_PROXIES", &proxies);
    let open = mistaken.clone().with("LARDER_POLICY_PRIVATE", "gopkg.in");
    let larder = Larder::start(&open)?;
    let lookup = format!("/sumdb/{NAME}/lookup/github.com/u/root@");
    assert_eq!(larder.get(&format!("{lookup}v0.9.0"))?.status, 200);
    larder.stop()?;
    let larder = Larder::start(&mistaken)?;
    for suffix in ["zip", "mod"] {
        let refused = larder.get(&format!("/github.com/u/root/@v/v1.0.0.{suffix}"))?;
        assert_eq!(refused.status, 403, "{suffix}: {}", refused.text());
    }
    larder.stop()?;
    let larder = Larder::start(&open)?;
    let go = Go::all()?.remove(0);
    let user = company.user(&go, "taken-back", &larder)?;
    user.project(&[("github.com/u/root", "v1.0.0")])?.build_and_run()?;
    assert_eq!(proxy.calls("*/root/@v/v1.0.0.zip"), 1);
    Ok(())
}

#[test]
fn a_store_from_before_the_log_is_recorded() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let settings = world.settings().with("LARDER_POLICY_PRIVATE", "github.com");
    let larder = Larder::start(&settings)?;
    for suffix in ["info", "mod", "zip"] {
        assert_eq!(larder.get(&format!("/github.com/u/root/@v/v1.0.0.{suffix}"))?.status, 200);
    }
    larder.stop()?;
    settings.run("sumdb init", &[NAME])?;
    let larder = Larder::start(&settings)?;
    let logged = e2e::becomes_true(|| {
        std::thread::sleep(Duration::from_millis(200));
        settings.run("sumdb head", &[]).is_ok_and(|head| head.contains("1 records, our own"))
    });
    ensure!(logged, "{}", larder.log());
    Ok(())
}

/// The drill of docs/own-log.md: an old state over a newer store, and a state that is lost.
#[test]
fn a_state_from_a_backup_freezes_the_log_until_it_is_recovered() -> anyhow::Result<()> {
    let company = Company::new()?;
    let data = company.settings.data().to_owned();
    let state = data.join("state.sqlite");
    let backup = company.world.path("state.backup");
    let lookup =
        |larder: &Larder, module: &str| larder.get(&format!("/sumdb/{NAME}/lookup/{module}"));
    let larder = Larder::start(&company.settings)?;
    assert_eq!(lookup(&larder, "github.com/u/root@v1.0.0")?.status, 200);
    larder.stop()?;
    fs::copy(&state, &backup)?;
    let larder = Larder::start(&company.settings)?;
    let sub = lookup(&larder, "github.com/u/mono/sub@v1.2.0")?;
    assert_eq!(sub.status, 200);
    larder.stop()?;
    for lost in [false, true] {
        for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
            let _may_be_absent = fs::remove_file(data.join(name));
        }
        if !lost {
            fs::copy(&backup, &state)?;
        }
        let larder = Larder::start(&company.settings)?;
        for file in ["mod", "zip"] {
            let refused = larder.get(&format!("/github.com/u/!major/v2/@v/v2.0.0.{file}"))?;
            assert_eq!(refused.status, 503, "{file}, lost {lost}: {}", refused.text());
        }
        let supported = format!("/sumdb/{NAME}/supported");
        for path in ["/github.com/u/root/@v/v1.0.0.zip", &supported] {
            assert_eq!(larder.get(path)?.status, 200, "{path}, lost {lost}");
        }
        let ready = larder.get("/readyz")?.text();
        ensure!(ready.contains("log is frozen"), "lost {lost}: {ready}");
        if lost {
            assert_eq!(lookup(&larder, "github.com/u/root@v1.0.0")?.status, 503);
            assert_eq!(larder.get("/example.com/a/@v/v1.0.0.zip")?.status, 200);
        }
        larder.stop()?;
        let told = company.settings.run("sumdb recover", &[])?;
        ensure!(told.contains("the log is whole"), "{told}");
        let larder = Larder::start(&company.settings)?;
        let again = lookup(&larder, "github.com/u/mono/sub@v1.2.0")?;
        let record = |text: &str| text.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(record(&again.text()), record(&sub.text()), "its number and text stay");
        larder.stop()?;
        let verified = company.settings.run("verify", &[])?;
        ensure!(verified.contains(" 0 bad"), "{verified}");
    }
    let larder = Larder::start(&company.settings)?;
    assert_eq!(lookup(&larder, "github.com/u/!major/v2@v2.0.0")?.status, 200);
    Ok(())
}
