//! What the `go` command makes of our own log: what `setup` prints, lies, forks, all forms of versions.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use e2e::{Go, Larder};
use testkit::{FakeUpstream, GitRepo, ModuleVersion, Modules};

use super::direct::package;
use super::own::{Company, NAME};

/// The lines of `larder sumdb setup`, run by each release of `go`, over settings that would lead past
/// larder.
#[test]
fn what_setup_prints_is_all_that_a_client_needs() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    let setup = company.settings.clone().with("LARDER_SERVER_PUBLIC_URL", larder.url());
    let printed = setup.run("sumdb setup", &[])?;
    for go in Go::all()? {
        let client = company.world.client(&go, &format!("setup-{}", go.version()), "")?;
        let settings = company.world.path(&format!("goenv-{}", go.version()));
        let client = ["GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS"]
            .into_iter()
            .fold(client, |client, name| client.with(name, ""))
            .with("GOENV", &settings.display().to_string())
            .with("GIT_CONFIG_GLOBAL", "/dev/null");
        client.go(&["env", "-w", "GOPRIVATE=github.com", "GOFLAGS=-mod=mod"])?;
        for line in printed.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split(' ').collect();
            let (go, arguments) = words.split_first().context("an empty line")?;
            assert_eq!(*go, "go", "{line}");
            client.go(arguments).with_context(|| line.to_owned())?;
        }
        let set = client.go(&["env", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOSUMDB"])?;
        assert_eq!(set, format!("{}\n{}\n\n\n", larder.url(), company.key), "{}", go.version());
        let project =
            client.project(&[("github.com/u/root", "v1.0.0"), ("example.com/a", "v1.0.0")])?;
        project.build_and_run().with_context(|| go.version().to_owned())?;
        let sums = fs::read_to_string(project.folder().join("go.sum"))?;
        ensure!(sums.contains("github.com/u/root v1.0.0 h1:"), "{sums}");
    }
    Ok(())
}

/// Somebody between client and larder gives out other bytes; larder's look-ups tell.
#[test]
fn other_bytes_of_a_private_version_are_a_security_error() -> anyhow::Result<()> {
    let company = Company::new()?;
    let mut evil = Modules::new();
    let source = "package p\n\nconst Version = \"evil\"\n";
    evil.add(&ModuleVersion::new("github.com/u/root", "v1.0.0").file("p.go", source));
    let evil = FakeUpstream::start(evil)?;
    let larder = Larder::start(&company.settings)?;
    for go in Go::all()? {
        let proxies = format!("{},{}", evil.url(), larder.url());
        let user = company.user(&go, &format!("user-{}", go.version()), &larder)?;
        let user = user.with("GOPROXY", &proxies);
        let project = user.project(&[("github.com/u/root", "v1.0.0")])?;
        let error = project.build_and_run().unwrap_err().to_string();
        ensure!(error.contains("SECURITY ERROR"), "{}: {error}", go.version());
        ensure!(!user.go(&["env", "GOSUMDB"])?.contains("off"));
    }
    Ok(())
}

/// All of larder is put back to a backup and goes on differently: it cannot know, its clients do.
#[test]
fn a_client_sees_a_log_that_forked() -> anyhow::Result<()> {
    let company = Company::new()?;
    let (data, backup) = (company.settings.data().to_owned(), company.world.path("backup"));
    let larder = Larder::start(&company.settings)?;
    let lookup = format!("/sumdb/{NAME}/lookup/github.com/u/root@v1.0.0");
    assert_eq!(larder.get(&lookup)?.status, 200);
    larder.stop()?;
    copy(&data, &backup)?;
    for go in Go::all()? {
        let larder = Larder::start(&company.settings)?;
        let user = company.user(&go, &format!("user-{}", go.version()), &larder)?;
        user.project(&[("github.com/u/mono/sub", "v1.2.0")])?.build_and_run()?;
        larder.stop()?;
        fs::remove_dir_all(&data)?;
        copy(&backup, &data)?;
        let larder = Larder::start(&company.settings)?;
        let other = format!("/sumdb/{NAME}/lookup/github.com/u/!major/v2@v2.0.0");
        assert_eq!(larder.get(&other)?.status, 200);
        let user = user.with("GOPROXY", larder.url());
        let both = [("github.com/u/Major/v2", "v2.0.0"), ("github.com/u/mono/sub", "v1.2.0")];
        let error = user.project(&both)?.build_and_run().unwrap_err().to_string();
        ensure!(error.contains("SECURITY ERROR"), "{}: {error}", go.version());
        larder.stop()?;
        // What the page advises after such a restore: hold it against what a client has.
        let program = user.installed("any");
        let gopath = program.ancestors().nth(2).context("no GOPATH")?;
        let latest = gopath.join("pkg/sumdb").join(NAME).join("latest").display().to_string();
        let refused = company.settings.run("sumdb recover", &["--head", &latest]).unwrap_err();
        ensure!(refused.to_string().contains("another tree"), "{refused}");
        fs::remove_dir_all(&data)?;
        copy(&backup, &data)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for file in e2e::files_below(from)? {
        let to = to.join(&file);
        fs::create_dir_all(to.parent().context("a file without a folder")?)?;
        fs::copy(from.join(&file), &to)?;
    }
    Ok(())
}

#[test]
fn pseudo_versions_and_toolchains_are_in_the_log_too() -> anyhow::Result<()> {
    let company = Company::new()?;
    let root = GitRepo::reopen(company.world.path("hosted").join("u/root"));
    package(&root, "", Some("github.com/u/root"), "root between")?;
    root.commit("between")?;
    for go in Go::all()? {
        let larder = Larder::start(&company.settings)?;
        let user = company.user(&go, &format!("user-{}", go.version()), &larder)?;
        let project = user.project(&[])?;
        project.go(&["get", "github.com/u/root@main"])?;
        project.imports(&["github.com/u/root"])?;
        assert_eq!(project.build_and_run()?, "root between\n", "{}", go.version());
        ensure!(project.go_mod()?.contains("github.com/u/root v1.0.1-0."), "{}", project.go_mod()?);

        let platform = user.go(&["env", "GOOS", "GOARCH"])?;
        let platform = platform.split_whitespace().collect::<Vec<_>>().join("-");
        let version = format!("v0.0.1-go1.99.0.{platform}");
        let mut toolchain = Modules::new();
        toolchain.add(
            &ModuleVersion::new("golang.org/toolchain", &version)
                .file("bin/go", "#!/bin/sh\necho \"go1.99.0 was asked for: $1\"\n")
                .file("bin/gofmt", "")
                .file("pkg/tool/none", "")
                .file("lib/none", ""),
        );
        if company.upstream.calls("/golang.org/toolchain/*") == 0 {
            company.sumdb.add_modules(&toolchain);
        }
        company.upstream.change(|modules| {
            for (path, content) in toolchain.files() {
                modules.raw(path, content.clone());
            }
        });
        let said = user.with("GOTOOLCHAIN", "go1.99.0").go(&["version"])?;
        ensure!(said.contains("go1.99.0 was asked for: version"), "{}: {said}", go.version());
        larder.stop()?;
    }
    assert_eq!(company.heard(), [""; 0]);
    Ok(())
}

#[test]
fn a_private_record_is_proven_to_somebody_without_a_network() -> anyhow::Result<()> {
    let company = Company::new()?;
    let larder = Larder::start(&company.settings)?;
    let lookup = format!("/sumdb/{NAME}/lookup/github.com/u/root@v1.0.0");
    let answer = larder.get(&lookup)?.text();
    larder.stop()?;
    let file = company.world.path("bundle").display().to_string();
    company.settings.run("sumdb prove", &["github.com/u/root@v1.0.0", "--output", &file])?;
    let told = company.settings.run("sumdb verify-bundle", &["--key", &company.key, &file])?;
    for line in answer.lines().skip(1).take(2) {
        ensure!(told.contains(line), "{told}");
    }
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replacen("v1.0.0", "v1.0.1", 1))?;
    ensure!(company.settings.run("sumdb verify-bundle", &["--key", &company.key, &file]).is_err());
    Ok(())
}
