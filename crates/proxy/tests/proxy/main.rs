//! The use-cases over a real store and real sources; the far side is testkit's upstream.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test code: a failed set-up is a failed test"
)]

mod company;
mod confirm;
mod erased;
mod fill;
mod fsck;
mod mutable;
mod names;
mod pending;
mod recording;
mod verified;
mod world;
mod zip;
