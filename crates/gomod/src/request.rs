//! Requests of the GOPROXY protocol, parsed from the target of an HTTP request.

mod decode;

use std::sync::Arc;

use crate::escape;
use crate::modver::ModVer;
use crate::path::{self, ModulePath};
use crate::query::Query;
use crate::version::{self, Version};

/// Greatest length of a decoded request path.
///
/// A longer one could not be stored: Linux paths end at 4,096 bytes, and the data folder and the
/// case escape need room too.
pub const MAX_PATH_BYTES: usize = 2048;

/// Greatest length of one element of a decoded request path.
///
/// File names end at 255 bytes on every usual file system; `.ziphash` and a scratch suffix need
/// room. The module cache of a client has the same limit.
pub const MAX_ELEMENT_BYTES: usize = 240;

/// Names what a client of the GOPROXY protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// `/<module>/@v/list`
    List(ModulePath),
    /// `/<module>/@latest`, also asked as `/<module>/@v/latest.info`
    Latest(ModulePath),
    /// `/<module>/@v/<query>.info`
    Info(ModulePath, Query),
    /// `/<module>/@v/<version>.mod`
    Mod(ModVer),
    /// `/<module>/@v/<version>.zip`
    Zip(ModVer),
    /// `/sumdb/<database>/...`
    Sumdb(SumdbPath),
}

impl Request {
    /// Parses the path of a request target, below the base path and without the query.
    ///
    /// `path` begins with `/` and is still percent-encoded. It is decoded exactly once and then
    /// case-unescaped, so `%21` and `!` are one; `+` stands for itself. Equal requests are equal
    /// values, whatever their spelling was: use the value as the key, never the target.
    ///
    /// Two or three allocations, no more: this is on the hot path.
    ///
    /// # Errors
    ///
    /// Anything malformed; the answer is 404 for every variant, because 400 would end a client's
    /// list of proxies.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let path = decode::percent(path.strip_prefix('/').ok_or(Error::Unknown)?)?;
        check_lengths(&path)?;
        if let Some(rest) = path.strip_prefix("sumdb/") {
            return SumdbPath::new(rest).map(Self::Sumdb);
        }
        if let Some(module) = path.strip_suffix("/@latest") {
            return Ok(Self::Latest(ModulePath::unescape(module)?));
        }
        let (module, file) = split_file(&path).ok_or(Error::Unknown)?;
        let module = ModulePath::unescape(module)?;
        match file.rsplit_once('.') {
            None if file == "list" => Ok(Self::List(module)),
            Some(("latest", "info")) => Ok(Self::Latest(module)),
            Some((name, "info")) => {
                let name = escape::unescape(name).ok_or(version::Error::Escape)?;
                let query = Query::parse(&name, &module)?;
                Ok(Self::Info(module, query))
            }
            Some((name, "mod")) => Ok(Self::Mod(mod_ver(module, name)?)),
            Some((name, "zip")) => Ok(Self::Zip(mod_ver(module, name)?)),
            _ => Err(Error::Unknown),
        }
    }

    /// Returns the module that the request is about; `None` for the checksum database.
    #[must_use]
    pub fn module(&self) -> Option<&ModulePath> {
        match self {
            Self::List(path) | Self::Latest(path) | Self::Info(path, _) => Some(path),
            Self::Mod(module) | Self::Zip(module) => Some(module.path()),
            Self::Sumdb(_) => None,
        }
    }
}

/// Holds the `<database>/<rest>` of a checksum database request, percent-decoded.
///
/// Not yet split: the name of a database may hold slashes, so only someone who knows the configured
/// names can tell where it ends. The rest is still case-escaped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SumdbPath(Arc<str>);

impl SumdbPath {
    fn new(text: &str) -> Result<Self, Error> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut elements = text.split('/');
        if !plain || elements.any(|element| matches!(element, "" | "." | "..")) {
            return Err(Error::Unknown);
        }
        Ok(Self(text.into()))
    }

    /// Returns `<database>/<rest>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the rest behind the database called `name`; `None` when the path is not below it.
    ///
    /// Names may be prefixes of each other: try the longest first.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] for an end point that no database has, [`Error::Path`] or
    /// [`Error::Version`] for a look-up of something that is no version of a module.
    #[must_use]
    pub fn below(&self, name: &str) -> Option<Result<SumdbRequest, Error>> {
        let rest = self.0.strip_prefix(name)?.strip_prefix('/')?;
        Some(SumdbRequest::parse(rest))
    }
}

/// Names what a client asks of a checksum database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SumdbRequest {
    /// `supported`: whether this proxy relays the database.
    Supported,
    /// `latest`: the newest signed tree head.
    Latest,
    /// `checkpoint`: the same head as C2SP tlog-checkpoint has it.
    Checkpoint,
    /// `about`: what the database says of itself; none but larder's own log has it.
    About,
    /// `lookup/<module>@<version>`: the record of a version.
    Lookup(ModVer),
    /// `tile/...`, as it stands; room `tlog` checks it.
    Tile(String),
}

impl SumdbRequest {
    fn parse(rest: &str) -> Result<Self, Error> {
        if rest.starts_with("tile/") {
            return Ok(Self::Tile(rest.to_owned()));
        }
        match rest {
            "supported" => Ok(Self::Supported),
            "latest" => Ok(Self::Latest),
            "checkpoint" => Ok(Self::Checkpoint),
            "about" => Ok(Self::About),
            _ => {
                let lookup = rest.strip_prefix("lookup/").ok_or(Error::Unknown)?;
                let (path, version) = lookup.split_once('@').ok_or(Error::Unknown)?;
                Ok(Self::Lookup(mod_ver(ModulePath::unescape(path)?, version)?))
            }
        }
    }
}

/// Says why a path is no request of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The percent-encoding is broken, or what it encodes is not ASCII.
    #[error("request path is not percent-encoded ASCII")]
    Encoding,
    /// The path is longer than [`MAX_PATH_BYTES`], or an element than [`MAX_ELEMENT_BYTES`].
    #[error("request path is too long")]
    TooLong,
    /// The path has the form of no end point.
    #[error("no such end point")]
    Unknown,
    /// The module path is malformed.
    #[error("malformed module path")]
    Path(#[from] path::Error),
    /// The version is malformed, not canonical where it must be, or does not fit the path.
    #[error("malformed version")]
    Version(#[from] version::Error),
}

/// Splits at the last `/@v/`; by windows, which takes a third of the time of a string search.
fn split_file(path: &str) -> Option<(&str, &str)> {
    let at = path.as_bytes().windows(4).rposition(|window| window == b"/@v/")?;
    Some((path.get(..at)?, path.get(at + 4..)?))
}

fn mod_ver(path: ModulePath, escaped_version: &str) -> Result<ModVer, version::Error> {
    ModVer::new(path, Version::unescape(escaped_version)?)
}

fn check_lengths(path: &str) -> Result<(), Error> {
    // Nearly every path is shorter than one element may be.
    let fits = path.len() <= MAX_ELEMENT_BYTES
        || path.len() <= MAX_PATH_BYTES
            && path.split('/').all(|element| element.len() <= MAX_ELEMENT_BYTES);
    if fits { Ok(()) } else { Err(Error::TooLong) }
}

#[cfg(test)]
mod tests;
