//! Where in a repository a module lives, and which of its tags are the module's versions.

use gomod::{
    ModulePath, Version, path,
    version::{matches_major, semver},
};

/// A module's place in its repository, before any revision is looked at.
///
/// Source: modfetch/coderepo.go `newCodeRepo`; git.md §2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: ModulePath,
    /// The import path of the repository's root.
    pub(crate) root: String,
    /// Where the module is expected, `""` for the repository's root.
    pub(crate) dir: String,
    /// `""`, `/v2`, `.v2`, `.v2-unstable`.
    pub(crate) major: String,
    /// The path without its major, for texts.
    pub(crate) prefix: String,
}

impl Place {
    /// Finds the place of `path` in a repository whose root has the import path `root`; the module
    /// tree may begin in `subdir` (the fourth field of a go-import tag).
    ///
    /// The path below the root comes first, then `subdir`: with prefix `x/sub` and subdirectory
    /// `foo`, `x/sub/a` is sought in `a/foo`. Go does it so.
    ///
    /// # Errors
    ///
    /// Go's words when that repository cannot hold the module.
    pub(crate) fn new(path: &ModulePath, root: &str, subdir: &str) -> Result<Self, String> {
        let text = path.as_str();
        if below(text, root).is_none() {
            return Err(format!("mismatched repo: found {root} for {path}"));
        }
        let (mut prefix, major) = path.split_major();
        let mut dir = "";
        if text == root {
            prefix = text;
        } else {
            let rest = below(prefix, root);
            let cannot = || format!("repository rooted at {root} cannot contain module {path}");
            dir = rest.ok_or_else(cannot)?.trim_matches('/');
        }
        if subdir.split('/').any(|element| element == "..") {
            return Err(format!("{root}: invalid subdirectory {subdir:?}"));
        }
        let elements = dir.split('/').chain(subdir.split('/'));
        let elements: Vec<_> = elements.filter(|part| !matches!(*part, "" | ".")).collect();
        Ok(Self {
            path: path.clone(),
            root: root.to_owned(),
            dir: elements.join("/"),
            major: major.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// What stands before the version in the module's tags: the directory and its slash.
    pub(crate) fn tag_prefix(&self) -> String {
        if self.dir.is_empty() { String::new() } else { format!("{}/", self.dir) }
    }

    /// The major that pseudo-versions of the path begin with, `""` for v0 or v1.
    pub(crate) fn pseudo_major(&self) -> &str {
        path::major_prefix(&self.major)
    }

    /// What is looked up in the repository for a query. Source: coderepo.go `revToRev`.
    ///
    /// The major of the path is never in a tag: `client/v3` at `v3.5.9` is the tag `client/v3.5.9`.
    pub(crate) fn revision(&self, query: &str) -> String {
        if !semver::is_valid(query) {
            return query.to_owned();
        }
        if let Some(revision) = pseudo_revision(query) {
            return revision;
        }
        let tag = query.strip_suffix("+incompatible").unwrap_or(query);
        format!("{}{tag}", self.tag_prefix())
    }

    /// The first place of the module's go.mod.
    pub(crate) fn first_file(&self) -> String {
        format!("{}go.mod", self.tag_prefix())
    }

    /// The directory of the other candidate, below the first: `v2`; where there is one.
    pub(crate) fn second_dir(&self) -> Option<String> {
        let major = self.major.strip_prefix('/').filter(|_| self.root != self.path.as_str())?;
        Some(format!("{}{major}", self.tag_prefix()))
    }

    /// Whether a version's major may stand below this path; `version` is canonical.
    pub(crate) fn fits(&self, version: &str) -> bool {
        matches_major(version, &self.major)
    }
}

/// The rest of `path` behind `prefix`, at a border of elements.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')).then_some(rest)
}

/// Whether the path that a go.mod declares has a major that goes with that of the path asked for.
///
/// Nothing but the major counts: forks are used by `replace` under other paths. Source: coderepo.go
/// `isMajor`, `canReplaceMismatchedVersionDueToBug`.
pub(crate) fn declares_major(declared: &str, major: &str) -> bool {
    // Any gopkg.in path goes with none: an old leniency.
    if major.is_empty() && declared.starts_with("gopkg.in/") {
        return true;
    }
    let Some((_, theirs)) = path::split_major(declared) else { return false };
    if declared.is_empty() {
        return false;
    }
    if major.is_empty() {
        return matches!(path::major_prefix(theirs), "" | "v0" | "v1");
    }
    !theirs.is_empty() && theirs.get(1..) == major.get(1..)
}

/// Whether a text is a pseudo-version, build metadata and all. Source: golang/mod
/// `module.IsPseudoVersion`.
pub(crate) fn is_pseudo(text: &str) -> bool {
    without_build(text).is_some_and(|version| version.is_pseudo())
}

/// The revision inside a pseudo-version.
pub(crate) fn pseudo_revision(text: &str) -> Option<String> {
    without_build(text)?.pseudo_revision().map(str::to_owned)
}

fn without_build(text: &str) -> Option<Version> {
    Version::parse(text.strip_suffix(semver::build(text)).unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, root: &str, subdir: &str) -> Result<Place, String> {
        Place::new(&ModulePath::parse(path).unwrap(), root, subdir)
    }

    #[test]
    fn the_directory_is_the_path_below_the_root_without_the_major() {
        for (path, root, subdir, dir, prefix) in [
            ("a.b/r", "a.b/r", "", "", "a.b/r"),
            ("a.b/r/v2", "a.b/r", "", "", "a.b/r"),
            ("a.b/r/v2", "a.b/r/v2", "", "", "a.b/r/v2"),
            ("a.b/r/sub/v3", "a.b/r", "", "sub", "a.b/r/sub"),
            ("a.b/r/sub/x", "a.b/r", "", "sub/x", "a.b/r/sub/x"),
            ("gopkg.in/yaml.v2", "gopkg.in/yaml.v2", "", "", "gopkg.in/yaml.v2"),
            ("a.b/sub", "a.b/sub", "foo", "foo", "a.b/sub"),
            ("a.b/sub/v2", "a.b/sub", "foo/bar", "foo/bar", "a.b/sub"),
            // The trap: below the prefix first, then the subdirectory.
            ("a.b/sub/a", "a.b/sub", "foo", "a/foo", "a.b/sub/a"),
            ("a.b/sub", "a.b/sub", "./foo//x/", "foo/x", "a.b/sub"),
        ] {
            let place = place(path, root, subdir).unwrap();
            assert_eq!((place.dir.as_str(), place.prefix.as_str()), (dir, prefix), "{path} {root}");
        }
    }

    #[test]
    fn a_repository_that_cannot_hold_the_module_is_told() {
        let error = |path, root, subdir| place(path, root, subdir).unwrap_err();
        assert_eq!(error("a.b/r", "a.b/rest", ""), "mismatched repo: found a.b/rest for a.b/r");
        assert_eq!(error("a.b/rest", "a.b/r", ""), "mismatched repo: found a.b/r for a.b/rest");
        assert!(error("a.b/r", "a.b/r", "../x").contains("invalid subdirectory"));
    }

    #[test]
    fn queries_become_revisions() {
        let at = |path, query: &str| place(path, "a.b/r", "").unwrap().revision(query);
        assert_eq!(at("a.b/r", "v1.2.3"), "v1.2.3");
        assert_eq!(at("a.b/r", "v2.0.0+incompatible"), "v2.0.0");
        assert_eq!(at("a.b/r/sub/v3", "v3.5.9"), "sub/v3.5.9");
        assert_eq!(at("a.b/r/sub", "v1"), "sub/v1");
        assert_eq!(at("a.b/r/sub", "v1.0.0+meta"), "sub/v1.0.0+meta");
        assert_eq!(at("a.b/r/sub", "main"), "main");
        assert_eq!(at("a.b/r/sub", "v0.0.0-20200102030405-0123456789ab"), "0123456789ab");
        assert_eq!(
            at("a.b/r", "v2.0.1-0.20200102030405-0123456789ab+incompatible"),
            "0123456789ab"
        );
    }

    #[test]
    fn the_second_candidate_is_only_for_slash_majors_below_the_root() {
        let second = |path, root| place(path, root, "").unwrap().second_dir();
        assert_eq!(second("a.b/r", "a.b/r"), None);
        assert_eq!(second("a.b/r/v2", "a.b/r").as_deref(), Some("v2"));
        assert_eq!(second("a.b/r/x/v2", "a.b/r").as_deref(), Some("x/v2"));
        assert_eq!(second("a.b/r/v2", "a.b/r/v2"), None);
        assert_eq!(second("gopkg.in/y.v2", "gopkg.in/y.v2"), None);
    }

    #[test]
    fn only_the_major_of_a_declared_path_counts() {
        for (declared, major, fits) in [
            ("other.org/x", "", true),
            ("other.org/x/v2", "", false),
            ("other.org/x/v1", "", false),
            ("gopkg.in/x.v1", "", true),
            ("gopkg.in/x.v7", "", true),
            ("gopkg.in/x", "", true),
            ("", "", false),
            ("other.org/x/v2", "/v2", true),
            ("other.org/x/v3", "/v2", false),
            ("other.org/x", "/v2", false),
            ("gopkg.in/x.v2", "/v2", true),
            ("gopkg.in/x.v2", ".v2", true),
            ("other.org/x/v2", ".v2", true),
            ("gopkg.in/x.v2-unstable", ".v2-unstable", true),
            ("gopkg.in/x.v2-unstable", ".v2", false),
            ("x", ".v1", false),
        ] {
            assert_eq!(declares_major(declared, major), fits, "{declared:?} {major:?}");
        }
    }

    #[test]
    fn pseudo_versions_are_known_with_any_build_metadata() {
        for (text, pseudo) in [
            ("v0.0.0-20200102030405-0123456789ab", true),
            ("v0.0.0-20200102030405-0123456789ab+incompatible", true),
            ("v0.0.0-20200102030405-0123456789ab+meta", true),
            ("v1.0.0+meta", false),
            ("sub/v0.0.0-20200102030405-0123456789ab", false),
            ("v1", false),
            ("", false),
        ] {
            assert_eq!(is_pseudo(text), pseudo, "{text}");
        }
    }
}
