//! Redirects: how far, where to, and what goes along.

use outbound::{Credential, Error, Get};
use policy::address::Word;

use crate::{
    client,
    fake::{Fake, Script, reply},
    fetch, get,
};

fn to(status: u16, location: &str) -> Script {
    reply(status, &format!("location: {location}\r\n"), "a redirect's body is no content")
}

fn token() -> Credential {
    Credential::Bearer("s3cret".to_owned().into())
}

#[tokio::test]
async fn every_kind_of_redirect_is_followed_with_the_credential_on_one_host() {
    for status in [301, 302, 303, 307, 308] {
        let answer = move |request: &str, _| {
            if request.starts_with("get /a ") { to(status, "/b") } else { reply(200, "", "there") }
        };
        let fake = Fake::start(answer).await;
        let question = Get { credential: Some(token()), ..get(fake.url("/a")) };
        assert_eq!(fetch(&client(), question).await.unwrap(), "there");
        assert!(fake.request(1).contains("authorization: bearer s3cret"));
        assert!(!fake.request(1).contains("referer"));
    }
}

#[tokio::test]
async fn a_credential_stays_behind_on_the_way_to_another_host_and_back() {
    let home = Fake::start(|request, _| {
        let back = request.starts_with("get /back ");
        if back { reply(200, "", "home") } else { reply(500, "", "unused") }
    });
    let home = home.await;
    let back = home.url("/back").to_string();
    let away = Fake::start(move |_, _| to(302, &back)).await;
    let there = away.url("/").to_string();
    let first = Fake::start(move |_, _| to(302, &there)).await;
    let question = Get { credential: Some(token()), ..get(first.url("/")) };
    assert_eq!(fetch(&client(), question).await.unwrap(), "home");
    assert!(first.request(0).contains("authorization"));
    assert!(!away.request(0).contains("authorization"));
    assert!(!home.request(0).contains("authorization"));
}

#[tokio::test]
async fn ten_redirects_are_followed_and_the_eleventh_fails() {
    let chain = |end: usize| {
        Fake::start(
            move |_, before| {
                if before == end { reply(200, "", "end") } else { to(302, "/next") }
            },
        )
    };
    let ten = chain(10).await;
    assert_eq!(fetch(&client(), get(ten.url("/"))).await.unwrap(), "end");
    let eleven = chain(11).await;
    let error = fetch(&client(), get(eleven.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(eleven.count(), 11);
}

#[tokio::test]
async fn a_redirect_to_another_scheme_or_nowhere_fails() {
    for location in ["ftp://example.com/", "file:///etc/passwd", "http://", "javascript:x"] {
        let fake = Fake::start(move |_, _| to(302, location)).await;
        let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{location}: {error:?}");
        assert_eq!(fake.count(), 1);
    }
}

#[tokio::test]
async fn a_redirect_without_a_target_is_a_status() {
    let fake = Fake::start(|_, _| reply(302, "", "")).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 302, .. }), "{error:?}");
}

#[tokio::test]
async fn link_local_addresses_are_not_dialled_whoever_names_them() {
    let fake = Fake::start(|_, _| to(302, "http://169.254.169.254/latest/meta-data")).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(error.to_string().contains("may not be dialled"), "{error}");
    assert!(matches!(error, Error::Redirect { forbidden: true, .. }), "{error:?}");
    let direct = get("http://169.254.169.254/".parse().unwrap());
    let error = fetch(&client(), direct).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { forbidden: true, .. }), "{error:?}");
}

#[tokio::test]
async fn a_discovered_host_is_not_dialled_in_private_ranges() {
    let fake = Fake::start(|_, _| reply(200, "", "inside")).await;
    let by_address = Get { word: Word::Discovered, ..get(fake.url("/")) };
    let mut by_name = by_address.clone();
    by_name.url.set_host(Some("localhost")).unwrap();
    for question in [by_address, by_name] {
        let error = fetch(&client(), question).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { forbidden: true, .. }), "{error:?}");
        assert!(error.to_string().contains("may not be dialled"), "{error}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn a_dead_machine_behind_a_redirect_is_the_redirects_fault() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    let fake = Fake::start(move |_, _| to(302, &location)).await;
    let error = fetch(&client(), get(fake.url("/"))).await.unwrap_err();
    assert!(matches!(&error, Error::Redirect { forbidden: false, .. }), "{error:?}");
    assert!(error.to_string().contains("connection refused"), "{error}");
}
