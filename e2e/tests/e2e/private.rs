//! Private names: who is asked about them, and who is told.

use std::cell::Cell;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use e2e::{Go, Larder, Settings};
use testkit::{FakeSumdb, FakeUpstream, ModuleVersion, Modules, Request};

use super::direct::{World, host};

/// Private repositories, and a public world that writes down what it is asked.
struct Leaks {
    world: World,
    upstream: FakeUpstream,
    sumdb: FakeSumdb,
    /// How often something public was looked up: a record that is kept is not asked for again.
    asked: Cell<u32>,
}

const NAME: &str = "sum.example.com/db";
/// More than any test looks up.
const PUBLIC_VERSIONS: u32 = 20;

/// All that is on github.com, so that every prefix of a private path is private, too.
const PRIVATE: &str = "github.com";

impl Leaks {
    fn new() -> anyhow::Result<Self> {
        let world = World::new()?;
        host(&world)?;
        let mut modules = Modules::new();
        for minor in 0..PUBLIC_VERSIONS {
            modules.add(&ModuleVersion::new("example.com/a", &format!("v1.{minor}.0")));
        }
        let sumdb = FakeSumdb::start(NAME)?;
        sumdb.add_modules(&modules);
        let asked = Cell::default();
        Ok(Self { world, upstream: FakeUpstream::start(modules)?, sumdb, asked })
    }

    fn settings(&self) -> Settings {
        let database = format!("{} {}", self.sumdb.key(), self.sumdb.url());
        self.world
            .settings()
            .with("LARDER_UPSTREAM_PROXIES", &format!("{},direct", self.upstream.url()))
            .with("LARDER_SUMDB_DATABASES", &database)
            .with("GOPRIVATE", PRIVATE)
    }

    /// What the public world has heard of private names.
    fn heard(&self) -> Vec<String> {
        let seen = self.upstream.seen().into_iter().chain(self.sumdb.requests());
        let text = |seen: &testkit::Seen| format!("{} {:?}", seen.path, seen.headers);
        seen.map(|seen| text(&seen)).filter(|text| text.contains(PRIVATE)).collect()
    }

    /// Asks what is public, which both recorders must see: else their silence proves nothing.
    fn public_names_do_arrive(&self, larder: &Larder) -> anyhow::Result<()> {
        let before = (self.upstream.calls("/example.com/*"), self.sumdb.calls("/lookup/*"));
        assert_eq!(larder.get("/example.com/a/@v/list")?.status, 200);
        let minor = self.asked.replace(self.asked.get() + 1);
        let lookup = format!("/sumdb/{NAME}/lookup/example.com/a@v1.{minor}.0");
        let found = larder.get(&lookup)?;
        assert_eq!(found.status, 200, "{}", found.text());
        let after = (self.upstream.calls("/example.com/*"), self.sumdb.calls("/lookup/*"));
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{:?}", self.sumdb.requests());
        Ok(())
    }
}

/// What a client may ask about a module, each in its own way to a source.
const ROUTES: [&str; 7] = [
    "@v/list",
    "@latest",
    "@v/v1.0.0.info",
    "@v/v1.0.0.mod",
    "@v/v1.0.0.zip",
    "@v/main.info",
    "@v/v1.info",
];

#[test]
fn private_names_never_leave() -> anyhow::Result<()> {
    let leaks = Leaks::new()?;
    let larder = Larder::start(&leaks.settings())?;
    for route in ROUTES {
        let answer = larder.get(&format!("/github.com/u/root/{route}"))?;
        assert_eq!(answer.status, 200, "{route}: {}", answer.text());
        let control = answer.header("cache-control").unwrap_or_default().to_owned();
        assert!(control.starts_with("private"), "{route}: {control}");
        // Below the module, and beside it: what a client probes for.
        for (path, known) in
            [("u/root/p", true), ("u/none", false), ("u", false), ("!u/!root", false)]
        {
            let answer = larder.get(&format!("/github.com/{path}/{route}"))?;
            assert!(known || answer.status != 200, "{path}/{route}");
        }
        larder.get(&format!("/cached-only/github.com/u/none/{route}"))?;
    }
    for looked_up in [
        "github.com/u/root@v1.0.0",
        "github.com/u/root@v1.0.0/go.mod",
        "github.com/u/!major/v2@v2.0.0",
        "github.com/u/none@v0.0.0-20240506070809-abcdefabcdef",
        "GitHub.com/u/root@v1.0.0",
        "github.com%2fu%2froot@v1.0.0",
    ] {
        let path = format!("/sumdb/{NAME}/lookup/{looked_up}");
        let answer = larder.get(&path)?;
        assert!((400..500).contains(&answer.status), "{looked_up}: {}", answer.status);
    }
    let known = larder.get(&format!("/sumdb/{NAME}/lookup/github.com/u/root@v1.0.0"))?;
    assert_eq!(known.status, 403, "{}", known.text());
    assert!(known.text().contains("GONOSUMDB=github.com/u/root"), "{}", known.text());
    assert_eq!(leaks.heard(), [""; 0]);
    leaks.public_names_do_arrive(&larder)?;
    let metrics = larder.get("/metrics")?.text();
    assert!(!metrics.contains("github.com/u"), "{metrics}");
    Ok(())
}

#[test]
fn a_restart_and_a_second_look_tell_nobody_either() -> anyhow::Result<()> {
    let leaks = Leaks::new()?;
    let settings = leaks.settings().with("LARDER_PROXY_LIST_FRESH", "1ms");
    for _ in 0..2 {
        let larder = Larder::start(&settings)?;
        for _ in 0..2 {
            for route in ROUTES {
                let answer = larder.get(&format!("/github.com/u/root/{route}"))?;
                assert_eq!(answer.status, 200, "{route}: {}", answer.text());
            }
        }
        leaks.public_names_do_arrive(&larder)?;
        larder.stop()?;
        settings.fsck()?;
    }
    assert_eq!(leaks.heard(), [""; 0]);
    Ok(())
}

#[test]
fn a_project_with_private_imports_tells_nobody() -> anyhow::Result<()> {
    let leaks = Leaks::new()?;
    let larder = Larder::start(&leaks.settings())?;
    for go in Go::all()? {
        let user = |name: &str, no_sumdb: &str| {
            let home = format!("{name}-{}", go.version());
            let user = leaks.world.client(&go, &home, larder.url())?;
            anyhow::Ok(
                user.with("GOSUMDB", &leaks.sumdb.key().to_string()).with("GONOSUMDB", no_sumdb),
            )
        };
        let told = user("told", PRIVATE)?;
        let project = told.project(&[])?;
        let private = ["github.com/u/root", "github.com/u/mono/sub", "github.com/u/Major/v2"];
        project.imports(&[&private[..], &["example.com/a"]].concat())?;
        project.go(&["get", "github.com/u/mono/sub@latest"])?;
        project.go(&["mod", "tidy"])?;
        project.go(&[&["list", "-m", "-u", "-versions"], &private[..]].concat())?;
        let printed = project.build_and_run()?;
        assert!(printed.contains("root 1.0.0") && printed.contains("v1."), "{printed}");
        // The public module's record came from the database, by way of larder.
        let looked_up = leaks.sumdb.calls("/lookup/example.com/a@*");
        assert!(looked_up > 0, "{:?}", leaks.sumdb.requests());
        // A user who has not said that they are private is told so by larder, and nobody hears it.
        let untold = user("untold", "")?.project(&[])?;
        let Err(error) = untold.go(&["get", "github.com/u/root@v1.0.0"]) else {
            anyhow::bail!("{}: it was looked up", go.version())
        };
        assert!(error.to_string().contains("GONOSUMDB=github.com/u/root"), "{error}");
        assert_eq!(leaks.heard(), [""; 0], "{}", go.version());
    }
    Ok(())
}

/// One way by which a stranger reaches larder.
struct Stranger {
    url: String,
    forwarded_for: Option<&'static str>,
}

impl Stranger {
    /// By the machine's own address, or, on a machine without one, through a trusted proxy.
    fn of(larder: &Larder) -> Self {
        if let Some(address) = e2e::own_address() {
            return Self { url: larder.url_at(address), forwarded_for: None };
        }
        let said = "no address but loopback: asked by X-Forwarded-For of a trusted proxy instead";
        let _ = writeln!(std::io::stdout(), "{said}");
        Self { url: larder.url().to_owned(), forwarded_for: Some("203.0.113.9") }
    }

    fn get(&self, path: &str) -> anyhow::Result<testkit::Response> {
        let request = Request::new("GET", &format!("{}{path}", self.url));
        match self.forwarded_for {
            Some(client) => request.header("X-Forwarded-For", client).send(),
            None => request.send(),
        }
    }
}

fn open_to_all(world: &World) -> Settings {
    world
        .settings()
        .listen(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        .with("LARDER_SERVER_TRUSTED_PROXIES", "127.0.0.0/8")
        .with("GOPRIVATE", "github.com/u,*.hush.example")
}

#[test]
fn a_stranger_is_told_what_is_missing_and_nothing_else() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let larder = Larder::start(&open_to_all(&world))?;
    let stranger = Stranger::of(&larder);
    // Before and after somebody who may has had it fetched.
    for _ in 0..2 {
        for route in ROUTES {
            let path = format!("/github.com/u/root/{route}");
            for refused in [
                stranger.get(&path)?,
                larder.request("GET", &path).header("X-Forwarded-For", "203.0.113.9").send()?,
            ] {
                let text = refused.text();
                assert_eq!(refused.status, 403, "{route}: {text}");
                assert!(text.contains("private.readers = \"anyone\""), "{route}: {text}");
                assert!(text.contains("loopback"), "{route}: {text}");
                assert!(!text.contains("hush") && !text.contains("\"github.com/u\""), "{text}");
                assert_eq!(refused.header("cache-control"), Some("no-store"), "{route}");
            }
            let absent = stranger.get(&format!("/github.com/u/none/{route}"))?;
            assert_eq!(absent.status, 403, "that it is not there is not told either: {route}");
            let known = larder.get(&path)?;
            assert_eq!(known.status, 200, "{route}: {}", known.text());
        }
    }
    Ok(())
}

#[test]
fn whoever_may_read_is_served_at_every_address() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let settings = open_to_all(&world).with("LARDER_PRIVATE_READERS", "anyone");
    let larder = Larder::start(&settings)?;
    let stranger = Stranger::of(&larder);
    for route in ROUTES {
        let answer = stranger.get(&format!("/github.com/u/root/{route}"))?;
        assert_eq!(answer.status, 200, "{route}: {}", answer.text());
        let control = answer.header("cache-control").unwrap_or_default();
        assert!(control.starts_with("private"), "{route}: {control}");
    }
    Ok(())
}
