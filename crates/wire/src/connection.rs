//! One connection: handshake, protocol, and the orders of its link.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    Config, Handler, Peer, Tls,
    answer::{MAX_HEADERS, Scene, panic_text},
    body::Via,
    link::{Core, Link, Open, Order},
    socket::{Plain, Socket},
};

/// Bytes rustls holds unencrypted before it takes no more: a few frames.
const TLS_BUFFER_BYTES: usize = 256 << 10;
/// Bytes of a stream that HTTP/2 holds for a client whose window is full.
const STREAM_BUFFER_BYTES: usize = 256 << 10;
/// A silent HTTP/2 client is asked whether it is there...
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// ... and given up when it does not say so.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// HTTP/2 ALPN name. Source: RFC 9113 §3.1.
const H2: &[u8] = b"h2";

/// What all connections of a core share.
#[derive(Debug)]
pub(crate) struct Setup<H> {
    pub(crate) core: Arc<Core>,
    pub(crate) tls: Option<Tls>,
    handler: H,
    header_timeout: Duration,
    max_target: u64,
    plain_via: Via,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<H: Handler> Setup<H> {
    /// `sendfile` says whether the technique may be used on plain connections.
    pub(crate) fn new(core: Arc<Core>, config: &Config, tls: Option<Tls>, handler: H) -> Self {
        let head = config.header_bytes();
        let mut http1 = http1::Builder::new();
        // The link's sweep judges heads and idle times: a timer per request would cost more.
        http1.header_read_timeout(None).max_headers(MAX_HEADERS).max_header_size(head);
        // Stand-ins must reach the socket as slices of their own: see the module `sendfile`.
        http1.writev(true).pipeline_flush(false).max_buf_size(head);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_streams)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .max_send_buf_size(STREAM_BUFFER_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let sendfile = config.sendfile && cfg!(target_os = "linux");
        Self {
            core,
            tls,
            handler,
            header_timeout: config.header_timeout.0,
            max_target: config.max_request_line.0,
            plain_via: if sendfile { Via::Sendfile } else { Via::Read },
            http1,
            http2,
        }
    }

    /// Serves one connection to its end. A panic in it is logged and ends it alone.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, open: Open, peer: Peer) {
        let served = AssertUnwindSafe(self.protocol(stream, &open.0, peer)).catch_unwind().await;
        if let Err(panic) = served {
            self.core.metrics.panics.inc();
            let text = panic_text(&*panic);
            tracing::error!(panic = text, "a connection panicked: {text}");
        }
    }

    async fn protocol(&self, stream: TcpStream, link: &Arc<Link>, peer: Peer) {
        let socket = Socket::new(stream, Arc::clone(link));
        let Some(tls) = &self.tls else {
            let plain = Plain::new(socket);
            return self.http1(plain, self.scene(link, peer, self.plain_via)).await;
        };
        let Some(stream) = self.handshake(tls, socket, link).await else { return };
        let scene = self.scene(link, peer, Via::Read);
        if stream.get_ref().1.alpn_protocol() == Some(H2) {
            link.set_multiplexed();
            self.http2(TokioIo::new(stream), scene).await;
        } else {
            self.http1(TokioIo::new(stream), scene).await;
        }
    }

    fn scene(&self, link: &Arc<Link>, peer: Peer, via: Via) -> Arc<Scene<H>> {
        let handler = self.handler.clone();
        Arc::new(Scene { handler, link: Arc::clone(link), peer, via, max_target: self.max_target })
    }

    /// The handshake, within the limit for heads; `None` when it failed.
    async fn handshake(&self, tls: &Tls, socket: Socket, link: &Link) -> Option<TlsStream<Socket>> {
        let acceptor = TlsAcceptor::from(tls.current());
        let accepting = acceptor.accept_with(socket, |session| {
            session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        });
        let obeying = obey(link, accepting, |_| {});
        match tokio::time::timeout(self.header_timeout, obeying).await {
            Ok(Some(Ok(stream))) => Some(stream),
            failed => {
                self.core.metrics.tls_failures.inc();
                let error = failed.ok().flatten().and_then(Result::err);
                tracing::debug!(?error, "a TLS handshake failed");
                None
            }
        }
    }

    async fn http1<I>(&self, io: I, scene: Arc<Scene<H>>)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send,
    {
        let link = Arc::clone(&scene.link);
        let service = service_fn(move |request| {
            let scene = Arc::clone(&scene);
            async move { Ok::<_, Infallible>(scene.answer(request).await) }
        });
        let connection = self.http1.serve_connection(io, service);
        let ended = obey(&link, connection, http1::Connection::graceful_shutdown).await;
        log_end(ended);
    }

    async fn http2<I>(&self, io: I, scene: Arc<Scene<H>>)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send,
    {
        let link = Arc::clone(&scene.link);
        let service = service_fn(move |request| {
            let scene = Arc::clone(&scene);
            async move { Ok::<_, Infallible>(scene.answer(request).await) }
        });
        let connection = self.http2.serve_connection(io, service);
        let ended = obey(&link, connection, http2::Connection::graceful_shutdown).await;
        log_end(ended);
    }
}

/// Runs `work` under the orders of its link: `None` when it was closed by one.
async fn obey<F: Future>(link: &Link, work: F, finish: impl Fn(Pin<&mut F>)) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut finishing = false;
    poll_fn(|cx| {
        match link.poll_order(cx.waker()) {
            Order::Run => {}
            Order::Finish if finishing => {}
            Order::Finish => {
                finishing = true;
                // A request that has arrived is read before its connection counts as unused.
                if let Poll::Ready(done) = work.as_mut().poll(cx) {
                    return Poll::Ready(Some(done));
                }
                finish(work.as_mut());
            }
            Order::Close => return Poll::Ready(None),
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Clients that leave or send nonsense are everyday events: nobody is told.
fn log_end(ended: Option<hyper::Result<()>>) {
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// What accepting a connection takes from the socket itself.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<std::net::SocketAddr> {
    stream.set_nodelay(true)?;
    stream.local_addr()
}
