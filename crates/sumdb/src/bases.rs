//! Where a database is asked: through a proxy that supports it, else directly.

use std::{sync::Arc, time::Duration};

use gomod::SumdbRequest;
use outbound::{Client, Coding, Credential, Get};
use percent_encoding::percent_decode_str;
use policy::address::Word;
use tokio::{sync::Mutex, time::Instant};
use units::Timestamp;
use url::Url;

use crate::{Access, Database, Error};

/// How long a choice holds before the proxies are asked again.
const CHOICE_LIFE: Duration = Duration::from_mins(10);
/// How long a proxy's trouble is told again: those who waited while one asked share what it heard,
/// and do not wait for their own time limits one after the other.
const TROUBLE_LIFE: Duration = Duration::from_secs(1);
/// A database or proxy answers within these, or not. Clients have no limit of their own.
const FIRST_BYTE: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);
/// The body of `supported` is of no interest.
const MAX_SUPPORTED_BYTES: u64 = 64 << 10;

/// The places of one database, in order.
#[derive(Debug)]
pub(crate) struct Bases {
    bases: Vec<Base>,
    chosen: Mutex<Chosen>,
}

/// What asking the proxies last came to.
#[derive(Debug, Default)]
struct Chosen {
    base: Option<(usize, Timestamp)>,
    trouble: Option<(Error, Instant)>,
}

/// One place.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    url: Url,
    /// Host, port and path, without userinfo.
    pub(crate) name: Arc<str>,
    credential: Option<Credential>,
    client: Client,
    /// Whether this is below a GOPROXY server, which says by `supported` whether it relays.
    through_proxy: bool,
}

impl Bases {
    pub(crate) fn new(database: &Database, client: &Client) -> Self {
        let through = format!("/sumdb/{}", database.name.as_str());
        let bases = database.urls.iter().map(|url| Base::new(url, &through, client)).collect();
        Self { bases, chosen: Mutex::default() }
    }

    /// Asks the bases below a URL in this way.
    pub(crate) fn set_access(&mut self, access: &Access) {
        let path = access.below.path().trim_end_matches('/');
        for base in &mut self.bases {
            let rest = base.url.path().strip_prefix(path);
            let below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if below && base.url.origin() == access.below.origin() {
                base.client = access.client.clone();
                if access.credential.is_some() {
                    base.credential.clone_from(&access.credential);
                }
            }
        }
    }

    /// The base to ask, as `go` chooses it: the first proxy that supports the database; 404 and 410
    /// lead on to the next, any other trouble is an error and not a reason to go past a proxy.
    /// Source: protocol.md §9, sumdb.md §2.1. One caller asks, the others wait for its choice.
    #[expect(
        clippy::disallowed_methods,
        reason = "the room's clock handle: how long trouble is shared"
    )]
    pub(crate) async fn choose(&self, via: &Arc<str>, now: Timestamp) -> Result<&Base, Error> {
        let mut chosen = self.chosen.lock().await;
        let fresh = |since: Timestamp| now.since(since).is_some_and(|age| age < CHOICE_LIFE);
        let held = chosen.base.filter(|(_, since)| fresh(*since));
        if let Some(base) = held.and_then(|(at, _)| self.bases.get(at)) {
            return Ok(base);
        }
        if let Some((error, since)) = &chosen.trouble
            && since.elapsed() < TROUBLE_LIFE
        {
            return Err(error.clone());
        }
        for (at, base) in self.bases.iter().enumerate() {
            // The last place is asked in any case: its answers will tell.
            let last = at + 1 == self.bases.len();
            let asked = !last && base.through_proxy;
            let supports = if asked { base.supports(via).await } else { Ok(true) };
            match supports {
                Ok(true) => {
                    chosen.base = Some((at, now));
                    return Ok(base);
                }
                Ok(false) => {}
                Err(error) => {
                    chosen.trouble = Some((error.clone(), Instant::now()));
                    return Err(error);
                }
            }
        }
        Err(Error::Unavailable {
            source_name: Arc::from("checksum database"),
            timeout: false,
            reason: "no place to ask is configured".to_owned(),
            retry_after: None,
        })
    }
}

impl Base {
    fn new(url: &Url, through: &str, client: &Client) -> Self {
        let mut url = url.clone();
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decode(url.username());
        let password = url.password().map(decode).unwrap_or_default();
        let secret = !(user.is_empty() && password.is_empty());
        let credential = secret.then(|| Credential::Basic { user, password: password.into() });
        // Both fail only for URLs that cannot hold userinfo.
        let _never = url.set_username("");
        let _never = url.set_password(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}{port}{path}", url.host_str().unwrap_or_default()).into();
        let client = client.clone();
        Self { url, name, credential, client, through_proxy: path.ends_with(through) }
    }

    /// A question below this base. `tail` is escaped as on the wire.
    pub(crate) fn get(&self, tail: &str, max_bytes: u64, via: &Arc<str>) -> Get {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{tail}", self.url.path().trim_end_matches('/')));
        Get {
            url,
            name: Arc::clone(&self.name),
            credential: self.credential.clone(),
            word: Word::Operator,
            first_byte: FIRST_BYTE,
            whole: WHOLE,
            max_bytes,
            via: Arc::clone(via),
            coding: Coding::Identity,
        }
    }

    /// Asks, by this place's own trust.
    pub(crate) async fn ask(&self, question: Get) -> Result<outbound::Answer, outbound::Error> {
        self.client.get(question).await
    }

    async fn supports(&self, via: &Arc<str>) -> Result<bool, Error> {
        let question = self.get(&tail(&SumdbRequest::Supported), MAX_SUPPORTED_BYTES, via);
        match self.ask(question).await {
            Ok(_answer) => Ok(true),
            Err(outbound::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.told(error)),
        }
    }

    /// What an error of the connection means for the caller.
    pub(crate) fn told(&self, error: outbound::Error) -> Error {
        use outbound::Error as Outer;
        let source_name = Arc::clone(&self.name);
        match error {
            Outer::NotFound { status, text, .. } => {
                Error::NotFound { status, text: text.map(|text| text.as_str().to_owned()) }
            }
            Outer::BadBody { reason, .. } => Error::Invalid { source_name, reason },
            Outer::Status { status, retry_after, .. } => {
                let reason = format!("it answered {status}");
                Error::Unavailable { source_name, timeout: false, reason, retry_after }
            }
            Outer::Timeout { phase, .. } => {
                let reason = format!("no answer in time ({phase})");
                Error::Unavailable { source_name, timeout: true, reason, retry_after: None }
            }
            Outer::Unreachable { reason, .. } | Outer::Redirect { reason, .. } => {
                Error::Unavailable { source_name, timeout: false, reason, retry_after: None }
            }
            other => {
                let reason = other.to_string();
                Error::Unavailable { source_name, timeout: false, reason, retry_after: None }
            }
        }
    }
}

/// The path of a question below its base, `!` written as `go` writes it.
pub(crate) fn tail(request: &SumdbRequest) -> String {
    match request {
        SumdbRequest::Supported => "supported".to_owned(),
        SumdbRequest::Latest => "latest".to_owned(),
        SumdbRequest::Checkpoint => "checkpoint".to_owned(),
        SumdbRequest::About => "about".to_owned(),
        SumdbRequest::Tile(path) => path.clone(),
        SumdbRequest::Lookup(module) => {
            let (path, version) = (module.path().escaped(), module.version().escaped());
            format!("lookup/{path}@{version}").replace('!', "%21")
        }
    }
}
