//! A server that fails in every way, and what its clients are told.

use std::time::{Duration, Instant};

use upstream::{Error, Limits, MAX_INFO_BYTES, MAX_LIST_BYTES, Trouble};

use crate::{
    fake::{Answer, Fake, not_found, ok, status},
    gone, limited, module, path, query, source, staged,
};

async fn list(answer: Answer) -> Error {
    let fake = Fake::always(answer).await;
    source(&fake.url()).list(&path("example.com/m")).await.unwrap_err()
}

#[tokio::test]
async fn statuses_become_what_the_client_should_be_told() {
    let text = |error: Error| match error {
        Error::NotFound { text, status, .. } => format!("absent {status} {}", text.unwrap()),
        Error::Forbidden { text, .. } => format!("forbidden {}", text.unwrap()),
        Error::Refused { .. } => "refused".to_owned(),
        Error::Unavailable { kind, .. } => format!("{kind:?}"),
        other => panic!("{other:?}"),
    };
    for (code, expected) in [
        (404, "absent 404 the reason"),
        (410, "absent 410 the reason"),
        (403, "forbidden the reason"),
        (451, "forbidden the reason"),
        (401, "refused"),
        (407, "refused"),
        (429, "Overloaded"),
        (400, "Broken"),
        (500, "Broken"),
        (503, "Broken"),
    ] {
        assert_eq!(text(list(status(code)).await), expected, "{code}");
    }
}

#[tokio::test]
async fn a_403_to_our_credential_is_ours_to_mend() {
    let fake = Fake::always(status(403)).await;
    let url = fake.url().replace("http://", "http://user:secret@");
    let error = source(&url).list(&path("example.com/m")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn pages_are_refused_with_and_without_their_type() {
    let page = b"<!DOCTYPE html><p>log in</p>\nv1.0.0\n".to_vec();
    for kind in ["content-type: text/html\r\n", ""] {
        let error = list(Answer::Status(200, kind, page.clone())).await;
        assert!(matches!(&error, Error::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains("login page"), "{error}");
    }
    let fake = Fake::always(ok(page)).await;
    let error = source(&fake.url()).go_mod(&module("example.com/m", "v1.0.0")).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn bodies_are_bounded_by_kind() {
    let sized = |size: u64| ok(vec![b'x'; usize::try_from(size).unwrap()]);
    let path = path("example.com/m");
    let fake = Fake::always(sized(MAX_LIST_BYTES)).await;
    assert!(source(&fake.url()).list(&path).await.is_ok());
    fake.set("*", sized(MAX_LIST_BYTES + 1));
    let error = source(&fake.url()).list(&path).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");

    let module = module("example.com/m", "v1.0.0");
    fake.set("*", sized(gomod::modfile::MAX_MOD_BYTES));
    assert!(source(&fake.url()).go_mod(&module).await.is_ok());
    fake.set("*", sized(gomod::modfile::MAX_MOD_BYTES + 1));
    assert!(source(&fake.url()).go_mod(&module).await.is_err());

    fake.set("*", sized(MAX_INFO_BYTES + 1));
    let error = source(&fake.url()).latest(&path).await.unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");

    let too_long = usize::try_from(upstream::MAX_ZIP_BYTES + 1).unwrap();
    fake.set("*", Answer::Cut(b"PK".to_vec(), too_long));
    let mut into = staged().await;
    let error = source(&fake.url()).zip(&module, &mut into).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert_eq!(into.written(), 0);
}

#[tokio::test]
async fn silence_is_a_timeout_by_the_limit_of_its_kind() {
    let fake = Fake::always(Answer::Silent(Duration::from_secs(5))).await;
    let path = path("example.com/m");
    let short = Duration::from_millis(200);
    let limits = Limits { list_first_byte: short, file_first_byte: short * 5, ..Limits::default() };
    let source = limited(&fake.url(), limits);
    let started = Instant::now();
    let error = source.list(&path).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { kind: Trouble::Timeout, .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let started = Instant::now();
    let error = source.info(&path, &query(&path, "v1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { kind: Trouble::Timeout, .. }), "{error:?}");
    assert!(started.elapsed() > short * 5, "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_second_answer_of_a_source_in_trouble_comes_at_once() {
    let fake = Fake::always(status(503)).await;
    let source = source(&fake.url());
    let path = path("example.com/m");
    let first = source.list(&path).await.unwrap_err();
    let second = source.list(&path).await.unwrap_err();
    assert_eq!((first.to_string(), fake.count()), (second.to_string(), 1));
    let Error::Unavailable { retry_after, .. } = second else { panic!("{second:?}") };
    assert!(retry_after.is_some());
    // Another question is asked, and its answer frees the source, not the first question.
    fake.set("*", not_found("not found"));
    assert!(source.latest(&path).await.unwrap_err().is_not_found());
    assert!(!source.list(&path).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_dead_source_is_held_as_a_whole_and_asked_again_later() {
    let gone = gone();
    let source = source(&gone);
    assert!(source.list(&path("example.com/a")).await.is_err());
    assert!(source.health().unwrap().contains("refused"));
    let address = gone.trim_start_matches("http://").trim_end_matches("/go");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let error = source.list(&path("example.com/b")).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    let asked = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(asked.is_err(), "the source was asked although it is held");
}

#[tokio::test]
async fn a_held_source_does_not_tell_what_others_asked_for() {
    let fake = Fake::always(status(503)).await;
    let source = source(&fake.url());
    for name in ["example.com/secret-a", "example.com/secret-b", "example.com/secret-c"] {
        assert!(source.list(&path(name)).await.is_err());
    }
    let error = source.list(&path("example.com/m")).await.unwrap_err();
    assert_eq!(fake.count(), 3, "the source is held");
    let told = format!("{error} {}", source.health().unwrap());
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test]
async fn questions_beyond_the_limit_wait_in_order_and_no_limit_of_time_runs_meanwhile() {
    let fake = Fake::always(Answer::Silent(Duration::from_secs(5))).await;
    let limit = Duration::from_millis(300);
    let limits = Limits { list_first_byte: limit, flights: 1, ..Limits::default() };
    let source = limited(&fake.url(), limits);
    let paths = ["a", "b", "c", "d", "e"].map(|name| path(&format!("example.com/{name}")));
    let started = Instant::now();
    let ask = async |number: usize| {
        let error = source.list(&paths[number]).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { kind: Trouble::Timeout, .. }), "{error:?}");
        (started.elapsed(), fake.count())
    };
    let ended = tokio::join!(ask(0), ask(1), ask(2), ask(3), ask(4));
    let ended = [ended.0, ended.1, ended.2];
    // One at a time, each with its whole limit; the third failure holds the source.
    for (number, (elapsed, count)) in ended.iter().enumerate() {
        let turns = u32::try_from(number).unwrap() + 1;
        assert!(*elapsed >= limit * turns && *count <= number + 2, "{ended:?}");
    }
    assert_eq!(fake.count(), 3, "who waited for a held source does not ask it");
}

#[tokio::test]
async fn absent_modules_and_400s_are_no_trouble_of_the_source() {
    for answer in [not_found("no"), status(400), status(500), status(403), ok("<html>")] {
        let fake = Fake::always(answer).await;
        let source = source(&fake.url());
        for name in ["a.b/c/d/e/f", "a.b/c/d/e", "a.b/c/d", "a.b/c", "a.b"] {
            assert!(source.list(&path(name)).await.is_err());
        }
        assert_eq!((fake.count(), source.health()), (5, None));
    }
}

#[tokio::test]
async fn a_cut_zip_is_trouble_and_keeps_what_came() {
    let fake = Fake::always(Answer::Cut(b"PK-half".to_vec(), 20)).await;
    let mut into = staged().await;
    let module = module("example.com/m", "v1.0.0");
    let error = source(&fake.url()).zip(&module, &mut into).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { kind: Trouble::Broken, .. }), "{error:?}");
    assert!(error.to_string().contains("cut after 7 bytes"), "{error}");
    assert_eq!(into.follower().expected(), Some(20));
}
