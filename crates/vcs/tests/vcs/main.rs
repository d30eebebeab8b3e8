//! Repositories made by plain git commands, fetched by this room, compared with git.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "plays the outside world: files and sockets are its trade"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod differential;
mod figures;
mod files;
mod hostile;
mod http;
mod mirrors;
mod process;
mod protocols;
mod queries;
mod ssh;
mod world;
