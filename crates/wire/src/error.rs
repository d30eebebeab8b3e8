//! What can go wrong before the first connection is answered.

use std::{io, net::SocketAddr};

/// Why the server could not be started or its certificate not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: in use, not ours, or not permitted.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address as configured.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A core's thread or its runtime could not be made.
    #[error("cannot start the runtime of core {core}")]
    Runtime {
        /// Number of the core, from 0.
        core: usize,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate chain or the key is not readable PEM, or holds nothing.
    #[error("the {what} is not usable PEM")]
    Pem {
        /// `certificate chain` or `private key`.
        what: &'static str,
        /// What the reader said.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate and the key do not make a server identity together.
    #[error("the certificate and the key cannot be used together")]
    Certificate {
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
    /// A setting has a value that cannot work.
    #[error("server.{key} must be {expected}")]
    Config {
        /// The key below `server.`.
        key: &'static str,
        /// What would have been right.
        expected: &'static str,
    },
}
