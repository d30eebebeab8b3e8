//! Version control, natively: refs, commits, trees, files; knows no modules.
//!
//! [`Git::repository`] gives a handle to a repository at a remote. Behind it stands one bare mirror
//! on disk: the `git` program speaks to the network and writes the mirror; everything is read
//! natively from its packs, and ancestry from a commit graph in memory.
//!
//! | file | holds |
//! |---|---|
//! | `repository.rs` | what can be asked of a repository |
//! | `fetch.rs` | asking a remote, catching up with it, fetching blobs: once for all who wait |
//! | `mirror.rs` | the folder: its lock, its refs in one file, its removal |
//! | `graph.rs`, `objects.rs`, `tree.rs` | commits, objects and trees, read natively |
//! | `snapshot.rs`, `attributes.rs`, `convert.rs`, `encode.rs` | files as `git archive` gives them |
//! | `command.rs`, `run.rs` | what git is told, and what it may use |
//! | `transport.rs`, `door.rs`, `address.rs`, `credential.rs` | whom git may meet, and what it shows |
//! | `ahead.rs` | which files will be wanted next |
//! | `whole.rs` | when a mirror of commits and trees becomes one of everything |
//! | `housekeeping.rs`, `leftovers.rs`, `space.rs` | the disk quota, packs, leftovers, free space |
//!
//! The folder of mirrors:
//!
//! | name | holds |
//! |---|---|
//! | `<hash>/` | a mirror |
//! | `<hash>.lock` | held by `flock` while it is changed |
//! | `<hash>.trash-*`, `<hash>.new-*`, `tmp-*` | being removed or made, or left by a crash |
//! | `lock` | held by all who have the folder open; who is alone removes what crashes left |
//! | `home/` | empty: git's home |
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the port for version control: programs, mirrors on disk and the way to remotes are its outside world"
)]

mod address;
mod ahead;
mod attributes;
mod blocking;
mod capability;
mod command;
mod config;
mod convert;
mod credential;
mod door;
mod encode;
mod error;
mod failure;
mod fetch;
mod flight;
mod git;
mod graph;
mod housekeeping;
mod leftovers;
mod metrics;
mod mirror;
mod objects;
mod refs;
mod remote;
mod repository;
mod resolve;
mod run;
mod snapshot;
mod space;
mod state;
mod transport;
mod tree;
mod whole;

use std::time::Duration;

pub use blocking::blocking;
pub use config::{Config, Egress, ExtraProtocol, Place, Rewrite, RewriteError};
pub use credential::authorization;
pub use error::{Error, MAX_REASON_BYTES};
pub use git::Git;
pub use metrics::{Action, Failure, Metrics};
pub use refs::{ObjectId, Refs, TagRef};
pub use remote::{Credential, MAX_URL_BYTES, Protocols, Remote, RemoteUrl};
pub use repository::{Commit, MAX_REVISION_BYTES, Repository};
pub use snapshot::{Entry, EntryKind, File, MAX_CONVERTED_BYTES, Snapshot};

/// How old an answer about refs may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Asked of the remote for this call, or for others who were asking just then.
    Now,
    /// Not older than this.
    Within(Duration),
    /// What is known, in memory or in the mirror; the remote only if nothing is.
    Known,
}
