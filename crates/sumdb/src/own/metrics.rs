//! The log's series: names, units and label sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What became of a record that was to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It got a place.
    New,
    /// It had one.
    Same,
    /// The version has another record.
    Conflict,
    /// Its path is bound otherwise.
    Bound,
    /// Nothing could be recorded.
    Failed,
}

impl Appended {
    const ALL: [Self; 5] = [Self::New, Self::Same, Self::Conflict, Self::Bound, Self::Failed];

    fn slug(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Conflict => "conflict",
            Self::Bound => "bound",
            Self::Failed => "failed",
        }
    }
}

/// Handles of the log's series. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct OwnMetrics(Arc<Series>);

#[derive(Debug, Default)]
struct Series {
    appended: Family<Outcome, Counter>,
    heads: Counter,
    frozen: Gauge<i64, AtomicI64>,
    size: Gauge<f64, AtomicU64>,
}

impl OwnMetrics {
    /// Makes the handles; all series are shown from the start, so that a rate has a zero.
    pub(super) fn new() -> Self {
        let metrics = Self::default();
        for outcome in Appended::ALL {
            drop(metrics.0.appended.get_or_create(&Outcome { outcome: outcome.slug() }));
        }
        metrics
    }

    /// Registers the figures; the registry's prefix (`larder`) stands before each name.
    pub fn register(&self, registry: &mut Registry) {
        let series = &*self.0;
        registry.register(
            "log_records",
            "Records that our own log was asked to make, by outcome",
            series.appended.clone(),
        );
        registry.register("log_heads", "Heads that our own log signed", series.heads.clone());
        registry.register(
            "log_frozen",
            "1 when our own log signs nothing any more",
            series.frozen.clone(),
        );
        registry.register(
            "log_tree_size",
            "Records in the newest published tree of our own log",
            series.size.clone(),
        );
    }

    pub(super) fn appended(&self, outcome: Appended) {
        self.0.appended.get_or_create(&Outcome { outcome: outcome.slug() }).inc();
    }

    pub(super) fn signed(&self) {
        self.0.heads.inc();
    }

    pub(super) fn frozen(&self, frozen: bool) {
        self.0.frozen.set(i64::from(frozen));
    }

    #[expect(clippy::cast_precision_loss, reason = "trees stay far below 2^53 records")]
    pub(super) fn size(&self, size: u64) {
        self.0.size.set(size as f64);
    }
}
