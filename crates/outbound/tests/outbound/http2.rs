//! HTTP/2: chosen by ALPN, one connection for many questions, limits as with HTTP/1.1.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use outbound::{Error, Get};
use tokio::net::TcpListener;

use crate::{client, fetch, get, tls::acceptor};

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/silent" {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let told = format!("{:?} {}", request.version(), request.uri().path());
    Ok(Response::new(Full::new(told.into())))
}

#[tokio::test]
async fn many_questions_share_one_connection() {
    let (acceptor, file) = acceptor(&[b"h2", b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                builder.serve_connection(stream, service_fn(answer)).await
            });
        }
    });
    let client = client().with_ca_files(&[file.path().to_owned()]).unwrap();
    let ask = |path: &str| get(format!("{base}{path}").parse().unwrap());
    for path in ["/a", "/b", "/c"] {
        assert_eq!(fetch(&client, ask(path)).await.unwrap(), format!("HTTP/2.0 {path}"));
    }
    let first_byte = Duration::from_millis(100);
    let error = fetch(&client, Get { first_byte, ..ask("/silent") }).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: "first byte", .. }), "{error:?}");
    assert_eq!(fetch(&client, ask("/d")).await.unwrap(), "HTTP/2.0 /d");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    server.abort();
}
