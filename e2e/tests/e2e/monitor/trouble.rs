//! A log that is silent, a disk that is full, kills, and command lines that do not fit.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use testkit::Behaviour;

use super::{NAME, Watch, composite};

#[test]
fn silence_hides_nothing_and_is_no_success() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    watch.sumdb.fill(100);
    watch.add("filler.example/m", "v0.0.1");
    watch.sumdb.fill(500);
    watch.sumdb.behave("/tile/8/data/005*", Behaviour::new().status(503));
    let ran = watch.run(&[])?;
    assert!(ran.code == 15 && ran.said.contains("it answered 503"), "{}", ran.said);
    let ran = watch.run(&[])?;
    assert!(ran.code == 1 && ran.said.contains("21 passed over"), "{}", ran.said);
    watch.sumdb.be_honest();
    assert_eq!(watch.run(&[])?.code, 0);
    Ok(())
}

/// How a follower ends, if it does.
fn ends(watch: &Watch, with: &[&str]) -> anyhow::Result<Option<i32>> {
    let mut child = watch.command(with)?.spawn()?;
    let ended = e2e::becomes_true(|| matches!(child.try_wait(), Ok(Some(_))));
    if !ended {
        child.kill()?;
    }
    Ok(child.wait()?.code())
}

#[test]
fn a_follower_does_not_wait_for_ever() -> anyhow::Result<()> {
    for path in ["/latest", "/tile/8/data/003*"] {
        let watch = Watch::begun(&[])?;
        watch.sumdb.fill(200);
        watch.sumdb.behave(path, Behaviour::new().status(503));
        let code = ends(&watch, &["--follow", "100ms", "--max-age", "1s"])?;
        assert_eq!(code, Some(20), "{path}");
    }
    Ok(())
}

#[test]
fn a_follower_ends_with_the_batch_and_not_for_what_it_told() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    watch.add("filler.example/m", "v0.0.1");
    watch.sumdb.fill(20_000);
    assert_eq!(ends(&watch, &["--follow", "1h"])?, Some(15));
    assert_eq!(watch.sumdb.calls("/tile/8/data/060"), 0, "in a later batch");
    // A redaction may be for good: told to each run, and no reason to stop one again.
    watch.sumdb.behave("/tile/8/data/060", Behaviour::new().status(410));
    assert_eq!(ends(&watch, &["--follow", "1h"])?, Some(18));
    assert_eq!(watch.run(&[])?.code, 18);
    let mut child = watch.command(&["--follow", "100ms"])?.spawn()?;
    let asked = watch.sumdb.calls("/latest");
    assert!(e2e::becomes_true(|| watch.sumdb.calls("/latest") > asked + 3));
    assert!(child.try_wait()?.is_none());
    watch.add("filler.example/m", "v0.0.2");
    assert_eq!(child.wait()?.code(), Some(15));
    Ok(())
}

#[test]
fn a_full_disk_hides_nothing() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    let state = watch.settings.data().join("monitor").join(NAME).join("state");
    let evidence = state.with_file_name("state.evidence");
    fs::create_dir_all(&evidence)?;
    let files = [state.with_file_name("state.new"), evidence.join("new")];
    for file in &files {
        std::os::unix::fs::symlink("/dev/full", file)?;
    }
    watch.sumdb.fill(9000);
    watch.add("filler.example/m", "v0.0.1");
    for _run in 0..2 {
        let ran = watch.run(&[])?;
        assert_eq!(ran.code, 15, "{}", ran.said);
        for word in
            ["is recorded as 0 already (its evidence is not kept: ", "No space left", "9701 of"]
        {
            assert!(ran.said.contains(word), "{}", ran.said);
        }
        assert_eq!(watch.records(), 700);
    }
    for file in &files {
        fs::remove_file(file)?;
    }
    let ran = watch.run(&[])?;
    assert!(ran.code == 15 && ran.said.contains(", see "), "{}", ran.said);
    assert_eq!(watch.run(&[])?.code, 0);
    // Nothing found, and nothing kept, is no success.
    std::os::unix::fs::symlink("/dev/full", &files[0])?;
    watch.sumdb.fill(1);
    assert_eq!(watch.run(&[])?.code, 1);
    Ok(())
}

#[test]
fn what_nobody_could_read_is_told_again() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    watch.add("filler.example/m", "v0.0.1");
    let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
    assert_eq!(watch.command(&[])?.stdout(full).status()?.code(), Some(15));
    let ran = watch.run(&[])?;
    assert!(ran.code == 15 && ran.said.contains("duplicate: record 700"), "{}", ran.said);
    assert_eq!(watch.run(&[])?.code, 0);
    Ok(())
}

#[test]
fn a_state_goes_on_by_the_same_terms_only() -> anyhow::Result<()> {
    let (watch, public) = composite()?;
    let compare = public.gosumdb();
    assert_eq!(watch.run(&[])?.code, 0);
    for with in
        [&["--realm", "corp.example", "--compare", &compare][..], &["--realm", "corp.example"]]
    {
        let ran = watch.run(with)?;
        assert!(ran.code == 64 && ran.said.contains("name another --state"), "{}", ran.said);
    }
    assert_eq!(watch.run(&["--realm", ""])?.code, 0, "none is none");
    let state = watch.settings.data().join("monitor").join(NAME).join("state");
    fs::write(&state, watch.state().replace("monitor v2", "monitor v1"))?;
    let ran = watch.run(&[])?;
    let says = ["another version of larder", "begin anew with another --state"];
    assert!(ran.code == 1 && says.iter().all(|word| ran.said.contains(word)), "{}", ran.said);
    Ok(())
}

#[test]
fn names_are_told_to_nobody_by_chance() -> anyhow::Result<()> {
    let (watch, public) = composite()?;
    let compare = public.gosumdb();
    let ran = watch.run(&["--compare", &compare])?;
    assert!(ran.code == 64 && ran.said.contains("name the private modules first"), "{}", ran.said);
    assert!(public.requests().is_empty());
    let code = watch.run(&["--follow", "99ms"])?.code;
    assert_eq!(code, 64);
    // That there are none may be said.
    assert_eq!(watch.run(&["--compare", &compare, "--realm", ""])?.code, 13);
    let settings = watch.settings.clone().with("LARDER_POLICY_PRIVATE", "corp.example");
    let (watch, public) = (Watch { settings, ..watch }, public);
    let state = watch.folder.path().join("private");
    let asked = public.requests().len();
    let state = state.to_str().context("a path")?;
    assert_eq!(watch.run(&["--compare", &compare, "--state", state])?.code, 0);
    let later = public.requests();
    assert!(!later.iter().skip(asked).any(|seen| format!("{seen:?}").contains("corp.example")));
    Ok(())
}

#[test]
fn heads_of_clients_are_compared() -> anyhow::Result<()> {
    let watch = Watch::begun(&[])?;
    let honest = watch.sumdb.history();
    let (good, bad) = (watch.folder.path().join("good"), watch.folder.path().join("bad"));
    fs::write(&good, watch.sumdb.head(500))?;
    watch.sumdb.fork(300);
    fs::write(&bad, watch.sumdb.head(500))?;
    watch.sumdb.restore(honest);
    let (good, bad) = (good.to_str().context("a path")?, bad.to_str().context("a path")?);
    assert_eq!(watch.run(&["--head", good])?.code, 0);
    let ran = watch.run(&["--head", good, "--head", bad])?;
    assert_eq!(ran.code, 10, "{}", ran.said);
    assert!(
        ran.said.contains("fork: the tree of size 700 does not begin with the tree of size 500")
    );
    assert_eq!(watch.run(&[])?.code, 10, "for good");
    fs::write(good, "hello\n")?;
    assert_eq!(watch.run(&["--head", good])?.code, 64);
    Ok(())
}

/// At any time: what was found is told by one of the runs, and what was judged is known.
#[test]
fn kills_lose_nothing() -> anyhow::Result<()> {
    let watch = Watch::new(1000)?;
    let mut said = String::new();
    let doubled = 25;
    for number in 1..=doubled {
        watch.add("filler.example/m", &format!("v0.0.{number}"));
        watch.sumdb.fill(2000);
    }
    watch.sumdb.behave("/tile/8/data/*7", Behaviour::new().status(410));
    for kill in 0..12_u64 {
        let mut child = watch.command(&[])?.spawn()?;
        std::thread::sleep(Duration::from_millis(37 * kill % 400));
        child.kill()?;
        let output = child.wait_with_output()?;
        said.push_str(&String::from_utf8(output.stdout)?);
        if kill == 6 {
            watch.sumdb.be_honest();
        }
    }
    let ran = watch.run(&[])?;
    said.push_str(&ran.said);
    for number in 1..=doubled {
        let line = format!("filler.example/m@v0.0.{number} is recorded as {} already", number - 1);
        assert!(said.contains(&line), "{line}\n{said}");
    }
    assert!(ran.said.contains("51025 of 51025 records judged"), "{}", ran.said);
    // One more for each record that is there: all names are known.
    watch.add("filler.example/m", "v0.0.26");
    watch.add("filler.example/m", "v0.0.50999");
    let ran = watch.run(&[])?;
    assert!(ran.code == 15 && ran.said.contains("2 findings"), "{}", ran.said);
    Ok(())
}
