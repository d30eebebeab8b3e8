//! A clock that a test moves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use units::Timestamp;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    nanos: AtomicI64,
}

impl ManualClock {
    /// Starts at a given moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { nanos: AtomicI64::new(now.unix_nanos()) }
    }

    /// Says what time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.nanos.load(Ordering::SeqCst))
    }

    /// Moves the clock forward; stops at the last moment it can tell.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let later = self.now().unix_nanos().saturating_add(by);
        self.nanos.store(later, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// A morning in November 2026.
    fn default() -> Self {
        Self::at(Timestamp::from_unix_secs(1_795_255_200))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_only_when_moved() {
        let clock = ManualClock::default();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().unix_nanos() - before.unix_nanos(), 1_500_000_000);
    }
}
