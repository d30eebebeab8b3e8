//! Private modules over ssh, from the machine's own `sshd`.

use std::path::Path;

use e2e::{Go, Larder, Settings};
use testkit::SshServer;

use super::direct::{World, host};

const ZIP: &str = "/git.corp/u/root/@v/v1.0.0.zip";

/// A larder that knows where `git.corp/u` is, and how to get there.
fn settings(world: &World, server: &SshServer, key: &Path, known_hosts: &Path) -> Settings {
    let url = format!("{}{}/u/root", server.url(), world.path("hosted").display());
    let told = format!("[{{ prefix = \"git.corp/u/root\", url = \"{url}\" }}]");
    Settings::new(&world.path("data"), "direct")
        .with("LARDER_VCS_PROGRAM", "git")
        .with("LARDER_DIRECT_OVERRIDE", &told)
        .with("LARDER_DIRECT_CREDENTIAL_CORP_MODULE", "git.corp")
        .with("LARDER_DIRECT_CREDENTIAL_CORP_HOST", &server.address().to_string())
        .with("LARDER_DIRECT_CREDENTIAL_CORP_SSH_KEY", &key.display().to_string())
        .with("LARDER_DIRECT_CREDENTIAL_CORP_KNOWN_HOSTS", &known_hosts.display().to_string())
}

fn served() -> anyhow::Result<(World, SshServer)> {
    let world = World::new()?;
    host(&world)?;
    // In the world its path is another one.
    let root = testkit::GitRepo::reopen(world.path("hosted/u/root"));
    root.git(&["checkout", "--quiet", "v1.0.0"])?;
    root.write("go.mod", "module git.corp/u/root\n\ngo 1.21\n")?;
    root.commit("corp")?;
    root.tag("v1.0.0")?;
    let server = SshServer::start(world.path("sshd"))?;
    Ok((world, server))
}

#[test]
fn a_private_module_is_built_from_its_repository_over_ssh() -> anyhow::Result<()> {
    let (world, server) = served()?;
    let larder = Larder::start(&settings(&world, &server, &server.key(), &server.known_hosts()?))?;
    let zip = larder.get(ZIP)?;
    assert_eq!(zip.status, 200, "{}\n{}", zip.text(), server.log());
    for go in Go::all()? {
        let user = world.client(&go, &format!("ssh-{}", go.version()), larder.url())?;
        let project = user.project(&[("git.corp/u/root", "v1.0.0")])?;
        project.go(&["mod", "tidy"])?;
        assert!(project.build_and_run()?.contains("root 1.0.0"), "{}", go.version());
    }
    assert!(server.log().contains("Accepted publickey"), "{}", server.log());
    assert!(!larder.log().contains("PRIVATE KEY"));
    Ok(())
}

#[test]
fn what_ssh_refuses_is_told_and_is_never_a_404() -> anyhow::Result<()> {
    let (world, server) = served()?;
    let (known, stranger) = (server.known_hosts()?, server.stranger("stranger")?);
    let imposter = server.known_by("imposter", &stranger)?;
    let empty = world.path("empty");
    std::fs::write(&empty, "")?;
    for (key, hosts, told) in [
        (&stranger, &known, "refused larder's credential"),
        (&world.path("no-key"), &known, "refused larder's credential"),
        (&server.key(), &imposter, "Host key for [127.0.0.1]"),
        (&server.key(), &empty, "No ED25519 host key is known"),
        (&server.key(), &world.path("no-file"), "No ED25519 host key is known"),
    ] {
        let larder = Larder::start(&settings(&world, &server, key, hosts))?;
        let answer = larder.get(ZIP)?;
        assert_eq!(answer.status, 502, "{key:?} {hosts:?}: {}", answer.text());
        assert!(answer.text().contains(told), "{key:?} {hosts:?}: {}", answer.text());
        larder.stop()?;
    }
    assert!(!server.log().contains("Accepted publickey"), "{}", server.log());
    Ok(())
}
