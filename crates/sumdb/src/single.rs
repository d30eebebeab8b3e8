//! One piece of work for all who ask for the same thing at the same time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use crate::Error;

/// From this many entries on, those that nobody waits for any more are looked for and removed.
const SWEEP_FROM: usize = 64;

/// Work that may have several waiters. It is driven by whoever waits, and ends with the last of
/// them: there is no task behind it.
pub(crate) type Joined<T> = Shared<BoxFuture<'static, Result<T, Error>>>;

/// The same, as it is remembered: it does not keep the work alive.
type Held<T> = WeakShared<BoxFuture<'static, Result<T, Error>>>;

/// What is under way, by what was asked.
#[derive(Debug)]
pub(crate) struct Single<K, T: Clone> {
    running: Mutex<HashMap<K, Held<T>>>,
}

impl<K, T: Clone> Default for Single<K, T> {
    fn default() -> Self {
        Self { running: Mutex::default() }
    }
}

impl<K: Eq + Hash, T: Clone> Single<K, T> {
    /// Joins the work for `key`, or starts it.
    ///
    /// Work that has succeeded is joined, too, as long as somebody holds it: what it brought may
    /// not be in memory yet.
    pub(crate) fn join(
        &self,
        key: K,
        start: impl FnOnce() -> BoxFuture<'static, Result<T, Error>>,
    ) -> Joined<T> {
        let mut running = self.running();
        let held = running.get(&key).and_then(WeakShared::upgrade);
        if let Some(held) = held.filter(|held| !matches!(held.peek(), Some(Err(_)))) {
            return held;
        }
        if running.len() >= SWEEP_FROM {
            running.retain(|_, held| held.upgrade().is_some());
        }
        let begun = start().shared();
        if let Some(weak) = begun.downgrade() {
            running.insert(key, weak);
        }
        begun
    }

    /// A panic elsewhere must not hide behind a poisoned lock; nothing is half-done under it.
    fn running(&self) -> MutexGuard<'_, HashMap<K, Held<T>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    fn work(
        count: &Arc<AtomicU32>,
        result: Result<u32, Error>,
    ) -> BoxFuture<'static, Result<u32, Error>> {
        let count = Arc::clone(count);
        Box::pin(async move {
            tokio::task::yield_now().await;
            count.fetch_add(1, Ordering::SeqCst);
            result
        })
    }

    #[tokio::test]
    async fn equal_questions_are_one_piece_of_work_and_others_are_not() {
        let (single, count) = (Single::default(), Arc::default());
        let all: Vec<_> = (0..50).map(|n| single.join(n % 2, || work(&count, Ok(n)))).collect();
        let answers = futures_util::future::join_all(all).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(0)).count(), 25);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_failed_or_was_given_up_is_begun_anew() {
        let (single, count) = (Single::default(), Arc::default());
        let error = Error::Kept { reason: "x".to_owned() };
        let failed = single.join((), || work(&count, Err(error.clone())));
        assert_eq!(failed.clone().await, Err(error));
        assert_eq!(single.join((), || work(&count, Ok(7))).await, Ok(7));
        drop(single.join((), || work(&count, Ok(8))));
        assert_eq!(single.join((), || work(&count, Ok(9))).await, Ok(9));
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn what_succeeded_is_joined_while_it_is_held() {
        let (single, count) = (Single::default(), Arc::default());
        let held = single.join((), || work(&count, Ok(1)));
        held.clone().await.unwrap();
        assert_eq!(single.join((), || work(&count, Ok(2))).await, Ok(1));
        drop(held);
        assert_eq!(single.join((), || work(&count, Ok(3))).await, Ok(3));
    }

    #[test]
    fn what_nobody_holds_is_swept() {
        let (single, count) = (Single::default(), Arc::default());
        for key in 0..1000 {
            drop(single.join(key, || work(&count, Ok(0))));
        }
        assert!(single.running().len() <= SWEEP_FROM);
    }
}
