//! A GOPROXY server as a source.
#![expect(
    clippy::disallowed_methods,
    reason = "the room's clock handle: how long the source is left alone"
)]

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Query};
use outbound::{Answer, Client, Coding, Credential, Get};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use policy::address::Word;
use store::Staged;
use tokio::{sync::Semaphore, time::Instant};
use url::{Host, Url};

use crate::{
    Error, Fetched, GoMod, Info, Listed, Origin, Trouble, Upstream,
    ask::{Ask, looks_like_html},
    breaker::{Blame, Breaker},
    list,
};

/// What stays as it is in a path, exactly as Go's `url.PathEscape` leaves it; so `!` goes out as
/// `%21`, as from the `go` command. Source: modfetch/proxy.go `pathEscape`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// One `http` or `https` entry of GOPROXY and what configuration adds to it.
#[derive(Clone)]
pub struct SourceConfig {
    /// The entry. Userinfo in it becomes the credential, unless there is one.
    pub url: String,
    /// The name in logs, metrics and facts. Default: host, port and path of the URL.
    pub name: Option<String>,
    /// What is sent to the URL's own host.
    pub credential: Option<Credential>,
    /// The value of our `Via` header.
    pub via: Arc<str>,
    /// How long answers may take.
    pub limits: Limits,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, credential, limits, .. } = self;
        let mut debug = f.debug_struct("SourceConfig");
        debug.field("name", name).field("credential", credential).field("limits", limits);
        debug.finish_non_exhaustive()
    }
}

/// How long a source may take, and how much it is asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To the first byte of a list or of `@latest`. Default 10 s.
    pub list_first_byte: Duration,
    /// To the first byte of a file, which the source may have to make first. Default 90 s.
    pub file_first_byte: Duration,
    /// To the last byte of anything but a zip. Default 2 min.
    pub whole: Duration,
    /// To the last byte of a zip. Default 30 min: 500 MiB at 290 kB/s.
    pub zip_whole: Duration,
    /// Questions on their way at once; further ones wait in fair order, and none of the limits above
    /// runs meanwhile. Default 64; 0 counts as 1.
    pub flights: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            list_first_byte: Duration::from_secs(10),
            file_first_byte: Duration::from_secs(90),
            whole: Duration::from_mins(2),
            zip_whole: Duration::from_mins(30),
            flights: 64,
        }
    }
}

/// A GOPROXY server.
///
/// Holds questions back while the server is in trouble: after a failed connection, or three
/// different questions in trouble in a row, everything for a short, growing time; after one failed
/// question, that one for two seconds.
pub struct ProxySource {
    origin: Origin,
    /// The name in metrics, of which there are few.
    label: Arc<str>,
    word: Word,
    base: Url,
    base_path: String,
    credential: Option<Credential>,
    via: Arc<str>,
    limits: Limits,
    client: Client,
    breaker: Breaker,
    turns: Semaphore,
}

impl ProxySource {
    /// Makes a source; nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// `Config` for a URL that is not `http` or `https`, and for a credential that would go over
    /// plain HTTP to another machine (as `go` refuses it).
    pub fn new(config: SourceConfig, client: Client) -> Result<Self, Error> {
        let parsed = Url::parse(&config.url).ok().filter(Url::has_host);
        let Some(mut base) = parsed.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            let origin = Origin(config.name.as_deref().unwrap_or("(unnamed)").into());
            let reason = "it is no http or https URL".to_owned();
            return Err(Error::Config { origin, reason });
        };
        let credential = config.credential.or_else(|| userinfo(&base));
        // Both fail only for URLs that cannot hold userinfo.
        let _never = base.set_username("");
        let _never = base.set_password(None);
        base.set_fragment(None);
        let origin = Origin(config.name.map_or_else(|| name(&base), Arc::from));
        if credential.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            let reason = "refusing to pass credentials to an insecure URL".to_owned();
            return Err(Error::Config { origin, reason });
        }
        let base_path = base.path().trim_end_matches('/').to_owned();
        let SourceConfig { via, limits, .. } = config;
        let turns = Semaphore::new(limits.flights.clamp(1, Semaphore::MAX_PERMITS));
        let breaker = Breaker::default();
        let (label, word) = (Arc::clone(&origin.0), Word::Operator);
        Ok(Self {
            origin,
            label,
            word,
            base,
            base_path,
            credential,
            via,
            limits,
            client,
            breaker,
            turns,
        })
    }

    /// Makes a source of a base that a host's page names: one name for all of them in metrics.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn named(config: SourceConfig, word: Word, client: Client) -> Result<Self, Error> {
        let source = Self::new(config, client)?;
        Ok(Self { label: Arc::from(crate::DIRECT), word, ..source })
    }

    /// Asks, unless the source is held, and lets the breaker know what became of it. `read` takes
    /// the body; what it refuses counts as an answer.
    async fn ask<T>(
        &self,
        ask: Ask<'_>,
        read: impl AsyncFnOnce(Answer) -> Result<T, Failed>,
    ) -> Result<T, Error> {
        let tail = ask.tail();
        let mut hasher = DefaultHasher::new();
        tail.hash(&mut hasher);
        let question = hasher.finish();
        self.breaker.held(question, Instant::now()).map_or(Ok(()), Err)?;
        // Fair, and before any limit of time begins: only the caller's own patience ends the wait. Never
        // closed, so there always is a permit. Who waited asks the breaker anew.
        let _turn = self.turns.acquire().await.ok();
        self.breaker.admit(question, Instant::now())?;
        let outcome = match self.client.get(self.get(ask, &tail)).await {
            Ok(answer) => read(answer).await,
            Err(error) => Err(error.into()),
        };
        let (error, blame) = match outcome {
            Ok(value) => {
                self.well(question);
                return Ok(value);
            }
            Err(Failed::Outbound(error)) => self.told(ask, error),
            Err(Failed::Invalid(reason)) => (self.invalid(ask, reason), None),
            Err(Failed::Ours(error)) => return Err(error),
        };
        match blame {
            None => self.well(question),
            Some(blame) => {
                if self.breaker.troubled(question, blame, &error, Instant::now()) {
                    tracing::warn!(upstream = %self.origin, "held back for a while: {error}");
                }
            }
        }
        Err(error)
    }

    fn well(&self, question: u64) {
        if self.breaker.answered(question) {
            tracing::info!(upstream = %self.origin, "upstream {} answers again", self.origin);
        }
    }

    fn get(&self, ask: Ask<'_>, tail: &str) -> Get {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", self.base_path, utf8_percent_encode(tail, PATH)));
        let zip = matches!(ask, Ask::Zip(_));
        let short = matches!(ask, Ask::List(_) | Ask::Latest(_));
        let Limits { list_first_byte, file_first_byte, whole, zip_whole, .. } = self.limits;
        Get {
            url,
            name: Arc::clone(&self.label),
            credential: self.credential.clone(),
            word: self.word,
            first_byte: if short { list_first_byte } else { file_first_byte },
            whole: if zip { zip_whole } else { whole },
            max_bytes: ask.max_bytes(),
            via: Arc::clone(&self.via),
            coding: if zip { Coding::Identity } else { Coding::Gzip },
        }
    }

    /// A small body, which no page is.
    async fn body(&self, ask: Ask<'_>) -> Result<Bytes, Error> {
        self.ask(ask, async |answer| {
            let body = answer.bytes().await?;
            if looks_like_html(&body) {
                let reason = "it is an HTML page: a login page or a captive portal";
                return Err(Failed::Invalid(reason.to_owned()));
            }
            Ok(body)
        })
        .await
    }

    fn invalid(&self, ask: Ask<'_>, reason: String) -> Error {
        Error::Invalid { what: ask.to_string(), origin: self.origin.clone(), reason }
    }

    fn unavailable(&self, kind: Trouble, reason: String, retry_after: Option<Duration>) -> Error {
        Error::Unavailable { origin: self.origin.clone(), kind, reason, retry_after }
    }

    /// What an error of the connection means for the caller, and whom to blame for it.
    fn told(&self, ask: Ask<'_>, error: outbound::Error) -> (Error, Option<Blame>) {
        use outbound::Error as Outer;
        let (what, origin) = (ask.to_string(), self.origin.clone());
        match error {
            Outer::NotFound { status, text, .. } => {
                let text = text.map(|text| text.as_str().to_owned());
                (Error::NotFound { what, origin, status, text }, None)
            }
            Outer::Status { status: 401 | 407, .. }
            | Outer::Status { status: 403, credential_sent: true, .. } => {
                (Error::Refused { origin }, None)
            }
            Outer::Status { status: 403 | 451, text, .. } => {
                let text = text.map(|text| text.as_str().to_owned());
                (Error::Forbidden { what, origin, text }, None)
            }
            Outer::Status { status, retry_after, .. } => {
                let (kind, blame) = match (status, retry_after) {
                    (429, Some(pause)) => (Trouble::Overloaded, Some(Blame::Pause(pause))),
                    (429, None) => (Trouble::Overloaded, Some(Blame::Question)),
                    (502..=504, _) => (Trouble::Broken, Some(Blame::Question)),
                    // Some servers answer so to every path that is no module: no trouble of theirs.
                    _ => (Trouble::Broken, None),
                };
                // Without the question: a hold tells this to whoever asks next, whatever they ask.
                let reason = format!("it answered {status}");
                (self.unavailable(kind, reason, retry_after), blame)
            }
            Outer::Timeout { phase, .. } => {
                let connecting = matches!(phase, "resolve" | "connect" | "tls");
                let blame = if connecting { Blame::Source } else { Blame::Question };
                let reason = format!("no answer in time ({phase})");
                (self.unavailable(Trouble::Timeout, reason, None), Some(blame))
            }
            // Named by a page or by the operator: either way no trouble of the upstream's own.
            Outer::Unreachable { reason, forbidden: true, .. } => {
                (self.unavailable(Trouble::Barred, reason, None), None)
            }
            Outer::Unreachable { reason, .. } => {
                (self.unavailable(Trouble::Broken, reason, None), Some(Blame::Source))
            }
            Outer::BadBody { reason, .. } => (self.invalid(ask, reason), None),
            Outer::Redirect { reason, .. } => {
                (self.unavailable(Trouble::Broken, reason, None), Some(Blame::Question))
            }
            Outer::Cut { received, .. } => {
                let reason = format!("its answer was cut after {received} bytes");
                (self.unavailable(Trouble::Broken, reason, None), Some(Blame::Question))
            }
            other => (self.unavailable(Trouble::Broken, other.to_string(), None), None),
        }
    }
}

/// The name and the health: a URL may hold secrets in its query.
impl fmt::Debug for ProxySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.breaker.reason();
        f.debug_struct("ProxySource")
            .field("origin", &self.origin)
            .field("held", &held)
            .finish_non_exhaustive()
    }
}

/// Why a question came to nothing.
enum Failed {
    Outbound(outbound::Error),
    /// The body breaks this rule.
    Invalid(String),
    /// Not the source's fault.
    Ours(Error),
}

impl From<outbound::Error> for Failed {
    fn from(error: outbound::Error) -> Self {
        Self::Outbound(error)
    }
}

#[async_trait::async_trait]
impl Upstream for ProxySource {
    async fn list(&self, path: &ModulePath) -> Result<Listed, Error> {
        let ask = Ask::List(path);
        let body = self.body(ask).await?;
        let versions = list::parse(path, &body).map_err(|reason| self.invalid(ask, reason))?;
        Ok(Listed { versions, origin: self.origin.clone() })
    }

    async fn latest(&self, path: &ModulePath) -> Result<Info, Error> {
        let body = self.body(Ask::Latest(path)).await?;
        Info::parse_latest(path, body, self.origin.clone())
    }

    async fn info(&self, path: &ModulePath, query: &Query) -> Result<Info, Error> {
        let body = self.body(Ask::Info(path, query)).await?;
        Info::parse(path, query, body, self.origin.clone())
    }

    async fn go_mod(&self, module: &ModVer) -> Result<GoMod, Error> {
        let bytes = self.body(Ask::Mod(module)).await?;
        Ok(GoMod { bytes, origin: self.origin.clone() })
    }

    async fn zip(&self, module: &ModVer, into: &mut Staged) -> Result<Fetched, Error> {
        let ask = Ask::Zip(module);
        let staging =
            |source| Failed::Ours(Error::Store { what: ask.to_string(), source: Arc::new(source) });
        self.ask(ask, async |mut answer| {
            if let Some(length) = answer.content_length() {
                into.expect(length);
            }
            while let Some(chunk) = answer.chunk().await? {
                into.write(chunk).await.map_err(staging)?;
            }
            into.flush().await.map_err(staging)?;
            Ok(Fetched { size: into.written(), origin: self.origin.clone() })
        })
        .await
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin.clone())
    }

    fn health(&self) -> Option<String> {
        self.breaker.reason()
    }
}

fn userinfo(url: &Url) -> Option<Credential> {
    let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = url.password().map(decode).unwrap_or_default();
    let user = decode(url.username());
    (!(user.is_empty() && password.is_empty()))
        .then(|| Credential::Basic { user, password: password.into() })
}

/// Host, port and path.
fn name(url: &Url) -> Arc<str> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}{}", url.path().trim_end_matches('/')).into()
}

/// Whether what is sent there stays on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outbound::{Client, Config, Credential, ProxyEnvironment};

    use super::{Limits, ProxySource, SourceConfig};
    use crate::{Error, Upstream, ask::Ask};

    fn source(url: &str, credential: Option<Credential>) -> Result<ProxySource, Error> {
        let client = Client::new(&Config::default(), &ProxyEnvironment::default()).unwrap();
        let (name, via, limits) = (None, Arc::from("1.1 larder"), Limits::default());
        ProxySource::new(
            SourceConfig { url: url.to_owned(), name, credential, via, limits },
            client,
        )
    }

    #[test]
    fn a_name_never_holds_userinfo_or_a_query() {
        for (url, name) in [
            ("https://user:pass@proxy.example/go/?token=x", "proxy.example/go"),
            ("http://127.0.0.1:8081", "127.0.0.1:8081"),
            ("https://proxy.example:443/", "proxy.example"),
        ] {
            let source = source(url, None).unwrap();
            assert_eq!(source.origin().unwrap().to_string(), name);
            let shown = format!("{source:?}");
            assert!(!shown.contains("pass") && !shown.contains("token"), "{shown}");
        }
    }

    #[test]
    fn credentials_go_over_plain_http_to_this_machine_only() {
        let bearer = || Some(Credential::Bearer("secret".to_owned().into()));
        for url in ["http://u:p@proxy.example", "http://u@proxy.example", "http://u:p@10.0.0.1"] {
            let error = source(url, None).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{url}");
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
        assert!(source("http://proxy.example", bearer()).is_err());
        assert!(source("http://127.0.0.1:1", bearer()).is_ok());
        assert!(source("http://u:p@[::1]:1", None).is_ok());
        assert!(source("https://u:p@proxy.example", None).is_ok());
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "proxy.example", "ftp://proxy.example", "file:///x", "https://", "direct"] {
            assert!(matches!(source(url, None), Err(Error::Config { .. })), "{url}");
        }
    }

    #[test]
    fn a_url_is_written_as_go_writes_it() {
        let path = gomod::ModulePath::parse("github.com/Azure/go").unwrap();
        let source = source("https://proxy.example/a%20b/?x=1", None).unwrap();
        let ask = Ask::List(&path);
        let url = source.get(ask, &ask.tail()).url;
        assert_eq!(url.as_str(), "https://proxy.example/a%20b/github.com/%21azure/go/@v/list?x=1");
    }
}
