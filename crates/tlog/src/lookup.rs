//! Answers to look-ups: a record and the head of a tree that holds it.

use gomod::ModVer;

use crate::note::plain_text;
use crate::{Error, MAX_MESSAGE_BYTES, Note, TreeHead, decimal};

/// Holds the answer to a look-up of one module version; nothing in it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The number of the record in the log, below the size of the tree.
    pub id: u64,
    /// The hash of the zip: `h1:` and 44 characters.
    pub zip_h1: String,
    /// The hash of the go.mod file: `h1:` and 44 characters.
    pub mod_h1: String,
    /// The signed tree head, parsed.
    pub head: TreeHead,
    /// The note whose text is the head.
    pub note: Note,
}

impl Lookup {
    /// Parses the answer to a look-up of `module`.
    ///
    /// The record must hold a zip hash and a go.mod hash of exactly that module, one each; other
    /// lines and hashes of other kinds are ignored. Source: golang/mod `tlog.ParseRecord`,
    /// `sumdb.Client.Lookup`.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] for text of another form and past [`MAX_MESSAGE_BYTES`], [`Error::Note`]
    /// and [`Error::Head`] for what stands below the record, [`Error::NotCovered`] when the tree is
    /// too small, [`Error::WrongModule`] when the hashes are missing or contradict each other.
    pub fn parse(module: &ModVer, body: &[u8]) -> Result<Self, Error> {
        let (id, record, message) = split(body).ok_or(Error::Record)?;
        let note = Note::parse(message.as_bytes())?;
        let head = TreeHead::parse(&note.text)?;
        if id >= head.size {
            return Err(Error::NotCovered { id, size: head.size });
        }
        let wrong = || Error::WrongModule { module: module.clone() };
        let zip_h1 = hash(record, &format!("{} {} ", module.path(), module.version()));
        let mod_h1 = hash(record, &format!("{} {}/go.mod ", module.path(), module.version()));
        Ok(Self {
            id,
            zip_h1: zip_h1.ok_or_else(wrong)?.to_owned(),
            mod_h1: mod_h1.ok_or_else(wrong)?.to_owned(),
            head,
            note,
        })
    }
}

/// Splits an answer into id, record without its last line feed, and signed note.
fn split(body: &[u8]) -> Option<(u64, &str, &str)> {
    if body.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    let (id, rest) = plain_text(body)?.split_once('\n')?;
    // The first empty line ends the record: it has none itself.
    let (record, message) = rest.split_once("\n\n")?;
    if record.is_empty() || record.starts_with('\n') {
        return None;
    }
    Some((decimal(id)?, record, message))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZIP: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const MOD: &str = "h1:WR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=";
    const NOTE: &str = "go.sum database tree\n3\nbBskskILWVt/WMg8Q72lPF8yrRylbr1hck5Ezea+CiI=\n\n\u{2014} a.example AAAAAAA=\n";

    fn module(path: &str, version: &str) -> ModVer {
        ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap()
    }

    fn lookup(record: &str) -> Result<Lookup, Error> {
        let body = format!("2\n{record}\n{NOTE}");
        Lookup::parse(&module("a.b/C", "v1.0.0"), body.as_bytes())
    }

    fn record() -> String {
        format!("a.b/C v1.0.0 {ZIP}\na.b/C v1.0.0/go.mod {MOD}\n")
    }

    #[test]
    fn a_record_has_both_hashes() {
        let lookup = lookup(&record()).unwrap();
        assert_eq!((lookup.id, lookup.head.size), (2, 3));
        assert_eq!((lookup.zip_h1.as_str(), lookup.mod_h1.as_str()), (ZIP, MOD));
        assert_eq!(lookup.note.signatures.len(), 1);
    }

    #[test]
    fn records_of_toolchains_are_records() {
        let version = "v0.0.1-go1.21.0.linux-amd64";
        let toolchain = module("golang.org/toolchain", version);
        let body = format!(
            "0\ngolang.org/toolchain {version} {ZIP}\ngolang.org/toolchain {version}/go.mod {MOD}\n\n{NOTE}"
        );
        assert!(Lookup::parse(&toolchain, body.as_bytes()).is_ok());
    }

    #[test]
    fn other_lines_are_ignored() {
        let extra = format!("blind 0123\n{}a.b/C v1.0.0 h2:x\nz.z v1.0.0 {MOD}\n", record());
        assert!(lookup(&extra).is_ok());
        assert!(lookup(&format!("{}{}", record(), record())).is_ok());
    }

    #[test]
    fn a_record_of_another_module_is_refused() {
        for record in [
            record().replace("a.b/C", "a.b/c"),
            record().replace("v1.0.0", "v1.0.1"),
            record().replace("a.b/C", "x/a.b/C"),
            format!("a.b/C v1.0.0 {ZIP}\n"),
            format!("a.b/C v1.0.0/go.mod {MOD}\n"),
            format!("{}a.b/C v1.0.0 {MOD}\n", record()),
            record().replace("h1:47", "h2:47"),
            record().replace("FU=", "F="),
            record().replace("FU=", "FU= "),
            record().replace("v1.0.0 ", "v1.0.0  "),
        ] {
            let error = lookup(&record).unwrap_err();
            assert_eq!(error, Error::WrongModule { module: module("a.b/C", "v1.0.0") }, "{record}");
        }
    }

    #[test]
    fn hashes_outside_the_record_do_not_count() {
        let body = format!("2\nx\n\n{}", NOTE.replace("\n\n", &format!("\n{}\n", record())));
        let error = Lookup::parse(&module("a.b/C", "v1.0.0"), body.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::WrongModule { .. }));
    }

    #[test]
    fn the_tree_must_cover_the_record() {
        let body = |id: &str| format!("{id}\n{}\n{NOTE}", record());
        let parse = |id| Lookup::parse(&module("a.b/C", "v1.0.0"), body(id).as_bytes());
        assert!(parse("2").is_ok());
        assert_eq!(parse("3"), Err(Error::NotCovered { id: 3, size: 3 }));
        for id in ["", "02", "+2", "-1", " 2", "9223372036854775808"] {
            assert_eq!(parse(id), Err(Error::Record), "{id}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let module = module("a.b/C", "v1.0.0");
        let full = format!("2\n{}\n{NOTE}", record());
        for (body, error) in [
            (String::new(), Error::Record),
            ("2\n".to_owned(), Error::Record),
            (format!("2\n\n{}\n{NOTE}", record()), Error::Record),
            (format!("2\n\n\n{NOTE}"), Error::Record),
            (format!("2\n{}", record()), Error::Record),
            (full.replace("a.b/C", "a.b/C\r"), Error::Record),
            (format!("2\n{}\n", record()), Error::Note),
            (full.replace("database", "data"), Error::Head),
            (full.replace(" AAAA", "AAAA"), Error::Note),
        ] {
            assert_eq!(Lookup::parse(&module, body.as_bytes()), Err(error), "{body}");
        }
        assert_eq!(Lookup::parse(&module, b"2\na\xff\n\n"), Err(Error::Record));
    }

    #[test]
    fn size_is_bounded() {
        let module = module("a.b/C", "v1.0.0");
        let frame = format!("2\n\n{}\n{NOTE}", record()).len();
        let body = |bytes: usize| format!("2\n{}\n{}\n{NOTE}", "x".repeat(bytes - frame), record());
        assert!(Lookup::parse(&module, body(MAX_MESSAGE_BYTES).as_bytes()).is_ok());
        let past = Lookup::parse(&module, body(MAX_MESSAGE_BYTES + 1).as_bytes());
        assert_eq!(past, Err(Error::Record));
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes: Vec<u8>, text in "(2|\n|a\\.b/C|v1\\.0\\.0|/go\\.mod| |h1:|\u{2014} )*") {
            let module = module("a.b/C", "v1.0.0");
            let _ = Lookup::parse(&module, &bytes);
            let _ = Lookup::parse(&module, text.as_bytes());
        }
    }
}
