//! How a server ends.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use wire::{Config, Stopped};

use crate::world::World;

const SOON: Duration = Duration::from_secs(5);

fn stop(world: &mut World, deadline: Duration) -> Stopped {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(world.server.take().unwrap().stop(deadline))
}

#[test]
fn idle_connections_do_not_delay_a_stop() {
    let mut world = World::with(Config { cores: 2, ..Config::default() }, None);
    let mut used = world.client();
    assert_eq!(used.get("/memory/1").status, 200);
    let mut unused = world.client();
    let began = Instant::now();
    assert_eq!(stop(&mut world, SOON), Stopped { cut_connections: 0 });
    assert!(began.elapsed() < SOON);
    assert_eq!(used.rest().unwrap(), b"");
    assert_eq!(unused.rest().unwrap_or_default(), b"");
    assert!(TcpStream::connect(world.addr).is_err(), "nobody listens any more");
}

#[test]
fn a_running_answer_ends() {
    let mut world = World::new(Config::default());
    let mut client = world.client();
    client.ask("GET", "/slow/500");
    let mut reader = world.client();
    reader.ask("GET", "/large");
    std::thread::sleep(Duration::from_millis(100));
    let readers = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let large = reader.answer("GET").unwrap().body.len();
        (client.answer("GET").unwrap(), large)
    });
    assert_eq!(stop(&mut world, SOON), Stopped { cut_connections: 0 });
    let (slow, large) = readers.join().unwrap();
    assert_eq!((&slow.body[..], large), (&b"slow"[..], 64 << 20));
    assert_eq!(slow.headers["connection"], "close");
}

#[test]
fn requests_sent_before_a_stop_are_answered() {
    let mut world = World::with(Config { cores: 2, ..Config::default() }, None);
    let mut clients: Vec<_> = (0..50).map(|_| world.client()).collect();
    for client in &mut clients {
        client.ask("GET", "/file/0/30000");
    }
    assert_eq!(stop(&mut world, SOON), Stopped { cut_connections: 0 });
    for client in &mut clients {
        assert!(client.answer("GET").unwrap().body == world.paths.content[..30_000]);
    }
}

#[test]
fn what_runs_at_the_deadline_is_cut_and_counted() {
    let mut world = World::with(Config { cores: 2, ..Config::default() }, None);
    let mut clients: Vec<_> = (0..3).map(|_| world.client()).collect();
    for client in &mut clients {
        client.ask("GET", "/never");
    }
    std::thread::sleep(Duration::from_millis(100));
    let stopped = stop(&mut world, Duration::from_millis(200));
    assert_eq!(stopped, Stopped { cut_connections: 3 });
    for client in &mut clients {
        assert!(client.answer("GET").is_err());
    }
}

#[test]
fn a_dropped_server_frees_its_port() {
    let mut world = World::new(Config::default());
    drop(world.server.take());
    let began = Instant::now();
    while TcpStream::connect(world.addr).is_ok() {
        assert!(began.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(10));
    }
}
