//! What git is told, seen from a program in its place.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use secrecy::SecretString;
use testkit::GitRule;
use vcs::{Config, Credential, Freshness, Git, Place, Remote};

use crate::world::{ALL, World, commit, id};

/// git, with a note of every call's arguments and environment.
fn watched(world: &World) -> (PathBuf, PathBuf) {
    let (program, notes) =
        (world.folder.path().join("watched-git"), world.folder.path().join("notes"));
    let script = format!(
        "#!/bin/sh\nprintf 'ARGS %s\\n' \"$@\" >> {0}\nenv | sed 's/^/ENV /' >> {0}\nexec git \"$@\"\n",
        notes.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program, notes)
}

#[tokio::test]
async fn arguments_are_constants_and_the_environment_is_ours() {
    let world = World::new().await;
    let repo = world.repo("secret-name");
    repo.write("f", "x").unwrap();
    repo.write(".gitattributes", "f working-tree-encoding=UTF-16\n").unwrap();
    let first = repo.commit("first").unwrap();
    repo.tag("v1.0.0-secret").unwrap();
    let server = world.serve();
    server.rule(GitRule { authorization: Some("Bearer abcdef".to_owned()), ..GitRule::default() });
    let (program, notes) = watched(&world);
    let config = Config { program, ..Config::default() };
    let git = Git::open(config, Place::at(world.folder.path().join("watched"))).await.unwrap();
    let url = vcs::RemoteUrl::parse(&format!("{}/secret-name", server.url()), ALL).unwrap();
    let credential = Some(Credential::Header(SecretString::from("Bearer abcdef")));
    let remote = git.repository(Remote { url, credential, word: policy::address::Word::Operator });
    commit(&remote, "v1.0.0-secret").await.unwrap();
    remote.snapshot(&id(&first), "").await.unwrap();

    let notes = fs::read_to_string(notes).unwrap();
    let args: Vec<_> = notes.lines().filter_map(|line| line.strip_prefix("ARGS ")).collect();
    for what in ["ls-remote", "fetch", "cat-file"] {
        assert!(args.contains(&what), "{what}");
    }
    for secret in ["abcdef", "secret", "127.0.0.1", first.as_str()] {
        assert!(!args.iter().any(|arg| arg.contains(secret)), "{secret} in {args:?}");
    }
    let names = notes.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    for (name, value) in names {
        // The shell of the script adds its own.
        let fine = name.starts_with("GIT_")
            || [
                "GCM_INTERACTIVE",
                "PATH",
                "HOME",
                "LC_ALL",
                "SSH_ASKPASS",
                "PWD",
                "OLDPWD",
                "SHLVL",
                "_",
            ]
            .contains(&name);
        assert!(fine, "{name}={value}");
    }
    for wanted in [
        "ENV GIT_CONFIG_NOSYSTEM=1",
        "ENV GIT_TERMINAL_PROMPT=0",
        "ENV GIT_NO_LAZY_FETCH=1",
        "ENV GIT_ALLOW_PROTOCOL=http\n",
        "=core.hooksPath\n",
        "=transfer.fsckObjects\n",
        "=Authorization: Bearer abcdef\n",
    ] {
        assert!(notes.contains(wanted), "{wanted}");
    }
}

#[tokio::test]
async fn reading_never_calls_the_remote_by_itself() {
    // A mirror without blobs, and a remote that is gone: git must not look for it while it reads.
    let config = Config { whole_below: units::ByteSize(0), ..Config::default() };
    let world = World::with(config).await;
    let repo = world.repo("a");
    let first = repo.write("f", "x").unwrap().commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    server.forget();
    let mirror = world.mirror();
    let lazily = tokio::process::Command::new("git")
        .args(["cat-file", "-p", &format!("{first}:f")])
        .env("GIT_DIR", &mirror)
        .output()
        .await
        .unwrap();
    assert!(!lazily.status.success(), "the mirror itself does not know where its remote is");
    assert_eq!(server.seen().len(), 0);
    drop(server);
    assert!(remote.snapshot(&id(&first), "").await.is_err());
    assert!(remote.tags_behind(&id(&first)).await.is_ok());
}

#[tokio::test]
async fn a_git_that_ignores_its_environment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("old-git");
    // What git before 2.31 does: the variables mean nothing to it.
    fs::write(&program, "#!/bin/sh\nGIT_CONFIG_COUNT=0 exec git \"$@\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let config = Config { program, ..Config::default() };
    let error = Git::open(config, Place::at(folder.path().join("git"))).await.unwrap_err();
    assert!(error.to_string().contains("2.31"), "{error}");
}

#[tokio::test]
async fn an_old_git_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("old-git");
    let script =
        "#!/bin/sh\n[ \"$1\" = --version ] && echo git version 2.43.0 && exit\nexec git \"$@\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let config = Config { program, ..Config::default() };
    let git = Git::open(config, Place::at(folder.path().join("git"))).await.unwrap();
    assert_eq!(git.version(), "2.43.0");
    // This machine's package may carry the fixes.
    assert!(git.warnings().iter().all(|warning| warning.contains("2.43.0")));
}

#[tokio::test]
async fn a_killed_fetch_is_no_half_fetch() {
    let world = World::new().await;
    let repo = world.repo("a");
    repo.write("f", "x").unwrap();
    let first = repo.commit("first").unwrap();
    let server = world.serve();
    let remote = world.open(&format!("{}/a", server.url()));
    commit(&remote, "main").await.unwrap();
    let second = repo.commit("second").unwrap();
    let delay = std::time::Duration::from_millis(500);
    server.rule(GitRule { delay_fetch: Some(delay), ..GitRule::default() });
    let dropped = tokio::time::timeout(delay / 2, remote.commit("main", Freshness::Now)).await;
    assert!(dropped.is_err());
    let known = world.mirror().join("packed-refs");
    let refs = fs::read_to_string(known).unwrap();
    assert!(refs.contains(&first) && !refs.contains(&second), "{refs}");
    server.rule(GitRule::default());
    let found = commit(&remote, "main").await.unwrap();
    assert_eq!(found.id.as_str(), second);
}
