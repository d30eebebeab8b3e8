//! Over ssh: with a program in its place that writes down how it was called, and to a real `sshd`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use policy::address::Word;
use testkit::SshServer;
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

/// A repository behind the machine's own sshd.
struct Real {
    world: World,
    server: SshServer,
    url: String,
    first: String,
}

impl Real {
    async fn new() -> Self {
        let world = World::new().await;
        let repo = world.repo("a");
        let first = repo.write("f", "over ssh").unwrap().commit("first").unwrap();
        let server = SshServer::start(world.folder.path().join("sshd")).unwrap();
        let url = format!("{}{}", server.url(), repo.folder().display());
        Self { world, server, url, first }
    }

    /// With this key, believing this file.
    fn open(&self, key: PathBuf, known_hosts: PathBuf) -> Repository {
        self.world.open_with(&self.url, Some(Credential::Ssh { key, known_hosts }))
    }

    async fn error(&self, key: PathBuf, known_hosts: PathBuf) -> Error {
        let refs = self.open(key, known_hosts).refs(Freshness::Now).await;
        refs.expect_err(&self.server.log())
    }
}

#[tokio::test]
async fn a_real_sshd_gives_out_what_its_key_may_read() {
    let real = Real::new().await;
    let remote = real.open(real.server.key(), real.server.known_hosts().unwrap());
    let found = remote.commit("main", Freshness::Now).await;
    let found = found.unwrap_or_else(|error| panic!("{error}\n{}", real.server.log()));
    assert_eq!(found.unwrap().id.as_str(), real.first);
    let snapshot = remote.snapshot(&id(&real.first), "").await.unwrap();
    assert_eq!(snapshot.content(&snapshot.entries()[0]).unwrap(), "over ssh");
    // What ssh learns of hosts it keeps to itself.
    let known = fs::read_to_string(real.server.known_hosts().unwrap()).unwrap();
    assert_eq!(known.lines().count(), 1, "{known}");
}

#[tokio::test]
async fn a_key_that_is_not_let_in_is_a_refused_credential() {
    let real = Real::new().await;
    let stranger = real.server.stranger("stranger").unwrap();
    let missing = real.world.folder.path().join("no-such-key");
    for key in [stranger, missing] {
        let error = real.error(key.clone(), real.server.known_hosts().unwrap()).await;
        assert!(matches!(error, Error::Refused { .. }), "{key:?}: {error:?}");
        assert!(error.to_string().contains("Permission denied (publickey)"), "{key:?}: {error}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_the_known_one_gets_nothing() {
    let real = Real::new().await;
    // Another server's key for this address; no key for it; no file at all.
    let other = real.server.stranger("other").unwrap();
    let changed = real.server.known_by("changed", &other).unwrap();
    let empty = real.world.folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let missing = real.world.folder.path().join("no-such-file");
    for (known_hosts, told) in
        [(changed, "has changed"), (empty, "No ED25519 host key is known"), (missing, "No ED25519")]
    {
        let error = real.error(real.server.key(), known_hosts.clone()).await;
        assert!(matches!(error, Error::Unavailable { .. }), "{known_hosts:?}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(told), "{known_hosts:?}: {text}");
        assert!(text.contains("you have requested strict checking"), "{known_hosts:?}: {text}");
    }
    assert!(!real.server.log().contains("Accepted publickey"), "{}", real.server.log());
}

#[tokio::test]
async fn without_a_key_nobody_is_believed_and_nothing_is_offered() {
    let real = Real::new().await;
    let error = real.world.open(&real.url).refs(Freshness::Now).await.unwrap_err();
    assert!(error.to_string().contains("No ED25519 host key is known"), "{error}");
}

#[tokio::test]
async fn a_key_that_others_may_read_is_not_used() {
    let real = Real::new().await;
    fs::set_permissions(real.server.key(), fs::Permissions::from_mode(0o644)).unwrap();
    let error = real.error(real.server.key(), real.server.known_hosts().unwrap()).await;
    assert!(error.to_string().contains("are too open"), "{error}");
}
