//! Figures of the store: names, units and labels in one place.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// How a publication ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    /// `new`, `exists` or `replaced`.
    pub(crate) outcome: &'static str,
}

/// Which error was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    /// `io`, `full`, `read_only` or `below_min_free`.
    pub(crate) reason: &'static str,
}

/// Counters of one store. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(crate) publications: Family<Outcome, Counter>,
    pub(crate) published_bytes: Counter,
    pub(crate) sync_batches: Counter,
    pub(crate) synced_folders: Counter,
    pub(crate) errors: Family<Reason, Counter>,
}

impl Metrics {
    /// Registers the figures; the registry's prefix (`larder`) stands before each name.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "store_publications",
            "Bodies that were given a name, by outcome (new, exists, replaced)",
            self.publications.clone(),
        );
        registry.register(
            "store_published_bytes",
            "Bytes of the bodies that were new under their names",
            self.published_bytes.clone(),
        );
        registry.register(
            "store_sync_batches",
            "Groups of publications whose folders were synced together",
            self.sync_batches.clone(),
        );
        registry.register(
            "store_synced_folders",
            "Folder syncs, over all groups",
            self.synced_folders.clone(),
        );
        registry.register(
            "store_errors",
            "Store operations that failed, by reason",
            self.errors.clone(),
        );
        // Shown from the start, so that a rate has a zero to begin with.
        for outcome in ["new", "exists", "replaced"] {
            drop(self.publications.get_or_create(&Outcome { outcome }));
        }
        for reason in ["io", "full", "read_only", "below_min_free"] {
            drop(self.errors.get_or_create(&Reason { reason }));
        }
    }

    /// Counts one publication.
    pub(crate) fn published(&self, outcome: &'static str, bytes: u64) {
        self.publications.get_or_create(&Outcome { outcome }).inc();
        if outcome != "exists" {
            self.published_bytes.inc_by(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_carry_their_prefix_unit_and_label() {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("larder");
        metrics.register(&mut registry);
        metrics.published("new", 10);
        metrics.published("exists", 99);
        metrics.errors.get_or_create(&Reason { reason: "full" }).inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "larder_store_publications_total{outcome=\"new\"} 1",
            "larder_store_publications_total{outcome=\"exists\"} 1",
            "larder_store_published_bytes_total 10",
            "larder_store_errors_total{reason=\"full\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
