//! The whole output, as it is printed.

use super::*;
use crate::config::{Flags, World, load};

#[test]
fn an_unconfigured_machine_shows_defaults_in_the_order_of_the_registry() {
    let world = World::empty("/nonexistent".into()).with("HOME", "/home/u");
    let shown = show(&load(&Flags::default(), &world).unwrap());
    let long = ["outbound.", "cache.", "vcs."];
    let short = |line: &&str| !long.iter().any(|section| line.starts_with(section));
    let lines: Vec<_> = shown.lines().filter(short).collect();
    insta::assert_snapshot!(lines.join("\n"), @r##"
    # configuration file: none
    server.listen = ["127.0.0.1:8080"]  # default
    server.admin_listen = []  # default
    server.base_paths = []  # default
    # server.public_url is not set  # default
    server.trusted_proxies = []  # default
    # server.tls.cert_file is not set  # default
    # server.tls.key_file is not set  # default
    server.sendfile = true  # default
    server.cores = 0  # default
    server.max_connections = 0  # default
    server.max_header_bytes = "64KiB"  # default
    server.max_request_line = "16KiB"  # default
    server.max_streams = 256  # default
    server.header_timeout = "10s"  # default
    server.idle_timeout = "1m15s"  # default
    server.write_timeout = "1m"  # default
    server.drain = "3s"  # default
    server.stop_timeout = "9s"  # default
    store.data = "/home/u/.local/share/larder"  # default
    store.min_free = "1GiB"  # default
    store.fsync = true  # default
    proxy.offline = false  # default
    proxy.list_fresh = "1m"  # default
    proxy.list_stale = "5m"  # default
    proxy.query_stale_on_error = "10m"  # default
    proxy.negative_fresh = "1m"  # default
    proxy.refused_fresh = "10m"  # default
    proxy.waiter_timeout = "10m"  # default
    proxy.max_flights = 256  # default
    proxy.max_flights_per_upstream = 64  # default
    proxy.shelf_size = "64MiB"  # default
    proxy.open_files = 1024  # default
    upstream.proxies = "direct"  # default
    policy.allow = []  # default
    policy.deny = []  # default
    policy.private = []  # default
    sumdb.databases = ["sum.golang.org"]  # default
    sumdb.verify = "require"  # default
    sumdb.missing_wait = "1m"  # default
    # sumdb.key_file is not set  # default
    log.format = "auto"  # default
    log.level = "info"  # default
    log.client = "full"  # default
    log.access = "stdout"  # default
    metrics.enabled = true  # default
    private.readers = "loopback"  # default
    direct.override = []  # default
    direct.packed_size = "64MiB"  # default
    direct.discovery_rewrite = []  # default
    # warning: no settings of Go's were found that name an upstream: it is direct
    "##);
}

#[test]
fn tables_are_shown_once_per_name_and_passwords_in_urls_never() {
    let world = World::empty("/nonexistent".into())
        .with("LARDER_UPSTREAM_SOURCE_A_URL", "https://a.example")
        .with("LARDER_UPSTREAM_SOURCE_A_TOKEN", "hunter2")
        .with("LARDER_UPSTREAM_SOURCE_B_URL", "https://b.example")
        .with("LARDER_UPSTREAM_PROXIES", "https://u:hunter2@a.example|https://b.example");
    let shown = show(&load(&Flags::default(), &world).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    let lines: Vec<_> = shown.lines().filter(|line| line.contains("upstream.")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r##"
    upstream.proxies = "https://****@a.example|https://b.example"  # environment variable LARDER_UPSTREAM_PROXIES
    upstream.source.a.url = "https://a.example"  # environment variable LARDER_UPSTREAM_SOURCE_A_URL
    upstream.source.b.url = "https://b.example"  # environment variable LARDER_UPSTREAM_SOURCE_B_URL
    upstream.source.a.token = "****"  # environment variable LARDER_UPSTREAM_SOURCE_A_TOKEN
    "##);
}

#[test]
fn a_list_that_lost_everything_shows_what_is_in_effect() {
    let world = World::empty("/nonexistent".into())
        .with("LARDER_UPSTREAM_PROXIES", "http://localhost:8080")
        .with("GOPROXY", "https://a.example");
    let shown = show(&load(&Flags::default(), &world).unwrap());
    let lines: Vec<_> =
        shown.lines().filter(|l| l.contains("upstream.proxies") || l.contains("warning")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r##"
    upstream.proxies = "http://localhost:8080"  # environment variable LARDER_UPSTREAM_PROXIES
    # in effect: upstream.proxies = "https://a.example"  # GOPROXY from the environment
    # warning: upstream http://localhost:8080 is larder itself and is skipped (environment variable LARDER_UPSTREAM_PROXIES)
    # warning: nothing else is left of environment variable LARDER_UPSTREAM_PROXIES: the next settings are taken
    "##);
}
