//! One piece of work for all who want it at once.

use std::sync::{Mutex, PoisonError};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};

use crate::Error;

type Work<T> = BoxFuture<'static, Result<T, Error>>;

/// The work under way, if any.
///
/// Nobody owns it: whoever waits drives it, and it goes on while anyone waits. When the last waiter
/// is dropped, it is dropped too, and its processes are killed.
#[derive(Debug)]
pub(crate) struct Flight<T: Clone>(Mutex<Option<WeakShared<Work<T>>>>);

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Flight<T> {
    /// The work under way, or a new one.
    pub(crate) fn join(&self, start: impl FnOnce() -> Work<T>) -> Shared<Work<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = slot.as_ref().and_then(WeakShared::upgrade);
        if let Some(flight) = under_way.filter(|flight| flight.peek().is_none()) {
            return flight;
        }
        let flight = start().shared();
        *slot = flight.downgrade();
        flight
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    };

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;

    use super::Flight;

    #[tokio::test]
    async fn waiters_share_work_and_survive_each_other() {
        let flight = Flight::<u32>::default();
        let (starts, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (starts, go) = (Arc::clone(&starts), Arc::clone(&go));
            async move {
                starts.fetch_add(1, SeqCst);
                go.notified().await;
                Ok(7)
            }
            .boxed()
        };
        let mut first = flight.join(work);
        let second = flight.join(work);
        assert!((&mut first).now_or_never().is_none(), "it has begun");
        drop(first);
        go.notify_one();
        assert_eq!(second.await.unwrap(), 7);
        assert_eq!(starts.load(SeqCst), 1);
        // What has ended is not joined.
        go.notify_one();
        assert_eq!(flight.join(work).await.unwrap(), 7);
        assert_eq!(starts.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn work_ends_with_its_last_waiter() {
        let flight = Flight::<u32>::default();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let waiter = flight.join(move || {
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Ok(0)
            }
            .boxed()
        });
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(waiter);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
