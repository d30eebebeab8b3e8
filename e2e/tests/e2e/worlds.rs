//! Worlds that fail: upstreams that lie or fall silent, clients that leave, disks that are full.

use std::time::{Duration, Instant};

use e2e::{Disk, Larder, Settings};
use testkit::{Behaviour, ModuleVersion, Modules, Request};

use super::Stage;

const INFO: &str = "/example.com/a/@v/v1.0.0.info";
const MOD: &str = "/example.com/a/@v/v1.0.0.mod";
const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";
const LIST: &str = "/example.com/a/@v/list";

/// A zip large enough to be sent on while it is still being fetched.
fn modules() -> Modules {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/a", "v1.0.0").noise("noise", 3_000_000, 1));
    modules
}

/// One attempt only, so that one failure is enough.
fn stage() -> anyhow::Result<Stage> {
    Stage::with(modules(), |settings| settings.with("LARDER_OUTBOUND_ATTEMPTS", "1"))
}

/// Whether the tree holds a file of this kind (`zip`); of any kind when it is empty.
fn holds(stage: &Stage, kind: &str) -> anyhow::Result<bool> {
    let files = e2e::files_below(&stage.settings.data().join("modules"))?;
    Ok(files
        .iter()
        .any(|file| kind.is_empty() || file.extension().is_some_and(|found| found == kind)))
}

#[test]
fn the_upstreams_status_is_told_truthfully() -> anyhow::Result<()> {
    let told = [
        (404, 404),
        (410, 410),
        (403, 403),
        (451, 403),
        (401, 502),
        (407, 502),
        (400, 502),
        (429, 503),
        (500, 502),
        (503, 502),
    ];
    for (theirs, ours) in told {
        let stage = stage()?;
        stage.upstream.behave("*", Behaviour::new().status(theirs).body("its own words\n"));
        for path in [LIST, INFO, MOD, ZIP, "/example.com/a/@latest"] {
            let answer = stage.larder.get(path)?;
            assert_eq!(answer.status, ours, "{path}: {theirs}: {}", answer.text());
            let verbatim = answer.text().starts_with("its own words\n");
            assert!(verbatim || !matches!(theirs, 404 | 410), "{path}: {}", answer.text());
        }
        assert!(!holds(&stage, "")?, "{theirs}");
    }
    Ok(())
}

#[test]
fn a_login_page_is_no_answer() -> anyhow::Result<()> {
    for path in [LIST, INFO, MOD, ZIP, "/example.com/a/@latest"] {
        let stage = stage()?;
        stage.upstream.behave("*", Behaviour::html());
        let answer = stage.larder.get(path)?;
        assert_eq!(answer.status, 502, "{path}: {}", answer.text());
        assert!(!holds(&stage, "")?, "{path}");
    }
    Ok(())
}

#[test]
fn an_info_of_another_version_is_refused() -> anyhow::Result<()> {
    let stage = stage()?;
    for body in [
        r#"{"Version":"v1.0.1"}"#,
        r#"{"Version":"main"}"#,
        r#"{"Time":"2024-01-01T00:00:00Z"}"#,
        "{",
        "v1.0.0",
    ] {
        stage.upstream.behave(INFO, Behaviour::new().body(body));
        let answer = stage.larder.get(INFO)?;
        assert_eq!(answer.status, 502, "{body}: {}", answer.text());
    }
    assert!(!holds(&stage, "info")?);
    Ok(())
}

#[test]
fn a_broken_body_is_never_taken_for_whole() -> anyhow::Result<()> {
    let half = Behaviour::new().cut_after(1_500_000);
    let lies = [
        half.clone(),
        half.chunked(),
        Behaviour::new().claim_length(4_000_000),
        Behaviour::new().claim_length(2_000_000),
    ];
    for lie in lies {
        let stage = stage()?;
        stage.upstream.behave("*.zip", lie.clone());
        let first = stage.larder.get(ZIP)?;
        assert!(
            first.status == 502 || !first.whole,
            "{lie:?}: {} {} bytes",
            first.status,
            first.body.len()
        );
        let (second, calls) = (stage.larder.get(ZIP)?, stage.upstream.calls("*.zip"));
        assert_eq!((second.status, calls), (502, 1), "{lie:?}: the reason comes at once");
        assert!(!holds(&stage, "zip")?, "{lie:?}");
    }
    Ok(())
}

#[test]
fn a_cut_body_is_resumed_when_the_upstream_offers_it() -> anyhow::Result<()> {
    let stage = Stage::new(modules())?;
    stage.upstream.behave("*.zip", Behaviour::new().resumable());
    stage.upstream.behave("*.zip", Behaviour::new().resumable().cut_after(1_500_000).times(1));
    let answer = stage.larder.get(ZIP)?;
    assert_eq!((answer.status, answer.whole), (200, true));
    assert_eq!(Some(&*answer.body), stage.upstream.modules().file(ZIP).map(AsRef::as_ref));
    let whole = answer.body.len() as u64;
    assert_eq!(
        (stage.upstream.calls("*.zip"), stage.upstream.bytes_sent("*.zip")),
        (2, whole),
        "no byte came twice"
    );
    Ok(())
}

/// Name and content of a file in a zip.
type Entry = (&'static str, &'static [u8]);

#[test]
fn zips_that_break_a_rule_are_refused_once_and_for_all() -> anyhow::Result<()> {
    const GO_MOD: Entry = ("example.com/a@v1.0.0/go.mod", b"module example.com/a\n\ngo 1.21\n");
    let broken: [(&str, Vec<Entry>); 9] = [
        ("outside the module", vec![GO_MOD, ("example.com/b@v1.0.0/b.go", b"package b\n")]),
        ("without a prefix", vec![GO_MOD, ("b.go", b"package b\n")]),
        ("another version", vec![("example.com/a@v1.0.1/a.go", b"package a\n")]),
        ("nested go.mod", vec![GO_MOD, ("example.com/a@v1.0.0/x/go.mod", b"module x\n")]),
        ("go.mod in capitals", vec![("example.com/a@v1.0.0/GO.MOD", b"module x\n")]),
        ("upwards", vec![GO_MOD, ("example.com/a@v1.0.0/../x", b"x")]),
        (
            "only case differs",
            vec![
                GO_MOD,
                ("example.com/a@v1.0.0/a.go", b"package a\n"),
                ("example.com/a@v1.0.0/A.go", b"package a\n"),
            ],
        ),
        (
            "file and folder",
            vec![GO_MOD, ("example.com/a@v1.0.0/x", b"x"), ("example.com/a@v1.0.0/x/y", b"y")],
        ),
        ("device name", vec![GO_MOD, ("example.com/a@v1.0.0/con.go", b"package a\n")]),
    ];
    for (what, files) in broken {
        let stage = stage()?;
        let zip = testkit::zip(&files)?;
        stage.upstream.change(|modules| modules.raw(ZIP, zip));
        for _ in 0..2 {
            let answer = stage.larder.get(ZIP)?;
            assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        }
        assert_eq!(stage.upstream.calls("*.zip"), 1, "{what}");
        assert!(!holds(&stage, "zip")?, "{what}");
    }
    Ok(())
}

#[test]
fn what_is_no_zip_is_refused() -> anyhow::Result<()> {
    for body in ["", "PK", "not a zip at all"] {
        let stage = stage()?;
        stage.upstream.behave("*.zip", Behaviour::new().body(body));
        assert_eq!(stage.larder.get(ZIP)?.status, 502, "{body:?}");
    }
    Ok(())
}

#[test]
fn a_zip_with_another_go_mod_does_not_change_the_mod() -> anyhow::Result<()> {
    let stage = stage()?;
    let go_mod = stage.larder.get(MOD)?.body;
    let other =
        ModuleVersion::new("example.com/a", "v1.0.0").requires("example.com/evil", "v1.0.0");
    stage.upstream.change(|modules| modules.add(&other));
    stage.larder.get(ZIP)?;
    let again = stage.larder.get(MOD)?;
    assert_eq!((again.status, again.body), (200, go_mod));
    Ok(())
}

#[test]
fn a_client_that_leaves_does_not_end_the_fetch() -> anyhow::Result<()> {
    let stage = stage()?;
    stage.upstream.behave("*.zip", Behaviour::new().throttle(6_000_000));
    let leaving = Request::new("GET", &format!("{}{ZIP}", stage.larder.url()))
        .timeout(Duration::from_millis(50));
    drop(leaving.send());
    let answer = stage.larder.get(ZIP)?;
    assert_eq!((answer.status, answer.whole, stage.upstream.calls("*.zip")), (200, true, 1));
    Ok(())
}

#[test]
fn many_waiters_cost_one_fetch() -> anyhow::Result<()> {
    let stage = stage()?;
    stage
        .upstream
        .behave("*.zip", Behaviour::new().delay(Duration::from_millis(200)).throttle(6_000_000));
    let modules = stage.upstream.modules();
    let truth = modules.file(ZIP).map(AsRef::<[u8]>::as_ref);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..50).map(|_| scope.spawn(|| stage.larder.get(ZIP))).collect();
        for waiter in waiters {
            let answer = waiter.join().expect("no waiter panics")?;
            assert!(answer.whole && Some(answer.body.as_slice()) == truth, "{}", answer.status);
        }
        anyhow::Ok(())
    })?;
    assert_eq!(stage.upstream.calls("*.zip"), 1);
    Ok(())
}

#[test]
fn a_silent_upstream_is_left_after_the_limit() -> anyhow::Result<()> {
    let stage = Stage::with(modules(), |settings| {
        let settings = settings.with("LARDER_OUTBOUND_ATTEMPTS", "1");
        settings
            .with("LARDER_OUTBOUND_FIRST_BYTE_LIST", "300ms")
            .with("LARDER_OUTBOUND_FIRST_BYTE_FILE", "300ms")
    })?;
    stage.upstream.behave("*", Behaviour::silent());
    for path in [LIST, INFO, ZIP] {
        let started = Instant::now();
        let answer = stage.larder.get(path)?;
        assert_eq!(answer.status, 504, "{path}: {}", answer.text());
        assert!(started.elapsed() < Duration::from_secs(3), "{path}: {:?}", started.elapsed());
    }
    Ok(())
}

#[test]
fn a_body_that_stalls_is_left_after_the_limit() -> anyhow::Result<()> {
    let stage = Stage::with(modules(), |settings| {
        settings
            .with("LARDER_OUTBOUND_ATTEMPTS", "1")
            .with("LARDER_OUTBOUND_BETWEEN_BYTES_TIMEOUT", "300ms")
    })?;
    stage.upstream.behave("*", Behaviour::new().throttle(0));
    let started = Instant::now();
    let answer = stage.larder.get(ZIP)?;
    assert!(answer.status == 504 || !answer.whole, "{} {}", answer.status, answer.text());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_full_disk_stops_fetches_and_not_hits() -> anyhow::Result<()> {
    let mut modules = modules();
    for index in 0..6 {
        modules.add(
            &ModuleVersion::new(&format!("example.com/more{index}"), "v1.0.0")
                .noise("noise", 3_000_000, index),
        );
    }
    let stage = Stage::with(modules, |settings| settings.on(Disk::Small(12)))?;
    let first = stage.larder.get(ZIP)?;
    assert_eq!((first.status, first.whole), (200, true));
    let mut stopped = 0;
    for index in 0..6 {
        let answer = stage.larder.get(&format!("/example.com/more{index}/@v/v1.0.0.zip"))?;
        assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.text());
        stopped += usize::from(answer.status == 503 || !answer.whole);
    }
    assert!(stopped >= 3, "{stopped} of six did not fit");
    let again = stage.larder.get(ZIP)?;
    assert_eq!((again.status, again.body == first.body), (200, true), "{}", again.text());
    assert_eq!(stage.larder.get("/readyz")?.status, 200);
    Ok(())
}

#[test]
fn a_read_only_disk_serves_what_is_stored() -> anyhow::Result<()> {
    let Stage { larder, upstream, settings, folder: _folder } = stage()?;
    let first = larder.get(ZIP)?;
    assert!(larder.stop()?.success());
    let larder = Larder::start(&settings.on(Disk::ReadOnly))?;
    let again = larder.get(ZIP)?;
    assert_eq!((again.status, again.body == first.body), (200, true), "{}", again.text());
    let missing = larder.get("/example.com/b/@v/v1.0.0.zip")?;
    assert_eq!(missing.status, 503, "{}", missing.text());
    assert_eq!(larder.get("/readyz")?.status, 200);
    drop(upstream);
    Ok(())
}

#[test]
fn a_second_larder_waits_for_the_data_folder() -> anyhow::Result<()> {
    let Stage { larder, upstream: _upstream, settings, folder: _folder } = stage()?;
    let second = Larder::start_alive(&settings)?;
    assert_eq!(second.get("/readyz")?.status, 503);
    assert_eq!(larder.get(ZIP)?.status, 200);
    assert!(larder.stop()?.success());
    let deadline = Instant::now() + Duration::from_secs(10);
    while second.get("/readyz")?.status != 200 {
        assert!(Instant::now() < deadline, "the second never took over");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(second.get(ZIP)?.status, 200);
    Ok(())
}

#[test]
fn below_min_free_nothing_is_fetched() -> anyhow::Result<()> {
    let stage = Stage::with(modules(), |settings: Settings| {
        settings.with("LARDER_STORE_MIN_FREE", "1000TiB")
    })?;
    let answer = stage.larder.get(ZIP)?;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(stage.larder.get("/readyz")?.status, 200);
    Ok(())
}
