//! The one way from async code to blocking file work.

use std::io;

use crate::Error;

/// Runs file work on the runtime's blocking threads.
///
/// Dropped: the work still runs to its end, so it must leave no half state by itself.
///
/// # Errors
/// What `work` returns; `Io` when the runtime ends before it ran.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// Turns a task that never finished into an error of the room.
pub(crate) fn joined<T>(
    result: Result<Result<T, Error>, tokio::task::JoinError>,
) -> Result<T, Error> {
    result
        .unwrap_or_else(|error| Err(Error::io("finish work on", "store", io::Error::other(error))))
}
