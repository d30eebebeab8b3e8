//! The room's metrics: names, units and label sets, all in this file.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// Handles of the room's metrics; a clone counts into the same values.
///
/// The names get the prefix of the registry and, for counters, `_total`.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) limited: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) tls_failures: Counter,
    pub(crate) bodies_cut: Counter,
    pub(crate) panics: Counter,
}

impl Metrics {
    /// Makes the metrics and registers them.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("connections_open", "Connections open now", all.open.clone());
        registry.register("connections_accepted", "Connections accepted", all.accepted.clone());
        registry.register(
            "connections_refused",
            "Connections that could not be accepted (out of files or memory, or gone already)",
            all.refused.clone(),
        );
        registry.register(
            "connections_limited",
            "Times that accepting paused because max_connections was reached",
            all.limited.clone(),
        );
        registry.register(
            "connections_timed_out",
            "Connections closed because the client sent or took nothing in time",
            all.timed_out.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed or took too long",
            all.tls_failures.clone(),
        );
        registry.register(
            "bodies_cut",
            "Bodies that ended before their last byte: the client left, or the body was cut",
            all.bodies_cut.clone(),
        );
        registry.register("handler_panics", "Requests whose handler panicked", all.panics.clone());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_count_into_the_registry() {
        let mut registry = Registry::with_prefix("larder");
        let metrics = Metrics::new(&mut registry);
        metrics.clone().accepted.inc();
        metrics.open.set(3);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("larder_connections_accepted_total 1\n"), "{text}");
        assert!(text.contains("larder_connections_open 3\n"), "{text}");
        assert!(text.contains("larder_bodies_cut_total 0\n"), "{text}");
    }
}
