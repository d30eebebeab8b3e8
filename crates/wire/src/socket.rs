//! Sockets of connections: they tell their link what moves, and send files for stand-ins.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, ready},
};

use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::{
    link::Link,
    sendfile::{Queue, is_stand_in},
};

/// Up to here slices are joined before they are written: the kernel takes one slice faster than
/// several. Measured: 4 % less time per small answer.
const MAX_JOINED_BYTES: usize = 4 << 10;

/// A TCP connection that notes on its link what moves.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    link: Arc<Link>,
    joined: Vec<u8>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, link: Arc<Link>) -> Self {
        Self { stream, link, joined: Vec::new() }
    }

    /// Notes how a write ended.
    fn wrote<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Pending => self.link.block(),
            Poll::Ready(Ok(_)) => self.link.unblock(),
            Poll::Ready(Err(_)) => {}
        }
        polled
    }

    /// Writes slices of which the one at `first` is a stand-in.
    fn poll_write_mixed(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        first: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut queue = self.link.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let write = || write_mixed(&self.stream, slices, first, &mut queue);
            match self.stream.try_io(Interest::WRITABLE, write) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.link.resets() {
            // Fails only on a socket that is gone already.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.link.received();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [slice] = slices {
            return self.poll_write(cx, slice);
        }
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        if len > MAX_JOINED_BYTES {
            let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
            return self.wrote(polled);
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        for slice in slices {
            joined.extend_from_slice(slice);
        }
        let polled = self.as_mut().poll_write(cx, &joined);
        self.joined = joined;
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Writes real slices up to a stand-in, then files for the stand-ins that follow it.
///
/// Ends early, with what went out so far, wherever the socket took less than it was given: hyper
/// comes back with the rest.
fn write_mixed(
    stream: &TcpStream,
    slices: &[IoSlice<'_>],
    first: usize,
    queue: &mut Queue,
) -> io::Result<usize> {
    let (real, rest) = slices.split_at(first.min(slices.len()));
    let mut total = 0;
    if !real.is_empty() {
        total = send_more(stream, real)?;
        if total < real.iter().map(|slice| slice.len()).sum() {
            return Ok(total);
        }
    }
    for slice in rest.iter().take_while(|slice| is_stand_in(slice)) {
        match queue.send(slice.len(), |file, offset, len| send_file(stream, file, offset, len)) {
            Ok(sent) => {
                total += sent;
                if sent < slice.len() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && total > 0 => break,
            Err(error) => {
                log_file_error(&error);
                return Err(error);
            }
        }
    }
    Ok(total)
}

/// Logs an error that is the file's and not the client's.
fn log_file_error(error: &io::Error) {
    let of_file = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData);
    if of_file || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
        tracing::error!(%error, "a file could not be sent; the answer is cut");
    }
}

/// Sends slices and tells the kernel that more follows, so that a head and the first bytes of
/// its file share packets. Measured: without it, half the throughput at 300 kB.
#[cfg(target_os = "linux")]
fn send_more(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    Ok(sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags)?)
}

#[cfg(target_os = "linux")]
fn send_file(
    stream: &TcpStream,
    file: &std::fs::File,
    offset: &mut u64,
    len: usize,
) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(stream, file, Some(offset), len)?)
}

/// Elsewhere no stand-in is ever made: `Via::Sendfile` is chosen on Linux only.
#[cfg(not(target_os = "linux"))]
fn send_more(_stream: &TcpStream, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn send_file(
    _stream: &TcpStream,
    _file: &std::fs::File,
    _offset: &mut u64,
    _len: usize,
) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

/// The socket of a plain HTTP/1.1 connection, as hyper writes to it.
#[derive(Debug)]
pub(crate) struct Plain(TokioIo<Socket>);

impl Plain {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(TokioIo::new(socket))
    }
}

impl hyper::rt::Read for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.0.inner_mut();
        match slices.iter().position(|slice| is_stand_in(slice)) {
            None => Pin::new(socket).poll_write_vectored(cx, slices),
            Some(first) => {
                let polled = socket.poll_write_mixed(cx, slices, first);
                socket.wrote(polled)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
