//! The room's series: names, units and label sets.

use std::sync::{Arc, atomic::AtomicI64};

use policy::Verification;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// How something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What a database did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Which database: configured names only, so their number is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Database {
    database: String,
}

/// What a database, or somebody before it, did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incident {
    /// Two signed heads whose trees contradict each other.
    Fork,
    /// The newest head is older than one seen before.
    Rollback,
    /// A tile or record that the signed head does not authenticate.
    Forged,
    /// A record that is not the one of the module asked for.
    WrongRecord,
    /// Lines below a tree head that no known log writes.
    Extension,
}

impl Incident {
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Rollback => "rollback",
            Self::Forged => "forged",
            Self::WrongRecord => "wrong_record",
            Self::Extension => "extension",
        }
    }

    const ALL: [Self; 5] =
        [Self::Fork, Self::Rollback, Self::Forged, Self::WrongRecord, Self::Extension];
}

/// How a question to a database was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Found,
    Absent,
    Failed,
}

/// Handles of the room's series. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Series>);

#[derive(Debug, Default)]
struct Series {
    lookups: Family<Outcome, Counter>,
    tiles: Family<Outcome, Counter>,
    heads: Counter,
    confirmations: Family<Outcome, Counter>,
    incidents: Family<Kind, Counter>,
    frozen: Family<Database, Gauge<i64, AtomicI64>>,
    tree_size: Family<Database, Gauge<i64, AtomicI64>>,
}

impl Metrics {
    /// Registers the figures; the registry's prefix (`larder`) stands before each name.
    pub fn register(&self, registry: &mut Registry) {
        let series = &*self.0;
        registry.register(
            "sumdb_lookups",
            "Look-ups sent to a checksum database, by outcome",
            series.lookups.clone(),
        );
        registry.register(
            "sumdb_tile_fetches",
            "Tiles asked of a checksum database, by outcome",
            series.tiles.clone(),
        );
        registry.register(
            "sumdb_heads_advanced",
            "Newer tree heads that were verified and kept",
            series.heads.clone(),
        );
        registry.register(
            "sumdb_confirmations",
            "Files held against a record, by outcome",
            series.confirmations.clone(),
        );
        registry.register(
            "sumdb_incidents",
            "Contradictions and lies of a checksum database or of somebody before it, by kind",
            series.incidents.clone(),
        );
        registry.register(
            "sumdb_frozen",
            "1 when a checksum database contradicted itself and is not believed any more",
            series.frozen.clone(),
        );
        registry.register(
            "sumdb_tree_size",
            "Records in the newest verified tree of a checksum database",
            series.tree_size.clone(),
        );
    }

    /// Shows all series from the start, so that a rate has a zero to begin with.
    pub(crate) fn begin(&self, database: &str) {
        for outcome in ["found", "absent", "failed"] {
            drop(self.0.lookups.get_or_create(&Outcome { outcome }));
            drop(self.0.tiles.get_or_create(&Outcome { outcome }));
        }
        for outcome in ["confirmed", "mismatch", "first_use", "exempt", "off"] {
            drop(self.0.confirmations.get_or_create(&Outcome { outcome }));
        }
        for kind in Incident::ALL {
            drop(self.0.incidents.get_or_create(&Kind { kind: kind.slug() }));
        }
        self.frozen(database, false);
        self.tree_size(database, 0);
    }

    pub(crate) fn looked_up(&self, asked: Asked) {
        self.0.lookups.get_or_create(&Self::outcome(asked)).inc();
    }

    pub(crate) fn tile_fetched(&self, asked: Asked) {
        self.0.tiles.get_or_create(&Self::outcome(asked)).inc();
    }

    fn outcome(asked: Asked) -> Outcome {
        let outcome = match asked {
            Asked::Found => "found",
            Asked::Absent => "absent",
            Asked::Failed => "failed",
        };
        Outcome { outcome }
    }

    pub(crate) fn advanced(&self) {
        self.0.heads.inc();
    }

    pub(crate) fn confirmed(&self, by: &Verification) {
        let outcome = match by {
            Verification::Database { .. } => "confirmed",
            Verification::FirstUse => "first_use",
            Verification::Exempt => "exempt",
            _ => "off",
        };
        self.0.confirmations.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn mismatched(&self) {
        self.0.confirmations.get_or_create(&Outcome { outcome: "mismatch" }).inc();
    }

    pub(crate) fn incident(&self, kind: Incident) {
        self.0.incidents.get_or_create(&Kind { kind: kind.slug() }).inc();
    }

    pub(crate) fn frozen(&self, database: &str, frozen: bool) {
        let labels = Database { database: database.to_owned() };
        self.0.frozen.get_or_create(&labels).set(i64::from(frozen));
    }

    pub(crate) fn tree_size(&self, database: &str, size: u64) {
        let labels = Database { database: database.to_owned() };
        self.0.tree_size.get_or_create(&labels).set(i64::try_from(size).unwrap_or(i64::MAX));
    }
}
