use super::{MAX_URL_BYTES, Protocols, RemoteUrl};
use crate::Error;

const ALL: Protocols = Protocols { http: true, file: true };

fn parse(text: &str) -> Result<RemoteUrl, Error> {
    RemoteUrl::parse(text, ALL)
}

#[test]
fn urls_become_canonical() {
    for (text, canonical, dialled) in [
        ("https://Example.COM/a/B/", "https://example.com/a/B", "https://example.com/a/B"),
        ("https://example.com:443/a", "https://example.com/a", "https://example.com/a"),
        (
            "https://example.com:8443/a.git",
            "https://example.com:8443/a.git",
            "https://example.com:8443/a.git",
        ),
        ("https://example.com", "https://example.com", "https://example.com"),
        ("git+ssh://git@example.com/a", "ssh://example.com/a", "ssh://git@example.com/a"),
        ("git@example.com:a/b.git", "ssh://example.com/a/b.git", "ssh://git@example.com/a/b.git"),
        ("ssh://git@[::1]:2222/~u/a", "ssh://[::1]:2222/~u/a", "ssh://git@[::1]:2222/~u/a"),
        ("file:///srv/a", "file:///srv/a", "file:///srv/a"),
        ("http://127.0.0.1:80/a%20b", "http://127.0.0.1/a%20b", "http://127.0.0.1/a%20b"),
    ] {
        let url = parse(text).unwrap();
        assert_eq!((url.as_str(), url.dialled().as_str()), (canonical, dialled), "{text}");
    }
}

#[test]
fn hostile_urls_are_refused() {
    for text in [
        "--upload-pack=touch /tmp/x",
        "ext::sh -c id",
        "ext::sh",
        "fd::17",
        "git://example.com/a",
        "git@example.com::a",
        "example.com:a",
        "/etc",
        "ssh://-oProxyCommand=id/a",
        "ssh://git@-oProxyCommand=id/a",
        "-oProxyCommand=id@example.com:a",
        "ssh://a$(id)@example.com/a",
        "ssh://git:secret@example.com/a",
        "https://user@example.com/a",
        "https://user:secret@example.com/a",
        "https://example.com/a\nb",
        "https://example.com/a%0ab",
        "https://example.com/a%0D",
        "https://example.com/%2e%2e/b",
        "https://example.com/../b",
        "https://example.com/a%",
        "https://example.com/a%zz",
        "https://example.com/a?b",
        "https://example.com/a#b",
        "https://example.com/a\\b",
        "https://exa mple.com/a",
        "https://example..com/a",
        "https://-example.com/a",
        "https://example.com:0/a",
        "https://example.com:+1/a",
        "https://example.com:65536/a",
        "https:///a",
        "https://[::1/a",
        "https://[::1]x/a",
        "https://[zz]/a",
        "https://ex\u{e4}mple.com/a",
        "file://other/a",
        "file://",
    ] {
        assert!(matches!(parse(text), Err(Error::Forbidden { .. })), "{text}");
    }
}

#[test]
fn an_error_shows_no_password() {
    for text in
        ["https://user:secret@example.com/a", "user:secret@example.com:a", "ssh://u:secret@h/a@b"]
    {
        let shown = parse(text).unwrap_err().to_string();
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn http_and_file_are_spoken_by_configuration_only() {
    for text in ["http://example.com/a", "file:///a"] {
        assert!(RemoteUrl::parse(text, Protocols::default()).is_err(), "{text}");
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn length_is_bounded() {
    let base = "https://example.com/";
    let longest = format!("{base}{}", "x".repeat(MAX_URL_BYTES - base.len()));
    assert!(parse(&longest).is_ok());
    assert!(parse(&format!("{longest}x")).is_err());
}
