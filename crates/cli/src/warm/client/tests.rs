//! What the client makes of a server's answers.

use gomod::{ModulePath, Version};
use testkit::{Behaviour, FakeUpstream, ModuleVersion, Modules};

use super::*;

const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";

/// A server that answers as larder does; under `/cached-only` it has what `cached` names.
fn server(cached: &[&str]) -> FakeUpstream {
    let mut modules = Modules::new();
    let version = ModuleVersion::new("example.com/a", "v1.0.0");
    modules.add(&version);
    modules.latest(&version);
    modules.raw("/healthz", "alive\n");
    modules.raw("/example.com/a/@v/html.info", "<html>");
    modules.raw("/example.com/a/@v/other.info", r#"{"Version":"v2.0.0"}"#);
    modules.raw("/example.com/a/@v/branch.info", r#"{"Version":"branch"}"#);
    for path in cached {
        modules.raw(&format!("/cached-only{path}"), "bytes");
    }
    FakeUpstream::start(modules).unwrap()
}

fn client(server: &FakeUpstream) -> Client {
    Client::new(&Url::parse(&format!("{}/", server.url())).unwrap()).unwrap()
}

fn target() -> Target {
    let path = ModulePath::parse("example.com/a").unwrap();
    let module = ModVer::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
    Target::all_of(&module).last().unwrap()
}

fn query(query: &str) -> Query {
    Query { path: ModulePath::parse("example.com/a").unwrap(), query: query.to_owned() }
}

#[tokio::test]
async fn a_file_that_the_server_has_is_not_fetched_again() {
    let server = server(&[ZIP]);
    assert_eq!(client(&server).fetch(target()).await, Outcome::Here);
    assert_eq!(server.calls(ZIP), 0);
}

#[tokio::test]
async fn a_file_that_it_has_not_is_fetched_to_its_end() {
    let server = server(&[]);
    assert_eq!(client(&server).fetch(target()).await, Outcome::Fetched);
    assert_eq!(server.calls(ZIP), 1);
}

#[tokio::test]
async fn a_failure_is_told_with_status_and_text() {
    let server = server(&[]);
    for (behaviour, want) in [
        (Behaviour::new().status(403).body("example.com/a is denied\n"), "403: example.com/a"),
        (Behaviour::new().status(404).body("gone\n"), "404: gone"),
        (Behaviour::new().status(500), "500"),
        (Behaviour::new().cut_after(3), "cut"),
        (Behaviour::html(), "larder: "),
    ] {
        server.behave(ZIP, behaviour);
        let Outcome::Failed(why) = client(&server).fetch(target()).await else { panic!("{want}") };
        assert!(why.contains(want), "{want}: {why}");
    }
}

#[tokio::test]
async fn latest_means_the_version_of_its_info() {
    let server = server(&[]);
    let module = client(&server).resolve(&query("latest")).await.unwrap();
    assert_eq!(module.to_string(), "example.com/a@v1.0.0");
}

#[tokio::test]
async fn an_info_that_names_no_version_of_the_module_is_refused() {
    let server = server(&[]);
    for name in ["html", "other", "branch", "missing"] {
        assert!(client(&server).resolve(&query(name)).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_server_is_there_when_it_says_so() {
    let server = server(&[]);
    let client = client(&server);
    assert_eq!(client.is_there().await, Ok(()));
    server.behave("/healthz", Behaviour::new().status(503));
    assert!(client.is_there().await.unwrap_err().starts_with("503"));
    drop(server);
    assert!(client.is_there().await.is_err());
}
