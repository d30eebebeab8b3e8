//! The upstream: serves the corpus after a delay and at a rate, counts calls and bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How the upstream answers.
#[derive(Debug, Default)]
struct Ways {
    delay_ms: AtomicU64,
    bytes_per_sec: AtomicU64,
    status: AtomicU64,
    cut_after: AtomicU64,
    silent: AtomicBool,
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// A small HTTP/1.1 file server, a thread a connection.
pub(crate) struct Fixture {
    ways: Arc<Ways>,
    port: u16,
}

impl Fixture {
    pub(crate) fn start(root: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let ways = Arc::new(Ways::default());
        let (serving, root) = (Arc::clone(&ways), root.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (ways, root) = (Arc::clone(&serving), root.clone());
                // A client that leaves ends its thread; nobody asks for the reason.
                thread::spawn(move || serve(stream, &root, &ways).ok());
            }
        });
        Ok(Self { ways, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// As a healthy upstream so far away; a rate of 0 is unlimited.
    pub(crate) fn far(&self, delay: Duration, bytes_per_sec: u64) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.ways.delay_ms.store(millis, Ordering::SeqCst);
        self.ways.bytes_per_sec.store(bytes_per_sec, Ordering::SeqCst);
        self.ways.status.store(0, Ordering::SeqCst);
        self.ways.cut_after.store(0, Ordering::SeqCst);
        self.ways.silent.store(false, Ordering::SeqCst);
    }

    pub(crate) fn near(&self) {
        self.far(Duration::ZERO, 0);
    }

    pub(crate) fn fail(&self, status: u64) {
        self.ways.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn cut_after(&self, bytes: u64) {
        self.ways.cut_after.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn silent(&self) {
        self.ways.silent.store(true, Ordering::SeqCst);
    }

    /// Calls and body bytes since the last call of this.
    pub(crate) fn taken(&self) -> (u64, u64) {
        (self.ways.calls.swap(0, Ordering::SeqCst), self.ways.bytes.swap(0, Ordering::SeqCst))
    }
}

fn serve(stream: TcpStream, root: &Path, ways: &Ways) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or("/").replace("%21", "!");
        while reader.read_line(&mut line)? > 2 && line.len() < 65_536 {}
        ways.calls.fetch_add(1, Ordering::SeqCst);
        while ways.silent.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(ways.delay_ms.load(Ordering::SeqCst)));
        answer(&mut writer, root, &path, ways)?;
    }
}

fn answer(writer: &mut TcpStream, root: &Path, path: &str, ways: &Ways) -> std::io::Result<()> {
    let status = ways.status.load(Ordering::SeqCst);
    if status != 0 {
        let head = format!("HTTP/1.1 {status} Failing\r\nContent-Length: 0\r\n\r\n");
        return writer.write_all(head.as_bytes());
    }
    let file: PathBuf = root.join(path.trim_start_matches('/'));
    let Ok(mut file) = File::open(file) else {
        return writer.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nnot found",
        );
    };
    let len = file.metadata()?.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {len}\r\n\r\n"
    );
    writer.write_all(head.as_bytes())?;
    copy(writer, &mut file, ways)
}

fn copy(writer: &mut TcpStream, file: &mut File, ways: &Ways) -> std::io::Result<()> {
    let rate = ways.bytes_per_sec.load(Ordering::SeqCst);
    let cut = ways.cut_after.load(Ordering::SeqCst);
    let started = Instant::now();
    // A cut falls into a chunk: those before it must not carry the whole file.
    let mut chunk = vec![0; if cut == 0 { 256 << 10 } else { 1 << 10 }];
    let mut sent = 0;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        writer.write_all(chunk.get(..read).unwrap_or_default())?;
        sent += read as u64;
        ways.bytes.fetch_add(read as u64, Ordering::SeqCst);
        if cut != 0 && sent >= cut {
            writer.shutdown(std::net::Shutdown::Both)?;
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        if let Some(due) = sent.saturating_mul(1_000_000).checked_div(rate) {
            thread::sleep(Duration::from_micros(due).saturating_sub(started.elapsed()));
        }
    }
}
