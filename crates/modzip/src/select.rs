//! Which files of a tree go into a module's zip.
//!
//! The rules decide the module's hash, so their oddities are kept. Source: golang/mod `zip`
//! (`checkFiles`), and for the LICENSE golang/go `modfetch` (`codeRepo.Zip`).

mod sieve;
mod vendor;

use gomod::modfile::{self, Language};

use crate::{limits::Limits, select::sieve::Sieve};

/// Most lines that a [`CreateError`] tells; the last one then counts what is left out.
///
/// Ours, not Go's: a hostile tree has a million wrong names.
pub const MAX_ERROR_LINES: usize = 100;

/// One entry of a module directory's tree, below the module's root.
#[derive(Debug, Clone, Copy)]
pub struct TreeFile<'a> {
    /// `/` between elements; bytes, for names need not be UTF-8.
    pub path: &'a [u8],
    /// What it is.
    pub kind: FileKind,
    /// In bytes, as the zip would hold it before compression.
    pub size: u64,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A file, executable or not.
    Regular,
    /// Takes part in the checks of names, and is left out.
    Symlink,
    /// A gitlink or the like: an empty directory for `git archive`, which Go never looks at.
    Other,
}

/// Whether the repository's root has a LICENSE to be copied into a module below it.
///
/// Only a blob counts, and it is taken raw: a symlink's is its target. Source: golang/go
/// `modfetch` (`codeRepo.Zip`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootLicense {
    /// The module is at the root, or there is none (or it is a directory).
    None,
    /// Of this size, in bytes.
    Of(u64),
}

/// What goes into a module's zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Indices into the files given, sorted by path's bytes.
    pub kept: Vec<usize>,
    /// Whether the root's LICENSE is added as `LICENSE`.
    pub copy_license: bool,
}

/// Says which files go into a module's zip.
///
/// `files` are those below the module's root, in the order of `git archive` (the tree's own): the
/// order decides which of two colliding names is told first. `go_mod` holds the bytes of the
/// root's go.mod if there is one, regular and in exact case: its `go` line chooses between the
/// rules for vendored files. Pure; about 0.3 µs and the name's length of memory for each file.
///
/// ```
/// use modzip::{FileKind, RootLicense, TreeFile, select};
///
/// let file = |path| TreeFile { path, kind: FileKind::Regular, size: 1 };
/// let files = [file(b"go.mod".as_slice()), file(b"sub/go.mod"), file(b"sub/x.go"), file(b"a.go")];
/// let selection = select(&files, Some(b"module a.b/c\n"), RootLicense::Of(1000))?;
/// assert_eq!(selection.kept, [3, 0]);
/// assert!(selection.copy_license);
/// # Ok::<(), modzip::CreateError>(())
/// ```
///
/// # Errors
///
/// [`CreateError`] with every rule that the tree breaks; the total size alone when that is too
/// large. Stricter than Go in two points: an element `.git`, in any case, is refused, and more
/// than [`crate::MAX_ENTRIES`] names or [`crate::MAX_NAMES_BYTES`] of them.
pub fn select(
    files: &[TreeFile<'_>],
    go_mod: Option<&[u8]>,
    license: RootLicense,
) -> Result<Selection, CreateError> {
    select_within(files, go_mod, license, Limits::GO)
}

fn select_within(
    files: &[TreeFile<'_>],
    go_mod: Option<&[u8]>,
    license: RootLicense,
    limits: Limits,
) -> Result<Selection, CreateError> {
    let language = match go_mod.map(Language::of_mod).transpose() {
        Ok(language) => language.flatten(),
        // Told by the file's own size.
        Err(modfile::Error::TooLarge) => None,
        Err(error) => return Err(CreateError { lines: vec![error.to_string()] }),
    };
    // Gitlinks leave no trace: Go drops names that end in a slash before it looks at any.
    let seen = || files.iter().enumerate().filter(|(_, file)| file.kind != FileKind::Other);
    let mut sieve = Sieve::new(language, seen().map(|(_, file)| file), limits);
    let mut kept: Vec<usize> =
        seen().filter(|(_, file)| sieve.keeps(file)).map(|(index, _)| index).collect();
    let mut copy_license = false;
    if let RootLicense::Of(size) = license
        && !seen().any(|(_, file)| file.path == b"LICENSE")
    {
        let file = TreeFile { path: b"LICENSE", kind: FileKind::Regular, size };
        copy_license = sieve.keeps(&file);
    }
    sieve.finish()?;
    kept.sort_unstable_by_key(|index| files.get(*index).map(|file| file.path));
    Ok(Selection { kept, copy_license })
}

/// All errors of one selection; displays as Go does: `create zip: `, one per line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("create zip: {}", lines.join("\n"))]
pub struct CreateError {
    /// The file and the rule it breaks, in Go's words; at most [`MAX_ERROR_LINES`].
    pub lines: Vec<String>,
}

#[cfg(test)]
mod tests;
