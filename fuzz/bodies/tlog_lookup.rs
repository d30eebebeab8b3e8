//! Look-up answers: what parses names the module, and the tree covers the record.

use gomod::{ModVer, ModulePath, Version};
use tlog::Lookup;

/// Tries one answer.
pub(crate) fn run(data: &[u8]) {
    let path = ModulePath::parse("a.b/C").ok();
    let Some((path, version)) = path.zip(Version::parse("v1.0.0").ok()) else { return };
    let Ok(module) = ModVer::new(path, version) else { return };
    let Ok(lookup) = Lookup::parse(&module, data) else { return };
    assert!(lookup.id < lookup.head.size);
    for line in [
        format!("a.b/C v1.0.0 {}\n", lookup.zip_h1),
        format!("a.b/C v1.0.0/go.mod {}\n", lookup.mod_h1),
    ] {
        assert!(data.windows(line.len()).any(|window| window == line.as_bytes()));
    }
}
