//! What can go wrong, by what the caller can do about it.

use std::{sync::Arc, time::Duration};

use crate::UpstreamText;

/// Why there is no 200.
///
/// No text here holds a URL, a query or userinfo: upstreams are named by [`crate::Get::name`],
/// other machines by their host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 404 or 410: the upstream says with authority that it is not there.
    #[error("{name} answered {status}")]
    NotFound {
        /// The upstream.
        name: Arc<str>,
        /// 404 or 410.
        status: u16,
        /// The first line of its text, if that may be shown.
        text: Option<UpstreamText>,
    },
    /// Any other status that is no success, after the retries that it deserved.
    #[error("{name} answered {status}")]
    Status {
        /// The upstream.
        name: Arc<str>,
        /// The status as it came.
        status: u16,
        /// The first line of its text, if that may be shown.
        text: Option<UpstreamText>,
        /// What its `Retry-After` asked for.
        retry_after: Option<Duration>,
        /// Whether the request that was refused carried our credential.
        credential_sent: bool,
    },
    /// A limit ran out.
    #[error("{name}: no answer in time ({phase})")]
    Timeout {
        /// The upstream.
        name: Arc<str>,
        /// `resolve`, `connect`, `tls`, `first byte`, `between bytes` or `whole`.
        phase: &'static str,
    },
    /// No connection: DNS, refused, TLS, or an address that may not be dialled.
    #[error("{name}: {reason}")]
    Unreachable {
        /// The upstream.
        name: Arc<str>,
        /// What failed and, for TLS, what to look at.
        reason: String,
        /// Whether a rule of ours stands in the way: the address may not be dialled.
        forbidden: bool,
    },
    /// A redirect led nowhere: too many, to plain HTTP, or to a machine that is not reached.
    #[error("{name}: {reason}")]
    Redirect {
        /// The upstream that sent it.
        name: Arc<str>,
        /// Where it failed.
        reason: String,
        /// Whether a rule of ours stands in the way: the address behind it may not be dialled.
        forbidden: bool,
    },
    /// The answer ended early, perhaps before it began, and could not be resumed. Asking again may
    /// help.
    #[error("{name}: the answer was cut after {received} bytes of its body")]
    Cut {
        /// The upstream.
        name: Arc<str>,
        /// Bytes handed out before the cut.
        received: u64,
    },
    /// The body is not what was asked for: too large, an HTML page, a broken coding.
    #[error("{name}: {reason}")]
    BadBody {
        /// The upstream.
        name: Arc<str>,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that no client can be made from.
    #[error("{reason}")]
    Config {
        /// The setting and what is wrong with it.
        reason: String,
    },
}
