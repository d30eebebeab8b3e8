//! Who may import whom: the floors of the house.
//!
//! Imports go down along the table, never sideways or up. The manifests say what a room can see, so
//! the manifests are what is judged; what code does with an allowed import is clippy's matter.

use std::path::Path;

use crate::source::Source;
use crate::workspace::{self, Package};

mod manifest;
mod table;

use manifest::{Manifest, Section};
use table::{Kind, Room};

/// Names that say nothing about what is inside; a room must have a contract.
const REFUSED_NAMES: [&str; 5] = ["common", "core", "util", "types", "helpers"];

/// Checks every package of the workspace and prints what is wrong.
///
/// # Errors
///
/// When a file cannot be read or a manifest is no TOML.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let house = workspace::read(&root.join("Cargo.toml"))?;
    let packages = workspace::packages(root)?;
    let mut wrong = check_house(&house)?;
    for package in &packages {
        wrong.extend(check_package(package, &house)?);
        wrong.extend(check_sources(root, package)?);
    }
    for line in &wrong {
        println!("{line}");
    }
    println!("floors: {} packages, {} wrong", packages.len(), wrong.len());
    Ok(wrong.is_empty())
}

/// The root manifest must forbid `unsafe` for everyone who takes its lints.
fn check_house(house: &str) -> anyhow::Result<Vec<String>> {
    if manifest::forbids_unsafe(house)? {
        return Ok(Vec::new());
    }
    Ok(vec!["Cargo.toml: [workspace.lints.rust] must say unsafe_code = \"forbid\"".to_owned()])
}

/// Judges one manifest against the table.
fn check_package(package: &Package, house: &str) -> anyhow::Result<Vec<String>> {
    let name = package.folder.as_str();
    let file = package.path.join("Cargo.toml");
    let manifest = Manifest::parse(&package.manifest, house)?;
    let mut wrong = Vec::new();
    if manifest.name != name {
        wrong.push(format!(
            "package {} in a folder named {name}: give both one name",
            manifest.name
        ));
    }
    if !manifest.takes_workspace_lints {
        wrong.push("[lints] workspace = true is missing".to_owned());
    }
    match table::room(name) {
        None if REFUSED_NAMES.contains(&name) => {
            wrong.push(format!("{name} is not a room: it names no contract"));
        }
        None => wrong.push(format!("{name} is not in the table of floors")),
        Some(room) => wrong.extend(
            manifest
                .dependencies
                .iter()
                .filter_map(|(section, import)| judge(room, *section, import)),
        ),
    }
    Ok(wrong.into_iter().map(|what| format!("{}: {what}", file.display())).collect())
}

/// What is wrong with `room` importing `import`, if anything.
fn judge(room: &Room, section: Section, import: &str) -> Option<String> {
    match table::room(import) {
        Some(imported) => judge_room(room, section, imported),
        None => judge_crate(room, section, import),
    }
}

fn judge_room(room: &Room, section: Section, imported: &Room) -> Option<String> {
    let (name, import) = (room.name, imported.name);
    match (section, imported.kind) {
        (_, Kind::Tool) => Some(format!("{name} imports {import}: nobody imports a tool")),
        (Section::Dev, Kind::Testkit) => None,
        (Section::Normal, Kind::Testkit) if room.kind == Kind::Tool && name == "e2e" => None,
        (_, Kind::Testkit) => Some(format!("{name} imports {import}: a dev-dependency only")),
        (_, Kind::Floor(_)) if room.may_import(import) => None,
        (Section::Dev, Kind::Floor(below)) if room.floor() > below => None,
        (_, Kind::Floor(floor)) => Some(format!(
            "{name} (floor {}) imports {import} (floor {floor}): {}",
            room.floor(),
            direction(room.floor(), floor)
        )),
    }
}

fn direction(from: u8, to: u8) -> &'static str {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => "upward",
        std::cmp::Ordering::Equal => "sideways",
        std::cmp::Ordering::Greater => {
            "downward, but not in the table; a new edge needs a decision note"
        }
    }
}

/// External crates that open an outside world belong to the room that owns that world.
fn judge_crate(room: &Room, section: Section, import: &str) -> Option<String> {
    if section == Section::Dev || !matches!(room.kind, Kind::Floor(_)) {
        return None;
    }
    if room.floor() <= 1 && table::opens_a_world(import) {
        return Some(format!(
            "{} (floor {}) imports {import}: floors 0 and 1 have no runtime, clock, file or socket",
            room.name,
            room.floor()
        ));
    }
    let owners = table::owners(import)?;
    (!owners.contains(&room.name)).then(|| {
        format!("{} imports {import}: that world belongs to {}", room.name, owners.join(", "))
    })
}

/// No `mod.rs` and no `unsafe` in any file.
fn check_sources(root: &Path, package: &Package) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for path in workspace::rust_files(&root.join(&package.path))? {
        let shown = path.strip_prefix(root)?.display().to_string();
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            wrong.push(format!("{shown}: the folder form is `name.rs` beside `name/`"));
        }
        let source = Source::parse(&workspace::read(&path)?);
        wrong
            .extend(source.lines_with_word("unsafe").map(|line| format!("{shown}:{line}: unsafe")));
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests;
