use secrecy::{ExposeSecret as _, SecretString};

use super::{Hop, hop};
use crate::{Egress, Error, Protocols, RemoteUrl};

fn read(proxy: &str) -> Result<Option<Hop>, Error> {
    let remote = RemoteUrl::parse("https://example.com/a", Protocols::default()).unwrap();
    let egress = Egress { https: Some(SecretString::from(proxy)), no: Some("x".to_owned()) };
    hop(&egress, &remote)
}

#[test]
fn the_operator_s_proxy_is_read_as_go_reads_it() {
    for (text, host, port, authorization) in [
        ("proxy.test:3128", "proxy.test", 3128, None),
        ("http://proxy.test:3128/", "proxy.test", 3128, None),
        ("http://proxy.test", "proxy.test", 80, None),
        ("http://u:p@proxy.test:3128", "proxy.test", 3128, Some("Basic dTpw")),
        ("u:p@proxy.test:3128", "proxy.test", 3128, Some("Basic dTpw")),
        ("http://u:p%40@proxy.test", "proxy.test", 80, Some("Basic dTpwQA==")),
        ("http://[::1]:3128", "::1", 3128, None),
    ] {
        let hop = read(text).unwrap().unwrap();
        let shown = hop.authorization.as_ref().map(|value| value.expose_secret().to_owned());
        assert_eq!((hop.host.as_str(), hop.port), (host, port), "{text}");
        assert_eq!((shown.as_deref(), hop.no_proxy.as_str()), (authorization, "x"), "{text}");
    }
    assert!(read("").unwrap().is_none());
}

#[test]
fn other_proxies_are_refused_without_showing_their_passwords() {
    for text in
        ["https://u:secret@proxy.test", "socks5://u:secret@proxy.test", "http://u:secret@pro xy"]
    {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("HTTPS proxy") && !error.contains("secret"), "{error}");
    }
}
