//! One question over HTTP, the whole answer in memory.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// Longest wait for the next byte: the first version of a large repository is a fetch of its history.
const PATIENCE: Duration = Duration::from_mins(10);
/// Longest answer: that of a module zip, and a little.
const MAX_BODY_BYTES: u64 = modzip::MAX_ZIP_BYTES + 1;
/// Longest line of a header or before a chunk.
const MAX_LINE_BYTES: u64 = 8 << 10;
/// Most lines of a header.
const MAX_HEADER_LINES: usize = 64;

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Asks `127.0.0.1:port` for `path`; a body that was cut is an error.
pub(crate) fn get(port: u16, path: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    read(BufReader::with_capacity(256 << 10, stream)).with_context(|| path.to_owned())
}

fn read(mut stream: impl BufRead) -> anyhow::Result<Answer> {
    let head = read_head(&mut stream)?;
    let status = head.first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("no status in {:?}", head.first))?;
    Ok(Answer { status, body: read_body(&mut stream, &head)? })
}

/// The lines before a body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub(crate) fn read_head(stream: &mut impl BufRead) -> anyhow::Result<Head> {
    let mut head = Head { first: line(stream)?, headers: Vec::new() };
    for _ in 0..MAX_HEADER_LINES {
        let header = line(stream)?;
        let Some((name, value)) = header.split_once(':') else { return Ok(head) };
        head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    bail!("more than {MAX_HEADER_LINES} headers");
}

/// A body in chunks or of a length.
pub(crate) fn read_body(stream: &mut impl BufRead, head: &Head) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.header("transfer-encoding") == Some("chunked") {
        while let len @ 1.. = chunk_len(&line(stream)?)? {
            take(stream, len, &mut body)?;
            line(stream)?;
        }
    } else {
        let len = head.header("content-length").context("a body without a length")?;
        take(stream, len.parse()?, &mut body)?;
    }
    Ok(body)
}

fn chunk_len(line: &str) -> anyhow::Result<u64> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).with_context(|| format!("no chunk: {line:?}"))
}

fn line(stream: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    stream.take(MAX_LINE_BYTES).read_line(&mut line)?;
    if !line.ends_with('\n') {
        bail!("cut in a line");
    }
    Ok(line.trim_end().to_owned())
}

fn take(stream: &mut impl BufRead, len: u64, body: &mut Vec<u8>) -> anyhow::Result<()> {
    ensure!(len <= MAX_BODY_BYTES - body.len() as u64, "longer than a zip may be");
    let had = stream.take(len).read_to_end(body)?;
    ensure!(had as u64 == len, "cut after {} bytes", body.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> anyhow::Result<Answer> {
        read(text.as_bytes())
    }

    #[test]
    fn bodies_of_a_length_and_in_chunks_are_read() {
        let plain = said("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nnoX").unwrap();
        assert_eq!(plain, Answer { status: 404, body: b"no".to_vec() });
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks = said(&format!("{head}3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n")).unwrap();
        assert_eq!(chunks.body, b"abc0123456789");
    }

    #[test]
    fn cut_answers_are_errors() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for text in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\n\r\nab",
            &format!("{chunked}3\r\nab"),
            &format!("{chunked}3\r\nabc\r\n"),
            &format!("{chunked}ffffffffff\r\n"),
        ] {
            assert!(said(text).is_err(), "{text:?}");
        }
    }
}
