//! The room's series: names, units and label sets.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

use crate::Kind;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "label values are written as the variants are")]
enum File {
    info,
    r#mod,
    zip,
}

/// Handles of the room's series. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Series>);

#[derive(Debug, Default)]
struct Series {
    flights: Counter,
    flying: Gauge<i64, AtomicI64>,
    published: Family<FileLabels, Counter>,
    published_bytes: Family<FileLabels, Counter>,
    unpublished: Counter,
    conflicts: Counter,
    drifted: Counter,
    refused: Counter,
    contradicted: Counter,
    unconfirmed: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Makes the series and registers them.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let series = Series::default();
        registry.register(
            "flights",
            "Loads, fetches and refreshes started, each for any number of waiters",
            series.flights.clone(),
        );
        registry.register("flights_running", "Flights under way now", series.flying.clone());
        registry.register("published", "Module files stored, by file", series.published.clone());
        registry.register(
            "published_bytes",
            "Bytes of module files stored, by file",
            series.published_bytes.clone(),
        );
        registry.register(
            "unpublished",
            "Files that were served but could not be stored",
            series.unpublished.clone(),
        );
        registry.register(
            "conflicts",
            "Other content seen under a name that is already stored: each is an incident",
            series.conflicts.clone(),
        );
        registry.register(
            "origin_drift",
            "Versions whose tag was seen at another commit than the one served: the stored bytes stay",
            series.drifted.clone(),
        );
        registry.register(
            "refused",
            "Files refused because their content breaks a rule",
            series.refused.clone(),
        );
        registry.register(
            "contradicted",
            "Files that a checksum database contradicts, fetched or stored: each is an incident",
            series.contradicted.clone(),
        );
        registry.register(
            "unconfirmed",
            "Stored versions that no checksum database has confirmed yet, when last counted",
            series.unconfirmed.clone(),
        );
        for file in [File::info, File::r#mod, File::zip] {
            let labels = FileLabels { file };
            // Shown from the start, so that a rate has a zero to begin with.
            drop(series.published.get_or_create(&labels));
            drop(series.published_bytes.get_or_create(&labels));
        }
        Self(Arc::new(series))
    }

    pub(crate) fn flight_started(&self) {
        self.0.flights.inc();
        self.0.flying.inc();
    }

    pub(crate) fn flight_ended(&self) {
        self.0.flying.dec();
    }

    pub(crate) fn published(&self, kind: Kind, bytes: u64) {
        let file = match kind {
            Kind::Mod => File::r#mod,
            Kind::Zip => File::zip,
            _ => File::info,
        };
        let labels = FileLabels { file };
        self.0.published.get_or_create(&labels).inc();
        self.0.published_bytes.get_or_create(&labels).inc_by(bytes);
    }

    pub(crate) fn unpublished(&self) {
        self.0.unpublished.inc();
    }

    pub(crate) fn conflict(&self) {
        self.0.conflicts.inc();
    }

    pub(crate) fn drifted(&self) {
        self.0.drifted.inc();
    }

    pub(crate) fn contradicted(&self) {
        self.0.contradicted.inc();
    }

    pub(crate) fn unconfirmed(&self, versions: i64) {
        self.0.unconfirmed.set(versions);
    }

    pub(crate) fn refused(&self) {
        self.0.refused.inc();
    }
}
