//! An HTTP/1.1 server that says exactly what a test scripts, byte for byte.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

/// One step of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
}

/// An answer, after which the connection is closed.
pub(crate) type Script = Vec<Step>;

/// Requests as they came: request line and headers.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// A listener on a free loopback port; it ends when dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// `answer` gets the request and how many came before.
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&str, usize) -> Script + Send + Sync + 'static,
    {
        Self::with_tls(None, answer).await
    }

    pub(crate) async fn with_tls<F>(tls: Option<TlsAcceptor>, answer: F) -> Self
    where
        F: Fn(&str, usize) -> Script + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let answer = Arc::new(answer);
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer, tls) = (Arc::clone(&log), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move { accept(stream, tls, &log, &*answer).await });
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn request(&self, index: usize) -> String {
        self.seen.lock().unwrap()[index].clone()
    }
}

async fn accept(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    log: &Seen,
    answer: &(dyn Fn(&str, usize) -> Script + Sync),
) {
    let Some(tls) = tls else { return serve(stream, log, answer).await };
    let Ok(stream) = tls.accept(stream).await else { return };
    serve(stream, log, answer).await;
}

async fn serve<S>(mut stream: S, log: &Seen, answer: &(dyn Fn(&str, usize) -> Script + Sync))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let before = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    for step in answer(&request, before) {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Wait(time) => sleep(time).await,
        }
    }
    let _gone = stream.shutdown().await;
}

/// A whole answer with its length.
pub(crate) fn reply(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Script {
    let body = body.as_ref();
    let length = format!("content-length: {}\r\n", body.len());
    raw(status, &format!("{length}{headers}"), body)
}

/// An answer whose headers are all the test's own.
pub(crate) fn raw(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Script {
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}\r\n");
    vec![Step::Send([head.as_bytes(), body.as_ref()].concat())]
}

pub(crate) fn wait(millis: u64) -> Step {
    Step::Wait(Duration::from_millis(millis))
}
