//! Statuses, texts and retries.

use std::time::{Duration, Instant};

use outbound::{Credential, Error, FailureClass};

use crate::{
    client,
    fake::{Fake, Script, raw, reply},
    fetch, get,
};

const TEXT: &str = "content-type: text/plain; charset=utf-8\r\n";

#[tokio::test]
async fn a_200_is_its_body_and_carries_our_names() {
    let fake = Fake::start(|_, _| reply(200, "", "hello")).await;
    assert_eq!(fetch(&client(), get(fake.url("/a%21b?x=1"))).await.unwrap(), "hello");
    let request = fake.request(0);
    assert!(request.starts_with("get /a%21b?x=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("via: 1.1 larder-test\r\n"), "{request}");
    assert!(request.contains("user-agent: larder/0"), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
}

#[tokio::test]
async fn not_found_is_final_and_keeps_the_first_line() {
    for status in [404, 410] {
        let fake = Fake::start(move |_, _| reply(status, TEXT, "not found: x\nmore")).await;
        let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
        let Error::NotFound { status: got, text, .. } = error else { panic!("{error:?}") };
        assert_eq!((got, text.unwrap().as_str()), (status, "not found: x"));
        assert_eq!(fake.count(), 1);
    }
}

#[tokio::test]
async fn other_statuses_are_final_and_told() {
    for status in [201, 203, 204, 206, 300, 304, 400, 401, 403, 407, 451, 500, 501] {
        let body = if matches!(status, 204 | 304) { "" } else { "because" };
        let fake = Fake::start(move |_, _| reply(status, TEXT, body)).await;
        let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
        let Error::Status { status: got, credential_sent, .. } = error else { panic!("{error:?}") };
        assert_eq!((got, credential_sent, fake.count()), (status, false, 1));
    }
}

#[tokio::test]
async fn a_refused_credential_is_told_and_never_printed() {
    let fake = Fake::start(|_, _| reply(403, "", "no")).await;
    let credential = Credential::Basic { user: "u".into(), password: "hunter2".to_owned().into() };
    let question = outbound::Get { credential: Some(credential), ..get(fake.url("/")) };
    assert!(!format!("{question:?}").contains("hunter2"));
    let error = fetch(&client(), question).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 403, credential_sent: true, .. }));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert!(fake.request(0).contains("authorization: basic dtpodw50zxiy\r\n"));
}

#[tokio::test]
async fn userinfo_of_a_url_is_neither_sent_nor_shown() {
    let fake = Fake::start(|_, _| reply(500, "", "")).await;
    let mut url = fake.url("/?token=hunter2");
    url.set_username("u").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let error = fetch(&client(), get(url)).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    assert!(!fake.request(0).contains("authorization"));
}

/// Fails `times` times, then answers.
async fn flaky(times: usize, status: u16, headers: &'static str) -> Fake {
    let answer = move |_: &str, before: usize| -> Script {
        if before < times { reply(status, headers, "later") } else { reply(200, "", "ok") }
    };
    Fake::start(answer).await
}

#[tokio::test]
async fn passing_trouble_is_asked_again_and_counted() {
    for status in [429, 502, 503, 504] {
        let fake = flaky(2, status, "").await;
        let client = client();
        assert_eq!(fetch(&client, get(fake.url("/"))).await.unwrap(), "ok");
        let name = "mirror".into();
        assert_eq!(client.metrics().calls(&name), 3);
        assert_eq!(client.metrics().failures(&name, FailureClass::Status), 2);
    }
}

#[tokio::test]
async fn a_dead_upstream_is_reported_in_time_after_three_attempts() {
    let fake = flaky(usize::MAX, 503, "").await;
    let client = client();
    let started = Instant::now();
    let error = fetch(&client, get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 503, .. }), "{error:?}");
    assert_eq!(fake.count(), 3);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_asked_again() {
    let answer = |_: &str, before| if before == 0 { vec![] } else { reply(200, "", "ok") };
    let fake = Fake::start(answer).await;
    assert_eq!(fetch(&client(), get(fake.url("/"))).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_short_retry_after_is_kept_and_a_long_one_ends_the_question() {
    let fake = flaky(1, 429, "retry-after: 1\r\n").await;
    let started = Instant::now();
    assert_eq!(fetch(&client(), get(fake.url("/"))).await.unwrap(), "ok");
    assert!(started.elapsed() >= Duration::from_secs(1));

    let fake = flaky(1, 503, "retry-after: 60\r\n").await;
    let started = Instant::now();
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    let Error::Status { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!((retry_after, fake.count()), (Some(Duration::from_mins(1)), 1));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn an_html_page_is_a_login_page() {
    let kind = "content-type: text/html; charset=utf-8\r\n";
    let fake = Fake::start(move |_, _| reply(200, kind, "v1.0.0\n")).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(&error, Error::BadBody { .. }), "{error:?}");
    assert!(error.to_string().contains("login page"), "{error}");
}

#[tokio::test]
async fn what_is_no_http_is_a_cut_answer() {
    let fake = Fake::start(|_, _| vec![crate::fake::Step::Send(b"SSH-2.0-x\r\n".to_vec())]).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Cut { received: 0, .. }), "{error:?}");
    let fake = Fake::start(|_, _| raw(99, "", "")).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Cut { received: 0, .. }), "{error:?}");
}
