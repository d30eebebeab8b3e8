//! Whole answers of any status.

use outbound::{Error, Get};

use crate::{
    client,
    fake::{Fake, Step, raw, reply},
    get,
};

#[tokio::test]
async fn any_status_and_type_is_an_answer() {
    for status in [200, 204, 302, 400, 401, 404, 410, 429, 500, 503] {
        let kind = "content-type: text/html\r\nretry-after: 7\r\n";
        let fake = Fake::start(move |_, _| reply(status, kind, "<p>")).await;
        let page = client().page(get(fake.url("/x"))).await.unwrap();
        assert_eq!((page.status, page.cut, page.text), (status, false, None));
        assert_eq!(page.retry_after.unwrap().as_secs(), 7);
        // A 204 has no body by its nature.
        assert!(status == 204 || page.body == "<p>");
        assert_eq!(fake.count(), 1, "{status} is not asked again");
    }
}

#[tokio::test]
async fn a_plain_text_is_shown_and_its_place_told() {
    let fake = Fake::start(|request, _| {
        if request.starts_with("get /old") {
            return reply(301, "location: /new?a=b\r\n", "");
        }
        reply(404, "content-type: text/plain\r\n", "gone away\nmore")
    })
    .await;
    let page = client().page(get(fake.url("/old"))).await.unwrap();
    assert_eq!(page.text.unwrap().as_str(), "gone away");
    assert_eq!((page.url.path(), page.url.query()), ("/new", Some("a=b")));
}

#[tokio::test]
async fn a_body_is_read_to_the_bound_and_no_further() {
    let fake = Fake::start(|_, _| reply(200, "", "x".repeat(100))).await;
    let bounded = |max_bytes| Get { max_bytes, ..get(fake.url("/")) };
    let whole = client().page(bounded(100)).await.unwrap();
    assert_eq!((whole.body.len(), whole.cut), (100, false));
    let cut = client().page(bounded(99)).await.unwrap();
    assert_eq!((cut.body.len(), cut.cut), (99, true));
}

#[tokio::test]
async fn what_ends_early_is_no_answer() {
    let fake = Fake::start(|_, _| raw(200, "content-length: 10\r\n", "half")).await;
    let error = client().page(get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Cut { received: 4, .. }), "{error:?}");
}

#[tokio::test]
async fn a_failed_connection_is_tried_again() {
    let fake = Fake::start(|_, before| match before {
        0 => vec![Step::Send(Vec::new())],
        _ => reply(404, "", "here"),
    })
    .await;
    let page = client().page(get(fake.url("/"))).await.unwrap();
    assert_eq!((page.status, fake.count()), (404, 2));
}

#[tokio::test]
async fn redirects_have_an_end() {
    let fake = Fake::start(|_, _| reply(302, "location: /again\r\n", "")).await;
    let error = client().page(get(fake.url("/"))).await.unwrap_err();
    assert!(error.to_string().contains("redirected more than 10 times"), "{error}");
    assert_eq!(fake.count(), 11);
}
