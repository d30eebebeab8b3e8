//! Every outgoing HTTP request but bucket and git traffic.
//!
//! The room owns what a request to the outside needs and no other room shall repeat: limits for
//! each phase, a bounded retry of what is transient, size caps, trust in certificates, the guard
//! over the addresses that are dialled, and errors that tell the operator what is wrong without
//! telling anybody a secret. It knows URLs and bytes; what a body means is its callers' business.
//!
//! Start at [`Client::get`]; [`Get`] says what is asked and under which limits, [`Answer`] is a 200
//! whose body is still to come, [`Error`] is everything else. [`Client::page`] is for
//! the few questions that any status may answer.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the port for outgoing HTTP: sockets, names, CA files and phase clocks are its outside world"
)]

mod answer;
mod client;
mod config;
mod dial;
mod error;
mod failure;
mod metrics;
mod page;
mod phase;
mod request;
mod retry;
mod text;
mod trust;
mod unverified;

pub use answer::Answer;
pub use client::Client;
pub use config::{Config, ProxyEnvironment};
pub use error::Error;
pub use metrics::{Failure as FailureClass, Metrics};
pub use page::Page;
pub use request::{Coding, Credential, Get};
pub use text::UpstreamText;
