//! Over ssh, with a program in its place that writes down how it was called.

use std::{fs, os::unix::fs::PermissionsExt as _};

use policy::address::Word;
use vcs::{Config, Credential, Error, Freshness, Git, Place, Remote, RemoteUrl, Repository};

use crate::world::{ALL, World, id, name};

struct Ssh {
    world: World,
    git: Git,
}

impl Ssh {
    /// `script` stands for ssh; `$@` are its arguments, the last one the command.
    async fn new(script: &str) -> Self {
        let world = World::new().await;
        let bin = world.folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("ssh"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", bin.display()).into();
        let place = Place { path: Some(path), ..Place::at(world.folder.path().join("ssh-git")) };
        let git = Git::open(Config::default(), place).await.unwrap();
        Self { world, git }
    }

    fn open(&self, url: &str, credential: Option<Credential>) -> Repository {
        let url = RemoteUrl::parse(url, ALL).unwrap();
        self.git.repository(Remote { url, credential, word: Word::Operator })
    }
}

fn key() -> Credential {
    Credential::Ssh { key: "/keys/id".into(), known_hosts: "/keys/known".into() }
}

#[tokio::test]
async fn ssh_is_called_with_one_key_one_address_and_no_settings() {
    let ssh =
        Ssh::new("printf '%s\\n' \"$@\" >> ~/../asked; for last; do :; done; eval \"$last\"").await;
    let repo = ssh.world.repo("a");
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    let url = format!("ssh://git@localhost:2222{}", repo.folder().display());
    let remote = ssh.open(&url, Some(key()));
    assert_eq!(name(&remote, "main").await.as_deref(), Some(first.as_str()));
    assert_eq!(remote.snapshot(&id(&first), "").await.unwrap().entries().len(), 1);
    let asked = fs::read_to_string(ssh.world.folder.path().join("ssh-git/asked")).unwrap();
    for wanted in [
        "-F\n/dev/null\n",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "IdentityFile=\"/keys/id\"",
        "UserKnownHostsFile=\"/keys/known\"",
        "HostKeyAlias=[localhost]:2222",
        "-p\n2222\n",
        "git@localhost\n",
    ] {
        assert!(asked.contains(wanted), "{wanted} in {asked}");
    }
    assert!(asked.contains("HostName=127.0.0.1") || asked.contains("HostName=::1"), "{asked}");
}

#[tokio::test]
async fn what_ssh_says_is_understood() {
    for (said, refused) in [
        ("git@localhost: Permission denied (publickey).", true),
        ("ERROR: Repository not found.", true),
        ("remote: ERROR: The project you were looking for could not be found", true),
        ("Host key verification failed.", false),
        ("ssh: connect to host localhost port 22: Connection refused", false),
    ] {
        let ssh = Ssh::new(&format!("echo '{said}' >&2; exit 255")).await;
        match ssh.open("ssh://git@localhost/a", Some(key())).refs(Freshness::Now).await {
            Err(Error::Refused { .. }) => assert!(refused, "{said}"),
            Err(Error::Unavailable { reason, .. }) => {
                assert!(!refused && said.contains(&reason), "{said}: {reason}");
            }
            other => panic!("{said}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn addresses_and_ports_are_judged_before_ssh_is_called() {
    let ssh = Ssh::new("touch ~/../called").await;
    for (url, word) in [
        ("ssh://git@127.0.0.1/a", Word::Discovered),
        ("ssh://git@169.254.169.254/a", Word::Operator),
        ("ssh://git@8.8.8.8:2222/a", Word::Discovered),
    ] {
        let url = RemoteUrl::parse(url, ALL).unwrap();
        let remote = ssh.git.repository(Remote { url, credential: None, word });
        let refused = remote.refs(Freshness::Now).await;
        assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");
    }
    assert!(!ssh.world.folder.path().join("ssh-git/called").exists());
}
