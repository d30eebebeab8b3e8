//! The room's settings: keys below `server.` in `larder.toml`.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use units::{ByteSize, Span};

use crate::Error;

/// Smallest `max_header_bytes`: hyper's read buffer is not made smaller.
const MIN_HEADER_BYTES: u64 = 8 << 10;
/// Largest `max_header_bytes`: what one connection may make the server hold before it is known.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Settings of the listening side. Every key has a working default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest time a client may take to send a request's head, or to finish a TLS handshake.
    /// Default `10s`. Too small cuts clients on bad lines, too large lets slow ones hold
    /// connections.
    pub header_timeout: Span,
    /// Longest time a connection is kept open between two requests. Default `75s`.
    pub idle_timeout: Span,
    /// Longest time an answer may wait for a client that takes nothing of it. Default `60s`.
    /// An answer that waits for us (a slow fetch) is not counted.
    pub write_timeout: Span,
    /// Most connections at once, over all cores. Default `0`: half of the limit on open files
    /// (which is raised to its hard limit at start), 65,536 at most. Further connections wait in
    /// the listen backlog.
    pub max_connections: usize,
    /// Most bytes of a request's head, request line included. Default `64KiB`; `8KiB` to `1MiB`.
    /// Larger heads are answered with 431.
    pub max_header_bytes: ByteSize,
    /// Most bytes of a request's target. Default `16KiB`. Longer ones are answered with 414.
    pub max_request_line: ByteSize,
    /// Most streams a client may have open on one HTTP/2 connection. Default `256`; from 1.
    pub max_streams: u32,
    /// Sends files from the page cache to plain HTTP/1.1 connections without copying them.
    /// Default `true`. `false`, or a self-test that fails at start, falls back to reads.
    /// Linux only; elsewhere files are always read.
    pub sendfile: bool,
    /// How many cores answer. Default `0`: all that the process may use.
    pub cores: usize,
    /// Certificate and key files. Default: none, plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How long a stopping server still answers new requests while it is already "not ready".
    /// Default `3s`.
    pub drain: Span,
    /// How long a stop may take in all before open answers are cut. Default `9s`.
    pub stop_timeout: Span,
}

/// Where the certificate chain and its key lie, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// File with the certificate chain, the server's own certificate first.
    pub cert_file: PathBuf,
    /// File with the private key (PKCS#8, PKCS#1 or SEC1).
    pub key_file: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_timeout: Span(Duration::from_secs(10)),
            idle_timeout: Span(Duration::from_secs(75)),
            write_timeout: Span(Duration::from_mins(1)),
            max_connections: 0,
            max_header_bytes: ByteSize(64 << 10),
            max_request_line: ByteSize(16 << 10),
            max_streams: 256,
            sendfile: true,
            cores: 0,
            tls: None,
            drain: Span(Duration::from_secs(3)),
            stop_timeout: Span(Duration::from_secs(9)),
        }
    }
}

impl Config {
    /// Says whether the values can work together.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names the first key whose value cannot.
    pub fn check(&self) -> Result<(), Error> {
        let span = |key, span: Span| {
            let expected = "longer than 0s";
            if span.0.is_zero() { Err(Error::Config { key, expected }) } else { Ok(()) }
        };
        span("header_timeout", self.header_timeout)?;
        span("idle_timeout", self.idle_timeout)?;
        span("write_timeout", self.write_timeout)?;
        if !(MIN_HEADER_BYTES..=MAX_HEADER_BYTES).contains(&self.max_header_bytes.0) {
            let expected = "between 8KiB and 1MiB";
            return Err(Error::Config { key: "max_header_bytes", expected });
        }
        if self.max_request_line.0 == 0 {
            return Err(Error::Config { key: "max_request_line", expected: "more than 0" });
        }
        if self.max_streams == 0 {
            return Err(Error::Config { key: "max_streams", expected: "at least 1" });
        }
        Ok(())
    }

    /// Cores that will answer: the setting, or all the process may use.
    pub(crate) fn core_count(&self) -> usize {
        match self.cores {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            cores => cores,
        }
    }

    /// The limit on a head in the type hyper takes; checked to fit.
    pub(crate) fn header_bytes(&self) -> usize {
        usize::try_from(self.max_header_bytes.0.clamp(MIN_HEADER_BYTES, MAX_HEADER_BYTES))
            .unwrap_or(1 << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_the_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        config.check().unwrap();
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"idle": "3s"}"#).is_err());
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"{"header_timeout": "1s", "idle_timeout": "2s", "write_timeout": "4s",
            "max_connections": 5, "max_header_bytes": "8KiB", "max_request_line": "1KiB",
            "max_streams": 7, "sendfile": false, "cores": 2, "drain": "0s", "stop_timeout": "1m",
            "tls": {"cert_file": "c.pem", "key_file": "k.pem"}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.header_timeout, Span(Duration::from_secs(1)));
        assert_eq!(config.idle_timeout, Span(Duration::from_secs(2)));
        assert_eq!(config.write_timeout, Span(Duration::from_secs(4)));
        assert_eq!(config.max_connections, 5);
        assert_eq!((config.max_header_bytes.0, config.max_request_line.0), (8192, 1024));
        assert_eq!((config.max_streams, config.sendfile, config.cores), (7, false, 2));
        assert_eq!(config.stop_timeout, Span(Duration::from_mins(1)));
        assert_eq!(config.tls.as_ref().unwrap().key_file, PathBuf::from("k.pem"));
        config.check().unwrap();
    }

    #[test]
    fn limits_are_held_at_their_bounds() {
        let with = |bytes| Config { max_header_bytes: ByteSize(bytes), ..Config::default() };
        assert!(with(MIN_HEADER_BYTES).check().is_ok());
        assert!(with(MIN_HEADER_BYTES - 1).check().is_err());
        assert!(with(MAX_HEADER_BYTES).check().is_ok());
        assert!(with(MAX_HEADER_BYTES + 1).check().is_err());
        let zero = Config { idle_timeout: Span(Duration::ZERO), ..Config::default() };
        assert!(matches!(zero.check(), Err(Error::Config { key: "idle_timeout", .. })));
        assert!(Config { max_streams: 0, ..Config::default() }.check().is_err());
        assert!(Config { max_request_line: ByteSize(0), ..Config::default() }.check().is_err());
    }
}
