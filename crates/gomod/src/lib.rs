//! Go's module grammar: paths, escaping, versions, go.mod, GOPROXY lists, protocol requests.
//!
//! Text is parsed once, where it comes in; afterwards the type is the check. Everything is pure
//! and total: no I/O, no clock, no panic on any input, and exact with golang/mod, which the test
//! `differential` compares on generated input.
//!
//! ```
//! use gomod::{Query, Request};
//!
//! let Request::Info(path, Query::Version(version)) =
//!     Request::parse("/github.com/%21burnt%21sushi/toml/@v/v1.4.0.info")?
//! else {
//!     panic!("not an info request for a version");
//! };
//! assert_eq!((path.as_str(), version.as_str()), ("github.com/BurntSushi/toml", "v1.4.0"));
//! # Ok::<(), gomod::request::Error>(())
//! ```

mod escape;
pub mod filepath;
pub mod goproxy;
pub mod gosum;
pub mod govcs;
pub mod modfile;
mod modver;
pub mod path;
pub mod pattern;
mod query;
mod quote;
pub mod repo;
pub mod request;
mod unicode;
pub mod version;

pub use crate::modver::ModVer;
pub use crate::path::ModulePath;
pub use crate::query::{Query, Revision};
pub use crate::quote::{is_printable, quote};
pub use crate::request::{Request, SumdbPath, SumdbRequest};
pub use crate::version::Version;
