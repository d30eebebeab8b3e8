//! Every byte of every answer, on every way a file can go out.

use std::sync::Arc;

use wire::{Config, Sent, Tls};

use crate::{
    client::{Client, client_config, identity},
    world::{FILE, WINDOW, World},
};

/// The smallest length that goes by sendfile.
const SMALLEST: usize = 16 << 10;

/// Offset and length of file bodies: around nothing, the smallest sendfile, reads, and windows.
const RANGES: [(usize, usize); 17] = [
    (0, 0),
    (0, 1),
    (7, 100),
    (0, SMALLEST - 1),
    (0, SMALLEST),
    (3, SMALLEST + 1),
    (0, (64 << 10) - 1),
    (1, 64 << 10),
    (0, (64 << 10) + 1),
    (0, WINDOW - 1),
    (0, WINDOW),
    (0, WINDOW + 1),
    (4097, WINDOW),
    (5, 2 * WINDOW),
    (1, 2 * WINDOW + 1),
    (0, FILE),
    (FILE - SMALLEST, SMALLEST),
];

/// A way to serve: its name, the world, and how to reach it.
type Way = (&'static str, World, Box<dyn Fn(&World) -> Client>);

fn ways() -> Vec<Way> {
    assert!(wire::sendfile_self_test(), "or the first way would be the second");
    let reads = Config { sendfile: false, cores: 1, ..Config::default() };
    let (made, roots) = identity();
    let tls = Tls::load(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
    let encrypted = World::with(Config { cores: 1, ..Config::default() }, Some(tls.unwrap()));
    let config = Arc::new(client_config(roots, &rustls::version::TLS13, &["http/1.1"]));
    vec![
        ("sendfile", World::new(Config::default()), Box::new(World::client)),
        ("reads", World::new(reads), Box::new(World::client)),
        ("tls", encrypted, Box::new(move |world| Client::tls(world.addr, Arc::clone(&config)))),
    ]
}

#[test]
fn ranges_of_files_arrive_byte_for_byte() {
    for (way, world, client) in ways() {
        let mut client = client(&world);
        for (offset, len) in RANGES {
            let answer = client.get(&format!("/file/{offset}/{len}"));
            assert_eq!(answer.headers["content-length"], len.to_string(), "{way}");
            let wanted = &world.paths.content[offset..offset + len];
            assert!(answer.body == wanted, "{way} {offset}+{len} differs");
            assert_eq!(world.end(), Sent { bytes: len as u64, whole: true }, "{way}");
        }
        assert_eq!(world.metric("bodies_cut_total"), 0, "{way}");
        assert_eq!(world.metric("connections_accepted_total"), 1, "{way}: one connection for all");
    }
}

#[test]
fn pages_that_are_not_in_memory_arrive_byte_for_byte() {
    for (way, world, client) in ways() {
        for _ in 0..2 {
            world.cool();
            let answer = client(&world).get(&format!("/file/1/{}", FILE - 1));
            assert!(answer.body == world.paths.content[1..], "{way}");
        }
    }
}

#[test]
fn memory_and_files_mix_on_one_connection() {
    for (way, world, client) in ways() {
        let mut client = client(&world);
        for len in [0, 1, 10, 100_000, 2 * WINDOW] {
            for path in [format!("/memory/{len}"), format!("/file/0/{len}")] {
                assert!(client.get(&path).body == world.paths.content[..len], "{way} {path}");
            }
            let mixed = client.get("/mixed");
            assert!(mixed.body == world.paths.content[..WINDOW + 100_300], "{way} mixed");
        }
    }
}

#[test]
fn chunks_arrive_byte_for_byte() {
    for (way, world, client) in ways() {
        let mut client = client(&world);
        for _ in 0..2 {
            let answer = client.get("/chunked");
            assert_eq!(answer.headers["transfer-encoding"], "chunked", "{way}");
            assert!(answer.body == world.paths.content[..WINDOW + 100_300], "{way}");
        }
    }
}

#[test]
fn an_old_client_gets_a_body_of_unknown_length_until_the_close() {
    let world = World::new(Config::default());
    let mut client = world.client();
    client.send("GET /chunked HTTP/1.0\r\n\r\n");
    let answer = client.answer("GET").unwrap();
    assert!(answer.body == world.paths.content[..WINDOW + 100_300]);
    let mut client = world.client();
    client.send("GET /file/0/100000 HTTP/1.0\r\n\r\n");
    assert!(client.answer("GET").unwrap().body == world.paths.content[..100_000]);
    assert_eq!(client.rest().unwrap(), b"");
}

#[test]
fn head_has_the_length_and_no_body() {
    for (way, world, client) in ways() {
        let mut client = client(&world);
        for (path, len) in [
            ("/file/0/2000000".to_owned(), 2_000_000),
            ("/memory/12".to_owned(), 12),
            ("/memory/0".to_owned(), 0),
            ("/mixed".to_owned(), WINDOW + 100_300),
            ("/file/0/50000?length".to_owned(), 50_000),
        ] {
            let answer = client.head(&path);
            assert_eq!(answer.headers["content-length"], len.to_string(), "{way} {path}");
            assert_eq!(world.end(), Sent { bytes: 0, whole: true }, "{way} {path}");
            assert!(client.get("/memory/5").body == world.paths.content[..5], "{way} {path}");
            world.end();
        }
        assert_eq!(client.head("/chunked").headers.get("content-length"), None);
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let world = World::new(Config::default());
    let mut client = world.client();
    for status in [204, 304] {
        let answer = client.get(&format!("/status/{status}"));
        assert_eq!((answer.status, answer.headers.get("content-length")), (status, None));
    }
    assert_eq!(client.get("/status/404").body, b"unwanted");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for (way, world, client) in ways() {
        let mut client = client(&world);
        let asked: Vec<_> = (0..24)
            .map(|n| match n % 4 {
                0 => ("GET", format!("/file/{n}/{}", WINDOW + n)),
                1 => ("GET", format!("/memory/{n}")),
                2 => ("HEAD", "/file/0/300000".to_owned()),
                _ => ("GET", format!("/file/{n}/20000")),
            })
            .collect();
        let head = |(method, path): &(&str, String)| {
            format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n")
        };
        client.send(&asked.iter().map(head).collect::<String>());
        for (n, (method, path)) in asked.iter().enumerate() {
            let answer = client.answer(method).unwrap();
            let wanted = match n % 4 {
                0 => &world.paths.content[n..WINDOW + 2 * n],
                1 => &world.paths.content[..n],
                2 => &[],
                _ => &world.paths.content[n..n + 20_000],
            };
            assert!(answer.body == wanted, "{way} {n} {method} {path}");
        }
    }
}

#[test]
fn a_prebuilt_length_is_the_one_sent() {
    let world = World::new(Config::default());
    let answer = world.client().get("/file/9/1200000?length");
    assert_eq!(answer.headers["content-length"], "1200000");
    assert!(answer.body == world.paths.content[9..1_200_009]);
}

#[test]
fn a_request_with_a_body_is_answered() {
    let world = World::new(Config::default());
    let mut client = world.client();
    client.send("GET /file/0/40000 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody");
    assert!(client.answer("GET").unwrap().body == world.paths.content[..40_000]);
}

#[test]
fn a_growing_file_is_followed_byte_for_byte() {
    for (way, world, client) in ways() {
        let mut client = client(&world);
        for _ in 0..2 {
            let answer = client.get("/growing/37/70001");
            assert_eq!(answer.headers["content-length"], (37 * 70_001).to_string(), "{way}");
            assert!(answer.body == world.paths.content[..37 * 70_001], "{way}");
        }
    }
}

#[test]
fn an_old_client_may_keep_its_connection() {
    let world = World::new(Config::default());
    let mut client = world.client();
    for len in [10, 30_000] {
        client.send(&format!("GET /file/0/{len} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"));
        let answer = client.answer("GET").unwrap();
        assert_eq!(answer.headers["connection"], "keep-alive");
        assert!(answer.body == world.paths.content[..len]);
    }
}

#[test]
fn small_answers_do_not_wait_for_large_ones() {
    let world = World::new(Config::default());
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut client = world.client();
            std::thread::spawn(move || client.get("/large").body.len())
        })
        .collect();
    let mut client = world.client();
    let mut answers = 0;
    while !readers.iter().all(std::thread::JoinHandle::is_finished) {
        assert_eq!(client.get("/memory/9").body.len(), 9);
        answers += 1;
    }
    assert!(answers >= 4, "{answers} answers beside 256 MiB");
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 64 << 20);
    }
}

#[test]
fn many_slow_readers_get_their_own_bytes() {
    let world = World::new(Config::default());
    let mut clients: Vec<_> = (0..8).map(|_| world.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.ask("GET", &format!("/file/{n}/{}", 3 * WINDOW));
    }
    for (n, client) in clients.iter_mut().enumerate().rev() {
        let answer = client.answer("GET").unwrap();
        assert!(answer.body == world.paths.content[n..n + 3 * WINDOW], "{n}");
    }
}
