//! The one way from async code to blocking work, and the room's clock.

use tokio::time::Instant;

use crate::Error;

/// Runs reading work on a blocking thread; the room's one way there.
///
/// Dropped: the work still runs to its end, so it must leave no half state by itself.
///
/// # Errors
///
/// What `work` returns; `Mirror` when the runtime ends before it ran, or when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(Error::mirror("repositories", error.to_string())))
}

/// For limits and ages.
pub(crate) fn now() -> Instant {
    Instant::now()
}
