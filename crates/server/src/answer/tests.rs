//! Exchanges as clients see them: status, headers, body.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use proxy::Validators;
use units::Timestamp;

use super::*;
use crate::CacheAges;

/// Validators of a file of `len` bytes, changed at the example date of RFC 9110.
pub(super) fn validators(len: u64) -> Validators {
    Validators {
        etag: HeaderValue::from_static("\"abc\""),
        last_modified: HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"),
        modified: Timestamp::from_unix_secs(784_111_777),
        content_length: len.into(),
    }
}

const TEXT: &str = "0123456789";

fn request(target: &str) -> gomod::Request {
    gomod::Request::parse(target).unwrap()
}

/// An immutable file that is stored.
fn stored(kind: Kind, body: proxy::Body) -> Answer {
    let len = stored_len(&body).unwrap();
    let validators = Some(validators(len));
    Answer { kind, body, validators, outcome: proxy::Outcome::Hit, fresh_for: None, private: false }
}

/// A mutable answer, without validators.
fn mutable(kind: Kind, outcome: proxy::Outcome, seconds: u64) -> Answer {
    let fresh_for = Some(Duration::from_secs(seconds));
    Answer {
        kind,
        body: proxy::Body::Memory(TEXT.into()),
        validators: None,
        outcome,
        fresh_for,
        private: false,
    }
}

fn file() -> proxy::Body {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(TEXT.as_bytes()).unwrap();
    proxy::Body::File { file: Arc::new(file), len: 10 }
}

fn lifetimes() -> Lifetimes {
    Lifetimes::new(&CacheAges::default())
}

async fn ask(
    method: Method,
    target: &str,
    lines: &[(&'static str, &str)],
    answer: Answer,
) -> String {
    let mut headers = HeaderMap::new();
    for (name, line) in lines {
        headers.append(*name, HeaderValue::from_str(line).unwrap());
    }
    let request = request(target);
    let asked = Asked { method: &method, headers: &headers, request: &request };
    show(found(asked, answer, &lifetimes())).await
}

/// The answer as text, headers sorted.
async fn show(reply: Reply) -> String {
    let (head, body) = reply.response.into_parts();
    let mut lines: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect();
    lines.sort();
    let mut text = format!("{}\n{}\n", head.status.as_u16(), lines.concat());
    match body.collect(1 << 20).await {
        Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
        Err(wire::Cut) => text.push_str("(cut)"),
    }
    if reply.end == End::Later {
        text.write_str("\n(counted at its end)").unwrap();
    }
    text
}

const ZIP_PATH: &str = "/m.io/a/@v/v1.0.0.zip";

#[tokio::test]
async fn a_stored_zip_has_validators_and_offers_ranges() {
    let answer = stored(Kind::Zip, file());
    assert_eq!(
        ask(Method::GET, ZIP_PATH, &[], answer).await,
        "200\n\
         accept-ranges: bytes\n\
         cache-control: public, max-age=10800, immutable\n\
         cache-status: larder; hit\n\
         content-length: 10\n\
         content-type: application/zip\n\
         etag: \"abc\"\n\
         last-modified: Sun, 06 Nov 1994 08:49:37 GMT\n\
         \n\
         0123456789\n(counted at its end)"
    );
}

#[tokio::test]
async fn a_range_of_a_file_is_206() {
    let answer = stored(Kind::Zip, file());
    assert_eq!(
        ask(Method::GET, ZIP_PATH, &[("range", "bytes=2-4")], answer).await,
        "206\n\
         accept-ranges: bytes\n\
         cache-control: public, max-age=10800, immutable\n\
         cache-status: larder; hit\n\
         content-length: 3\n\
         content-range: bytes 2-4/10\n\
         content-type: application/zip\n\
         etag: \"abc\"\n\
         last-modified: Sun, 06 Nov 1994 08:49:37 GMT\n\
         \n\
         234\n(counted at its end)"
    );
}

#[tokio::test]
async fn a_range_of_a_zip_in_memory_is_206() {
    let answer = stored(Kind::Zip, proxy::Body::Memory(TEXT.into()));
    let text = ask(Method::GET, ZIP_PATH, &[("range", "bytes=-3")], answer).await;
    assert!(text.starts_with("206\n") && text.ends_with("\n\n789"), "{text}");
    assert!(text.contains("content-range: bytes 7-9/10\n"), "{text}");
}

#[tokio::test]
async fn a_range_behind_the_end_is_416_and_not_kept() {
    let answer = stored(Kind::Zip, file());
    assert_eq!(
        ask(Method::GET, ZIP_PATH, &[("range", "bytes=10-")], answer).await,
        "416\n\
         accept-ranges: bytes\n\
         cache-control: no-store\n\
         cache-status: larder; hit\n\
         content-length: 57\n\
         content-range: bytes */10\n\
         content-type: text/plain; charset=utf-8\n\
         x-content-type-options: nosniff\n\
         \n\
         the file has 10 bytes, nothing is in the range asked for\n"
    );
}

#[tokio::test]
async fn who_has_it_gets_304_without_a_body() {
    let answer = stored(Kind::Zip, file());
    assert_eq!(
        ask(Method::GET, ZIP_PATH, &[("if-none-match", "W/\"abc\"")], answer).await,
        "304\n\
         accept-ranges: bytes\n\
         cache-control: public, max-age=10800, immutable\n\
         cache-status: larder; hit\n\
         etag: \"abc\"\n\
         last-modified: Sun, 06 Nov 1994 08:49:37 GMT\n\
         \n"
    );
}

#[tokio::test]
async fn head_says_what_get_would() {
    for body in [file(), proxy::Body::Memory(TEXT.into())] {
        let text =
            ask(Method::HEAD, ZIP_PATH, &[("range", "bytes=2-4")], stored(Kind::Zip, body)).await;
        assert!(text.starts_with("200\n") && text.ends_with("\n\n"), "{text}");
        assert!(text.contains("content-length: 10\n"), "{text}");
        assert!(text.contains("accept-ranges: bytes\n"), "{text}");
    }
    let text =
        ask(Method::HEAD, "/m.io/a/@v/list", &[], mutable(Kind::List, proxy::Outcome::Hit, 60))
            .await;
    assert!(text.contains("content-length: 10\n"), "{text}");
}

#[tokio::test]
async fn other_files_have_validators_but_no_ranges() {
    for (target, kind, media) in [
        ("/m.io/a/@v/v1.0.0.mod", Kind::Mod, "text/plain; charset=utf-8"),
        ("/m.io/a/@v/v1.0.0.info", Kind::Info, "application/json"),
    ] {
        let answer = stored(kind, proxy::Body::Memory(TEXT.into()));
        let text = ask(Method::GET, target, &[("range", "bytes=0-1")], answer).await;
        assert!(text.starts_with("200\n") && text.ends_with("\n\n0123456789"), "{text}");
        assert!(!text.contains("accept-ranges"), "{text}");
        assert!(text.contains("etag: \"abc\"\n"), "{text}");
        assert!(text.contains(&format!("content-type: {media}\n")), "{text}");
        let answer = stored(kind, proxy::Body::Memory(TEXT.into()));
        let since = [("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert!(ask(Method::GET, target, &since, answer).await.starts_with("304\n"), "{target}");
    }
}

#[tokio::test]
async fn a_zip_that_is_being_fetched_has_a_length_but_no_validators_and_no_ranges() {
    let parts = || -> proxy::LiveParts {
        let parts = [Ok(BodyPart::Memory("01234".into())), Ok(BodyPart::Memory("56789".into()))];
        Box::pin(stream::iter(parts))
    };
    let answer = |method: Method| {
        let body = proxy::Body::Live { parts: parts(), len: 10 };
        let answer = Answer {
            validators: None,
            outcome: proxy::Outcome::Miss,
            body,
            ..stored(Kind::Zip, file())
        };
        ask(method, ZIP_PATH, &[("range", "bytes=0-1"), ("if-none-match", "*")], answer)
    };
    let head = "200\n\
                cache-control: public, max-age=10800, immutable\n\
                cache-status: larder; fwd=miss; stored\n";
    let rest = "content-type: application/zip\n\n";
    assert_eq!(answer(Method::GET).await, format!("{head}{rest}0123456789\n(counted at its end)"));
    assert_eq!(answer(Method::HEAD).await, format!("{head}content-length: 10\n{rest}"));
}

#[tokio::test]
async fn a_fetch_that_fails_cuts_the_body() {
    let failed = proxy::Error::NotHere { what: "m.io/a".into() };
    let parts = stream::iter([Ok(BodyPart::Memory("01234".into())), Err(failed)]);
    let body = proxy::Body::Live { parts: Box::pin(parts), len: 10 };
    let answer = Answer { validators: None, body, ..stored(Kind::Zip, file()) };
    let text = ask(Method::GET, ZIP_PATH, &[], answer).await;
    assert!(text.ends_with("\n\n(cut)\n(counted at its end)"), "{text}");
}

#[tokio::test]
async fn mutable_answers_are_kept_as_long_as_they_are_fresh_and_say_how_they_were_found() {
    use proxy::Outcome::{Collapsed, Hit, Miss, Stale};
    for (target, kind, media) in [
        ("/m.io/a/@v/list", Kind::List, "text/plain; charset=utf-8"),
        ("/m.io/a/@latest", Kind::Latest, "application/json"),
        ("/m.io/a/@v/main.info", Kind::Query, "application/json"),
    ] {
        for (outcome, seconds, status, age) in [
            (Hit, 30, "larder; hit", 30),
            (Miss, 300, "larder; fwd=miss; stored", 60),
            (Collapsed, 60, "larder; fwd=miss; collapsed", 60),
            (Stale, 0, "larder; hit; detail=stale", 0),
        ] {
            assert_eq!(
                ask(Method::GET, target, &[], mutable(kind, outcome, seconds)).await,
                format!(
                    "200\ncache-control: public, max-age={age}\ncache-status: {status}\n\
                     content-type: {media}\n\n0123456789"
                )
            );
        }
    }
}

#[tokio::test]
async fn parts_of_a_checksum_database_have_their_types_and_lifetimes() {
    let text = "text/plain; charset=utf-8";
    for (part, fresh_for, media, lifetime) in [
        ("supported", Some(60), text, "public, max-age=60"),
        ("latest", Some(5), text, "public, max-age=5"),
        ("lookup/m.io/a@v1.0.0", Some(3_600), text, "public, max-age=600"),
        ("lookup/m.io/a@v1.0.0", None, text, "public, max-age=600"),
        ("lookup/m.io/tile/8/x@v1.0.0", Some(60), text, "public, max-age=60"),
        ("tile/8/0/000", None, "application/octet-stream", "public, max-age=31536000, immutable"),
        ("tile/8/0/000.p/7", Some(60), "application/octet-stream", "public, max-age=60"),
    ] {
        let target = format!("/sumdb/sum.golang.org/{part}");
        let fresh_for = fresh_for.map(Duration::from_secs);
        let answer = Answer { fresh_for, ..mutable(Kind::Sumdb, proxy::Outcome::Hit, 0) };
        assert_eq!(
            ask(Method::GET, &target, &[], answer).await,
            format!(
                "200\ncache-control: {lifetime}\ncache-status: larder; hit\n\
                 content-type: {media}\n\n{TEXT}"
            ),
            "{part}"
        );
    }
}

async fn refuse(method: Method, refusal: Refusal) -> String {
    let ids = Ids::next(None);
    let text = show(refused(&method, refusal, &ids, &lifetimes())).await;
    text.replace(ids.request(), "ID")
}

#[tokio::test]
async fn a_refusal_is_a_line_that_go_prints() {
    assert_eq!(
        refuse(Method::GET, Refusal::not_found("not found: m.io/a@v1.0.0")).await,
        "404\n\
         cache-control: public, max-age=60\n\
         content-length: 25\n\
         content-type: text/plain; charset=utf-8\n\
         x-content-type-options: nosniff\n\
         \n\
         not found: m.io/a@v1.0.0\n"
    );
}

#[tokio::test]
async fn a_refusal_of_head_has_no_body() {
    let text = refuse(Method::HEAD, Refusal::not_found("not found: m.io/a@v1.0.0")).await;
    assert!(text.ends_with("\n\n") && text.contains("content-length: 25\n"), "{text}");
}

#[tokio::test]
async fn statuses_that_need_a_header_have_it() {
    for (status, line) in [
        (StatusCode::METHOD_NOT_ALLOWED, "allow: GET, HEAD\n"),
        (StatusCode::UNAUTHORIZED, "www-authenticate: Basic realm=\"larder\"\n"),
    ] {
        let text = refuse(Method::GET, Refusal::new(status, "no")).await;
        assert!(text.contains(line), "{text}");
        assert!(text.contains("cache-control: no-store\n"), "{text}");
    }
}

#[tokio::test]
async fn a_known_wait_is_told_in_whole_seconds_rounded_up() {
    for (millis, seconds) in [(7_000, 7), (7_001, 8), (0, 0)] {
        let refusal = Refusal {
            retry_after: Some(Duration::from_millis(millis)),
            ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy")
        };
        let text = refuse(Method::GET, refusal).await;
        assert!(text.contains(&format!("retry-after: {seconds}\n")), "{text}");
    }
}

#[tokio::test]
async fn our_own_fault_shows_an_id_and_no_reason() {
    let refusal = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "open /var/lib/larder/x");
    let text = refuse(Method::GET, refusal).await;
    assert!(text.starts_with("500\n"), "{text}");
    assert!(
        text.ends_with("\n\ninternal error in larder: its log says more about request ID\n"),
        "{text}"
    );
    assert!(!text.contains("/var/lib"), "{text}");
}

#[tokio::test]
async fn pages_are_never_kept() {
    let page = page(&Method::GET, StatusCode::OK, PageType::OpenMetrics, "# EOF\n".to_owned());
    assert_eq!(
        show(page).await,
        "200\n\
         cache-control: no-store\n\
         content-length: 6\n\
         content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\n\
         x-content-type-options: nosniff\n\
         \n\
         # EOF\n"
    );
}

#[test]
fn every_answer_carries_its_ids() {
    let ids = Ids::next(None);
    let mut response = Response::new(Body::empty());
    stamp(&mut response, &ids);
    assert_eq!(response.headers().get("x-request-id"), Some(&ids.request));
    assert_eq!(response.headers().get("traceresponse"), Some(&ids.trace));
}

/// Statuses that have a row in the table of `docs/status-codes.md`.
fn documented() -> Vec<u16> {
    let page = include_str!("../../../../docs/status-codes.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.get(..3)?.parse().ok());
    let mut statuses: Vec<_> = rows.collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

#[test]
fn every_status_stands_in_the_page_and_no_other() {
    let mut statuses = STATUSES.to_vec();
    statuses.sort_unstable();
    assert_eq!(documented(), statuses);
}

#[test]
fn a_status_that_the_source_names_is_counted() {
    // Each constant of `StatusCode` that this file's source or its neighbours' name must stand in
    // STATUSES.
    let sources =
        [include_str!("../answer.rs"), include_str!("refusal.rs"), include_str!("../app.rs")];
    let words = sources.iter().flat_map(|source| source.split("StatusCode::").skip(1));
    let mut seen = 0;
    for name in words.map(|rest| rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next()) {
        let name = name.unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        let status = (100..600)
            .filter_map(|code| StatusCode::from_u16(code).ok())
            .find(|status| status_name(*status).as_deref() == Some(name));
        let status = status.unwrap_or_else(|| panic!("{name} is no status"));
        assert!(STATUSES.contains(&status.as_u16()), "{name} is not in STATUSES");
        seen += 1;
    }
    assert!(seen > 20, "the sources were not read: {seen}");
}

/// The name of the constant: the reason phrase in capitals.
fn status_name(status: StatusCode) -> Option<String> {
    let reason = status.canonical_reason()?;
    Some(reason.to_uppercase().replace([' ', '-'], "_"))
}

#[test]
fn parts_of_a_checksum_database_have_their_media_types() {
    for (path, media) in [
        ("sum.golang.org/latest", &super::TEXT),
        ("corp.example/about/latest", &super::TEXT),
        ("corp.example/log/about", &super::JSON),
        ("corp.example/log/lookup/corp.example/about@v1.0.0", &super::TEXT),
        ("corp.example/log/tile/8/0/000", &super::OCTETS),
    ] {
        let request = request(&format!("/sumdb/{path}"));
        assert_eq!(media_type(&request, Kind::Sumdb), media, "{path}");
    }
}
