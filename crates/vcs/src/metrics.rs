//! Runs and failures of git, and what mirrors take.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::time::Instant;

use crate::{Error, blocking::now};

/// What git is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Action {
    /// Asking a remote for its refs.
    Refs,
    /// Fetching objects.
    Fetch,
    /// Making one pack of many.
    Repack,
    /// Converting files to another encoding.
    Encode,
}

/// Why a run failed: the variants of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Failure {
    /// No such repository, or hidden.
    Refused,
    /// The remote is not there.
    Unavailable,
    /// A time limit ran out.
    Timeout,
    /// An address, protocol or URL that may not be used.
    Forbidden,
    /// A size limit, or broken objects.
    Limit,
    /// Our disk or our git.
    Mirror,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ran {
    action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    action: Action,
    class: Failure,
}

/// `larder_vcs_*`: no URL and no host is ever a label. Clones count into the same numbers.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    runs: Family<Ran, Counter>,
    failures: Family<Failed, Counter>,
    seconds: Family<Ran, Counter<f64, AtomicU64>>,
    pub(crate) mirrors: Gauge,
    pub(crate) mirror_bytes: Gauge,
    pub(crate) removed: Counter,
}

impl Metrics {
    /// Adds the families to a registry, whose prefix is `larder`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("vcs_runs", "Runs of git, by what for", self.runs.clone());
        registry.register(
            "vcs_failures",
            "Runs of git that failed, by what for and class",
            self.failures.clone(),
        );
        registry.register(
            "vcs_run_seconds",
            "Seconds spent in runs of git, by what for",
            self.seconds.clone(),
        );
        registry.register("vcs_mirrors", "Repositories mirrored on disk", self.mirrors.clone());
        registry.register(
            "vcs_mirror_bytes",
            "Disk taken by mirrors, as of the last count",
            self.mirror_bytes.clone(),
        );
        registry.register(
            "vcs_mirrors_removed",
            "Mirrors removed because the quota was used up",
            self.removed.clone(),
        );
    }

    /// Runs of git so far.
    #[must_use]
    pub fn runs(&self, action: Action) -> u64 {
        self.runs.get_or_create(&Ran { action }).get()
    }

    /// Runs of git that failed so.
    #[must_use]
    pub fn failures(&self, action: Action, class: Failure) -> u64 {
        self.failures.get_or_create(&Failed { action, class }).get()
    }

    pub(crate) fn start(&self, action: Action) -> Timer<'_> {
        self.runs.get_or_create(&Ran { action }).inc();
        Timer { metrics: self, action, since: now() }
    }
}

/// A run that is being timed; one that is dropped counts its time, too.
#[derive(Debug)]
pub(crate) struct Timer<'a> {
    metrics: &'a Metrics,
    action: Action,
    since: Instant,
}

impl Timer<'_> {
    /// Counts a failure and hands it back.
    pub(crate) fn failed(&self, error: Error) -> Error {
        let class = match &error {
            Error::Refused { .. } => Failure::Refused,
            Error::Unavailable { timeout: true, .. } => Failure::Timeout,
            Error::Unavailable { .. } => Failure::Unavailable,
            Error::Forbidden { .. } => Failure::Forbidden,
            Error::Limit { .. } | Error::Ambiguous { .. } | Error::Unknown { .. } => Failure::Limit,
            Error::Mirror { .. } | Error::Full { .. } => Failure::Mirror,
        };
        self.metrics.failures.get_or_create(&Failed { action: self.action, class }).inc();
        error
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let seconds = (now() - self.since).as_secs_f64();
        self.metrics.seconds.get_or_create(&Ran { action: self.action }).inc_by(seconds);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::{Action, Failure, Metrics};
    use crate::Error;

    #[test]
    fn runs_are_counted_by_action_and_class() {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("larder");
        metrics.register(&mut registry);
        drop(metrics.start(Action::Refs));
        let timer = metrics.start(Action::Fetch);
        drop(timer.failed(Error::mirror("x", "y")));
        drop(timer);
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        assert!(page.contains("larder_vcs_runs_total{action=\"Fetch\"} 1"), "{page}");
        assert!(page.contains("larder_vcs_run_seconds_total{action=\"Refs\"}"), "{page}");
        assert_eq!(metrics.failures(Action::Fetch, Failure::Mirror), 1);
        assert_eq!(
            (metrics.runs(Action::Refs), metrics.failures(Action::Refs, Failure::Mirror)),
            (1, 0)
        );
    }
}
