//! The rules one after the other, file by file.

use std::collections::HashSet;

use gomod::{filepath, is_printable, modfile::Language, quote};

use crate::{
    collisions::{Clash, Collisions, Place, Span},
    limits::Limits,
    select::{CreateError, FileKind, MAX_ERROR_LINES, TreeFile, vendor::VendorRule},
};

/// What has been seen of a tree, and what is wrong with it.
pub(super) struct Sieve<'a> {
    limits: Limits,
    vendor: VendorRule,
    /// Directories with a go.mod, the module's own left out; each ends in a slash.
    nested: HashSet<&'a [u8]>,
    names: Vec<u8>,
    checked: usize,
    collisions: Collisions,
    content: u64,
    /// The limit of the whole tree that was broken first.
    whole: Option<String>,
    lines: Vec<String>,
    untold: usize,
    /// Files that were told, and symlinks: Go says one thing only of a path given twice.
    told: HashSet<&'a [u8]>,
}

/// Why a file does not go in.
enum Out {
    /// That is how it should be.
    Omitted,
    /// It may not be there at all; the rule.
    Invalid(String),
}

impl<'a> Sieve<'a> {
    pub(super) fn new(
        language: Option<Language>,
        files: impl Iterator<Item = &'a TreeFile<'a>>,
        limits: Limits,
    ) -> Self {
        // Vendored ones count, whatever the rules say of them afterwards.
        let regular = files.filter(|file| file.kind == FileKind::Regular);
        let directories = regular.filter_map(|file| {
            let slash = file.path.iter().rposition(|byte| *byte == b'/')?;
            let (directory, base) = file.path.split_at_checked(slash + 1)?;
            base.eq_ignore_ascii_case(b"go.mod").then_some(directory)
        });
        Self {
            limits,
            vendor: VendorRule::of(language),
            nested: directories.collect(),
            names: Vec::new(),
            checked: 0,
            collisions: Collisions::default(),
            content: 0,
            whole: None,
            lines: Vec::new(),
            untold: 0,
            told: HashSet::new(),
        }
    }

    /// Reports whether a file goes into the zip.
    pub(super) fn keeps(&mut self, file: &TreeFile<'a>) -> bool {
        let reason = match self.judge(file) {
            Ok(()) => return true,
            Err(Out::Omitted) => {
                if file.kind == FileKind::Symlink {
                    self.told.insert(file.path);
                }
                return false;
            }
            Err(Out::Invalid(reason)) => reason,
        };
        if self.told.insert(file.path) {
            if self.lines.len() < MAX_ERROR_LINES {
                self.lines.push(format!("{}: {reason}", shown(file.path)));
            } else {
                self.untold += 1;
            }
        }
        false
    }

    /// Tells what is wrong with the tree; a limit of the whole first, and alone, as Go does.
    pub(super) fn finish(mut self) -> Result<(), CreateError> {
        if let Some(line) = self.whole {
            return Err(CreateError { lines: vec![line] });
        }
        if self.lines.is_empty() {
            return Ok(());
        }
        if self.untold > 0 {
            self.lines.pop();
            self.lines.push(format!("and {} more", self.untold + 1));
        }
        Err(CreateError { lines: self.lines })
    }

    /// Goes through the rules in Go's order, which decides what is told.
    fn judge(&mut self, file: &TreeFile<'_>) -> Result<(), Out> {
        let invalid = |reason: &str| Err(Out::Invalid(reason.to_owned()));
        let path = file.path;
        if !is_clean(path) {
            return invalid("file path is not clean");
        }
        if path.starts_with(b"/") {
            return invalid("file path is not relative");
        }
        let is_archival = path == b".hg_archival.txt";
        if self.vendor.leaves_out(path) || self.is_nested(path) || is_archival {
            return Err(Out::Omitted);
        }
        let text =
            filepath::check_bytes(path).map_err(|malformed| Out::Invalid(malformed.to_string()))?;
        if text.split('/').any(|element| element.eq_ignore_ascii_case(".git")) {
            return invalid("directory is a version control repository");
        }
        if text.eq_ignore_ascii_case("go.mod") && text != "go.mod" {
            return invalid("go.mod files must have lowercase names");
        }
        self.note(path)?;
        if file.kind != FileKind::Regular {
            return Err(Out::Omitted);
        }
        self.admit_size(text, file.size)
    }

    fn is_nested(&self, path: &[u8]) -> bool {
        if self.nested.is_empty() {
            return false;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut above = slashes.filter_map(|(at, _)| path.get(..=at));
        above.any(|directory| self.nested.contains(directory))
    }

    fn note(&mut self, path: &[u8]) -> Result<(), Out> {
        let start = u32::try_from(self.names.len());
        self.names.extend_from_slice(path);
        self.checked += 1;
        let (Ok(start), Ok(len)) = (start, u16::try_from(path.len())) else {
            return Err(self.names_too_long(path));
        };
        if self.names.len() > self.limits.names {
            return Err(self.names_too_long(path));
        }
        let span = Span { start, len };
        if self.checked > self.limits.entries {
            return Err(self.break_whole("too many files", self.limits.entries, "files"));
        }
        let names = &self.names;
        self.collisions.note(names, span, Place::File).map_err(|clash| {
            let shown = |span: Span| quote(span.of(names));
            Out::Invalid(match clash {
                Clash::Case { first, second } => format!(
                    "case-insensitive file name collision: {} and {}",
                    shown(first),
                    shown(second)
                ),
                Clash::FileAndDirectory(span) => {
                    format!("entry {} is both a file and a directory", shown(span))
                }
                Clash::Duplicate(span) => format!("multiple entries for file {}", shown(span)),
            })
        })
    }

    fn admit_size(&mut self, path: &str, size: u64) -> Result<(), Out> {
        let Limits { content, go_mod, license, .. } = self.limits;
        if let Some(sum) = self.content.checked_add(size).filter(|sum| *sum <= content) {
            self.content = sum;
        } else {
            let limit = usize::try_from(content).unwrap_or(usize::MAX);
            self.break_whole("module source tree too large", limit, "bytes");
        }
        let (name, limit) = match path {
            "go.mod" => ("go.mod", go_mod),
            "LICENSE" => ("LICENSE", license),
            _ => return Ok(()),
        };
        if size <= limit {
            return Ok(());
        }
        Err(Out::Invalid(format!("{name} file too large (max size is {limit} bytes)")))
    }

    fn names_too_long(&mut self, path: &[u8]) -> Out {
        // The verdict stands; no more names need be held.
        self.names.truncate(self.names.len().saturating_sub(path.len()));
        self.break_whole("file names too long", self.limits.names, "bytes")
    }

    /// Notes a limit of the whole tree; the file itself is not to blame.
    fn break_whole(&mut self, what: &str, limit: usize, unit: &str) -> Out {
        self.whole.get_or_insert_with(|| format!("{what} (max size is {limit} {unit})"));
        Out::Omitted
    }
}

/// Reports whether Go's `path.Clean` leaves a path as it is.
fn is_clean(path: &[u8]) -> bool {
    if matches!(path, b"/" | b".") {
        return true;
    }
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let mut climbs = relative.len() == path.len();
    relative.split(|byte| *byte == b'/').all(|element| {
        let is_up = element == b"..";
        climbs &= is_up;
        !matches!(element, b"" | b".") && (!is_up || climbs)
    })
}

/// Go prints the path as it is; what would reach a terminal or break a line is quoted.
fn shown(path: &[u8]) -> String {
    match str::from_utf8(path) {
        Ok(text) if is_printable(text) => text.to_owned(),
        _ => quote(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_paths_are_gos_clean_paths() {
        for path in ["a", "a/b", ".", "/", "/a", "..", "../a", "../../a", "...", ".a", "a\\b"] {
            assert!(is_clean(path.as_bytes()), "{path}");
        }
        for path in ["", "./a", "a/", "a//b", "a/.", "a/..", "a/../b", "/..", "//", "/a/", "../."] {
            assert!(!is_clean(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn paths_that_print_are_shown_as_they_are() {
        for path in ["a b", "é", "a:b", "\"", "'", "a\\b", "\\n"] {
            assert_eq!(shown(path.as_bytes()), path, "{path}");
        }
        assert_eq!(shown(b"a\nb"), r#""a\nb""#);
        assert_eq!(shown(b"a\xff"), r#""a\xff""#);
        assert_eq!(shown(b"\x1b[31m"), r#""\x1b[31m""#);
    }
}
