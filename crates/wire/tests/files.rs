//! A process that runs out of open files; alone in its process, whose limit it lowers.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests, where a panic is the failure"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use prometheus_client::registry::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wire::{Body, Config, Handler, Listeners, Metrics, Request, Response, Server};

#[derive(Clone)]
struct Empty;

impl Handler for Empty {
    async fn call(&self, _request: Request) -> Response {
        Response::new(Body::empty())
    }
}

fn get(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Processor time this process has spent.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}

fn count(registry: &Registry, name: &str) -> u64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
}

#[test]
fn a_server_out_of_files_waits_without_spinning_and_goes_on() {
    let config = Config { cores: 1, max_connections: 10_000, ..Config::default() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut registry = Registry::default();
    let listeners = Listeners::bind(&[any], &config).unwrap();
    let listeners = listeners.with_metrics(Metrics::new(&mut registry));
    let addr = *listeners.local_addrs().first().unwrap();
    let _server = Server::start(listeners, config, None, Empty).unwrap();
    assert!(get(addr).unwrap().starts_with("HTTP/1.1 200"));

    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(open + 20), maximum }).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(addr) {
        clients.push(client);
    }
    let began = Instant::now();
    while count(&registry, "connections_refused_total") == 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    let before = spent();
    std::thread::sleep(Duration::from_secs(1));
    let spun = spent().checked_sub(before).unwrap();
    assert!(spun < Duration::from_millis(300), "the accept loop spins");

    clients.clear();
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(get(addr).unwrap().starts_with("HTTP/1.1 200"));
}
