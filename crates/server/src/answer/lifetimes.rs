//! Values of `Cache-Control`, made once.

use std::time::Duration;

use http::HeaderValue;

use super::refusal::Keep;
use crate::CacheAges;

/// Seconds up to which values are made ahead; longer remaining times are formatted when they occur.
const TABLE: u64 = 600;

/// Every `Cache-Control` that larder sends.
#[derive(Debug, Clone)]
pub(crate) struct Lifetimes {
    immutable: HeaderValue,
    private_immutable: HeaderValue,
    /// `public, max-age=N` at index N.
    seconds: Vec<HeaderValue>,
    ages: CacheAges,
}

/// Tiles are hashes of what is for ever.
static TILE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
static PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl Lifetimes {
    pub(crate) fn new(ages: &CacheAges) -> Self {
        let seconds = ages.immutable.0.as_secs();
        let immutable = format!("public, max-age={seconds}, immutable");
        let private = format!("private, max-age={seconds}, immutable");
        Self {
            private_immutable: HeaderValue::from_str(&private).unwrap_or_else(|_| NO_STORE.clone()),
            immutable: HeaderValue::from_str(&immutable).unwrap_or_else(|_| NO_STORE.clone()),
            seconds: (0..=TABLE).map(public).collect(),
            ages: *ages,
        }
    }

    /// For a file of a version.
    pub(crate) fn immutable(&self) -> HeaderValue {
        self.immutable.clone()
    }

    /// For what is private: only the client itself may keep it; mutable answers not at all, which
    /// are asked anew often enough that nobody misses a second.
    pub(crate) fn private(&self, fresh_for: Option<Duration>) -> HeaderValue {
        match fresh_for {
            None => self.private_immutable.clone(),
            Some(_) => PRIVATE.clone(),
        }
    }

    /// For a tile of a checksum database.
    pub(crate) fn tile() -> HeaderValue {
        TILE.clone()
    }

    /// For a look-up in a checksum database that stays fresh for `fresh_for`.
    pub(crate) fn lookup(&self, fresh_for: Duration) -> HeaderValue {
        self.seconds(self.ages.lookup.0.min(fresh_for))
    }

    /// For a list or a query that stays fresh for `fresh_for`.
    pub(crate) fn mutable(&self, fresh_for: Duration) -> HeaderValue {
        self.seconds(self.ages.mutable.0.min(fresh_for))
    }

    /// For a failure.
    pub(crate) fn refusal(&self, keep: Keep) -> HeaderValue {
        match keep {
            Keep::Never => NO_STORE.clone(),
            Keep::Negative(fresh_for) => self.seconds(self.ages.negative.0.min(fresh_for)),
        }
    }

    fn seconds(&self, age: Duration) -> HeaderValue {
        let made = usize::try_from(age.as_secs()).ok().and_then(|index| self.seconds.get(index));
        made.cloned().unwrap_or_else(|| public(age.as_secs()))
    }
}

fn public(seconds: u64) -> HeaderValue {
    let text = format!("public, max-age={seconds}");
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or_else(|_| NO_STORE.clone())
}

#[cfg(test)]
mod tests {
    use units::Span;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_is_kept_as_configured_but_not_longer_than_it_is_fresh() {
        let lifetimes = Lifetimes::new(&CacheAges::default());
        assert_eq!(lifetimes.mutable(seconds(3_600)), "public, max-age=60");
        assert_eq!(lifetimes.mutable(seconds(10)), "public, max-age=10");
        assert_eq!(lifetimes.mutable(Duration::from_millis(900)), "public, max-age=0");
        assert_eq!(lifetimes.lookup(seconds(3_600)), "public, max-age=600");
    }

    #[test]
    fn immutable_files_say_so() {
        let lifetimes = Lifetimes::new(&CacheAges::default());
        assert_eq!(lifetimes.immutable(), "public, max-age=10800, immutable");
        assert_eq!(Lifetimes::tile(), "public, max-age=31536000, immutable");
    }

    #[test]
    fn failures_are_not_kept_and_absence_for_a_minute() {
        let lifetimes = Lifetimes::new(&CacheAges::default());
        assert_eq!(lifetimes.refusal(Keep::Never), "no-store");
        assert_eq!(lifetimes.refusal(Keep::Negative(Duration::MAX)), "public, max-age=60");
        assert_eq!(lifetimes.refusal(Keep::Negative(seconds(7))), "public, max-age=7");
    }

    #[test]
    fn ages_up_to_and_past_the_table_are_the_same_words() {
        let mutable = Span(seconds(86_400));
        let lifetimes = Lifetimes::new(&CacheAges { mutable, ..CacheAges::default() });
        assert_eq!(lifetimes.mutable(seconds(TABLE)), "public, max-age=600");
        assert_eq!(lifetimes.mutable(seconds(TABLE + 1)), "public, max-age=601");
        assert_eq!(lifetimes.mutable(seconds(1 << 30)), "public, max-age=86400");
    }
}
