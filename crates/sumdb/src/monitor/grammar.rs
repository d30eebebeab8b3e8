//! How records are written, and how data tiles hold them.

use base64::{Engine, engine::general_purpose::STANDARD};
use gomod::{ModVer, ModulePath, Version};
use tlog::Record;

/// How much of a bad record is shown.
const SHOWN_BYTES: usize = 120;

/// What a record says, as far as it can be read.
#[derive(Debug)]
pub(super) struct Entry {
    /// The version that the first line names.
    pub(super) module: Option<ModVer>,
    /// The record, or why it is none.
    pub(super) record: Result<Record, &'static str>,
}

/// Reads the text of a record, strictly.
///
/// The line of the zip, the line of the go.mod, and at most a line that blinds the leaf. The `go`
/// command takes more; no log has ever written more. Source: sumdb.md §1.4, §8.7.
pub(super) fn read(text: &[u8]) -> Entry {
    let Ok(text) = std::str::from_utf8(text) else {
        return Entry { module: None, record: Err("it is not UTF-8") };
    };
    let Some(module) = module(text) else {
        return Entry { module: None, record: Err("its first line names no module version") };
    };
    let record = record(&module, text);
    Entry { module: Some(module), record }
}

fn module(text: &str) -> Option<ModVer> {
    let mut fields = text.split('\n').next()?.split(' ');
    let path = ModulePath::parse(fields.next()?).ok()?;
    let version = Version::parse(fields.next()?).ok()?;
    ModVer::new(path, version).ok()
}

fn record(module: &ModVer, text: &str) -> Result<Record, &'static str> {
    let Ok(record) = Record::parse(module, text) else {
        return Err("it has not one zip hash and one go.mod hash of the module that it names");
    };
    let plain = Record::new(module, record.zip_h1(), record.mod_h1());
    let rest = plain.as_ref().ok().and_then(|plain| text.strip_prefix(plain.text()));
    match rest {
        Some("") => Ok(record),
        Some(rest) if is_blind(rest) => Ok(record),
        Some(_) => Err("it has more lines than it should"),
        None => Err("its lines are not the two that it should have, in their order"),
    }
}

/// `blind ` and 128 random bits: reserved for logs that hide which modules they hold.
fn is_blind(line: &str) -> bool {
    let value = line.strip_prefix("blind ").and_then(|rest| rest.strip_suffix('\n'));
    let bytes = value.filter(|value| value.len() == 24).map(|value| STANDARD.decode(value));
    bytes.is_some_and(|bytes| bytes.is_ok_and(|bytes| bytes.len() == 16))
}

/// The beginning of a text, as it may be shown.
pub(super) fn shown(text: &[u8]) -> String {
    let start = text.get(..SHOWN_BYTES).unwrap_or(text);
    format!("{:?}", String::from_utf8_lossy(start))
}

/// Splits a data tile at its empty lines, whatever stands between them: at most `most` parts and
/// one more. A part without its end is one, too.
pub(super) fn split(body: &[u8], most: u16) -> Vec<&[u8]> {
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() && records.len() <= usize::from(most) {
        let end = rest.windows(2).position(|two| two == b"\n\n").map(|at| at + 1);
        let (record, after) = rest.split_at(end.unwrap_or(rest.len()));
        records.push(record);
        rest = after.strip_prefix(b"\n").unwrap_or(after);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    const H1: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn good() -> String {
        format!("a.b/C v1.0.0 {H1}\na.b/C v1.0.0/go.mod {H1}\n")
    }

    #[test]
    fn the_two_lines_are_a_record_with_or_without_a_blinding_one() {
        for text in [good(), format!("{}blind AAECAwQFBgcICQoLDA0ODw==\n", good())] {
            let entry = read(text.as_bytes());
            assert_eq!(entry.record.unwrap().text(), text);
        }
        let toolchain =
            good().replace("a.b/C v1.0.0", "golang.org/toolchain v0.0.1-go1.21.0.linux-amd64");
        assert!(read(toolchain.as_bytes()).record.is_ok());
    }

    #[test]
    fn other_texts_are_no_records_but_their_name_is_known_if_it_can_be() {
        let lines: Vec<_> = good().lines().map(str::to_owned).collect();
        for (bad, named) in [
            (String::new(), false),
            ("no record\n".to_owned(), false),
            (good().replace("a.b/C", "nodot"), false),
            (good().replace("v1.0.0", "v1.0"), false),
            (good().replace("v1.0.0", "v2.0.0"), false),
            (format!("{}\n{}\n", lines[1], lines[0]), false),
            (format!("{}\n", lines[0]), true),
            (format!("{}extra\n", good()), true),
            (format!("{}{}", good(), good()), true),
            (format!("{}blind AAECAwQFBgcICQoLDA0O\n", good()), true),
            (
                format!(
                    "{}blind AAECAwQFBgcICQoLDA0ODw==\nblind AAECAwQFBgcICQoLDA0ODw==\n",
                    good()
                ),
                true,
            ),
            (format!("{}\nx\n{}\n", lines[0], lines[1]), true),
            (good().replace("FU=", "F="), true),
            (good().trim_end().to_owned(), true),
        ] {
            let entry = read(bad.as_bytes());
            assert!(entry.record.is_err(), "{bad:?}");
            assert_eq!(entry.module.is_some(), named, "{bad:?}");
        }
        assert!(read(b"\xff\n").record.is_err());
    }

    #[test]
    fn tiles_are_split_at_empty_lines() {
        let body = format!("{}\n{}\n", good(), good());
        assert_eq!(split(body.as_bytes(), 2), [good().as_bytes(), good().as_bytes()]);
        assert_eq!(split(b"a\n\nb", 2), [&b"a\n"[..], b"b"]);
        assert_eq!(split(b"", 2), Vec::<&[u8]>::new());
        assert_eq!(split(b"a\n\nb\n\nc\n\nd\n\n", 2).len(), 3, "one more than should be");
        assert_eq!(split(b"\n\n\n\n", 5).len(), 2);
    }

    #[test]
    fn what_is_shown_is_short_and_escaped() {
        assert_eq!(shown(b"a\n\x1b"), r#""a\n\u{1b}""#);
        assert_eq!(shown(&[b'x'; 5000]).len(), SHOWN_BYTES + 2);
    }

    #[test]
    fn no_text_panics_and_splitting_loses_nothing_but_ends() {
        const PARTS: [&str; 8] = ["a", "\n", "\n\n", "é", "v1.0.0", "a.b/C", " ", "h1:"];
        let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..12 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                text.push_str(PARTS[usize::try_from(dice % 8).unwrap()]);
            }
            let _ = read(text.as_bytes());
            let letters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != b'\n').count();
            let parts = split(text.as_bytes(), 300);
            let of_parts: usize = parts.iter().map(|part| letters(part)).sum();
            assert_eq!(of_parts, letters(text.as_bytes()), "{text:?}");
        }
    }
}
