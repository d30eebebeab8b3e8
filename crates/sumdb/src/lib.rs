//! Confirms hashes against public logs or our own, and keeps both.
//!
//! In this step the room relays: a client asks a checksum database through larder, the answer is
//! fetched from where the `go` command would fetch it, its form is checked (room `tlog`), and it is
//! kept in memory ([`Sumdb::relay`], [`Sumdb::cached`]). Signatures and proofs are not checked yet:
//! the client does that, and a relay cannot forge them. Confirming what larder itself stores is a
//! seam: [`Sumdb::record`] and [`Record::confirm`] say [`Verification::NotConfigured`].
//!
//! Two things are decided elsewhere. Whether a module may be asked of a public database (private
//! names) is judged before this room is called. `supported` of a configured database is answered by
//! the caller with 200, whatever the database's state: a 404 would send clients past us.

mod bases;
mod cache;
mod error;
mod record;
mod relay;

pub use error::Error;
pub use record::{Mismatch, Record, Verification, Verified};
pub use relay::{Access, Database, MAX_DATA_TILE_BYTES, MAX_NOTE_BYTES, Sumdb};
