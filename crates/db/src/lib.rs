//! SQL: the version index, which can be rebuilt, and the state, which cannot.
//!
//! The index is one SQLite file (write-ahead log, one writing connection, two reading ones). The store is the
//! truth and this a copy of it, made to answer without reading folders; a lost, damaged or newer
//! file is set aside and begun anew, and what it held comes back from the store (`fsck
//! --reindex`) and from upstream. So nothing waits for the disk here (`synchronous=NORMAL`): after
//! a power cut the last changes may be missing, never half of one.
//!
//! The [`State`] is another file, durable at each change and never set aside.
//!
//! No request that is answered from the store waits for this room. Every function is named by the
//! question it answers; no SQL leaves the room.
#![expect(
    clippy::disallowed_methods,
    reason = "the port for SQL: it sets damaged database files aside"
)]

mod error;
mod index;
mod kept;
mod log;
mod metrics;
mod open;
mod state;

pub use error::Error;
pub use index::{Index, Row};
pub use kept::{
    Kept, KeptAnswer, MAX_ANSWER_BYTES, MAX_KEPT, MAX_NEGATIVE, Mutable, NEGATIVE_LIFETIME,
};
pub use log::{
    Binding, KeyState, Log, LogHead, LogKey, LogKind, LogRecord, LogStanding, NewRecord, Placed,
};
pub use metrics::Metrics;
pub use open::{MAX_SET_ASIDE, Opened, set_aside};
pub use state::{State, SumdbHead};
