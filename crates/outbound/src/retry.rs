//! Whether and when a failed request is sent again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::{HeaderMap, header};
use units::Timestamp;

/// The first pause is this plus up to as much again at random.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Pauses double up to this, before the random part.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// Never more requests than this for one question, whatever is configured.
const MAX_ATTEMPTS: u32 = 10;

/// What the failure itself says about asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It would not help.
    No,
    /// After a pause of ours.
    Soon,
    /// After the pause that the upstream asked for.
    After(Duration),
}

/// The pauses of one question: jittered, doubling, bounded in number.
#[derive(Debug)]
pub(crate) struct Retries {
    pauses: ExponentialBackoff,
    budget: Duration,
}

impl Retries {
    /// `attempts` counts the first request too; `seed` is the source of the jitter.
    pub(crate) fn new(attempts: u32, budget: Duration, seed: u64) -> Self {
        let retries = attempts.clamp(1, MAX_ATTEMPTS) - 1;
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .with_jitter_seed(seed)
            .with_max_times(retries as usize)
            .build();
        Self { pauses, budget }
    }

    /// The pause before the next request, `None` when there is to be none.
    ///
    /// `elapsed` is the time since the question came. A pause that the upstream asked for and
    /// that does not fit into the budget ends the question at once: the caller is told the time.
    pub(crate) fn next(&mut self, again: Again, elapsed: Duration) -> Option<Duration> {
        let pause = match again {
            Again::No => return None,
            Again::Soon => self.pauses.next()?,
            Again::After(asked) => self.pauses.next()?.max(asked),
        };
        (elapsed.saturating_add(pause) <= self.budget).then_some(pause)
    }
}

/// What `Retry-After` asks for: seconds, or a date, which is read against the answer's own `Date`.
///
/// Source: RFC 9110 §10.2.3. No clock of ours is asked, so a wrong one does no harm.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let then = Timestamp::parse_http_date(text).ok()?;
    let now = Timestamp::parse_http_date(date).ok()?;
    Some(then.since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, header};

    use super::{Again, Retries, retry_after};

    const BUDGET: Duration = Duration::from_secs(2);

    fn pauses(attempts: u32, seed: u64) -> Vec<Duration> {
        let mut retries = Retries::new(attempts, Duration::from_mins(1), seed);
        std::iter::from_fn(|| retries.next(Again::Soon, Duration::ZERO)).collect()
    }

    #[test]
    fn pauses_double_with_jitter_and_are_bounded_in_number() {
        for seed in 0..200 {
            let pauses = pauses(3, seed);
            assert_eq!(pauses.len(), 2);
            assert!((100..=200).contains(&pauses[0].as_millis()), "{pauses:?}");
            assert!((200..=400).contains(&pauses[1].as_millis()), "{pauses:?}");
        }
        assert_ne!(pauses(3, 1), pauses(3, 2));
        assert_eq!(pauses(3, 7), pauses(3, 7));
    }

    #[test]
    fn attempts_have_a_floor_and_a_ceiling() {
        assert_eq!(pauses(0, 1).len(), 0);
        assert_eq!(pauses(1, 1).len(), 0);
        assert_eq!(pauses(10, 1).len(), 9);
        assert_eq!(pauses(11, 1).len(), 9);
    }

    #[test]
    fn nothing_is_started_behind_the_budget() {
        let mut retries = Retries::new(3, BUDGET, 1);
        assert_eq!(retries.next(Again::Soon, Duration::from_millis(1950)), None);
        let mut retries = Retries::new(3, BUDGET, 1);
        assert_eq!(retries.next(Again::No, Duration::ZERO), None);
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_or_the_question_ends() {
        let mut retries = Retries::new(3, BUDGET, 1);
        let asked = Again::After(Duration::from_secs(1));
        assert_eq!(retries.next(asked, Duration::ZERO), Some(Duration::from_secs(1)));
        let mut retries = Retries::new(3, BUDGET, 1);
        assert_eq!(retries.next(Again::After(Duration::from_secs(3)), Duration::ZERO), None);
        assert_eq!(retries.next(Again::After(Duration::MAX), Duration::ZERO), None);
    }

    fn headers(retry_after: &'static str, date: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry_after));
        date.map(|date| headers.insert(header::DATE, HeaderValue::from_static(date)));
        headers
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(retry_after(&headers("7", None)), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers(later, Some(date))), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(&headers(date, Some(later))), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(later, None)), None);
        assert_eq!(retry_after(&headers("-1", None)), None);
        assert_eq!(retry_after(&headers("soon", Some(date))), None);
    }
}
