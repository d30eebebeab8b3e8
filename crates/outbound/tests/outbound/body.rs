//! Bodies: lengths, cuts, resumption, codings.

use std::time::Duration;

use outbound::{Coding, Error, Get};

use crate::{
    client,
    fake::{Fake, Script, Step, raw, reply, wait},
    fetch, get,
};

const OFFER: &str = "accept-ranges: bytes\r\netag: \"v1\"\r\n";

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_more_byte_does_not() {
    let bodies =
        |headers: &'static str, body: &'static str| {
            Fake::start(move |_, _| {
                if headers.is_empty() { reply(200, "", body) } else { raw(200, headers, body) }
            })
        };
    let chunked = "transfer-encoding: chunked\r\n";
    for (headers, body, fits) in [
        ("", "12345", true),
        ("", "123456", false),
        (chunked, "5\r\n12345\r\n0\r\n\r\n", true),
        (chunked, "6\r\n123456\r\n0\r\n\r\n", false),
    ] {
        let fake = bodies(headers, body).await;
        let answer = fetch(&client(), Get { max_bytes: 5, ..get(fake.url("/")) }).await;
        assert_eq!(answer.is_ok(), fits, "{body} {answer:?}");
        assert!(matches!(answer, Ok(_) | Err(Error::BadBody { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_cut_body_is_an_error_never_a_short_answer() {
    for headers in ["content-length: 10\r\n", "transfer-encoding: chunked\r\n"] {
        let body = if headers.starts_with('c') { "12345" } else { "a\r\n12345" };
        let fake = Fake::start(move |_, _| raw(200, headers, body)).await;
        let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
        assert!(matches!(error, Error::Cut { received: 5, .. }), "{error:?}");
        assert_eq!(fake.count(), 1);
    }
}

/// Cuts after three more bytes each time.
fn cutting(request: &str) -> Script {
    let from = request.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next());
    let from: usize = from.map_or(0, |from| from.parse().unwrap());
    let body = "0123456789";
    let headers = format!("{OFFER}content-length: {}\r\n", body.len() - from);
    let part = &body[from..body.len().min(from + 4)];
    if from == 0 {
        return raw(200, &headers, part);
    }
    raw(206, &format!("{headers}content-range: bytes {from}-9/10\r\n"), part)
}

#[tokio::test]
async fn a_cut_body_is_resumed_where_ranges_are_offered() {
    let fake = Fake::start(|request, _| cutting(request)).await;
    assert_eq!(fetch(&client(), get(fake.url("/"))).await.unwrap(), "0123456789");
    assert_eq!(fake.count(), 3);
    assert!(fake.request(2).contains("range: bytes=8-\r\n"), "{}", fake.request(2));
    assert!(fake.request(2).contains("if-range: \"v1\"\r\n"), "{}", fake.request(2));
}

#[tokio::test]
async fn resumption_is_bounded_and_never_mixes_contents() {
    let stuck = |request: &str, _| -> Script {
        if request.contains("range:") {
            return reply(503, "", "");
        }
        raw(200, &format!("{OFFER}content-length: 10\r\n"), "01234")
    };
    let fake = Fake::start(stuck).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Cut { received: 5, .. }), "{error:?}");

    // The content changed: the server answers 200 with the new one, or a range of another length.
    for other in ["", "content-range: bytes 5-10/11\r\n", "content-range: bytes 4-9/10\r\n"] {
        let changed = move |request: &str, _: usize| -> Script {
            match (request.contains("range: bytes"), other) {
                (false, _) => raw(200, &format!("{OFFER}content-length: 10\r\n"), "01234"),
                (true, "") => reply(200, OFFER, "abcdefghij"),
                (true, _) => reply(206, &format!("{OFFER}{other}"), "fghijk"),
            }
        };
        let fake = Fake::start(changed).await;
        let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
        assert!(matches!(error, Error::Cut { .. }), "{other} {error:?}");
        assert_eq!(fake.count(), 2);
    }
}

#[tokio::test]
async fn a_stalled_body_times_out_and_a_slow_one_does_not() {
    let slow = |pause: u64| {
        move |_: &str, _: usize| {
            let mut script = raw(200, "content-length: 6\r\n", "12");
            for part in ["34", "56"] {
                script.extend([wait(pause), Step::Send(part.into())]);
            }
            script
        }
    };
    let fake = Fake::start(slow(150)).await;
    assert_eq!(fetch(&client(), get(fake.url("/"))).await.unwrap(), "123456");
    let fake = Fake::start(slow(10_000)).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: "between bytes", .. }), "{error:?}");
    let fake = Fake::start(slow(700)).await;
    let whole = Duration::from_secs(1);
    let error = fetch(&client(), Get { whole, ..get(fake.url("/")) }).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: "whole", .. }), "{error:?}");
}

/// `hello` and a million zeros, made by gzip.
const GZIP_HELLO: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x106\x05\0\0\0";

#[tokio::test]
async fn gzip_is_asked_for_where_wanted_and_bounded_behind_the_decoder() {
    let fake = Fake::start(|_, _| reply(200, "content-encoding: gzip\r\n", GZIP_HELLO)).await;
    let question = Get { coding: Coding::Gzip, ..get(fake.url("/")) };
    assert_eq!(fetch(&client(), question.clone()).await.unwrap(), "hello");
    assert!(fake.request(0).contains("accept-encoding: gzip"), "{}", fake.request(0));
    let error = fetch(&client(), Get { max_bytes: 4, ..question }).await.unwrap_err();
    assert!(matches!(error, Error::BadBody { .. }), "{error:?}");
}

#[tokio::test]
async fn a_broken_coding_is_a_bad_body() {
    let broken = [&GZIP_HELLO[..12], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"].concat();
    let fake = Fake::start(move |_, _| reply(200, "content-encoding: gzip\r\n", &broken)).await;
    let question = Get { coding: Coding::Gzip, ..get(fake.url("/")) };
    let error = fetch(&client(), question).await.unwrap_err();
    assert!(matches!(error, Error::BadBody { .. } | Error::Cut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_longer_body_than_announced_is_never_handed_out() {
    let fake = Fake::start(|_, _| raw(200, "content-length: 3\r\n", "123456")).await;
    assert_eq!(fetch(&client(), get(fake.url("/"))).await.unwrap(), "123");
}
