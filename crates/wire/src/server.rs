//! Cores: each a thread with a runtime, its listeners, and the connections it accepted.

use std::{io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::Instant,
};

use crate::{
    Config, Error, Handler, Listeners, Metrics, Peer, Tls,
    connection::{Setup, prepare},
    link::{Core, Limits, Order},
    listen::max_connections,
    sendfile_self_test,
};

/// Threads a core may have reading from a cold disk.
const READ_THREADS: usize = 16;
/// First pause after an accept that failed for want of files or memory; doubles...
const MIN_PAUSE: Duration = Duration::from_millis(5);
/// ... up to this.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Connections taken from the backlog while stopping: the backlog's size.
const MAX_LATE: usize = 4096;
/// How long connections may still ask after the listeners are closed: what clients had sent
/// before they could know is answered.
const GRACE: Duration = Duration::from_millis(50);
/// How long cut connections get to fall.
const FALL: Duration = Duration::from_millis(200);

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were still being answered at the deadline.
    pub cut_connections: u64,
}

/// A running server: one thread `core-N` per core.
///
/// Dropping it without [`Server::stop`] cuts all connections at once.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<Option<Instant>>,
    cores: Vec<(JoinHandle<()>, oneshot::Receiver<u64>)>,
}

impl Server {
    /// Starts answering on the listeners. With `tls`, all of them speak TLS.
    ///
    /// If `config.sendfile` is set but the [self-test](sendfile_self_test) fails, files are read
    /// instead and a warning is logged.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a setting that cannot work, [`Error::Runtime`] when a thread cannot
    /// be made; nothing runs then.
    pub fn start<H: Handler>(
        listeners: Listeners,
        mut config: Config,
        tls: Option<Tls>,
        handler: H,
    ) -> Result<Self, Error> {
        if config.sendfile && cfg!(target_os = "linux") && tls.is_none() && !sendfile_self_test() {
            tracing::warn!("the self-test of sendfile failed; files will be read instead");
            config.sendfile = false;
        }
        Self::start_as_told(listeners, &config, tls, handler)
    }

    /// [`Server::start`] without a self-test.
    pub(crate) fn start_as_told<H: Handler>(
        listeners: Listeners,
        config: &Config,
        tls: Option<Tls>,
        handler: H,
    ) -> Result<Self, Error> {
        config.check()?;
        let room = Arc::new(Semaphore::new(max_connections(config).min(Semaphore::MAX_PERMITS)));
        let (stop, told) = watch::channel(None);
        let mut server = Self { stop, cores: Vec::new() };
        let metrics = &listeners.metrics;
        let clones = std::iter::repeat_n((tls, handler), listeners.cores.len());
        let cores = listeners.cores.into_iter().zip(clones).enumerate();
        for (number, (sockets, (tls, handler))) in cores {
            let core = Core::new(Limits::new(config), metrics.clone());
            let setup = Setup::new(core, config, tls, handler);
            let job = Job { setup: Arc::new(setup), room: Arc::clone(&room), told: told.clone() };
            let started = start_core(number, sockets, job);
            server.cores.push(started.map_err(|source| Error::Runtime { core: number, source })?);
        }
        Ok(server)
    }

    /// Stops: no connection is accepted any more, idle ones are closed, running answers may end
    /// until `deadline` from now; what then is left is cut. Returns when all threads have ended.
    ///
    /// Cancel safe: the stop goes on, only its count is lost.
    pub async fn stop(mut self, deadline: Duration) -> Stopped {
        self.stop.send_replace(Some(Instant::now() + deadline));
        let mut cut_connections = 0;
        for (thread, cut) in self.cores.drain(..) {
            cut_connections += cut.await.unwrap_or(0);
            // The thread told its count as the last thing it did: this does not wait.
            if thread.join().is_err() {
                tracing::error!("the thread of a core had panicked");
            }
        }
        Stopped { cut_connections }
    }
}

/// What a core's thread works with.
#[derive(Debug)]
struct Job<H> {
    setup: Arc<Setup<H>>,
    room: Arc<Semaphore>,
    told: watch::Receiver<Option<Instant>>,
}

/// Makes the runtime here, so that its failure is told, and runs it on a thread of its own.
fn start_core<H: Handler>(
    number: usize,
    sockets: Vec<std::net::TcpListener>,
    job: Job<H>,
) -> io::Result<(JoinHandle<()>, oneshot::Receiver<u64>)> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(READ_THREADS)
        .thread_name(format!("core-{number}-read"))
        .build()?;
    let listeners: Vec<TcpListener> = {
        let _inside = runtime.enter();
        sockets.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?
    };
    let (tell, count) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("core-{number}")).spawn(move || {
        let cut = runtime.block_on(run(listeners, job));
        runtime.shutdown_background();
        // Nobody listens when the server was dropped instead of stopped.
        let _ = tell.send(cut);
    })?;
    Ok((thread, count))
}

/// The life of a core; returns how many connections were cut at its end.
async fn run<H: Handler>(listeners: Vec<TcpListener>, job: Job<H>) -> u64 {
    let Job { setup, room, mut told } = job;
    let core = Arc::clone(&setup.core);
    let mut accepting: FuturesUnordered<_> =
        listeners.iter().map(|listener| accept(listener, &setup, &room)).collect();
    let deadline = tokio::select! {
        deadline = stopped(&mut told) => deadline,
        () = core.sweep() => None,
        Some(()) = accepting.next() => None,
    };
    drop(accepting);
    // The runtime may not have looked at the sockets yet: it does while this task yields.
    tokio::task::yield_now().await;
    for listener in &listeners {
        accept_late(listener, &setup, &room);
    }
    drop(listeners);
    drain(&core, deadline.unwrap_or_else(Instant::now)).await
}

/// Waits for the order to stop; a server that was dropped means now.
async fn stopped(told: &mut watch::Receiver<Option<Instant>>) -> Option<Instant> {
    told.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline)
}

/// Lets running answers end until the deadline, then cuts.
async fn drain(core: &Core, deadline: Instant) -> u64 {
    let finishing = async {
        tokio::time::sleep(GRACE).await;
        core.order_all(Order::Finish);
        core.drained().await;
    };
    let in_time = tokio::select! {
        ended = tokio::time::timeout_at(deadline, finishing) => ended.is_ok(),
        () = core.sweep() => false,
    };
    if in_time {
        return 0;
    }
    let cut = core.open_count() as u64;
    core.order_all(Order::Close);
    // Connections notice at their next poll; one that does not falls with the runtime.
    let _ = tokio::time::timeout(FALL, core.drained()).await;
    cut
}

/// Accepts for ever. At the connection limit, clients wait in the backlog.
async fn accept<H: Handler>(listener: &TcpListener, setup: &Arc<Setup<H>>, room: &Arc<Semaphore>) {
    let metrics = &setup.core.metrics;
    let mut pauses = Pauses::default();
    loop {
        let Some(permit) = permit(room, metrics).await else { return };
        match listener.accept().await {
            Ok((stream, addr)) => {
                pauses = Pauses::default();
                connect(setup, stream, addr, permit);
            }
            Err(error) => {
                metrics.refused.inc();
                if let Some(pause) = pauses.next(&error) {
                    tracing::warn!(%error, "connections cannot be accepted; next try in {pause:?}");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Room for one more connection; waits for it.
async fn permit(room: &Arc<Semaphore>, metrics: &Metrics) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
        return Some(permit);
    }
    metrics.limited.inc();
    Arc::clone(room).acquire_owned().await.ok()
}

/// Takes what the kernel had accepted before the stop: those clients were not refused yet.
fn accept_late<H: Handler>(listener: &TcpListener, setup: &Arc<Setup<H>>, room: &Arc<Semaphore>) {
    for _ in 0..MAX_LATE {
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else { return };
        let Some(Ok((stream, addr))) = listener.accept().now_or_never() else { return };
        connect(setup, stream, addr, permit);
    }
}

/// Starts the task of a connection; it ends by itself, by its link's orders, or with the runtime.
fn connect<H: Handler>(
    setup: &Arc<Setup<H>>,
    stream: TcpStream,
    addr: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    let metrics = &setup.core.metrics;
    // Fails when the client is gone already.
    let Ok(local) = prepare(&stream) else {
        metrics.refused.inc();
        return;
    };
    metrics.accepted.inc();
    let peer = Peer { addr, local, tls: setup.tls.is_some() };
    let (setup, open) = (Arc::clone(setup), setup.core.open());
    tokio::spawn(async move {
        setup.serve(stream, open, peer).await;
        drop(permit);
    });
}

/// How long to wait after accepts that failed in a row.
#[derive(Debug, Default)]
struct Pauses(u32);

impl Pauses {
    /// `None` when the error is that connection's own and the next one can be taken at once.
    fn next(&mut self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return None;
        }
        let pause = MIN_PAUSE.saturating_mul(1 << self.0.min(16)).min(MAX_PAUSE);
        self.0 = self.0.saturating_add(1);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_skip_what_is_not_ours() {
        let mut pauses = Pauses::default();
        let full = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert_eq!(pauses.next(&full), Some(MIN_PAUSE));
        assert_eq!(pauses.next(&full), Some(MIN_PAUSE * 2));
        assert_eq!(pauses.next(&io::ErrorKind::ConnectionAborted.into()), None);
        let last = (0..40).filter_map(|_| pauses.next(&full)).last();
        assert_eq!(last, Some(MAX_PAUSE));
    }
}
