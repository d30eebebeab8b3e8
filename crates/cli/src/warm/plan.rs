//! What to fetch: from a go.sum, a go.mod, or modules named one by one.

use std::{collections::BTreeSet, fmt, path::Path};

use anyhow::Context as _;
use gomod::{ModVer, ModulePath, Version, gosum, modfile::GoMod};

use crate::{config, exit::Usage};

/// Kinds of files of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// `.info`.
    Info,
    /// `.mod`.
    Mod,
    /// `.zip`.
    Zip,
}

impl File {
    fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }
}

/// One file to fetch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Whose file.
    pub module: ModVer,
    /// Which one.
    pub file: File,
}

impl Target {
    /// All files of a version.
    pub fn all_of(module: &ModVer) -> impl Iterator<Item = Self> {
        let files = [File::Info, File::Mod, File::Zip].into_iter();
        files.map(|file| Self { module: module.clone(), file })
    }

    /// The path of its request.
    #[must_use]
    pub fn path(&self) -> String {
        let (path, version) = (self.module.path().escaped(), self.module.version().escaped());
        format!("/{path}/@v/{version}.{}", self.file.extension())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.module, self.file.extension())
    }
}

/// A version that is still to be asked for: `latest`, a branch, a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// Of which module.
    pub path: ModulePath,
    /// What stands behind the `@`.
    pub query: String,
}

impl Query {
    /// The path of its request.
    #[must_use]
    pub fn request(&self) -> String {
        let path = self.path.escaped();
        if self.query == "latest" {
            return format!("/{path}/@latest");
        }
        // As for paths: an upper-case letter is `!` and the lower-case one.
        let mut escaped = String::new();
        for letter in self.query.chars() {
            if letter.is_ascii_uppercase() {
                escaped.push('!');
            }
            escaped.push(letter.to_ascii_lowercase());
        }
        format!("/{path}/@v/{escaped}.info")
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.query)
    }
}

/// Everything to fetch, each thing once.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    targets: BTreeSet<Target>,
    queries: BTreeSet<Query>,
}

impl Plan {
    /// Reads arguments of the command line; files are found from `directory`.
    ///
    /// A go.sum gives the `.mod` for each of its go.mod lines, and `.info` and `.zip` for the
    /// others; a go.mod gives everything of each required version.
    ///
    /// # Errors
    /// A file that cannot be read, a line or argument that names no module version.
    pub fn read(what: &[String], directory: &Path) -> anyhow::Result<Self> {
        let mut plan = Self::default();
        for argument in what {
            let file = directory.join(argument);
            match Form::of(argument) {
                Form::GoSum => plan.add_go_sum(&file)?,
                Form::GoMod => plan.add_go_mod(&file)?,
                Form::Module(path, version) => plan.add_module(path, version)?,
                Form::Unknown => anyhow::bail!(Usage(format!(
                    "{argument:?} is neither a go.sum, a go.mod nor module@version"
                ))),
            }
        }
        Ok(plan)
    }

    /// Files and queries, in order.
    #[must_use]
    pub fn into_targets(self) -> (Vec<Target>, Vec<Query>) {
        (self.targets.into_iter().collect(), self.queries.into_iter().collect())
    }

    fn add_go_sum(&mut self, file: &Path) -> anyhow::Result<()> {
        let text = config::required(file)?;
        let lines = gosum::parse(&text).with_context(|| file.display().to_string())?;
        for (module, is_go_mod, _) in lines {
            let files: &[File] = if is_go_mod { &[File::Mod] } else { &[File::Info, File::Zip] };
            let targets = files.iter().map(|file| Target { module: module.clone(), file: *file });
            self.targets.extend(targets);
        }
        Ok(())
    }

    fn add_go_mod(&mut self, file: &Path) -> anyhow::Result<()> {
        let text = config::required(file)?;
        let parsed = GoMod::parse(text.as_bytes()).with_context(|| file.display().to_string())?;
        for (path, version) in parsed.require {
            self.add_module(&path, &version).with_context(|| file.display().to_string())?;
        }
        Ok(())
    }

    fn add_module(&mut self, path: &str, version: &str) -> anyhow::Result<()> {
        let path = ModulePath::parse(path).with_context(|| format!("module {path:?}"))?;
        match Version::parse(version) {
            Ok(version) if version.fits(&path) => {
                self.targets.extend(Target::all_of(&ModVer::new(path, version)?));
            }
            _ => {
                let query = Query { path, query: version.to_owned() };
                gomod::Request::parse(&query.request())
                    .with_context(|| format!("version {version:?} of {}", query.path))?;
                self.queries.insert(query);
            }
        }
        Ok(())
    }
}

/// What an argument is, by its looks.
enum Form<'a> {
    GoSum,
    GoMod,
    Module(&'a str, &'a str),
    Unknown,
}

impl<'a> Form<'a> {
    fn of(argument: &'a str) -> Self {
        let is = |extension| Path::new(argument).extension().is_some_and(|have| have == extension);
        match argument.rsplit_once('@') {
            _ if is("sum") => Self::GoSum,
            _ if is("mod") => Self::GoMod,
            Some((path, version)) => Self::Module(path, version),
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::*;

    const H1: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn planned(files: &[(&str, &str)], what: &[&str]) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir()?;
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text)?;
        }
        let what: Vec<String> = what.iter().map(|text| (*text).to_owned()).collect();
        let (targets, queries) = Plan::read(&what, folder.path())?.into_targets();
        let paths = targets.iter().map(Target::path);
        Ok(paths.chain(queries.iter().map(Query::request)).collect())
    }

    #[test]
    fn a_go_sum_gives_mod_for_go_mod_lines_and_zip_with_info_for_others() {
        let sum = format!(
            "example.com/A v1.0.0 {H1}\nexample.com/A v1.0.0/go.mod {H1}\n\
             example.com/b v0.1.0/go.mod {H1}\nexample.com/b v0.1.0/go.mod {H1}\n"
        );
        let want = [
            "/example.com/!a/@v/v1.0.0.info",
            "/example.com/!a/@v/v1.0.0.mod",
            "/example.com/!a/@v/v1.0.0.zip",
            "/example.com/b/@v/v0.1.0.mod",
        ];
        assert_eq!(planned(&[("go.sum", &sum)], &["go.sum"]).unwrap(), want);
    }

    #[test]
    fn a_go_mod_gives_everything_of_what_it_requires() {
        let text = "module m\n\nrequire (\n\texample.com/a v1.0.0\n)\n";
        let want = ["info", "mod", "zip"].map(|end| format!("/example.com/a/@v/v1.0.0.{end}"));
        assert_eq!(planned(&[("go.mod", text)], &["go.mod"]).unwrap(), want);
    }

    #[test]
    fn a_module_is_a_version_or_a_query() {
        let what = ["example.com/a@latest", "example.com/a@Main", "example.com/a@v2.0.0"];
        // v2.0.0 does not fit a path without /v2: the server may know a +incompatible one.
        let want = [
            "/example.com/a/@v/!main.info",
            "/example.com/a/@latest",
            "/example.com/a/@v/v2.0.0.info",
        ];
        assert_eq!(planned(&[], &what).unwrap(), want);
    }

    #[test]
    fn what_is_neither_is_refused() {
        for what in ["example.com/a", "none.sum", "none.mod", "@v1.0.0", "example.com/a@", "a b@v1"]
        {
            assert!(planned(&[], &[what]).is_err(), "{what}");
        }
        assert!(planned(&[("go.sum", "one two\n")], &["go.sum"]).is_err());
    }
}
