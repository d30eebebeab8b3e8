//! A folder of repositories, and this room beside it.

use std::path::PathBuf;

use policy::address::Word;
use tempfile::TempDir;
use testkit::{GitRepo, GitServer};
use vcs::{
    Commit, Config, Credential, Freshness, Git, ObjectId, Place, Protocols, Remote, RemoteUrl,
    Repository,
};

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) git: Git,
}

pub(crate) const ALL: Protocols = Protocols { http: true, file: true };

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::open(config, Place::at(folder.path().join("git"))).await.unwrap();
        Self { folder, git }
    }

    /// The same folder of mirrors, after a restart.
    pub(crate) async fn restart(&mut self) {
        let place = Place::at(self.folder.path().join("git"));
        self.git = Git::open(Config::default(), place).await.unwrap();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("repos")
    }

    pub(crate) fn repo(&self, name: &str) -> GitRepo {
        GitRepo::init(self.root().join(name)).unwrap()
    }

    pub(crate) fn serve(&self) -> GitServer {
        std::fs::create_dir_all(self.root()).unwrap();
        GitServer::start(self.root()).unwrap()
    }

    pub(crate) fn open(&self, url: &str) -> Repository {
        self.open_with(url, None)
    }

    pub(crate) fn open_with(&self, url: &str, credential: Option<Credential>) -> Repository {
        let url = RemoteUrl::parse(url, ALL).unwrap();
        self.git.repository(Remote { url, credential, word: Word::Operator })
    }

    /// The folder of the only mirror.
    pub(crate) fn mirror(&self) -> PathBuf {
        let all = std::fs::read_dir(self.folder.path().join("git")).unwrap();
        let mut all = all.map(|entry| entry.unwrap().path());
        let is_mirror = |path: &PathBuf| path.join("config").exists();
        all.find(is_mirror).expect("a mirror")
    }
}

pub(crate) async fn commit(repository: &Repository, revision: &str) -> Option<Commit> {
    repository.commit(revision, Freshness::Now).await.unwrap()
}

/// The commit's name.
pub(crate) async fn name(repository: &Repository, revision: &str) -> Option<String> {
    commit(repository, revision).await.map(|commit| commit.id.to_string())
}

pub(crate) fn id(hex: &str) -> ObjectId {
    ObjectId::parse(hex).unwrap()
}
