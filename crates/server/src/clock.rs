//! The one place of this room that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use units::Timestamp;

/// A clock: the system's, or one that a test moves by hand.
///
/// Cheap to clone; clones of a manual clock move together. Everything below takes the time as an
/// argument.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { start: Instant },
    Manual { start: Timestamp, nanos: Arc<AtomicI64> },
}

impl Clock {
    /// Returns the system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the room's clock")]
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now() })
    }

    /// Returns a clock that stands at `at` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        Self(Source::Manual { start: at, nanos: Arc::new(AtomicI64::new(at.unix_nanos())) })
    }

    /// Moves a manual clock and all its clones forward; does nothing to the system's clock.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual { nanos, .. } = &self.0 {
            nanos.fetch_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// Returns the time of day. A system clock before 1970 reads as 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the room's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
            }
            Source::Manual { nanos, .. } => {
                Timestamp::from_unix_nanos(nanos.load(Ordering::Relaxed))
            }
        }
    }

    /// Returns how long this clock exists, for measuring spans: never goes back, whatever is done
    /// to the time of day.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the room's clock")]
    pub fn uptime(&self) -> Duration {
        match &self.0 {
            Source::System { start } => start.elapsed(),
            Source::Manual { start, nanos } => {
                let passed = nanos.load(Ordering::Relaxed).saturating_sub(start.unix_nanos());
                Duration::from_nanos(u64::try_from(passed).unwrap_or(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Timestamp::from_unix_secs(1_000));
        let other = clock.clone();
        other.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now(), Timestamp::from_unix_nanos(1_001_500_000_000));
        assert_eq!(clock.uptime(), Duration::from_millis(1_500));
    }

    #[test]
    fn the_system_clock_runs_and_cannot_be_moved() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(Duration::from_secs(1 << 30));
        let passed = clock.now().unix_secs() - before.unix_secs();
        assert!(passed < 1 << 20, "moved by {passed} s");
        assert!(before > Timestamp::from_unix_secs(1_600_000_000));
        assert!(clock.uptime() < Duration::from_secs(1 << 20));
    }
}
