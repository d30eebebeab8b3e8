//! The five questions of the protocol: how each is written, named and bounded.

use std::fmt;

use gomod::{ModVer, ModulePath, Query, modfile::MAX_MOD_BYTES};

use crate::MAX_INFO_BYTES;

/// The most bytes of a `list`: half a million versions. The client has no limit; the longest lists
/// known (`golang.org/toolchain`, big cloud clients) stay below 1 MiB.
pub const MAX_LIST_BYTES: u64 = 16 << 20;
/// The most bytes of a zip. Source: go.dev/ref/mod#zip-path-size-constraints, protocol.md §3.5.
pub const MAX_ZIP_BYTES: u64 = 500 << 20;

/// A question to a source.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask<'a> {
    List(&'a ModulePath),
    Latest(&'a ModulePath),
    Info(&'a ModulePath, &'a Query),
    Mod(&'a ModVer),
    Zip(&'a ModVer),
}

impl<'a> Ask<'a> {
    /// The module that it is about.
    pub(crate) fn path(self) -> &'a ModulePath {
        match self {
            Self::List(path) | Self::Latest(path) | Self::Info(path, _) => path,
            Self::Mod(module) | Self::Zip(module) => module.path(),
        }
    }

    /// The path below the base: case-escaped, not percent-encoded.
    pub(crate) fn tail(self) -> String {
        match self {
            Self::List(path) => format!("{}/@v/list", path.escaped()),
            Self::Latest(path) => format!("{}/@latest", path.escaped()),
            Self::Info(path, query) => format!("{}/@v/{}.info", path.escaped(), query.escaped()),
            Self::Mod(module) => file(module, "mod"),
            Self::Zip(module) => file(module, "zip"),
        }
    }

    pub(crate) fn max_bytes(self) -> u64 {
        match self {
            Self::List(_) => MAX_LIST_BYTES,
            Self::Latest(_) | Self::Info(..) => MAX_INFO_BYTES,
            Self::Mod(_) => MAX_MOD_BYTES,
            Self::Zip(_) => MAX_ZIP_BYTES,
        }
    }
}

fn file(module: &ModVer, extension: &str) -> String {
    format!("{}/@v/{}.{extension}", module.path().escaped(), module.version().escaped())
}

/// The name of the thing in errors.
impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(path) => write!(f, "{path}"),
            Self::Latest(path) => write!(f, "{path}@latest"),
            Self::Info(path, query) => write!(f, "{path}@{}", query.as_str()),
            Self::Mod(module) => write!(f, "{module}/go.mod"),
            Self::Zip(module) => write!(f, "{module}"),
        }
    }
}

/// Whether a body that should be text, JSON or a go.mod is an HTML page: none of those begins so.
pub(crate) fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}
