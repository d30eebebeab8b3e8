//! Confirms hashes against public logs, and keeps what they said.
//!
//! A checksum database is a log of records, one for each module version, whose newest tree head is
//! signed. What is published must have the hash of its record ([`Sumdb::record`],
//! [`Record::confirm`]); a record counts only when it is proven: the signature of the head is the
//! pinned key's, the head's tree begins with the tree of every head seen before, and the record is a
//! leaf of it. Tiles, records and heads that were verified are kept, so that all of it can be proven
//! again, and served to clients ([`Sumdb::answer`]), when the database cannot be asked any more.
//!
//! | what | where | trusted because |
//! |---|---|---|
//! | newest head | `db::State`, durable, only grows | it is not: the signature is checked at the start |
//! | tiles | store, not synced; the widest of each | each read verifies them under the newest head |
//! | records | store, not synced | each read proves them under the newest head |
//! | all three, in memory | bounded | they were verified |
//!
//! A database that signs two trees is *frozen*: the evidence is kept, what is stored is served, and
//! nothing new is believed until a person says so.
//!
//! Two things are decided elsewhere. Whether a module may be asked of a public database (private
//! names) is judged before this room is called. `supported` of a configured database is answered by
//! the caller with 200, whatever the database's state: a 404 would send clients past us.
//!
//! Source of all rules: reference sumdb.md, §2, §4 and §9.

mod bases;
mod clock;
mod config;
mod error;
mod log;
mod memory;
mod metrics;
pub mod monitor;
mod own;
mod record;
mod single;
mod sumdb;

pub use clock::Clock;
pub use config::{Config, Mode};
pub use error::Error;
pub use metrics::Metrics;
pub use own::{
    Binding, Erasure, Kind, Logged, MAX_BATCH, MAX_QUEUED, OwnError, OwnLog, OwnMetrics, OwnParts,
    Recovered, Retired, Step, Withheld,
};
pub use record::{Mismatch, Record, Verified};
pub use sumdb::{Access, Asking, Database, Parts, Sumdb};
