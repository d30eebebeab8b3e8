//! What a log signed, for the `go` command or for witnesses: all of it must be of one tree.

use std::collections::HashMap;

use tlog::{
    MAX_MESSAGE_BYTES, Question, Reading, SignedCheckpoint, SignedHead, TreeHead, VerifierKey,
};

use super::Monitor;
use super::place::Failed;
use crate::Error;

/// The most bytes of a signed text that is kept for later comparison.
pub(super) const MAX_SIGNED_BYTES: usize = 64 << 10;
/// The most signed texts that wait to be compared; a log that signs more of what it cannot show is
/// told for those.
pub(super) const MAX_SIGNED: usize = 32;

/// A head that a log signed, in one of the two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    head: TreeHead,
    message: String,
    title: &'static str,
}

impl Signed {
    /// Opens a head of the log: what `latest` serves and `go` commands keep, or a C2SP checkpoint.
    ///
    /// # Errors
    ///
    /// Those of [`SignedHead::open`] and [`SignedCheckpoint::open`].
    pub fn open(key: &VerifierKey, message: &[u8]) -> Result<Self, tlog::Error> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(tlog::Error::Note);
        }
        match SignedHead::open(key, message) {
            Err(tlog::Error::Head) => Ok(SignedCheckpoint::open(key, message)?.into()),
            other => Ok((&other?).into()),
        }
    }

    pub(super) fn head(&self) -> &TreeHead {
        &self.head
    }

    pub(super) fn size(&self) -> u64 {
        self.head.size
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What evidence calls it.
    pub(super) fn title(&self) -> &'static str {
        self.title
    }
}

impl From<&SignedHead> for Signed {
    fn from(head: &SignedHead) -> Self {
        let (message, title) = (head.message().to_owned(), "tree head");
        Self { head: head.head().clone(), message, title }
    }
}

impl From<SignedCheckpoint> for Signed {
    fn from(checkpoint: SignedCheckpoint) -> Self {
        let (message, title) = (checkpoint.message().to_owned(), "checkpoint");
        Self { head: checkpoint.head().clone(), message, title }
    }
}

/// Whether two heads are of one tree.
#[derive(Debug)]
pub(super) enum Related {
    /// The larger tree begins with the smaller one.
    Yes,
    /// It does not: a fork, shown by tiles unless the sizes are the same.
    No(Option<Box<Reading>>),
    /// What is served does not tell.
    Unclear(String),
    /// The log could not be asked.
    Unasked(Error),
}

impl Monitor {
    /// Finds out whether two heads are of one tree.
    pub(super) async fn relate(&self, one: &TreeHead, two: &TreeHead) -> Related {
        let (less, more) = if one.size < two.size { (one, two) } else { (two, one) };
        if less == more || more.size == 0 {
            return Related::Yes;
        }
        if less.size == more.size {
            return Related::No(None);
        }
        // Tiles of one tree must not be taken for those of another.
        self.place.forget();
        let read = self.place.read(more, &[Question::Tree(less.size)], &HashMap::new()).await;
        self.place.forget();
        match read {
            // The empty tree is the beginning of every tree; old Go writes its root otherwise.
            Ok(reading) if less.size == 0 || reading.extends(less).is_ok() => Related::Yes,
            Ok(reading) => Related::No(Some(Box::new(reading))),
            Err(Failed::Unreachable(error)) => Related::Unasked(error),
            Err(failed) => Related::Unclear(failed.to_string()),
        }
    }
}

/// How two heads differ that are not of one tree.
pub(super) fn differ(one: &TreeHead, two: &TreeHead) -> String {
    let (less, more) = (one.size.min(two.size), one.size.max(two.size));
    if less == more {
        format!("there are two trees of size {less}")
    } else {
        format!("the tree of size {more} does not begin with the tree of size {less}")
    }
}
