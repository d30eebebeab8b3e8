//! The relay against a database, and a proxy before it, that say what a test scripts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests are not in tests for clippy"
)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Request, SumdbPath, SumdbRequest, Version};
use modzip::Checked;
use outbound::{Client, Config, Credential, ProxyEnvironment};
use sumdb::{Access, Database, Error, MAX_NOTE_BYTES, Sumdb, Verification};
use tlog::LogName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use units::Timestamp;
use url::Url;

/// 32 zero bytes in base64.
const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

type Routes = BTreeMap<String, (u16, Vec<u8>)>;

/// A server on a free loopback port; what it has no route for is a 404.
struct Fake {
    address: SocketAddr,
    routes: Arc<Mutex<Routes>>,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (routes, seen) =
            (Arc::<Mutex<Routes>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (shared, log) = (Arc::clone(&routes), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &shared, &log).await;
            }
        });
        Self { address, routes, seen, task }
    }

    fn set(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.routes.lock().unwrap().insert(path.to_owned(), (status, body.into()));
    }

    fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// The paths asked for so far.
    fn paths(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
    }
}

async fn serve(mut stream: TcpStream, routes: &Mutex<Routes>, seen: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(request);
    let missing = || (404, b"not found: no such record".to_vec());
    let (status, body) = routes.lock().unwrap().get(&path).cloned().unwrap_or_else(missing);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         content-length: {length}\r\n\r\n"
    );
    let _gone = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    let _gone = stream.shutdown().await;
}

fn module() -> ModVer {
    let path = ModulePath::parse("example.com/Mod").unwrap();
    ModVer::new(path, Version::parse("v1.0.0").unwrap()).unwrap()
}

fn head() -> String {
    format!("go.sum database tree\n10\n{ZEROS}\n\n\u{2014} sum.example/x AAAAAAA=\n")
}

fn lookup() -> String {
    let head = head();
    let module = "example.com/Mod v1.0.0";
    format!("7\n{module} h1:{ZEROS}\n{module}/go.mod h1:{ZEROS}\n\n{head}")
}

const LOOKUP: &str = "/lookup/example.com/%21mod@v1.0.0";

fn name() -> LogName {
    LogName::parse("sum.example/x").unwrap()
}

fn client() -> Client {
    let config = Config { attempts: 1, ..Config::default() };
    Client::new(&config, &ProxyEnvironment::default()).unwrap()
}

fn database(urls: Vec<Url>) -> Database {
    Database { name: name(), key: None, urls }
}

fn sumdb(urls: Vec<Url>) -> Sumdb {
    Sumdb::new(vec![database(urls)], &client())
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_unix_secs(secs)
}

async fn ask(sumdb: &Sumdb, request: &SumdbRequest, secs: i64) -> Result<Bytes, Error> {
    sumdb.relay(&name(), request, at(secs)).await
}

fn sumdb_path(text: &str) -> SumdbPath {
    match Request::parse(&format!("/sumdb/{text}")).unwrap() {
        Request::Sumdb(path) => path,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_kind_is_relayed_as_it_came_and_kept() {
    let fake = Fake::start().await;
    fake.set(LOOKUP, 200, lookup());
    fake.set("/latest", 200, head());
    fake.set("/tile/8/0/000.p/3", 200, vec![7; 96]);
    fake.set("/tile/8/data/000.p/1", 200, "m v1.0.0 h1:a\nm v1.0.0/go.mod h1:b\n\n");
    let sumdb = sumdb(vec![fake.url("/")]);
    for (request, body) in [
        (SumdbRequest::Lookup(module()), lookup().into_bytes()),
        (SumdbRequest::Latest, head().into_bytes()),
        (SumdbRequest::Tile("tile/8/0/000.p/3".to_owned()), vec![7; 96]),
    ] {
        assert_eq!(sumdb.cached(&name(), &request, at(0)), None);
        assert_eq!(ask(&sumdb, &request, 0).await.unwrap(), body);
        assert_eq!(sumdb.cached(&name(), &request, at(0)).unwrap(), body);
    }
    let data = SumdbRequest::Tile("tile/8/data/000.p/1".to_owned());
    assert!(ask(&sumdb, &data, 0).await.is_ok());
    assert!(ask(&sumdb, &data, 1_000_000).await.is_ok());
    assert_eq!(fake.paths().len(), 4);
}

#[tokio::test]
async fn what_has_the_wrong_form_is_refused_and_not_kept() {
    let fake = Fake::start().await;
    let sumdb = sumdb(vec![fake.url("/")]);
    let other = lookup().replace("Mod v1.0.0", "Mod v1.0.1");
    let uncovered = lookup().replacen("7\n", "10\n", 1);
    for body in [other, uncovered, head(), "<html>".to_owned(), String::new()] {
        fake.set(LOOKUP, 200, body.clone());
        let request = SumdbRequest::Lookup(module());
        let error = ask(&sumdb, &request, 0).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{body}: {error:?}");
        assert_eq!(sumdb.cached(&name(), &request, at(0)), None);
    }
    for size in [0, 95, 97] {
        fake.set("/tile/8/0/000.p/3", 200, vec![0; size]);
        let request = SumdbRequest::Tile("tile/8/0/000.p/3".to_owned());
        let error = ask(&sumdb, &request, 0).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{size}: {error:?}");
    }
    let too_long = usize::try_from(MAX_NOTE_BYTES).unwrap() + 1;
    fake.set("/latest", 200, vec![b'x'; too_long]);
    let error = ask(&sumdb, &SumdbRequest::Latest, 0).await.unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[tokio::test]
async fn absence_is_told_verbatim_and_kept_for_ten_seconds() {
    let fake = Fake::start().await;
    let sumdb = sumdb(vec![fake.url("/")]);
    let request = SumdbRequest::Lookup(module());
    for (secs, asked) in [(0, 1), (9, 1), (10, 2)] {
        let error = ask(&sumdb, &request, secs).await.unwrap_err();
        let text = Some("not found: no such record".to_owned());
        assert_eq!(error, Error::NotFound { status: 404, text });
        assert_eq!(fake.paths().len(), asked);
        assert_eq!(sumdb.cached(&name(), &request, at(secs)), None);
    }
}

#[tokio::test]
async fn an_old_look_up_is_better_than_none_and_an_old_head_is_not() {
    let fake = Fake::start().await;
    fake.set(LOOKUP, 200, lookup());
    fake.set("/latest", 200, head());
    let sumdb = sumdb(vec![fake.url("/")]);
    let request = SumdbRequest::Lookup(module());
    ask(&sumdb, &request, 0).await.unwrap();
    ask(&sumdb, &SumdbRequest::Latest, 0).await.unwrap();
    for path in [LOOKUP, "/latest"] {
        fake.set(path, 500, "");
    }
    assert_eq!(sumdb.cached(&name(), &request, at(300)), None);
    assert_eq!(ask(&sumdb, &request, 300).await.unwrap(), lookup());
    let error = ask(&sumdb, &SumdbRequest::Latest, 300).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { timeout: false, .. }), "{error:?}");
    fake.set(LOOKUP, 404, "");
    assert!(matches!(ask(&sumdb, &request, 300).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn the_first_proxy_that_supports_the_database_is_asked_for_ten_minutes() {
    let (first, second, direct) = (Fake::start().await, Fake::start().await, Fake::start().await);
    let base = "/go/sumdb/sum.example/x";
    second.set(&format!("{base}/supported"), 200, "");
    second.set(&format!("{base}{LOOKUP}"), 200, lookup());
    let urls = vec![first.url(base), second.url(base), direct.url("/")];
    let sumdb = sumdb(urls);
    let request = SumdbRequest::Lookup(module());
    ask(&sumdb, &request, 0).await.unwrap();
    ask(&sumdb, &SumdbRequest::Latest, 599).await.unwrap_err();
    let expected = ["/supported", LOOKUP, "/latest"].map(|tail| format!("{base}{tail}"));
    assert_eq!((second.paths(), first.paths().len()), (expected.to_vec(), 1));
    // Then the choice is made anew; no proxy supports it now: the database itself is asked.
    second.set(&format!("{base}/supported"), 410, "");
    direct.set("/latest", 200, head());
    ask(&sumdb, &SumdbRequest::Latest, 700).await.unwrap();
    assert_eq!((first.paths().len(), direct.paths()), (2, vec!["/latest".to_owned()]));
}

#[tokio::test]
async fn a_proxy_in_trouble_is_no_reason_to_go_past_it() {
    let (proxy, direct) = (Fake::start().await, Fake::start().await);
    let base = "/sumdb/sum.example/x";
    proxy.set(&format!("{base}/supported"), 403, "no");
    direct.set("/latest", 200, head());
    let sumdb = sumdb(vec![proxy.url(base), direct.url("/")]);
    let error = ask(&sumdb, &SumdbRequest::Latest, 0).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(direct.paths().is_empty());
}

#[tokio::test]
async fn credentials_go_to_their_own_place_only() {
    let (proxy, direct) = (Fake::start().await, Fake::start().await);
    let base = "/go/sumdb/sum.example/x";
    let credential = Some(Credential::Bearer("s3cret".to_owned().into()));
    let access = Access { below: proxy.url("/go/"), client: client(), credential };
    let urls = vec![proxy.url(base), direct.url("/")];
    let via = Arc::from("1.1 larder-test");
    let sumdb = Sumdb::with(vec![database(urls)], &client(), &[access], via);
    direct.set("/latest", 200, head());
    ask(&sumdb, &SumdbRequest::Latest, 0).await.unwrap();
    let asked = proxy.seen.lock().unwrap()[0].to_ascii_lowercase();
    assert!(asked.contains("authorization: bearer s3cret") && asked.contains("larder-test"));
    assert!(!direct.seen.lock().unwrap()[0].to_ascii_lowercase().contains("authorization"));
    assert!(!format!("{sumdb:?}").contains("s3cret"));
}

#[test]
fn paths_are_routed_to_the_longest_name() {
    let named =
        |name: &str| Database { name: LogName::parse(name).unwrap(), key: None, urls: Vec::new() };
    let sumdb = Sumdb::new(vec![named("sum.example"), named("sum.example/x")], &client());
    let routed = |text: &str| sumdb.route(&sumdb_path(text));
    let (name, request) = routed("sum.example/x/latest").unwrap();
    assert_eq!((name.as_str(), request.unwrap()), ("sum.example/x", SumdbRequest::Latest));
    let (name, request) = routed("sum.example/lookup/example.com/!mod@v1.0.0").unwrap();
    assert_eq!(name.as_str(), "sum.example");
    assert_eq!(request.unwrap(), SumdbRequest::Lookup(module()));
    assert!(routed("other.example/latest").is_none());
    assert!(routed("sum.example/lookup/main").unwrap().1.is_err());
    assert_eq!(sumdb.databases()[0].as_str(), "sum.example/x");
}

#[tokio::test]
async fn what_is_not_configured_is_not_asked() {
    let sumdb = sumdb(Vec::new());
    let error = ask(&sumdb, &SumdbRequest::Latest, 0).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    let other = LogName::parse("other.example").unwrap();
    let error = sumdb.relay(&other, &SumdbRequest::Latest, at(0)).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_record_confirms_its_own_module_and_exactly_that_content() {
    let sumdb = sumdb(Vec::new());
    let content = |module: &ModVer, text: &str| Checked::go_mod(module, text.as_bytes()).unwrap();
    let checked = content(&module(), "module example.com/Mod\n");
    let verified = sumdb.record(&module()).await.unwrap().confirm(&checked).unwrap();
    assert!(verified.covers(&checked));
    assert!(!verified.covers(&content(&module(), "module example.com/Mod\n\n")));
    assert_eq!(verified.by(), &Verification::NotConfigured);
    assert_eq!(verified.by().to_string(), "not configured");
    let path = ModulePath::parse("example.com/other").unwrap();
    let other = ModVer::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
    let record = sumdb.record(&other).await.unwrap();
    assert_eq!(record.confirm(&checked).unwrap_err().module, module());
}

#[tokio::test]
async fn a_proxy_in_trouble_is_not_asked_again_by_each_who_waits() {
    let proxy = Fake::start().await;
    proxy.set("/p/sumdb/sum.example/x/supported", 503, "busy");
    let sumdb = sumdb(vec![proxy.url("/p/sumdb/sum.example/x"), proxy.url("/direct")]);
    let request = SumdbRequest::Lookup(module());
    let ask = async |secs| sumdb.relay(&name(), &request, at(secs)).await;
    let answers = tokio::join!(ask(1000), ask(1000), ask(1001));
    assert!(matches!(answers.2, Err(Error::Unavailable { .. })), "{answers:?}");
    assert_eq!(proxy.paths().len(), 1);
    proxy.set("/p/sumdb/sum.example/x/supported", 200, "");
    proxy.set(&format!("/p/sumdb/sum.example/x{LOOKUP}"), 200, lookup());
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert!(ask(1002).await.is_ok());
}
