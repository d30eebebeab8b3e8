//! The room against a server that misbehaves in every way the field knows.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests are not in tests for clippy"
)]

mod body;
mod fake;
mod http2;
mod limits;
mod page;
mod redirect;
mod status;
mod tls;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use outbound::{Client, Coding, Config, Error, Get, ProxyEnvironment};
use policy::address::Word;
use units::Span;
use url::Url;

fn config() -> Config {
    // Long enough for a busy machine; a test that waits for one of them waits no longer.
    let short = Span(Duration::from_secs(1));
    Config { between_bytes_timeout: short, tls_timeout: short, ..Config::default() }
}

fn client() -> Client {
    Client::new(&config(), &ProxyEnvironment::default()).unwrap().with_seed(1).unwrap()
}

fn get(url: Url) -> Get {
    Get {
        url,
        name: Arc::from("mirror"),
        credential: None,
        word: Word::Operator,
        first_byte: Duration::from_secs(5),
        whole: Duration::from_secs(10),
        max_bytes: 1 << 20,
        via: Arc::from("1.1 larder-test"),
        coding: Coding::Identity,
    }
}

async fn fetch(client: &Client, get: Get) -> Result<Bytes, Error> {
    client.get(get).await?.bytes().await
}
