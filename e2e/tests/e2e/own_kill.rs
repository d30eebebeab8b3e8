//! SIGKILL at random moments while private versions are recorded; a monitor sees every head there is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::Larder;
use testkit::GitRepo;

use super::own::{Company, NAME};

/// Versions of one module that nobody asked for yet, in each round.
const VERSIONS: usize = 8;
const CLIENTS: usize = 4;
/// Longest time from the first request to the kill.
const MAX_MILLIS: u64 = 400;

/// 6 rounds; `LARDER_KILLS=100` for a long run.
#[test]
fn after_a_kill_nothing_recorded_is_lost_and_a_monitor_is_content() -> anyhow::Result<()> {
    let rounds = std::env::var("LARDER_KILLS").map_or(Ok(6), |rounds| rounds.parse())?;
    let company = Company::new()?;
    let root = GitRepo::reopen(company.world.path("hosted").join("u/root"));
    // What was answered, by version: number and record.
    let answered = Mutex::new(BTreeMap::new());
    let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..rounds {
        let wanted: Vec<_> = (0..VERSIONS).map(|at| format!("v1.{}.{at}", round + 1)).collect();
        for version in &wanted {
            root.tag(version)?;
        }
        let larder = Larder::start(&company.settings)?;
        said_before(&company, &larder, &answered).with_context(|| format!("round {round}"))?;
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis((chance >> 33) % MAX_MILLIS);
        record_until_killed(larder, &wanted, &answered, moment)
            .with_context(|| format!("round {round}, {moment:?}"))?;
    }
    let larder = Larder::start(&company.settings)?;
    said_before(&company, &larder, &answered)?;
    // What was under way is recorded once, too: each version is served, and has one record.
    for round in 0..rounds {
        for at in 0..VERSIONS {
            let version = format!("v1.{}.{at}", round + 1);
            let zip = larder.get(&format!("/github.com/u/root/@v/{version}.zip"))?;
            assert_eq!(zip.status, 200, "{version}: {}", zip.text());
        }
    }
    said_before(&company, &larder, &answered)?;
    larder.stop()?;
    let verified = company.settings.run("verify", &[])?;
    ensure!(verified.contains(" 0 exempt, 0 unconfirmed, 0 bad"), "{verified}");
    assert_eq!(company.heard(), [""; 0]);
    Ok(())
}

/// Looks versions up and fetches them with several clients until larder is killed.
fn record_until_killed(
    larder: Larder,
    wanted: &[String],
    answered: &Mutex<BTreeMap<String, String>>,
    moment: Duration,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let url = larder.url().to_owned();
    let record = || -> anyhow::Result<()> {
        while let Some(version) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let lookup = format!("{url}/sumdb/{NAME}/lookup/github.com/u/root@{version}");
            let Ok(answer) = testkit::get(&lookup) else { return Ok(()) };
            ensure!(answer.status == 200, "{version}: {} {}", answer.status, answer.text());
            if answer.whole {
                let mut answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
                answered.insert(version.clone(), record_of(&answer.text()));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(record)).collect();
        std::thread::sleep(moment);
        larder.kill()?;
        clients.into_iter().try_for_each(|client| {
            client.join().map_err(|panic| anyhow::anyhow!("a client panicked: {panic:?}"))?
        })
    })
}

/// Number and lines of a record, without the head.
fn record_of(answer: &str) -> String {
    answer.lines().take(3).collect::<Vec<_>>().join("\n")
}

/// What was answered before is answered again, and the monitor, which goes on from the last head it
/// saw, finds nothing.
fn said_before(
    company: &Company,
    larder: &Larder,
    answered: &Mutex<BTreeMap<String, String>>,
) -> anyhow::Result<()> {
    for (version, record) in &*answered.lock().unwrap_or_else(PoisonError::into_inner) {
        let again = larder.get(&format!("/sumdb/{NAME}/lookup/github.com/u/root@{version}"))?;
        assert_eq!(record_of(&again.text()), *record, "{version}");
    }
    let state = company.world.path("monitor").display().to_string();
    let url = format!("{}/sumdb/{NAME}", larder.url());
    let realm = ["--realm", "github.com,gopkg.in"];
    let watched = [&[&company.key, &url, "--state", &state], &realm[..]].concat();
    let said = company.settings.run("sumdb monitor", &watched)?;
    ensure!(said.contains("0 findings") || !said.contains("findings"), "{said}");
    Ok(())
}
