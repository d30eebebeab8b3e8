//! An upstream proxy that serves given modules and can be told to fail in every way that upstreams do.
//!
//! It speaks HTTP/1.1 by hand, a thread for each connection: lying about a length or falling silent
//! in mid-body is what a well-made server library refuses to do.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;

use crate::{Issued, Modules};

mod behaviour;
mod connection;

pub use behaviour::Behaviour;

/// Most requests that are remembered; a test that sends more counts by path only.
const MAX_SEEN: usize = 10_000;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `HEAD`.
    pub method: String,
    /// Percent-decoded, with the query if there is one.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// The first value of a header, asked for in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A module proxy on a free port of 127.0.0.1; ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct FakeUpstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    scheme: &'static str,
    accepting: Option<JoinHandle<()>>,
}

impl FakeUpstream {
    /// Serves modules over plain HTTP.
    ///
    /// # Errors
    ///
    /// When the machine has no free port.
    pub fn start(modules: Modules) -> anyhow::Result<Self> {
        Self::listen(modules, None)
    }

    /// Serves modules over TLS, under a certificate that holds `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// When the machine has no free port, or certificate and key do not fit.
    pub fn start_tls(modules: Modules, certificate: &Issued) -> anyhow::Result<Self> {
        Self::listen(modules, Some(certificate.server_config()?))
    }

    fn listen(modules: Modules, tls: Option<Arc<rustls::ServerConfig>>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(modules)),
            stopping: AtomicBool::new(false),
            wake: Condvar::new(),
            tls,
        });
        let accept = {
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        };
        let accepting =
            std::thread::Builder::new().name("fake-upstream".to_owned()).spawn(accept)?;
        Ok(Self { shared, address, scheme, accepting: Some(accepting) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests for `pattern` be answered in a certain way.
    ///
    /// A pattern is a path, percent-decoded, with at most one `*` for any text; of several that
    /// match, the last one given counts, and one whose number of times is used up counts no more.
    pub fn behave(&self, pattern: &str, behaviour: Behaviour) {
        self.shared.state().rules.push((pattern.to_owned(), behaviour));
    }

    /// Takes back everything that [`behave`](Self::behave) said.
    pub fn behave_well(&self) {
        self.shared.state().rules.clear();
    }

    /// Changes what is served, from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut Modules)) {
        change(&mut self.shared.state().modules);
    }

    /// Serves what `source` makes of a path, percent-decoded, where no module has that path.
    pub fn mount(&self, source: impl Fn(&str) -> Option<Bytes> + Send + 'static) {
        self.shared.state().sources.0.push(Box::new(source));
    }

    /// A copy of what is served now.
    #[must_use]
    pub fn modules(&self) -> Modules {
        self.shared.state().modules.clone()
    }

    /// How many requests came for paths that match a pattern; `*` counts all.
    #[must_use]
    pub fn calls(&self, pattern: &str) -> u64 {
        self.sum(pattern, |tally| tally.calls)
    }

    /// How many bytes of bodies went out for paths that match a pattern.
    #[must_use]
    pub fn bytes_sent(&self, pattern: &str) -> u64 {
        self.sum(pattern, |tally| tally.bytes)
    }

    /// The most requests that were being answered at one time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.shared.state().peak
    }

    /// The first ten thousand requests, in the order of their arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Forgets calls, bytes, peak and requests.
    pub fn reset_counts(&self) {
        let mut state = self.shared.state();
        state.tally.clear();
        state.seen.clear();
        state.peak = state.running;
    }

    fn sum(&self, pattern: &str, of: impl Fn(&Tally) -> u64) -> u64 {
        let state = self.shared.state();
        state
            .tally
            .iter()
            .filter(|(path, _)| behaviour::matches(pattern, path))
            .map(|(_, tally)| of(tally))
            .sum()
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        {
            let state = self.shared.state();
            state.open.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
            self.shared.wake.notify_all();
        }
        // Wakes the accepting thread, which then sees that it is over and closes the port.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    bytes: u64,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stopping: AtomicBool,
    wake: Condvar,
    tls: Option<Arc<rustls::ServerConfig>>,
}

#[derive(Debug)]
struct State {
    modules: Modules,
    sources: Sources,
    rules: Vec<(String, Behaviour)>,
    tally: BTreeMap<String, Tally>,
    seen: Vec<Seen>,
    running: usize,
    peak: usize,
    open: Vec<TcpStream>,
}

/// Makes content when it is asked for.
type Source = Box<dyn Fn(&str) -> Option<Bytes> + Send>;

#[derive(Default)]
struct Sources(Vec<Source>);

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sources").field(&self.0.len()).finish()
    }
}

impl State {
    fn new(modules: Modules) -> Self {
        Self {
            modules,
            sources: Sources::default(),
            rules: Vec::new(),
            tally: BTreeMap::new(),
            seen: Vec::new(),
            running: 0,
            peak: 0,
            open: Vec::new(),
        }
    }
}

impl Shared {
    /// A panic elsewhere in the test must not hide behind a poisoned lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and says how to answer it, and with what content.
    fn begin(&self, seen: Seen) -> (Behaviour, Option<Bytes>) {
        let mut state = self.state();
        state.running += 1;
        state.peak = state.peak.max(state.running);
        let path = seen.path.clone();
        state.tally.entry(path.clone()).or_default().calls += 1;
        if state.seen.len() < MAX_SEEN {
            state.seen.push(seen);
        }
        let made = || state.sources.0.iter().find_map(|source| source(&path));
        let content = state.modules.file(&path).cloned().or_else(made);
        let rule =
            state.rules.iter_mut().rev().find(|(pattern, behaviour)| {
                behaviour.counts() && behaviour::matches(pattern, &path)
            });
        (rule.map(|(_, behaviour)| behaviour.use_once()).unwrap_or_default(), content)
    }

    fn end(&self, path: &str, bytes: u64) {
        let mut state = self.state();
        state.running -= 1;
        state.tally.entry(path.to_owned()).or_default().bytes += bytes;
    }

    /// Waits; false when the upstream ends meanwhile.
    fn pause(&self, time: Duration) -> bool {
        let going_on = |_: &mut State| !self.stopping.load(Ordering::SeqCst);
        drop(self.wake.wait_timeout_while(self.state(), time, going_on));
        !self.stopping.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(handle) = stream.try_clone() else { continue };
        {
            let mut state = shared.state();
            state.open.retain(|open| open.peer_addr().is_ok());
            state.open.push(handle);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || connection::serve(&stream, &shared));
    }
}

#[cfg(test)]
mod tests;
