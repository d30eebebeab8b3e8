//! The room through its one trait.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests are not in tests for clippy"
)]

mod chain;
mod contract;
mod direct;
mod discover;
mod fake;
mod file;
mod hidden;
mod world;

use std::{sync::Arc, time::Duration};

use gomod::{ModVer, ModulePath, Query, Request, goproxy::Separator};
use outbound::{Client, Config, ProxyEnvironment};
use store::{Staged, Store};
use units::Span;
use upstream::{Chain, Limits, Link, LinkKind, ProxySource, SourceConfig, Upstream};

fn module(path: &str, version: &str) -> ModVer {
    let path = ModulePath::parse(path).unwrap();
    ModVer::new(path, gomod::Version::parse(version).unwrap()).unwrap()
}

fn path(text: &str) -> ModulePath {
    ModulePath::parse(text).unwrap()
}

fn query(path: &ModulePath, text: &str) -> Query {
    match Request::parse(&format!("/{}/@v/{text}.info", path.escaped())).unwrap() {
        Request::Info(_, query) => query,
        other => panic!("{other:?}"),
    }
}

async fn staged() -> Staged {
    Store::memory().stage().await.unwrap()
}

/// Everything that was staged.
fn content(staged: &Staged) -> Vec<u8> {
    let follower = staged.follower();
    let mut content = vec![0; usize::try_from(follower.visible()).unwrap()];
    let mut filled = 0;
    while filled < content.len() {
        filled += follower.read_at(filled as u64, &mut content[filled..]).unwrap();
    }
    content
}

fn client() -> Client {
    let between_bytes_timeout = Span(Duration::from_secs(5));
    let config = Config { between_bytes_timeout, attempts: 1, ..Config::default() };
    Client::new(&config, &ProxyEnvironment::default()).unwrap()
}

/// The URL of a server that is not there (any more).
fn gone() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/go", listener.local_addr().unwrap())
}

fn source(url: &str) -> Arc<dyn Upstream> {
    limited(url, Limits::default())
}

fn limited(url: &str, limits: Limits) -> Arc<dyn Upstream> {
    let (url, via) = (url.to_owned(), Arc::from("1.1 larder-test"));
    let config = SourceConfig { url, name: None, credential: None, via, limits };
    Arc::new(ProxySource::new(config, client()).unwrap())
}

fn link(source: Arc<dyn Upstream>, fall: Separator) -> Link {
    Link { kind: LinkKind::Source(source), fall }
}

fn chain(links: Vec<Link>) -> Arc<Chain> {
    Arc::new(Chain::new(links))
}
