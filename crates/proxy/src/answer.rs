//! What the use-cases answer: a body, its validators, and how it was found.
#![expect(
    clippy::disallowed_types,
    reason = "open files of the store, handed on to be sent; never read here"
)]

use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use units::Timestamp;

use crate::Error;

/// Which resource of the protocol is answered: decides media type and lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `@v/list`.
    List,
    /// `@latest`.
    Latest,
    /// `.info` of a canonical version.
    Info,
    /// `.info` of a branch, tag or commit.
    Query,
    /// `.mod`.
    Mod,
    /// `.zip`.
    Zip,
    /// Anything of a checksum database.
    Sumdb,
}

/// How it was answered, in the words of RFC 9211.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// From memory or from the store.
    Hit,
    /// Fetched for this request.
    Miss,
    /// Fetched for another request that was already under way.
    Collapsed,
    /// An old answer: a refresh is running, or the source fails.
    Stale,
}

/// Validators of a body, as header values made when it was loaded.
#[derive(Debug, Clone)]
pub struct Validators {
    /// Strong: the SHA-256 of the bytes.
    pub etag: HeaderValue,
    /// HTTP date.
    pub last_modified: HeaderValue,
    /// The same moment.
    pub modified: Timestamp,
    /// Decimal length.
    pub content_length: HeaderValue,
}

impl Validators {
    /// Makes the header values once, so that a hit only clones them.
    pub(crate) fn new(sha256: &str, modified: Timestamp, len: u64) -> Self {
        // Whole seconds: an HTTP date has no more, and `If-Modified-Since` compares with it.
        let modified = Timestamp::from_unix_secs(modified.unix_secs());
        Self {
            etag: header(format!("\"{sha256}\"")),
            last_modified: header(modified.http_date()),
            modified,
            content_length: HeaderValue::from(len),
        }
    }
}

fn header(text: String) -> HeaderValue {
    // Hexadecimal digits and HTTP dates are always legal; an empty value would only lose a validator.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Parts of a file that is still being fetched; an error means that the verdict was bad: cut the connection.
pub type LiveParts =
    Pin<Box<dyn futures_util::Stream<Item = Result<store::BodyPart, Error>> + Send>>;

/// The body of an answer.
pub enum Body {
    /// Small and in memory.
    Memory(Bytes),
    /// A published file; never truncated while it is open.
    File {
        /// Open for reading.
        file: Arc<File>,
        /// Its length in bytes.
        len: u64,
    },
    /// A zip that is still arriving.
    Live {
        /// What may be sent already, in order.
        parts: LiveParts,
        /// The whole length, known from the source.
        len: u64,
    },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "Memory({} bytes)", bytes.len()),
            Self::File { len, .. } => write!(f, "File({len} bytes)"),
            Self::Live { len, .. } => write!(f, "Live({len} bytes)"),
        }
    }
}

/// An answer with status 200.
#[derive(Debug)]
pub struct Answer {
    /// Which resource.
    pub kind: Kind,
    /// Its bytes.
    pub body: Body,
    /// Absent while a file is still being fetched: its digest is not known yet.
    pub validators: Option<Validators>,
    /// How it was found.
    pub outcome: Outcome,
    /// For how long caches may keep it; `None`: it never changes.
    pub fresh_for: Option<Duration>,
    /// Whether the module is private: no cache that others use may keep it.
    pub private: bool,
}
