//! Generated pages of `docs/`, and the test that they are fresh.

#[cfg(test)]
pub(crate) use tests::assert_fresh;

pub mod log_fields;
pub mod metrics;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Fails when the page at `path` (from the root of the workspace) is not `text`; writes it
    /// when `UPDATE_DOCS` is set.
    #[expect(clippy::disallowed_methods, reason = "a test that keeps generated pages fresh")]
    pub(crate) fn assert_fresh(path: &str, text: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == text, "{path} is stale: UPDATE_DOCS=1 cargo test -p cli");
    }
}
