//! What stands in the rows of a log.

use gomod::ModVer;
use units::Timestamp;

use super::LogKey;

/// Where a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// A private module's version, hashed by us.
    Private,
    /// A public module's version, as the public log records it.
    Public,
    /// A Go toolchain, as the public log records it.
    Toolchain,
    /// A head of another log, or of the one before this.
    Anchor,
}

/// What a module path was logged as first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Never asked of anyone public.
    Private,
    /// Recorded by the public log.
    Public,
}

impl LogKind {
    /// Returns the word in the tables and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Toolchain => "toolchain",
            Self::Anchor => "anchor",
        }
    }

    /// Returns what a record of this kind binds its module path to; `None`: to nothing.
    #[must_use]
    pub fn binding(self) -> Option<Binding> {
        match self {
            Self::Private => Some(Binding::Private),
            Self::Public | Self::Toolchain => Some(Binding::Public),
            Self::Anchor => None,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Private, Self::Public, Self::Toolchain, Self::Anchor];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Binding {
    /// Returns the word in the tables: `private` or `public`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Private, Self::Public].into_iter().find(|binding| binding.as_str() == text)
    }
}

/// A record that has no place yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The version.
    pub module: ModVer,
    /// The text, which may never change; `None`: erased before the record was restored.
    pub text: Option<String>,
    /// The hash that it has in the tree.
    pub leaf: [u8; 32],
    /// Where it came from.
    pub kind: LogKind,
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its number.
    pub id: u64,
    /// The version.
    pub module: ModVer,
    /// The text; `None`: erased.
    pub text: Option<String>,
    /// The hash that it has in the tree.
    pub leaf: [u8; 32],
    /// Where it came from.
    pub kind: LogKind,
    /// When it got its place.
    pub created: Timestamp,
}

/// What became of a new record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It has this number.
    New(u64),
    /// The version has a record; whether the texts agree, the caller judges.
    Known(LogRecord),
    /// The module path is bound otherwise.
    Bound(Binding),
}

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// How many records the tree holds.
    pub size: u64,
    /// The root hash.
    pub root: [u8; 32],
    /// The signed note that the `go` command reads.
    pub note: String,
    /// The signed checkpoint that witnesses read.
    pub checkpoint: String,
    /// When it was signed.
    pub signed: Timestamp,
}

/// How far the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStanding {
    /// Its keys, in the order in which they came; at least one.
    pub keys: Vec<LogKey>,
    /// The number that the next record gets.
    pub next: u64,
    /// The size of its newest signed head.
    pub integrated: u64,
    /// Who may write.
    pub epoch: u64,
    /// Why nothing is signed any more.
    pub frozen: Option<String>,
}
