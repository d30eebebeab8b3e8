//! Go's `h1:` hashes, written a second time on purpose.

use std::fmt::Write as _;
use std::io::{Cursor, Read as _};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The `h1:` hash of a zip's files. Source: golang/mod dirhash.Hash1.
///
/// # Errors
///
/// When it is no zip.
pub fn h1_of_zip(zip: &[u8]) -> anyhow::Result<String> {
    let mut archive = ::zip::ZipArchive::new(Cursor::new(zip)).context("a zip")?;
    let mut files = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        files.push((file.name()?.to_string(), content));
    }
    Ok(h1(files))
}

/// The `h1:` hash of a go.mod alone.
#[must_use]
pub fn h1_of_mod(go_mod: &[u8]) -> String {
    h1(vec![("go.mod".to_owned(), go_mod.to_vec())])
}

fn h1(mut files: Vec<(String, Vec<u8>)>) -> String {
    files.sort();
    let mut summary = Sha256::new();
    for (name, content) in files {
        summary.update(format!("{}  {name}\n", hex(&Sha256::digest(content))));
    }
    format!("h1:{}", STANDARD.encode(summary.finalize()))
}

/// An `h1:` hash that is nobody's.
pub(super) fn h1_of_text(text: &str) -> String {
    format!("h1:{}", STANDARD.encode(Sha256::digest(text)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _never = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_go() {
        // go.sum lines of rsc.io/quote v1.5.2, whose go.mod is this.
        let go_mod = b"module \"rsc.io/quote\"\n\nrequire \"rsc.io/sampler\" v1.3.0\n";
        assert_eq!(h1_of_mod(go_mod), "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=");
    }

    #[test]
    fn the_order_in_the_zip_does_not_count() {
        let one = crate::zip(&[("a", b"1"), ("b", b"2")]).unwrap();
        let two = crate::zip(&[("b", b"2"), ("a", b"1")]).unwrap();
        assert_eq!(h1_of_zip(&one).unwrap(), h1_of_zip(&two).unwrap());
        assert!(h1_of_zip(b"no zip").is_err());
    }
}
