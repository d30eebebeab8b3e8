//! From reqwest's errors to ours.

use std::{error::Error as StdError, io, sync::Arc};

use policy::address::Refusal;

use crate::{Error, metrics, retry::Again};

/// How deep a chain of causes is searched.
const MAX_CAUSES: usize = 16;
/// What most often stands behind a failed handshake.
const TLS_ADVICE: &str =
    "a device on your network may intercept TLS; its CA certificate belongs into outbound.ca_files";

/// One failed request: what to tell, whether to ask again, what to count.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: Again,
    /// `None`: an answer of the upstream, not a failure of it.
    pub(crate) class: Option<metrics::Failure>,
}

impl Failure {
    /// A limit ran out. Not asked again: the budget is gone or the upstream is silent.
    pub(crate) fn timeout(name: &Arc<str>, phase: &'static str) -> Self {
        let error = Error::Timeout { name: Arc::clone(name), phase };
        Self { error, again: Again::No, class: Some(metrics::Failure::Timeout) }
    }

    pub(crate) fn redirect(name: &Arc<str>, reason: String) -> Self {
        let error = Error::Redirect { name: Arc::clone(name), reason, forbidden: false };
        Self { error, again: Again::No, class: Some(metrics::Failure::Redirect) }
    }

    pub(crate) fn body(name: &Arc<str>, reason: String) -> Self {
        let error = Error::BadBody { name: Arc::clone(name), reason };
        Self { error, again: Again::No, class: Some(metrics::Failure::Body) }
    }

    pub(crate) fn unreachable(name: &Arc<str>, reason: String, again: Again) -> Self {
        let error = Error::Unreachable { name: Arc::clone(name), reason, forbidden: false };
        Self { error, again, class: Some(metrics::Failure::Connect) }
    }

    /// An address that may not be dialled. Asked again, it would be the same.
    pub(crate) fn forbidden(name: &Arc<str>, reason: String) -> Self {
        let error = Error::Unreachable { name: Arc::clone(name), reason, forbidden: true };
        Self { error, again: Again::No, class: Some(metrics::Failure::Connect) }
    }

    /// A request that never got a header. `host` is the machine that was to be reached.
    pub(crate) fn before_header(name: &Arc<str>, host: &str, error: &reqwest::Error) -> Self {
        if let Some(refusal) = find::<Refusal>(error) {
            return Self::forbidden(name, format!("{host}: {refusal}"));
        }
        if error.is_builder() {
            return Self::unreachable(name, format!("{host}: no such request"), Again::No);
        }
        if error.is_dns() {
            let reason = format!("DNS: no address found for {host}");
            let failure = Self::unreachable(name, reason, Again::Soon);
            return Self { class: Some(metrics::Failure::Dns), ..failure };
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            let reason = format!("TLS: {host}: {tls} ({TLS_ADVICE})");
            let failure = Self::unreachable(name, reason, Again::No);
            return Self { class: Some(metrics::Failure::Tls), ..failure };
        }
        if error.is_timeout() {
            return Self { again: Again::Soon, ..Self::timeout(name, "connect") };
        }
        let reason = match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => format!("{host}: connection refused"),
            Some(kind) if error.is_connect() => format!("{host}: no connection: {kind}"),
            _ => {
                let error = Error::Cut { name: Arc::clone(name), received: 0 };
                return Self { error, again: Again::Soon, class: Some(metrics::Failure::Connect) };
            }
        };
        Self::unreachable(name, reason, Again::Soon)
    }

    /// The same failure of a machine that an upstream's redirect named.
    pub(crate) fn behind_redirect(self) -> Self {
        let Error::Unreachable { name, reason, forbidden } = self.error else { return self };
        let reason = format!("behind a redirect: {reason}");
        let error = Error::Redirect { name, reason, forbidden };
        Self { error, ..self }
    }
}

/// Whether a body failed to decode, in place of being cut.
pub(crate) fn is_bad_coding(error: &reqwest::Error) -> bool {
    let kind = find::<io::Error>(error).map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

/// The first cause of this type, looking into wrapped I/O errors as well.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    for _ in 0..MAX_CAUSES {
        let cause = next?;
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{fmt, io, sync::Arc};

    use super::{Failure, find};
    use crate::{Error, retry::Again};

    #[derive(Debug)]
    struct Wrapper(io::Error);
    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapper")
        }
    }
    impl std::error::Error for Wrapper {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn causes_are_found_inside_wrapped_io_errors() {
        let inner = rustls::Error::HandshakeNotComplete;
        let error = Wrapper(io::Error::other(io::Error::other(inner)));
        assert_eq!(find::<rustls::Error>(&error), Some(&rustls::Error::HandshakeNotComplete));
        assert!(find::<Wrapper>(&error).is_some());
        assert!(find::<fmt::Error>(&error).is_none());
    }

    #[test]
    fn an_unreachable_machine_behind_a_redirect_is_told_as_such() {
        let name: Arc<str> = Arc::from("mirror");
        let failure = Failure::unreachable(&name, "cdn: connection refused".into(), Again::Soon);
        let failure = failure.behind_redirect();
        assert!(matches!(failure.error, Error::Redirect { .. }));
        assert_eq!(failure.again, Again::Soon);
        let timeout = Failure::timeout(&name, "connect").behind_redirect();
        assert!(matches!(timeout.error, Error::Timeout { .. }));
    }
}
