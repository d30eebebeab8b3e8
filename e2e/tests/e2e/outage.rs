//! The upstream is gone.

use std::time::{Duration, Instant};

use e2e::{Go, Larder, Settings};
use testkit::{Behaviour, ModuleVersion, Modules};

use super::Stage;

fn modules() -> Modules {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/leaf", "v1.0.0"));
    let main = "package main\n\nfunc main() {}\n";
    modules.add(
        &ModuleVersion::new("example.com/Tool", "v1.0.0")
            .file("lib.go", main)
            .requires("example.com/leaf", "v1.0.0"),
    );
    modules
}

const REQUIRES: [(&str, &str); 1] = [("example.com/leaf", "v1.0.0")];

#[test]
fn what_was_built_once_builds_again() -> anyhow::Result<()> {
    for go in Go::all()? {
        let Stage { larder, upstream, folder, .. } = Stage::new(modules())?;
        let build = || go.client(folder.path(), larder.url())?.project(&REQUIRES)?.build_and_run();
        let install =
            || go.client(folder.path(), larder.url())?.go(&["install", "example.com/Tool@v1.0.0"]);
        build()?;
        install()?;
        drop(upstream);
        assert_eq!(build()?, "v1.0.0\n", "{}", go.version());
        install()?;
    }
    Ok(())
}

#[test]
fn stored_files_and_old_lists_come_without_delay() -> anyhow::Result<()> {
    // Every list is asked for anew, so that the outage is met each time.
    let stage = Stage::with(modules(), |settings| {
        settings.with("LARDER_PROXY_LIST_FRESH", "0s").with("LARDER_PROXY_LIST_STALE", "0s")
    })?;
    let paths = [
        "/example.com/leaf/@v/list",
        "/example.com/leaf/@v/v1.0.0.info",
        "/example.com/leaf/@v/v1.0.0.zip",
    ];
    let before = paths.map(|path| stage.larder.get(path).map(|answer| answer.body));
    stage.upstream.behave("*", Behaviour::new().status(503));
    for (path, before) in paths.iter().zip(before) {
        // The first answer may have waited for retries, the next one knows.
        stage.larder.get(path)?;
        let started = Instant::now();
        let answer = stage.larder.get(path)?;
        assert_eq!((answer.status, answer.body), (200, before?), "{path}");
        assert!(started.elapsed() < Duration::from_secs(1), "{path}: {:?}", started.elapsed());
    }
    Ok(())
}

#[test]
fn the_modules_folder_alone_is_a_proxy() -> anyhow::Result<()> {
    for go in Go::all()? {
        let Stage { larder, upstream, settings, folder } = Stage::new(modules())?;
        go.client(folder.path(), larder.url())?.project(&REQUIRES)?.build_and_run()?;
        assert!(larder.stop()?.success());
        drop(upstream);
        let proxy = format!("file://{}", settings.data().join("modules").display());
        let project = go.client(folder.path(), &proxy)?.project(&REQUIRES)?;
        assert_eq!(project.build_and_run()?, "v1.0.0\n", "{}", go.version());
    }
    Ok(())
}

#[test]
fn a_restarted_larder_serves_what_it_stored() -> anyhow::Result<()> {
    let Stage { larder, upstream, settings, folder: _folder } = Stage::new(modules())?;
    let path = "/example.com/leaf/@v/v1.0.0.zip";
    let first = larder.get(path)?;
    assert!(larder.stop()?.success());
    drop(upstream);
    let again = Larder::start(&settings)?.get(path)?;
    assert_eq!((again.status, again.body), (200, first.body));
    Ok(())
}

#[test]
fn an_upstream_that_refuses_is_no_missing_module() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let nobody = format!("http://127.0.0.1:{}", e2e::free_port()?);
    let larder = Larder::start(&Settings::new(&folder.path().join("data"), &nobody))?;
    let answer = larder.get("/example.com/leaf/@v/v1.0.0.info")?;
    assert!(matches!(answer.status, 502..=504), "{} {}", answer.status, answer.text());
    Ok(())
}
