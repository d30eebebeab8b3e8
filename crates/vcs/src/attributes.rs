//! Which conversion a path's attributes ask for.
//!
//! `.gitattributes` files of the whole commit count, from the root down to the path's folder;
//! macros only from the root. Source: gitattributes(5), git's attr.c and convert.c.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use gix::{
    attrs::{
        Search, StateRef,
        search::{MetadataCollection, Outcome},
    },
    bstr::BStr,
    glob::pattern::Case,
};

use crate::{
    convert::{Conversion, LineEnds},
    objects::Fault,
};

/// Longest line of a `.gitattributes` file; longer ones are skipped, as git does since
/// CVE-2022-23521.
pub(crate) const MAX_LINE_BYTES: usize = 2048;
/// Largest `.gitattributes` file; larger ones are skipped, as git does.
pub(crate) const MAX_FILE_BYTES: u64 = 100 << 20;
/// Sum of all `.gitattributes` files of one tree, ours: each is held and matched in memory.
pub(crate) const MAX_TOTAL_BYTES: u64 = 16 << 20;
/// Most patterns and macros in them, ours. Large public repositories have some hundreds, lists of
/// large files of a few thousand.
pub(crate) const MAX_PATTERNS: usize = 100_000;
/// Most `**` of one pattern, ours: each doubles the time of a pattern that does not match, with
/// git's own matcher, too.
pub(crate) const MAX_DOUBLE_STARS: usize = 8;
/// Most work for the paths of one tree, ours, in steps: one for each pattern that a path is held
/// against, more for long lines, and for wildcards one more for each four bytes of the path, twice
/// as many for each `**`. 5,000 patterns and 20,000 files without wildcards are 200,000,000 at
/// most. A step takes about 10 ns.
pub(crate) const MAX_STEPS: u64 = 1 << 28;
/// What a wildcard makes of a path: one step for so many bytes.
const WILD_BYTES: u64 = 4;
/// Attributes of a line that are one step together.
const STEP_WORDS: u64 = 4;
/// Longest name of an encoding.
const MAX_ENCODING_BYTES: usize = 64;

const NAMES: [&str; 5] = ["text", "crlf", "eol", "ident", "working-tree-encoding"];

/// The attribute files on the way to one path after another, in the order of trees.
pub(crate) struct Attributes {
    search: Search,
    names: MetadataCollection,
    /// The folders whose file is loaded, outermost first; each ends in `/` but the root.
    loaded: Vec<(Vec<u8>, Cost)>,
    outcome: Outcome,
    /// Whether `outcome` knows of all names.
    current: bool,
    /// Of all files that are loaded.
    cost: Cost,
    /// Names of attributes that were met; each is a slot to be cleared for each path.
    known: u64,
    /// All files so far, those that were left among them.
    bytes: u64,
    patterns: usize,
    steps: u64,
}

/// Steps that a path takes through an attributes file.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    plain: u64,
    /// Times a quarter of the path's bytes.
    wild: u64,
}

impl Attributes {
    pub(crate) fn new() -> Result<Self, Fault> {
        let mut names = MetadataCollection::default();
        let none: [PathBuf; 0] = [];
        let search = Search::new_globals(none, &mut Vec::new(), &mut names)
            .map_err(|error| Fault::Limit(error.to_string()))?;
        Ok(Self {
            search,
            names,
            loaded: Vec::new(),
            outcome: Outcome::default(),
            current: false,
            cost: Cost::default(),
            known: 0,
            bytes: 0,
            patterns: 0,
            steps: 0,
        })
    }

    /// Forgets the files of folders that `path` is not in.
    pub(crate) fn leave_for(&mut self, path: &[u8]) {
        while let Some((_, cost)) = self.loaded.pop_if(|(folder, _)| !path.starts_with(folder)) {
            self.cost.plain -= cost.plain;
            self.cost.wild -= cost.wild;
            self.search.pop_pattern_list();
            self.current = false;
        }
    }

    /// Takes the `.gitattributes` of a folder below those loaded; "" is the root.
    ///
    /// # Errors
    ///
    /// `Limit` when all files together are past their bounds, or a pattern is past its own.
    pub(crate) fn enter(&mut self, folder: &[u8], file: &[u8]) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(file.len() as u64);
        if self.bytes > MAX_TOTAL_BYTES {
            let told =
                format!("its .gitattributes have more than {MAX_TOTAL_BYTES} bytes together");
            return Err(Fault::Limit(told));
        }
        let file = as_seen(file);
        let cost = self.count(&file)?;
        let source = Path::new(OsStr::from_bytes(folder)).join(".gitattributes");
        let is_root = folder.is_empty();
        self.search
            .add_patterns_buffer(&file, source, Some(Path::new("")), &mut self.names, is_root)
            .map_err(|error| Fault::Limit(error.to_string()))?;
        self.loaded.push((folder.to_owned(), cost));
        self.cost.plain += cost.plain;
        self.cost.wild += cost.wild;
        self.current = false;
        Ok(())
    }

    /// Counts the patterns of a file, and what they will cost each path.
    fn count(&mut self, file: &[u8]) -> Result<Cost, Fault> {
        let mut cost = Cost::default();
        for line in file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            self.patterns += 1;
            if self.patterns > MAX_PATTERNS {
                let told = format!("its .gitattributes have more than {MAX_PATTERNS} patterns");
                return Err(Fault::Limit(told));
            }
            let words = line.split(u8::is_ascii_whitespace).count() as u64;
            cost.plain += 1 + words / STEP_WORDS;
            // A star among the attributes would be strange, and costs nothing but this.
            if !line.iter().any(|byte| b"*?[".contains(byte)) {
                continue;
            }
            let stars = line.windows(2).filter(|pair| pair == b"**").count();
            if stars > MAX_DOUBLE_STARS {
                let told = format!(
                    "its .gitattributes have a pattern with more than {MAX_DOUBLE_STARS} `**`"
                );
                return Err(Fault::Limit(told));
            }
            cost.wild += 1 << stars;
        }
        Ok(cost)
    }

    /// What the path's attributes ask for.
    ///
    /// # Errors
    ///
    /// `Limit` when the paths so far have cost too much.
    pub(crate) fn conversion(&mut self, path: &[u8]) -> Result<Conversion, Fault> {
        if !self.current {
            self.outcome = Outcome::default();
            self.outcome.initialize_with_selection(&self.names, NAMES);
            self.current = true;
            self.known = self.names.iter().count() as u64;
            self.steps = self.steps.saturating_add(self.known);
        }
        let bytes = path.len() as u64 / WILD_BYTES;
        let wild = self.cost.wild.saturating_mul(bytes);
        self.steps = self.steps.saturating_add(self.known + self.cost.plain).saturating_add(wild);
        if self.steps > MAX_STEPS {
            let told = format!("its .gitattributes cost more than {MAX_STEPS} steps for its files");
            return Err(Fault::Limit(told));
        }
        self.outcome.reset();
        let path = BStr::new(path);
        if !self.search.pattern_matching_relative_path(
            path,
            Case::Sensitive,
            Some(false),
            &mut self.outcome,
        ) {
            return Ok(Conversion::default());
        }
        let mut states = [StateRef::Unspecified; NAMES.len()];
        for (state, found) in states.iter_mut().zip(self.outcome.iter_selected()) {
            *state = found.assignment.state;
        }
        let [text, crlf, eol, ident, encoding] = states;
        Ok(Conversion {
            line_ends: line_ends(text, crlf, eol),
            ident: ident == StateRef::Set,
            encoding: other_encoding(encoding)?,
        })
    }
}

/// What git sees of a file that it reads from its index: as a C string, nothing behind a NUL; a
/// byte order mark belongs to the first pattern, for which an empty first line makes gix take it.
fn as_seen(file: &[u8]) -> Vec<u8> {
    let text = file.split(|byte| *byte == 0).next().unwrap_or_default();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.map(|line| {
        let length = line.strip_suffix(b"\n").unwrap_or(line).len();
        if length < MAX_LINE_BYTES { line } else { b"\n" }
    });
    [b"\n".as_slice()].into_iter().chain(kept).collect::<Vec<_>>().concat()
}

/// With `core.autocrlf=input` and `core.eol=lf`, as Go calls git: only an explicit `eol=crlf`
/// converts anything. Source: `convert_attrs`, `output_eol`.
fn line_ends(text: StateRef<'_>, crlf: StateRef<'_>, eol: StateRef<'_>) -> LineEnds {
    let action = match of_text(text) {
        Text::Unspecified => of_text(crlf),
        action => action,
    };
    match (action, value(eol)) {
        (Text::Auto, Some(b"crlf")) => LineEnds::CrlfIfText,
        (Text::Yes | Text::Input | Text::Unspecified, Some(b"crlf")) => LineEnds::Crlf,
        _ => LineEnds::Kept,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Unspecified,
    Yes,
    No,
    Input,
    Auto,
}

fn of_text(state: StateRef<'_>) -> Text {
    match state {
        StateRef::Set => Text::Yes,
        StateRef::Unset => Text::No,
        _ => match value(state) {
            Some(b"input") => Text::Input,
            Some(b"auto") => Text::Auto,
            _ => Text::Unspecified,
        },
    }
}

fn value(state: StateRef<'_>) -> Option<&[u8]> {
    match state {
        StateRef::Value(value) => Some(value.as_bstr()),
        _ => None,
    }
}

/// Source: `git_path_check_encoding`, `same_utf_encoding`.
fn other_encoding(state: StateRef<'_>) -> Result<Option<String>, Fault> {
    let wrong = |why: &str| Err(Fault::Limit(format!("working-tree-encoding: {why}")));
    match state {
        // git takes its own mark of false for an empty name.
        StateRef::Unspecified | StateRef::Unset => Ok(None),
        // git dies of it, and so does `go`.
        StateRef::Set => wrong("true is no encoding"),
        StateRef::Value(name) => {
            let name: &[u8] = name.as_bstr();
            let bare = name.to_ascii_lowercase();
            if bare.is_empty() || bare == b"utf-8" || bare == b"utf8" {
                return Ok(None);
            }
            // It will stand in a file that git reads, and go to the system's iconv.
            let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:+-".contains(byte);
            match std::str::from_utf8(name) {
                Ok(text) if name.len() <= MAX_ENCODING_BYTES && name.iter().all(fine) => {
                    Ok(Some(text.to_owned()))
                }
                _ => wrong("that is no name of an encoding"),
            }
        }
    }
}

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
