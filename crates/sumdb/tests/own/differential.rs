//! Compares the log with golang.org/x/mod: its tree, its notes, and the client of the `go` command.
//!
//! The Go program asks line by line; the log answers from memory, as it would over HTTP.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gomod::{ModVer, ModulePath, Version};
use sumdb::{OwnError, OwnLog};
use tlog::{Tile, parse_tiles_path};

use crate::site::{Running, grow, memory, module};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_verifies_the_log_at_many_sizes() {
    let running = Running::start(OwnLog::create(&memory().await).await.unwrap());
    let summary = ask_go(&running.log, &[]).await;
    assert!(summary.contains("checked 70000 records"), "{summary}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_verifies_what_an_erasure_leaves() {
    let parts = memory().await;
    let running = Running::start(OwnLog::create(&parts).await.unwrap());
    grow(&running.log, 700).await;
    running.stop().await;
    for id in [0, 300, 650, 699] {
        OwnLog::erase(&parts, &module(id)).await.unwrap().unwrap();
    }
    let running = Running::start(OwnLog::open(parts).await.unwrap());
    let summary = ask_go(&running.log, &["0", "300", "650", "699"]).await;
    assert!(summary.contains("checked 1000 records of which 4 are erased"), "{summary}");
    running.stop().await;
}

/// Lets the Go program look at the log, of which these records are erased.
async fn ask_go(log: &OwnLog, erased: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/own/go");
    let mut child = Command::new("go")
        .args(["run", ".", &log.verifier().to_string()])
        .args(erased)
        .current_dir(source)
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs `go` on PATH (1.26 or newer): {error}"));
    let mut to = child.stdin.take().unwrap();
    let mut summary = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let answer = match line.split_once(' ') {
            Some(("grow", size)) => {
                grow(log, size.parse().unwrap()).await;
                "ok".to_owned()
            }
            Some(("get", path)) => match get(log, path).await {
                Some(bytes) => format!("+{}", STANDARD.encode(bytes)),
                None => "-".to_owned(),
            },
            _ => {
                writeln!(summary, "{line}").unwrap();
                continue;
            }
        };
        writeln!(to, "{answer}").unwrap();
    }
    drop(to);
    assert!(child.wait().unwrap().success(), "Go found something: {summary}");
    summary
}

/// What the server will answer below a log's address, and what offline tools get.
async fn get(log: &OwnLog, path: &str) -> Option<Bytes> {
    match answer(log, path).await {
        Ok(answer) => answer,
        Err(OwnError::Erased { .. }) => None,
        Err(error) => panic!("{path}: {error:?}"),
    }
}

async fn answer(log: &OwnLog, path: &str) -> Result<Option<Bytes>, OwnError> {
    if let Some(lookup) = path.strip_prefix("/lookup/") {
        let (escaped, version) = lookup.split_once('@').unwrap();
        let path = ModulePath::unescape(escaped).unwrap();
        let module = ModVer::new(path, Version::unescape(version).unwrap()).unwrap();
        return log.lookup(&module).await;
    }
    if let Some(path) = path.strip_prefix("/c2sp/") {
        let tile = parse_tiles_path(path).unwrap();
        return if tile.is_data() {
            log.entries(tile.index, tile.width).await
        } else {
            log.tile(tile).await
        };
    }
    if let Some(id) = path.strip_prefix("/bundle/") {
        let proof = log.prove(&module(id.parse().unwrap())).await?;
        return Ok(proof.map(|(_proven, bundle)| bundle.to_string().into()));
    }
    if let Some(id) = path.strip_prefix("/proof/") {
        let proof = log.tlog_proof(&module(id.parse().unwrap())).await?;
        return Ok(proof.map(|proof| proof.to_string().into()));
    }
    if let Some(size) = path.strip_prefix("/extends/") {
        let proof = log.extends(size.parse().unwrap()).await?;
        return Ok(proof.map(|proof| proof.hashes.concat().into()));
    }
    match path {
        "/latest" => Ok(Some(log.head().message().to_owned().into())),
        "/checkpoint" => Ok(Some(log.checkpoint())),
        path => log.tile(Tile::parse(path.strip_prefix('/').unwrap()).unwrap()).await,
    }
}
