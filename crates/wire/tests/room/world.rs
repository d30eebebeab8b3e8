//! A server whose paths say what it answers.

use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt;
use prometheus_client::registry::Registry;
use wire::{
    Body, Config, Cut, Handler, Listeners, Metrics, Part, Request, Response, Sent, Server, Tls,
};

use crate::client::Client;

/// The room's window of sendfile.
pub(crate) const WINDOW: usize = 1 << 20;
/// Bytes of the file all paths serve from.
pub(crate) const FILE: usize = 3 * WINDOW + 4099;

/// What byte `at` of the file is.
pub(crate) fn content() -> Vec<u8> {
    (0..FILE).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

#[derive(Clone)]
pub(crate) struct Paths {
    pub(crate) content: Bytes,
    file: Arc<File>,
    large: Arc<File>,
    /// Open for writing only.
    unreadable: Arc<File>,
    ends: mpsc::Sender<Sent>,
}

impl Paths {
    fn part(&self, offset: usize, len: usize) -> Part {
        Part::File { file: Arc::clone(&self.file), offset: offset as u64, len: len as u64 }
    }

    /// Memory, a large file range, memory, a small file range.
    fn mixed(&self, last: Option<Result<Part, Cut>>) -> wire::PartStream {
        let parts = [
            Ok(Part::Memory(self.content.slice(..10))),
            Ok(self.part(10, WINDOW + 90)),
            Ok(Part::Memory(Bytes::new())),
            Ok(self.part(0, 0)),
            Ok(Part::Memory(self.content.slice(WINDOW + 100..WINDOW + 200))),
            Ok(self.part(WINDOW + 200, 100)),
            Ok(self.part(WINDOW + 300, 100_000)),
        ];
        Box::pin(futures_util::stream::iter(parts.into_iter().chain(last)).then(|part| async {
            tokio::task::yield_now().await;
            part
        }))
    }

    async fn body(&self, words: &[&str]) -> Body {
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        match words[0] {
            "memory" => Body::memory(self.content.slice(..number(1))),
            "file" => Body::file(Arc::clone(&self.file), number(1) as u64, number(2) as u64),
            "large" => Body::file(Arc::clone(&self.large), 0, 64 << 20),
            "mixed" => Body::stream(self.mixed(None), Some(WINDOW as u64 + 100_300)),
            "mixed-long" => Body::stream(self.mixed(None), Some(WINDOW as u64 + 100_299)),
            "mixed-short" => Body::stream(self.mixed(None), Some(WINDOW as u64 + 100_301)),
            "chunked" => Body::stream(self.mixed(None), None),
            "cut" => Body::stream(self.mixed(Some(Err(Cut))), Some(2 * WINDOW as u64)),
            "cut-chunked" => Body::stream(self.mixed(Some(Err(Cut))), None),
            "growing" => {
                let (count, len, paths) = (number(1), number(2), self.clone());
                let parts = futures_util::stream::iter(0..count).then(move |at| {
                    let part = paths.part(at * len, len);
                    let written = Duration::from_millis(u64::from(at % 5 == 0) * 2);
                    async move {
                        tokio::time::sleep(written).await;
                        Ok(part)
                    }
                });
                Body::stream(Box::pin(parts), Some((count * len) as u64))
            }
            "unreadable" => Body::file(Arc::clone(&self.unreadable), 0, 100_000),
            "slow" => {
                tokio::time::sleep(Duration::from_millis(number(1) as u64)).await;
                Body::memory(Bytes::from_static(b"slow"))
            }
            "drip" => {
                let pause = Duration::from_millis(number(1) as u64);
                let parts =
                    futures_util::stream::iter([b"one", b"two"]).then(move |text| async move {
                        tokio::time::sleep(pause).await;
                        Ok(Part::Memory(Bytes::from_static(text)))
                    });
                Body::stream(Box::pin(parts), Some(6))
            }
            "never" => std::future::pending().await,
            _ => panic!("no such path"),
        }
    }
}

impl Handler for Paths {
    async fn call(&self, request: Request) -> Response {
        assert!(request.extensions().get::<wire::Peer>().is_some());
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let words: Vec<_> = path.split('/').collect();
        if words[0] == "peer" {
            let peer = request.extensions().get::<wire::Peer>().unwrap();
            return Response::new(Body::memory(format!("{peer:?}").into()));
        }
        if words[0] == "status" {
            let mut response = Response::new(Body::memory(Bytes::from_static(b"unwanted")));
            *response.status_mut() = words[1].parse().unwrap();
            return response;
        }
        let ends = self.ends.clone();
        let body = self.body(&words).await.on_end(move |sent| ends.send(sent).unwrap_or(()));
        let mut response = Response::new(body);
        if request.uri().query() == Some("length") {
            let len = response.body().len().unwrap().into();
            response.headers_mut().insert(http::header::CONTENT_LENGTH, len);
        }
        response
    }
}

pub(crate) struct World {
    pub(crate) server: Option<Server>,
    pub(crate) addr: SocketAddr,
    pub(crate) paths: Paths,
    pub(crate) ends: mpsc::Receiver<Sent>,
    pub(crate) registry: Registry,
    pub(crate) tls: Option<Tls>,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self::with(Config { cores: 1, ..config }, None)
    }

    pub(crate) fn with(config: Config, tls: Option<Tls>) -> Self {
        let content = Bytes::from(content());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let large = tempfile::tempfile().unwrap();
        large.set_len(64 << 20).unwrap();
        let (sender, ends) = mpsc::channel();
        let named = tempfile::NamedTempFile::new().unwrap();
        named.as_file().set_len(100_000).unwrap();
        let unreadable = Arc::new(File::options().write(true).open(named.path()).unwrap());
        let (file, large) = (Arc::new(file), Arc::new(large));
        let paths = Paths { content, file, large, unreadable, ends: sender };
        let mut registry = Registry::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::bind(&[any], &config).unwrap();
        let listeners = listeners.with_metrics(Metrics::new(&mut registry));
        let addr = listeners.local_addrs()[0];
        let server = Server::start(listeners, config, tls.clone(), paths.clone()).unwrap();
        Self { server: Some(server), addr, paths, ends, registry, tls }
    }

    pub(crate) fn client(&self) -> Client {
        Client::plain(self.addr)
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }

    /// Waits until a metric has a value: it is counted after the client has seen what happened.
    pub(crate) fn await_metric(&self, name: &str, value: u64) {
        let began = Instant::now();
        while self.metric(name) != value {
            assert!(began.elapsed() < Duration::from_secs(10), "{name} is {}", self.metric(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How the next body ends.
    pub(crate) fn end(&self) -> Sent {
        self.ends.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// Drops the page cache of the file, so that serving has to wait for the disk.
    pub(crate) fn cool(&self) {
        self.paths.file.sync_all().unwrap();
        rustix::fs::fadvise(&self.paths.file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}
