//! The room through its public face, against a database with a real tree that can be told to lie.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests are not in tests for clippy"
)]

mod answers;
mod bases;
mod dropped;
mod growth;
mod heads;
mod lies;
mod modes;
mod mutations;
mod records;
mod world;
