//! The real `go` command, in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context;

/// An installed Go release.
#[derive(Debug, Clone)]
pub struct Go {
    root: PathBuf,
    version: String,
}

impl Go {
    /// The Go on PATH, then those of `LARDER_E2E_GO`.
    ///
    /// # Errors
    ///
    /// When one of them does not run.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let asked =
            Command::new("go").args(["env", "GOROOT"]).output().context("`go` must be on PATH")?;
        let mut roots = vec![PathBuf::from(String::from_utf8(asked.stdout)?.trim())];
        let more = std::env::var_os("LARDER_E2E_GO").unwrap_or_default();
        roots.extend(std::env::split_paths(&more).filter(|root| !root.as_os_str().is_empty()));
        roots.into_iter().map(Self::at).collect()
    }

    fn at(root: PathBuf) -> anyhow::Result<Self> {
        let file = root.join("VERSION");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        let version =
            text.split_whitespace().next().context("VERSION names the release")?.to_owned();
        Ok(Self { root, version })
    }

    /// `go1.26.8`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A user of this release with an empty module cache below `home`, and a module proxy.
    ///
    /// Compiled packages are shared among all tests (they are keyed by content), modules are not.
    ///
    /// # Errors
    ///
    /// When a folder cannot be made.
    pub fn client(&self, home: &Path, proxy: &str) -> anyhow::Result<Client> {
        let home = tempfile::Builder::new().prefix(&self.version).tempdir_in(home)?.keep();
        let compiled = crate::target()?.join("e2e").join(format!("compiled-{}", self.version));
        let system = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{system}", self.root.join("bin").display());
        let text = |path: PathBuf| path.display().to_string();
        let variables = [
            ("HOME", text(home.clone())),
            ("PATH", path),
            ("GOROOT", text(self.root.clone())),
            ("GOPATH", text(home.join("go"))),
            ("GOCACHE", text(compiled)),
            ("GOENV", "off".to_owned()),
            ("GOTOOLCHAIN", "local".to_owned()),
            ("GOFLAGS", "-mod=mod -modcacherw".to_owned()),
            ("GOPROXY", proxy.to_owned()),
            ("GOSUMDB", "off".to_owned()),
            ("CGO_ENABLED", "0".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Ok(Client { go: self.root.join("bin/go"), home, variables })
    }
}

/// A user of the `go` command.
#[derive(Debug, Clone)]
pub struct Client {
    go: PathBuf,
    home: PathBuf,
    variables: Vec<(String, String)>,
}

impl Client {
    /// Sets a variable, over one of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where `go install` puts programs.
    #[must_use]
    pub fn installed(&self, program: &str) -> PathBuf {
        self.home.join("go/bin").join(program)
    }

    /// A project in the user's home that prints the `Version` of each package it imports.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn project(&self, requires: &[(&str, &str)]) -> anyhow::Result<Project> {
        let folder = self.home.join("project");
        std::fs::create_dir_all(&folder)?;
        let lines: String = requires
            .iter()
            .flat_map(|(module, version)| ["require ", module, " ", version, "\n"])
            .collect();
        std::fs::write(
            folder.join("go.mod"),
            format!("module example.org/project\n\ngo 1.21\n\n{lines}"),
        )?;
        let project = Project { client: self.clone(), folder };
        let packages: Vec<_> = requires.iter().map(|(module, _)| *module).collect();
        project.imports(&packages)?;
        Ok(project)
    }

    /// Runs `go` in a folder.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn output(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(&self.go);
        command.args(arguments).current_dir(folder).env_clear().envs(variables);
        command.output().with_context(|| format!("starting {}", self.go.display()))
    }

    /// Runs `go` in the user's home and returns what it said.
    ///
    /// # Errors
    ///
    /// When it fails; the error holds what it said.
    pub fn go(&self, arguments: &[&str]) -> anyhow::Result<String> {
        crate::succeeded(
            &self.output(&self.home, arguments)?,
            &format!("go {}", arguments.join(" ")),
        )
    }
}

/// A folder with a go.mod and a main program.
#[derive(Debug)]
pub struct Project {
    client: Client,
    folder: PathBuf,
}

impl Project {
    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets the program import these packages and print their `Version`s.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn imports(&self, packages: &[&str]) -> anyhow::Result<()> {
        let numbered = || packages.iter().enumerate();
        // No package of Go's own library: compiling that would be most of the test.
        let imports: String = numbered()
            .map(|(at, package)| format!("import p{at} \"{package}\"\n"))
            .collect::<Vec<_>>()
            .concat();
        let prints: String = numbered()
            .map(|(at, _)| format!("\tprintln(p{at}.Version)\n"))
            .collect::<Vec<_>>()
            .concat();
        std::fs::write(
            self.folder.join("main.go"),
            format!("package main\n\n{imports}\nfunc main() {{\n{prints}}}\n"),
        )?;
        Ok(())
    }

    /// Runs `go` in the project and returns what it said.
    ///
    /// # Errors
    ///
    /// When it fails; the error holds what it said.
    pub fn go(&self, arguments: &[&str]) -> anyhow::Result<String> {
        crate::succeeded(
            &self.client.output(&self.folder, arguments)?,
            &format!("go {}", arguments.join(" ")),
        )
    }

    /// Builds the program, runs it and returns what it printed.
    ///
    /// # Errors
    ///
    /// When a step fails.
    pub fn build_and_run(&self) -> anyhow::Result<String> {
        self.go(&["build", "-o", "program", "."])?;
        let output = Command::new(self.folder.join("program"))
            .output()
            .context("starting the built program")?;
        crate::succeeded(&output, "the built program")
    }

    /// The text of go.mod.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn go_mod(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.join("go.mod"))?)
    }
}
