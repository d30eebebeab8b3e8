//! Files of versions: cold, warm, in part, not at all.

use crate::larder::{Larder, modules};

const ZIP: &str = "/example.com/m/@v/v1.1.0.zip";

fn bytes(path: &str) -> Vec<u8> {
    modules().file(path).unwrap().to_vec()
}

#[test]
fn a_cold_file_is_fetched_and_a_warm_one_is_not() {
    let larder = Larder::start();
    for (file, media) in [
        ("v1.1.0.info", "application/json"),
        ("v1.1.0.mod", "text/plain; charset=utf-8"),
        ("v1.1.0.zip", "application/zip"),
    ] {
        let path = format!("/example.com/m/@v/{file}");
        let cold = larder.get(&path);
        assert_eq!((cold.status, cold.body == bytes(&path)), (200, true), "{file}");
        let calls = larder.upstream.calls("*");
        let warm = larder.warm(&path);
        assert_eq!((warm.status, warm.body == bytes(&path)), (200, true), "{file}");
        assert_eq!(warm.header("content-type"), Some(media));
        assert_eq!(warm.header("cache-control"), Some("public, max-age=10800, immutable"));
        assert_eq!(warm.header("content-length"), Some(warm.body.len().to_string().as_str()));
        assert!(warm.header("etag").is_some_and(|etag| etag.len() == 66), "{file}");
        assert_eq!(larder.upstream.calls("*"), calls, "{file}");
    }
}

#[test]
fn a_cold_zip_comes_whole_without_validators() {
    let larder = Larder::start();
    let cold = larder.ask("GET", ZIP, &[("Range", "bytes=0-9"), ("If-None-Match", "*")]);
    // A small zip is answered behind its verdict: then it has validators, and conditions count.
    match cold.header("etag") {
        None => assert_eq!((cold.status, cold.body == bytes(ZIP)), (200, true)),
        Some(_) => assert_eq!(cold.status, 304),
    }
}

#[test]
fn head_says_what_get_says() {
    let larder = Larder::start();
    for file in ["v1.1.0.info", "v1.1.0.mod", "v1.1.0.zip"] {
        let path = format!("/example.com/m/@v/{file}");
        let get = larder.warm(&path);
        let head = larder.ask("HEAD", &path, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["content-length", "content-type", "etag", "last-modified", "accept-ranges"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {file}");
        }
    }
}

#[test]
fn conditions_and_ranges_work_over_a_socket() {
    let larder = Larder::start();
    let warm = larder.warm(ZIP);
    let (etag, date) = (warm.header("etag").unwrap(), warm.header("last-modified").unwrap());
    let whole = bytes(ZIP);
    let last = whole.len() - 1;
    let behind = format!("bytes={}-", whole.len());
    let tail = format!("bytes={last}-");
    for (headers, status, body) in [
        (vec![("If-None-Match", etag)], 304, Vec::new()),
        (vec![("If-Modified-Since", date)], 304, Vec::new()),
        (vec![("If-None-Match", "\"other\"")], 200, whole.clone()),
        (vec![("Range", "bytes=100-199")], 206, whole[100..200].to_vec()),
        (vec![("Range", &tail)], 206, whole[last..].to_vec()),
        (vec![("Range", "bytes=0-9"), ("If-Range", etag)], 206, whole[..10].to_vec()),
        (vec![("Range", "bytes=0-9"), ("If-Range", "\"other\"")], 200, whole.clone()),
    ] {
        let response = larder.ask("GET", ZIP, &headers);
        assert_eq!(response.status, status, "{headers:?}");
        assert!(response.body == body, "{headers:?}: {} bytes", response.body.len());
    }
    let response = larder.ask("GET", ZIP, &[("Range", &behind)]);
    assert_eq!(response.status, 416);
    let total = format!("bytes */{}", whole.len());
    assert_eq!(response.header("content-range"), Some(total.as_str()));
}

#[test]
fn escapes_and_base_paths_lead_to_one_file() {
    let mut plan = crate::larder::Plan::default();
    plan.config.base_paths = vec!["/artifactory/api/go/x".parse().unwrap()];
    let larder = Larder::plan(plan);
    larder.warm("/example.com/m/@v/v1.0.0.mod");
    let calls = larder.upstream.calls("*");
    for path in [
        "/artifactory/api/go/x/example.com/m/@v/v1.0.0.mod",
        "/example.com/m/@v/v1.0.0%2Emod",
        "/example%2Ecom/m/@v/v1.0.0.mod?query=ignored",
        "/cached-only/example.com/m/@v/v1.0.0.mod",
        "/artifactory/api/go/x/cached-only/example.com/m/@v/v1.0.0.mod",
    ] {
        assert_eq!(larder.get(path).status, 200, "{path}");
    }
    assert_eq!(larder.upstream.calls("*"), calls);
}

#[test]
fn cached_only_never_fetches() {
    let larder = Larder::start();
    let (path, header) = ("/example.com/m/@v/v1.0.0.zip", ("Disable-Module-Fetch", "true"));
    for response in [larder.get(&format!("/cached-only{path}")), larder.ask("GET", path, &[header])]
    {
        assert_eq!(response.status, 404);
        assert!(response.text().contains("temporarily unavailable"), "{}", response.text());
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    assert_eq!(larder.upstream.calls("*"), 0);
    larder.warm(path);
    assert_eq!(larder.get(&format!("/cached-only{path}")).status, 200);
    assert_eq!(larder.ask("GET", path, &[header]).status, 200);
}
