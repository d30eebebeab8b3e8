//! Named immutable objects, staged and published: in memory or on disk.
//!
//! A body is first staged ([`Store::stage`]), may be read by any number of [`Follower`]s while it
//! grows, and gets its name in one step ([`Store::create`]), durable on return. A name is given
//! once: whoever comes second is shown the first body ([`Created::Exists`]). Only facts, lists and
//! tree heads change afterwards, by compare-and-swap ([`Store::replace`]).
//!
//! The data folder, nothing is written outside it:
//!
//! | name | holds |
//! |---|---|
//! | `layout` | the number of this arrangement; a newer one is refused |
//! | `lock` | held by `flock` while the folder is open |
//! | `modules/` | Go's download tree and nothing else: `<module>/@v/<version>.{info,mod,zip,ziphash}` |
//! | `facts/` | what is known of a version: `<module>/@v/<version>.json` |
//! | `tiles/`, `records/`, `heads/` | checksum databases, by log name |
//! | `log/` | tiles and heads of our own log, by log name: what cannot be fetched again |
//! | `evidence/` | what contradicted the store, and what was found damaged |
//! | `scratch/` | staged bodies; emptied when the folder is opened |
//!
//! The store is its own truth: a file removed by hand is a miss, a Go module cache copied into
//! `modules/` is found. Nothing here knows what a body means or whether it was verified.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the port for stored objects: files, folders and their clocks are its outside world"
)]

mod blocking;
mod disk;
mod error;
mod follower;
mod key;
mod memory;
mod metrics;
mod object;
mod staged;
mod store;
mod walk;

pub use error::{Degraded, Error};
pub use follower::{BodyPart, Follower, PartReader};
pub use key::{Key, Lifetime, MAX_NAME_BYTES, OwnFile};
pub use metrics::Metrics;
pub use object::{Body, Created, MAX_REPLACED_BYTES, Object, SMALL_BODY_BYTES, Tag};
pub use staged::{BUFFER_BYTES, Staged};
pub use store::{Config, Store};
pub use walk::{Found, MAX_FOLDER_ENTRIES, MAX_TREE_DEPTH, Walk};
