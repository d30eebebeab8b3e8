//! From settings to rooms.

use std::sync::Arc;

use anyhow::Context as _;
use outbound::Client;
use prometheus_client::registry::Registry;
use proxy::{Parts, Proxy};
use upstream::{
    Chain, FileSource, Gate, Limits, Link, LinkKind, ProxySource, SourceConfig, Upstream,
};

use super::{direct, own};
use crate::config::settings::{LogClient, Settings};
use crate::config::upstreams::{self, Target};
use crate::config::{self, Resolved, database::Database};

/// Where the index lies in the data folder.
const INDEX_FILE: &str = "index.sqlite";

/// Where the state lies: what cannot be rebuilt.
const STATE_FILE: &str = "state.sqlite";

/// What the rooms share besides the configuration: our word in `Via`, the client, series.
pub(super) struct Observed {
    pub(super) via: String,
    pub(super) wire: wire::Metrics,
    client: Client,
    proxy: proxy::Metrics,
}

impl Observed {
    pub(super) fn register(resolved: &Resolved, registry: &mut Registry) -> anyhow::Result<Self> {
        let client = client(resolved)?;
        client.metrics().register(registry);
        Ok(Self {
            // Another word for each process, so that two larders in a row are no circle.
            via: format!("larder-{:016x}", rand::random::<u64>()),
            wire: wire::Metrics::new(registry),
            proxy: proxy::Metrics::new(registry),
            client,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What goes out as `Via`: protocol version and pseudonym. Source: RFC 9110 §7.6.3.
    pub(super) fn via_header(&self) -> Arc<str> {
        format!("1.1 {}", self.via).into()
    }
}

/// What stands on an open data folder.
pub(super) struct Opened {
    pub(super) proxy: Proxy,
    /// The series of what could be opened only now.
    pub(super) registry: Arc<Registry>,
    /// To be kept in order while larder serves.
    pub(super) git: Option<vcs::Git>,
    index: Option<db::Index>,
    state: Option<db::State>,
}

impl Opened {
    /// After the last late work: the index is closed, so that its log is folded in.
    pub(super) async fn close(self) {
        if let Some(index) = self.index {
            index.close().await;
        }
        if let Some(state) = self.state {
            state.close().await;
        }
    }
}

/// Opens the data folder.
///
/// # Errors
/// It is in use, newer than this larder, or cannot be used.
pub(crate) fn store(resolved: &Resolved) -> anyhow::Result<store::Store> {
    let settings = &resolved.settings.store;
    let config = store::Config { min_free: settings.min_free, fsync: settings.fsync };
    store::Store::disk(&settings.data, &config)
        .with_context(|| format!("opening the data folder {}", settings.data.display()))
}

/// Opens the index; none when it cannot be had: hits never need it.
pub(crate) async fn index(resolved: &Resolved) -> Option<db::Index> {
    let file = resolved.settings.store.data.join(INDEX_FILE);
    match db::Index::open(&file).await {
        Ok((index, db::Opened::Rebuilt)) => {
            tracing::error!("the index could not be read: it was set aside and begun anew");
            Some(index)
        }
        Ok((index, _)) => Some(index),
        Err(error) => {
            tracing::error!(%error, "no index: answers are not kept over a restart: {error}");
            None
        }
    }
}

/// Opens the data folder for looking, beside a server that may hold it.
///
/// # Errors
/// There is none, or it is newer than this larder.
pub(crate) fn store_beside(resolved: &Resolved) -> anyhow::Result<store::Store> {
    let data = &resolved.settings.store.data;
    store::Store::beside(data)
        .with_context(|| format!("opening the data folder {}", data.display()))
}

/// Opens the state for looking, if it is there.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn state_beside(resolved: &Resolved) -> anyhow::Result<Option<db::State>> {
    let Some(file) = state_file(resolved) else { return Ok(None) };
    let opened = db::State::open_for_reading(&file).await;
    opened.map(Some).with_context(|| format!("opening {}", file.display()))
}

/// Opens the state for a change, if it is there.
///
/// # Errors
/// It cannot be written.
pub(crate) async fn state_to_change(resolved: &Resolved) -> anyhow::Result<Option<db::State>> {
    let Some(file) = state_file(resolved) else { return Ok(None) };
    let opened = db::State::open(&file).await;
    opened.map(Some).with_context(|| format!("opening {}", file.display()))
}

fn state_file(resolved: &Resolved) -> Option<std::path::PathBuf> {
    let file = resolved.settings.store.data.join(STATE_FILE);
    config::world::real_file(&file).is_some().then_some(file)
}

/// What is kept of the databases, for looking.
///
/// # Errors
/// The state cannot be read.
pub(crate) async fn sumdb_beside(
    resolved: &Resolved,
    store: store::Store,
) -> anyhow::Result<sumdb::Sumdb> {
    let client = client(resolved)?;
    let state = state_beside(resolved).await?;
    sumdb(resolved, Keeping { store, state }, &client, Arc::from("1.1 larder")).await
}

/// Opens the state, or makes it. None when it cannot be had: then nothing new can be confirmed.
pub(crate) async fn state(resolved: &Resolved) -> Option<db::State> {
    let file = resolved.settings.store.data.join(STATE_FILE);
    match db::State::open(&file).await {
        Ok(state) => Some(state),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let shown = file.display();
            tracing::error!(
                %error, cause, file = %shown,
                "{shown} cannot be used: nothing new is confirmed until it can, it holds the tree heads"
            );
            // On a disk that cannot be written to, what was proven is proven all the same.
            db::State::open_for_reading(&file).await.ok()
        }
    }
}

/// The databases, with their state. A state that is damaged, or holds the head of a key that is no
/// longer configured, costs the confirmation of what is new, never the hits.
async fn sumdb_kept(
    resolved: &Resolved,
    store: &store::Store,
    observed: &Observed,
) -> anyhow::Result<(sumdb::Sumdb, Option<db::State>)> {
    let open = async |state: Option<db::State>| {
        let keeping = Keeping { store: store.clone(), state };
        sumdb(resolved, keeping, &observed.client, observed.via_header()).await
    };
    let state = state(resolved).await;
    match open(state.clone()).await {
        Ok(sumdb) => Ok((sumdb, state)),
        Err(error) => {
            if state.is_none() {
                return Err(error);
            }
            tracing::error!(%error, "nothing new is confirmed until a person has looked: {error}");
            Ok((open(None).await?, state))
        }
    }
}

/// Builds what is above the store.
pub(super) async fn open(
    resolved: &Resolved,
    store: store::Store,
    observed: &Observed,
    fill: &tokio::runtime::Handle,
) -> anyhow::Result<Opened> {
    let settings = &resolved.settings;
    let index = index(resolved).await;
    let mut registry = Registry::with_prefix("larder");
    store.metrics().register(&mut registry);
    if let Some(index) = &index {
        index.metrics().register(&mut registry);
    }
    let (sumdb, state) = sumdb_kept(resolved, &store, observed).await?;
    sumdb.metrics().register(&mut registry);
    // One and the same for all who ask: what the log recorded as private is private for them, too.
    let private = policy::Private::new(resolved.private.clone());
    let no_sumdb = policy::Private::new(resolved.no_sumdb.clone());
    let own = own::open(resolved, store.clone(), state.clone(), (&private, &no_sumdb)).await;
    let (own, closed) = own.map_or_else(|closed| (None, Some(closed)), |own| (own, None));
    if let Some(own) = &own {
        own.metrics().register(&mut registry);
    }
    let git = direct::git(resolved).await;
    if let Some(git) = &git {
        git.metrics().register(&mut registry);
    }
    let drifts = proxy::Drifts::default();
    let source = |git: vcs::Git| {
        let place = (git, store.clone(), private.clone());
        direct::source(resolved, place, observed, drifts.clone())
    };
    let direct = git.clone().map(source).transpose()?;
    let chain = Arc::new(Chain::new(links(resolved, observed, direct.as_ref())?));
    // GONOPROXY is among the private patterns, so nothing is left for a list of its own.
    let gate = Gate::new(private.clone(), policy::Private::default(), chain, direct);
    let policy =
        policy::Config { allow: settings.policy.allow.clone(), deny: settings.policy.deny.clone() };
    let proxy = Proxy::new(Parts {
        config: proxy(settings),
        store: store.clone(),
        index: index.clone(),
        gate: Arc::new(gate),
        sumdb,
        own,
        closed,
        private,
        no_sumdb,
        policy: policy::Policy::new(&policy),
        drifts,
        clock: proxy::Clock::system(),
        metrics: observed.proxy.clone(),
        fill: fill.clone(),
    });
    Ok(Opened { proxy, index, state, registry: Arc::new(registry), git })
}

/// Sends what larder asks of others.
///
/// # Errors
/// A certificate file cannot be read.
pub(crate) fn client(resolved: &Resolved) -> anyhow::Result<Client> {
    let outbound = &resolved.settings.outbound;
    let config = outbound::Config {
        ca_files: outbound.ca_files.clone(),
        resolve_timeout: outbound.resolve_timeout,
        connect_timeout: outbound.connect_timeout,
        tls_timeout: outbound.tls_timeout,
        between_bytes_timeout: outbound.between_bytes_timeout,
        attempts: outbound.attempts,
        retry_budget: outbound.retry_budget,
        system_ca_file: resolved.system_ca_file.clone(),
    };
    Client::new(&config, &resolved.proxy_environment).context("outbound")
}

fn links(
    resolved: &Resolved,
    observed: &Observed,
    direct: Option<&Arc<dyn Upstream>>,
) -> anyhow::Result<Vec<Link>> {
    let link = |upstream: &upstreams::Upstream| -> anyhow::Result<Link> {
        let kind = match &upstream.target {
            Target::Direct => LinkKind::Direct(direct.cloned()),
            Target::Off => LinkKind::Off,
            Target::Proxy(proxy) => LinkKind::Source(source(resolved, proxy, observed)?),
        };
        Ok(Link { kind, fall: upstream.separator })
    };
    resolved.upstreams.iter().map(link).collect()
}

fn source(
    resolved: &Resolved,
    proxy: &upstreams::Proxy,
    observed: &Observed,
) -> anyhow::Result<Arc<dyn Upstream>> {
    if proxy.url.scheme() == "file" {
        return Ok(Arc::new(FileSource::new(proxy.url.as_str(), Some(&proxy.name))?));
    }
    observed.client.metrics().announce(&proxy.name.as_str().into());
    let client = client_of(proxy, &observed.client)?;
    let config = SourceConfig {
        name: Some(proxy.name.clone()),
        url: proxy.url.to_string(),
        credential: proxy.credential.clone(),
        via: observed.via_header(),
        limits: limits(&resolved.settings),
    };
    Ok(Arc::new(ProxySource::new(config, client)?))
}

pub(super) fn limits(settings: &Settings) -> Limits {
    let outbound = &settings.outbound;
    Limits {
        list_first_byte: outbound.first_byte_list.0,
        file_first_byte: outbound.first_byte_file.0,
        zip_whole: outbound.whole.0,
        flights: settings.proxy.max_flights_per_upstream,
        ..Limits::default()
    }
}

/// Where the checksum databases are kept.
struct Keeping {
    store: store::Store,
    state: Option<db::State>,
}

/// The databases; what goes through an upstream proxy goes with that proxy's credential and trust.
async fn sumdb(
    resolved: &Resolved,
    keeping: Keeping,
    client: &Client,
    via: Arc<str>,
) -> anyhow::Result<sumdb::Sumdb> {
    let mut accesses = Vec::new();
    for upstream in &resolved.upstreams {
        if let Target::Proxy(proxy) = &upstream.target {
            let client = client_of(proxy, client)?;
            let (below, credential) = (proxy.url.clone(), proxy.credential.clone());
            accesses.push(sumdb::Access { below, client, credential });
        }
    }
    let settings = &resolved.settings.sumdb;
    let parts = sumdb::Parts {
        databases: databases(resolved)?,
        client: client.clone(),
        accesses,
        via,
        store: keeping.store,
        state: keeping.state,
        config: sumdb::Config { mode: settings.verify, missing_wait: settings.missing_wait.0 },
        clock: sumdb::Clock::new({
            let clock = proxy::Clock::system();
            move || clock.now()
        }),
    };
    Ok(sumdb::Sumdb::open(parts).await?)
}

/// The client with the proxy's own certificate authorities, if it has some.
fn client_of(proxy: &upstreams::Proxy, client: &Client) -> anyhow::Result<Client> {
    Ok(match &proxy.ca_file {
        Some(file) => client.with_ca_files(std::slice::from_ref(file))?,
        None => client.clone(),
    })
}

/// The databases with where each may be asked: its own URL, else below the upstream proxies, else its name's host.
fn databases(resolved: &Resolved) -> anyhow::Result<Vec<sumdb::Database>> {
    let bases = |database: &Database| -> anyhow::Result<Vec<url::Url>> {
        if let Some(url) = &database.url {
            return Ok(vec![url.clone()]);
        }
        let mut urls = Vec::new();
        for upstream in &resolved.upstreams {
            if let Target::Proxy(proxy) = &upstream.target
                && proxy.url.scheme() != "file"
            {
                let base = proxy.url.as_str().trim_end_matches('/');
                urls.push(url::Url::parse(&format!("{base}/sumdb/{}", database.name.as_str()))?);
            }
        }
        urls.push(url::Url::parse(&format!("https://{}", database.name.as_str()))?);
        Ok(urls)
    };
    let database = |database: &Database| -> anyhow::Result<sumdb::Database> {
        Ok(sumdb::Database {
            name: database.name.clone(),
            key: database.key.clone(),
            urls: bases(database)?,
        })
    };
    resolved.databases.iter().map(database).collect()
}

fn proxy(settings: &Settings) -> proxy::Config {
    let proxy = &settings.proxy;
    proxy::Config {
        offline: proxy.offline,
        list_fresh: proxy.list_fresh.0,
        list_stale: proxy.list_stale.0,
        query_stale_on_error: proxy.query_stale_on_error.0,
        negative_fresh: proxy.negative_fresh.0,
        refused_fresh: proxy.refused_fresh.0,
        waiter_timeout: proxy.waiter_timeout.0,
        max_flights: proxy.max_flights,
        confirm_after: proxy::Config::default().confirm_after,
        max_evidence: proxy::Config::default().max_evidence,
        shelf_size: proxy.shelf_size,
        open_files: proxy.open_files,
    }
}

pub(super) fn wire(settings: &Settings) -> wire::Config {
    let server = &settings.server;
    wire::Config {
        header_timeout: server.header_timeout,
        idle_timeout: server.idle_timeout,
        write_timeout: server.write_timeout,
        max_connections: server.max_connections,
        max_header_bytes: server.max_header_bytes,
        max_request_line: server.max_request_line,
        max_streams: server.max_streams,
        sendfile: server.sendfile,
        cores: server.cores,
        ..wire::Config::default()
    }
}

pub(super) fn server(settings: &Settings) -> anyhow::Result<server::Config> {
    let server = &settings.server;
    let base_paths = server.base_paths.iter().map(|path| path.parse()).collect::<Result<_, _>>()?;
    let public_url = server.public_url.as_ref().map(|url| url.as_str().parse()).transpose()?;
    let networks = server.trusted_proxies.iter().map(|net| net.to_string().parse());
    Ok(server::Config {
        base_paths,
        public_url,
        trusted_proxies: networks.collect::<Result<_, _>>()?,
        cache_control: server::CacheAges {
            immutable: settings.cache.immutable_age,
            mutable: settings.cache.mutable_age,
            negative: settings.cache.negative_age,
            lookup: settings.cache.lookup_age,
        },
        private_readers: settings.private.readers,
    })
}

pub(super) fn client_log(settings: &Settings) -> server::LogConfig {
    let client = match settings.log.client {
        LogClient::Full => server::ClientAddress::Full,
        LogClient::Net => server::ClientAddress::Net,
        LogClient::Off => server::ClientAddress::Off,
    };
    server::LogConfig { client }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Flags, World, load};

    #[test]
    fn an_upstream_is_asked_within_the_configured_limits() {
        let world = World::empty("/nowhere".into())
            .with("LARDER_PROXY_MAX_FLIGHTS_PER_UPSTREAM", "7")
            .with("LARDER_OUTBOUND_FIRST_BYTE_LIST", "3s")
            .with("LARDER_OUTBOUND_FIRST_BYTE_FILE", "5s")
            .with("LARDER_OUTBOUND_WHOLE", "9m");
        let resolved = load(&Flags::default(), &world).unwrap();
        let limits = limits(&resolved.settings);
        assert_eq!(limits.flights, 7);
        assert_eq!(limits.list_first_byte, Duration::from_secs(3));
        assert_eq!(limits.file_first_byte, Duration::from_secs(5));
        assert_eq!(limits.zip_whole, Duration::from_mins(9));
    }
}
