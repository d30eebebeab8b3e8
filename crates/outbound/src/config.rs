//! The `outbound.` keys.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use units::Span;

/// Keys below `outbound.`: how larder dials out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// PEM files with further trusted certificates, beside the system's. Default: none. A file
    /// that cannot be read, or that holds no certificate, stops the start.
    pub ca_files: Vec<PathBuf>,
    /// A PEM file taken in place of the system's certificates (Go's `SSL_CERT_FILE`). Default: the
    /// first that exists of the places where Linux systems keep their bundle.
    pub system_ca_file: Option<PathBuf>,
    /// The longest wait for a name's addresses. Default `5s`.
    pub resolve_timeout: Span,
    /// The longest wait for a TCP connection. Default `5s`.
    pub connect_timeout: Span,
    /// The longest wait for a TLS handshake. Default `10s`.
    pub tls_timeout: Span,
    /// The longest silence in the middle of a body. Default `30s`.
    pub between_bytes_timeout: Span,
    /// Requests sent for one question while it fails for a passing reason, the first included:
    /// 1 to 10. Default 3. More makes a dead upstream slower to report.
    pub attempts: u32,
    /// No retry is started later than this after the question: with the default, a dead upstream
    /// is reported within three seconds. Also the longest `Retry-After` that is waited for.
    /// Default `2s`.
    pub retry_budget: Span,
}

impl Default for Config {
    fn default() -> Self {
        let secs = |n| Span(Duration::from_secs(n));
        Self {
            ca_files: Vec::new(),
            system_ca_file: None,
            resolve_timeout: secs(5),
            connect_timeout: secs(5),
            tls_timeout: secs(10),
            between_bytes_timeout: secs(30),
            attempts: 3,
            retry_budget: secs(2),
        }
    }
}

/// The HTTP proxies to go through, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them.
///
/// Read by the wiring; this room never looks at the environment. Default: none, direct.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyEnvironment {
    /// For `http` URLs. Without a scheme: `http`.
    pub http: Option<String>,
    /// For `https` URLs. Without a scheme: `http`.
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached directly, separated by commas; `*` is all.
    pub no: Option<String>,
}
