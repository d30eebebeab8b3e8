//! Slow, silent, greedy and broken clients, and handlers that panic.

use std::time::{Duration, Instant};

use units::{ByteSize, Span};
use wire::Config;

use crate::world::World;

const SHORT: Duration = Duration::from_millis(300);
/// Longer than any limit of these tests.
const LONG: Duration = Duration::from_hours(1);

fn limits(header: Duration, idle: Duration, write: Duration) -> World {
    World::new(Config {
        header_timeout: Span(header),
        idle_timeout: Span(idle),
        write_timeout: Span(write),
        ..Config::default()
    })
}

/// Waits for the end of the connection, which must come by the short limit.
fn ends_soon(mut client: crate::client::Client) {
    let began = Instant::now();
    let _ = client.rest();
    assert!(began.elapsed() < Duration::from_secs(10), "still open after {:?}", began.elapsed());
}

#[test]
fn a_silent_client_is_closed() {
    let world = limits(SHORT, LONG, LONG);
    ends_soon(world.client());
    world.await_metric("connections_timed_out_total", 1);
}

#[test]
fn half_a_head_is_closed() {
    let world = limits(SHORT, LONG, LONG);
    let mut client = world.client();
    assert_eq!(client.get("/memory/1").status, 200);
    client.send("GET /memory/1 HTT");
    ends_soon(client);
}

#[test]
fn a_trickled_head_is_closed() {
    let world = limits(SHORT, LONG, LONG);
    let client = world.client();
    let mut tcp = client.tcp.try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        use std::io::Write;
        tcp.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let began = Instant::now();
        while tcp.write_all(b"a: b\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
            assert!(began.elapsed() < Duration::from_secs(10));
        }
    });
    ends_soon(client);
    trickle.join().unwrap();
}

#[test]
fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let world = limits(LONG, SHORT, LONG);
    let mut client = world.client();
    let began = Instant::now();
    while began.elapsed() < 3 * SHORT {
        assert_eq!(client.get("/memory/1").status, 200);
        std::thread::sleep(SHORT / 6);
    }
    ends_soon(client);
    assert_eq!(world.metric("connections_timed_out_total"), 0, "a graceful end is none");
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    for sendfile in [true, false] {
        let mut config = Config { sendfile, write_timeout: Span(SHORT), ..Config::default() };
        config.idle_timeout = Span(LONG);
        let world = World::new(config);
        let mut client = world.client();
        client.ask("GET", "/large");
        let end = world.end();
        assert!(!end.whole && end.bytes < 64 << 20, "{end:?}");
        assert!(client.answer("GET").is_err());
        world.await_metric("connections_timed_out_total", 1);
    }
}

#[test]
fn a_client_that_reads_slowly_is_not_cut() {
    let world = limits(LONG, LONG, SHORT);
    let mut client = world.client();
    client.ask("GET", "/large");
    let began = Instant::now();
    let mut got = 0;
    while began.elapsed() < 4 * SHORT {
        got += client.read(1 << 20).len();
        std::thread::sleep(SHORT / 10);
    }
    while got < 64 << 20 {
        got += client.read(1 << 20).len();
    }
    assert!(world.end().whole);
}

#[test]
fn an_answer_that_waits_for_us_is_not_cut() {
    let world = limits(SHORT, SHORT, SHORT);
    let mut client = world.client();
    assert_eq!(client.get("/slow/1500").body, b"slow");
    assert_eq!(client.get("/drip/900").body, b"onetwo");
}

#[test]
fn heads_have_a_size_limit() {
    let world = World::new(Config { max_header_bytes: ByteSize(8 << 10), ..Config::default() });
    let head = |len: usize| {
        let start = "GET /memory/1 HTTP/1.1\r\nhost: a\r\nx: ";
        format!("{start}{}\r\n\r\n", "y".repeat(len - start.len() - 4))
    };
    for (len, status) in [(8 << 10, 200), ((8 << 10) + 1, 431)] {
        let mut client = world.client();
        client.send(&head(len));
        assert_eq!(client.answer("GET").unwrap().status, status, "{len}");
    }
}

#[test]
fn header_fields_have_a_count_limit() {
    let world = World::new(Config::default());
    for (count, status) in [(100, 200), (101, 431)] {
        let fields = (1..count).fold(String::new(), |all, n| all + &format!("x-{n}: y\r\n"));
        let mut client = world.client();
        client.send(&format!("GET /memory/1 HTTP/1.1\r\nhost: a\r\n{fields}\r\n"));
        assert_eq!(client.answer("GET").unwrap().status, status, "{count}");
    }
}

#[test]
fn targets_have_a_size_limit() {
    let world = World::new(Config { max_request_line: ByteSize(100), ..Config::default() });
    let mut client = world.client();
    for (len, status) in [(100, 200), (101, 414), (100, 200)] {
        let path = format!("/memory/1?{}", "x".repeat(len - "/memory/1?".len()));
        assert_eq!(client.get(&path).status, status, "{len}");
    }
}

#[test]
fn nonsense_is_400() {
    let world = World::new(Config::default());
    let mut client = world.client();
    client.send("\0\0\0\0 nonsense\r\n\r\n");
    assert_eq!(client.answer("GET").unwrap().status, 400);
}

#[test]
fn connections_beyond_the_limit_wait_for_room() {
    let world = World::new(Config { max_connections: 2, ..Config::default() });
    let mut clients = [world.client(), world.client()];
    for client in &mut clients {
        assert_eq!(client.get("/memory/1").status, 200);
    }
    let mut third = world.client();
    third.ask("GET", "/memory/3");
    std::thread::sleep(Duration::from_millis(200));
    world.await_metric("connections_accepted_total", 2);
    world.await_metric("connections_limited_total", 1);
    drop(clients);
    assert_eq!(third.answer("GET").unwrap().body.len(), 3);
}

#[test]
fn a_panic_is_a_500_and_the_connection_goes_on() {
    let world = World::new(Config::default());
    let mut client = world.client();
    let answer = client.get("/nowhere");
    assert_eq!((answer.status, &answer.body[..]), (500, &b"internal error\n"[..]));
    assert_eq!(client.get("/memory/1").status, 200);
    world.await_metric("handler_panics_total", 1);
    world.await_metric("connections_accepted_total", 1);
}

#[test]
fn the_handler_knows_its_peer() {
    let world = World::new(Config::default());
    let mut client = world.client();
    let addr = client.tcp.local_addr().unwrap();
    let peer = wire::Peer { addr, local: world.addr, tls: false };
    assert_eq!(client.get("/peer").body, format!("{peer:?}").as_bytes());
}

#[test]
fn all_cores_answer() {
    let world = World::with(Config { cores: 3, ..Config::default() }, None);
    let mut clients: Vec<_> = (0..30).map(|_| world.client()).collect();
    for client in &mut clients {
        assert!(client.get("/file/0/70000").body == world.paths.content[..70_000]);
    }
    world.await_metric("connections_open", 30);
}
