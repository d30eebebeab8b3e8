//! go-import pages that their hosts show to nobody without a credential.

use std::{fs, os::unix::fs::PermissionsExt as _};

use gomod::pattern::Patterns;
use policy::Private;
use testkit::{Behaviour, FakeUpstream, Modules};
use upstream::{Credentials, Discovery, DiscoverySettings, Error, Grant, RepoRoot};
use vcs::Credential;

use crate::{client, path};

const PAGE: &str = "/git.corp.com/team/x?go-get=1";
/// `larder:s3cret`.
const BASIC: &str = "Basic bGFyZGVyOnMzY3JldA==";

/// Says `status` to the first question and shows the page from the second one on.
fn host(status: u16) -> FakeUpstream {
    let mut pages = Modules::new();
    let tag =
        "<meta name=\"go-import\" content=\"git.corp.com/team/x git https://git.corp.com/t.git\">";
    pages.raw(PAGE, format!("<head>{tag}</head>"));
    let host = FakeUpstream::start(pages).unwrap();
    host.behave("*", Behaviour::new().status(status).times(1));
    host
}

fn grant(prefix: &str, credential: Credential) -> Credentials {
    Credentials::new(vec![Grant { prefix: prefix.to_owned(), host: None, credential }])
}

fn basic() -> Credential {
    Credential::Basic { user: "larder".to_owned(), password: "s3cret".to_owned().into() }
}

fn private() -> Private {
    Private::new(vec![("git.corp.com".to_owned(), "GOPRIVATE".to_owned())])
}

fn discovery(host: &FakeUpstream, settings: DiscoverySettings) -> Discovery {
    let rewrite = vec![("https://".to_owned(), format!("{}/", host.url()))];
    Discovery::new(client(), DiscoverySettings { rewrite, ..settings }).unwrap()
}

async fn root(host: &FakeUpstream, credentials: Credentials) -> Result<RepoRoot, Error> {
    let settings = DiscoverySettings { private: private(), credentials, ..Default::default() };
    discovery(host, settings).root(&path("git.corp.com/team/x")).await
}

fn shown(host: &FakeUpstream) -> Vec<Option<String>> {
    host.seen().iter().map(|seen| seen.header("authorization").map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_hidden_page_is_asked_for_again_with_the_credential_of_its_host() {
    for status in [401, 403, 404] {
        let host = host(status);
        let found = root(&host, grant("git.corp.com", basic())).await.unwrap();
        assert_eq!(found.url, "https://git.corp.com/t.git");
        assert_eq!(shown(&host), [None, Some(BASIC.to_owned())], "{status}");
    }
}

#[tokio::test]
async fn credentials_of_every_kind_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (netrc, helper) = (folder.path().join("netrc"), folder.path().join("helper"));
    fs::write(&netrc, "machine git.corp.com login larder password s3cret\n").unwrap();
    // Answers for this host and path only.
    let script = "#!/bin/sh\nq=$(cat)\ncase \"$1 $q\" in *git.corp.com*team/x*)\n\
                  echo username=larder; echo password=s3cret;; esac\n";
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    for credential in [
        Credential::Header(BASIC.to_owned().into()),
        Credential::Netrc(netrc),
        Credential::Helper(helper.display().to_string()),
    ] {
        let host = host(404);
        let found = root(&host, grant("git.corp.com/team", credential.clone())).await;
        assert!(found.is_ok(), "{credential:?}: {found:?}");
        assert_eq!(shown(&host), [None, Some(BASIC.to_owned())], "{credential:?}");
    }
}

#[tokio::test]
async fn nobody_else_is_shown_anything() {
    let key = Credential::Ssh { key: "/k".into(), known_hosts: "/h".into() };
    let other_host = grant("git.corp.org", basic());
    for credentials in [Credentials::default(), other_host, grant("git.corp.com", key)] {
        let host = host(404);
        assert!(root(&host, credentials).await.unwrap_err().is_not_found());
        assert_eq!(shown(&host), [None]);
    }
    // A public path, and one whose host need not show a certificate.
    let insecure = Patterns::parse("git.corp.com");
    for (private, insecure) in [(Private::default(), Patterns::default()), (private(), insecure)] {
        let host = host(404);
        let credentials = grant("git.corp.com", basic());
        let settings = DiscoverySettings { private, insecure, credentials, ..Default::default() };
        let asked = discovery(&host, settings).root(&path("git.corp.com/team/x")).await;
        assert!(asked.unwrap_err().is_not_found());
        assert_eq!(shown(&host), [None]);
    }
}

#[tokio::test]
async fn trouble_is_not_asked_again_and_a_second_no_is_one() {
    let down = host(500);
    assert!(root(&down, grant("git.corp.com", basic())).await.is_err());
    assert_eq!(shown(&down), [None]);
    let firm = host(404);
    firm.behave("*", Behaviour::new().status(403));
    let told = root(&firm, grant("git.corp.com", basic())).await.unwrap_err();
    assert!(matches!(told, Error::Forbidden { .. }), "{told:?}");
    assert_eq!(shown(&firm).len(), 2);
    let failing = Credential::Helper("/no/such/helper".to_owned());
    let told = root(&host(404), grant("git.corp.com", failing)).await.unwrap_err();
    assert!(told.to_string().contains("helper"), "{told}");
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_credential() {
    let (first, second) = (host(404), host(404));
    let to = format!("{}{PAGE}", second.url());
    first.behave("*", Behaviour::redirect(&to));
    first.behave("*", Behaviour::new().status(404).times(1));
    assert!(root(&first, grant("git.corp.com", basic())).await.is_err());
    assert_eq!((shown(&first), shown(&second)), (vec![None, Some(BASIC.to_owned())], vec![None]));
}
