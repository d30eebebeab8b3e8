//! Connections in: accept, TLS, HTTP, limits, sendfile. Knows no modules.
//!
//! [`Listeners::bind`] opens the sockets, [`Server::start`] answers on them: one current-thread
//! runtime per core, each with a listener of its own, all calling one [`Handler`]. What a handler
//! answers is a [`Response`] whose [`Body`] is memory, a file range, or a stream of both; how the
//! bytes reach the client (vectored writes, sendfile, TLS, HTTP/2) is decided here.
//!
//! ```no_run
//! # async fn run() -> Result<(), wire::Error> {
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl wire::Handler for Hello {
//!     async fn call(&self, _request: wire::Request) -> wire::Response {
//!         http::Response::new(wire::Body::memory("hello\n".into()))
//!     }
//! }
//!
//! let config = wire::Config::default();
//! let listeners = wire::Listeners::bind(&["127.0.0.1:8080".parse().unwrap()], &config)?;
//! let server = wire::Server::start(listeners, config, None, Hello)?;
//! server.stop(std::time::Duration::from_secs(9)).await;
//! # Ok(())
//! # }
//! ```
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the port for incoming connections: sockets, files to send and their clocks are its outside world"
)]

mod answer;
mod body;
mod config;
mod connection;
mod error;
mod file;
mod link;
mod listen;
mod metrics;
mod sendfile;
mod server;
mod socket;
mod tls;

pub use body::{Body, Cut, Part, PartStream, Sent};
pub use config::{Config, TlsFiles};
pub use error::Error;
pub use listen::Listeners;
pub use metrics::Metrics;
pub use sendfile::sendfile_self_test;
pub use server::{Server, Stopped};
pub use tls::Tls;

use std::{future::Future, net::SocketAddr};

/// Where a request came from; in the extensions of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address, or that of the proxy in front of us.
    pub addr: SocketAddr,
    /// The address the connection was accepted on.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// A request. Bodies are not read: only GET and HEAD mean something here. A client that sends
/// one gets its answer; the connection is closed if the body is not small.
pub type Request = http::Request<()>;

/// An answer.
pub type Response = http::Response<Body>;

/// What answers requests.
///
/// Called on the runtime of the connection's core, so it must not block: work goes to another
/// runtime, and the future waits. The future is dropped when the client leaves. A panic inside
/// becomes a 500, an error in the log, and a count; the connection goes on.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send;
}
