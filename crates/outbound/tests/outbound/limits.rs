//! Silence in each phase, and errors that tell them apart.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use outbound::{Client, Config, Error, FailureClass, Get, ProxyEnvironment};
use units::Span;

use crate::{
    client, config,
    fake::{Fake, reply, wait},
    fetch, get,
};

#[tokio::test]
async fn a_silent_upstream_is_a_first_byte_timeout_asked_once() {
    let fake = Fake::start(|_, _| vec![wait(30_000)]).await;
    let started = Instant::now();
    let first_byte = Duration::from_millis(200);
    let error = fetch(&client(), Get { first_byte, ..get(fake.url("/")) }).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: "first byte", .. }), "{error:?}");
    assert_eq!(fake.count(), 1);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_refused_connection_is_told_and_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let client = client();
    let error = fetch(&client, get(url.parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert_eq!(client.metrics().failures(&"mirror".into(), FailureClass::Connect), 3);
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_tls_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let error = fetch(&client(), get(url.parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: "tls", .. }), "{error:?}");
}

/// A listener whose queue is full swallows further connections.
#[tokio::test]
async fn a_black_hole_is_a_connect_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        let connect = tokio::net::TcpStream::connect(address);
        held.push(tokio::time::timeout(Duration::from_millis(50), connect).await);
    }
    let connect_timeout = Span(Duration::from_millis(200));
    let config = Config { connect_timeout, ..config() };
    let client = Client::new(&config, &ProxyEnvironment::default()).unwrap();
    let url = format!("http://{address}/").parse().unwrap();
    let first_byte = Duration::from_secs(5);
    let error = fetch(&client, Get { first_byte, ..get(url) }).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: "connect", .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_without_address_is_dns_trouble() {
    let client = client();
    let error = fetch(&client, get("http://x.invalid/".parse().unwrap())).await.unwrap_err();
    assert!(error.to_string().contains("DNS"), "{error}");
    assert!(client.metrics().failures(&"mirror".into(), FailureClass::Dns) > 0);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_but_for_its_exceptions() {
    let proxy = Fake::start(|_, _| reply(200, "", "from the proxy")).await;
    let fake = Fake::start(|_, _| reply(200, "", "direct")).await;
    let environment = ProxyEnvironment {
        http: Some(format!("u:p@{}", proxy.address)),
        https: None,
        no: Some("127.0.0.1".into()),
    };
    let client = Client::new(&config(), &environment).unwrap();
    let far = get("http://module.example/x".parse().unwrap());
    assert_eq!(fetch(&client, far).await.unwrap(), "from the proxy");
    assert!(proxy.request(0).starts_with("get http://module.example/x"), "{}", proxy.request(0));
    assert!(proxy.request(0).contains("proxy-authorization: basic"), "{}", proxy.request(0));
    assert_eq!(fetch(&client, get(fake.url("/"))).await.unwrap(), "direct");
}

#[tokio::test]
async fn what_comes_through_a_proxy_may_not_lead_into_private_ranges() {
    let inside = Fake::start(|_, _| reply(200, "", "inside")).await;
    let location = format!("location: {}\r\n", inside.url("/"));
    let proxy = Fake::start(move |_, _| reply(302, &location, "")).await;
    let http = Some(proxy.address.to_string());
    let environment = ProxyEnvironment { http, https: None, no: Some("127.0.0.1".into()) };
    let client = Client::new(&config(), &environment).unwrap();
    let question = get("http://module.example/x".parse().unwrap());
    let error = fetch(&client, question).await.unwrap_err();
    assert!(error.to_string().contains("may not be dialled"), "{error}");
    assert_eq!((proxy.count(), inside.count()), (1, 0));
}

#[test]
fn a_proxy_that_is_no_url_stops_the_start() {
    let environment =
        ProxyEnvironment { https: Some("http://".into()), ..ProxyEnvironment::default() };
    let error = Client::new(&Config::default(), &environment).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
}
