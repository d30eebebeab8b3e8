//! Our own log, through its public face.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a failed step is a failed test; tests have files, processes, clocks and tasks"
)]

#[path = "own/append.rs"]
mod append;
#[path = "own/differential.rs"]
mod differential;
#[path = "own/erase.rs"]
mod erase;
#[path = "own/kill.rs"]
mod kill;
#[path = "own/restore.rs"]
mod restore;
#[path = "own/rotate.rs"]
mod rotate;
#[path = "own/site.rs"]
mod site;
#[path = "own/speed.rs"]
mod speed;
