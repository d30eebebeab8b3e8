//! Modules made in memory, and the tree of files in which a proxy serves them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::Path;

use ::zip::write::SimpleFileOptions;
use anyhow::Context;
use bytes::Bytes;

/// One version of a module, with as much or little in it as a test needs.
///
/// A new one holds a go.mod and one Go file that compiles.
#[derive(Debug, Clone)]
pub struct ModuleVersion {
    path: String,
    version: String,
    time: String,
    go_mod: String,
    files: BTreeMap<String, Vec<u8>>,
    listed: bool,
}

impl ModuleVersion {
    /// A module whose package has the name of the path's last element that is no major version.
    #[must_use]
    pub fn new(path: &str, version: &str) -> Self {
        let is_major = |element: &&str| {
            element.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let name = path.split('/').rev().find(|element| !is_major(element)).unwrap_or("lib");
        let name: String =
            name.chars().take_while(|c| *c != '.').filter(char::is_ascii_alphanumeric).collect();
        let go_file = format!(
            "package {}\n\n// Version is this version.\nconst Version = \"{version}\"\n",
            name.to_lowercase()
        );
        Self {
            path: path.to_owned(),
            version: version.to_owned(),
            time: "2024-05-06T07:08:09Z".to_owned(),
            go_mod: format!("module {path}\n\ngo 1.21\n"),
            files: BTreeMap::from([("lib.go".to_owned(), go_file.into_bytes())]),
            listed: true,
        }
    }

    /// Adds a file, or replaces one.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), content.into());
        self
    }

    /// Adds a file of `len` bytes that do not compress; the same `seed` gives the same bytes.
    #[must_use]
    pub fn noise(self, name: &str, len: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut content = Vec::with_capacity(len + 8);
        while content.len() < len {
            // xorshift64: good enough to defeat a compressor.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        content.truncate(len);
        self.file(name, content)
    }

    /// Adds a requirement to the go.mod.
    #[must_use]
    pub fn requires(mut self, path: &str, version: &str) -> Self {
        let _ = writeln!(self.go_mod, "\nrequire {path} {version}");
        self
    }

    /// Replaces the go.mod.
    #[must_use]
    pub fn go_mod(mut self, text: &str) -> Self {
        text.clone_into(&mut self.go_mod);
        self
    }

    /// Sets the `Time` of the `.info`, RFC 3339.
    #[must_use]
    pub fn time(mut self, time: &str) -> Self {
        time.clone_into(&mut self.time);
        self
    }

    /// Leaves this version out of the module's list, as pseudo-versions are.
    #[must_use]
    pub fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    /// The `.info`.
    #[must_use]
    pub fn info_bytes(&self) -> Bytes {
        Bytes::from(format!("{{\"Version\":\"{}\",\"Time\":\"{}\"}}", self.version, self.time))
    }

    /// The `.mod`.
    #[must_use]
    pub fn mod_bytes(&self) -> Bytes {
        Bytes::from(self.go_mod.clone())
    }

    /// The `.zip`: go.mod and all files below `path@version/`, sorted by name.
    ///
    /// # Errors
    ///
    /// When a file name cannot stand in a zip.
    pub fn zip_bytes(&self) -> anyhow::Result<Bytes> {
        let prefix = format!("{}@{}", self.path, self.version);
        let mut files: BTreeMap<String, &[u8]> = BTreeMap::new();
        files.insert(format!("{prefix}/go.mod"), self.go_mod.as_bytes());
        for (name, content) in &self.files {
            files.insert(format!("{prefix}/{name}"), content);
        }
        let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), *content)).collect();
        zip(&files)
    }
}

/// Packs files into a zip under the names given, in the order given, whether or not that is a module.
///
/// # Errors
///
/// When the same name comes twice, or one is too long for a zip.
pub fn zip(files: &[(&str, &[u8])]) -> anyhow::Result<Bytes> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Deflated);
    for (name, content) in files {
        writer.start_file(*name, options)?;
        writer.write_all(content)?;
    }
    Ok(Bytes::from(writer.finish()?.into_inner()))
}

/// The files of a module proxy by request path (percent-decoded, beginning with `/`).
#[derive(Debug, Clone, Default)]
pub struct Modules {
    files: BTreeMap<String, Bytes>,
}

impl Modules {
    /// No modules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a version: its three files and, unless unlisted, its line in the list.
    ///
    /// # Panics
    ///
    /// When a file name of the version cannot stand in a zip.
    pub fn add(&mut self, version: &ModuleVersion) {
        let base = format!("/{}/@v", escape(&version.path));
        let file = format!("{base}/{}", escape(&version.version));
        self.files.insert(format!("{file}.info"), version.info_bytes());
        self.files.insert(format!("{file}.mod"), version.mod_bytes());
        self.files.insert(
            format!("{file}.zip"),
            version.zip_bytes().expect("file names that a zip can hold"),
        );
        let list = self.files.entry(format!("{base}/list")).or_default();
        if version.listed {
            *list = [list.as_ref(), version.version.as_bytes(), b"\n"].concat().into();
        }
    }

    /// Lets a query (a branch, a commit) lead to a version, through the query's `.info`.
    pub fn query(&mut self, query: &str, version: &ModuleVersion) {
        let path = format!("/{}/@v/{}.info", escape(&version.path), escape(query));
        self.files.insert(path, version.info_bytes());
    }

    /// Lets `@latest` lead to a version.
    pub fn latest(&mut self, version: &ModuleVersion) {
        self.files.insert(format!("/{}/@latest", escape(&version.path)), version.info_bytes());
    }

    /// Puts any bytes at any path.
    pub fn raw(&mut self, path: &str, content: impl Into<Bytes>) {
        self.files.insert(path.to_owned(), content.into());
    }

    /// What is served at a path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// All paths with their content, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(path, content)| (path.as_str(), content))
    }

    /// Writes everything below a folder, which then is a `file://` proxy.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_tree(&self, folder: &Path) -> anyhow::Result<()> {
        for (path, content) in &self.files {
            let file = folder.join(path.trim_start_matches('/'));
            let parent = file.parent().context("a path has a folder")?;
            std::fs::create_dir_all(parent)?;
            std::fs::write(&file, content)
                .with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }
}

/// Go's case escape: `A` becomes `!a`. Source: golang/mod module.EscapePath.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn modules(versions: &[&ModuleVersion]) -> Modules {
        let mut modules = Modules::new();
        for version in versions {
            modules.add(version);
        }
        modules
    }

    #[test]
    fn a_version_has_three_files_and_a_line_in_the_list() {
        let modules = modules(&[&ModuleVersion::new("example.com/Up/v2", "v2.0.0-RC1")]);
        let paths: Vec<_> = modules.files().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "/example.com/!up/v2/@v/list",
                "/example.com/!up/v2/@v/v2.0.0-!r!c1.info",
                "/example.com/!up/v2/@v/v2.0.0-!r!c1.mod",
                "/example.com/!up/v2/@v/v2.0.0-!r!c1.zip",
            ]
        );
        assert_eq!(modules.file("/example.com/!up/v2/@v/list").unwrap(), "v2.0.0-RC1\n");
    }

    #[test]
    fn unlisted_versions_leave_an_empty_list() {
        let modules =
            modules(&[&ModuleVersion::new("example.com/a", "v0.0.0-20240506070809-abcdefabcdef")
                .unlisted()]);
        assert_eq!(modules.file("/example.com/a/@v/list").unwrap(), "");
    }

    #[test]
    fn the_zip_holds_go_mod_and_files_below_module_at_version() {
        let version = ModuleVersion::new("example.com/a/v3", "v3.1.0")
            .file("x/y.txt", "why")
            .requires("example.com/b", "v1.0.0");
        let mut archive =
            ::zip::ZipArchive::new(Cursor::new(version.zip_bytes().unwrap())).unwrap();
        let names: Vec<_> = archive.file_names().map(|name| name.unwrap().to_string()).collect();
        assert_eq!(
            names,
            [
                "example.com/a/v3@v3.1.0/go.mod",
                "example.com/a/v3@v3.1.0/lib.go",
                "example.com/a/v3@v3.1.0/x/y.txt"
            ]
        );
        let mut go_mod = String::new();
        archive.by_index(0).unwrap().read_to_string(&mut go_mod).unwrap();
        assert_eq!(go_mod, "module example.com/a/v3\n\ngo 1.21\n\nrequire example.com/b v1.0.0\n");
    }

    #[test]
    fn packages_are_named_after_the_path() {
        for (path, package) in [
            ("example.com/hello/v2", "hello"),
            ("gopkg.in/yaml.v3", "yaml"),
            ("example.com/Go-x", "gox"),
        ] {
            let file = ModuleVersion::new(path, "v1.0.0").files.remove("lib.go").unwrap();
            assert!(file.starts_with(format!("package {package}\n").as_bytes()), "{path}");
        }
    }

    #[test]
    fn noise_is_repeatable_and_does_not_compress() {
        let one = ModuleVersion::new("example.com/a", "v1.0.0").noise("n", 100_001, 7);
        let zip = one.zip_bytes().unwrap();
        assert!(zip.len() > 100_001, "{}", zip.len());
        assert_eq!(one.files.get("n").unwrap().len(), 100_001);
        assert_eq!(
            zip,
            ModuleVersion::new("example.com/a", "v1.0.0")
                .noise("n", 100_001, 7)
                .zip_bytes()
                .unwrap()
        );
        assert_ne!(
            zip,
            ModuleVersion::new("example.com/a", "v1.0.0")
                .noise("n", 100_001, 8)
                .zip_bytes()
                .unwrap()
        );
    }

    #[test]
    fn a_written_tree_has_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let modules = modules(&[&ModuleVersion::new("example.com/A", "v1.0.0")]);
        modules.write_tree(folder.path()).unwrap();
        for (path, content) in modules.files() {
            assert_eq!(&std::fs::read(folder.path().join(&path[1..])).unwrap(), content, "{path}");
        }
    }
}
