//! Versions of our own log that are asked for in odd ways: denied, half stored, refused, many at once.

use std::time::Duration;

use proxy::{Config, Error, SumdbError, UpstreamError};
use store::Key;
use testkit::{Behaviour, ModuleVersion};

use crate::company::{AT, Company, LOG, P, look_up, lose, p, private_modules};
use crate::verified::NAME;
use crate::world::{Choices, World, not_found};

const LOOKED_UP: &str = "git.example/p@v1.0.0";

fn denied(choices: Choices) -> Choices {
    let rule = policy::DenyRule { modules: "git.example".into(), reason: Some("not ours".into()) };
    Choices { policy: policy::Config { allow: Vec::new(), deny: vec![rule] }, ..choices }
}

fn file(name: &str) -> bytes::Bytes {
    private_modules().file(&format!("{AT}{name}")).unwrap().clone()
}

/// The source tells of another go.mod now, as when a tag was moved.
fn change_go_mod(company: &Company) {
    let other = ModuleVersion::new(P, "v1.0.0").go_mod("module git.example/p\n\ngo 1.22\n");
    company.git.change(|modules| modules.add(&other));
}

fn is_bad_answer<T: std::fmt::Debug>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Upstream(error)) if matches!(**error, UpstreamError::Invalid { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_mod_of_a_denied_private_version_stays_open() {
    let company = Company::new().await;
    let world = company.world(denied(company.choices())).await;
    for _ in 0..2 {
        assert_eq!(world.near(&format!("{AT}v1.0.0.mod")).await.unwrap(), file("v1.0.0.mod"));
        for asked in [format!("{AT}v1.0.0.zip"), format!("/sumdb/{LOG}/lookup/{LOOKED_UP}")] {
            let refused = world.near(&asked).await;
            assert!(matches!(refused, Err(Error::Denied(_))), "{asked}: {refused:?}");
        }
    }
    assert_eq!(company.git.calls("*.zip"), 0);
    assert_eq!(company.log.head().size(), 0);
    // Allowed, it is recorded whole, with the go.mod that was served.
    let world = world.restarted(company.choices()).await;
    assert_eq!(world.near(&format!("{AT}v1.0.0.zip")).await.unwrap(), file("v1.0.0.zip"));
    let record = look_up(&world, LOOKED_UP).await.unwrap();
    assert_eq!(record.mod_h1(), testkit::h1_of_mod(&file("v1.0.0.mod")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_mod_of_a_denied_version_that_was_recorded_is_held_against_the_record() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    look_up(&world, LOOKED_UP).await.unwrap();
    let world = world.restarted(denied(company.choices())).await;
    lose(&company, &Key::Mod(&p("v1.0.0"))).await;
    change_go_mod(&company);
    let answer = world.near(&format!("{AT}v1.0.0.mod")).await;
    assert!(is_bad_answer(&answer), "{answer:?}");
}

/// Only the zip is stored, and there is a log from now on.
async fn with_lone_zip(company: &Company) -> World {
    let world = company.world(company.without_log()).await;
    world.near(&format!("{AT}v1.0.0.zip")).await.unwrap();
    world.settle().await;
    // It came along with the `.info`, which names the commit.
    lose(company, &Key::Mod(&p("v1.0.0"))).await;
    world.restarted(company.choices()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_from_before_the_log_is_recorded_with_the_go_mod_that_it_lacks() {
    for asked in [format!("{AT}v1.0.0.mod"), format!("/sumdb/{LOG}/lookup/{LOOKED_UP}")] {
        let company = Company::new().await;
        let world = with_lone_zip(&company).await;
        world.near(&asked).await.unwrap();
        assert_eq!(company.log.head().size(), 1, "{asked}");
        assert_eq!(world.near(&format!("{AT}v1.0.0.mod")).await.unwrap(), file("v1.0.0.mod"));
        let record = look_up(&world, LOOKED_UP).await.unwrap();
        assert_eq!(record.zip_h1(), testkit::h1_of_zip(&file("v1.0.0.zip")).unwrap());
        assert_eq!(company.git.calls("*.zip"), 1, "the zip is here");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_mod_that_is_not_that_of_the_stored_zip_is_not_recorded() {
    let company = Company::new().await;
    let world = with_lone_zip(&company).await;
    change_go_mod(&company);
    for _ in 0..2 {
        let answer = world.near(&format!("{AT}v1.0.0.mod")).await;
        assert!(is_bad_answer(&answer), "{answer:?}");
        let answer = look_up(&world, LOOKED_UP).await;
        assert!(is_bad_answer(&answer), "{answer:?}");
    }
    assert_eq!(company.log.head().size(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_mod_that_is_gone_is_fetched_again_and_held_against_its_record() {
    let company = Company::new().await;
    let mut world = company.world(company.choices()).await;
    look_up(&world, LOOKED_UP).await.unwrap();
    for is_changed in [false, true] {
        world = world.restarted(company.choices()).await;
        lose(&company, &Key::Mod(&p("v1.0.0"))).await;
        if is_changed {
            change_go_mod(&company);
        }
        let answer = world.near(&format!("{AT}v1.0.0.mod")).await;
        assert_eq!(is_bad_answer(&answer), is_changed, "{answer:?}");
        assert!(is_changed || answer.unwrap() == file("v1.0.0.mod"));
        look_up(&world, LOOKED_UP).await.unwrap();
    }
    assert_eq!(company.git.calls("*.zip"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_zip_is_not_fetched_by_every_look_up() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    company.git.behave("*.zip", Behaviour::new().body("no zip at all"));
    for _ in 0..3 {
        let answer = look_up(&world, LOOKED_UP).await;
        assert!(is_bad_answer(&answer), "{answer:?}");
        let answer = world.near(&format!("{AT}v1.0.0.mod")).await;
        assert!(is_bad_answer(&answer), "{answer:?}");
    }
    assert_eq!(company.git.calls("*.zip"), 1);
    assert_eq!(company.log.head().size(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_look_ups_in_our_log_take_turns() {
    let company = Company::new().await;
    let config = Config { max_flights: 2, ..Config::default() };
    let world = company.world(Choices { config, ..company.choices() }).await;
    for version in 0..8 {
        let module = ModuleVersion::new("example.com/crowd", &format!("v1.{version}.0"));
        world.upstream.change(|modules| modules.add(&module));
    }
    company.sumdb.add_modules(&world.upstream.modules());
    // The first one brings the head, for which the others would wait.
    look_up(&world, "example.com/m@v1.0.0").await.unwrap();
    company.sumdb.behave("/lookup/*", Behaviour::new().delay(Duration::from_millis(300)));
    let before = company.sumdb.calls("/lookup/*");
    let ask =
        async |version: u32| look_up(&world, &format!("example.com/crowd@v1.{version}.0")).await;
    let all = futures_util::future::join_all((0..8).map(ask));
    let peak = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        // What is known needs no turn.
        look_up(&world, "example.com/m@v1.0.0").await.unwrap();
        company.sumdb.calls("/lookup/*") - before
    };
    let (answers, peak) = tokio::join!(all, peak);
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert!((1..=2).contains(&peak), "{peak} at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_up_is_malformed_in_every_log() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    for log in [LOG, NAME] {
        for asked in ["git.example/p@main", "git.example/p@v1", "git.example/p@v1.0.0/go.mod", "p"]
        {
            let path = format!("/sumdb/{log}/lookup/{asked}");
            let answer = world.near(&path).await;
            let Err(Error::Sumdb(error)) = &answer else { panic!("{path}: {answer:?}") };
            assert!(matches!(**error, SumdbError::Malformed { .. }), "{path}: {error:?}");
            assert!(error.to_string().contains(asked), "{error}");
        }
        let error = world.near(&format!("/sumdb/{log}/nonsense")).await.unwrap_err();
        assert_eq!(not_found(&error).0, 404);
    }
    assert_eq!(company.heard(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_another_process_writes_is_told() {
    let company = Company::new().await;
    let world = company.world(company.choices()).await;
    look_up(&world, LOOKED_UP).await.unwrap();
    assert_eq!(world.proxy.degraded(), []);
    company.state.log(LOG).await.unwrap().unwrap().lead().await.unwrap();
    // The first one finds out, the second comes when it is known.
    for _ in 0..2 {
        let answer = look_up(&world, &format!("{P}@v1.1.0")).await;
        assert!(matches!(answer, Err(Error::Own(_))), "{answer:?}");
    }
    let reasons: Vec<_> = world.proxy.degraded().into_iter().map(|(slug, _)| slug).collect();
    assert_eq!(reasons, ["log_taken_over"]);
    assert!(proxy::Proxy::DEGRADED_REASONS.contains(&reasons[0]));
    look_up(&world, LOOKED_UP).await.unwrap();
}
