//! The folder of bare repositories: what of the corpus it can tell.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::rows::Row;

/// A folder with OWNER/NAME.git in it. Nothing is written there.
#[derive(Debug)]
pub(crate) struct Mirrors {
    folder: PathBuf,
}

/// A row that cannot be checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) row: Row,
    pub(crate) why: Why,
}

/// Why it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    NoRepository,
    NoRevision,
    /// The tag is another commit here than when the hash was published.
    Elsewhere(String),
    /// Only pull requests lead to the commit by now: `go` finds no such revision either.
    BehindNothing,
    /// So many of its files are not there: snapshots of repositories may leave large ones out.
    NotWhole(usize),
}

impl Mirrors {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        ensure!(folder.is_dir(), "{} is no folder", folder.display());
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the repository is, there or not.
    pub(crate) fn path(&self, repo: &str) -> PathBuf {
        self.folder.join(format!("{repo}.git"))
    }

    /// Parts the rows that can be checked from the others; the order stays.
    pub(crate) fn sort_out(&self, rows: Vec<Row>) -> anyhow::Result<(Vec<Row>, Vec<Skipped>)> {
        let mut of_repository = BTreeMap::<String, Vec<Row>>::new();
        for row in rows {
            of_repository.entry(row.repo.clone()).or_default().push(row);
        }
        let (mut checkable, mut skipped) = (Vec::new(), Vec::new());
        for (repo, rows) in of_repository {
            let verdicts = self.judge(&repo, &rows).with_context(|| repo.clone())?;
            for (row, why) in rows.into_iter().zip(verdicts) {
                match why {
                    None => checkable.push(row),
                    Some(why) => skipped.push(Skipped { row, why }),
                }
            }
        }
        Ok((checkable, skipped))
    }

    fn judge(&self, repo: &str, rows: &[Row]) -> anyhow::Result<Vec<Option<Why>>> {
        if !self.path(repo).is_dir() {
            return Ok(vec![Some(Why::NoRepository); rows.len()]);
        }
        let names = rows.iter().map(|row| {
            // What the row was hashed from: a branch of the tag's name is something else.
            let tag = if row.module.version().is_pseudo() { "" } else { "refs/tags/" };
            format!("{tag}{}^{{commit}}\n", row.rev)
        });
        let names: String = names.collect();
        let found = self.git(repo, &["cat-file", "--batch-check"], &names)?;
        ensure!(found.lines().count() == rows.len(), "git cat-file said {found:?}");
        let verdicts = found.lines().zip(rows).map(|(line, row)| match verdict(line, row) {
            None => self.lacks(row).with_context(|| row.module.to_string()),
            Some(why) => Ok(Some(why)),
        });
        verdicts.collect()
    }

    /// Whether larder could make this version at all, from here.
    fn lacks(&self, row: &Row) -> anyhow::Result<Option<Why>> {
        let Row { repo, commit, .. } = row;
        if row.module.version().is_pseudo() {
            let list =
                ["for-each-ref", "--count=1", "--contains", commit, "refs/heads", "refs/tags"];
            if self.git(repo, &list, "")?.is_empty() {
                return Ok(Some(Why::BehindNothing));
            }
        }
        let folder = if row.folder == "." { "" } else { &row.folder };
        let tree = format!("{commit}:{folder}");
        let list = ["rev-list", "--objects", "--no-walk", "--missing=print", &tree];
        let list = self.git(repo, &list, "")?;
        let missing = list.lines().filter(|line| line.starts_with('?')).count();
        Ok((missing > 0).then_some(Why::NotWhole(missing)))
    }

    fn git(&self, repo: &str, args: &[&str], input: &str) -> anyhow::Result<String> {
        let mut child = Command::new("git")
            .env("GIT_DIR", self.path(repo))
            .env("GIT_NO_LAZY_FETCH", "1")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("git is needed")?;
        let stdin = child.stdin.take();
        let written = std::thread::scope(|scope| {
            let written = scope.spawn(move || stdin.map(|mut to| to.write_all(input.as_bytes())));
            (child.wait_with_output(), written.join())
        });
        let output = written.0?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {}: {}", args.join(" "), said.trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn verdict(line: &str, row: &Row) -> Option<Why> {
    match line.split_once(' ') {
        Some((commit, kind)) if kind.starts_with("commit ") => {
            let same = commit.starts_with(&row.commit);
            (!same).then(|| Why::Elsewhere(commit.chars().take(12).collect()))
        }
        _ => Some(Why::NoRevision),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    /// A folder with `Owner/name.git`: a commit with `sub/file`, tagged `sub/v1.2.0`.
    fn folder() -> (tempfile::TempDir, Mirrors, Row) {
        let folder = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(folder.path()).unwrap();
        let path = mirrors.path("Owner/name");
        std::fs::create_dir_all(&path).unwrap();
        let git = |args: &[&str], input: &str| mirrors.git("Owner/name", args, input).unwrap();
        git(&["init", "--quiet", "--bare"], "");
        let blob = git(&["hash-object", "-w", "--stdin"], "text");
        let tree = git(&["mktree"], &format!("100644 blob {}\tfile\n", blob.trim()));
        let tree = git(&["mktree"], &format!("040000 tree {}\tsub\n", tree.trim()));
        let who =
            ["-c", "user.name=n", "-c", "user.email=e", "commit-tree", "-m", "m", tree.trim()];
        let commit = git(&who, "").trim().to_owned();
        git(&["tag", "sub/v1.2.0", &commit], "");
        let row = rows::parse(rows::tests::LINE).unwrap().remove(0);
        let row = Row { commit: commit.chars().take(12).collect(), ..row };
        (folder, mirrors, row)
    }

    fn why(mirrors: &Mirrors, row: &Row) -> Option<Why> {
        let (_, skipped) = mirrors.sort_out(vec![row.clone()]).unwrap();
        skipped.into_iter().next().map(|skipped| skipped.why)
    }

    #[test]
    fn only_rows_whose_tag_is_the_published_commit_are_checked() {
        let (_folder, mirrors, row) = folder();
        assert_eq!(why(&mirrors, &row), None);
        let elsewhere = Row { commit: "0123456789ab".to_owned(), ..row.clone() };
        assert_eq!(why(&mirrors, &elsewhere), Some(Why::Elsewhere(row.commit.clone())));
        let untagged = Row { rev: "sub/v1.3.0".to_owned(), ..row.clone() };
        assert_eq!(why(&mirrors, &untagged), Some(Why::NoRevision));
        let absent = Row { repo: "Owner/other".to_owned(), ..row };
        assert_eq!(why(&mirrors, &absent), Some(Why::NoRepository));
    }

    #[test]
    fn a_branch_or_a_commit_is_no_tag() {
        let (_folder, mirrors, row) = folder();
        let branch = ["branch", "sub/v1.3.0", &row.commit];
        mirrors.git("Owner/name", &branch, "").unwrap();
        for rev in ["sub/v1.3.0", &row.commit] {
            let row = Row { rev: rev.to_owned(), ..row.clone() };
            assert_eq!(why(&mirrors, &row), Some(Why::NoRevision));
        }
    }

    #[test]
    fn versions_whose_files_or_commits_are_gone_are_not_checked() {
        let (folder, mirrors, row) = folder();
        let commit = row.commit.clone();
        let pseudo = format!("v0.0.0-20260102030405-{commit}");
        let module = gomod::ModVer::new(row.module.path().clone(), pseudo.parse().unwrap());
        let pseudo = Row { module: module.unwrap(), rev: commit.clone(), ..row.clone() };
        assert_eq!(why(&mirrors, &pseudo), None);
        let git = |args: &[&str]| mirrors.git("Owner/name", args, "").unwrap();
        git(&["update-ref", "refs/pull/1/head", &commit]);
        git(&["tag", "--delete", "sub/v1.2.0"]);
        assert_eq!(why(&mirrors, &pseudo), Some(Why::BehindNothing));
        git(&["tag", "sub/v1.2.0", &commit]);
        let blob = git(&["rev-parse", "sub/v1.2.0:sub/file"]);
        let (first, rest) = blob.trim().split_at(2);
        let objects = folder.path().join("Owner/name.git/objects");
        std::fs::remove_file(objects.join(first).join(rest)).unwrap();
        assert_eq!(why(&mirrors, &row), Some(Why::NotWhole(1)));
    }
}
