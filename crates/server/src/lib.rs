//! HTTP meaning: routes a request, identifies the caller, calls one use-case, answers.
//!
//! Room `wire` brings requests in and takes answers out; room `proxy` knows what happens when a
//! version is asked for. In between stands this room: one parser of request targets, one file that
//! names every status and header (`answer.rs`, documented for operators in `docs/status-codes.md`),
//! the access log and the metrics of requests.
//!
//! # The hot path
//!
//! [`App`] answers a hit in one synchronous step: no await, no lock that others wait for, no tracing event, no
//! allocation per header. Values of headers are static or made once ([`proxy::Validators`], the
//! lifetimes table); request ids come from a per-thread block; the access line leaves as a
//! [`access::Record`], formatted where the request ended and written by another thread.

mod answer;
mod app;
mod base_path;
mod clock;
mod config;
mod forwarded;
mod ids;
mod pages;
mod public_url;
mod route;
mod visit;

pub mod access;
pub mod metrics;

pub use app::{Admin, AdminFace, App, AppParts, Public};
pub use base_path::BasePath;
pub use clock::Clock;
pub use config::{CacheAges, ClientAddress, Config, Error, LogConfig, Readers};
pub use forwarded::Network;
pub use metrics::Metrics;
pub use public_url::PublicUrl;
