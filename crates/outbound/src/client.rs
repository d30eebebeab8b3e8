//! One GET: attempts, redirects, statuses.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, StatusCode, header};
use policy::address::Word;
use reqwest::{NoProxy, Proxy, Response};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::{
    Answer, Coding, Config, Credential, Error, Get, Metrics, ProxyEnvironment, UpstreamText,
    dial::{Guarded, Proxies, judge_url, proxy_url, word_behind},
    failure::Failure,
    metrics,
    phase::{Limits, Noted, watch},
    retry::{Again, Retries, retry_after},
    trust,
    unverified::unverified,
};

/// Redirects followed for one request; the eleventh fails. Source: net/http, protocol.md §5.1.
const MAX_REDIRECTS: usize = 10;
/// Of an error's body no more is read than this: its first line is all that is used, and reading a
/// short body to its end keeps the connection.
const MAX_ERROR_BODY_BYTES: usize = 16 << 10;
/// How long an error's body may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle connection is closed after this, so that its name is resolved again.
const POOL_IDLE: Duration = Duration::from_mins(1);
/// A busy pool is replaced after this, for the same reason; requests on the old one end undisturbed.
const POOL_AGE: Duration = Duration::from_mins(5);
/// Idle HTTP/1.1 connections kept for one host.
const POOL_PER_HOST: usize = 64;
/// HTTP/2 windows: a 50 MB/s link of 50 ms needs 2.5 MB on the way.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// An HTTP/2 connection that does not answer a ping within the second figure is dropped.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// What we call ourselves.
const USER_AGENT: &str = concat!("larder/", env!("CARGO_PKG_VERSION"));

/// The door to the outside: pools of connections, one for each [`Word`].
///
/// Cheap to clone; clones share pools and metrics.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    environment: ProxyEnvironment,
    proxies: Arc<Proxies>,
    metrics: Metrics,
    /// The source of jitter in tests; `None`: random.
    seed: Option<u64>,
    tls: ClientConfig,
    pools: Mutex<(Instant, Arc<Pools>)>,
}

/// Connections are shared among requests of one word only: an address that an operator may reach
/// is not reached by a redirect just because a connection is open.
struct Pools {
    operator: reqwest::Client,
    discovered: reqwest::Client,
}

/// Where a request goes next.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) url: Url,
    word: Word,
    with_credential: bool,
}

impl Hop {
    /// The request as it is asked for.
    pub(crate) fn first(get: &Get) -> Self {
        let mut url = get.url.clone();
        strip_userinfo(&mut url);
        Self { url, word: get.word, with_credential: get.credential.is_some() }
    }
}

/// What `Range` and `If-Range` say when a cut body is resumed.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) from: u64,
    pub(crate) validator: header::HeaderValue,
}

impl Client {
    /// Makes the pools; nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// `Config` for a CA file without certificates and for a proxy that is no URL.
    pub fn new(config: &Config, environment: &ProxyEnvironment) -> Result<Self, Error> {
        Self::build(config.clone(), environment.clone(), Metrics::default(), None)
    }

    /// The same client that trusts more certificates: for an upstream with a CA of its own.
    ///
    /// Shares the metrics, not the connections.
    ///
    /// # Errors
    ///
    /// `Config` for a file without certificates.
    pub fn with_ca_files(&self, files: &[PathBuf]) -> Result<Self, Error> {
        let mut config = self.inner.config.clone();
        config.ca_files.extend_from_slice(files);
        let environment = self.inner.environment.clone();
        Self::build(config, environment, self.inner.metrics.clone(), self.inner.seed)
    }

    /// The same client whose jitter repeats: for tests.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn with_seed(&self, seed: u64) -> Result<Self, Error> {
        let environment = self.inner.environment.clone();
        let metrics = self.inner.metrics.clone();
        Self::build(self.inner.config.clone(), environment, metrics, Some(seed))
    }

    /// The same client that asks no certificate: for hosts that the operator calls insecure
    /// (GOINSECURE), and nothing else. What it brings may be anybody's.
    ///
    /// Shares the metrics, not the connections.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn unverified(&self) -> Result<Self, Error> {
        let Inner { config, environment, metrics, seed, .. } = &*self.inner;
        let tls = unverified(trust::tls(config)?);
        Self::over(tls, config.clone(), environment.clone(), metrics.clone(), *seed)
    }

    fn build(
        config: Config,
        environment: ProxyEnvironment,
        metrics: Metrics,
        seed: Option<u64>,
    ) -> Result<Self, Error> {
        Self::over(trust::tls(&config)?, config, environment, metrics, seed)
    }

    fn over(
        tls: ClientConfig,
        config: Config,
        environment: ProxyEnvironment,
        metrics: Metrics,
        seed: Option<u64>,
    ) -> Result<Self, Error> {
        let proxies = Arc::new(Proxies::new(&environment)?);
        let pools = Pools::new(&tls, &environment, &proxies)?;
        let pools = Mutex::new((Instant::now(), Arc::new(pools)));
        let inner = Inner { config, environment, proxies, metrics, seed, tls, pools };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Calls and failures by upstream, to be registered once.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Asks until there is a 200, an answer that is final, or no attempt is left.
    ///
    /// Sent again, after a jittered pause, are: failed connections, 502, 503, 504 and 429; within
    /// [`Config::attempts`] and [`Config::retry_budget`]. Redirects are followed, up to ten; a 3xx
    /// is never an answer. Cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    ///
    /// `NotFound` for 404 and 410, `Status` for other statuses than 200, `Timeout`, `Unreachable`
    /// and `Redirect` when there is no answer, `BadBody` for an HTML page and for a body whose
    /// announced length is over [`Get::max_bytes`].
    pub async fn get(&self, get: Get) -> Result<Answer, Error> {
        let started = Instant::now();
        let deadline = deadline(started, get.whole);
        let mut retries = self.retries();
        loop {
            let failure = match self.attempt(&get, deadline).await {
                Ok((response, hop)) => {
                    return Ok(Answer::new(self.clone(), get, hop, response, deadline));
                }
                Err(failure) => failure,
            };
            self.count(&get, &failure);
            let Some(pause) = retries.next(failure.again, started.elapsed()) else {
                return Err(failure.error);
            };
            tracing::debug!(upstream = %get.name, ?pause, "asking again: {}", failure.error);
            sleep(pause).await;
        }
    }

    pub(crate) fn retries(&self) -> Retries {
        let Inner { config, seed, .. } = &*self.inner;
        Retries::new(config.attempts, config.retry_budget.0, seed.unwrap_or_else(rand::random))
    }

    pub(crate) fn count(&self, get: &Get, failure: &Failure) {
        if let Some(class) = failure.class {
            self.inner.metrics.failed(&get.name, class);
        }
    }

    pub(crate) fn between_bytes(&self) -> Duration {
        self.inner.config.between_bytes_timeout.0
    }

    async fn attempt(&self, get: &Get, deadline: Instant) -> Result<(Response, Hop), Failure> {
        let (response, hop) = self.follow(get, Hop::first(get), None, deadline).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(get, &hop, response).await);
        }
        if content_type(response.headers()).is_some_and(is_html) {
            let reason = "answered 200 with an HTML page: a login page or a captive portal";
            return Err(Failure::body(&get.name, reason.to_owned()));
        }
        if response.content_length().is_some_and(|length| length > get.max_bytes) {
            let reason = format!("the body is larger than {} bytes", get.max_bytes);
            return Err(Failure::body(&get.name, reason));
        }
        Ok((response, hop))
    }

    /// Sends, and sends on where a redirect points.
    pub(crate) async fn follow(
        &self,
        get: &Get,
        mut hop: Hop,
        rest: Option<&Rest>,
        deadline: Instant,
    ) -> Result<(Response, Hop), Failure> {
        for count in 0..=MAX_REDIRECTS {
            let sent = self.send(get, &hop, rest, deadline).await;
            let response = match sent {
                Err(failure) if count > 0 => return Err(failure.behind_redirect()),
                sent => sent?,
            };
            let Some(location) = location(&response) else { return Ok((response, hop)) };
            hop = self.redirected(get, &hop, &response, location)?;
        }
        Err(Failure::redirect(&get.name, format!("redirected more than {MAX_REDIRECTS} times")))
    }

    async fn send(
        &self,
        get: &Get,
        hop: &Hop,
        rest: Option<&Rest>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let host = hop.url.host_str().unwrap_or_default();
        let Inner { config, proxies, metrics, .. } = &*self.inner;
        judge_url(&hop.url, hop.word, proxies)
            .map_err(|refused| Failure::forbidden(&get.name, format!("{host}: {refused}")))?;
        let pools = self.pools();
        let client = match hop.word {
            Word::Operator => &pools.operator,
            Word::Discovered => &pools.discovered,
        };
        let mut request = client.get(hop.url.clone()).header(header::VIA, &*get.via);
        if get.coding == Coding::Identity {
            request = request.header(header::ACCEPT_ENCODING, "identity");
        }
        if let Some(rest) = rest {
            request = request.header(header::RANGE, format!("bytes={}-", rest.from));
            request = request.header(header::IF_RANGE, &rest.validator);
        }
        request = match get.credential.as_ref().filter(|_| hop.with_credential) {
            Some(Credential::Basic { user, password }) => {
                request.basic_auth(user, Some(password.expose_secret()))
            }
            Some(Credential::Bearer(token)) => request.bearer_auth(token.expose_secret()),
            Some(Credential::Header(value)) => {
                let mut value =
                    header::HeaderValue::from_str(value.expose_secret()).map_err(|_bytes| {
                        let reason =
                            "the credential has characters that no header may have".to_owned();
                        Failure::unreachable(&get.name, reason, Again::No)
                    })?;
                value.set_sensitive(true);
                request.header(header::AUTHORIZATION, value)
            }
            None => request,
        };
        let limits = Limits {
            resolve: config.resolve_timeout.0,
            connect: config.connect_timeout.0,
            tls: config.tls_timeout.0,
            first_byte: get.first_byte,
            deadline,
        };
        metrics.called(&get.name);
        match watch(limits, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failure::before_header(&get.name, host, &error)),
            Err(phase) => Err(Failure::timeout(&get.name, phase)),
        }
    }

    /// The next hop of a redirect.
    fn redirected(
        &self,
        get: &Get,
        hop: &Hop,
        response: &Response,
        location: &str,
    ) -> Result<Hop, Failure> {
        let refuse = |reason: &str| Failure::redirect(&get.name, reason.to_owned());
        let mut url = hop.url.join(location).map_err(|_not_a_url| refuse("bad redirect"))?;
        strip_userinfo(&mut url);
        match (hop.url.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => {}
            ("https", "http") => return Err(refuse("redirected from https to plain http")),
            _ => return Err(refuse("redirected to something that is not http")),
        }
        let peer = response.remote_addr().map(|address| address.ip());
        let word = word_behind(hop.word, peer, &self.inner.proxies);
        let with_credential = hop.with_credential && url.origin() == hop.url.origin();
        Ok(Hop { url, word, with_credential })
    }

    /// The pools, made anew when they are old.
    fn pools(&self) -> Arc<Pools> {
        let now = Instant::now();
        let Inner { tls, environment, proxies, .. } = &*self.inner;
        let mut current = self.inner.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(current.0) >= POOL_AGE {
            // What could be made at the start can be made again; if not, the old one serves on.
            current.0 = now;
            if let Ok(pools) = Pools::new(tls, environment, proxies) {
                current.1 = Arc::new(pools);
            }
        }
        Arc::clone(&current.1)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Pools {
    fn new(
        tls: &ClientConfig,
        environment: &ProxyEnvironment,
        proxies: &Arc<Proxies>,
    ) -> Result<Self, Error> {
        let pool = |word| pool(word, tls, environment, proxies);
        Ok(Self { operator: pool(Word::Operator)?, discovered: pool(Word::Discovered)? })
    }
}

fn pool(
    word: Word,
    tls: &ClientConfig,
    environment: &ProxyEnvironment,
    proxies: &Arc<Proxies>,
) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Guarded { word, proxies: Arc::clone(proxies) })
        .connector_layer(Noted::layer())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(USER_AGENT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_PER_HOST)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT);
    let bad = |error: reqwest::Error| Error::Config {
        reason: format!("the HTTP client cannot be set up: {}", error.without_url()),
    };
    let direct = || environment.no.as_deref().and_then(NoProxy::from_string);
    if let Some(url) = environment.http.as_deref().map_or(Ok(None), proxy_url)? {
        builder = builder.proxy(Proxy::http(url).map_err(bad)?.no_proxy(direct()));
    }
    if let Some(url) = environment.https.as_deref().map_or(Ok(None), proxy_url)? {
        builder = builder.proxy(Proxy::https(url).map_err(bad)?.no_proxy(direct()));
    }
    builder.build().map_err(bad)
}

pub(crate) fn deadline(started: Instant, whole: Duration) -> Instant {
    // A limit beyond what the clock can count is as good as a year.
    const YEAR: Duration = Duration::from_hours(365 * 24);
    started.checked_add(whole.min(YEAR)).unwrap_or(started)
}

fn strip_userinfo(url: &mut Url) {
    // Fails only for URLs that cannot hold any.
    let _cannot_hold = url.set_username("");
    let _cannot_hold = url.set_password(None);
}

fn location(response: &Response) -> Option<&str> {
    let redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(header::LOCATION).filter(|_| redirect)?.to_str().ok()
}

pub(crate) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

pub(crate) fn is_html(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

/// The failure that a status other than 200 is.
async fn refusal(get: &Get, hop: &Hop, mut response: Response) -> Failure {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let text = error_text(&mut response).await;
    let name = Arc::clone(&get.name);
    if matches!(status, 404 | 410) {
        let error = Error::NotFound { name, status, text };
        return Failure { error, again: Again::No, class: None };
    }
    let again = match (status, retry_after) {
        (429 | 502..=504, Some(pause)) => Again::After(pause),
        (429 | 502..=504, None) => Again::Soon,
        _ => Again::No,
    };
    let credential_sent = hop.with_credential;
    let error = Error::Status { name, status, text, retry_after, credential_sent };
    Failure { error, again, class: Some(metrics::Failure::Status) }
}

async fn error_text(response: &mut Response) -> Option<UpstreamText> {
    let kind = content_type(response.headers()).map(str::to_owned);
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR_BODY_BYTES {
                break;
            }
        }
    };
    // A slow or cut text is no text, or what came of it.
    let _slow = timeout(ERROR_BODY_TIMEOUT, read).await;
    UpstreamText::parse(kind.as_deref(), &body)
}
