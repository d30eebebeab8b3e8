//! A host of repositories: what it says to git, and what its pages say.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A server on a free loopback port; it ends when dropped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pages: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    /// Answers git with one status and everything else with another.
    pub(crate) async fn start(git: u16, page: u16) -> Self {
        let answer = move |path: &str| {
            let status = if path.contains("/info/refs") { git } else { page };
            (status, "ok".to_owned())
        };
        Self::serving(answer).await
    }

    /// Answers a path with status and body.
    pub(crate) async fn serving(
        answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&pages);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &answer, &counter).await;
            }
        });
        Self { address, pages, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/repo", self.address)
    }

    /// How often a page was asked for.
    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: impl Fn(&str) -> (u16, String), pages: &AtomicUsize) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    if !path.contains("/info/refs") {
        pages.fetch_add(1, Ordering::SeqCst);
    }
    let (status, body) = answer(path);
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\
         www-authenticate: Basic realm=\"x\"\r\ncontent-type: text/plain\r\n\r\n{body}",
        body.len()
    );
    let _gone = stream.write_all(head.as_bytes()).await;
    let _gone = stream.shutdown().await;
}
