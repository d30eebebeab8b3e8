//! Figures of the index: names, units and labels in one place.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Which question failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Question {
    pub(crate) question: &'static str,
}

/// Counters of one index. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(crate) written: Counter,
    pub(crate) pruned: Counter,
    pub(crate) errors: Family<Question, Counter>,
}

impl Metrics {
    /// Registers the figures; the registry's prefix (`larder`) stands before each name.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "index_rows_written",
            "Rows of versions and kept answers written to the index",
            self.written.clone(),
        );
        registry.register(
            "index_answers_pruned",
            "Kept answers that left the index because of their age or number",
            self.pruned.clone(),
        );
        registry.register(
            "index_errors",
            "Questions the index did not answer, by question",
            self.errors.clone(),
        );
        // Shown from the start, so that a rate has a zero to begin with.
        drop(self.errors.get_or_create(&Question { question: "kept" }));
    }
}
