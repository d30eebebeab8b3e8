use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use policy::address::Word;
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Door, Hop, MAX_HEAD_BYTES, Rules};
use crate::{address::Undialled, credential::basic};

/// A host that says `hello` to whoever connects.
async fn host() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn rules(remote: SocketAddr) -> Rules {
    Rules {
        host: remote.ip().to_string(),
        port: remote.port(),
        word: Word::Operator,
        bound: false,
        ports: Vec::new(),
        egress: None,
    }
}

/// What comes back for a request, while the door and the host are served.
async fn ask(door: &Door, host: &TcpListener, request: &str) -> String {
    let talk = async {
        let mut git = TcpStream::connect(door.address).await.unwrap();
        git.write_all(request.as_bytes()).await.unwrap();
        git.shutdown().await.unwrap();
        let mut said = Vec::new();
        let _ = git.read_to_end(&mut said).await;
        String::from_utf8(said).unwrap()
    };
    let greet = async {
        loop {
            let (mut stream, _) = host.accept().await.unwrap();
            stream.write_all(b"hello").await.unwrap();
        }
    };
    tokio::select! {
        said = talk => said,
        never = door.serve() => match never {},
        () = greet => unreachable!(),
    }
}

fn connect(door: &Door, target: &str) -> String {
    let password = format!("git:{}", door.password.expose_secret());
    let password = BASE64_STANDARD.encode(password);
    format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nproxy-authorization: Basic {password}\r\n\r\n"
    )
}

#[tokio::test]
async fn the_remote_is_reached_and_the_bytes_go_through() {
    let (listener, address) = host().await;
    let door = Door::open(rules(address)).await.unwrap();
    let said = ask(&door, &listener, &connect(&door, &address.to_string())).await;
    assert_eq!(said, "HTTP/1.1 200 Connected\r\n\r\nhello");
    assert_eq!(door.trouble(), None);
}

#[tokio::test]
async fn strangers_and_other_methods_are_sent_away() {
    let (listener, address) = host().await;
    let door = Door::open(rules(address)).await.unwrap();
    let good = connect(&door, &address.to_string());
    let stranger = good.replace("Basic ", "Basic x");
    assert!(ask(&door, &listener, &stranger).await.starts_with("HTTP/1.1 407 "));
    let nameless = format!("CONNECT {address} HTTP/1.1\r\n\r\n");
    assert!(ask(&door, &listener, &nameless).await.starts_with("HTTP/1.1 407 "));
    let get = good.replace("CONNECT", "GET");
    assert!(ask(&door, &listener, &get).await.starts_with("HTTP/1.1 405 "));
    let portless = connect(&door, "example.com");
    assert!(ask(&door, &listener, &portless).await.starts_with("HTTP/1.1 400 "));
    let padding =
        |size: usize| good.replace("Host: ", &format!("X: {}\r\nHost: ", "x".repeat(size)));
    let fits = padding(MAX_HEAD_BYTES - good.len() - 5);
    assert_eq!(fits.len(), MAX_HEAD_BYTES);
    assert!(ask(&door, &listener, &fits).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(ask(&door, &listener, &padding(MAX_HEAD_BYTES - good.len() - 4)).await, "");
}

#[tokio::test]
async fn every_address_is_judged() {
    let (listener, address) = host().await;
    for (word, bound, target, wanted) in [
        (Word::Operator, false, "169.254.169.254:443".to_owned(), "metadata"),
        (Word::Discovered, false, "127.0.0.1:443".to_owned(), "loopback"),
        (Word::Discovered, false, "10.0.0.1:443".to_owned(), "private"),
        (Word::Discovered, false, "[::ffff:10.0.0.1]:443".to_owned(), "private"),
        (Word::Discovered, false, "8.8.8.8:22".to_owned(), "port 22"),
        // The remote is the operator's, this is not the remote.
        (Word::Operator, false, "10.0.0.1:443".to_owned(), "private"),
        (Word::Operator, true, "example.com:443".to_owned(), "credentials"),
        (Word::Operator, true, format!("127.0.0.1:{}", address.port() - 1), "credentials"),
    ] {
        let door = Door::open(Rules { word, bound, ..rules(address) }).await.unwrap();
        let said = ask(&door, &listener, &connect(&door, &target)).await;
        assert!(said.starts_with("HTTP/1.1 403 "), "{target}: {said}");
        match door.trouble() {
            Some(Undialled::Forbidden(reason)) => assert!(reason.contains(wanted), "{reason}"),
            other => panic!("{target}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_trouble_of_another_kind() {
    let (listener, address) = host().await;
    let gone = host().await.1;
    let door = Door::open(rules(gone)).await.unwrap();
    let said = ask(&door, &listener, &connect(&door, &gone.to_string())).await;
    assert!(said.starts_with("HTTP/1.1 502 "), "{said}");
    assert!(matches!(door.trouble(), Some(Undialled::Unresolved(_))), "{address}");
}

#[tokio::test]
async fn the_operator_s_proxy_is_gone_through() {
    let (listener, proxy) = host().await;
    let hop = Hop {
        host: "127.0.0.1".to_owned(),
        port: proxy.port(),
        authorization: Some(basic("u", "p")),
        no_proxy: String::new(),
    };
    for (answer, wanted) in [("200 OK", "HTTP/1.1 200 "), ("403 No", "HTTP/1.1 502 ")] {
        let rules = Rules {
            host: "example.com".to_owned(),
            port: 443,
            egress: Some(hop.clone()),
            ..rules(proxy)
        };
        let door = Door::open(rules).await.unwrap();
        let request = connect(&door, "example.com:443");
        let talk = async {
            let mut git = TcpStream::connect(door.address).await.unwrap();
            git.write_all(request.as_bytes()).await.unwrap();
            let mut said = vec![0; 13];
            git.read_exact(&mut said).await.unwrap();
            String::from_utf8(said).unwrap()
        };
        let relay = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = super::read_head(&mut stream).await.unwrap();
            stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
            (asked, stream)
        };
        let (said, (asked, _stream)) = tokio::select! {
            both = async { tokio::join!(talk, relay) } => both,
            never = door.serve() => match never {},
        };
        assert_eq!(said, wanted);
        assert!(asked.starts_with("CONNECT example.com:443 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic dTpw\r\n"), "{asked}");
    }
    let rules = Rules { egress: Some(hop), ..rules(proxy) };
    let door = Door::open(rules).await.unwrap();
    let said = ask(&door, &listener, &connect(&door, "169.254.169.254:443")).await;
    assert!(said.starts_with("HTTP/1.1 403 "), "an address in a URL is judged here: {said}");
}
