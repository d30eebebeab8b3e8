//! The room over real sockets on the loopback interface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests, where a panic is the failure"
)]

mod bytes;
mod client;
mod leaving;
mod limits;
mod stop;
mod tls;
mod world;
