//! A version is erased: `go` is told so, everything else goes on, and a monitor says what it sees.

use std::fs;

use anyhow::{Context, ensure};
use e2e::{Go, Larder};

use super::own::{Company, NAME};

const ROOT: &str = "github.com/u/root@v1.0.0";

/// How a command of larder ended, and what it said.
fn run(company: &Company, name: &str, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    let output = company.settings.command(name)?.args(arguments).output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    Ok((output.status.code().with_context(|| said.clone())?, said))
}

/// A monitor with a memory of its own, at a larder that runs.
fn watch(company: &Company, larder: &Larder, state: &str) -> anyhow::Result<(i32, String)> {
    let url = format!("{}/sumdb/{NAME}", larder.url());
    let state = company.settings.data().join(state);
    let state = state.to_str().context("a path")?;
    let realm = "github.com,gopkg.in,example.com";
    run(company, "sumdb monitor", &[&company.key, &url, "--state", state, "--realm", realm])
}

fn record_all(larder: &Larder) -> anyhow::Result<()> {
    for module in [ROOT, "github.com/u/mono/sub@v1.2.0", "example.com/a@v1.0.0"] {
        let answer = larder.get(&format!("/sumdb/{NAME}/lookup/{module}"))?;
        assert_eq!(answer.status, 200, "{module}: {}", answer.text());
    }
    Ok(())
}

#[test]
fn go_is_told_that_a_version_was_erased_and_builds_the_others() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    record_all(&larder)?;
    let head = larder.get(&format!("/sumdb/{NAME}/latest"))?.text();
    let (code, said) = run(&company, "sumdb erase", &[ROOT, "--yes"])?;
    assert_eq!(code, 75, "a server has the data folder: {said}");
    larder.stop()?;
    let (code, said) = run(&company, "sumdb erase", &[ROOT])?;
    ensure!(code == 64 && said.contains("would erase record 0 of"), "{code}: {said}");
    let (code, said) = run(&company, "sumdb erase", &["github.com/u/root@v1.9.0", "--yes"])?;
    ensure!(code == 1 && said.contains("is not recorded"), "{code}: {said}");
    for erased in [ROOT, "example.com/a@v1.0.0"] {
        let said = company.settings.run("sumdb erase", &[erased, "--yes"])?;
        ensure!(said.contains(&format!("{erased} is gone for ever")), "{said}");
        assert_eq!(said.contains("stays public"), erased != ROOT, "{said}");
    }
    let head_said = company.settings.run("sumdb head", &[])?;
    ensure!(head_said.contains("3 records, our own, 2 erased"), "{head_said}");
    let verified = company.settings.run("verify", &[])?;
    ensure!(verified.contains(" 0 bad"), "{verified}");
    let left = e2e::files_below(company.settings.data())?;
    let left: Vec<_> = left.iter().filter(|file| file.ends_with("u/root/@v/v1.0.0.zip")).collect();
    assert!(left.is_empty(), "{left:?}");

    let larder = Larder::start(&company.settings)?;
    assert_eq!(larder.get(&format!("/sumdb/{NAME}/latest"))?.text(), head);
    for path in [
        format!("/sumdb/{NAME}/lookup/{ROOT}"),
        format!("/sumdb/{NAME}/lookup/example.com/a@v1.0.0"),
        format!("/sumdb/{NAME}/tile/8/data/000.p/3"),
        format!("/sumdb/{NAME}/tile/entries/000.p/3"),
        "/github.com/u/root/@v/v1.0.0.info".to_owned(),
        "/github.com/u/root/@v/v1.0.0.mod".to_owned(),
        "/github.com/u/root/@v/v1.0.0.zip".to_owned(),
        "/example.com/a/@v/v1.0.0.zip".to_owned(),
    ] {
        let answer = larder.get(&path)?;
        assert_eq!(answer.status, 410, "{path}: {}", answer.text());
        ensure!(answer.text().contains("was erased by whoever runs this log"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    assert_eq!(larder.get(&format!("/sumdb/{NAME}/tile/8/0/000.p/3"))?.status, 200);
    let list = larder.get("/github.com/u/root/@v/list")?.text();
    ensure!(!list.contains("v1.0.0"), "{list}");
    for go in Go::all()? {
        let user = company.user(&go, &format!("home-{}", go.version()), &larder)?;
        let project = user.project(&[("github.com/u/root", "v1.0.0")])?;
        let error = project.build_and_run().unwrap_err().to_string();
        ensure!(error.contains("was erased by whoever runs this log"), "{}: {error}", go.version());
        let others = [("github.com/u/mono/sub", "v1.2.0"), ("example.com/Upper", "v1.2.0")];
        user.project(&others)?.build_and_run()?;
    }
    ensure!(larder.log().contains("ready") || larder.get("/readyz")?.status == 200);
    larder.stop()?;
    let verified = company.settings.run("verify", &[])?;
    ensure!(verified.contains(" 0 bad"), "{verified}");
    Ok(())
}

#[test]
fn a_monitor_sees_a_redaction_and_nothing_else() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    record_all(&larder)?;
    let (code, said) = watch(&company, &larder, "watched")?;
    assert_eq!(code, 0, "{said}");
    larder.stop()?;
    company.settings.run("sumdb erase", &[ROOT, "--yes"])?;
    let larder = Larder::start(&company.settings)?;
    // Who has judged the records keeps what he knows; who comes later does not get them.
    let (code, said) = watch(&company, &larder, "watched")?;
    assert_eq!(code, 0, "{said}");
    let (code, said) = watch(&company, &larder, "late")?;
    let judged = "0 of 3 records judged, 1 findings, 3 passed over";
    ensure!(code == 18 && said.contains(judged), "{code}: {said}");
    ensure!(said.contains("redaction: records 0 to 2 are withheld: 410 for tile/8/data/000"));
    // The log goes on beyond it, also in the tile at its edge.
    let more = larder.get(&format!("/sumdb/{NAME}/lookup/github.com/u/!major/v2@v2.0.0"))?;
    assert_eq!(more.status, 200);
    for state in ["watched", "late"] {
        for round in ["found", "told as long as it lasts"] {
            let (code, said) = watch(&company, &larder, state)?;
            ensure!(code == 18 && said.contains("redaction"), "{state}, {round}: {code}: {said}");
        }
    }
    Ok(())
}

#[test]
fn a_recovered_log_stays_erased() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    record_all(&larder)?;
    larder.stop()?;
    let state = company.settings.data().join("state.sqlite");
    let backup = company.settings.data().join("state.backup");
    fs::copy(&state, &backup)?;
    company.settings.run("sumdb erase", &[ROOT, "--yes"])?;
    // The drill of docs/own-log.md: a state from before the erasure, and one that is lost.
    for lost in [false, true] {
        fs::remove_file(&state)?;
        if !lost {
            fs::copy(&backup, &state)?;
        }
        let told = company.settings.run("sumdb recover", &[])?;
        ensure!(told.contains("3 records, 1 of them erased"), "{told}");
        let larder = Larder::start(&company.settings)?;
        let lookup = |module: &str| larder.get(&format!("/sumdb/{NAME}/lookup/{module}"));
        assert_eq!(lookup(ROOT)?.status, 410);
        assert_eq!(lookup("github.com/u/mono/sub@v1.2.0")?.status, 200);
        larder.stop()?;
    }
    Ok(())
}

#[test]
fn the_log_says_what_it_is_and_proves_records_to_other_tools() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    record_all(&larder)?;
    let about = larder.get(&format!("/sumdb/{NAME}/about"))?;
    assert_eq!(about.header("content-type"), Some("application/json"));
    let text = format!(
        r#"{{"name":"{NAME}","vkeys":["{}"],"origin":"{NAME}","options":{{"height":8,"blinding":"none","grammar":1}},"witnesses":[]}}"#,
        company.key
    );
    assert_eq!((about.status, about.text()), (200, text.as_str().into()));
    assert_eq!(larder.get("/sumdb/sum.example.com/db/about")?.status, 404);
    let proof = company.settings.run("sumdb prove", &[ROOT, "--format", "tlog-proof"])?;
    ensure!(proof.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{proof}");
    let checkpoint = larder.get(&format!("/sumdb/{NAME}/checkpoint"))?.text().clone();
    ensure!(proof.trim_end().ends_with(checkpoint.trim_end()), "{proof}");
    let file = company.settings.data().join("proof");
    let path = file.to_str().context("a path")?;
    for format in ["tlog-proof", "bundle"] {
        company.settings.run("sumdb prove", &[ROOT, "--format", format, "--output", path])?;
        let told = company.settings.run("sumdb verify-bundle", &[path])?;
        ensure!(told.contains("record 0 of") && told.contains("github.com/u/root v1.0.0 h1:"));
        let altered = fs::read_to_string(&file)?.replacen("\n3\n", "\n4\n", 1);
        fs::write(&file, altered)?;
        assert_eq!(run(&company, "sumdb verify-bundle", &[path])?.0, 1);
    }
    // Confirmed by the public database, but not recorded here: it has no checkpoint.
    larder.get("/example.com/b/@v/v1.0.0.zip")?;
    let (code, said) =
        run(&company, "sumdb prove", &["example.com/b@v1.0.0", "--format", "tlog-proof"])?;
    ensure!(code == 1 && said.contains("only larder's own log has checkpoints"), "{said}");
    Ok(())
}
