//! One connection: requests in, answers as the rules say.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Behaviour, Seen, Shared};

/// Longest request line or header that is read.
const MAX_LINE: u64 = 64 << 10;
const CHUNK: usize = 16 << 10;

/// Whether the connection takes another request.
type GoesOn = bool;

/// Answers requests until the peer leaves or an answer breaks the connection.
pub(super) fn serve(stream: &TcpStream, shared: &Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    // Whatever goes wrong with the peer is the peer's matter.
    let _ = match &shared.tls {
        None => talk(stream, shared),
        Some(config) => match rustls::ServerConnection::new(Arc::clone(config)) {
            Ok(tls) => talk(rustls::StreamOwned::new(tls, stream), shared),
            Err(_) => Ok(()),
        },
    };
    // Other handles of the socket are kept for the end; this one says goodbye.
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

fn talk<S: Read + Write>(stream: S, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(seen) = request(&mut reader)? {
        let closes =
            seen.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let path = seen.path.clone();
        let mut sent = 0;
        let (behaviour, content) = shared.begin(seen.clone());
        let answer = Answer { behaviour, content, seen, shared };
        let goes_on = answer.send(reader.get_mut(), &mut sent);
        shared.end(&path, sent);
        if !goes_on? || closes {
            break;
        }
    }
    Ok(())
}

/// Reads one request; `None` when the peer has left.
fn request(reader: &mut impl BufRead) -> io::Result<Option<Seen>> {
    let line = line(reader)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut seen = Seen { method: method.to_owned(), path: decode(target), headers: Vec::new() };
    loop {
        let line = self::line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(Some(seen)) };
        seen.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(MAX_LINE).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Percent-decodes; what is no escape stays.
fn decode(target: &str) -> String {
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let (b'%', Some(byte)) = (first, hex) {
            bytes.push(byte);
            rest = behind.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Answer<'a> {
    behaviour: Behaviour,
    content: Option<Bytes>,
    seen: Seen,
    shared: &'a Shared,
}

impl Answer<'_> {
    fn send(&self, stream: &mut impl Write, sent: &mut u64) -> io::Result<GoesOn> {
        let behaviour = &self.behaviour;
        if behaviour.silent {
            while self.shared.pause(Duration::from_hours(1)) {}
            return Ok(false);
        }
        if !behaviour.delay.is_zero() && !self.shared.pause(behaviour.delay) {
            return Ok(false);
        }
        let (status, whole) = self.status_and_body();
        let (status, start) = self.range(status, &whole);
        let body = whole.slice(start..);
        stream.write_all(self.head(status, &whole, start).as_bytes())?;
        stream.flush()?;
        if self.seen.method == "HEAD" || status == 304 {
            return Ok(true);
        }
        let cut = behaviour
            .cut_after
            .and_then(|cut| usize::try_from(cut).ok())
            .filter(|cut| *cut < body.len());
        self.body(stream, &body.slice(..cut.unwrap_or(body.len())), sent)?;
        let lied = behaviour.claimed_length.is_some_and(|claimed| claimed != body.len() as u64);
        if cut.is_some() || lied {
            return Ok(false);
        }
        if behaviour.chunked {
            stream.write_all(b"0\r\n\r\n")?;
            stream.flush()?;
        }
        Ok(true)
    }

    fn status_and_body(&self) -> (u16, Bytes) {
        let status = self.behaviour.status.unwrap_or(200);
        match (&self.behaviour.body, &self.content) {
            (Some(body), _) => (status, body.clone()),
            (None, _) if status != 200 => {
                (status, Bytes::from(format!("fake upstream: status {status}\n")))
            }
            (None, Some(content)) => (200, content.clone()),
            (None, None) => (
                404,
                Bytes::from(format!(
                    "not found: {}: unknown to the fake upstream\n",
                    self.seen.path
                )),
            ),
        }
    }

    /// Status and first byte to send, as `Range: bytes=N-` asks; other ranges get the whole.
    fn range(&self, status: u16, whole: &Bytes) -> (u16, usize) {
        let asked = self
            .seen
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let fits = self.seen.header("if-range").is_none_or(|tag| tag == etag(whole));
        match asked {
            Some(start)
                if self.behaviour.resumable && status == 200 && fits && start < whole.len() =>
            {
                (206, start)
            }
            _ => (status, 0),
        }
    }

    fn head(&self, status: u16, whole: &Bytes, start: usize) -> String {
        let behaviour = &self.behaviour;
        let mut head = format!("HTTP/1.1 {status} Fake\r\n");
        let mut header = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
        if !behaviour.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            header("Content-Type", content_type(&self.seen.path, status));
        }
        behaviour.headers.iter().for_each(|(name, value)| header(name, value));
        if behaviour.resumable {
            header("Accept-Ranges", "bytes");
            header("ETag", &etag(whole));
        }
        if status == 206 {
            header("Content-Range", &format!("bytes {start}-{}/{}", whole.len() - 1, whole.len()));
        }
        if behaviour.chunked {
            header("Transfer-Encoding", "chunked");
        } else {
            let length = behaviour.claimed_length.unwrap_or((whole.len() - start) as u64);
            header("Content-Length", &length.to_string());
        }
        head + "\r\n"
    }

    fn body(&self, stream: &mut impl Write, body: &[u8], sent: &mut u64) -> io::Result<()> {
        for chunk in body.chunks(self.chunk_len()) {
            if !self.wait_for(chunk.len()) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.behaviour.chunked {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
            }
            stream.write_all(chunk)?;
            if self.behaviour.chunked {
                stream.write_all(b"\r\n")?;
            }
            stream.flush()?;
            *sent += chunk.len() as u64;
        }
        Ok(())
    }

    /// A slow body comes in small pieces, about fifty a second.
    fn chunk_len(&self) -> usize {
        let slow =
            self.behaviour.bytes_per_sec.map(|speed| usize::try_from(speed / 50).unwrap_or(CHUNK));
        slow.unwrap_or(64 << 10).clamp(1, 64 << 10)
    }

    /// Waits as long as so many bytes take at the speed set; false when the upstream ends meanwhile.
    fn wait_for(&self, bytes: usize) -> bool {
        match self.behaviour.bytes_per_sec {
            None => true,
            Some(0) => {
                while self.shared.pause(Duration::from_hours(1)) {}
                false
            }
            Some(speed) => {
                self.shared.pause(Duration::from_nanos(bytes as u64 * 1_000_000_000 / speed))
            }
        }
    }
}

fn etag(content: &Bytes) -> String {
    let digest = Sha256::digest(content);
    // Sixty-four bits tell the few files of a test apart.
    let tag = digest.iter().take(8).fold(0_u64, |tag, byte| tag << 8 | u64::from(*byte));
    format!("\"{tag:016x}\"")
}

fn content_type(path: &str, status: u16) -> &'static str {
    let kind = path.rsplit('.').next().unwrap_or_default();
    match (status, kind) {
        (200 | 206, "zip") => "application/zip",
        (200 | 206, "info") => "application/json",
        (200 | 206, _) if path.ends_with("/@latest") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}
