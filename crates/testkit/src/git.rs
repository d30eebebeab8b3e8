//! Repositories made by plain git commands, and a server that gives them out.
//!
//! Every command runs without the machine's settings and at fixed dates, so the names of commits
//! are the same everywhere.

use std::cell::Cell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

mod server;
mod ssh;

pub use server::{GitRequest, GitRule, GitServer};
pub use ssh::SshServer;

/// The time of the first commit of every [`GitRepo`]: 2023-11-14T22:13:20Z.
pub const FIRST_COMMIT_SECS: i64 = 1_700_000_000;

/// A repository with a work tree. Each commit and annotated tag is a minute later than the last.
#[derive(Debug)]
pub struct GitRepo {
    folder: PathBuf,
    clock: Cell<i64>,
}

impl GitRepo {
    /// Makes an empty repository, its branch called `main`.
    ///
    /// # Errors
    ///
    /// When git is absent or the folder cannot be made.
    pub fn init(folder: impl Into<PathBuf>) -> anyhow::Result<Self> {
        Self::init_with(folder, &[])
    }

    /// The same, with options of `git init` such as `--object-format=sha256`.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    pub fn init_with(folder: impl Into<PathBuf>, options: &[&str]) -> anyhow::Result<Self> {
        let repo = Self { folder: folder.into(), clock: Cell::new(FIRST_COMMIT_SECS) };
        std::fs::create_dir_all(&repo.folder)?;
        repo.git(&[&["init", "--quiet", "--initial-branch=main"], options].concat())?;
        // What a hosting service allows.
        repo.git(&["config", "uploadpack.allowFilter", "true"])?;
        repo.git(&["config", "uploadpack.allowAnySHA1InWant", "true"])?;
        // Attributes are the reader's matter: what is written is what is committed. This file goes
        // before every `.gitattributes`, and no clone takes it along.
        let info = repo.folder.join(".git/info");
        std::fs::create_dir_all(&info)?;
        let raw = "* -text !crlf !eol -ident !filter !working-tree-encoding\n";
        std::fs::write(info.join("attributes"), raw)?;
        Ok(repo)
    }

    /// The repository that was made in a folder before; its clock begins anew.
    #[must_use]
    pub fn reopen(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), clock: Cell::new(FIRST_COMMIT_SECS) }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `file://` and its folder.
    #[must_use]
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Runs git in the repository; its output without white space at the ends.
    ///
    /// # Errors
    ///
    /// When it fails, with what it said.
    pub fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.git_with(args, &[])?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Runs git with an input; its output as it is.
    ///
    /// # Errors
    ///
    /// When it fails, with what it said.
    pub fn git_with(&self, args: &[&str], input: &[u8]) -> anyhow::Result<Vec<u8>> {
        let date = format!("{} +0000", self.clock.get());
        let mut command = clean_git(&self.folder);
        command.args(args).env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("git")?;
        let mut stdin = child.stdin.take().context("git's input")?;
        let input = input.to_owned();
        let feed = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output()?;
        // git may end without having read it all.
        let _ = feed.join();
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {args:?}: {said}");
        Ok(output.stdout)
    }

    /// Writes a file of the work tree.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> anyhow::Result<&Self> {
        let path = self.folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)?;
        Ok(self)
    }

    /// Commits the whole work tree, empty or not; the commit's name.
    ///
    /// # Errors
    ///
    /// When git fails.
    pub fn commit(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all", "--force"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.tick();
        self.git(&["rev-parse", "HEAD"])
    }

    /// Puts a lightweight tag on HEAD, moving it if it is there.
    ///
    /// # Errors
    ///
    /// When git fails.
    pub fn tag(&self, name: &str) -> anyhow::Result<()> {
        self.git(&["tag", "--force", name]).map(drop)
    }

    /// Puts an annotated tag on HEAD; the tag's own name as an object.
    ///
    /// # Errors
    ///
    /// When git fails.
    pub fn annotate(&self, name: &str) -> anyhow::Result<String> {
        self.git(&["tag", "--force", "--annotate", "--message", name, name])?;
        self.tick();
        self.git(&["rev-parse", &format!("refs/tags/{name}")])
    }

    fn tick(&self) {
        self.clock.set(self.clock.get() + 60);
    }
}

/// git without the machine's and the user's settings, at home in `folder`.
pub(crate) fn clean_git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    command.env_clear().env("PATH", path).env("HOME", "/nonexistent").env("LC_ALL", "C");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_AUTHOR_NAME", "testkit").env("GIT_AUTHOR_EMAIL", "testkit@example.com");
    command.env("GIT_COMMITTER_NAME", "testkit").env("GIT_COMMITTER_EMAIL", "testkit@example.com");
    command.current_dir(folder);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_steps_make_the_same_commits() {
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            let repo = GitRepo::init(folder.path()).unwrap();
            repo.write("a/b", "x").unwrap();
            let first = repo.commit("first").unwrap();
            (first, repo.annotate("v1").unwrap())
        };
        assert_eq!(make(), make());
    }

    #[test]
    fn what_git_says_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let repo = GitRepo::init(folder.path()).unwrap();
        assert!(repo.git(&["rev-parse", "nothing"]).unwrap_err().to_string().contains("nothing"));
        assert_eq!(repo.git_with(&["hash-object", "--stdin"], b"x").unwrap().len(), 41);
    }
}
