//! Modules that a checksum database confirms, with the real `go` command verifying too.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Client, Disk, Go, Larder, Settings};
use testkit::{Behaviour, FakeSumdb, FakeUpstream, Lie, ModuleVersion, Modules};

use super::Stage;

const NAME: &str = "sum.example.com/log";
const REQUIRES: [(&str, &str); 2] = [("example.com/Leaf", "v1.0.0"), ("example.com/old", "v1.2.0")];

fn modules() -> Modules {
    let mut modules = Modules::new();
    for (path, version) in REQUIRES {
        modules.add(&ModuleVersion::new(path, version).requires("example.com/deep", "v0.1.0"));
    }
    modules.add(&ModuleVersion::new("example.com/deep", "v0.1.0"));
    modules.add(&ModuleVersion::new("example.com/later", "v1.0.0"));
    modules
}

/// A larder that confirms what it fetches, by a database that its upstream relays.
fn stage(sumdb: &FakeSumdb) -> anyhow::Result<Stage> {
    sumdb.fill(300);
    sumdb.add_modules(&modules());
    let stage = Stage::with(modules(), |settings| settings.confirmed_by(sumdb))?;
    sumdb.mount(&stage.upstream);
    Ok(stage)
}

/// A user with nothing cached, whose `go` verifies what comes, through larder.
fn client(go: &Go, stage: &Stage, sumdb: &FakeSumdb, url: &str) -> anyhow::Result<Client> {
    let client = go.client(stage.folder.path(), url)?;
    Ok(client.with("GOSUMDB", &sumdb.key().to_string()).with("GOFLAGS", "-mod=mod -modcacherw"))
}

#[test]
fn what_was_confirmed_builds_again_without_upstream_and_database() -> anyhow::Result<()> {
    for go in Go::all()? {
        let sumdb = FakeSumdb::start(NAME)?;
        let mut stage = stage(&sumdb)?;
        let build = |stage: &Stage| {
            client(&go, stage, &sumdb, stage.larder.url())?.project(&REQUIRES)?.build_and_run()
        };
        let printed = build(&stage)?;
        // The database goes on; what was confirmed is proven under every later head too.
        sumdb.fill(700);
        let later = client(&go, &stage, &sumdb, stage.larder.url())?;
        later.project(&[("example.com/later", "v1.0.0")])?.build_and_run()?;
        stage.upstream.behave("*", Behaviour::new().status(503));
        sumdb.behave("*", Behaviour::new().status(503));
        let settings = stage.settings.clone();
        stage.larder = {
            let Stage { larder, .. } = &stage;
            larder.signal(e2e::Signal::TERM)?;
            e2e::becomes_true(|| settings.fsck().is_ok());
            Larder::start(&settings)?
        };
        assert_eq!(build(&stage)?, printed, "{}", go.version());
        assert!(settings.run("verify", &[])?.contains(" 0 unconfirmed, 0 bad"));
    }
    Ok(())
}

/// What the database may do, and whether a build must fail then.
const WORLDS: [(&str, Option<Lie>, bool); 10] = [
    ("another hash", Some(Lie::WrongHash), true),
    ("the record of another module", Some(Lie::OtherModule), true),
    ("hashes in the lines of the head", Some(Lie::ExtensionHashes), true),
    ("a forged tile", Some(Lie::ForgedTiles(0)), true),
    ("forged tiles", Some(Lie::ForgedTiles(1)), true),
    ("a turned bit", Some(Lie::BrokenTiles(0)), true),
    ("a bad signature", Some(Lie::BadSignature), true),
    ("an unknown signer", Some(Lie::UnknownSigner), true),
    ("a harmless line", Some(Lie::Extension), false),
    ("no partial tiles", Some(Lie::NoPartials), false),
];

#[test]
fn a_database_that_lies_gets_nothing_published() -> anyhow::Result<()> {
    for go in Go::all()? {
        for (world, lie, fails) in WORLDS {
            let sumdb = FakeSumdb::start(NAME)?;
            let stage = stage(&sumdb)?;
            if let Some(lie) = lie {
                sumdb.lie(lie);
            }
            let build = || {
                client(&go, &stage, &sumdb, stage.larder.url())?.project(&REQUIRES)?.build_and_run()
            };
            let name = format!("{world}, {}", go.version());
            match build() {
                Ok(_) => ensure!(!fails, "{name}: it was built"),
                Err(error) => ensure!(fails, "{name}: {error}"),
            }
            let listed = stage.settings.data().join("modules");
            let zips = count(&listed, "zip");
            ensure!((zips == 0) == fails, "{name}: {zips} zips are stored");
            sumdb.be_honest();
            std::thread::sleep(Duration::from_millis(1100));
            build().context(name)?;
        }
    }
    Ok(())
}

fn count(folder: &std::path::Path, extension: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |path: std::path::PathBuf| {
        let matches = path.extension().is_some_and(|found| found == extension);
        if path.is_dir() { count(&path, extension) } else { usize::from(matches) }
    };
    entries.flatten().map(|entry| of(entry.path())).sum()
}

#[test]
fn a_database_that_is_down_slow_or_incomplete_is_told_apart() -> anyhow::Result<()> {
    for go in Go::all()? {
        let sumdb = FakeSumdb::start(NAME)?;
        let stage = stage(&sumdb)?;
        let build =
            || client(&go, &stage, &sumdb, stage.larder.url())?.project(&REQUIRES)?.build_and_run();
        sumdb.behave("*", Behaviour::new().status(503));
        stage.upstream.behave("/sumdb/*", Behaviour::new().status(503));
        let down = build().unwrap_err().to_string();
        assert!(down.contains("503") && down.contains("checksum database"), "{down}");
        stage.upstream.behave_well();
        sumdb.be_honest();
        std::thread::sleep(Duration::from_millis(1100));
        let unknown = ModuleVersion::new("example.com/fresh", "v1.0.0");
        stage.upstream.change(|modules| modules.add(&unknown));
        let user = client(&go, &stage, &sumdb, stage.larder.url())?;
        let fresh = user.project(&[("example.com/fresh", "v1.0.0")])?;
        let missing = fresh.build_and_run().unwrap_err().to_string();
        assert!(missing.contains("add it to private"), "{missing}");
        stage.upstream.behave("/sumdb/*", Behaviour::new().delay(Duration::from_millis(400)));
        build()?;
    }
    Ok(())
}

#[test]
fn a_fork_stops_what_is_new_and_nothing_that_is_stored() -> anyhow::Result<()> {
    for go in Go::all()? {
        let sumdb = FakeSumdb::start(NAME)?;
        let stage = stage(&sumdb)?;
        let user = || client(&go, &stage, &sumdb, stage.larder.url());
        let printed = user()?.project(&REQUIRES)?.build_and_run()?;
        sumdb.fork(200);
        sumdb.fill(900);
        let new = user()?.project(&[("example.com/later", "v1.0.0")])?;
        assert!(new.build_and_run().is_err());
        assert_eq!(user()?.project(&REQUIRES)?.build_and_run()?, printed);
        let ready = stage.larder.get("/readyz")?;
        assert!(ready.status == 200 && ready.text().contains("contradicted itself"));
        let head = stage.settings.run("sumdb head", &[])?;
        assert!(head.contains("FROZEN"), "{head}");
        assert!(count(&stage.settings.data().join("evidence"), "txt") > 0, "no evidence is kept");
    }
    Ok(())
}

#[test]
fn what_is_kept_is_looked_at_by_commands() -> anyhow::Result<()> {
    let go = Go::all()?.remove(0);
    let sumdb = FakeSumdb::start(NAME)?;
    let stage = stage(&sumdb)?;
    let settings = &stage.settings;
    client(&go, &stage, &sumdb, stage.larder.url())?.project(&REQUIRES)?.build_and_run()?;
    // Beside the running server.
    let head = settings.run("sumdb head", &[])?;
    assert!(head.contains(NAME) && head.contains("go.sum database tree"), "{head}");
    let file = stage.folder.path().join("bundle");
    let bundle = file.display().to_string();
    settings.run("sumdb prove", &["example.com/Leaf@v1.0.0", "--output", &bundle])?;
    let told = settings.run("sumdb verify-bundle", &[&bundle])?;
    assert!(told.contains("example.com/Leaf v1.0.0 h1:"), "{told}");
    let text = fs::read_to_string(&file)?;
    let hash = text.find(" h1:").context("a hash")? + 6;
    let turned = if text.as_bytes().get(hash) == Some(&b'A') { "B" } else { "A" };
    fs::write(&file, format!("{}{turned}{}", &text[..hash], &text[hash + 1..]))?;
    assert!(settings.run("sumdb verify-bundle", &[&bundle]).is_err());
    assert!(settings.run("sumdb prove", &["example.com/nobody@v1.0.0"]).is_err());
    let verified = settings.run("verify", &[])?;
    assert!(verified.contains(" 0 unconfirmed, 0 bad"), "{verified}");
    let stored = settings.data().join("modules/example.com/old/@v/v1.2.0.mod");
    fs::write(&stored, "module example.com/old\n\ngo 1.99\n")?;
    let code = settings.command("verify")?.output()?.status.code();
    assert_eq!(code, Some(1));
    Ok(())
}

#[test]
fn a_state_that_cannot_be_used_costs_no_hit_and_is_told() -> anyhow::Result<()> {
    let damages: [fn(&std::path::Path) -> anyhow::Result<()>; 2] = [
        |file| Ok(fs::write(file, "no database at all ".repeat(400))?),
        // The key is the real one from now on: the head was signed by another.
        |_file| Ok(()),
    ];
    for damage in damages {
        let sumdb = FakeSumdb::start("sum.golang.org")?;
        let stage = stage(&sumdb)?;
        let go_mod = "/example.com/old/@v/v1.2.0.mod";
        ensure!(stage.larder.get(go_mod)?.status == 200);
        let settings = stage.settings.clone();
        let Stage { larder, upstream, folder, .. } = stage;
        larder.stop()?;
        damage(&settings.data().join("state.sqlite"))?;
        let settings = settings.with("LARDER_SUMDB_DATABASES", "sum.golang.org");
        let larder = Larder::start(&settings)?;
        ensure!(larder.get(go_mod)?.status == 200, "a hit");
        ensure!(larder.get("/example.com/later/@v/v1.0.0.mod")?.status == 500, "nothing new");
        let ready = larder.get("/readyz")?.text();
        ensure!(ready.contains("degraded: state_lost: "), "{ready}");
        drop((larder, upstream, folder));
    }
    Ok(())
}

#[test]
fn on_a_disk_that_cannot_be_written_to_what_was_proven_is_served_and_verified() -> anyhow::Result<()>
{
    let sumdb = FakeSumdb::start(NAME)?;
    let stage = stage(&sumdb)?;
    let lookup = format!("/sumdb/{NAME}/lookup/example.com/old@v1.2.0");
    ensure!(stage.larder.get("/example.com/old/@v/v1.2.0.mod")?.status == 200);
    let answer = stage.larder.get(&lookup)?;
    let Stage { larder, upstream, settings, folder } = stage;
    larder.stop()?;
    upstream.behave("*", Behaviour::new().status(503));
    let settings = settings.on(Disk::ReadOnly);
    let verified = settings.run("verify", &[])?;
    ensure!(verified.contains(" 1 files confirmed, 0 exempt, 0 unconfirmed, 0 bad"), "{verified}");
    settings.run("sumdb prove", &["example.com/old@v1.2.0"])?;
    let larder = Larder::start(&settings)?;
    ensure!(larder.get(&lookup)?.body == answer.body);
    drop((larder, upstream, folder));
    Ok(())
}

/// Modules that are new in each round of kills.
const MODULES: usize = 10;
const CLIENTS: usize = 4;

/// 20 rounds; `LARDER_KILLS=200` for the long run.
#[test]
fn after_a_kill_heads_only_grow_and_everything_kept_proves() -> anyhow::Result<()> {
    let rounds = std::env::var("LARDER_KILLS").map_or(Ok(20), |rounds| rounds.parse())?;
    let folder = tempfile::tempdir()?;
    let upstream = FakeUpstream::start(Modules::new())?;
    let sumdb = FakeSumdb::start(NAME)?;
    sumdb.mount(&upstream);
    sumdb.behave("*", Behaviour::new().delay(Duration::from_millis(2)));
    let data = folder.path().join("data");
    let settings = Settings::new(&data, &upstream.url()).confirmed_by(&sumdb);
    let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
    let (mut size, mut answered) = (0, Vec::new());
    for round in 0..rounds {
        upstream.change(|modules| {
            for index in 0..MODULES {
                let path = format!("example.com/round{round}/m{index}");
                modules.add(&ModuleVersion::new(&path, "v1.0.0"));
            }
        });
        sumdb.add_modules(&upstream.modules());
        sumdb.fill(round % 7 * 50);
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let larder = Larder::start(&settings)?;
        let moment = Duration::from_millis((chance >> 33) % 150);
        answered.extend(look_up_until_killed(larder, round, moment)?);
        let grown = verified_size(&settings)?;
        ensure!(grown >= size, "round {round}: the head went from {size} to {grown}");
        size = grown;
        settings.run("verify", &[]).with_context(|| format!("round {round}, {moment:?}"))?;
    }
    ensure!(!answered.is_empty(), "no round answered anything");
    upstream.behave("*", Behaviour::new().status(503));
    let larder = Larder::start(&settings)?;
    for path in &answered {
        ensure!(larder.get(path)?.status == 200, "{path} was answered, and is not any more");
    }
    Ok(())
}

/// Asks for records and go.mod files by many clients; returns the paths that were answered.
fn look_up_until_killed(
    larder: Larder,
    round: u64,
    moment: Duration,
) -> anyhow::Result<Vec<String>> {
    let paths: Vec<String> = (0..MODULES)
        .flat_map(|index| {
            let path = format!("example.com/round{round}/m{index}");
            [format!("/sumdb/{NAME}/lookup/{path}@v1.0.0"), format!("/{path}/@v/v1.0.0.mod")]
        })
        .collect();
    let (next, url) = (AtomicUsize::new(0), larder.url().to_owned());
    let ask = || {
        let mut answered = Vec::new();
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Ok(answer) = testkit::get(&format!("{url}{path}")) else { break };
            if answer.whole && answer.status == 200 && path.starts_with("/sumdb") {
                answered.push(path.clone());
            }
        }
        answered
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        std::thread::sleep(moment);
        larder.kill()?;
        Ok(clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect())
    })
}

/// The size of the newest head that was verified and kept; 0 when there is none.
fn verified_size(settings: &Settings) -> anyhow::Result<u64> {
    let output = settings.command("sumdb head")?.output()?;
    if !output.status.success() {
        return Ok(0);
    }
    let text = String::from_utf8(output.stdout)?;
    let size = text.split_once(": ").and_then(|(_, rest)| rest.split(' ').next());
    size.context("no size")?.parse().context("a size")
}
