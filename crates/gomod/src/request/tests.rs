//! Tests of request parsing.

use proptest::prelude::*;

use super::*;

fn parse(path: &str) -> Request {
    Request::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn module(path: &str) -> ModulePath {
    path.parse().unwrap()
}

fn version(path: &str, version: &str) -> ModVer {
    ModVer::new(module(path), version.parse().unwrap()).unwrap()
}

#[test]
fn every_end_point_is_recognised() {
    assert_eq!(parse("/a.b/c/@v/list"), Request::List(module("a.b/c")));
    assert_eq!(parse("/a.b/c/@latest"), Request::Latest(module("a.b/c")));
    assert_eq!(parse("/a.b/c/@v/v1.2.3.mod"), Request::Mod(version("a.b/c", "v1.2.3")));
    assert_eq!(parse("/a.b/c/@v/v1.2.3.zip"), Request::Zip(version("a.b/c", "v1.2.3")));
    let info = Request::Info(module("a.b/c"), Query::Version("v1.2.3".parse().unwrap()));
    assert_eq!(parse("/a.b/c/@v/v1.2.3.info"), info);
    assert_eq!(parse("/a.b/c/@v/latest.info"), Request::Latest(module("a.b/c")));
}

#[test]
fn bang_and_percent_21_are_one_resource() {
    let bang = parse("/github.com/!azure/x/@v/v1.0.0-!r!c1.mod");
    assert_eq!(bang, parse("/github.com/%21azure/x/@v/v1.0.0-%21r%21c1.mod"));
    assert_eq!(bang, Request::Mod(version("github.com/Azure/x", "v1.0.0-RC1")));
    assert_eq!(parse("/%61.b/@v/list"), parse("/a.b/@v/list"));
    assert_eq!(parse("/a.b%2Fc/@v/list"), parse("/a.b/c/%40v/list"));
}

#[test]
fn plus_is_a_plus() {
    let plain = parse("/a.b/@v/v2.0.0+incompatible.zip");
    assert_eq!(plain, Request::Zip(version("a.b", "v2.0.0+incompatible")));
    assert_eq!(plain, parse("/a.b/@v/v2.0.0%2Bincompatible.zip"));
}

#[test]
fn the_suffix_begins_at_the_last_dot() {
    assert_eq!(parse("/a.b/@v/v1.2.3-rc.1.mod"), Request::Mod(version("a.b", "v1.2.3-rc.1")));
    let Request::Info(_, query) = parse("/a.b/@v/release.v2.info.info") else { panic!() };
    assert_eq!(query.as_str(), "release.v2.info");
}

#[test]
fn what_does_not_fit_the_path_is_a_revision() {
    for (path, text) in [
        ("/a.b/@v/v2.0.0.info", "v2.0.0"),
        ("/a.b/@v/v1.2.info", "v1.2"),
        ("/a.b/@v/v1.2.3+meta.info", "v1.2.3+meta"),
        ("/a.b/@v/!h!e!a!d.info", "HEAD"),
        ("/a.b/@v/master.info", "master"),
        ("/a.b/@v/list.info", "list"),
        ("/a.b/@v/a%20b.info", "a b"),
    ] {
        let Request::Info(_, Query::Revision(revision)) = parse(path) else { panic!("{path}") };
        assert_eq!(revision.as_str(), text);
    }
}

#[test]
fn malformed_paths_are_errors() {
    for path in [
        "",
        "/",
        "a.b/@v/list",
        "%2Fa.b/@v/list",
        "//a.b/@v/list",
        "/a.b//@v/list",
        "/a.b/@v/list/",
        "/a.b/@v/",
        "/a.b/@v",
        "/a.b",
        "/@v/list",
        "/@latest",
        "/a.b/@latest/",
        "/a.b/@v/../@v/list",
        "/a.b/./@v/list",
        "/std/@v/list",
        "/a.b/v1/@v/list",
        "/a.b/@v/v1.2.3",
        "/a.b/@v/v1.2.3.ziphash",
        "/a.b/@v/v1.2.3.ZIP",
        "/a.b/@v/.info",
        "/a.b/@v/..info",
        "/a.b/@v/v1.2.mod",
        "/a.b/@v/v2.0.0.mod",
        "/a.b/@v/main.zip",
        "/a.b/@v/latest.mod",
        "/a.b/@v/a/b.info",
        "/a.b/@v/a%2Fb.info",
        "/a.b/@v/a!!b.info",
        "/a.b/@v/Main.info",
        "/A.b/@v/list",
        "/a.b/@v/%c3%a9.info",
        "/a.b/%00/@v/list",
        "/a.b/%2521x/@v/list",
        "/a.b/@v/list%",
        "/a.b/@v/list?x",
        "/sumdb/",
        "/sumdb",
        "/sumdb/a.b//latest",
        "/sumdb/a.b/../latest",
        "/sumdb/a.b/%20",
    ] {
        assert!(Request::parse(path).is_err(), "{path}");
    }
}

#[test]
fn errors_keep_their_cause() {
    let error = |path| Request::parse(path).unwrap_err();
    assert_eq!(error("/a.b/v1/@v/list"), Error::Path(path::Error::Major));
    assert_eq!(error("/a.b/@v/v1.2.zip"), Error::Version(version::Error::NotCanonical));
    assert_eq!(error("/a.b/@v/v9.9.9.zip").to_string(), "malformed version");
    assert_eq!(error("/favicon.ico"), Error::Unknown);
}

#[test]
fn lengths_are_bounded() {
    let list = |element: usize| format!("/a.b/{}/@v/list", "x".repeat(element));
    assert!(Request::parse(&list(MAX_ELEMENT_BYTES)).is_ok());
    assert_eq!(Request::parse(&list(MAX_ELEMENT_BYTES + 1)), Err(Error::TooLong));
    let rest = "a.b/@v/list".len();
    let long = |bytes: usize| format!("/a.b{}/@v/list", "/x".repeat((bytes - rest) / 2));
    // The leading slash does not count.
    assert_eq!(long(MAX_PATH_BYTES - 1).len(), MAX_PATH_BYTES);
    assert!(Request::parse(&long(MAX_PATH_BYTES - 1)).is_ok());
    assert_eq!(Request::parse(&long(MAX_PATH_BYTES + 1)), Err(Error::TooLong));
}

#[test]
fn a_request_knows_its_module() {
    for path in ["/a.b/@v/list", "/a.b/@latest", "/a.b/@v/x.info", "/a.b/@v/v1.0.0.zip"] {
        assert_eq!(parse(path).module(), Some(&module("a.b")));
    }
    assert_eq!(parse("/sumdb/sum.golang.org/latest").module(), None);
}

fn sumdb(path: &str) -> SumdbPath {
    let Request::Sumdb(path) = parse(path) else { panic!("{path}") };
    path
}

#[test]
fn database_names_may_hold_slashes() {
    let path = sumdb("/sumdb/corp.example/team/log/latest");
    assert_eq!(path.as_str(), "corp.example/team/log/latest");
    assert_eq!(path.below("corp.example/team/log"), Some(Ok(SumdbRequest::Latest)));
    assert_eq!(path.below("corp.example"), Some(Err(Error::Unknown)));
    assert_eq!(path.below("corp.exam"), None);
    assert_eq!(path.below("other.example"), None);
}

#[test]
fn every_database_end_point_is_recognised() {
    let below = |path: &str| sumdb(path).below("sum.golang.org").unwrap();
    assert_eq!(below("/sumdb/sum.golang.org/supported"), Ok(SumdbRequest::Supported));
    assert_eq!(below("/sumdb/sum.golang.org/about"), Ok(SumdbRequest::About));
    let lookup = SumdbRequest::Lookup(version("github.com/Azure/x", "v1.0.0"));
    assert_eq!(below("/sumdb/sum.golang.org/lookup/github.com/%21azure/x@v1.0.0"), Ok(lookup));
    let tile = SumdbRequest::Tile("tile/8/0/x001/000.p/3".to_owned());
    assert_eq!(below("/sumdb/sum.golang.org/tile/8/0/x001/000.p/3"), Ok(tile));
    for path in ["lookup/a.b", "lookup/a.b@v1", "lookup/a.b@main", "lookup/std@v1.0.0", "x"] {
        assert!(below(&format!("/sumdb/sum.golang.org/{path}")).is_err(), "{path}");
    }
}

/// Writes a request as a client does, every byte in `encode` percent-encoded.
fn target(request: &Request, encode: &str) -> String {
    let path = match request {
        Request::List(module) => format!("{}/@v/list", module.escaped()),
        Request::Latest(module) => format!("{}/@latest", module.escaped()),
        Request::Info(module, query) => format!("{}/@v/{}.info", module.escaped(), query.escaped()),
        Request::Mod(m) => format!("{}/@v/{}.mod", m.path().escaped(), m.version().escaped()),
        Request::Zip(m) => format!("{}/@v/{}.zip", m.path().escaped(), m.version().escaped()),
        Request::Sumdb(path) => format!("sumdb/{}", path.as_str()),
    };
    let encoded: Vec<String> = path
        .chars()
        .map(|c| if encode.contains(c) { format!("%{:02x}", u32::from(c)) } else { c.to_string() })
        .collect();
    format!("/{}", encoded.concat())
}

proptest! {
    #[test]
    fn every_spelling_is_one_request(
        path in "/a\\.b(/!?[a-c]{1,3}){0,2}(/@v/(list|(v[12]\\.0\\.[0-9](-!?[a-z.]{1,4})?|!?[a-z ]{1,4})\\.(info|mod|zip))|/@latest)",
    ) {
        if let Ok(request) = Request::parse(&path) {
            for encode in ["", "!", "/@", "!/@.%abc"] {
                prop_assert_eq!(Request::parse(&target(&request, encode)), Ok(request.clone()));
            }
        }
    }

    #[test]
    fn no_path_panics(path in "/[ -~]{0,60}", any in "\\PC{0,60}") {
        let _ = Request::parse(&path);
        let _ = Request::parse(&any);
    }
}
