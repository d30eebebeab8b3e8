use std::time::Instant;

use super::*;
use crate::{Authority, ModuleVersion, Request, get};

const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";

fn upstream() -> FakeUpstream {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/a", "v1.0.0").noise("noise.bin", 100_000, 1));
    FakeUpstream::start(modules).unwrap()
}

fn zip(upstream: &FakeUpstream) -> crate::Response {
    get(&format!("{}{ZIP}", upstream.url())).unwrap()
}

#[test]
fn it_serves_files_and_says_404_of_others() {
    let upstream = upstream();
    let answer = zip(&upstream);
    assert_eq!(
        (answer.status, answer.whole, answer.header("content-type")),
        (200, true, Some("application/zip"))
    );
    assert_eq!(&answer.body, upstream.modules().file(ZIP).unwrap());
    assert_eq!(get(&format!("{}/example.com/b/@v/list", upstream.url())).unwrap().status, 404);
    assert_eq!(
        (upstream.calls("*"), upstream.calls("*.zip"), upstream.bytes_sent(ZIP)),
        (2, 1, answer.body.len() as u64)
    );
}

#[test]
fn escapes_of_paths_are_one_path() {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/A", "v1.0.0"));
    let upstream = FakeUpstream::start(modules).unwrap();
    for path in ["/example.com/!a/@v/list", "/example.com/%21a/%40v/list"] {
        assert_eq!(get(&format!("{}{path}", upstream.url())).unwrap().text(), "v1.0.0\n");
    }
    assert_eq!(upstream.calls("/example.com/!a/@v/list"), 2);
}

#[test]
fn the_last_rule_counts_until_its_times_are_over() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().status(500));
    upstream.behave("*.zip", Behaviour::new().status(429).header("Retry-After", "7").times(1));
    let first = zip(&upstream);
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    assert_eq!(zip(&upstream).status, 500);
    upstream.behave_well();
    assert_eq!(zip(&upstream).status, 200);
}

#[test]
fn bodies_are_cut_where_asked() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().cut_after(1000));
    let answer = zip(&upstream);
    assert_eq!((answer.status, answer.whole, answer.body.len()), (200, false, 1000));
}

#[test]
fn lengths_can_be_lies() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().body("four").claim_length(3));
    assert_eq!(zip(&upstream).header("content-length"), Some("3"));
    upstream.behave("*", Behaviour::new().body("four").claim_length(5));
    assert!(!zip(&upstream).whole);
}

#[test]
fn bodies_can_come_without_a_length() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().chunked());
    let answer = zip(&upstream);
    assert_eq!((answer.header("content-length"), answer.whole), (None, true));
    assert_eq!(&answer.body, upstream.modules().file(ZIP).unwrap());
}

#[test]
fn a_cut_body_can_be_resumed_when_offered() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().resumable());
    let etag = zip(&upstream).header("etag").unwrap().to_owned();
    let url = format!("{}{ZIP}", upstream.url());
    let rest = Request::new("GET", &url)
        .header("Range", "bytes=1000-")
        .header("If-Range", &etag)
        .send()
        .unwrap();
    assert_eq!((rest.status, rest.whole), (206, true));
    assert_eq!(rest.body, upstream.modules().file(ZIP).unwrap().slice(1000..));
    let other = Request::new("GET", &url)
        .header("Range", "bytes=1000-")
        .header("If-Range", "\"other\"")
        .send()
        .unwrap();
    assert_eq!(other.status, 200);
}

#[test]
fn answers_can_be_late_and_slow() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().delay(Duration::from_millis(60)).throttle(1_000_000));
    let started = Instant::now();
    assert!(zip(&upstream).whole);
    // 60 ms, and 100 kB at 1 MB/s.
    assert!(started.elapsed() >= Duration::from_millis(150), "{:?}", started.elapsed());
}

#[test]
fn silence_lasts_until_the_end() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::silent());
    let asked = Request::new("GET", &format!("{}{ZIP}", upstream.url()))
        .timeout(Duration::from_millis(50))
        .send();
    assert!(asked.is_err());
    assert_eq!(upstream.calls("*"), 1);
    let started = Instant::now();
    drop(upstream);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn requests_are_remembered_with_their_headers() {
    let upstream = upstream();
    Request::new("HEAD", &format!("{}{ZIP}", upstream.url()))
        .header("Via", "1.1 larder")
        .send()
        .unwrap();
    let seen = upstream.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str(), seen[0].header("via")),
        ("HEAD", ZIP, Some("1.1 larder"))
    );
    assert_eq!(upstream.bytes_sent("*"), 0);
}

#[test]
fn the_peak_counts_requests_at_one_time() {
    let upstream = upstream();
    upstream.behave("*", Behaviour::new().delay(Duration::from_millis(200)));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| zip(&upstream));
        }
    });
    assert_eq!(upstream.peak(), 3);
    upstream.reset_counts();
    assert_eq!((upstream.peak(), upstream.calls("*")), (0, 0));
}

#[test]
fn after_its_end_nobody_listens() {
    let upstream = upstream();
    let url = upstream.url();
    drop(upstream);
    assert!(get(&url).is_err());
}

#[test]
fn tls_needs_the_authority() {
    let authority = Authority::new().unwrap();
    let issued = authority.issue(&["127.0.0.1"]).unwrap();
    let mut modules = Modules::new();
    modules.raw("/x", "over TLS");
    let upstream = FakeUpstream::start_tls(modules, &issued).unwrap();
    let get = |trusted: &Authority| {
        Request::new("GET", &format!("{}/x", upstream.url())).trust(&trusted.pem()).send()
    };
    assert_eq!(get(&authority).unwrap().text(), "over TLS");
    assert!(get(&Authority::new().unwrap()).is_err(), "a stranger's authority");
}
