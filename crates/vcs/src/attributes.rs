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
pub(crate) const MAX_TOTAL_BYTES: u64 = 100 << 20;
/// Longest name of an encoding.
const MAX_ENCODING_BYTES: usize = 64;

const NAMES: [&str; 5] = ["text", "crlf", "eol", "ident", "working-tree-encoding"];

/// The attribute files on the way to one path after another, in the order of trees.
pub(crate) struct Attributes {
    search: Search,
    names: MetadataCollection,
    /// The folders whose file is loaded, outermost first; each ends in `/` but the root.
    loaded: Vec<Vec<u8>>,
    outcome: Outcome,
    /// Whether `outcome` knows of all names.
    current: bool,
}

impl Attributes {
    pub(crate) fn new() -> Result<Self, Fault> {
        let mut names = MetadataCollection::default();
        let none: [PathBuf; 0] = [];
        let search = Search::new_globals(none, &mut Vec::new(), &mut names)
            .map_err(|error| Fault::Limit(error.to_string()))?;
        let outcome = Outcome::default();
        Ok(Self { search, names, loaded: Vec::new(), outcome, current: false })
    }

    /// Forgets the files of folders that `path` is not in.
    pub(crate) fn leave_for(&mut self, path: &[u8]) {
        while self.loaded.last().is_some_and(|folder| !path.starts_with(folder)) {
            self.loaded.pop();
            self.search.pop_pattern_list();
            self.current = false;
        }
    }

    /// Takes the `.gitattributes` of a folder below those loaded; "" is the root.
    pub(crate) fn enter(&mut self, folder: &[u8], file: &[u8]) -> Result<(), Fault> {
        let file = as_seen(file);
        let source = Path::new(OsStr::from_bytes(folder)).join(".gitattributes");
        let is_root = folder.is_empty();
        self.search
            .add_patterns_buffer(&file, source, Some(Path::new("")), &mut self.names, is_root)
            .map_err(|error| Fault::Limit(error.to_string()))?;
        self.loaded.push(folder.to_owned());
        self.current = false;
        Ok(())
    }

    /// What the path's attributes ask for.
    pub(crate) fn conversion(&mut self, path: &[u8]) -> Result<Conversion, Fault> {
        if !self.current {
            self.outcome = Outcome::default();
            self.outcome.initialize_with_selection(&self.names, NAMES);
            self.current = true;
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
