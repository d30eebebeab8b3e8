//! What a Cargo.toml says about imports and lints.

use anyhow::Context;
use toml::{Table, Value};

/// Which table of the manifest names an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// `[dependencies]` and `[build-dependencies]`: in the product.
    Normal,
    /// `[dev-dependencies]`: in tests.
    Dev,
}

/// The parts of a manifest that the floors are about.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) takes_workspace_lints: bool,
    /// Real package names, whatever the manifest calls them, in the manifest's order.
    pub(super) dependencies: Vec<(Section, String)>,
}

impl Manifest {
    /// Reads a manifest; `house` is the root manifest, which `workspace = true` refers to.
    pub(super) fn parse(text: &str, house: &str) -> anyhow::Result<Self> {
        let table: Table = text.parse()?;
        let house: Table = house.parse()?;
        let name =
            table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let lints =
            table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        let mut dependencies = Vec::new();
        collect(&table, &house, &mut dependencies);
        // Only some platforms' imports are imports all the same.
        for target in
            table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values)
        {
            if let Some(target) = target.as_table() {
                collect(target, &house, &mut dependencies);
            }
        }
        Ok(Self {
            name: name.context("the package has no name")?.to_owned(),
            takes_workspace_lints: lints == Some(true),
            dependencies,
        })
    }
}

fn collect(table: &Table, house: &Table, into: &mut Vec<(Section, String)>) {
    let sections = [
        ("dependencies", Section::Normal),
        ("build-dependencies", Section::Normal),
        ("dev-dependencies", Section::Dev),
    ];
    for (name, section) in sections {
        let Some(dependencies) = table.get(name).and_then(Value::as_table) else { continue };
        into.extend(
            dependencies.iter().map(|(key, value)| (section, real_name(key, value, house))),
        );
    }
}

/// `alias = { package = "tokio" }` imports tokio, also when the alias stands in the root manifest.
fn real_name(key: &str, value: &Value, house: &Table) -> String {
    let shared = || house.get("workspace")?.get("dependencies")?.get(key)?.get("package")?.as_str();
    let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
    let renamed = if inherits { shared() } else { value.get("package").and_then(Value::as_str) };
    renamed.unwrap_or(key).to_owned()
}

/// Whether the root manifest forbids `unsafe` in the shared lints.
pub(super) fn forbids_unsafe(house: &str) -> anyhow::Result<bool> {
    let house: Table = house.parse()?;
    let lint = || house.get("workspace")?.get("lints")?.get("rust")?.get("unsafe_code");
    let level = lint().and_then(|lint| lint.as_str().or_else(|| lint.get("level")?.as_str()));
    Ok(level == Some("forbid"))
}
