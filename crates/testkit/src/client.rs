//! An HTTP/1.1 client that tells what came, also when it came broken.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// What came of the body.
    pub body: Vec<u8>,
    /// Whether the body came whole, by its length or its last chunk.
    pub whole: bool,
}

impl Response {
    /// The first value of a header, asked for in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request to an HTTP/1.1 server, sent on a connection of its own.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    trusted: Option<String>,
}

impl Request {
    /// A request for `http://host:port/path` or `https://…`; the path goes out exactly as written.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            timeout: Duration::from_mins(1),
            trusted: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Longest silence that is borne (default: a minute).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts this authority (PEM) for `https`, and no other.
    #[must_use]
    pub fn trust(mut self, authority: &str) -> Self {
        self.trusted = Some(authority.to_owned());
        self
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    ///
    /// When there is no connection or no complete head; a broken body is no error but not `whole`.
    pub fn send(&self) -> anyhow::Result<Response> {
        let plain = self.url.strip_prefix("http://");
        let rest = plain
            .or_else(|| self.url.strip_prefix("https://"))
            .with_context(|| format!("{}: no HTTP", self.url))?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let address =
            host.to_socket_addrs()?.next().with_context(|| format!("{host}: no address"))?;
        let stream = TcpStream::connect_timeout(&address, self.timeout)
            .with_context(|| format!("connecting to {host}"))?;
        stream.set_read_timeout(Some(self.timeout))?;
        let answer = if plain.is_some() {
            self.exchange(stream, host, path)?
        } else {
            self.exchange(self.tls(stream, address)?, host, path)?
        };
        parse(&answer, &self.method)
            .with_context(|| format!("{} {}: {} bytes", self.method, self.url, answer.len()))
    }

    /// Sends the request and reads until the end, or until the peer breaks off.
    fn exchange(
        &self,
        mut stream: impl Read + Write,
        host: &str,
        path: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let mut request =
            format!("{} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.method);
        for (name, value) in &self.headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        // A reset or a silence in mid-body leaves what came before it in `answer`.
        drop(stream.read_to_end(&mut answer));
        Ok(answer)
    }

    fn tls(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> anyhow::Result<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        let trusted = self.trusted.as_deref().context("https needs an authority to trust")?;
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let connection = rustls::ClientConnection::new(Arc::new(config), address.ip().into())?;
        Ok(rustls::StreamOwned::new(connection, stream))
    }
}

/// Asks for `http://host:port/path`.
///
/// # Errors
///
/// As [`Request::send`].
pub fn get(url: &str) -> anyhow::Result<Response> {
    Request::new("GET", url).send()
}

fn parse(answer: &[u8], method: &str) -> anyhow::Result<Response> {
    let end =
        answer.windows(4).position(|window| window == b"\r\n\r\n").context("no complete head")?;
    let (head, body) = answer.split_at(end);
    let head = std::str::from_utf8(head).context("the head is no text")?;
    let body = body.get(4..).unwrap_or_default();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    ensure!(status_line.starts_with("HTTP/1."), "no HTTP: {status_line}");
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("no status")?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response { status, headers, body: body.to_vec(), whole: true };
    let without_body = method == "HEAD" || matches!(status, 204 | 304);
    if response
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        (response.body, response.whole) = unchunk(body);
    } else if let Some(length) =
        response.header("content-length").and_then(|length| length.parse::<usize>().ok())
    {
        response.whole = without_body || response.body.len() == length;
    }
    Ok(response)
}

/// The content of a chunked body, and whether its last chunk was there.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return (body, false);
        };
        let (size, behind) = rest.split_at(end);
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let (Some(size), Some(chunk)) = (size, behind.get(2..)) else { return (body, false) };
        if size == 0 {
            return (body, true);
        }
        body.extend(chunk.iter().take(size));
        let Some(next) = chunk.get(size + 2..) else { return (body, false) };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(answer: &str) -> Response {
        parse(answer.as_bytes(), "GET").unwrap()
    }

    #[test]
    fn a_whole_answer_is_told_from_a_cut_one() {
        assert!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").whole);
        assert!(!parsed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").whole);
    }

    #[test]
    fn chunks_are_joined_and_the_last_one_is_missed() {
        let whole = parsed(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        );
        assert_eq!((whole.text().as_str(), whole.whole), ("abc", true));
        let cut = parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\nc");
        assert_eq!((cut.text().as_str(), cut.whole), ("abc", false));
    }

    #[test]
    fn an_answer_without_head_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n", "GET").is_err());
        assert!(parse(b"SSH-2.0\r\n\r\n", "GET").is_err());
    }

    #[test]
    fn heads_have_no_body() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").unwrap().whole);
    }
}
