//! What the workspace consists of: its packages and their Rust files.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// A package of the workspace, found by its manifest.
#[derive(Debug)]
pub(crate) struct Package {
    /// Name of the folder; cargo's name of the package must be the same.
    pub(crate) folder: String,
    /// `crates/gomod`, relative to the root.
    pub(crate) path: PathBuf,
    /// Text of its Cargo.toml.
    pub(crate) manifest: String,
}

/// Reads the packages below `crates/` and the tools beside it, sorted by path.
///
/// # Errors
///
/// When a folder or a manifest cannot be read.
pub(crate) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let mut paths: Vec<PathBuf> = folders(&root.join("crates"))?;
    paths.extend(["xtask", "e2e"].map(|name| root.join(name)));
    paths.retain(|path| path.join("Cargo.toml").is_file());
    paths.sort();
    paths.into_iter().map(|path| package(root, &path)).collect()
}

fn package(root: &Path, path: &Path) -> anyhow::Result<Package> {
    let manifest = read(&path.join("Cargo.toml"))?;
    let folder = path.file_name().context("a package has a folder")?.to_string_lossy().into_owned();
    Ok(Package { folder, path: path.strip_prefix(root)?.to_path_buf(), manifest })
}

fn folders(parent: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(parent).with_context(|| format!("reading {}", parent.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

/// All `.rs` files below `folder`, sorted; build output (`target`) is left out.
///
/// # Errors
///
/// When a folder cannot be read.
pub(crate) fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in
            std::fs::read_dir(&next).with_context(|| format!("reading {}", next.display()))?
        {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a text file, naming it in the error.
///
/// # Errors
///
/// When the file cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}
