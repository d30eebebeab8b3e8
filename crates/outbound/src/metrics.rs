//! Calls and failures, by upstream.

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// `larder_upstream_calls_total` and `larder_upstream_failures_total`.
///
/// Labels are names from configuration and the classes of [`Failure`], so their number is bounded;
/// no module path and no URL is ever a label. Clones count into the same numbers.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    calls: Family<Upstream, Counter>,
    failures: Family<Failed, Counter>,
}

/// Why a call failed. A 404 is an answer, not a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Failure {
    /// The name has no address, or the name server does not answer.
    Dns,
    /// Refused, reset, or an address that may not be dialled.
    Connect,
    /// The handshake failed.
    Tls,
    /// A limit ran out.
    Timeout,
    /// A status that is neither success nor 404 nor 410.
    Status,
    /// A redirect led nowhere.
    Redirect,
    /// The body was cut, too large or not what was asked for.
    Body,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Upstream {
    upstream: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    upstream: Arc<str>,
    class: Failure,
}

impl Metrics {
    /// Adds the families to a registry, whose prefix is `larder`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "upstream_calls",
            "HTTP requests sent to an upstream, retries and redirects included",
            self.calls.clone(),
        );
        registry.register(
            "upstream_failures",
            "HTTP requests to an upstream that failed, by class",
            self.failures.clone(),
        );
    }

    /// Shows the series of `upstream` before its first request, so that a rate has a zero to begin with.
    pub fn announce(&self, upstream: &Arc<str>) {
        drop(self.calls.get_or_create(&Upstream { upstream: Arc::clone(upstream) }));
        for class in [Failure::Connect, Failure::Timeout, Failure::Status] {
            drop(self.failures.get_or_create(&Failed { upstream: Arc::clone(upstream), class }));
        }
    }

    /// Requests sent to `upstream` so far.
    #[must_use]
    pub fn calls(&self, upstream: &Arc<str>) -> u64 {
        self.calls.get_or_create(&Upstream { upstream: Arc::clone(upstream) }).get()
    }

    /// Requests to `upstream` that failed so.
    #[must_use]
    pub fn failures(&self, upstream: &Arc<str>, class: Failure) -> u64 {
        self.failures.get_or_create(&Failed { upstream: Arc::clone(upstream), class }).get()
    }

    pub(crate) fn called(&self, upstream: &Arc<str>) {
        self.calls.get_or_create(&Upstream { upstream: Arc::clone(upstream) }).inc();
    }

    pub(crate) fn failed(&self, upstream: &Arc<str>, class: Failure) {
        self.failures.get_or_create(&Failed { upstream: Arc::clone(upstream), class }).inc();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::{Failure, Metrics};

    #[test]
    fn counts_are_labelled_by_upstream_and_class_only() {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("larder");
        metrics.register(&mut registry);
        let name: Arc<str> = Arc::from("mirror");
        metrics.called(&name);
        metrics.called(&name);
        metrics.failed(&name, Failure::Tls);
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        assert!(page.contains("larder_upstream_calls_total{upstream=\"mirror\"} 2"), "{page}");
        assert!(
            page.contains("larder_upstream_failures_total{upstream=\"mirror\",class=\"Tls\"} 1"),
            "{page}"
        );
        assert_eq!((metrics.calls(&name), metrics.failures(&name, Failure::Dns)), (2, 0));
    }
}
