//! Records: what a checksum database says of one version.

use gomod::{ModVer, ModulePath, Version};

use crate::Error;
use crate::hash::{HASH_BYTES, record_hash};
use crate::note::is_plain;
use crate::tile::FULL_WIDTH;

/// Greatest size of the text of a record.
///
/// Source: C2SP tlog-tiles, whose entries carry their length in 16 bits. Real ones stay below 1 KiB.
pub const MAX_RECORD_BYTES: usize = 65_535;

/// Holds the text of a record that names exactly one module version.
///
/// The text alone authenticates nothing: [`Reading::prove`](crate::Reading::prove) does.
///
/// ```
/// let module = gomod::ModVer::new("a.b/c".parse()?, "v1.0.0".parse()?)?;
/// let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
/// let record = tlog::Record::new(&module, h1, h1)?;
/// assert_eq!(record.text(), format!("a.b/c v1.0.0 {h1}\na.b/c v1.0.0/go.mod {h1}\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    module: ModVer,
    text: String,
    zip_h1: String,
    mod_h1: String,
}

impl Record {
    /// Reads the text of the record of `module`.
    ///
    /// It must hold a zip hash and a go.mod hash of exactly that module, one each; other lines and
    /// hashes of other kinds are ignored. Source: golang/mod `tlog.ParseRecord`,
    /// `sumdb.Client.Lookup`, which until Go 1.26.3 took a record without the wanted line for "no
    /// objection" (CVE-2026-42501).
    ///
    /// # Errors
    ///
    /// [`Error::Record`] for text with control characters, empty lines or an open end, and past
    /// [`MAX_RECORD_BYTES`]; [`Error::WrongModule`] when the hashes are missing or contradict each
    /// other.
    pub fn parse(module: &ModVer, text: &str) -> Result<Self, Error> {
        if !is_text(text) {
            return Err(Error::Record);
        }
        let zip_h1 = hash(text, &format!("{} {} ", module.path(), module.version()));
        let mod_h1 = hash(text, &format!("{} {}/go.mod ", module.path(), module.version()));
        let (Some(zip_h1), Some(mod_h1)) = (zip_h1, mod_h1) else {
            return Err(Error::WrongModule { module: module.clone() });
        };
        Ok(Self {
            module: module.clone(),
            text: text.to_owned(),
            zip_h1: zip_h1.to_owned(),
            mod_h1: mod_h1.to_owned(),
        })
    }

    /// Reads the text of a record, of the version that its first line names: that of the zip.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when the line names no version; those of [`parse`](Self::parse).
    pub fn read(text: &str) -> Result<Self, Error> {
        Self::parse(&module_of(text).ok_or(Error::Record)?, text)
    }

    /// Writes the record of `module`: the two lines.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a hash is not `h1:` and 32 bytes in base64.
    pub fn new(module: &ModVer, zip_h1: &str, mod_h1: &str) -> Result<Self, Error> {
        if !is_h1(zip_h1) || !is_h1(mod_h1) {
            return Err(Error::Record);
        }
        let (path, version) = (module.path(), module.version());
        let text = format!("{path} {version} {zip_h1}\n{path} {version}/go.mod {mod_h1}\n");
        Self::parse(module, &text)
    }

    /// Returns the module version that the record is about.
    #[must_use]
    pub fn module(&self) -> &ModVer {
        &self.module
    }

    /// Returns the text, its last line feed included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the hash of the zip: `h1:` and 44 characters.
    #[must_use]
    pub fn zip_h1(&self) -> &str {
        &self.zip_h1
    }

    /// Returns the hash of the go.mod file: `h1:` and 44 characters.
    #[must_use]
    pub fn mod_h1(&self) -> &str {
        &self.mod_h1
    }

    /// Returns the hash that the record has as a leaf of the tree.
    #[must_use]
    pub fn hash(&self) -> [u8; HASH_BYTES] {
        record_hash(self.text.as_bytes())
    }
}

/// Splits a data tile into the texts of its records, each with its last line feed.
///
/// An empty line ends each record, also the last one. Source: golang/mod `tlog.FormatRecord`.
///
/// # Errors
///
/// [`Error::Record`] when the tile does not hold exactly `width` records, of 1 to 256, or one of
/// them is no record text (control characters, past [`MAX_RECORD_BYTES`]).
pub fn split_data_tile(body: &[u8], width: u16) -> Result<Vec<&str>, Error> {
    split(body, width).ok_or(Error::Record)
}

fn split(body: &[u8], width: u16) -> Option<Vec<&str>> {
    if width == 0 || width > FULL_WIDTH || body.len() > max_data_tile_bytes(width) {
        return None;
    }
    let mut rest = std::str::from_utf8(body).ok()?;
    let mut records = Vec::with_capacity(usize::from(width));
    for _record in 0..width {
        let (record, after) = rest.split_at_checked(rest.find("\n\n")? + 1)?;
        records.push(Some(record).filter(|record| is_text(record))?);
        rest = after.strip_prefix('\n')?;
    }
    rest.is_empty().then_some(records)
}

fn max_data_tile_bytes(width: u16) -> usize {
    usize::from(width) * (MAX_RECORD_BYTES + 1)
}

/// Whether text can be a record's. Source: golang/mod `tlog.FormatRecord`.
fn is_text(text: &str) -> bool {
    text.len() <= MAX_RECORD_BYTES
        && text.ends_with('\n')
        && !text.starts_with('\n')
        && !text.contains("\n\n")
        && is_plain(text)
}

/// Returns the one `h1:` hash on lines that begin with `prefix`.
fn hash<'a>(record: &'a str, prefix: &str) -> Option<&'a str> {
    let mut hashes = record.split('\n').filter_map(|line| line.strip_prefix(prefix));
    let mut hashes = hashes.by_ref().filter(|hash| hash.starts_with("h1:"));
    let hash = hashes.next().filter(|hash| is_h1(hash))?;
    // A second, different hash would leave open which one counts.
    hashes.all(|other| other == hash).then_some(hash)
}

/// Thirty-two bytes are 43 digits of base64 and one `=`.
fn is_h1(hash: &str) -> bool {
    let digits = hash.strip_prefix("h1:").and_then(|base64| base64.strip_suffix('='));
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    digits.is_some_and(|digits| digits.len() == 43 && digits.bytes().all(is_digit))
}

/// The module that the first line of a record names: the line of its zip.
pub(crate) fn module_of(record: &str) -> Option<ModVer> {
    let mut fields = record.split('\n').next()?.split(' ');
    let path = ModulePath::parse(fields.next()?).ok()?;
    let version = Version::parse(fields.next()?).ok()?;
    ModVer::new(path, version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZIP: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const MOD: &str = "h1:WR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=";

    fn module(path: &str, version: &str) -> ModVer {
        ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap()
    }

    fn text() -> String {
        format!("a.b/C v1.0.0 {ZIP}\na.b/C v1.0.0/go.mod {MOD}\n")
    }

    fn parse(text: &str) -> Result<Record, Error> {
        Record::parse(&module("a.b/C", "v1.0.0"), text)
    }

    #[test]
    fn what_is_written_is_read() {
        let record = parse(&text()).unwrap();
        assert_eq!((record.zip_h1(), record.mod_h1()), (ZIP, MOD));
        assert_eq!(record.text(), text());
        assert_eq!(record.hash(), record_hash(text().as_bytes()));
        assert_eq!(Record::new(record.module(), ZIP, MOD), Ok(record));
    }

    #[test]
    fn only_whole_hashes_are_written() {
        let module = module("a.b/C", "v1.0.0");
        for bad in ["", "h1:", "h2:47", &ZIP[1..], &ZIP.replace('=', ""), &format!("{ZIP}\n")] {
            assert_eq!(Record::new(&module, bad, MOD), Err(Error::Record), "{bad}");
            assert_eq!(Record::new(&module, ZIP, bad), Err(Error::Record), "{bad}");
        }
    }

    #[test]
    fn other_lines_are_ignored() {
        let extra = format!("blind 0123\n{}a.b/C v1.0.0 h2:x\nz.z v1.0.0 {MOD}\n", text());
        assert!(parse(&extra).is_ok());
        assert!(parse(&format!("{}{}", text(), text())).is_ok());
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            String::new(),
            "\n".to_owned(),
            format!("\n{}", text()),
            format!("{}\n", text()),
            text().replace('\n', "\n\n"),
            text().trim_end().to_owned(),
            text().replace('\n', "\r\n"),
            format!("\0\n{}", text()),
        ] {
            assert_eq!(parse(&bad), Err(Error::Record), "{bad:?}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let long = |bytes: usize| format!("{}\n{}", "x".repeat(bytes - text().len() - 1), text());
        assert!(parse(&long(MAX_RECORD_BYTES)).is_ok());
        assert_eq!(parse(&long(MAX_RECORD_BYTES + 1)), Err(Error::Record));
    }

    #[test]
    fn a_record_of_another_module_is_refused() {
        for record in [
            text().replace("a.b/C", "a.b/c"),
            text().replace("v1.0.0", "v1.0.1"),
            text().replace("a.b/C", "x/a.b/C"),
            format!("a.b/C v1.0.0 {ZIP}\n"),
            format!("a.b/C v1.0.0/go.mod {MOD}\n"),
            format!("{}a.b/C v1.0.0 {MOD}\n", text()),
            text().replace("h1:47", "h2:47"),
            text().replace("FU=", "F="),
            text().replace("FU=", "FU= "),
            text().replace("v1.0.0 ", "v1.0.0  "),
        ] {
            let error = parse(&record).unwrap_err();
            assert_eq!(error, Error::WrongModule { module: module("a.b/C", "v1.0.0") }, "{record}");
        }
    }

    #[test]
    fn a_data_tile_holds_as_many_records_as_it_is_wide() {
        let body = format!("{}\nx\n\n", text());
        assert_eq!(split_data_tile(body.as_bytes(), 2), Ok(vec![text().as_str(), "x\n"]));
        for width in [0, 1, 3, 257] {
            assert_eq!(split_data_tile(body.as_bytes(), width), Err(Error::Record), "{width}");
        }
        for bad in ["", "\n", "\n\n", "x\n", "x\n\n\n", "\nx\n\n", "x\n\ny\n", "x\r\n\n", "x\0\n\n"]
        {
            assert_eq!(split_data_tile(bad.as_bytes(), 1), Err(Error::Record), "{bad:?}");
        }
        assert_eq!(split_data_tile(b"x\xff\n\n", 1), Err(Error::Record));
        assert_eq!(split_data_tile("x\n\n".repeat(256).as_bytes(), 256).unwrap().len(), 256);
        assert_eq!(split_data_tile("x\n\n".repeat(257).as_bytes(), 257), Err(Error::Record));
    }

    #[test]
    fn records_in_a_data_tile_are_bounded() {
        let body = |bytes: usize| format!("{}\n\n", "x".repeat(bytes - 1));
        assert!(split_data_tile(body(MAX_RECORD_BYTES).as_bytes(), 1).is_ok());
        let past = body(MAX_RECORD_BYTES + 1);
        assert_eq!(split_data_tile(past.as_bytes(), 1), Err(Error::Record));
        let past = format!("y\n\n{}", body(MAX_RECORD_BYTES + 1));
        assert_eq!(split_data_tile(past.as_bytes(), 2), Err(Error::Record));
    }

    proptest! {
        #[test]
        fn no_text_panics(bytes: Vec<u8>, width: u16, text in "(x|\n|a\\.b/C|v1\\.0\\.0|/go\\.mod| |h1:)*") {
            let _ = parse(&text);
            let _ = split_data_tile(&bytes, width);
            let _ = split_data_tile(text.as_bytes(), width % 4);
        }
    }
}
