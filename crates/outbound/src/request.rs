//! What is asked, and under which limits.

use std::{fmt, sync::Arc, time::Duration};

use policy::address::Word;
use secrecy::SecretString;
use url::Url;

/// One GET: its target, its limits and what goes along.
///
/// Limits of the connection itself (resolve, connect, TLS, between bytes) belong to the client:
/// [`crate::Config`].
#[derive(Clone)]
pub struct Get {
    /// The target, `http` or `https`. Userinfo in it is ignored: give a [`Credential`].
    pub url: Url,
    /// The upstream's name, for errors and metrics. From configuration, so the set is bounded.
    pub name: Arc<str>,
    /// Sent to the URL's own scheme, host and port only; dropped for good on a redirect elsewhere.
    pub credential: Option<Credential>,
    /// On whose word the first address is dialled.
    pub word: Word,
    /// From the request sent to the answer's header.
    pub first_byte: Duration,
    /// From the call of [`crate::Client::get`] to the last byte, retries included.
    pub whole: Duration,
    /// The most bytes of body, counted after decompression.
    pub max_bytes: u64,
    /// The value of our `Via` header, by which a request that comes back is known.
    pub via: Arc<str>,
    /// Which content codings are asked for.
    pub coding: Coding,
}

/// Without the path and query of the URL, which may hold a secret or a private name.
impl fmt::Debug for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get")
            .field("name", &self.name)
            .field("host", &self.url.host_str())
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// Which content codings a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// None: for bodies that are compressed already, and the only one whose cuts can be resumed.
    Identity,
    /// Gzip, for text.
    Gzip,
}

/// What proves us to an upstream.
///
/// Neither printed nor logged; secrets are wiped when dropped.
#[derive(Clone)]
pub enum Credential {
    /// RFC 7617.
    Basic {
        /// The user, without a colon.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// RFC 6750.
    Bearer(SecretString),
    /// The whole value of `Authorization`, as an operator or a helper gave it.
    Header(SecretString),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}
