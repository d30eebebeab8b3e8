//! SIGKILL at random moments while files are being fetched.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Larder, Settings};
use testkit::{Behaviour, FakeUpstream, ModuleVersion, Modules};

/// Modules that are new in each round; three files each.
const MODULES: usize = 12;
const CLIENTS: usize = 6;
/// Longest time from the first request to the kill.
const MAX_MILLIS: u64 = 250;

/// 20 rounds; `LARDER_KILLS=200` for the long run.
#[test]
fn after_a_kill_no_file_is_torn_and_nothing_is_left_over() -> anyhow::Result<()> {
    let rounds = std::env::var("LARDER_KILLS").map_or(Ok(20), |rounds| rounds.parse())?;
    let folder = tempfile::tempdir()?;
    let upstream = FakeUpstream::start(Modules::new())?;
    // Slow enough that a kill meets files in every state.
    upstream.behave("*.zip", Behaviour::new().throttle(2_000_000));
    let settings = Settings::new(&folder.path().join("data"), &upstream.url());
    let mut chance = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..rounds {
        upstream.change(|modules| add(modules, round));
        let larder = Larder::start(&settings)?;
        nothing_left_over(settings.data())?;
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis((chance >> 33) % MAX_MILLIS);
        kill_while_fetching(larder, &upstream.modules(), round, moment)
            .with_context(|| format!("round {round}, {moment:?}"))?;
        stored_files_are_whole(settings.data(), &upstream.modules())
            .with_context(|| format!("round {round}, {moment:?}"))?;
        settings.fsck().with_context(|| format!("round {round}, {moment:?}"))?;
    }
    upstream.behave_well();
    everything_is_served(&settings, &upstream.modules())
}

fn add(modules: &mut Modules, round: u64) {
    for index in 0..MODULES {
        let path = format!("example.com/round{round}/module{index}");
        let size = 20_000 * (index + 1);
        modules.add(&ModuleVersion::new(&path, "v1.0.0").noise("noise", size, round ^ size as u64));
    }
}

/// The files of a version that are never allowed to be anything but the upstream's.
fn is_file(path: &str) -> bool {
    ["zip", "mod", "info"]
        .iter()
        .any(|kind| Path::new(path).extension().is_some_and(|extension| extension == *kind))
}

/// Fetches this round's files with many clients, kills larder, and judges what the clients got.
fn kill_while_fetching(
    larder: Larder,
    modules: &Modules,
    round: u64,
    moment: Duration,
) -> anyhow::Result<()> {
    let wanted: Vec<_> = modules
        .files()
        .filter(|(path, _)| is_file(path) && path.contains(&format!("/round{round}/")))
        .collect();
    let next = AtomicUsize::new(0);
    let url = larder.url().to_owned();
    let fetch = || -> anyhow::Result<()> {
        while let Some((path, truth)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Ok(answer) = testkit::get(&format!("{url}{path}")) else { return Ok(()) };
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
            ensure!(!answer.whole || answer.body == **truth, "{path}: served torn");
            ensure!(truth.starts_with(&answer.body), "{path}: served something else");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(fetch)).collect();
        std::thread::sleep(moment);
        larder.kill()?;
        clients.into_iter().try_for_each(|client| {
            client.join().map_err(|panic| anyhow::anyhow!("a client panicked: {panic:?}"))?
        })
    })
}

/// Every file in the tree is the upstream's, and a list names only versions that are there.
fn stored_files_are_whole(data: &Path, modules: &Modules) -> anyhow::Result<()> {
    let tree = data.join("modules");
    for file in e2e::files_below(&tree)? {
        let path = format!("/{}", file.display());
        let stored = std::fs::read(tree.join(&file))?;
        if is_file(&path) {
            ensure!(modules.file(&path).is_some_and(|truth| *truth == stored), "{path} is torn");
        } else if path.ends_with("/list") {
            let beside = |version: &str, kind: &str| {
                tree.join(&file).with_file_name(format!("{version}.{kind}")).is_file()
            };
            let text = String::from_utf8(stored)?;
            ensure!(
                text.lines().all(|version| beside(version, "zip") && beside(version, "info")),
                "{path} names what is not there: {text}"
            );
        } else {
            ensure!(
                path.ends_with(".ziphash") && stored.starts_with(b"h1:") && stored.len() == 47,
                "{path} is no file of a GOPROXY tree"
            );
        }
    }
    Ok(())
}

/// A larder that has come up has removed what a dead one left in scratch.
fn nothing_left_over(data: &Path) -> anyhow::Result<()> {
    let left = e2e::files_below(&data.join("scratch"))?;
    ensure!(left.is_empty(), "left over in scratch: {left:?}");
    Ok(())
}

fn everything_is_served(settings: &Settings, modules: &Modules) -> anyhow::Result<()> {
    let larder = Larder::start(settings)?;
    for (path, truth) in modules.files().filter(|(path, _)| is_file(path)) {
        let answer = larder.get(path)?;
        ensure!(answer.status == 200 && answer.body == **truth, "{path}: {}", answer.status);
    }
    ensure!(larder.stop()?.success(), "larder did not end well");
    nothing_left_over(settings.data())?;
    settings.fsck()?;
    Ok(())
}
