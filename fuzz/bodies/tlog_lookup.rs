//! Look-up answers: what parses names the module, and its parts are those of the answer.

use gomod::{ModVer, ModulePath, Version};
use tlog::{Lookup, Note, TreeHead};

/// Tries one answer.
pub(crate) fn run(data: &[u8]) {
    let path = ModulePath::parse("a.b/C").ok();
    let Some((path, version)) = path.zip(Version::parse("v1.0.0").ok()) else { return };
    let Ok(module) = ModVer::new(path, version) else { return };
    let Ok(lookup) = Lookup::parse(&module, data) else { return };
    let note = Note::parse(lookup.message.as_bytes());
    let head = note.and_then(|note| TreeHead::parse(&note.text));
    assert!(head.is_ok_and(|head| lookup.id < head.size));
    let whole = format!("{}\n{}\n{}", lookup.id, lookup.record.text(), lookup.message);
    assert_eq!(whole.as_bytes(), data);
    for line in [
        format!("a.b/C v1.0.0 {}\n", lookup.record.zip_h1()),
        format!("a.b/C v1.0.0/go.mod {}\n", lookup.record.mod_h1()),
    ] {
        assert!(lookup.record.text().contains(&line));
    }
}
