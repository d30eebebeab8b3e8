//! `larder serve`: builds all rooms from the configuration, runs them, and stops them in order.

mod access;
mod build;
mod certificate;
mod direct;
mod own;
mod stop;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use server::{AdminFace, App, AppParts};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::Resolved;
use crate::exit::Exit;
use crate::warm::{self, client::Client, plan::Plan};

use access::AccessLog;
use build::{Observed, Opened};
pub(crate) use build::{
    client, index, state, state_beside, state_to_change, store, store_beside, sumdb_beside,
};
pub(crate) use own::{held_keys, key_file, next_key_file, own_beside, own_parts, signing_key};
use stop::{Signals, Told};

/// What late work may take after all flights have ended, whatever is left of the stop's time.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// How often a data folder that another larder holds is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Serves until the process is told to stop.
///
/// # Errors
/// Something that serving needs is missing: an address, the data folder, a certificate.
pub fn run(resolved: &Resolved) -> anyhow::Result<ExitCode> {
    let fill = fill_runtime(resolved)?;
    let handle = fill.handle().clone();
    let done = fill.block_on(serve(resolved, handle));
    // What still blocks (a disk that does not answer) must not keep the process.
    fill.shutdown_timeout(Duration::from_millis(200));
    done?;
    tracing::info!("stopped");
    Ok(Exit::Done.into())
}

async fn serve(resolved: &Resolved, fill: tokio::runtime::Handle) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let mut running = Running::new(resolved, fill)?;
    // A free data folder is opened before the first connection is taken: nobody sees a larder that is only starting.
    let free = match build::store(resolved) {
        Ok(store) => Some(running.install(resolved, store).await?),
        Err(error) if Exit::of(&error) == Exit::Busy => None,
        Err(error) => return Err(error),
    };
    running.listen(resolved)?;
    let opened = if free.is_some() {
        free
    } else {
        tokio::select! {
            opened = running.wait_for_store(resolved) => Some(opened?),
            () = signals.stop() => None,
        }
    };
    if opened.is_some() {
        tracing::info!("ready");
        running.until_stopped(&mut signals).await;
    }
    tokio::select! {
        () = running.stop(resolved, opened) => {}
        () = signals.stop() => tracing::warn!("told to stop again: stopped at once"),
    }
    Ok(())
}

/// Fetches `plan` into the data folder, `jobs` files at once, for lack of a server: through one of its own, on a
/// free loopback port.
///
/// # Errors
/// The data folder is in use or cannot be written.
pub async fn warm_alone(
    mut resolved: Resolved,
    plan: Plan,
    jobs: usize,
) -> anyhow::Result<ExitCode> {
    resolved.settings.server.listen = vec![([127, 0, 0, 1], 0).into()];
    resolved.settings.server.admin_listen = Vec::new();
    resolved.settings.server.tls = None;
    resolved.settings.server.drain.0 = Duration::ZERO;
    resolved.settings.log.access = crate::config::settings::Destination::Off;
    let fill = fill_runtime(&resolved)?;
    let mut running = Running::new(&resolved, fill.handle().clone())?;
    let opened = running.install(&resolved, build::store(&resolved)?).await?;
    running.listen(&resolved)?;
    let address = *running.addresses.first().context("no address")?;
    let client = Client::new(&Url::parse(&format!("http://{address}"))?)?;
    let summary = warm::through(&client, plan, jobs).await;
    running.stop(&resolved, Some(opened)).await;
    fill.shutdown_background();
    warm::report(&summary);
    Ok(if summary.failures.is_empty() { Exit::Done } else { Exit::Failed }.into())
}

/// The multi-thread runtime that fetches, verifies, publishes, refreshes and talks to databases.
pub(crate) fn fill_runtime(resolved: &Resolved) -> anyhow::Result<tokio::runtime::Runtime> {
    let cores = match resolved.settings.server.cores {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        cores => cores,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .thread_name("fill")
        .enable_all()
        .build()
        .context("starting the fill runtime")
}

/// A process that serves, from its first address to its last line of log.
struct Running {
    app: App,
    bound: Option<wire::Listeners>,
    addresses: Vec<std::net::SocketAddr>,
    servers: Vec<wire::Server>,
    certificate: Option<certificate::Files>,
    access: AccessLog,
    observed: Observed,
    tasks: TaskTracker,
    stop: CancellationToken,
    fill: tokio::runtime::Handle,
}

impl Running {
    /// Takes the addresses and builds what needs no data folder. Answers nobody yet.
    fn new(resolved: &Resolved, fill: tokio::runtime::Handle) -> anyhow::Result<Self> {
        let settings = &resolved.settings;
        let mut registry = Registry::with_prefix("larder");
        let metrics = server::Metrics::register(&mut registry, env!("CARGO_PKG_VERSION"));
        let access = AccessLog::start(&settings.log, metrics.dropped_access_lines())?;
        let observed = Observed::register(resolved, &mut registry)?;
        let admin = match (settings.metrics.enabled, settings.server.admin_listen.is_empty()) {
            (true, true) => AdminFace::Shared,
            (true, false) => AdminFace::Apart,
            (false, _) => AdminFace::Off,
        };
        let app = App::new(AppParts {
            config: build::server(settings)?,
            log: build::client_log(settings),
            access: access.sender(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            via: observed.via.clone(),
            registry: Arc::new(registry),
            metrics,
            clock: server::Clock::system(),
            admin,
        });
        let certificate = certificate::Files::load(settings.server.tls.as_ref())?;
        let listeners = wire::Listeners::bind(&settings.server.listen, &build::wire(settings))?;
        Ok(Self {
            app,
            addresses: listeners.local_addrs(),
            bound: Some(listeners.with_metrics(observed.wire.clone())),
            servers: Vec::new(),
            certificate,
            access,
            observed,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            fill,
        })
    }

    /// Takes connections.
    fn listen(&mut self, resolved: &Resolved) -> anyhow::Result<()> {
        let config = build::wire(&resolved.settings);
        let tls = self.certificate.as_ref().map(certificate::Files::tls);
        if let Some(listeners) = self.bound.take() {
            let public = self.app.public();
            self.servers.push(wire::Server::start(listeners, config.clone(), tls, public)?);
        }
        let admin = &resolved.settings.server.admin_listen;
        if !admin.is_empty() {
            let config = wire::Config { cores: 1, sendfile: false, ..config };
            let listeners = wire::Listeners::bind(admin, &config)?;
            self.servers.push(wire::Server::start(listeners, config, None, self.app.admin())?);
        }
        for address in self.addresses.iter().chain(admin) {
            tracing::info!(%address, "listening on {address}");
        }
        Ok(())
    }

    /// Waits for the data folder, alive but not ready while another larder holds it.
    async fn wait_for_store(&self, resolved: &Resolved) -> anyhow::Result<Opened> {
        let data = resolved.settings.store.data.display();
        tracing::warn!("the data folder {data} is in use: waiting, alive but not ready");
        loop {
            tokio::time::sleep(RETRY).await;
            match build::store(resolved) {
                Ok(store) => return self.install(resolved, store).await,
                Err(error) if Exit::of(&error) == Exit::Busy => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Builds what is above the store, and is ready.
    #[expect(
        clippy::disallowed_methods,
        reason = "serve owns this task: stopped and joined in stop"
    )]
    async fn install(&self, resolved: &Resolved, store: store::Store) -> anyhow::Result<Opened> {
        let opened = build::open(resolved, store, &self.observed, &self.fill).await?;
        let (proxy, stop) = (opened.proxy.clone(), self.stop.clone());
        self.fill.spawn(self.tasks.track_future(async move { proxy.run(stop).await }));
        if let Some(git) = opened.git.clone() {
            let stop = self.stop.clone();
            self.fill.spawn(self.tasks.track_future(async move { git.run(stop).await }));
        }
        if !self.app.install(opened.proxy.clone(), Arc::clone(&opened.registry)) {
            anyhow::bail!("the proxy was installed twice");
        }
        self.app.set_ready(true);
        Ok(opened)
    }

    /// Serves; SIGHUP takes new certificates and never ends the process.
    async fn until_stopped(&self, signals: &mut Signals) {
        while signals.next().await == Told::Reload {
            if let Some(files) = &self.certificate {
                files.reload();
            }
        }
    }

    /// Not ready at once; a drain of normal service; then flights to their end, until the time is up.
    #[expect(clippy::disallowed_methods, reason = "serve is where the stop's deadline is kept")]
    async fn stop(self, resolved: &Resolved, opened: Option<Opened>) {
        let server = &resolved.settings.server;
        self.app.set_draining();
        let (drain, whole) = (server.drain.0, server.stop_timeout.0);
        if opened.is_some() {
            tracing::info!(
                drain_secs = drain.as_secs_f64(),
                "stopping: serving on for a while, not ready"
            );
            tokio::time::sleep(drain.min(whole)).await;
        }
        let end = tokio::time::Instant::now() + whole.saturating_sub(drain);
        let left = || end.saturating_duration_since(tokio::time::Instant::now());
        let stops = self.servers.into_iter().map(|server| server.stop(left()));
        let stopped = futures_util::future::join_all(stops).await;
        let cut: u64 = stopped.iter().map(|stopped| stopped.cut_connections).sum();
        if cut > 0 {
            tracing::warn!(cut, "{cut} connections were cut");
        }
        if let Some(opened) = opened {
            let flying = opened.proxy.drain(left()).await;
            if flying > 0 {
                tracing::warn!(flying, "{flying} fetches were given up");
            }
            self.stop.cancel();
            self.tasks.close();
            // A disk that does not answer must not hold the process beyond its time.
            let late_work = async {
                self.tasks.wait().await;
                opened.close().await;
            };
            if tokio::time::timeout(left().max(LAST_WRITES), late_work).await.is_err() {
                tracing::warn!("the last writes were given up: the disk does not answer");
            }
        }
        drop(self.app);
        self.access.stop().await;
    }
}
