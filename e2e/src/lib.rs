//! End-to-end: the real `larder` binary between the real `go` command and an upstream of our own.
//!
//! Needed: `go` on PATH, nginx, and a built `larder`, either beside the test's own target folder
//! (`cargo test --workspace` puts it there) or named by `LARDER_BIN`. More Go releases are taken
//! from `LARDER_E2E_GO`, a colon-separated list of GOROOTs; `scripts/test` sets it.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "starts programs and reads what they wrote"
)]

mod go;
mod larder;
mod nginx;

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::Context;

pub use go::{Client, Go, Project};
pub use larder::{Disk, Larder, Settings};
pub use nginx::Nginx;
pub use rustix::process::Signal;

/// Longest time that a server may take to come up: generous, the machine may be busy compiling.
const READY_SECS: u64 = 30;

/// A port of 127.0.0.1 that was free just now.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// An address of this machine that is no loopback one; none on a machine without a network.
#[must_use]
pub fn own_address() -> Option<IpAddr> {
    let output = Command::new("hostname").arg("-I").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut addresses = said.split_whitespace().filter_map(|text| text.parse::<IpAddr>().ok());
    addresses.find(|address| address.is_ipv4() && !address.is_loopback())
}

/// Asks again and again until something holds; false after the time to come up.
pub fn becomes_true(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(READY_SECS);
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// The build folder that this test runs from: `target`.
fn target() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/debug/deps/e2e-0123456789abcdef
    Ok(test.ancestors().nth(3).context("the test stands in a target folder")?.to_path_buf())
}

/// All files below a folder, with their paths relative to it; a missing folder has none.
///
/// # Errors
///
/// When a folder or a file cannot be read.
pub fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        if !next.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Both outputs of a program that succeeded.
///
/// # Errors
///
/// When it did not; the error holds what it said.
fn succeeded(output: &Output, what: &str) -> anyhow::Result<String> {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    anyhow::ensure!(output.status.success(), "{what}: {}\n{said}", output.status);
    Ok(said)
}
