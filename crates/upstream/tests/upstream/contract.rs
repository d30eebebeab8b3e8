//! What every `Upstream` does, run against every one there is.
//!
//! A source that passes knows exactly [`world`]: two modules, one without versions.

use std::{collections::BTreeMap, fs, sync::Arc};

use gomod::goproxy::Separator;
use tempfile::TempDir;
use upstream::{Error, FileSource, Origin, Upstream};

use crate::{
    chain, content,
    fake::{Fake, Routes, not_found, ok},
    link, module, path, query, source, staged,
};

const INFO: &str = r#"{"Version":"v1.2.0","Time":"2020-01-02T03:04:05Z","Origin":{"VCS":"git"}}"#;
const ZIP: &[u8] = b"PK\x03\x04 not looked into here";

/// The files of the world, by their path below the base.
fn world() -> BTreeMap<&'static str, &'static [u8]> {
    BTreeMap::from([
        ("example.com/!mod/@v/list", &b"v1.2.0\nv1.10.0\nv1.0\nv2.0.0\n"[..]),
        ("example.com/!mod/@latest", INFO.as_bytes()),
        ("example.com/!mod/@v/v1.2.0.info", INFO.as_bytes()),
        ("example.com/!mod/@v/main.info", INFO.as_bytes()),
        ("example.com/!mod/@v/v1.3.0.info", INFO.as_bytes()),
        ("example.com/!mod/@v/v1.2.0.mod", b"module example.com/Mod\r\n"),
        ("example.com/!mod/@v/v1.2.0.zip", ZIP),
        ("example.com/empty/@v/list", b""),
        ("example.com/page/@v/list", b"<html>\nv1.0.0\n"),
    ])
}

/// The whole contract.
async fn holds(upstream: Arc<dyn Upstream>) {
    lists_fitting_versions_and_tells_empty_from_unknown(&*upstream).await;
    infos_are_judged_and_kept_as_they_came(&*upstream).await;
    files_come_unchanged(&*upstream).await;
    absence_is_not_found_everywhere(&*upstream).await;
}

async fn lists_fitting_versions_and_tells_empty_from_unknown(upstream: &dyn Upstream) {
    let listed = upstream.list(&path("example.com/Mod")).await.unwrap();
    let versions: Vec<_> = listed.versions.iter().map(ToString::to_string).collect();
    assert_eq!(versions, ["v1.2.0", "v1.10.0"]);
    assert!(upstream.list(&path("example.com/empty")).await.unwrap().versions.is_empty());
    assert!(upstream.list(&path("example.com/none")).await.unwrap_err().is_not_found());
    let error = upstream.list(&path("example.com/page")).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
}

async fn infos_are_judged_and_kept_as_they_came(upstream: &dyn Upstream) {
    let path = path("example.com/Mod");
    for asked in ["v1.2.0", "main"] {
        let info = upstream.info(&path, &query(&path, asked)).await.unwrap();
        assert_eq!((info.version.as_str(), &info.bytes[..]), ("v1.2.0", INFO.as_bytes()));
        assert!(info.time.is_some());
    }
    let latest = upstream.latest(&path).await.unwrap();
    assert_eq!(latest.version.as_str(), "v1.2.0");
    let wrong = upstream.info(&path, &query(&path, "v1.3.0")).await.unwrap_err();
    assert!(matches!(wrong, Error::Invalid { .. }), "{wrong:?}");
}

async fn files_come_unchanged(upstream: &dyn Upstream) {
    let module = module("example.com/Mod", "v1.2.0");
    assert_eq!(upstream.go_mod(&module).await.unwrap().bytes, "module example.com/Mod\r\n");
    let mut into = staged().await;
    let fetched = upstream.zip(&module, &mut into).await.unwrap();
    assert_eq!((fetched.size, into.written()), (ZIP.len() as u64, ZIP.len() as u64));
    assert_eq!(into.follower().expected(), Some(ZIP.len() as u64));
    assert_eq!(content(&into), ZIP);
}

async fn absence_is_not_found_everywhere(upstream: &dyn Upstream) {
    let known = path("example.com/Mod");
    let absent = module("example.com/Mod", "v1.9.9");
    let branch = query(&known, "nobranch");
    assert!(upstream.info(&known, &branch).await.unwrap_err().is_not_found());
    assert!(upstream.latest(&path("example.com/none")).await.unwrap_err().is_not_found());
    assert!(upstream.go_mod(&absent).await.unwrap_err().is_not_found());
    let mut into = staged().await;
    assert!(upstream.zip(&absent, &mut into).await.unwrap_err().is_not_found());
    assert_eq!(into.written(), 0);
}

async fn server() -> Fake {
    let mut routes = Routes::new();
    for (name, body) in world() {
        let escaped: &'static str = Box::leak(name.replace('!', "%21").into_boxed_str());
        routes.insert(escaped, ok(body));
    }
    Fake::start(routes).await
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, body) in world() {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, body).unwrap();
    }
    folder
}

fn file_source(folder: &TempDir) -> Arc<dyn Upstream> {
    Arc::new(FileSource::new(&format!("file://{}", folder.path().display()), None).unwrap())
}

#[tokio::test]
async fn the_contract_holds_for_a_proxy() {
    let fake = server().await;
    holds(source(&fake.url())).await;
}

#[tokio::test]
async fn the_contract_holds_for_a_folder() {
    holds(file_source(&folder())).await;
}

#[tokio::test]
async fn the_contract_holds_for_chains_and_pinned_chains() {
    let (fake, folder) = (server().await, folder());
    let nobody = Fake::start([("*", not_found("not found: nobody"))].into()).await;
    let (first, last) = (source(&nobody.url()), source(&fake.url()));
    let links = vec![
        link(first, Separator::Comma),
        link(last, Separator::Comma),
        link(file_source(&folder), Separator::Comma),
    ];
    let chain = chain(links);
    holds(Arc::clone(&chain) as Arc<dyn Upstream>).await;
    for origin in chain.health().into_iter().map(|(origin, _)| origin) {
        holds(chain.pinned(&origin)).await;
    }
    holds(chain.pinned(&Origin("who?".into()))).await;
}
