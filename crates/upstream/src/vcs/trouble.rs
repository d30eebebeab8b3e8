//! What a failed look into a repository means to who asked.

use std::{sync::Arc, time::Duration};

use outbound::{Coding, Get};
use url::Url;

use super::{VcsSource, facts::Invalid, locate::Home};
use crate::{Error, Trouble, ask::Ask};

/// How long the page of a repository may take that git was refused.
const PROOF_FIRST_BYTE: Duration = Duration::from_secs(10);
const PROOF_WHOLE: Duration = Duration::from_secs(20);
/// Of that page nothing is read; what is longer is there all the same.
const MAX_PROOF_BYTES: u64 = 1 << 20;

/// Why there is no answer from a repository.
#[derive(Debug, Clone)]
pub(crate) enum Fail {
    /// No such version, with authority.
    Invalid(Invalid),
    /// Not there, with authority, for another reason, which is a whole line.
    Absent(String),
    Git(vcs::Error),
    /// Known in the room's own terms.
    Told(Error),
}

impl From<vcs::Error> for Fail {
    fn from(error: vcs::Error) -> Self {
        Self::Git(error)
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// "Does not exist", with the line that is shown.
pub(crate) fn absent(source: &VcsSource, ask: Ask<'_>, text: &str) -> Error {
    Error::NotFound {
        what: ask.to_string(),
        origin: source.origin.clone(),
        status: 404,
        text: Some(format!("not found: {text}")),
    }
}

impl VcsSource {
    /// Says what a failure means. Asks the repository's bare URL when git was refused there.
    pub(crate) async fn told(&self, home: &Home, ask: Ask<'_>, fail: Fail) -> Error {
        let path = &home.place.path;
        let (what, origin) = (ask.to_string(), self.origin.clone());
        let error = match fail {
            Fail::Told(error) => return error,
            Fail::Invalid(invalid) => return absent(self, ask, &invalid.text(path)),
            Fail::Absent(text) => return absent(self, ask, &text),
            Fail::Git(error) => error,
        };
        let unavailable = |kind, reason| Error::Unavailable {
            origin: self.origin.clone(),
            kind,
            reason,
            retry_after: None,
        };
        match &error {
            vcs::Error::Refused { reason, gone, .. } => {
                self.refused(home, ask, (reason, *gone)).await
            }
            vcs::Error::Ambiguous { .. } => absent(self, ask, &format!("module {path}: {error}")),
            vcs::Error::Forbidden { .. } => {
                Error::Forbidden { what, origin, text: Some(error.to_string()) }
            }
            vcs::Error::Limit { .. } => Error::Invalid { what, origin, reason: error.to_string() },
            vcs::Error::Unavailable { timeout: true, .. } => {
                unavailable(Trouble::Timeout, error.to_string())
            }
            vcs::Error::Full { free, min } => {
                // The same trouble as a store's that takes nothing new, and the same answer.
                let below = store::Degraded::BelowMinFree { free: *free, min: *min };
                Error::Store { what, source: Arc::new(store::Error::Stopped(below)) }
            }
            vcs::Error::Mirror { .. } => unavailable(Trouble::Own, error.to_string()),
            _ => unavailable(Trouble::Broken, error.to_string()),
        }
    }

    /// A host that refuses git does not say why: GitHub answers alike for what is absent and for
    /// what is private. Source: codehost/git.go `loadRefs`; git.md §2.8.
    async fn refused(&self, home: &Home, ask: Ask<'_>, (reason, gone): (&str, bool)) -> Error {
        let url = home.repository.url();
        // What the host hides from strangers is hidden by this too, and a 404 of ours would send
        // the private name on to the client's next proxy.
        // With a credential git's own 404 may mean that it has no right.
        let gone = gone && home.credential.is_none();
        if !home.private && (gone || self.is_gone(home).await) {
            let path = &home.place.path;
            return absent(self, ask, &format!("module {path}: git ls-remote {url}: {reason}"));
        }
        if home.credential.is_some() {
            return Error::Refused { origin: crate::Origin(Arc::from(url.as_str())) };
        }
        Error::Unavailable {
            origin: self.origin.clone(),
            kind: Trouble::Hidden,
            reason: format!(
                "{url} is not there, or wants a credential that larder has not: {reason}"
            ),
            retry_after: None,
        }
    }

    /// Whether the bare URL of the repository answers that it does not exist.
    async fn is_gone(&self, home: &Home) -> bool {
        let (url, word) = home.repository.dialled();
        let Ok(url) = Url::parse(url.as_str()) else { return false };
        if !matches!(url.scheme(), "http" | "https") {
            return false;
        }
        let get = Get {
            url,
            name: Arc::clone(&self.origin.0),
            credential: None,
            word,
            first_byte: PROOF_FIRST_BYTE,
            whole: PROOF_WHOLE,
            max_bytes: MAX_PROOF_BYTES,
            via: Arc::clone(&self.settings.via),
            coding: Coding::Identity,
        };
        matches!(self.client.get(get).await, Err(outbound::Error::NotFound { .. }))
    }
}
