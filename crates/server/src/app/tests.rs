//! Every route with every method, through the handlers themselves; what needs a proxy is in
//! `tests/`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderValue, header};
use prometheus_client::metrics::counter::Counter;
use wire::Handler as _;

use super::*;
use crate::access;
use crate::answer::End;

const PUBLIC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// An application without a proxy, and what it logs.
struct Bench {
    app: App,
    clock: Clock,
    log: access::Receiver,
}

fn bench(admin: AdminFace) -> Bench {
    let config = Config { base_paths: vec!["/go".parse().unwrap()], ..Config::default() };
    bench_of(admin, config)
}

fn bench_of(admin: AdminFace, config: Config) -> Bench {
    let mut registry = Registry::with_prefix("larder");
    let metrics = Metrics::register(&mut registry, "1.2.3");
    let (sender, log) = access::channel(access::Format::Json, 1 << 20, Counter::default());
    let clock = Clock::manual(Timestamp::from_unix_secs(1_000_000_000));
    let app = App::new(AppParts {
        config,
        log: LogConfig::default(),
        access: Some(sender),
        version: "1.2.3".to_owned(),
        via: "larder-7f3a".to_owned(),
        registry: Arc::new(registry),
        metrics,
        clock: clock.clone(),
        admin,
    });
    Bench { app, clock, log }
}

fn request(method: &str, target: &str) -> Request {
    let mut request = http::Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, "larder:8080")
        .body(())
        .unwrap();
    let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4711);
    request.extensions_mut().insert(Peer { addr: peer, local: PUBLIC, tls: false });
    request
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Bench {
    async fn get(&self, target: &str) -> Response {
        self.app.public().call(request("GET", target)).await
    }

    async fn body(&self, target: &str) -> String {
        text(self.get(target).await).await
    }

    async fn status(&self, method: &str, target: &str) -> u16 {
        self.app.public().call(request(method, target)).await.status().as_u16()
    }

    async fn admin_status(&self, target: &str) -> u16 {
        self.app.admin().call(request("GET", target)).await.status().as_u16()
    }

    /// Lines logged so far.
    fn lines(&self) -> Vec<serde_json::Value> {
        let (mut out, stop) = (Vec::new(), AtomicBool::new(true));
        access::run(&self.log, &mut out, &stop);
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A target for each route: a new one does not compile until it has its row here, and its rows
/// below.
fn target(route: Route<'_>) -> &'static str {
    match route {
        Route::Home => "/",
        Route::Robots => "/robots.txt",
        Route::Health => "/healthz",
        Route::Ready => "/readyz",
        Route::Metrics => "/metrics",
        Route::Module { fetching: Fetching::Allowed, .. } => "/m.io/a/@v/list",
        Route::Module { fetching: Fetching::CachedOnly, .. } => "/cached-only/m.io/a/@v/list",
    }
}

/// Each route with its status on the public and on the admin address, while there is no proxy.
fn routes() -> Vec<(&'static str, u16, u16)> {
    let module = |fetching| Route::Module { path: "", fetching };
    [
        (Route::Home, 200, 404),
        (Route::Robots, 200, 200),
        (Route::Health, 200, 200),
        (Route::Ready, 503, 503),
        (Route::Metrics, 200, 200),
        (module(Fetching::Allowed), 503, 404),
        (module(Fetching::CachedOnly), 503, 404),
    ]
    .map(|(route, public, admin)| (target(route), public, admin))
    .to_vec()
}

#[tokio::test]
async fn every_route_answers_get_and_head_alike() {
    let bench = bench(AdminFace::Shared);
    for (target, status, admin) in routes() {
        for base in ["", "/go"] {
            let target = format!("{base}{target}");
            assert_eq!(bench.status("GET", &target).await, status, "{target}");
            assert_eq!(bench.status("HEAD", &target).await, status, "{target}");
        }
        assert_eq!(bench.admin_status(target).await, admin, "{target} on the admin address");
    }
}

#[tokio::test]
async fn every_route_refuses_other_methods_by_405() {
    let bench = bench(AdminFace::Shared);
    for (target, ..) in routes() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "LARDER"] {
            let faces = [
                bench.app.public().call(request(method, target)).await,
                bench.app.admin().call(request(method, target)).await,
            ];
            for response in faces {
                assert_eq!(response.status(), 405, "{method} {target}");
                assert_eq!(response.headers()[header::ALLOW], "GET, HEAD", "{method} {target}");
            }
        }
    }
}

#[tokio::test]
async fn every_request_of_the_protocol_is_routed_and_what_is_none_is_404() {
    let bench = bench(AdminFace::Shared);
    for prefix in ["", "/go", "/cached-only", "/go/cached-only"] {
        for known in [
            "/m.io/a/@v/list",
            "/m.io/a/@latest",
            "/m.io/a/@v/v1.0.0.info",
            "/m.io/a/@v/main.info",
            "/m.io/a/@v/v1.0.0.mod",
            "/m.io/a/@v/v1.0.0.zip",
            "/github.com/%21azure/a/@v/list?query=ignored",
            "/sumdb/sum.golang.org/supported",
        ] {
            let target = format!("{prefix}{known}");
            assert_eq!(bench.status("GET", &target).await, 503, "{target}");
        }
        for unknown in
            ["/m.io/a", "/m.io/A/@v/list", "/m.io/a/@v/v1.exe", "/favicon.ico", "//m.io/a/@v/list"]
        {
            let target = format!("{prefix}{unknown}");
            let response = bench.get(&target).await;
            assert_eq!(response.status(), 404, "{target}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=60");
            assert!(text(response).await.starts_with("not found: "), "{target}");
        }
    }
}

#[tokio::test]
async fn the_home_page_names_the_url_of_the_request() {
    let bench = bench(AdminFace::Shared);
    assert!(bench.body("/").await.contains("GOPROXY=http://larder:8080\n"));
    assert!(bench.body("/go").await.contains("GOPROXY=http://larder:8080/go\n"));
    let http_2 = bench.body("https://go.example.com/").await;
    assert!(http_2.contains("GOPROXY=http://go.example.com\n"), "{http_2}");
}

#[tokio::test]
async fn the_home_page_names_the_configured_url_first() {
    let public_url = Some("https://go.example.com/x".parse().unwrap());
    let config = Config { public_url, ..Config::default() };
    let page = bench_of(AdminFace::Shared, config).body("/").await;
    assert!(page.contains("GOPROXY=https://go.example.com/x\n"), "{page}");
}

#[tokio::test]
async fn metrics_move_to_the_admin_address() {
    let bench = bench(AdminFace::Apart);
    assert_eq!(bench.status("GET", "/metrics").await, 404);
    assert_eq!(bench.admin_status("/metrics").await, 200);
    for both in ["/healthz", "/readyz"] {
        assert_eq!(bench.status("GET", both).await, bench.admin_status(both).await, "{both}");
    }
}

#[tokio::test]
async fn metrics_that_are_off_are_nowhere() {
    let bench = bench(AdminFace::Off);
    let page = bench.body("/metrics").await;
    assert!(page.contains("metrics.enabled"), "{page}");
    assert_eq!(bench.status("GET", "/metrics").await, 404);
    assert_eq!(bench.admin_status("/metrics").await, 404);
    assert_eq!(bench.admin_status("/healthz").await, 200);
}

#[tokio::test]
async fn without_a_proxy_it_is_alive_but_not_ready() {
    let bench = bench(AdminFace::Shared);
    bench.app.set_ready(true);
    assert_eq!(bench.body("/healthz").await, "ok\nlarder 1.2.3\n");
    let response = bench.get("/readyz").await;
    assert_eq!(response.status(), 503);
    assert_eq!(
        text(response).await,
        "not ready: larder is starting: it waits for its data folder\n"
    );
    let response = bench.get("/m.io/a/@v/list").await;
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(text(response).await, "larder is starting: it waits for its data folder\n");
}

#[tokio::test]
async fn draining_is_told_and_nothing_else_changes() {
    let bench = bench(AdminFace::Shared);
    bench.app.set_draining();
    assert_eq!(bench.body("/readyz").await, "not ready: larder is stopping\n");
    assert_eq!(bench.status("GET", "/healthz").await, 200);
    assert_eq!(bench.status("GET", "/").await, 200);
}

#[tokio::test]
async fn a_request_that_went_through_us_before_is_508() {
    let bench = bench(AdminFace::Shared);
    let ask = async |target: &str, via: &'static str| {
        let mut request = request("GET", target);
        request.headers_mut().insert(header::VIA, HeaderValue::from_static(via));
        bench.app.public().call(request).await.status().as_u16()
    };
    assert_eq!(ask("/m.io/a/@v/list", "1.1 nginx, 1.1 larder-7f3a").await, 508);
    assert_eq!(ask("/m.io/a/@v/list", "1.1 nginx, 1.1 larder-other").await, 503);
    // A probe through a proxy that adds our name is no circle.
    assert_eq!(ask("/healthz", "1.1 larder-7f3a").await, 200);
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_log_line() {
    let bench = bench(AdminFace::Shared);
    for (target, ..) in routes() {
        let response = bench.get(target).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let trace = response.headers()["traceresponse"].to_str().unwrap().to_owned();
        let line = bench.lines().pop().unwrap();
        assert_eq!(line["request_id"], id.as_str(), "{target}");
        assert_eq!(line["trace_id"], trace.get(3..35).unwrap(), "{target}");
    }
}

#[tokio::test]
async fn a_callers_trace_is_continued() {
    let bench = bench(AdminFace::Shared);
    let mut request = request("GET", "/healthz");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.headers_mut().insert("traceparent", HeaderValue::from_static(parent));
    let response = bench.app.public().call(request).await;
    let trace = response.headers()["traceresponse"].to_str().unwrap();
    assert!(trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{trace}");
}

#[tokio::test]
async fn a_request_leaves_one_line() {
    let bench = bench(AdminFace::Shared);
    bench.get("/go/m.io/a/@v/v1.0.0.zip?x=1").await;
    let lines = bench.lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    for (field, value) in [
        ("time", "2001-09-09T01:46:40.000000Z".into()),
        ("client", "192.0.2.1".into()),
        ("method", "GET".into()),
        ("path", "/go/m.io/a/@v/v1.0.0.zip".into()),
        ("module", "m.io/a".into()),
        ("version", "v1.0.0".into()),
        ("kind", "zip".into()),
        ("status", 503.into()),
        ("outcome", "none".into()),
        ("bytes", 49.into()),
        ("whole", serde_json::Value::Bool(true)),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
}

#[tokio::test]
async fn the_log_shows_as_much_of_the_client_as_it_may() {
    for (client, shown) in [
        (ClientAddress::Full, serde_json::json!("192.0.2.1")),
        (ClientAddress::Net, serde_json::json!("192.0.2.0")),
        (ClientAddress::Off, serde_json::Value::Null),
    ] {
        let mut bench = bench(AdminFace::Shared);
        Arc::get_mut(&mut bench.app.0).unwrap().shown_client = client;
        bench.get("/healthz").await;
        assert_eq!(bench.lines().pop().unwrap()["client"], shown);
    }
}

#[tokio::test]
async fn requests_are_counted_under_what_they_asked_for() {
    let bench = bench(AdminFace::Shared);
    bench.get("/healthz").await;
    bench.get("/nothing").await;
    bench.status("POST", "/m.io/a/@v/list").await;
    let page = bench.body("/metrics").await;
    for (kind, status) in [("probe", 200), ("unknown", 404), ("unknown", 405)] {
        let line = format!(
            "larder_requests_total{{kind=\"{kind}\",status=\"{status}\",outcome=\"none\"}} 1\n"
        );
        assert!(page.contains(&line), "{line} is missing in\n{page}");
    }
    assert!(page.ends_with("# EOF\n"), "{page}");
}

#[test]
fn a_client_that_leaves_is_logged_as_499() {
    let bench = bench(AdminFace::Shared);
    let (head, ()) = request("GET", "/m.io/a/@v/list").into_parts();
    let noted = Noted::read(&head.headers, "");
    let visit = Visit::begin(&bench.app.0, &head, &noted);
    bench.clock.advance(Duration::from_secs(3));
    drop(visit);
    let line = bench.lines().pop().unwrap();
    assert_eq!((line["status"].as_u64(), line["whole"].as_bool()), (Some(499), Some(false)));
    assert_eq!(line["seconds"].as_f64(), Some(3.0));
}

/// Answers everything with ten bytes that are counted at their end.
#[derive(Clone)]
struct Streams(App);

impl wire::Handler for Streams {
    async fn call(&self, request: Request) -> Response {
        let (head, ()) = request.into_parts();
        let visit = Visit::begin(&self.0.0, &head, &Noted::read(&head.headers, ""));
        let parts = match head.uri.path() {
            "/cut" => vec![Ok(wire::Part::Memory("01234".into())), Err(wire::Cut)],
            _ => vec![Ok(wire::Part::Memory("0123456789".into()))],
        };
        let body = wire::Body::stream(Box::pin(futures_util::stream::iter(parts)), Some(10));
        let outcome = crate::metrics::Outcome::Miss;
        visit.finish(Reply { response: Response::new(body), outcome, end: End::Later })
    }
}

/// What a request for `path` leaves in the log, through a real server.
async fn streamed(path: &str) -> (Option<testkit::Response>, serde_json::Value, String) {
    let bench = bench(AdminFace::Shared);
    let config = wire::Config::default();
    let listeners = wire::Listeners::bind(&[(Ipv4Addr::LOCALHOST, 0).into()], &config).unwrap();
    let url = format!("http://{}{path}", listeners.local_addrs()[0]);
    let streams = Streams(bench.app.clone());
    let server = wire::Server::start(listeners, config, None, streams).unwrap();
    let response = testkit::get(&url).ok();
    server.stop(Duration::from_secs(5)).await;
    let lines = bench.lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    (response, line.clone(), bench.app.0.scrape())
}

#[tokio::test]
async fn a_streamed_body_is_logged_at_its_end() {
    let (response, line, metrics) = streamed("/whole").await;
    assert_eq!(response.unwrap().text(), "0123456789");
    assert_eq!((line["bytes"].as_u64(), line["whole"].as_bool()), (Some(10), Some(true)));
    assert_eq!((line["status"].as_u64(), line["outcome"].as_str()), (Some(200), Some("miss")));
    assert!(metrics.contains("larder_answers_cut_total 0\n"), "{metrics}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_logged_with_what_was_sent() {
    let (response, line, metrics) = streamed("/cut").await;
    assert!(response.is_none_or(|response| !response.whole));
    assert_eq!(line["whole"].as_bool(), Some(false), "{line}");
    assert!(line["bytes"].as_u64() < Some(10), "{line}");
    assert!(metrics.contains("larder_answers_cut_total 1\n"), "{metrics}");
}

#[test]
fn private_modules_are_for_loopback_unless_they_are_for_anyone() {
    let reach_with = |readers, local: &str, header: Option<(&'static str, &'static str)>| {
        let config = Config { private_readers: readers, ..Config::default() };
        let bench = bench_of(AdminFace::Shared, config);
        let mut request = request("GET", "/");
        let peer = request.extensions_mut().get_mut::<Peer>().unwrap();
        peer.local = local.parse().unwrap();
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        let (head, ()) = request.into_parts();
        let caller = bench.app.0.caller(&head, &Noted::read(&head.headers, "larder"));
        caller.may_read(gomod::ModulePath::parse("example.com/m").unwrap()).unwrap().reach()
    };
    let reach = |readers, local: &str| reach_with(readers, local, None);
    for local in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        assert_eq!(reach(Readers::Loopback, local), Reach::Everything, "{local}");
    }
    for local in ["192.0.2.1:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80"] {
        assert_eq!(reach(Readers::Loopback, local), Reach::Public, "{local}");
        assert_eq!(reach(Readers::Anyone, local), Reach::Everything, "{local}");
    }
    // Behind a proxy on this machine, whoever it is: what it says counts against the caller only.
    for (name, value, expected) in [
        ("x-forwarded-for", "192.0.2.1", Reach::Public),
        ("x-forwarded-for", "192.0.2.1, 127.0.0.1", Reach::Public),
        ("x-real-ip", "2001:db8::1", Reach::Public),
        ("forwarded", "for=192.0.2.1", Reach::Public),
        ("x-forwarded-for", "127.0.0.1", Reach::Everything),
    ] {
        let header = Some((name, value));
        assert_eq!(reach_with(Readers::Loopback, "127.0.0.1:80", header), expected, "{header:?}");
        assert_eq!(reach_with(Readers::Loopback, "192.0.2.9:80", header), Reach::Public);
        assert_eq!(reach_with(Readers::Anyone, "127.0.0.1:80", header), Reach::Everything);
    }
}
