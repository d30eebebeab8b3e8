//! What larder's tests need of the world, made by hand: modules, an upstream proxy that can be told
//! to fail, git repositories with a server, a checksum database that can be told to lie, certificates, a clock that stands still, and an HTTP client.
//!
//! A dev-dependency only. Everything listens on 127.0.0.1, starts in milliseconds and ends with the
//! value that owns it. The fakes share no code with the rooms that they test: what a path or a zip
//! looks like is written here a second time on purpose.
//!
//! ```
//! use testkit::{Behaviour, FakeUpstream, ModuleVersion, Modules};
//!
//! let mut modules = Modules::new();
//! modules.add(&ModuleVersion::new("example.com/hello", "v1.0.0"));
//! let upstream = FakeUpstream::start(modules)?;
//! upstream.behave("*.zip", Behaviour::new().status(503).times(1));
//!
//! let zip = format!("{}/example.com/hello/@v/v1.0.0.zip", upstream.url());
//! assert_eq!(testkit::get(&zip)?.status, 503);
//! assert_eq!(testkit::get(&zip)?.status, 200);
//! assert_eq!(upstream.calls("*.zip"), 2);
//! # anyhow::Ok(())
//! ```
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "plays the outside world: sockets, threads and files are its trade"
)]
#![expect(clippy::expect_used, reason = "a broken fake ends the test that uses it, with a message")]

mod certificates;
mod client;
mod clock;
mod git;
mod modules;
mod sumdb;
mod upstream;

pub use certificates::{Authority, Issued};
pub use client::{Request, Response, get};
pub use clock::ManualClock;
pub use git::{FIRST_COMMIT_SECS, GitRepo, GitRequest, GitRule, GitServer, SshServer};
pub use modules::{ModuleVersion, Modules, escape, zip};
pub use sumdb::{FakeSumdb, History, Lie, h1_of_mod, h1_of_zip};
pub use upstream::{Behaviour, FakeUpstream, Seen};
