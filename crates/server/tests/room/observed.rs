//! Health, metrics and the access log of real traffic.

use std::sync::atomic::AtomicBool;

use server::access;
use testkit::Behaviour;

use crate::larder::Larder;

const ZIP: &str = "/example.com/m/@v/v1.1.0.zip";

#[test]
fn it_is_ready_until_it_drains_and_serves_on() {
    let larder = Larder::start();
    assert!(larder.get("/readyz").text().starts_with("ready\n"));
    assert_eq!(larder.get("/readyz").status, 200);
    larder.warm(ZIP);
    larder.app.set_draining();
    assert_eq!(larder.get("/readyz").status, 503);
    assert_eq!(larder.get("/healthz").status, 200);
    assert_eq!(larder.get(ZIP).status, 200);
}

#[test]
fn what_is_degraded_stands_in_body_and_metrics_but_not_in_the_status() {
    let larder = Larder::start();
    // These larders have no index.
    let ready = larder.get("/readyz");
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("degraded: index_lost: "), "{}", ready.text());
    let page = larder.get("/metrics").text();
    assert!(page.contains("larder_degraded{reason=\"index_lost\"} 1"), "{page}");
}

#[test]
fn traffic_is_counted_by_kind_status_and_outcome() {
    let larder = Larder::start();
    larder.warm(ZIP);
    larder.ask("GET", ZIP, &[("Range", "bytes=0-9")]);
    larder.upstream.behave("*", Behaviour::new().status(404));
    larder.get("/example.com/none/@v/list");
    let page = larder.get("/metrics").text();
    for labels in [
        "kind=\"zip\",status=\"200\",outcome=\"miss\"",
        "kind=\"zip\",status=\"200\",outcome=\"hit\"",
        "kind=\"zip\",status=\"206\",outcome=\"hit\"",
        "kind=\"list\",status=\"404\",outcome=\"none\"",
    ] {
        let line = format!("larder_requests_total{{{labels}}} ");
        assert!(page.contains(&line), "{line} is missing in\n{page}");
    }
    assert!(!page.contains("example.com"), "a module path in the metrics:\n{page}");
    // Series of the rooms below stand on the same page, which ends once.
    assert!(page.contains("larder_flights_running "), "{page}");
    assert!(page.ends_with("# EOF\n") && page.matches("# EOF").count() == 1, "{page}");
}

#[test]
fn every_answer_has_one_line_with_the_bytes_that_were_sent() {
    let larder = Larder::start();
    let cold = larder.get(ZIP);
    larder.warm(ZIP);
    let part = larder.ask("GET", ZIP, &[("Range", "bytes=100-199")]);
    let head = larder.ask("HEAD", ZIP, &[]);
    let mut seen = [(&cold, cold.body.len()), (&part, 100), (&head, 0)].map(|(answer, bytes)| {
        let id = answer.header("x-request-id").unwrap().to_owned();
        (id, u64::try_from(bytes).unwrap(), 0_u32)
    });
    // A file's line comes at its end, which the client may see first.
    for _ in 0..1_000 {
        for line in lines(&larder) {
            for (id, bytes, lines) in &mut seen {
                if line["request_id"] == id.as_str() {
                    assert_eq!(line["bytes"].as_u64(), Some(*bytes), "{line}");
                    assert_eq!(line["module"], "example.com/m", "{line}");
                    assert_eq!(line["version"], "v1.1.0", "{line}");
                    assert_eq!(line["whole"].as_bool(), Some(true), "{line}");
                    *lines += 1;
                }
            }
        }
        if seen.iter().all(|(_, _, lines)| *lines > 0) {
            break;
        }
        std::thread::yield_now();
    }
    assert!(seen.iter().all(|(_, _, lines)| *lines == 1), "{seen:?}");
}

/// Lines logged since the last call.
fn lines(larder: &Larder) -> Vec<serde_json::Value> {
    let mut out = Vec::new();
    access::run(&larder.log, &mut out, &AtomicBool::new(true));
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
