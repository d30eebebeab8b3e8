//! Metrics of requests: names, units and label sets of this room.
//!
//! Names are registered without the prefix: the registry is made with
//! `Registry::with_prefix("larder")`. No label holds a module path. A request touches counters
//! only, by index: no lock, no look-up by label.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::answer::STATUSES;

/// What was asked for, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Latest,
    Info,
    Query,
    Mod,
    Zip,
    Sumdb,
    /// `/` and `/robots.txt`.
    Page,
    /// Health, readiness, metrics.
    Probe,
    /// Nothing that the protocol knows.
    Unknown,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::List,
        Self::Latest,
        Self::Info,
        Self::Query,
        Self::Mod,
        Self::Zip,
        Self::Sumdb,
        Self::Page,
        Self::Probe,
        Self::Unknown,
    ];

    /// Returns the kind of a request of the protocol.
    pub(crate) fn of(request: &gomod::Request) -> Self {
        match request {
            gomod::Request::List(_) => Self::List,
            gomod::Request::Latest(_) => Self::Latest,
            gomod::Request::Info(_, gomod::Query::Version(_)) => Self::Info,
            gomod::Request::Info(_, gomod::Query::Revision(_)) => Self::Query,
            gomod::Request::Mod(_) => Self::Mod,
            gomod::Request::Zip(_) => Self::Zip,
            gomod::Request::Sumdb(_) => Self::Sumdb,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Latest => "latest",
            Self::Info => "info",
            Self::Query => "query",
            Self::Mod => "mod",
            Self::Zip => "zip",
            Self::Sumdb => "sumdb",
            Self::Page => "page",
            Self::Probe => "probe",
            Self::Unknown => "unknown",
        }
    }
}

/// How it was answered, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Hit,
    Miss,
    Collapsed,
    Stale,
    /// No cache was asked, or there was nothing to give.
    None,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Hit, Self::Miss, Self::Collapsed, Self::Stale, Self::None];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Stale => "stale",
            Self::None => "none",
        }
    }
}

impl From<proxy::Outcome> for Outcome {
    fn from(outcome: proxy::Outcome) -> Self {
        match outcome {
            proxy::Outcome::Hit => Self::Hit,
            proxy::Outcome::Miss => Self::Miss,
            proxy::Outcome::Collapsed => Self::Collapsed,
            proxy::Outcome::Stale => Self::Stale,
        }
    }
}

/// Upper bounds of the duration buckets: hits take tens of microseconds, a waiter waits up to ten
/// minutes.
const BUCKETS: [Duration; 18] = [
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

#[derive(Debug, Default)]
struct Histogram {
    // One more than there are bounds: what took longer than the last one.
    counts: [AtomicU64; BUCKETS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let bucket = BUCKETS.iter().position(|bound| took <= *bound).unwrap_or(BUCKETS.len());
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let bounds = BUCKETS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<_> =
            bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.nanos.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// Rows of kinds, of statuses, of outcomes: 10 × 17 × 5 counters, made at start.
#[derive(Debug, Default)]
struct Requests {
    counts: [[[AtomicU64; Outcome::ALL.len()]; STATUSES.len()]; Kind::ALL.len()],
    bytes: [AtomicU64; Kind::ALL.len()],
    durations: [Histogram; Outcome::ALL.len()],
}

impl Requests {
    fn encode_counts(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        for (kind, statuses) in Kind::ALL.iter().zip(&self.counts) {
            for (status, outcomes) in STATUSES.iter().zip(statuses) {
                let status = status.to_string();
                for (outcome, count) in Outcome::ALL.iter().zip(outcomes) {
                    let (kind, outcome) = (kind.as_str(), outcome.as_str());
                    let labels = [("kind", kind), ("status", &status), ("outcome", outcome)];
                    encode_counter(&mut encoder, &labels, count.load(Relaxed))?;
                }
            }
        }
        Ok(())
    }
}

fn encode_counter<const N: usize>(
    encoder: &mut MetricEncoder<'_>,
    labels: &[(&'static str, &str); N],
    count: u64,
) -> std::fmt::Result {
    // A combination that never happened is left out: most of them never do.
    if count == 0 {
        return Ok(());
    }
    encoder.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
}

const REQUESTS: &str = "Requests answered, by what was asked for, status sent and how the cache \
    served it (499: the client left before the answer; outcome none: no cache was asked, or there \
    was nothing to give).";
const SENT: &str = "Bytes of bodies sent to clients, by what was asked for; headers not counted.";
const DURATION: &str = "Time from the request's header until a small body was handed over, or a \
    file or stream was sent, by how the cache served it.";

#[derive(Debug)]
struct RequestCollector(Arc<Requests>);

impl Collector for RequestCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let counter = MetricType::Counter;
        self.0.encode_counts(encoder.encode_descriptor("requests", REQUESTS, None, counter)?)?;

        let bytes = Some(&Unit::Bytes);
        let mut sent = encoder.encode_descriptor("sent", SENT, bytes, counter)?;
        for (kind, bytes) in Kind::ALL.iter().zip(&self.0.bytes) {
            encode_counter(&mut sent, &[("kind", kind.as_str())], bytes.load(Relaxed))?;
        }

        let (seconds, histogram) = (Some(&Unit::Seconds), MetricType::Histogram);
        let mut took =
            encoder.encode_descriptor("request_duration", DURATION, seconds, histogram)?;
        for (outcome, durations) in Outcome::ALL.iter().zip(&self.0.durations) {
            durations.encode(took.encode_family(&[("outcome", outcome.as_str())])?)?;
        }
        Ok(())
    }
}

/// Handles of this room's metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Arc<Requests>,
    dropped: Counter,
    cut: Counter,
    degraded: Family<Vec<(&'static str, &'static str)>, Gauge>,
}

/// What one answered request adds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    /// One of [`STATUSES`]; another one is not counted.
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

impl Metrics {
    /// Registers the room's metrics. `version` is larder's own, for `build_info`.
    pub fn register(registry: &mut Registry, version: &str) -> Self {
        let metrics = Self {
            requests: Arc::default(),
            dropped: Counter::default(),
            cut: Counter::default(),
            degraded: Family::default(),
        };
        registry.register_collector(Box::new(RequestCollector(Arc::clone(&metrics.requests))));
        registry.register(
            "access_log_dropped",
            "Access lines that were dropped because the writer could not keep up or write",
            metrics.dropped.clone(),
        );
        registry.register(
            "answers_cut",
            "Answers that ended before their last byte, by a failed fetch or a client that left",
            metrics.cut.clone(),
        );
        registry.register(
            "degraded",
            "1 while larder serves less than it should for that reason, else 0",
            metrics.degraded.clone(),
        );
        let version = vec![("version", version.to_owned())];
        registry.register("build", "Version of the running larder", Info::new(version));
        metrics.set_degraded(std::iter::empty());
        metrics
    }

    /// The counter of access lines that were dropped, for [`crate::access::channel`].
    #[must_use]
    pub fn dropped_access_lines(&self) -> Counter {
        self.dropped.clone()
    }

    /// Counts one answered request.
    pub(crate) fn count(&self, sample: &Sample) {
        let Sample { kind, status, outcome, bytes, took } = *sample;
        let row = STATUSES.iter().position(|known| *known == status);
        let of_kind = self.requests.counts.get(kind as usize);
        let of_status = of_kind.zip(row).and_then(|(statuses, row)| statuses.get(row));
        let counter = of_status.and_then(|outcomes| outcomes.get(outcome as usize));
        if let Some(counter) = counter {
            counter.fetch_add(1, Relaxed);
        }
        if let Some(sent) = self.requests.bytes.get(kind as usize) {
            sent.fetch_add(bytes, Relaxed);
        }
        if let Some(durations) = self.requests.durations.get(outcome as usize) {
            durations.observe(took);
        }
    }

    /// Counts an answer that did not reach its end.
    pub(crate) fn count_cut(&self) {
        self.cut.inc();
    }

    /// Sets the gauge of degraded states: 1 for each of `reasons`, 0 for the others that there are.
    pub(crate) fn set_degraded(&self, reasons: impl Iterator<Item = &'static str>) {
        for reason in proxy::Proxy::DEGRADED_REASONS {
            self.degraded.get_or_create(&vec![("reason", reason)]).set(0);
        }
        for reason in reasons {
            self.degraded.get_or_create(&vec![("reason", reason)]).set(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn registered() -> (Registry, Metrics) {
        let mut registry = Registry::with_prefix("larder");
        let metrics = Metrics::register(&mut registry, "1.2.3");
        (registry, metrics)
    }

    fn scrape(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    fn sample(took: Duration) -> Sample {
        Sample { kind: Kind::Zip, status: 200, outcome: Outcome::Hit, bytes: 280, took }
    }

    #[test]
    fn labels_stand_at_their_index() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
        for (index, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, index);
        }
    }

    #[test]
    fn a_request_is_counted_under_its_labels() {
        let (registry, metrics) = registered();
        metrics.count(&sample(Duration::from_micros(30)));
        metrics.count(&sample(Duration::from_micros(30)));
        let text = scrape(&registry);
        for line in [
            "larder_requests_total{kind=\"zip\",status=\"200\",outcome=\"hit\"} 2",
            "larder_sent_bytes_total{kind=\"zip\"} 560",
            "larder_request_duration_seconds_count{outcome=\"hit\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_duration_falls_into_the_bucket_of_its_bound() {
        let (registry, metrics) = registered();
        metrics.count(&sample(Duration::from_micros(25)));
        metrics.count(&sample(Duration::from_nanos(25_001)));
        metrics.count(&sample(Duration::from_secs(601)));
        let text = scrape(&registry);
        for (bound, count) in [("0.000025", 1), ("0.00005", 2), ("600.0", 2), ("+Inf", 3)] {
            let line = format!(
                "larder_request_duration_seconds_bucket{{le=\"{bound}\",outcome=\"hit\"}} {count}"
            );
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn what_never_happened_is_left_out_but_described() {
        let (registry, _) = registered();
        let text = scrape(&registry);
        assert!(!text.contains("larder_requests_total{"), "{text}");
        for name in ["requests counter", "sent_bytes counter", "request_duration_seconds histogram"]
        {
            assert!(text.contains(&format!("# TYPE larder_{name}")), "{name}\n{text}");
        }
    }

    #[test]
    fn degraded_shows_the_reasons_that_hold_now() {
        let (registry, metrics) = registered();
        metrics.set_degraded(["store_full", "index_lost"].into_iter());
        metrics.set_degraded(["index_lost"].into_iter());
        let text = scrape(&registry);
        assert!(text.contains("larder_degraded{reason=\"index_lost\"} 1"), "{text}");
        assert!(text.contains("larder_degraded{reason=\"store_full\"} 0"), "{text}");
    }

    #[test]
    fn the_version_is_told() {
        let (registry, _) = registered();
        assert!(scrape(&registry).contains("larder_build_info{version=\"1.2.3\"} 1"));
    }
}
