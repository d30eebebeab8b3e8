//! Writes the generated pages of `docs/` anew.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Runs the tests that compare a generated page with the code, with leave to rewrite it.
///
/// They all stand in `cli`, which sees every room. With `UPDATE_DOCS` set, such a test writes its
/// page when it differs, instead of failing.
///
/// # Errors
///
/// When cargo cannot be started.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--package", "cli"])
        .env("UPDATE_DOCS", "1")
        .current_dir(root)
        .status()
        .context("starting cargo")?;
    Ok(status.success())
}
