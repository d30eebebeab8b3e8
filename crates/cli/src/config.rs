//! Configuration: raw text in, one checked [`Resolved`] out.
//!
//! Two steps. [`layers`] turn file, environment and flags into checked values, each with its
//! source, by the registry in [`keys`]; [`resolved`] fills the typed [`settings`] from them, adds
//! what Go's own settings say, and cross-checks. Flags win over variables, these over the file,
//! that over Go's settings, and these over defaults. Nothing outside this module reads files or
//! the environment.

pub mod database;
pub mod direct;
pub mod docs;
pub mod gosettings;
pub mod keys;
pub mod kind;
pub mod layers;
pub mod netrc;
pub mod own;
pub mod problem;
pub mod resolved;
pub mod settings;
pub mod show;
pub mod source;
pub mod upstreams;
pub mod world;

mod checks;

pub use database::Database;
pub use layers::Flags;
pub use problem::{Problem, Problems};
pub use resolved::{Resolved, load};
pub use settings::Settings;
pub use source::Source;
pub use upstreams::Upstream;
pub use world::World;

use std::{io, path::Path};

use secrecy::SecretString;
use settings::TlsFiles;

/// Certificate chain and private key, as they stand in their files.
#[derive(Debug)]
pub struct TlsPem {
    /// The chain, leaf first.
    pub cert: Vec<u8>,
    /// The key.
    pub key: SecretString,
}

/// Reads the two files of TLS; at start and again on SIGHUP.
///
/// # Errors
/// A file that is missing or cannot be read.
pub fn read_tls(files: &TlsFiles) -> io::Result<TlsPem> {
    let cert = required(&files.cert_file)?.into_bytes();
    Ok(TlsPem { cert, key: SecretString::from(required(&files.key_file)?) })
}

/// Reads a file that somebody named: a go.sum, a CA file.
///
/// # Errors
/// It is missing, cannot be read, or is larger than [`world::MAX_FILE_BYTES`].
pub fn required(path: &Path) -> io::Result<String> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
    };
    let text = world::read(path).map_err(named)?;
    text.ok_or_else(|| named(io::Error::from(io::ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests;
