//! Fallback: who is asked next, and whose error is told.

use std::{sync::Arc, time::Duration};

use gomod::goproxy::Separator::{Comma, Pipe};
use store::Staged;
use upstream::{Error, Link, LinkKind, Upstream};

use crate::{
    chain,
    fake::{Answer, Fake, not_found, ok, status},
    gone, link, module, path, query, source, staged,
};

const GOOD: &str = r#"{"Version":"v1.0.0"}"#;

/// One question to a chain of servers with these answers and separators.
async fn asked(
    links: Vec<(Answer, gomod::goproxy::Separator)>,
    end: Option<LinkKind>,
) -> (Result<String, Error>, Vec<usize>) {
    let mut servers = Vec::new();
    let mut built = Vec::new();
    for (answer, fall) in links {
        let fake = Fake::always(answer).await;
        built.push(link(source(&fake.url()), fall));
        servers.push(fake);
    }
    built.extend(end.map(|kind| Link { kind, fall: Comma }));
    let path = path("example.com/m");
    let answer = chain(built).info(&path, &query(&path, "v1.0.0")).await;
    (answer.map(|info| info.version.to_string()), servers.iter().map(Fake::count).collect())
}

#[tokio::test]
async fn not_found_goes_on_whatever_the_separator() {
    for (status, fall) in [(404, Comma), (410, Comma), (404, Pipe), (410, Pipe)] {
        let (answer, counts) =
            asked(vec![(crate::fake::status(status), fall), (ok(GOOD), Comma)], None).await;
        assert_eq!((answer.unwrap().as_str(), counts), ("v1.0.0", vec![1, 1]));
    }
}

#[tokio::test]
async fn other_errors_go_on_across_a_pipe_only() {
    for bad in [status(500), status(403), status(401), ok("no json"), Answer::Cut(vec![], 9)] {
        let (answer, counts) = asked(vec![(bad.clone(), Comma), (ok(GOOD), Comma)], None).await;
        assert!(answer.is_err() && counts == [1, 0], "{bad:?} {answer:?} {counts:?}");
        let (answer, counts) = asked(vec![(bad.clone(), Pipe), (ok(GOOD), Comma)], None).await;
        assert!(answer.is_ok() && counts == [1, 1], "{bad:?} {answer:?} {counts:?}");
    }
}

fn told(error: &Error) -> String {
    match error {
        Error::NotFound { text, status, .. } => {
            format!("{status} {}", text.as_deref().unwrap_or("-"))
        }
        Error::Unavailable { reason, .. } => reason.clone(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn the_error_that_go_would_tell_is_told() {
    let first = || not_found("not found: first");
    let last = || not_found("not found: last");
    // Among equals the last, and any other error before a "not found".
    let (answer, _) = asked(vec![(first(), Comma), (last(), Comma)], None).await;
    assert_eq!(told(&answer.unwrap_err()), "404 not found: last");
    let (answer, _) = asked(vec![(status(500), Pipe), (last(), Comma)], None).await;
    assert!(told(&answer.unwrap_err()).contains("500"));
    let (answer, _) = asked(vec![(first(), Comma), (status(500), Comma)], None).await;
    assert!(told(&answer.unwrap_err()).contains("500"));
    let (answer, _) = asked(vec![(status(500), Pipe), (status(501), Pipe)], None).await;
    assert!(told(&answer.unwrap_err()).contains("501"));
}

#[tokio::test]
async fn what_was_answered_before_direct_or_off_stands_unchanged() {
    for end in [LinkKind::Direct(None), LinkKind::Off] {
        let first = vec![(not_found("404 page not found"), Comma)];
        let (answer, _) = asked(first, Some(end.clone())).await;
        assert_eq!(told(&answer.unwrap_err()), "404 404 page not found");
        let (answer, _) = asked(vec![(status(500), Pipe)], Some(end)).await;
        assert!(told(&answer.unwrap_err()).contains("500"));
    }
}

#[tokio::test]
async fn where_nobody_was_asked_the_module_is_named() {
    let ends = [(Some(LinkKind::Direct(None)), true), (Some(LinkKind::Off), false), (None, false)];
    for (end, expected) in ends {
        let (answer, _) = asked(vec![], end).await;
        let error = answer.unwrap_err();
        assert!(error.to_string().contains("example.com/m@v1.0.0"), "{error}");
        assert!(matches!(error, Error::NoSource { direct, .. } if direct == expected));
    }
}

#[tokio::test]
async fn a_pinned_source_is_asked_first_and_its_absence_leads_to_the_others_in_order() {
    let (first, second, third) =
        (Fake::always(ok(GOOD)).await, Fake::always(ok(GOOD)).await, Fake::always(ok(GOOD)).await);
    let sources = [&first, &second, &third].map(|fake| source(&fake.url()));
    let origin = sources[1].origin().unwrap();
    let chain = chain(sources.into_iter().map(|source| link(source, Comma)).collect());
    let pinned = chain.pinned(&origin);
    let counts = || [&first, &second, &third].map(Fake::count);
    let path = path("example.com/m");
    let query = query(&path, "v1.0.0");
    pinned.info(&path, &query).await.unwrap();
    assert_eq!(counts(), [0, 1, 0]);
    second.set("*", not_found("gone"));
    assert_eq!(pinned.info(&path, &query).await.unwrap().origin.to_string(), first.url()[7..]);
    assert_eq!(counts(), [1, 2, 0]);
    first.set("*", not_found("gone"));
    assert_eq!(pinned.info(&path, &query).await.unwrap().origin.to_string(), third.url()[7..]);
    assert_eq!(counts(), [2, 3, 1]);
    second.set("*", status(500));
    assert!(pinned.info(&path, &query).await.is_err());
    assert_eq!(counts(), [2, 4, 1]);
}

async fn zip(upstream: &dyn Upstream) -> (Result<u64, Error>, Staged) {
    let mut into = staged().await;
    let fetched = upstream.zip(&module("example.com/m", "v1.0.0"), &mut into).await;
    (fetched.map(|fetched| fetched.size), into)
}

#[tokio::test]
async fn a_zip_is_never_made_of_two_sources() {
    let cut = Fake::always(Answer::Cut(b"PK-half".to_vec(), 20)).await;
    let good = Fake::always(ok("PK-whole")).await;
    let both = chain(vec![link(source(&cut.url()), Pipe), link(source(&good.url()), Comma)]);
    let (answer, into) = zip(&*both).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!((into.written(), good.count()), (7, 0));

    let down = Fake::always(Answer::Silent(Duration::from_millis(1))).await;
    let both = chain(vec![link(source(&down.url()), Pipe), link(source(&good.url()), Comma)]);
    let (answer, _) = zip(&*both).await;
    assert_eq!(answer.unwrap(), 8);
}

#[tokio::test]
async fn health_names_every_source_and_what_holds_it() {
    let good = Fake::always(ok(GOOD)).await;
    let chain = chain(vec![link(source(&good.url()), Comma), link(source(&gone()), Comma)]);
    assert!(chain.health().iter().all(|(_, reason)| reason.is_none()));
    let pinned = chain.pinned(&chain.health()[1].0);
    let path = path("example.com/m");
    let _error = pinned.list(&path).await.unwrap_err();
    let health = chain.health();
    assert_eq!(health.len(), 2);
    assert_eq!(health[0].1, None);
    assert!(health[1].1.as_ref().unwrap().contains("connection refused"), "{health:?}");
    assert!(Arc::strong_count(&chain) >= 2);
}
