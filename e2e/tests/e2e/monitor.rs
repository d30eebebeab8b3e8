//! `larder sumdb monitor` over a log that grows, lies, and is not there.
#![expect(clippy::disallowed_types, reason = "starts larder, and kills it")]

mod trouble;
mod worlds;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::Settings;
use testkit::{Behaviour, FakeSumdb, Lie, h1_of_mod};

const NAME: &str = "sum.example.com/log";
/// Records before a log begins to misbehave: two full tiles and a partial one.
const FIRST: u64 = 700;

/// A log, and a monitor that has come as far as its first records.
struct Watch {
    sumdb: FakeSumdb,
    settings: Settings,
    folder: tempfile::TempDir,
}

/// How one run ended.
struct Ran {
    code: i32,
    said: String,
}

impl Watch {
    fn new(records: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sumdb = FakeSumdb::start(NAME)?;
        sumdb.fill(records);
        let settings = Settings::new(&folder.path().join("data"), &sumdb.url());
        // A log that fails is not asked again: the tests need not wait for it.
        let settings = settings.with("LARDER_OUTBOUND_ATTEMPTS", "1");
        Ok(Self { sumdb, settings, folder })
    }

    /// One whose first records were judged.
    fn begun(with: &[&str]) -> anyhow::Result<Self> {
        let watch = Self::new(FIRST)?;
        let ran = watch.run(with)?;
        ensure!(ran.code == 0 && ran.said.contains("700 of 700 records"), "{}", ran.said);
        Ok(watch)
    }

    fn command(&self, more: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.settings.command("sumdb monitor")?;
        command.args([&self.sumdb.key().to_string(), &self.sumdb.url()]).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    fn run(&self, more: &[&str]) -> anyhow::Result<Ran> {
        let output = self.command(more)?.output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said)?;
        let code = output.status.code().with_context(|| said.clone())?;
        Ok(Ran { code, said })
    }

    fn state(&self) -> String {
        let state = self.settings.data().join("monitor").join(NAME).join("state");
        fs::read_to_string(state).unwrap_or_default()
    }

    fn records(&self) -> u64 {
        let state = self.state();
        let records = state.lines().find_map(|line| line.strip_prefix("records "));
        records.and_then(|records| records.parse().ok()).unwrap_or_default()
    }

    fn add(&self, path: &str, version: &str) {
        add(&self.sumdb, path, version, "zip");
    }
}

fn add(sumdb: &FakeSumdb, path: &str, version: &str, zip: &str) {
    let (zip, go_mod) = (h1_of_mod(zip.as_bytes()), h1_of_mod(path.as_bytes()));
    sumdb.add(path, version, &zip, &go_mod);
}

#[test]
fn what_was_mended_is_judged_after_all() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    watch.sumdb.fill(100);
    // In the gap, where it must not be lost.
    watch.add("filler.example/m", "v0.0.1");
    watch.sumdb.fill(500);
    watch.sumdb.behave("/tile/8/data/003", Behaviour::new().status(404));
    assert_eq!(watch.run(&[])?.code, 17);
    let ran = watch.run(&[])?;
    assert_eq!(ran.code, 17, "for as long as it lasts: {}", ran.said);
    assert!(ran.said.contains("gap: records 768 to 1023 are still not"), "{}", ran.said);
    assert!(ran.said.contains("1045 of 1301 records judged"), "{}", ran.said);
    watch.sumdb.be_honest();
    let ran = watch.run(&[])?;
    assert_eq!(ran.code, 15, "{}", ran.said);
    assert!(ran.said.contains("1301 of 1301 records judged, 1 findings\n"), "{}", ran.said);
    let ran = watch.run(&[])?;
    assert_eq!((ran.code, watch.records()), (0, 1301), "told once: {}", ran.said);
    // The name that was found out late is kept, too.
    watch.sumdb.add("filler.example/m", "v0.0.760", "h1:x", "h1:x");
    let ran = watch.run(&[])?;
    assert!(ran.code == 15 && ran.said.contains("is recorded as 759 already"), "{}", ran.said);
    Ok(())
}

#[test]
fn a_wrong_tile_of_hashes_does_not_hide_the_records() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    watch.sumdb.fill(2000);
    watch.add("filler.example/m", "v0.0.1");
    watch.sumdb.behave("/tile/8/0/004", Behaviour::new().body(vec![7; 8192]));
    let ran = watch.run(&[])?;
    assert_eq!((ran.code, watch.records()), (15, 2701), "{}", ran.said);
    assert!(ran.said.contains("gap: tile/8/0/004 is inconsistent"), "{}", ran.said);
    Ok(())
}

#[test]
fn an_honest_log_is_fine_however_it_grows() -> anyhow::Result<()> {
    let watch = Watch::new(0)?;
    let state = watch.folder.path().join("kept/here");
    let with = ["--state", state.to_str().context("a path")?, "--max-age", "1h", "--jobs", "3"];
    let mut judged = 0;
    for more in [0, 1, 254, 1, 1, 511, 0, 20_000, 300] {
        watch.sumdb.fill(more);
        judged += more;
        let tiles = watch.sumdb.calls("/tile/8/data/*");
        let ran = watch.run(&with)?;
        assert_eq!(ran.code, 0, "{}", ran.said);
        assert!(ran.said.contains(&format!("{judged} of {judged} records judged, 0 findings")));
        let asked = watch.sumdb.calls("/tile/8/data/*") - tiles;
        assert!(asked <= more / 256 + 2, "{more} records: {asked} data tiles");
    }
    assert!(watch.sumdb.upstream().peak() <= 3, "as many requests at once as were allowed");
    // Partial tiles go when the full ones come, and nobody needs a checkpoint.
    watch.sumdb.lie(Lie::NoPartials);
    watch.sumdb.fill(1000);
    watch.sumdb.behave("/checkpoint", Behaviour::new().status(404));
    assert_eq!(watch.run(&with)?.code, 0);
    assert_eq!(fs::metadata(state.with_file_name("here.seen"))?.len(), 16 * watch.sumdb.size());
    Ok(())
}

/// A log of public and private modules, and the database that the public ones are from.
fn composite() -> anyhow::Result<(Watch, FakeSumdb)> {
    let (watch, public) = (Watch::new(0)?, FakeSumdb::start("public.example")?);
    public.fill(300);
    for number in 0..40 {
        let version = format!("v1.0.{number}");
        for (path, sumdb) in [("github.com/Acme/b", &public), ("golang.org/x/mod", &public)] {
            add(sumdb, path, &version, "zip");
            add(&watch.sumdb, path, &version, "zip");
        }
        watch.add("corp.example/secret", &version);
        public.fill(20);
    }
    Ok((watch, public))
}

#[test]
fn public_records_are_compared_and_private_names_stay_here() -> anyhow::Result<()> {
    let (watch, public) = composite()?;
    let compare = public.gosumdb();
    let with = ["--realm", "corp.example", "--compare", &compare];
    let ran = watch.run(&with)?;
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert_eq!(public.calls("/lookup/*"), 80);
    for (path, version, code, says) in [
        ("github.com/Acme/b", "v2.0.0+incompatible", 13, "public.example has h1:"),
        ("golang.org/x/mod", "v1.1.0", 14, "public.example does not record it"),
        ("github.com/other/b", "v1.0.0", 16, "public.example does not record it"),
    ] {
        if code == 13 {
            add(&public, path, version, "another zip");
        }
        watch.add(path, version);
        let ran = watch.run(&with)?;
        assert_eq!(ran.code, code, "{}", ran.said);
        assert!(ran.said.contains(says) && ran.said.contains(", see "), "{}", ran.said);
    }
    // By the configuration a name is private, too.
    let watch =
        Watch { settings: watch.settings.with("LARDER_POLICY_PRIVATE", "hush.example"), ..watch };
    watch.add("hush.example/secret", "v1.0.0");
    let state = watch.folder.path().join("by-configuration");
    let state = state.to_str().context("a path")?;
    let realm = "corp.example,github.com";
    let ran = watch.run(&["--compare", &compare, "--realm", realm, "--state", state])?;
    assert_eq!(ran.code, 14, "{}", ran.said);
    assert!(ran.said.contains("hush.example/secret@v1.0.0 is private, and outside"));
    let asked = public.requests();
    let leaks = asked.iter().any(|seen| {
        let seen = format!("{seen:?}");
        seen.contains("secret") || seen.contains("corp.example")
    });
    assert!(!leaks, "{asked:?}");
    Ok(())
}

#[test]
fn a_sample_is_smaller_and_a_database_that_lies_is_no_judge() -> anyhow::Result<()> {
    let (watch, public) = composite()?;
    let compare = public.gosumdb();
    let with = ["--realm", "corp.example", "--compare", &compare, "--sample", "1000000"];
    assert_eq!(watch.run(&with)?.code, 0);
    // Of 40 others one in a million; reserved names are always compared.
    assert!((40..44).contains(&public.calls("/lookup/*")), "{}", public.calls("/lookup/*"));
    let (watch, public) = composite()?;
    let compare = public.gosumdb();
    let with = ["--realm", "corp.example", "--compare", &compare];
    public.lie(Lie::WrongHash);
    let ran = watch.run(&with)?;
    assert_eq!(ran.code, 1, "{}", ran.said);
    assert!(ran.said.contains("public.example"), "{}", ran.said);
    assert!(ran.said.contains(" not compared"), "{}", ran.said);
    public.be_honest();
    assert_eq!(watch.run(&with)?.code, 0);
    Ok(())
}

#[test]
fn a_killed_monitor_goes_on_and_forgets_nothing_that_it_found() -> anyhow::Result<()> {
    let watch = Watch::new(300)?;
    watch.add("filler.example/m", "v0.0.1");
    watch.sumdb.fill(40_000);
    // In the second batch.
    watch.sumdb.behave("/tile/8/data/04*", Behaviour::new().delay(Duration::from_secs(5)));
    let mut child = watch.command(&[])?.spawn()?;
    let begun = e2e::becomes_true(|| watch.records() > 0);
    child.kill()?;
    child.wait()?;
    let judged = watch.records();
    assert!(begun && judged > 0 && judged < watch.sumdb.size(), "{judged}");
    assert!(watch.state().contains("found duplicate record 300"), "{}", watch.state());
    // As if the kill had come between the names and the state.
    let seen = watch.settings.data().join("monitor").join(NAME).join("state.seen");
    let mut names = fs::read(&seen)?;
    names.extend([7; 100]);
    fs::write(&seen, names)?;
    watch.sumdb.be_honest();
    let tiles = watch.sumdb.calls("/tile/8/data/000");
    let ran = watch.run(&[])?;
    assert_eq!(ran.code, 15, "{}", ran.said);
    assert!(ran.said.contains("(found by a run that did not end)"), "{}", ran.said);
    assert_eq!(
        (watch.records(), watch.sumdb.calls("/tile/8/data/000")),
        (watch.sumdb.size(), tiles)
    );
    // What was judged before the kill and after it is known.
    watch.add("filler.example/m", "v0.0.2");
    watch.add("filler.example/m", "v0.0.39999");
    let ran = watch.run(&[])?;
    assert!(ran.code == 15 && ran.said.contains("2 findings"), "{}", ran.said);
    assert_eq!(watch.run(&[])?.code, 0);
    Ok(())
}

#[test]
fn a_follower_ends_when_something_is_found() -> anyhow::Result<()> {
    let watch = Watch::new(10)?;
    let mut child = watch.command(&["--follow", "100ms"])?.spawn()?;
    assert!(e2e::becomes_true(|| watch.records() == 10));
    // Another monitor has to wait, and a log that is away for a while is no misbehaviour.
    assert_eq!(watch.run(&[])?.code, 75);
    watch.sumdb.behave("*", Behaviour::new().status(503));
    std::thread::sleep(Duration::from_millis(100));
    watch.sumdb.be_honest();
    watch.sumdb.fill(1000);
    assert!(e2e::becomes_true(|| watch.records() == 1010));
    assert!(child.try_wait()?.is_none());
    watch.add("filler.example/m", "v0.0.1");
    let started = Instant::now();
    let status = child.wait()?;
    assert_eq!(status.code(), Some(15));
    assert!(started.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[test]
fn the_worst_wins_and_trouble_is_none_of_it() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    watch.sumdb.lie(Lie::Extension);
    watch.sumdb.add_text("x", "hello\n");
    watch.add("filler.example/m", "v0.0.1");
    let ran = watch.run(&[])?;
    assert_eq!(ran.code, 15, "{}", ran.said);
    assert!(ran.said.contains("3 findings"), "{}", ran.said);
    watch.sumdb.behave("*", Behaviour::new().status(503));
    assert_eq!(watch.run(&[])?.code, 1);
    watch.sumdb.behave("*", Behaviour::html());
    assert_eq!(watch.run(&[])?.code, 1);
    let url = watch.sumdb.url();
    for wrong in [&["sum.nowhere.example", url.as_str()][..], &["a+b+c"], &["off"]] {
        let code = watch.settings.command("sumdb monitor")?.args(wrong).output()?.status.code();
        assert_eq!(code, Some(64), "{wrong:?}");
    }
    let broken = watch.settings.clone().with("LARDER_SERVER_CORES", "many");
    let code = broken.command("sumdb monitor")?.arg("sum.golang.org").output()?.status.code();
    assert_eq!(code, Some(78));
    Ok(())
}

/// Walks 30,000 records; `LARDER_MONITOR_RECORDS=1000000` for the figure in docs/monitor.md.
#[test]
fn memory_is_bounded() -> anyhow::Result<()> {
    let records =
        std::env::var("LARDER_MONITOR_RECORDS").map_or(Ok(30_000), |text| text.parse())?;
    let watch = Watch::new(records)?;
    let started = Instant::now();
    let mut child = watch.command(&[])?.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB"));
        peak_kib = peak.and_then(|peak| peak.trim().parse().ok()).unwrap_or(peak_kib);
        std::thread::sleep(Duration::from_millis(20));
    }
    let elapsed = started.elapsed();
    println!("{records} records: {elapsed:.1?}, {} MiB at most", peak_kib >> 10);
    assert_eq!((watch.records(), child.wait()?.code()), (records, Some(0)));
    assert!(peak_kib > 0 && peak_kib << 10 < (60 << 20) + 40 * records, "{peak_kib} KiB");
    Ok(())
}
