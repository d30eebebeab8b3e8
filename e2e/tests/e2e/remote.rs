//! Whole downloads from a git server over smart http.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use e2e::{Go, Larder, Settings};
use testkit::{Behaviour, FakeUpstream, GitRepo, GitRule, GitServer, Modules};

use super::direct::{World, host, package};

const BASIC: &str = "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==";

/// A larder that finds github.com at this server.
fn settings(world: &World, server: &GitServer) -> Settings {
    world
        .settings()
        .with("LARDER_VCS_REWRITE", &format!("https://github.com/={}/", server.url()))
        .with("GOPRIVATE", "github.com/u")
}

fn login(settings: Settings) -> Settings {
    settings
        .with("LARDER_DIRECT_CREDENTIAL_X_URL", "github.com/u")
        .with("LARDER_DIRECT_CREDENTIAL_X_USER", "aladdin")
        .with("LARDER_DIRECT_CREDENTIAL_X_PASSWORD", "open sesame")
}

fn repositories(world: &World) -> Vec<GitRepo> {
    let reopen = |name: &str| GitRepo::reopen(world.path("hosted").join(name));
    ["u/root", "u/mono", "u/Major", "u/old"].map(reopen).into()
}

const WANTED: [(&str, &str); 4] = [
    ("github.com/u/root", "v1.0.0"),
    ("github.com/u/mono/sub", "v1.2.0"),
    ("github.com/u/Major/v2", "v2.0.0"),
    ("github.com/u/old", "v3.0.0+incompatible"),
];

#[test]
fn modules_are_downloaded_whatever_the_server_allows() -> anyhow::Result<()> {
    let mut sums = Vec::new();
    for filter in ["true", "false"] {
        for authorization in [None, Some(BASIC.to_owned())] {
            let world = World::new()?;
            host(&world)?;
            for repo in repositories(&world) {
                repo.git(&["config", "uploadpack.allowFilter", filter])?;
                repo.git(&["config", "uploadpack.allowAnySHA1InWant", filter])?;
            }
            let server = GitServer::start(world.path("hosted"))?;
            server.rule(GitRule { authorization: authorization.clone(), ..GitRule::default() });
            let larder = Larder::start(&login(settings(&world, &server)))?;
            let go = Go::all()?.remove(0);
            let user = world.client(&go, "home", larder.url())?;
            let project = user.project(&WANTED)?;
            project.go(&["mod", "tidy"])?;
            project.go(&["mod", "download", "all"])?;
            let printed = project.build_and_run()?;
            assert!(printed.contains("root 1.0.0\nsub 1.2.0\n"), "{printed}");
            sums.push(std::fs::read_to_string(project.folder().join("go.sum"))?);
            let partial = server.seen().iter().any(|seen| {
                let filter = b"filter blob:none";
                seen.body.windows(filter.len()).any(|part| part == filter)
            });
            assert_eq!(partial, filter == "true", "partial clones where they are allowed");
            let shown = |seen: &testkit::GitRequest| seen.header("authorization") == Some(BASIC);
            assert!(server.seen().iter().all(shown), "{:?}", server.seen());
        }
    }
    assert!(sums.iter().all(|sum| *sum == sums[0] && !sum.is_empty()), "{sums:?}");
    Ok(())
}

#[test]
fn without_its_credential_a_repository_is_hidden_and_no_404() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let server = GitServer::start(world.path("hosted"))?;
    server.rule(GitRule { authorization: Some(BASIC.to_owned()), ..GitRule::default() });
    let larder = Larder::start(&settings(&world, &server))?;
    let wrong = settings(&world, &server)
        .with("LARDER_DIRECT_CREDENTIAL_X_URL", "github.com/u")
        .with("LARDER_DIRECT_CREDENTIAL_X_HEADER", "Basic d3JvbmctcGFzc3dvcmQ=");
    for route in ["@v/list", "@v/v1.0.0.info", "@v/v1.0.0.zip"] {
        let answer = larder.get(&format!("/github.com/u/root/{route}"))?;
        assert_eq!(answer.status, 502, "{route}: {}", answer.text());
        assert!(answer.text().contains("wants a credential"), "{route}: {}", answer.text());
    }
    larder.stop()?;
    let larder = Larder::start(&wrong)?;
    let answer = larder.get("/github.com/u/root/@v/v1.0.0.zip")?;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("refused larder's credential"), "{}", answer.text());
    assert!(!larder.log().contains("d3Jvbmc"), "{}", larder.log());
    Ok(())
}

#[test]
fn a_helper_proves_larder_to_the_host_of_pages_and_to_git() -> anyhow::Result<()> {
    let world = World::new()?;
    host(&world)?;
    let server = GitServer::start(world.path("hosted"))?;
    server.rule(GitRule { authorization: Some(BASIC.to_owned()), ..GitRule::default() });
    let mut pages = Modules::new();
    let tag = "<meta name=\"go-import\" content=\"git.corp/old git https://git.corp/u/old\">";
    pages.raw("/git.corp/old?go-get=1", format!("<head>{tag}</head>"));
    let pages = FakeUpstream::start(pages)?;
    // Hidden from strangers, as GitLab hides projects.
    pages.behave("*", Behaviour::new().status(404).times(1));
    let helper = world.path("helper");
    let script =
        "#!/bin/sh\n[ \"$1\" = get ] && echo username=aladdin && echo 'password=open sesame'\n";
    std::fs::write(&helper, script)?;
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755))?;
    let larder = Larder::start(
        &Settings::new(&world.path("data"), "direct")
            .with("LARDER_VCS_PROGRAM", "git")
            .with("LARDER_VCS_REWRITE", &format!("https://git.corp/={}/", server.url()))
            .with("LARDER_DIRECT_DISCOVERY_REWRITE", &format!("https://={}/", pages.url()))
            .with("GOPRIVATE", "git.corp")
            .with("LARDER_DIRECT_CREDENTIAL_X_URL", "git.corp")
            .with("LARDER_DIRECT_CREDENTIAL_X_HELPER", &helper.display().to_string()),
    )?;
    let zip = larder.get("/git.corp/old/@v/v3.0.0+incompatible.zip")?;
    assert_eq!(zip.status, 200, "{}", zip.text());
    let shown: Vec<_> =
        pages.seen().iter().map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [None, Some(BASIC.to_owned())]);
    Ok(())
}

const AT_ONCE: usize = 50;

#[test]
fn fifty_versions_at_once_are_one_fetch() -> anyhow::Result<()> {
    let world = World::new()?;
    let repo = world.repository("u/many")?;
    for number in 0..AT_ONCE {
        package(&repo, "", Some("github.com/u/many"), &format!("many {number}"))?;
        repo.commit("x")?;
        repo.tag(&format!("v1.{number}.0"))?;
    }
    let server = GitServer::start(world.path("hosted"))?;
    let delay_fetch = Some(Duration::from_millis(500));
    server.rule(GitRule { delay_fetch, ..GitRule::default() });
    let larder = Larder::start(&settings(&world, &server))?;
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let asked: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let path = format!("/github.com/u/many/@v/v1.{number}.0.zip");
                let larder = &larder;
                scope.spawn(move || larder.get(&path))
            })
            .collect();
        for (number, asked) in asked.into_iter().enumerate() {
            let answer = asked.join().expect("no panic")?;
            assert_eq!(answer.status, 200, "{number}: {}", answer.text());
            let name = format!("github.com/u/many@v1.{number}.0/p.go");
            let mut archive = zip::ZipArchive::new(std::io::Cursor::new(answer.body))?;
            assert!(archive.by_name(&name).is_ok(), "{name}");
        }
        Ok(())
    })?;
    // The commits, then, since the repository is small, all of its files.
    assert_eq!(server.fetches(), 2, "{:#?}", server.seen());
    // Each fetch begins with a look at the refs. Before it, there is one such look for all who ask
    // meanwhile; on a busy machine they do not all come at the same time.
    assert!(server.talks() <= 10, "{}", server.talks());
    Ok(())
}
