//! Tests of the room as its callers see it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests; the differential one runs Go on files, one looks at the clock"
)]

#[path = "room/bundle.rs"]
mod bundle;
#[path = "room/differential.rs"]
mod differential;
#[path = "room/golden.rs"]
mod golden;
#[path = "room/hostile.rs"]
mod hostile;
#[path = "room/log.rs"]
mod log;
#[path = "room/properties.rs"]
mod properties;
#[path = "room/speed.rs"]
mod speed;
#[path = "room/tlog_proof.rs"]
mod tlog_proof;
