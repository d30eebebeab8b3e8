//! What clients are told when there is nothing to serve.

use std::sync::Arc;

use policy::DenyRule;
use testkit::Behaviour;
use upstream::LinkKind;

use crate::larder::{Larder, Plan, source};

const MOD: &str = "/example.com/m/@v/v1.0.0.mod";
const ZIP: &str = "/example.com/m/@v/v1.0.0.zip";

#[test]
fn absence_is_told_in_the_words_of_the_upstream() {
    for status in [404, 410] {
        let larder = Larder::start();
        let words = Behaviour::new().status(status).header("content-type", "text/plain");
        larder.upstream.behave("*", words.body("not found: so says the fake\nmore"));
        let response = larder.get(MOD);
        assert_eq!(response.status, status);
        assert_eq!(response.text(), "not found: so says the fake\n");
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.header("cache-control"), Some("public, max-age=60"));
    }
}

#[test]
fn trouble_of_the_upstream_is_never_a_404() {
    for (theirs, ours) in [
        (400, 502),
        (401, 502),
        (403, 403),
        (407, 502),
        (429, 503),
        (451, 403),
        (500, 502),
        (503, 502),
    ] {
        let larder = Larder::start();
        larder.upstream.behave("*", Behaviour::new().status(theirs));
        for path in [MOD, ZIP, "/example.com/m/@v/list", "/example.com/m/@v/v1.0.0.info"] {
            let response = larder.get(path);
            assert_eq!(response.status, ours, "{theirs} for {path}: {}", response.text());
            assert_eq!(response.header("cache-control"), Some("no-store"), "{theirs} for {path}");
            let text = response.text();
            assert!(text.contains("fake") && text.lines().count() == 1, "{theirs}: {text}");
        }
    }
}

#[test]
fn an_upstream_that_is_not_there_is_502() {
    let gone = {
        let larder = Larder::start();
        larder.upstream.url()
    };
    let only = Some(LinkKind::Source(Arc::new(source(&gone))));
    let larder = Larder::plan(Plan { only, ..Plan::default() });
    assert_eq!(larder.get(MOD).status, 502);
}

#[test]
fn bad_answers_are_502_with_the_reason() {
    let larder = Larder::start();
    larder.upstream.behave("*.zip", Behaviour::new().body("this is no zip"));
    larder.upstream.behave("*.info", Behaviour::new().body(r#"{"Version":"v9.9.9"}"#));
    larder.upstream.behave("*.mod", Behaviour::html());
    for path in [ZIP, MOD, "/example.com/m/@v/v1.0.0.info"] {
        let (status, text) = larder.told(path);
        assert_eq!(status, 502, "{path}: {text}");
        assert!(text.contains("fake"), "{path}: {text}");
    }
}

#[test]
fn policy_is_403_with_rule_and_reason_and_leaves_mod_open() {
    let mut plan = Plan::default();
    let reason = Some("ask security first".to_owned());
    plan.policy.deny = vec![DenyRule { modules: "example.com/m".to_owned(), reason }];
    let larder = Larder::plan(plan);
    for path in [ZIP, "/example.com/m/@v/v1.0.0.info", "/example.com/m/@v/list"] {
        let (status, text) = larder.told(path);
        assert_eq!(status, 403, "{path}: {text}");
        assert!(text.contains("ask security first") && text.lines().count() <= 8, "{text}");
    }
    assert_eq!(larder.get(MOD).status, 200);
    // A path below the module is no module: a probe of it must go on.
    assert_eq!(larder.get("/example.com/m/sub/@v/list").status, 404);
}

#[test]
fn a_private_name_without_git_is_501_with_pattern_and_source_and_asks_nobody() {
    let private = vec![("example.com".to_owned(), "GOPRIVATE (environment)".to_owned())];
    let larder = Larder::plan(Plan { private, ..Plan::default() });
    let (status, text) = larder.told(MOD);
    assert_eq!(status, 501);
    assert!(text.contains("example.com") && text.contains("GOPRIVATE (environment)"), "{text}");
    assert_eq!(larder.upstream.calls("*"), 0);
}

#[test]
fn direct_is_501_and_off_is_404() {
    let larder = Larder::plan(Plan { only: Some(LinkKind::Direct(None)), ..Plan::default() });
    let (status, text) = larder.told(MOD);
    assert_eq!(status, 501);
    assert!(text.contains("example.com/m"), "{text}");
    let larder = Larder::plan(Plan { only: Some(LinkKind::Off), ..Plan::default() });
    assert_eq!(larder.get(MOD).status, 404);
}

#[test]
fn what_cannot_be_a_module_is_404_and_asks_nobody() {
    let larder = Larder::start();
    for path in [
        "/example.com/M/@v/list",
        "/example.com/m/@v/v1.0.0.exe",
        "/example.com/m/@v/",
        "/example.com//m/@v/list",
        "/example.com/m/../m/@v/list",
        "/example.com/%zz/@v/list",
        "/favicon.ico",
    ] {
        let (status, text) = larder.told(path);
        assert_eq!(status, 404, "{path}: {text}");
        assert!(text.starts_with("not found: "), "{path}: {text}");
    }
    assert_eq!(larder.upstream.calls("*"), 0);
}

#[test]
fn a_circle_of_upstreams_ends_at_508() {
    let outer = Larder::start();
    let only = Some(LinkKind::Source(Arc::new(source(outer.url()))));
    let inner = Larder::plan(Plan { only, ..Plan::default() });
    // The outer one has the same name in `Via`, so it takes the request for one of its own.
    assert_eq!(inner.get(MOD).status, 502);
    let page = outer.get("/metrics").text();
    assert!(page.contains("status=\"508\""), "{page}");
    assert_eq!(outer.upstream.calls("*"), 0);
}

#[test]
fn only_a_configured_checksum_database_is_supported() {
    let database = Some("sum.example.com/db");
    let larder = Larder::plan(Plan { database, ..Plan::default() });
    let supported = larder.get("/sumdb/sum.example.com/db/supported");
    assert_eq!(supported.status, 200);
    assert_eq!(supported.header("content-type"), Some("text/plain; charset=utf-8"));
    for path in ["/sumdb/sum.golang.org/supported", "/sumdb/sum.example.com/supported"] {
        assert_eq!(larder.get(path).status, 404, "{path}");
    }
}
