//! The key of our own log is changed, while clients that know either go on.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Client, Go, Larder};

use super::own::{Company, NAME};

const ROOT: (&str, &str) = ("github.com/u/root", "v1.0.0");

/// The same user with another larder (a restarted one listens elsewhere) or another line.
fn at(user: &Client, larder: &Larder, key: &str) -> Client {
    user.clone().with("GOPROXY", larder.url()).with("GOSUMDB", key)
}

/// Builds with what the user's go.sum knows, and one module more.
fn builds_with(user: &Client, module: &str) -> anyhow::Result<()> {
    let project = user.project(&[ROOT])?;
    project.imports(&[ROOT.0, module])?;
    project.go(&["get", &format!("{module}@latest")])?;
    let printed = project.build_and_run()?;
    ensure!(printed.contains("root 1.0.0"), "{printed}");
    Ok(())
}

fn builds(user: &Client) -> anyhow::Result<()> {
    let printed = user.project(&[ROOT])?.build_and_run()?;
    ensure!(printed.contains("root 1.0.0"), "{printed}");
    Ok(())
}

/// The line of the log in what a command printed.
fn line(printed: &str) -> anyhow::Result<String> {
    let line = printed.lines().find(|line| line.starts_with(NAME)).context("no key")?;
    Ok(line.to_owned())
}

#[test]
fn clients_of_either_key_build_until_the_old_one_retires() -> anyhow::Result<()> {
    for go in Go::all()? {
        let mut company = Company::new()?;
        let old = company.key.clone();
        let larder = Larder::start(&company.settings)?;
        let user = company.user(&go, "user", &larder)?;
        builds(&user)?;
        larder.stop()?;

        let new = line(&company.settings.run("sumdb rotate", &[])?)?;
        ensure!(new != old, "{new}");
        let again = company.settings.run("sumdb rotate", &[]).unwrap_err().to_string();
        ensure!(again.contains("two keys already"), "{again}");
        let setup = company.settings.run("sumdb setup", &[])?;
        ensure!(setup.contains(&format!("go env -w GOSUMDB={new}")), "{setup}");

        let larder = Larder::start(&company.settings)?;
        // Warm, with heads and look-ups that the old key alone signed.
        builds_with(&at(&user, &larder, &old), "github.com/u/mono/sub")?;
        // The same user is given the new line, with what is stored.
        builds_with(&at(&user, &larder, &new), "github.com/u/Major/v2")?;
        // Both lines, with nothing stored.
        builds(&company.user(&go, "cold-old", &larder)?)?;
        company.key = new.clone();
        let cold = company.user(&go, "cold-new", &larder)?;
        builds(&cold)?;
        larder.stop()?;

        let told = company.settings.run("sumdb rotate", &["--finish"])?;
        assert_eq!(line(&told)?, new);
        let keys = company.settings.data().join("keys");
        ensure!(keys.join("sumdb.retired").is_file() && !keys.join("sumdb.next").exists());
        let larder = Larder::start(&company.settings)?;
        builds_with(&at(&user, &larder, &new), "github.com/u/old")?;
        builds_with(&at(&cold, &larder, &new), "github.com/u/old")?;
        builds(&company.user(&go, "after", &larder)?)?;
        company.key = old;
        let error = builds(&company.user(&go, "late", &larder)?).unwrap_err().to_string();
        ensure!(error.contains("note has no verifiable signatures"), "{error}");
        ensure!(error.contains(NAME), "{error}");
        larder.stop()?;
    }
    Ok(())
}

/// What docs/own-log.md says of clients that keep what the old key alone signed.
#[test]
fn what_the_old_key_alone_signed_is_removed_once() -> anyhow::Result<()> {
    let company = Company::new()?;
    let go = Go::all()?.remove(0);
    let larder = Larder::start(&company.settings)?;
    let user = company.user(&go, "user", &larder)?;
    builds(&user)?;
    larder.stop()?;
    let new = line(&company.settings.run("sumdb rotate", &[])?)?;
    let larder = Larder::start(&company.settings)?;
    let user = at(&user, &larder, &new);
    // A project whose go.sum does not know the module asks for it again.
    fs::remove_file(user.project(&[ROOT])?.folder().join("go.sum"))?;
    let error = builds(&user).unwrap_err().to_string();
    ensure!(error.contains("note has no verifiable signatures"), "{error}");
    let cached = user.go(&["env", "GOMODCACHE"])?;
    fs::remove_dir_all(format!("{}/cache/download/sumdb/{NAME}", cached.trim()))?;
    let path = user.go(&["env", "GOPATH"])?;
    fs::remove_dir_all(format!("{}/pkg/sumdb/{NAME}", path.trim()))?;
    builds(&user)
}

#[test]
fn a_monitor_goes_on_with_the_new_key_when_it_ran_while_both_signed() -> anyhow::Result<()> {
    let company = Company::new()?;
    let old = company.key.clone();
    let watch = |larder: &Larder, key: &str, state: &str| {
        let state = company.world.path(state).display().to_string();
        let url = format!("{}/sumdb/{NAME}", larder.url());
        company.settings.run("sumdb monitor", &[key, &url, "--state", &state])
    };
    let lookup = |larder: &Larder, module: &str| {
        larder.get(&format!("/sumdb/{NAME}/lookup/{module}")).map(|answer| answer.status)
    };
    let larder = Larder::start(&company.settings)?;
    assert_eq!(lookup(&larder, "github.com/u/root@v1.0.0")?, 200);
    for state in ["steady", "late"] {
        let said = watch(&larder, &old, state)?;
        ensure!(said.contains("1 of 1 records judged, 0 findings"), "{said}");
    }
    larder.stop()?;
    let new = line(&company.settings.run("sumdb rotate", &[])?)?;
    let larder = Larder::start(&company.settings)?;
    // The log has not grown: the same head, with one signature more.
    watch(&larder, &old, "steady")?;
    larder.stop()?;
    company.settings.run("sumdb rotate", &["--finish"])?;
    let larder = Larder::start(&company.settings)?;
    assert_eq!(lookup(&larder, "github.com/u/mono/sub@v1.2.0")?, 200);
    let said = watch(&larder, &new, "steady")?;
    ensure!(said.contains("2 of 2 records judged, 0 findings"), "{said}");
    let refused = watch(&larder, &new, "late").unwrap_err().to_string();
    ensure!(refused.contains("run the monitor once with the old key"), "{refused}");
    larder.stop()?;
    Ok(())
}

/// An old state over a newer store, where what is newer is a key.
#[test]
fn a_state_from_before_the_change_is_recovered_with_both_keys() -> anyhow::Result<()> {
    let company = Company::new()?;
    let data = company.settings.data().to_owned();
    let (state, backup) = (data.join("state.sqlite"), company.world.path("state.backup"));
    let larder = Larder::start(&company.settings)?;
    assert_eq!(larder.get("/github.com/u/root/@v/v1.0.0.zip")?.status, 200);
    larder.stop()?;
    fs::copy(&state, &backup)?;
    let new = line(&company.settings.run("sumdb rotate", &[])?)?;
    for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _may_be_absent = fs::remove_file(data.join(name));
    }
    fs::copy(&backup, &state)?;
    let larder = Larder::start(&company.settings)?;
    let refused = larder.get("/github.com/u/mono/sub/@v/v1.2.0.zip")?;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(larder.get("/github.com/u/root/@v/v1.0.0.zip")?.status, 200);
    larder.stop()?;
    let head = company.settings.run("sumdb head", &[])?;
    ensure!(head.contains("FROZEN: the newest head is signed by"), "{head}");
    let told = company.settings.run("sumdb recover", &[])?;
    for key in [&company.key, &new] {
        ensure!(told.contains(&format!("signed by {key}")), "{told}");
    }
    let larder = Larder::start(&company.settings)?;
    assert_eq!(larder.get("/github.com/u/mono/sub/@v/v1.2.0.zip")?.status, 200);
    larder.stop()?;
    Ok(())
}

/// The end of docs/own-log.md: a key that others know.
#[test]
fn a_retired_log_is_followed_by_one_of_another_name() -> anyhow::Result<()> {
    let mut company = Company::new()?;
    let go = Go::all()?.remove(0);
    let larder = Larder::start(&company.settings)?;
    let user = company.user(&go, "user", &larder)?;
    builds(&user)?;
    larder.stop()?;
    let (data, away) = (company.settings.data().to_owned(), company.world.path("away"));
    fs::create_dir(&away)?;
    for (from, to) in [("state.sqlite", "state.sqlite"), ("log", "log"), ("keys/sumdb", "key")] {
        fs::rename(data.join(from), away.join(to))?;
    }
    let next = format!("{NAME}/2027");
    company.key = line(&company.settings.run("sumdb init", &[&next])?)?;
    let larder = Larder::start(&company.settings)?;
    // What the old log recorded is recorded anew, without being asked for.
    ensure!(e2e::becomes_true(|| {
        std::thread::sleep(Duration::from_millis(200));
        company
            .settings
            .run("sumdb head", &[])
            .is_ok_and(|head| head.contains("1 records, our own"))
    }));
    let lookup = || larder.get(&format!("/sumdb/{next}/lookup/github.com/u/root@v1.0.0"));
    ensure!(e2e::becomes_true(|| lookup().is_ok_and(|answer| answer.status == 200)));
    // Nothing of the old log's state disturbs the new one.
    builds_with(&at(&user, &larder, &company.key), "github.com/u/mono/sub")?;
    builds(&company.user(&go, "cold", &larder)?)?;
    larder.stop()?;
    let verified = company.settings.run("verify", &[])?;
    ensure!(verified.contains(" 0 exempt, 0 unconfirmed, 0 bad"), "{verified}");
    Ok(())
}
