//! What people do with `go` all day, with every release there is.

use e2e::Go;
use testkit::{ModuleVersion, Modules};

use super::Stage;

const PSEUDO: &str = "v1.1.1-0.20240506070809-abcdefabcdef";

/// `example.com/Leaf` v1.0.0, v1.1.0, a branch `main`; `example.com/tree`, which needs the leaf.
fn modules() -> Modules {
    let mut modules = Modules::new();
    let leaf = |version| ModuleVersion::new("example.com/Leaf", version);
    modules.add(&leaf("v1.0.0"));
    modules.add(&leaf("v1.1.0"));
    let main = leaf(PSEUDO).unlisted();
    modules.add(&main);
    modules.query("main", &main);
    modules.add(
        &ModuleVersion::new("example.com/tree/v2", "v2.3.4").requires("example.com/Leaf", "v1.0.0"),
    );
    modules
}

/// Runs a test once for each release, each time with a new larder.
fn with_each(
    modules: &Modules,
    test: impl Fn(&Go, &Stage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for go in Go::all()? {
        let stage = Stage::new(modules.clone())?;
        test(&go, &stage)
            .map_err(|error| error.context(format!("{}\n{}", go.version(), stage.larder.log())))?;
    }
    Ok(())
}

#[test]
fn a_project_downloads_and_builds_and_the_second_client_costs_nothing() -> anyhow::Result<()> {
    with_each(&modules(), |go, stage| {
        for cold in [true, false] {
            let client = go.client(stage.folder.path(), stage.larder.url())?;
            let project = client
                .project(&[("example.com/tree/v2", "v2.3.4"), ("example.com/Leaf", "v1.0.0")])?;
            project.go(&["mod", "download"])?;
            assert_eq!(project.build_and_run()?, "v2.3.4\nv1.0.0\n");
            assert_eq!(stage.upstream.calls("*") > 0, cold);
            stage.upstream.reset_counts();
        }
        Ok(())
    })
}

#[test]
fn each_file_is_fetched_once() -> anyhow::Result<()> {
    with_each(&modules(), |go, stage| {
        for _ in 0..2 {
            let client = go.client(stage.folder.path(), stage.larder.url())?;
            let project = client
                .project(&[("example.com/tree/v2", "v2.3.4"), ("example.com/Leaf", "v1.0.0")])?;
            project.go(&["mod", "download"])?;
        }
        assert_eq!(stage.upstream.calls("/example.com/tree/v2/@v/v2.3.4.zip"), 1);
        assert_eq!(stage.upstream.calls("/example.com/!leaf/@v/v1.0.0.mod"), 1);
        Ok(())
    })
}

#[test]
fn updates_are_listed() -> anyhow::Result<()> {
    with_each(&modules(), |go, stage| {
        let client = go.client(stage.folder.path(), stage.larder.url())?;
        let said = client.project(&[("example.com/Leaf", "v1.0.0")])?.go(&[
            "list",
            "-m",
            "-u",
            "example.com/Leaf",
        ])?;
        assert!(said.contains("example.com/Leaf v1.0.0 [v1.1.0]"), "{said}");
        let said = client.go(&["list", "-m", "-versions", "example.com/Leaf@latest"])?;
        assert!(said.contains("example.com/Leaf v1.0.0 v1.1.0"), "{said}");
        Ok(())
    })
}

#[test]
fn a_branch_leads_to_its_commit() -> anyhow::Result<()> {
    with_each(&modules(), |go, stage| {
        let project = go
            .client(stage.folder.path(), stage.larder.url())?
            .project(&[("example.com/Leaf", "v1.0.0")])?;
        project.go(&["get", "example.com/Leaf@main"])?;
        assert!(
            project.go_mod()?.contains(&format!("example.com/Leaf {PSEUDO}")),
            "{}",
            project.go_mod()?
        );
        assert_eq!(project.build_and_run()?, format!("{PSEUDO}\n"));
        Ok(())
    })
}

#[test]
fn an_unknown_module_fails_with_the_upstreams_own_words() -> anyhow::Result<()> {
    with_each(&modules(), |go, stage| {
        let project = go.client(stage.folder.path(), stage.larder.url())?.project(&[])?;
        let Err(error) = project.go(&["get", "example.com/nobody@v1.0.0"]) else {
            anyhow::bail!("it must fail")
        };
        assert!(error.to_string().contains("unknown to the fake upstream"), "{error}");
        Ok(())
    })
}

#[test]
fn a_program_is_installed_by_its_version() -> anyhow::Result<()> {
    let mut modules = modules();
    let main =
        "package main\n\nimport \"example.com/Leaf\"\n\nfunc main() { println(leaf.Version) }\n";
    modules.add(
        &ModuleVersion::new("example.com/program", "v0.1.0")
            .file("lib.go", main)
            .requires("example.com/Leaf", "v1.1.0"),
    );
    with_each(&modules, |go, stage| {
        let client = go.client(stage.folder.path(), stage.larder.url())?;
        client.go(&["install", "example.com/program@v0.1.0"])?;
        assert!(client.installed("program").is_file());
        Ok(())
    })
}

#[test]
fn another_toolchain_is_fetched_and_run() -> anyhow::Result<()> {
    for go in Go::all()? {
        let home = tempfile::tempdir()?;
        let asked = go.client(home.path(), "off")?.go(&["env", "GOOS", "GOARCH"])?;
        let platform = asked.split_whitespace().collect::<Vec<_>>().join("-");
        let mut modules = modules();
        let version = format!("v0.0.1-go1.99.0.{platform}");
        // What `go` needs of a toolchain is bin/go; the others it makes executable.
        let script = "#!/bin/sh\necho \"go1.99.0 was asked for: $1\"\n";
        let toolchain = ModuleVersion::new("golang.org/toolchain", &version)
            .file("bin/go", script)
            .file("bin/gofmt", "")
            .file("pkg/tool/none", "")
            .file("lib/none", "");
        modules.add(&toolchain);
        let stage = Stage::new(modules)?;
        let client =
            go.client(stage.folder.path(), stage.larder.url())?.with("GOTOOLCHAIN", "go1.99.0");
        // A toolchain must be in a checksum database; the public mirror itself is exempt.
        let client = client.with("GIT_HTTP_USER_AGENT", &["proxy", "golang", "org"].join("."));
        let said = client.go(&["version"])?;
        assert!(
            said.contains(
                "go1.99.0 was asked for: version
"
            ),
            "{}: {said}",
            go.version()
        );
        assert_eq!(stage.upstream.calls("/golang.org/toolchain/*"), 1, "the zip alone");
    }
    Ok(())
}

#[test]
fn packages_below_their_module_are_found_with_direct_behind_the_proxy() -> anyhow::Result<()> {
    let deep = "package deep\n\nconst Version = \"deep\"\n";
    let mut modules = modules();
    modules.add(
        &ModuleVersion::new("example.com/org/module", "v1.0.0").file("pkg/deep/deep.go", deep),
    );
    for go in Go::all()? {
        let stage = Stage::with(modules.clone(), |settings| {
            let upstream =
                settings.variable("LARDER_UPSTREAM_PROXIES").unwrap_or_default().to_owned();
            settings.with("LARDER_UPSTREAM_PROXIES", &format!("{upstream},direct"))
        })?;
        let client = go.client(stage.folder.path(), stage.larder.url())?;
        let project = client.project(&[])?;
        project.go(&["get", "example.com/org/module/pkg/deep"])?;
        project.imports(&["example.com/org/module/pkg/deep"])?;
        project.go(&["mod", "tidy"])?;
        assert_eq!(project.build_and_run()?, "deep\n", "{}", go.version());
    }
    Ok(())
}
