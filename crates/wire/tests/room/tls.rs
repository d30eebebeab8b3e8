//! Encrypted connections: versions, resumption, reload, HTTP/2.

use std::{io::Read, net::TcpStream, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use units::Span;
use wire::{Config, Tls};

use crate::{
    client::{Client, client_config, identity},
    world::{FILE, WINDOW, World},
};

fn world(config: Config) -> (World, RootCertStore) {
    let (made, roots) = identity();
    let tls = Tls::load(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
    (World::with(Config { cores: 1, ..config }, Some(tls.unwrap())), roots)
}

#[test]
fn both_versions_are_spoken() {
    let (world, roots) = world(Config::default());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(client_config(roots.clone(), version, &[]));
        assert_eq!(Client::tls(world.addr, config).get("/memory/7").body.len(), 7);
    }
}

#[test]
fn sessions_are_resumed() {
    use rustls::{HandshakeKind, version::TLS13};
    let (world, roots) = world(Config::default());
    let config = Arc::new(client_config(roots, &TLS13, &["http/1.1"]));
    let kind = || {
        let mut tcp = TcpStream::connect(world.addr).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut session = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut tcp);
        std::io::Write::write_all(&mut stream, b"GET /memory/1 HTTP/1.0\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        session.handshake_kind().unwrap()
    };
    assert_eq!(kind(), HandshakeKind::Full);
    assert_eq!(kind(), HandshakeKind::Resumed);
}

#[test]
fn a_reload_takes_effect_at_the_next_handshake() {
    let (world, roots) = world(Config::default());
    let (made, new_roots) = identity();
    let trusting = |roots: &RootCertStore| {
        Arc::new(client_config(roots.clone(), &rustls::version::TLS13, &[]))
    };
    let mut before = Client::tls(world.addr, trusting(&roots));
    assert_eq!(before.get("/memory/1").status, 200);
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    world.tls.as_ref().unwrap().reload(cert.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(Client::tls(world.addr, trusting(&new_roots)).get("/memory/1").status, 200);
    assert_eq!(before.get("/memory/1").status, 200, "open connections go on");
}

#[test]
fn a_handshake_that_is_not_made_is_closed() {
    let short = Span(Duration::from_millis(200));
    let (world, _) = world(Config { header_timeout: short, ..Config::default() });
    let mut silent = TcpStream::connect(world.addr).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
    let mut plain = world.client();
    plain.ask("GET", "/memory/1");
    assert!(plain.answer("GET").is_err());
    world.await_metric("tls_handshake_failures_total", 2);
}

type Sender = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

async fn http2(world: &World, roots: RootCertStore) -> Sender {
    let config = client_config(roots, &rustls::version::TLS13, &["h2"]);
    let tcp = tokio::net::TcpStream::connect(world.addr).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: &str, path: &str) -> http::Request<Empty<Bytes>> {
    let uri = format!("https://localhost{path}");
    http::Request::builder().method(method).uri(uri).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn http2_answers_byte_for_byte() {
    let (world, roots) = world(Config::default());
    let mut sender = http2(&world, roots).await;
    for (path, range) in [
        ("/memory/0".to_owned(), 0..0),
        ("/memory/1000".to_owned(), 0..1000),
        ("/file/0/1".to_owned(), 0..1),
        (format!("/file/5/{WINDOW}"), 5..WINDOW + 5),
        (format!("/file/0/{FILE}"), 0..FILE),
        ("/mixed".to_owned(), 0..WINDOW + 100_300),
        ("/chunked".to_owned(), 0..WINDOW + 100_300),
    ] {
        let answer = sender.send_request(request("GET", &path)).await.unwrap();
        let len = answer.headers().get("content-length").cloned();
        let known = (path != "/chunked").then(|| range.len().to_string());
        assert_eq!(len.map(|len| len.to_str().unwrap().to_owned()), known, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body == world.paths.content[range], "{path}");
        assert!(world.end().whole, "{path}");
    }
}

#[tokio::test]
async fn http2_streams_go_side_by_side() {
    let (world, roots) = world(Config::default());
    let sender = http2(&world, roots).await;
    let asked = (0..40_usize).map(|n| {
        let mut sender = sender.clone();
        async move {
            let path = format!("/file/{n}/300000");
            let answer = sender.send_request(request("GET", &path)).await.unwrap();
            (n, answer.into_body().collect().await.unwrap().to_bytes())
        }
    });
    for (n, body) in futures_util::future::join_all(asked).await {
        assert!(body == world.paths.content[n..n + 300_000], "{n}");
    }
    world.await_metric("connections_accepted_total", 1);
}

#[tokio::test]
async fn http2_head_has_the_length_and_no_body() {
    let (world, roots) = world(Config::default());
    let mut sender = http2(&world, roots).await;
    let answer = sender.send_request(request("HEAD", "/file/0/2000000")).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "2000000");
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn http2_resets_the_stream_of_a_cut_body_only() {
    let (world, roots) = world(Config::default());
    let mut sender = http2(&world, roots).await;
    for path in ["/cut", "/cut-chunked", "/mixed-short"] {
        let answer = sender.send_request(request("GET", path)).await.unwrap();
        assert!(answer.into_body().collect().await.is_err(), "{path}");
    }
    let answer = sender.send_request(request("GET", "/memory/3")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 3);
}

#[tokio::test]
async fn http2_client_that_reads_nothing_is_cut() {
    let short = Span(Duration::from_millis(300));
    let (world, roots) = world(Config { write_timeout: short, ..Config::default() });
    let mut sender = http2(&world, roots).await;
    let answer = sender.send_request(request("GET", "/large")).await.unwrap();
    let ended = tokio::task::spawn_blocking(move || (world.end(), world)).await.unwrap();
    assert!(!ended.0.whole);
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn http2_connections_end_when_idle() {
    let idle_timeout = Span(Duration::from_millis(300));
    let (world, roots) = world(Config { idle_timeout, ..Config::default() });
    let mut sender = http2(&world, roots).await;
    let answer = sender.send_request(request("GET", "/slow/900")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "slow");
    let closed = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap();
    assert_eq!(world.metric("connections_timed_out_total"), 0);
}

#[tokio::test]
async fn http2_limits_header_fields_and_targets() {
    let (world, roots) = world(Config::default());
    let mut sender = http2(&world, roots).await;
    for (fields, status) in [(100, 200), (101, 431)] {
        let mut asked = request("GET", "/memory/1");
        for n in 0..fields {
            let name = http::HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
            asked.headers_mut().insert(name, http::HeaderValue::from_static("y"));
        }
        let answer = sender.send_request(asked).await.unwrap();
        assert_eq!(answer.status(), status, "{fields}");
    }
    let long = format!("/memory/1?{}", "x".repeat(16 << 10));
    let answer = sender.send_request(request("GET", &long)).await.unwrap();
    assert_eq!(answer.status(), 414);
}

#[tokio::test]
async fn http2_stops_gracefully() {
    let (mut world, roots) = world(Config::default());
    let mut sender = http2(&world, roots).await;
    let asked = tokio::spawn(sender.send_request(request("GET", "/slow/300")));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = world.server.take().unwrap().stop(Duration::from_secs(5)).await;
    assert_eq!(stopped.cut_connections, 0);
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "slow");
}
