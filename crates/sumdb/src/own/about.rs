//! What the log says of itself: `about`.

use bytes::Bytes;
use serde::Serialize;

use super::OwnLog;

/// The number of the record grammar: two lines, as Go writes them.
const GRAMMAR: u8 = 1;
/// Tiles are eight levels high. Source: reference sumdb.md §1.6.
const HEIGHT: u8 = 8;

#[derive(Serialize)]
struct About<'a> {
    name: &'a str,
    /// Verifier keys: what clients may set GOSUMDB to.
    vkeys: Vec<String>,
    /// The first line of checkpoints.
    origin: &'a str,
    options: Options,
    /// Who cosigns; nobody yet.
    witnesses: [String; 0],
}

/// What was fixed when the log was made, for ever.
#[derive(Serialize)]
struct Options {
    height: u8,
    blinding: &'static str,
    grammar: u8,
}

impl OwnLog {
    /// Returns identity and options as JSON: what a monitor, or a new client, sets out from.
    ///
    /// Source: reference sumdb.md §8.1.
    #[must_use]
    pub fn about(&self) -> Bytes {
        let name = self.name().as_str();
        let about = About {
            name,
            vkeys: self.verifiers().iter().map(ToString::to_string).collect(),
            origin: name,
            options: Options { height: HEIGHT, blinding: "none", grammar: GRAMMAR },
            witnesses: [],
        };
        // Text and numbers only: this cannot fail.
        serde_json::to_vec(&about).unwrap_or_default().into()
    }
}
