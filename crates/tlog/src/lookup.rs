//! Answers to look-ups: a record and the head of a tree that holds it.

use gomod::ModVer;

use crate::note::plain_text;
use crate::{Error, MAX_MESSAGE_BYTES, Note, Record, TreeHead, decimal};

/// Holds the answer to a look-up of one module version; nothing in it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The number of the record in the log, below the size of the tree.
    pub id: u64,
    /// The record.
    pub record: Record,
    /// The signed note with the tree head, as it came; its form was checked, its signature not.
    pub message: String,
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
        Ok(Self { id, record: Record::parse(module, record)?, message: message.to_owned() })
    }
}

/// Splits an answer into id, record with its last line feed, and signed note.
fn split(body: &[u8]) -> Option<(u64, &str, &str)> {
    if body.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    let (id, rest) = plain_text(body)?.split_once('\n')?;
    // The first empty line ends the record: it has none itself.
    let end = rest.find("\n\n")?;
    let (record, message) = rest.split_at_checked(end + 1)?;
    let message = message.strip_prefix('\n')?;
    (!record.starts_with('\n')).then_some((decimal(id)?, record, message))
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
    fn an_answer_has_id_record_and_note() {
        let lookup = lookup(&record()).unwrap();
        assert_eq!(lookup.id, 2);
        assert_eq!(lookup.record.text(), record());
        assert_eq!((lookup.record.zip_h1(), lookup.record.mod_h1()), (ZIP, MOD));
        assert_eq!(lookup.message, NOTE);
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
    fn a_record_of_another_module_is_refused() {
        let error = lookup(&record().replace("a.b/C", "a.b/c")).unwrap_err();
        assert_eq!(error, Error::WrongModule { module: module("a.b/C", "v1.0.0") });
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
        let (head, signature) = NOTE.split_once("\n\n").unwrap();
        let start = format!("2\n{}\n{head}\n", record());
        let frame = format!("{start}\n\n{signature}").len();
        let body = |bytes: usize| format!("{start}{}\n\n{signature}", "x".repeat(bytes - frame));
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
