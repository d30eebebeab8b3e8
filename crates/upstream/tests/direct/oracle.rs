//! What the `go` command says in direct mode.

use std::{fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};

use crate::{Case, builder::Made};

/// Modules that one `go` process is asked for at once.
const MODULES_AT_ONCE: usize = 40;

/// One answer, by whoever it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) module: String,
    /// `list` for the list of versions, `latest`, or a version, branch or hash.
    pub(crate) query: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) versions: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// `h1:` of the go.mod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) go_mod: String,
    /// `h1:` of the zip.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) zip: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) error: String,
}

/// Where a version comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Origin {
    #[serde(rename = "VCS")]
    vcs: String,
    #[serde(rename = "URL")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subdir: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hash: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tag_prefix: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tag_sum: String,
    #[serde(rename = "Ref", skip_serializing_if = "String::is_empty")]
    reference: String,
}

impl Origin {
    /// Without what depends on what was asked for before: of a list `go` adds the sum of its tags,
    /// and of a hash it tells the ref only when it had to fetch it.
    pub(crate) fn settled(mut self, query: &str, version: &str) -> Self {
        let is_hash = query.len() >= 7 && query.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash || query == "latest" {
            self.reference.clear();
        }
        let is_version = |text: &str| gomod::Version::parse(text).is_ok();
        let is_pseudo = gomod::Version::parse(version).is_ok_and(|version| version.is_pseudo());
        if is_pseudo && is_version(query) {
            // As `go` keeps it in its cache; what it prints was not cleaned.
            self.reference.clear();
        }
        if query == "latest" || is_version(query) || !is_pseudo {
            self.tag_prefix.clear();
            self.tag_sum.clear();
        }
        self
    }
}

/// What `go mod download -json` prints.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Download {
    version: String,
    info: String,
    sum: String,
    go_mod_sum: String,
    origin: Option<Origin>,
    error: String,
}

/// What `go list -m -json` prints.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Listing {
    versions: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InfoFile {
    time: String,
}

/// The `go` command with the repositories of a folder in GitHub's place.
pub(crate) struct Go<'a> {
    folder: &'a Path,
}

impl<'a> Go<'a> {
    /// `None` where there is no `go` whose rules are those of the golden answers.
    pub(crate) fn find(folder: &'a Path) -> Option<Self> {
        let output = Command::new("go").args(["env", "GOVERSION"]).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // Older ones have other rules for vendored files and no SHA-256.
        let minor: u32 = version.strip_prefix("go1.")?.split('.').next()?.parse().ok()?;
        if minor < 25 {
            return None;
        }
        let config =
            format!("[url \"file://{}/\"]\n\tinsteadOf = https://github.com/\n", folder.display());
        fs::write(folder.join("gitconfig"), config).unwrap();
        fs::create_dir_all(folder.join("empty")).unwrap();
        Some(Self { folder })
    }

    fn command(&self, cache: &str) -> Command {
        let mut go = Command::new("go");
        go.current_dir(self.folder.join("empty"))
            .env("GIT_CONFIG_GLOBAL", self.folder.join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GOMODCACHE", self.folder.join(cache))
            .env("GOFLAGS", "-mod=mod -modcacherw")
            .env("GOPROXY", "direct")
            .env("GOSUMDB", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env("GOENV", "off")
            .env("LC_ALL", "C")
            .env_remove("GOPRIVATE")
            .env_remove("GOVCS");
        go
    }

    /// The answers to everything that a case asks.
    ///
    /// Each kind of query has a module cache of its own, for an answer may hang on what was asked
    /// for before.
    pub(crate) fn answers(&self, cases: &[(Case, Made)]) -> Vec<Answer> {
        let mut asked = Vec::new();
        for (case, made) in cases {
            for (module, queries) in &case.asked {
                for query in queries {
                    asked.push((module.clone(), made.fill(query)));
                }
            }
        }
        let mut answers = Vec::new();
        let is_version = |query: &str| gomod::Version::parse(query).is_ok();
        for (cache, wanted) in [("cache-versions", true), ("cache-revisions", false)] {
            let asked = asked.iter().filter(|(_, query)| {
                !matches!(query.as_str(), "list" | "latest") && is_version(query) == wanted
            });
            answers.extend(self.download(cache, &asked.collect::<Vec<_>>()));
        }
        let latest: Vec<_> = asked.iter().filter(|(_, query)| query == "latest").collect();
        answers.extend(self.download("cache-latest", &latest));
        let list = asked.iter().filter(|(_, query)| query == "list");
        answers.extend(list.map(|(module, _)| self.list(module)));
        answers
    }

    fn download(&self, cache: &str, asked: &[&(String, String)]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for some in asked.chunks(MODULES_AT_ONCE) {
            let mut go = self.command(cache);
            go.args(["mod", "download", "-json"]);
            go.args(some.iter().map(|(module, query)| format!("{module}@{query}")));
            let output = go.output().unwrap();
            let stream = serde_json::Deserializer::from_slice(&output.stdout);
            let found: Vec<Download> = stream.into_iter().map(Result::unwrap).collect();
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(found.len(), some.len(), "{some:?}: {told}");
            for ((module, query), found) in some.iter().zip(found) {
                answers.push(self.answer(module, query, found));
            }
        }
        answers
    }

    fn answer(&self, module: &str, query: &str, found: Download) -> Answer {
        // The path of the go command's own cache is in texts of git.
        let error = found.error.replace(&self.folder.display().to_string(), "FOLDER");
        let mut answer = Answer {
            module: module.to_owned(),
            query: query.to_owned(),
            error,
            ..Answer::default()
        };
        if found.info.is_empty() {
            return answer;
        }
        let info: InfoFile = serde_json::from_slice(&fs::read(found.info).unwrap()).unwrap();
        answer.origin = found.origin.map(|origin| origin.settled(query, &found.version));
        answer.version = found.version;
        answer.time = info.time;
        answer.zip = found.sum;
        answer.go_mod = found.go_mod_sum;
        answer
    }

    fn list(&self, module: &str) -> Answer {
        let mut go = self.command("cache-list");
        let args = ["list", "-m", "-e", "-versions", "-retracted", "-json"];
        let output = go.args(args).arg(format!("{module}@latest")).output().unwrap();
        let listing: Listing = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let (module, query) = (module.to_owned(), "list".to_owned());
        Answer { module, query, versions: listing.versions, ..Answer::default() }
    }
}
