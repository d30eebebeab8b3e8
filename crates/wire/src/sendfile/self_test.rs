//! The test a server makes of itself before it trusts the technique.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use super::WINDOW_BYTES;
use crate::{Body, Config, Handler, Listeners, Request, Response, Server};

/// Length of the file: more than one window, and not whole pages.
const LEN: usize = WINDOW_BYTES + 4099;
/// Longest time the test may wait for its own server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries the sendfile path on a loopback connection and compares every byte.
///
/// `false` means: files must be read (`sendfile = false`). Takes a few milliseconds and no file
/// system; blocks the calling thread, which may be one of a runtime. Outside Linux always `false`.
#[must_use]
pub fn sendfile_self_test() -> bool {
    match try_it() {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, "the self-test of sendfile failed");
            false
        }
    }
}

/// Bytes that differ from zeros and from their neighbours.
fn content() -> Vec<u8> {
    (0..LEN).map(|at| u8::try_from(at % 251).unwrap_or(0) + 1).collect()
}

#[cfg(target_os = "linux")]
fn file() -> io::Result<File> {
    let fd = rustix::fs::memfd_create("self-test", rustix::fs::MemfdFlags::CLOEXEC)?;
    Ok(File::from(fd))
}

#[cfg(not(target_os = "linux"))]
fn file() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Answers every request with the same file.
#[derive(Debug, Clone)]
struct Same(Arc<File>);

impl Handler for Same {
    async fn call(&self, _request: Request) -> Response {
        Response::new(Body::file(Arc::clone(&self.0), 1, LEN as u64 - 1))
    }
}

fn try_it() -> io::Result<()> {
    let (mut file, content) = (file()?, content());
    file.write_all(&content)?;
    let config = Config { cores: 1, max_connections: 8, ..Config::default() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = Listeners::bind(&[any], &config).map_err(io::Error::other)?;
    let addrs = listeners.local_addrs();
    let addr = addrs.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let handler = Same(Arc::new(file));
    let _server =
        Server::start_as_told(listeners, &config, None, handler).map_err(io::Error::other)?;
    let mut client = TcpStream::connect_timeout(addr, PATIENCE)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::with_capacity(LEN + 1024);
    client.read_to_end(&mut answer)?;
    let wanted = content.get(1..).unwrap_or_default();
    let body = answer.len().checked_sub(wanted.len()).and_then(|head| answer.get(head..));
    if body == Some(wanted) { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_technique_works_here() {
        assert_eq!(sendfile_self_test(), cfg!(target_os = "linux"));
    }
}
