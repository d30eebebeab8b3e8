//! How a server starts, stops and refuses.

use std::time::{Duration, Instant};

use e2e::{Go, Larder, Settings, Signal};
use testkit::{Authority, FakeUpstream, ModuleVersion, Modules};

use super::Stage;

const INFO: &str = "/example.com/a/@v/v1.0.0.info";
const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";

fn modules() -> Modules {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/a", "v1.0.0"));
    modules.add(&ModuleVersion::new("example.com/secret/b", "v1.0.0"));
    modules
}

#[test]
fn sigterm_drains_and_ends_well() -> anyhow::Result<()> {
    let stage = Stage::with(modules(), |settings| settings.with("LARDER_SERVER_DRAIN", "1s"))?;
    let started = Instant::now();
    stage.larder.signal(Signal::TERM)?;
    let deadline = started + Duration::from_secs(2);
    while stage.larder.get("/readyz")?.status == 200 {
        assert!(Instant::now() < deadline, "still ready");
    }
    assert_eq!(stage.larder.get(ZIP)?.status, 200, "normal service while draining");
    assert!(stage.larder.wait()?.success());
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_second_sigterm_ends_the_drain() -> anyhow::Result<()> {
    let stage = Stage::with(modules(), |settings| {
        settings.with("LARDER_SERVER_DRAIN", "15s").with("LARDER_SERVER_STOP_TIMEOUT", "20s")
    })?;
    let started = Instant::now();
    stage.larder.signal(Signal::TERM)?;
    while stage.larder.get("/readyz")?.status == 200 {
        assert!(started.elapsed() < Duration::from_secs(2), "still ready");
    }
    assert!(stage.larder.stop()?.success());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn sighup_does_not_end_it() -> anyhow::Result<()> {
    let stage = Stage::new(modules())?;
    stage.larder.signal(Signal::HUP)?;
    for _ in 0..10 {
        assert_eq!(stage.larder.get("/healthz")?.status, 200);
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn a_request_that_comes_back_is_a_loop() -> anyhow::Result<()> {
    let stage = Stage::new(modules())?;
    stage.larder.get(INFO)?;
    let seen = stage.upstream.seen();
    let via =
        seen.first().and_then(|seen| seen.header("via")).expect("larder names itself to upstreams");
    let answer = stage.larder.request("GET", INFO).header("Via", via).send()?;
    assert_eq!(answer.status, 508, "{}", answer.text());
    Ok(())
}

#[test]
fn what_is_denied_is_403_with_its_reason_and_go_mod_stays_open() -> anyhow::Result<()> {
    let deny = r#"[{ modules = "example.com/secret", reason = "ask the platform team" }]"#;
    let stage = Stage::with(modules(), |settings| settings.with("LARDER_POLICY_DENY", deny))?;
    for (file, status) in [
        ("list", 403),
        ("v1.0.0.info", 403),
        ("v1.0.0.zip", 403),
        ("v1.0.0.mod", 200),
        ("v9.9.9.info", 404),
    ] {
        let answer = stage.larder.get(&format!("/example.com/secret/b/@v/{file}"))?;
        assert_eq!(answer.status, status, "{file}: {}", answer.text());
        assert!(
            status != 403 || answer.text().contains("ask the platform team"),
            "{}",
            answer.text()
        );
    }
    Ok(())
}

#[test]
fn offline_serves_what_is_stored_and_asks_nobody() -> anyhow::Result<()> {
    let Stage { larder, upstream, settings, folder: _folder } = Stage::new(modules())?;
    let zip = larder.get(ZIP)?.body;
    larder.get(INFO)?;
    assert!(larder.stop()?.success());
    upstream.reset_counts();
    let larder = Larder::start(&settings.with("LARDER_PROXY_OFFLINE", "true"))?;
    assert_eq!(larder.get(ZIP)?.body, zip);
    assert_eq!(larder.get("/example.com/a/@v/list")?.text(), "v1.0.0\n");
    assert_eq!(larder.get("/example.com/secret/b/@v/v1.0.0.info")?.status, 404);
    assert_eq!(upstream.calls("*"), 0);
    Ok(())
}

#[test]
fn cached_only_asks_nobody() -> anyhow::Result<()> {
    let stage = Stage::new(modules())?;
    let cached_only = || stage.larder.get(&format!("/cached-only{INFO}"));
    assert_eq!(cached_only()?.status, 404);
    assert_eq!(stage.upstream.calls("*"), 0);
    assert_eq!(stage.larder.get(INFO)?.status, 200);
    assert_eq!(cached_only()?.status, 200);
    Ok(())
}

#[test]
fn go_works_over_tls_at_both_ends() -> anyhow::Result<()> {
    let (authority, folder) = (Authority::new()?, tempfile::tempdir()?);
    let trusted = folder.path().join("authority.pem");
    std::fs::write(&trusted, authority.pem())?;
    let trusted = trusted.display().to_string();
    let upstream = FakeUpstream::start_tls(modules(), &authority.issue(&["127.0.0.1"])?)?;
    let settings = Settings::new(&folder.path().join("data"), &upstream.url())
        .with("LARDER_OUTBOUND_CA_FILES", &trusted);
    let larder = Larder::start(&settings.tls(&authority)?)?;
    for go in Go::all()? {
        let client = go.client(folder.path(), larder.url())?.with("SSL_CERT_FILE", &trusted);
        let project = client.project(&[("example.com/a", "v1.0.0")])?;
        assert_eq!(project.build_and_run()?, "v1.0.0\n", "{}", go.version());
    }
    Ok(())
}
