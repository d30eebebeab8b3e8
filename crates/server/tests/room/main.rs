//! Room server over sockets: real connections in, the real use-cases behind, a fake upstream.
#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod larder;

mod errors;
mod files;
mod mutable;
mod observed;
