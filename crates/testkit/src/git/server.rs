//! A smart-http server over `git http-backend`, which can be told to misbehave.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use super::clean_git;
use crate::Issued;

/// Longest request line or header that is read.
const MAX_LINE: u64 = 64 << 10;

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub struct GitRequest {
    /// `GET`, `POST`.
    pub method: String,
    /// As sent.
    pub path: String,
    /// Behind the question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most its first 64 KiB.
    pub body: Vec<u8>,
}

impl GitRequest {
    /// The first value of a header, asked for in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn is_fetch(&self) -> bool {
        let has = |what: &[u8]| self.body.windows(what.len()).any(|window| window == what);
        // Requests that list refs are short, and never packed; an old one that ends at once is none.
        self.method == "POST" && !has(b"command=ls-refs") && self.body != b"0000"
    }
}

/// How a server answers from now on. Each setting is off at first.
#[derive(Debug, Clone, Default)]
pub struct GitRule {
    /// Demands `Authorization: <this>`, else 401.
    pub authorization: Option<String>,
    /// Answers everything with this status.
    pub status: Option<u16>,
    /// Redirects to this base URL, path and query kept.
    pub redirect: Option<String>,
    /// Cuts the body of each answer to a fetch after so many bytes.
    pub cut_fetch_after: Option<usize>,
    /// Sends the body of each answer to a fetch byte by byte, with this pause.
    pub drip: Option<Duration>,
    /// Waits so long before each answer to a fetch.
    pub delay_fetch: Option<Duration>,
    /// Speaks the first version of git's protocol, as some services still do.
    pub old_protocol: bool,
    /// Serves files as they lie there, like a plain web server (dumb http).
    pub dumb: bool,
}

/// A git server on a free port of 127.0.0.1; ends, with all its connections, when dropped.
///
/// `GET <url>/<folder>` reaches the repository in that folder of the root.
#[derive(Debug)]
pub struct GitServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    scheme: &'static str,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    tls: Option<Arc<rustls::ServerConfig>>,
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rule: GitRule,
    seen: Vec<GitRequest>,
    open: Vec<TcpStream>,
}

impl GitServer {
    /// Serves all repositories below a folder over plain HTTP.
    ///
    /// # Errors
    ///
    /// When the machine has no free port.
    pub fn start(root: impl Into<PathBuf>) -> anyhow::Result<Self> {
        Self::listen(root.into(), None)
    }

    /// The same over TLS, under a certificate for `127.0.0.1` or `localhost`.
    ///
    /// # Errors
    ///
    /// When the machine has no free port, or certificate and key do not fit.
    pub fn start_tls(root: impl Into<PathBuf>, certificate: &Issued) -> anyhow::Result<Self> {
        Self::listen(root.into(), Some(certificate.server_config()?))
    }

    fn listen(root: PathBuf, tls: Option<Arc<rustls::ServerConfig>>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (stopping, state) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { root, tls, stopping, state });
        let for_accept = Arc::clone(&shared);
        let accepting = std::thread::Builder::new()
            .name("git-server".to_owned())
            .spawn(move || accept(&listener, &for_accept))?;
        Ok(Self { shared, address, scheme, accepting: Some(accepting) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers by this rule from now on.
    pub fn rule(&self, rule: GitRule) {
        self.shared.state().rule = rule;
    }

    /// All requests, in the order of their arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<GitRequest> {
        self.shared.state().seen.clone()
    }

    /// How many git processes have begun to talk (each begins with `GET …/info/refs`).
    #[must_use]
    pub fn talks(&self) -> usize {
        self.shared.state().seen.iter().filter(|seen| seen.path.ends_with("/info/refs")).count()
    }

    /// How many requests asked for objects.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.shared.state().seen.iter().filter(|seen| seen.is_fetch()).count()
    }

    /// Forgets all requests.
    pub fn forget(&self) {
        self.shared.state().seen.clear();
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.state().open.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        // Wakes the accepting thread, which then sees that it is over and closes the port.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    /// A panic elsewhere in the test must not hide behind a poisoned lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, time: Duration) -> io::Result<()> {
        std::thread::sleep(time);
        if self.stopping.load(Ordering::SeqCst) {
            return Err(io::Error::other("the server ends"));
        }
        Ok(())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(handle) = stream.try_clone() {
            shared.state().open.push(handle);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // Whatever goes wrong with the peer is the peer's matter.
            let _ = match &shared.tls {
                None => talk(&stream, &shared),
                Some(config) => match rustls::ServerConnection::new(Arc::clone(config)) {
                    Ok(tls) => talk(rustls::StreamOwned::new(tls, &stream), &shared),
                    Err(_) => Ok(()),
                },
            };
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// One request; the connection ends with its answer.
fn talk<S: Read + Write>(stream: S, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some((request, body)) = request(&mut reader)? else { return Ok(()) };
    let rule = {
        let mut state = shared.state();
        state.seen.push(request.clone());
        state.rule.clone()
    };
    let stream = reader.get_mut();
    if let Some(wanted) = &rule.authorization
        && request.header("authorization") != Some(wanted)
    {
        let head = "WWW-Authenticate: Basic realm=\"testkit\"\r\n";
        return answer(stream, "401 Unauthorized", head, b"");
    }
    if let Some(status) = rule.status {
        return answer(stream, &format!("{status} As Told"), "", b"as told\n");
    }
    if let Some(base) = &rule.redirect {
        let query = if request.query.is_empty() { "" } else { "?" };
        let to = format!("Location: {base}{}{query}{}\r\n", request.path, request.query);
        return answer(stream, "301 Moved Permanently", &to, b"");
    }
    if rule.dumb {
        let path = shared.root.join(request.path.trim_start_matches('/'));
        return match std::fs::read(path) {
            Ok(bytes) => answer(stream, "200 OK", "Content-Type: text/plain\r\n", &bytes),
            Err(_) => answer(stream, "404 Not Found", "", b""),
        };
    }
    let mut request = request;
    if rule.old_protocol {
        request.headers.retain(|(name, _)| name != "git-protocol");
    }
    let (status, head, body) = backend(&request, body, shared)?;
    if !request.is_fetch() {
        return answer(stream, &status, &head, &body);
    }
    if let Some(delay) = rule.delay_fetch {
        shared.pause(delay)?;
    }
    if let Some(cut) = rule.cut_fetch_after {
        write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(body.get(..cut).unwrap_or(&body))?;
        return stream.flush();
    }
    if let Some(pause) = rule.drip {
        write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n", body.len())?;
        for byte in body {
            stream.write_all(&[byte])?;
            stream.flush()?;
            shared.pause(pause)?;
        }
        return Ok(());
    }
    answer(stream, &status, &head, &body)
}

fn answer(stream: &mut impl Write, status: &str, head: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)?;
    stream.flush()
}

/// Runs the CGI program; status, header lines and body of its answer.
fn backend(
    request: &GitRequest,
    body: Vec<u8>,
    shared: &Shared,
) -> io::Result<(String, String, Vec<u8>)> {
    let mut command = clean_git(&shared.root);
    command.arg("http-backend").env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("GIT_PROJECT_ROOT", &shared.root).env("PATH_INFO", &request.path);
    command.env("REQUEST_METHOD", &request.method).env("QUERY_STRING", &request.query);
    command.env("CONTENT_LENGTH", body.len().to_string()).env("REMOTE_ADDR", "127.0.0.1");
    // The repositories are the test's own, whoever runs it.
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory");
    command.env("GIT_CONFIG_VALUE_0", "*");
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let feed = child.stdin.take().map(|mut stdin| {
        std::thread::spawn(move || {
            // The program may end without having read it all.
            let _ = stdin.write_all(&body);
        })
    });
    let output = child.wait_with_output()?.stdout;
    let _ = feed.map(JoinHandle::join);
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(output.get(..end).unwrap_or_default()).into_owned();
    let body = output.get(end + 4..).unwrap_or_default().to_owned();
    let mut status = "200 OK".to_owned();
    let mut lines = String::new();
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        if let Some(told) = line.strip_prefix("Status: ") {
            told.clone_into(&mut status);
        } else {
            lines.push_str(line);
            lines.push_str("\r\n");
        }
    }
    Ok((status, lines, body))
}

/// Reads one request with its body; `None` when the peer has left.
fn request(reader: &mut impl BufRead) -> io::Result<Option<(GitRequest, Vec<u8>)>> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = GitRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        ..GitRequest::default()
    };
    while let Some((name, value)) = line(reader)?.split_once(':') {
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut body = Vec::new();
    if request.header("transfer-encoding").is_some() {
        loop {
            let size = u64::from_str_radix(&line(reader)?, 16).map_err(io::Error::other)?;
            reader.take(size).read_to_end(&mut body)?;
            line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = request.header("content-length").and_then(|text| text.parse().ok())
    {
        reader.take(length).read_to_end(&mut body)?;
    }
    request.body = body.iter().copied().take(64 << 10).collect();
    Ok(Some((request, body)))
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(MAX_LINE).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
