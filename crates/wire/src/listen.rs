//! Listening sockets: one per address and core.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use rustix::{
    net::{AddressFamily, SocketType, sockopt},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::{Config, Error, Metrics};

/// Connections the kernel holds before we accept them.
const BACKLOG: i32 = 4096;
/// Most connections by default; each costs some 20 kB.
const MAX_CONNECTIONS: usize = 65_536;
/// Fewest connections by default, however small the file limit is.
const MIN_CONNECTIONS: usize = 16;

/// Bound sockets: for each address one listener per core.
///
/// With several cores they share the port by `SO_REUSEPORT`; the kernel spreads connections over
/// them. A plain bind comes first, so that a port someone else serves is an error and not shared.
#[derive(Debug)]
pub struct Listeners {
    /// For each core, its listeners.
    pub(crate) cores: Vec<Vec<TcpListener>>,
    pub(crate) metrics: Metrics,
    addrs: Vec<SocketAddr>,
}

impl Listeners {
    /// Binds all addresses for `config.cores` cores; port 0 takes any free port. Raises the
    /// process's soft limit on open files to the hard one.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] for the first address that cannot be listened on; none is then.
    pub fn bind(addrs: &[SocketAddr], config: &Config) -> Result<Self, Error> {
        raise_file_limit();
        let cores = config.core_count();
        let mut listeners = Self {
            cores: std::iter::repeat_with(Vec::new).take(cores).collect(),
            metrics: Metrics::default(),
            addrs: Vec::with_capacity(addrs.len()),
        };
        let v4_too = addrs.iter().any(SocketAddr::is_ipv4);
        for &addr in addrs {
            let bound = bind_all(addr, cores, v4_too);
            let (local, sockets) = bound.map_err(|source| Error::Listen { addr, source })?;
            listeners.addrs.push(local);
            for (core, socket) in listeners.cores.iter_mut().zip(sockets) {
                core.push(socket);
            }
        }
        Ok(listeners)
    }

    /// Counts into these metrics instead of ones nobody sees.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The addresses bound, in the order asked for, with the ports the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addrs.clone()
    }
}

/// Binds one address once per core.
fn bind_all(
    addr: SocketAddr,
    cores: usize,
    v4_too: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let only_v6 = addr.is_ipv6() && v4_too;
    let alone = bind_one(addr, false, only_v6)?;
    let local = alone.local_addr()?;
    if cores == 1 {
        return Ok((local, vec![alone]));
    }
    if !cfg!(target_os = "linux") {
        // Elsewhere the kernel does not spread connections: the cores take them from one queue.
        let rest: io::Result<Vec<_>> = (1..cores).map(|_| alone.try_clone()).collect();
        return Ok((local, std::iter::once(alone).chain(rest?).collect()));
    }
    drop(alone);
    let shared: io::Result<Vec<_>> = (0..cores).map(|_| bind_one(local, true, only_v6)).collect();
    Ok((local, shared?))
}

fn bind_one(addr: SocketAddr, share: bool, only_v6: bool) -> io::Result<TcpListener> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if share {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if only_v6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &addr)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Raises the soft limit on open files to the hard one; what cannot be raised stays.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files could not be raised");
        }
    }
}

/// Most connections at once: the setting, or half of the file limit.
pub(crate) fn max_connections(config: &Config) -> usize {
    match config.max_connections {
        0 => half_of(getrlimit(Resource::Nofile).current),
        set => set,
    }
}

/// The other half is for open modules, upstream connections and databases.
fn half_of(files: Option<u64>) -> usize {
    let half =
        files.map_or(MAX_CONNECTIONS, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    half.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn cores(cores: usize) -> Config {
        Config { cores, ..Config::default() }
    }

    #[test]
    fn each_core_gets_a_listener_on_the_same_port() {
        let listeners = Listeners::bind(&[any(), any()], &cores(3)).unwrap();
        assert_eq!(listeners.cores.len(), 3);
        let addrs = listeners.local_addrs();
        assert_ne!(addrs[0].port(), 0);
        for core in &listeners.cores {
            let bound: Vec<_> = core.iter().map(|l| l.local_addr().unwrap()).collect();
            assert_eq!(bound, addrs);
        }
    }

    #[test]
    fn a_port_that_is_served_is_an_error_even_when_shared() {
        for count in [1, 2] {
            let first = Listeners::bind(&[any()], &cores(count)).unwrap();
            let again = Listeners::bind(&first.local_addrs(), &cores(2));
            assert!(matches!(again, Err(Error::Listen { addr, .. }) if addr == first.addrs[0]));
        }
    }

    #[test]
    fn both_families_can_share_a_port() {
        let v4 = Listeners::bind(&[SocketAddr::from(([0, 0, 0, 0], 0))], &cores(1)).unwrap();
        let port = v4.local_addrs()[0].port();
        drop(v4);
        let both = [
            SocketAddr::from(([0, 0, 0, 0], port)),
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
        ];
        // A machine without IPv6 has nothing to show here.
        match Listeners::bind(&both, &cores(2)) {
            Ok(listeners) => assert_eq!(listeners.local_addrs(), both),
            Err(error) => assert!(matches!(error, Error::Listen { addr, .. } if addr == both[1])),
        }
    }

    #[test]
    fn binding_raises_the_file_limit() {
        drop(Listeners::bind(&[any()], &cores(1)).unwrap());
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn connections_are_half_of_the_files_within_bounds() {
        assert_eq!(half_of(Some(1000)), 500);
        assert_eq!(half_of(Some(3)), MIN_CONNECTIONS);
        assert_eq!(half_of(Some(u64::MAX)), MAX_CONNECTIONS);
        assert_eq!(half_of(None), MAX_CONNECTIONS);
        let set = Config { max_connections: 7, ..Config::default() };
        assert_eq!(max_connections(&set), 7);
    }
}
