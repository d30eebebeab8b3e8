//! Git repositories out of thin air: one `git fast-import` each, with fixed names and dates.
//!
//! The same input makes the same hashes on every machine, so answers about them can be committed.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// The first commit's time, 2020-01-02T03:04:05Z; each next one is a day later.
const FIRST: u64 = 1_577_934_245;
const DAY: u64 = 86_400;

/// A repository in the making.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    /// Below `github.com/oracle/`.
    pub(crate) name: String,
    stream: Vec<u8>,
    commits: u64,
    head: String,
    sha256: bool,
}

/// What lies at a path.
#[derive(Debug, Clone)]
pub(crate) enum Blob<'a> {
    File(&'a [u8]),
    Executable(&'a [u8]),
    Symlink(&'a str),
    /// A submodule.
    Gitlink,
    Gone,
}

/// Path and content of a plain file.
pub(crate) fn file<'a>(path: &'a str, text: &'a str) -> (&'a [u8], Blob<'a>) {
    (path.as_bytes(), Blob::File(text.as_bytes()))
}

pub(crate) fn symlink<'a>(path: &'a str, target: &'a str) -> (&'a [u8], Blob<'a>) {
    (path.as_bytes(), Blob::Symlink(target))
}

pub(crate) fn gone(path: &str) -> (&[u8], Blob<'_>) {
    (path.as_bytes(), Blob::Gone)
}

/// What is known of a repository once it is made.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Hash of each commit, from 1.
    hashes: BTreeMap<u64, String>,
}

impl Made {
    /// Fills in `{1}` (the hash of commit 1), `{1:7}` (its first digits) and `{1@}` (its time, as
    /// pseudo-versions have it).
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (word, after) = behind.split_once('}').unwrap();
            filled.push_str(before);
            filled.push_str(&self.word(word));
            rest = after;
        }
        filled + rest
    }

    fn word(&self, word: &str) -> String {
        let hash = |number: &str| self.hashes[&number.parse::<u64>().unwrap()].clone();
        if let Some((number, digits)) = word.split_once(':') {
            return hash(number)[..digits.parse().unwrap()].to_owned();
        }
        let Some(number) = word.strip_suffix('@') else { return hash(word) };
        let number: u64 = number.parse().unwrap();
        // Days of January 2020, as many as any repository has.
        assert!(number < 30);
        format!("202001{:02}030405", number + 1)
    }
}

impl Repo {
    pub(crate) fn new(name: &str) -> Self {
        let (name, head) = (name.to_owned(), "main".to_owned());
        Self { name, stream: Vec::new(), commits: 0, head, sha256: false }
    }

    /// A repository whose objects are named by SHA-256.
    pub(crate) fn sha256(mut self) -> Self {
        self.sha256 = true;
        self
    }

    /// What HEAD names, `main` by default; perhaps nothing.
    pub(crate) fn head(mut self, branch: &str) -> Self {
        branch.clone_into(&mut self.head);
        self
    }

    /// The next commit, on `main`; what is not named stays as it was.
    pub(crate) fn commit(self, files: &[(&[u8], Blob<'_>)]) -> Self {
        self.commit_on("main", None, files)
    }

    /// The next commit, on this branch, after another commit than the branch's last.
    pub(crate) fn commit_on(
        mut self,
        branch: &str,
        after: Option<u64>,
        files: &[(&[u8], Blob<'_>)],
    ) -> Self {
        self.commits += 1;
        let (number, time) = (self.commits, FIRST + (self.commits - 1) * DAY);
        // Author and committer differ, in time and zone: only one of them counts.
        self.line(&format!("commit refs/heads/{branch}\nmark :{number}"));
        self.line(&format!("author A <a@example.com> {} +0700", time - 3600));
        self.line(&format!("committer C <c@example.com> {time} -0330"));
        self.data(format!("commit {number}").as_bytes());
        if let Some(after) = after {
            self.line(&format!("from :{after}"));
        }
        for (path, blob) in files {
            self.blob(path, blob);
        }
        self.line("");
        self
    }

    /// The next commit, on `main`, which holds nothing but these files.
    pub(crate) fn tree(self, files: &[(&[u8], Blob<'_>)]) -> Self {
        let mut repo = self.commit(&[]);
        // The commit just written ends in an empty line: what follows still belongs to it.
        repo.stream.pop();
        repo.line("deleteall");
        for (path, blob) in files {
            repo.blob(path, blob);
        }
        repo.line("");
        repo
    }

    /// The next commit, on `main`, with another branch's last as second parent.
    pub(crate) fn merge(mut self, branch: &str) -> Self {
        self.commits += 1;
        let (number, time) = (self.commits, FIRST + (self.commits - 1) * DAY);
        self.line(&format!("commit refs/heads/main\nmark :{number}"));
        self.line(&format!("committer C <c@example.com> {time} +0000"));
        self.data(b"merge");
        self.line(&format!("merge refs/heads/{branch}\n"));
        self
    }

    /// A lightweight tag on the last commit.
    pub(crate) fn tag(self, name: &str) -> Self {
        let last = self.commits;
        self.reference(&format!("refs/tags/{name}"), last)
    }

    pub(crate) fn tags(self, names: &[&str]) -> Self {
        names.iter().fold(self, |repo, name| repo.tag(name))
    }

    /// Any ref on a commit.
    pub(crate) fn reference(mut self, name: &str, commit: u64) -> Self {
        self.line(&format!("reset {name}\nfrom :{commit}\n"));
        self
    }

    /// An annotated tag on the last commit, made years later.
    pub(crate) fn annotated(mut self, name: &str) -> Self {
        let last = self.commits;
        self.line(&format!("tag {name}\nfrom :{last}"));
        self.line("tagger T <t@example.com> 1700000000 +0000");
        self.data(b"tag");
        self
    }

    fn blob(&mut self, path: &[u8], blob: &Blob<'_>) {
        let mode = match blob {
            Blob::File(_) => "100644",
            Blob::Executable(_) => "100755",
            Blob::Symlink(_) => "120000",
            Blob::Gitlink => "160000",
            Blob::Gone => {
                self.stream.extend_from_slice(b"D ");
                self.path(path);
                return;
            }
        };
        let inline = if matches!(blob, Blob::Gitlink) {
            "1".repeat(if self.sha256 { 64 } else { 40 })
        } else {
            "inline".to_owned()
        };
        self.stream.extend_from_slice(format!("M {mode} {inline} ").as_bytes());
        self.path(path);
        match blob {
            Blob::File(bytes) | Blob::Executable(bytes) => self.data(bytes),
            Blob::Symlink(target) => self.data(target.as_bytes()),
            Blob::Gitlink | Blob::Gone => {}
        }
    }

    /// A path in C quotes, so that any byte can stand in it.
    fn path(&mut self, path: &[u8]) {
        self.stream.push(b'"');
        for byte in path {
            self.stream.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        }
        self.stream.extend_from_slice(b"\"\n");
    }

    fn line(&mut self, line: &str) {
        self.stream.extend_from_slice(line.as_bytes());
        self.stream.push(b'\n');
    }

    fn data(&mut self, bytes: &[u8]) {
        self.line(&format!("data {}", bytes.len()));
        self.stream.extend_from_slice(bytes);
        self.stream.push(b'\n');
    }

    /// Makes it as `folder/oracle/<name>`, bare.
    pub(crate) fn make(&self, folder: &Path) -> Made {
        let path = folder.join("oracle").join(&self.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let format = if self.sha256 { "sha256" } else { "sha1" };
        let init = [
            "init",
            "--quiet",
            "--bare",
            &format!("--object-format={format}"),
            &format!("--initial-branch={}", self.head),
        ];
        run(git(folder).args(init).arg(&path), b"");
        // Hosts offer this, and larder fetches as it would from them.
        let offers = "[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n";
        let mut config = fs::OpenOptions::new().append(true).open(path.join("config")).unwrap();
        config.write_all(offers.as_bytes()).unwrap();
        let marks = path.join("marks");
        let export = format!("--export-marks={}", marks.display());
        run(git(&path).args(["fast-import", "--quiet", "--force", &export]), &self.stream);
        let hashes = fs::read_to_string(marks).unwrap();
        let hash = |line: &str| {
            let (mark, hash) = line.strip_prefix(':')?.split_once(' ')?;
            Some((mark.parse().ok()?, hash.to_owned()))
        };
        Made { hashes: hashes.lines().filter_map(hash).collect() }
    }
}

/// Git without anybody's settings.
pub(crate) fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C");
    git
}

pub(crate) fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
