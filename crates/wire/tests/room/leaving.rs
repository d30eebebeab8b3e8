//! Bodies that are cut, by us or by the client.

use std::time::Duration;

use wire::{Config, Sent};

use crate::world::{FILE, WINDOW, World};

fn ways() -> [World; 2] {
    let reads = Config { sendfile: false, ..Config::default() };
    [World::new(Config::default()), World::new(reads)]
}

#[test]
fn a_cut_body_ends_before_its_length() {
    for world in ways() {
        for path in ["/cut", "/mixed-short", "/mixed-long"] {
            let mut client = world.client();
            client.ask("GET", path);
            assert!(client.answer("GET").is_err(), "{path}");
            assert!(!world.end().whole, "{path}");
        }
        world.await_metric("bodies_cut_total", 3);
    }
}

#[test]
fn a_cut_body_without_length_is_not_taken_for_whole() {
    let world = World::new(Config::default());
    for version in ["1.1", "1.0"] {
        let mut client = world.client();
        client.send(&format!("GET /cut-chunked HTTP/{version}\r\nhost: a\r\n\r\n"));
        assert!(client.answer("GET").is_err(), "{version}");
        assert!(!world.end().whole);
    }
}

#[test]
fn a_file_shorter_than_promised_is_cut_and_never_padded() {
    for world in ways() {
        for promised in [FILE + 1, FILE + WINDOW, 5 * WINDOW] {
            let mut client = world.client();
            client.send(&format!("GET /file/0/{promised} HTTP/1.1\r\nhost: a\r\n\r\n"));
            let got = client.rest().unwrap_or_default();
            let head = got.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
            let body = &got[head..];
            assert!(body.len() <= FILE && world.paths.content.starts_with(body), "{promised}");
            assert!(!world.end().whole);
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_cuts_its_answer_alone() {
    for world in ways() {
        let mut client = world.client();
        client.ask("GET", "/unreadable");
        assert!(client.answer("GET").is_err());
        assert!(!world.end().whole);
        assert!(world.client().get("/file/0/20000").body == world.paths.content[..20_000]);
    }
}

#[test]
fn clients_that_leave_do_no_harm() {
    for world in ways() {
        for n in 0..20 {
            let mut client = world.client();
            client.ask("GET", "/large");
            // A request whose client left before the answer began has no body to end.
            client.read(n * 1000 + 1);
            drop(client);
        }
        for _ in 0..20 {
            let end = world.end();
            assert!(!end.whole && end.bytes < 64 << 20, "{end:?}");
        }
        let answer = world.client().get(&format!("/file/0/{FILE}"));
        assert!(answer.body == world.paths.content);
        world.await_metric("bodies_cut_total", 20);
    }
}

#[test]
fn a_client_that_leaves_a_waiting_request_frees_it() {
    let world = World::new(Config::default());
    let mut client = world.client();
    client.ask("GET", "/never");
    world.await_metric("connections_open", 1);
    drop(client);
    world.await_metric("connections_open", 0);
}

#[test]
fn the_end_of_a_large_body_is_told_when_the_socket_has_it() {
    let world = World::new(Config::default());
    let mut client = world.client();
    client.ask("GET", "/large");
    assert!(world.ends.recv_timeout(Duration::from_millis(100)).is_err(), "nobody has read it");
    assert_eq!(client.answer("GET").unwrap().body.len(), 64 << 20);
    assert_eq!(world.end(), Sent { bytes: 64 << 20, whole: true });
}
