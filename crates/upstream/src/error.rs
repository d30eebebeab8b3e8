//! What can go wrong, by what the client is told.

use std::{sync::Arc, time::Duration};

use crate::Origin;

/// Why a source has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Every source that was asked said, with authority, that it does not exist.
    #[error("{what} is not known to {origin}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// Who was asked last.
        origin: Origin,
        /// 404 or 410, as it came.
        status: u16,
        /// The first line of the source's own text, if that may be shown.
        text: Option<String>,
    },
    /// The source will not give it out: 403 or 451, a file that may not be read.
    #[error("{origin} forbids {what}")]
    Forbidden {
        /// What was asked for.
        what: String,
        /// Who refused.
        origin: Origin,
        /// The first line of the source's own text, if that may be shown.
        text: Option<String>,
    },
    /// The source does not take larder for who it is: 401, 407, or 403 to our credential.
    #[error("upstream {origin} refused larder's credential")]
    Refused {
        /// Who refused.
        origin: Origin,
    },
    /// The source is in trouble. It may know; asking later may help.
    #[error("{origin}: {reason}")]
    Unavailable {
        /// Who is in trouble.
        origin: Origin,
        /// Which kind, by which the client's status is chosen.
        kind: Trouble,
        /// What failed, in one line.
        reason: String,
        /// When to ask again, if that is known.
        retry_after: Option<Duration>,
    },
    /// The answer breaks a rule. Asking again would bring the same.
    #[error("{origin} sent a bad answer for {what}: {reason}")]
    Invalid {
        /// What was asked for.
        what: String,
        /// Who answered.
        origin: Origin,
        /// The rule.
        reason: String,
    },
    /// Nobody could be asked.
    #[error("{what} needs a source that is not there: {reason}")]
    NoSource {
        /// What was asked for.
        what: String,
        /// Which setting says so.
        reason: String,
        /// Whether `direct` stands there, for which git is missing; else `off`, or nothing.
        direct: bool,
    },
    /// Our own store failed while a zip was staged.
    #[error("staging {what}")]
    Store {
        /// What was asked for.
        what: String,
        /// The store's own error.
        #[source]
        source: Arc<store::Error>,
    },
    /// A source that cannot be made from these settings.
    #[error("upstream {origin}: {reason}")]
    Config {
        /// The entry, without userinfo.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether this says with authority that the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The kind of trouble an upstream is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// A time limit ran out.
    Timeout,
    /// 429: it wants fewer questions.
    Overloaded,
    /// Anything else: a 5xx, DNS, TLS, no connection, a cut body.
    Broken,
    /// A rule of ours forbids the address that its name leads to.
    Barred,
    /// It is there or not there, and hides which: it wants a credential that we have not.
    Hidden,
    /// Ours, not its: our disk, our git.
    Own,
}
