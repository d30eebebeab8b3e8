//! The module path of a go.mod, found without reading the rest.

use crate::modfile::{decode, unquote::unquote};

/// Returns the path that a go.mod declares, from its first `module` line; `None` without one.
///
/// Reads line by line and nothing else, so that files whose syntax is broken, or newer than this
/// program, still name their module. A malformed path is returned as it stands there; text that is
/// not UTF-8 comes with U+FFFD. Source: golang/mod `modfile.ModulePath`.
///
/// ```
/// use gomod::modfile::module_line;
///
/// assert_eq!(module_line(b"// x\nmodule \"a.b/c\" // y\n???").as_deref(), Some("a.b/c"));
/// assert_eq!(module_line(b"module (\n\ta.b/c\n)\n").as_deref(), Some("("));
/// ```
#[must_use]
pub fn module_line(go_mod: &[u8]) -> Option<String> {
    let path = go_mod.split(|byte| *byte == b'\n').find_map(|line| {
        let comment = line.windows(2).position(|pair| pair == b"//");
        let line = comment.and_then(|at| line.get(..at)).unwrap_or(line);
        let rest = trim(line).strip_prefix(b"module")?;
        let path = trim(rest);
        let is_apart = path.len() < rest.len();
        (is_apart && !path.is_empty()).then_some(path)
    })?;
    let path = decode(path);
    match path.strip_prefix('`') {
        Some(raw) => raw_string(raw),
        None if path.starts_with('"') => unquote(&path),
        None => Some(path.into_owned()),
    }
}

/// The inside of a raw string, without the carriage returns that Go drops there.
fn raw_string(rest: &str) -> Option<String> {
    let inside = rest.strip_suffix('`')?;
    (!inside.contains('`')).then(|| inside.replace('\r', ""))
}

/// Takes off what Unicode calls white space, as Go's `bytes.TrimSpace` does.
fn trim(line: &[u8]) -> &[u8] {
    // Only whole characters are blanks; the bytes of a broken one are not.
    let lead = line
        .utf8_chunks()
        .next()
        .map_or(0, |chunk| chunk.valid().len() - chunk.valid().trim_start().len());
    let line = line.get(lead..).unwrap_or_default();
    let tail = line.utf8_chunks().last().map_or(0, |chunk| match chunk.invalid() {
        [] => chunk.valid().len() - chunk.valid().trim_end().len(),
        _ => 0,
    });
    line.get(..line.len().saturating_sub(tail)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_module_line_counts() {
        for (text, path) in [
            ("module a.b/c", Some("a.b/c")),
            ("\n\n// module x\n\tmodule\ta.b/c \r\nmodule d\n", Some("a.b/c")),
            ("module a.b/c//d", Some("a.b/c")),
            ("module a.b/c d", Some("a.b/c d")),
            ("module \"a.b/\\x63\"", Some("a.b/c")),
            ("module `a.b/c`", Some("a.b/c")),
            ("module (\n\ta.b/c\n)", Some("(")),
            ("module \"a.b/c", None),
            ("module `a`b`", None),
            ("module \"", None),
            ("module", None),
            ("modulea.b/c", None),
            ("module\"a.b/c\"", None),
            ("module // x\nmodule y", Some("y")),
            ("xmodule a", None),
            ("go 1.24\nrequire module v1", None),
            ("", None),
            ("module\u{a0}a", Some("a")),
            ("\u{feff}module a", None),
        ] {
            assert_eq!(module_line(text.as_bytes()).as_deref(), path, "{text:?}");
        }
        assert_eq!(module_line(b"module a\xff").as_deref(), Some("a\u{fffd}"));
    }
}
