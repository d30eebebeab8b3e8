//! Answers that are kept for a while, and shared by all who ask at once.

use std::{hash::Hash, sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use tokio::{sync::OnceCell, time::Instant};

use crate::Error;

/// Answers by question; one flight for each.
///
/// Cancel safe: when the caller that asks is dropped, the next one that waits asks in its place.
#[derive(Debug)]
pub(super) struct Kept<K, T> {
    answers: Cache<K, Arc<OnceCell<Answer<T>>>>,
}

#[derive(Debug)]
struct Answer<T> {
    told: Result<T, Error>,
    /// Till when it is told again.
    until: Instant,
}

impl<K: Hash + Eq + Clone, T: Clone> Kept<K, T> {
    /// At most so many answers, the ones least asked for are forgotten.
    pub(super) fn new(count: usize) -> Self {
        Self { answers: Cache::new(count) }
    }

    /// Returns the answer that is kept, or asks; `fresh` says how long an answer holds.
    pub(super) async fn get(
        &self,
        question: &K,
        now: impl Fn() -> Instant,
        fresh: impl FnOnce(&Result<T, Error>) -> Duration,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let started = now();
        let is_old = |answer: &Answer<T>| answer.until <= started;
        self.answers.remove_if(question, |cell| cell.get().is_some_and(is_old));
        let made: Result<_, std::convert::Infallible> =
            self.answers.get_or_insert_with(question, || Ok(Arc::default()));
        let Ok(cell) = made;
        let answer = cell
            .get_or_init(async || {
                let told = ask.await;
                // What is far beyond the clock is as good as a day.
                let time = fresh(&told).min(Duration::from_hours(24));
                Answer { told, until: now() + time }
            })
            .await;
        answer.told.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Origin;

    const HOUR: Duration = Duration::from_hours(1);

    struct World {
        kept: Kept<&'static str, u32>,
        asked: AtomicU32,
        start: Instant,
    }

    impl World {
        #[expect(clippy::disallowed_methods, reason = "a beginning to count from")]
        fn new() -> Self {
            Self { kept: Kept::new(4), asked: AtomicU32::new(0), start: Instant::now() }
        }

        async fn get(&self, question: &'static str, after: Duration) -> u32 {
            let ask = async { Ok(self.asked.fetch_add(1, Ordering::SeqCst)) };
            self.kept.get(&question, || self.start + after, |_| HOUR, ask).await.unwrap()
        }
    }

    #[tokio::test]
    async fn an_answer_holds_for_its_time() {
        let world = World::new();
        assert_eq!(world.get("a", Duration::ZERO).await, 0);
        assert_eq!(world.get("a", Duration::from_mins(59)).await, 0);
        assert_eq!(world.get("a", HOUR).await, 1);
        assert_eq!(world.get("b", HOUR).await, 2);
    }

    #[tokio::test]
    async fn answers_are_bounded_in_number() {
        let world = World::new();
        for question in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            world.get(question, Duration::ZERO).await;
        }
        assert!(world.kept.answers.len() <= 4, "{}", world.kept.answers.len());
    }

    #[tokio::test]
    async fn a_dropped_caller_leaves_the_question_to_the_next() {
        let world = World::new();
        let now = || world.start;
        let never = world.kept.get(&"a", now, |_| HOUR, std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(10), never).await.is_err());
        assert_eq!(world.get("a", Duration::ZERO).await, 0);
    }

    #[tokio::test]
    async fn how_long_an_answer_holds_depends_on_it() {
        let world = World::new();
        let (what, origin) = ("a".to_owned(), Origin("direct".into()));
        let absent = Error::NotFound { what, origin, status: 404, text: None };
        let fresh = |told: &Result<u32, Error>| if told.is_ok() { HOUR } else { Duration::ZERO };
        let told = world.kept.get(&"a", || world.start, fresh, async { Err(absent) }).await;
        assert!(told.is_err());
        assert_eq!(world.get("a", Duration::ZERO).await, 0);
    }
}
