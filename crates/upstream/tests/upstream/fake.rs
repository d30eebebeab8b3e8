//! A GOPROXY server over HTTP/1.1 whose answers a test scripts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// What the server says to one path.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16, &'static str, Vec<u8>),
    /// Announces more than it sends.
    Cut(Vec<u8>, usize),
    /// Says nothing for so long.
    Silent(Duration),
}

pub(crate) type Routes = BTreeMap<&'static str, Answer>;

/// A server on a free loopback port; it ends when dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    count: Arc<AtomicUsize>,
    routes: Arc<Mutex<Routes>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// The route `*` answers what has none of its own; without it that is a 404.
    pub(crate) async fn start(routes: Routes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let routes = Arc::new(Mutex::new(routes));
        let (counter, shared) = (Arc::clone(&count), Arc::clone(&routes));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counter, shared) = (Arc::clone(&counter), Arc::clone(&shared));
                tokio::spawn(async move { serve(stream, &counter, &shared).await });
            }
        });
        Self { address, count, routes, task }
    }

    /// Every path gets the same answer.
    pub(crate) async fn always(answer: Answer) -> Self {
        Self::start([("*", answer)].into()).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/go", self.address)
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, path: &'static str, answer: Answer) {
        self.routes.lock().unwrap().insert(path, answer);
    }
}

async fn serve(mut stream: TcpStream, count: &AtomicUsize, routes: &Mutex<Routes>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
    count.fetch_add(1, Ordering::SeqCst);
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches("/go/");
    let answer = {
        let routes = routes.lock().unwrap();
        routes.get(path).or_else(|| routes.get("*")).cloned()
    };
    let missing = || not_found("not found: not here");
    let (status, kind, body, length) = match answer.unwrap_or_else(missing) {
        Answer::Status(status, kind, body) => (status, kind, body.clone(), body.len()),
        Answer::Cut(body, length) => (200, "", body, length),
        Answer::Silent(time) => return sleep(time).await,
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{kind}\r\n"
    );
    let _gone = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    let _gone = stream.shutdown().await;
}

pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
    Answer::Status(200, "", body.into())
}

pub(crate) fn status(status: u16) -> Answer {
    Answer::Status(status, "content-type: text/plain\r\n", b"the reason\nand more".to_vec())
}

pub(crate) fn not_found(text: &str) -> Answer {
    Answer::Status(404, "content-type: text/plain\r\n", text.as_bytes().to_vec())
}
