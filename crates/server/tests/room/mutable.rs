//! Lists and queries: fresh, stale, gone.

use std::time::Duration;

use testkit::Behaviour;

use crate::larder::Larder;

const LIST: &str = "/example.com/m/@v/list";

#[test]
fn lists_and_queries_have_their_types_and_short_lives() {
    let larder = Larder::start();
    for (path, media) in [
        (LIST, "text/plain; charset=utf-8"),
        ("/example.com/m/@latest", "application/json"),
        ("/example.com/m/@v/main.info", "application/json"),
    ] {
        let response = larder.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        assert_eq!(response.header("content-type"), Some(media), "{path}");
        let kept = response.header("cache-control").unwrap();
        let age: u64 = kept.strip_prefix("public, max-age=").unwrap().parse().unwrap();
        assert!(age <= 60, "{path}: {kept}");
    }
    assert_eq!(larder.told(LIST), (200, "v1.0.0\nv1.1.0\n".to_owned()));
}

#[test]
fn a_fresh_list_is_a_hit() {
    let larder = Larder::start();
    assert_eq!(larder.get(LIST).header("cache-status"), Some("larder; fwd=miss; stored"));
    assert_eq!(larder.get(LIST).header("cache-status"), Some("larder; hit"));
    assert_eq!(larder.upstream.calls("*/@v/list"), 1);
}

#[test]
fn an_old_list_is_marked_when_the_source_fails() {
    let larder = Larder::start();
    assert_eq!(larder.get(LIST).status, 200);
    larder.upstream.behave("*", Behaviour::new().status(503));
    larder.advance(Duration::from_hours(1));
    let response = larder.get(LIST);
    assert_eq!((response.status, response.text()), (200, "v1.0.0\nv1.1.0\n".to_owned()));
    assert_eq!(response.header("cache-status"), Some("larder; hit; detail=stale"));
}
