//! go-import pages of a host that says anything.

use std::time::Duration;

use gomod::{pattern::Patterns, repo::Vcs};
use policy::{Private, address::Word};
use upstream::{Discovery, DiscoverySettings, Error, RepoRoot, Trouble};

use crate::{
    client,
    fake::{Answer, Fake, ok, status},
    gone, path,
};

fn tag(content: &str) -> String {
    format!("<head><meta name=\"go-import\" content=\"{content}\"></head>")
}

/// Every https page comes from this server, below `/go/`.
fn settings(fake: &Fake) -> DiscoverySettings {
    let rewrite = vec![("https://".to_owned(), format!("{}/", fake.url()))];
    DiscoverySettings { rewrite, ..DiscoverySettings::default() }
}

fn discovery(settings: DiscoverySettings) -> Discovery {
    Discovery::new(client(), settings).unwrap()
}

async fn root(fake: &Fake, name: &str) -> Result<RepoRoot, Error> {
    discovery(settings(fake)).root(&path(name)).await
}

/// One page for all paths.
async fn always(answer: Answer) -> Result<RepoRoot, Error> {
    root(&Fake::always(answer).await, "x.org/a").await
}

fn text(error: Error) -> String {
    match error {
        Error::NotFound { text, .. } => text.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::Invalid { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_names_the_repository() {
    let page = tag("x.org/a git https://git.y.org/r.git sub/dir");
    let found = always(ok(page)).await.unwrap();
    let expected = RepoRoot {
        root: "x.org/a".to_owned(),
        vcs: Vcs::Git,
        url: "https://git.y.org/r.git".to_owned(),
        subdir: "sub/dir".to_owned(),
        word: Word::Discovered,
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_tag_counts_whatever_the_status_and_type() {
    for code in [200, 404, 410, 403, 500] {
        let page = tag("x.org/a git https://x.org/a").into_bytes();
        let answer = Answer::Status(code, "content-type: text/html\r\n", page);
        assert!(always(answer).await.is_ok(), "{code}");
    }
}

#[tokio::test]
async fn without_a_tag_only_authority_is_absence() {
    for (code, told) in [(404, "404 Not Found"), (410, "410 Gone")] {
        let text = text(always(status(code)).await.unwrap_err());
        let begin = "not found: module x.org/a: unrecognized import path \"x.org/a\": reading http";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with(&format!("{told} (server response: the reason)")), "{text}");
    }
    let none = text(always(ok("<html>hello")).await.unwrap_err());
    assert!(none.ends_with(": no go-import meta tags ()"), "{none}");
    let other = text(always(ok(tag("x.org/b git https://x.org/b"))).await.unwrap_err());
    assert!(other.ends_with("(meta tag x.org/b did not match import path x.org/a)"), "{other}");
    for (code, expected) in [
        (401, "refused"),
        (407, "refused"),
        (403, "forbidden"),
        (451, "forbidden"),
        (429, "Overloaded"),
        (400, "Broken"),
        (500, "Broken"),
        (503, "Broken"),
    ] {
        let told = match always(status(code)).await.unwrap_err() {
            Error::Refused { .. } => "refused".to_owned(),
            Error::Forbidden { text, .. } if text.as_deref() == Some("the reason") => {
                "forbidden".to_owned()
            }
            Error::Unavailable { kind, .. } => format!("{kind:?}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected, "{code}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_says_nothing() {
    let rewrite = vec![("https://".to_owned(), format!("{}/", gone()))];
    let dead = DiscoverySettings { rewrite, ..DiscoverySettings::default() };
    let error = discovery(dead).root(&path("x.org/a")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { kind: Trouble::Broken, .. }), "{error:?}");
    assert!(error.to_string().contains("go-import page of x.org: "), "{error}");
    let cut = always(Answer::Cut(b"<head>".to_vec(), 100)).await.unwrap_err();
    assert!(matches!(cut, Error::Unavailable { .. }), "{cut:?}");
}

#[tokio::test]
async fn a_shorter_prefix_must_say_the_same_itself() {
    let page = ok(tag("x.org/a git https://x.org/a"));
    let fake = Fake::start([("x.org/a/b/v2?go-get=1", page.clone())].into()).await;
    assert!(root(&fake, "x.org/a/b/v2").await.unwrap_err().is_not_found());
    fake.set("x.org/a?go-get=1", page);
    assert_eq!(root(&fake, "x.org/a/b/v2").await.unwrap().root, "x.org/a");
    for other in [
        tag("x.org/a git https://x.org/evil"),
        tag("x.org/a git https://x.org/a sub"),
        tag("x.org/b git https://x.org/a"),
        String::new(),
    ] {
        fake.set("x.org/a?go-get=1", ok(other));
        let reason = reason(root(&fake, "x.org/a/b/v2").await.unwrap_err());
        let end = "/x.org/a/b/v2?go-get=1 and https://x.org/a?go-get=1 disagree about go-import for x.org/a";
        assert!(reason.ends_with(end), "{reason}");
    }
}

#[tokio::test]
async fn a_host_alone_is_asked_at_its_root() {
    let page = ok(tag("x.org git https://git.x.org/r"));
    let fake = Fake::start([("x.org/?go-get=1", page.clone()), ("x.org/a?go-get=1", page)].into());
    let fake = fake.await;
    for name in ["x.org", "x.org/a"] {
        assert_eq!(root(&fake, name).await.unwrap().root, "x.org");
    }
}

#[tokio::test]
async fn the_page_of_a_prefix_is_asked_once_for_all_below() {
    let fake = Fake::always(ok(tag("x.org git https://x.org/r"))).await;
    let discovery = discovery(settings(&fake));
    for name in ["x.org/a", "x.org/b", "x.org/c"] {
        assert!(discovery.root(&path(name)).await.is_ok());
    }
    assert_eq!(fake.count(), 4);
    assert!(discovery.root(&path("x.org")).await.is_ok());
    assert_eq!(fake.count(), 4);
}

#[tokio::test]
async fn tags_that_contradict_each_other_are_no_absence() {
    let two = tag("x.org git https://x.org/r").replace("</head>", "")
        + &tag("x.org/a git https://x.org/a").replace("<head>", "");
    let reason = reason(always(ok(two)).await.unwrap_err());
    assert!(reason.ends_with("multiple meta tags match import path \"x.org/a\""), "{reason}");
}

#[tokio::test]
async fn what_may_not_be_fetched_is_refused_in_gos_words() {
    for (content, end) in [
        ("x.org/a cvs https://x.org/r", "unknown vcs \"cvs\""),
        ("x.org/a git http://x.org/r", ": insecure or unknown scheme"),
        ("x.org/a git git://x.org/r", ": insecure or unknown scheme"),
        ("x.org/a git file:///etc", "invalid repo root \"file:///etc\": file scheme disallowed"),
        ("x.org/a git x.org/r", "invalid repo root \"x.org/r\": no scheme"),
        ("x.org/a mod http://proxy.org", ": insecure or unknown scheme"),
        ("x.org/a git https://x.org/r /s", "invalid subdirectory \"/s\": leading slash"),
        ("x.org/a git https://x.org/r -s", "invalid subdirectory \"-s\": leading hyphen"),
        ("x.org/a git https://x.org/r a/../b", ": path is not clean"),
    ] {
        let reason = reason(always(ok(tag(content))).await.unwrap_err());
        assert!(reason.ends_with(end), "{content}: {reason}");
    }
}

#[tokio::test]
async fn a_proxy_is_named_and_its_folder_ignored() {
    let page = tag("x.org/a mod https://proxy.x.org/base -sub");
    let found = always(ok(page)).await.unwrap();
    assert_eq!(
        (found.vcs, &*found.url, &*found.subdir),
        (Vcs::Mod, "https://proxy.x.org/base", "")
    );
}

#[tokio::test]
async fn redirects_are_followed_and_told() {
    let moved = Answer::Status(302, "location: /go/y.org/b?go-get=1\r\n", Vec::new());
    let fake = Fake::start([("x.org/a?go-get=1", moved), ("y.org/b?go-get=1", ok("<p>"))].into());
    let text = text(root(&fake.await, "x.org/a").await.unwrap_err());
    assert!(text.contains("/go/y.org/b?go-get=1: no go-import"), "{text}");
}

#[tokio::test]
async fn a_page_is_read_to_its_bound() {
    const BOUND: usize = 1 << 20;
    let tag = tag("x.org/a git https://x.org/a").replace("</head>", "");
    let padded = |len: usize| ok(" ".repeat(len - tag.len()) + &tag + "<p>and more");
    assert!(always(padded(BOUND)).await.is_ok());
    let reason = reason(always(padded(BOUND + 1)).await.unwrap_err());
    assert_eq!(reason, "no go-import meta tag in the first 1048576 bytes");
}

#[tokio::test]
async fn inside_hosts_are_dialled_on_the_operators_word_only() {
    let public = discovery(DiscoverySettings::default());
    let error = public.root(&path("127.0.0.1/a")).await.unwrap_err();
    assert!(error.to_string().contains("loopback and may not be dialled"), "{error}");
    assert!(matches!(error, Error::Unavailable { kind: Trouble::Barred, .. }), "{error:?}");
    let answer = Answer::Status(302, "location: http://169.254.169.254/\r\n", Vec::new());
    let led = always(answer).await.unwrap_err();
    assert!(matches!(led, Error::Unavailable { kind: Trouble::Barred, .. }), "{led:?}");
    let private = Private::new(vec![("127.0.0.1".to_owned(), "GOPRIVATE".to_owned())]);
    let told = discovery(DiscoverySettings { private, ..DiscoverySettings::default() });
    let error = told.root(&path("127.0.0.1/a")).await.unwrap_err();
    assert!(!error.to_string().contains("may not be dialled"), "{error}");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn the_word_of_a_private_path_is_the_operators() {
    let fake = Fake::always(ok(tag("x.org/a git https://git.x.org/r"))).await;
    let private = Private::new(vec![("x.org".to_owned(), "GOPRIVATE".to_owned())]);
    let discovery = discovery(DiscoverySettings { private, ..settings(&fake) });
    assert_eq!(discovery.root(&path("x.org/a")).await.unwrap().word, Word::Operator);
}

#[tokio::test]
async fn plain_http_is_tried_for_insecure_paths_only_and_only_without_https() {
    let fake = Fake::always(ok(tag("x.org/a git http://x.org/a"))).await;
    let dead = format!("{}/", gone());
    let rewrite = vec![("https://".to_owned(), dead), ("http://".to_owned(), fake.url() + "/")];
    let settings = DiscoverySettings { rewrite, ..DiscoverySettings::default() };
    let secure = discovery(settings.clone()).root(&path("x.org/a")).await.unwrap_err();
    assert!(matches!(secure, Error::Unavailable { .. }) && fake.count() == 0, "{secure:?}");
    let insecure = Patterns::parse("x.org");
    let found = discovery(DiscoverySettings { insecure: insecure.clone(), ..settings });
    let found = found.root(&path("x.org/a")).await.unwrap();
    assert_eq!((&*found.url, found.word), ("http://x.org/a", Word::Operator));
    // An answer over https is the answer.
    let (over_https, over_http) = (Fake::always(status(404)).await, fake);
    let rewrite = vec![
        ("https://".to_owned(), over_https.url() + "/"),
        ("http://".to_owned(), over_http.url() + "/"),
    ];
    let settings = DiscoverySettings { rewrite, insecure, ..DiscoverySettings::default() };
    let before = over_http.count();
    assert!(discovery(settings).root(&path("x.org/a")).await.unwrap_err().is_not_found());
    assert_eq!(over_http.count(), before);
}

#[tokio::test]
async fn answers_are_kept_each_for_its_time() {
    for (answer, held) in [
        (ok(tag("x.org/a git https://x.org/a")), true),
        (status(404), true),
        (ok(tag("x.org/a cvs https://x.org/a")), true),
        (status(503), true),
    ] {
        let fake = Fake::always(answer).await;
        let discovery = discovery(settings(&fake));
        let first = discovery.root(&path("x.org/a")).await;
        let second = discovery.root(&path("x.org/a")).await;
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        assert_eq!(fake.count() == 1, held);
    }
    let fake = Fake::always(ok(tag("x.org/a git https://x.org/a"))).await;
    let short = DiscoverySettings { fresh: Duration::ZERO, ..settings(&fake) };
    let discovery = discovery(short);
    assert!(discovery.root(&path("x.org/a")).await.is_ok());
    assert!(discovery.root(&path("x.org/a")).await.is_ok());
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn all_who_ask_at_once_share_one_question() {
    let fake = Fake::always(ok(tag("x.org/a git https://x.org/a"))).await;
    let discovery = std::sync::Arc::new(discovery(settings(&fake)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let discovery = std::sync::Arc::clone(&discovery);
        callers.spawn(async move { discovery.root(&path("x.org/a")).await.is_ok() });
    }
    assert!(callers.join_all().await.into_iter().all(|found| found));
    assert_eq!(fake.count(), 1);
}
