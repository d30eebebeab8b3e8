//! What an operator may set of this room.

use std::time::Duration;

use units::Span;

use crate::{BasePath, Network, PublicUrl};

/// Configuration under `server.`, as far as it concerns the meaning of requests.
///
/// Addresses to listen on, TLS and connection limits stand in `wire::Config`.
///
/// # Defaults
///
/// No base path but the root, no public URL, no trusted proxy, lifetimes as [`CacheAges`] says.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Path prefixes under which larder answers besides the root, so that clients of a former proxy
    /// need no new setting: `["/artifactory/api/go/x"]`. Default: none. A wrong one changes nothing
    /// for clients that use the root.
    pub base_paths: Vec<BasePath>,
    /// The URL under which clients reach larder, for the page at `/`. Default: made from the
    /// request. A wrong one shows readers of that page a wrong `GOPROXY` line.
    pub public_url: Option<PublicUrl>,
    /// Networks (or single addresses) whose `X-Forwarded-For`, `X-Forwarded-Proto` and
    /// `X-Forwarded-Host` are believed. Default: none. One too wide lets clients choose the address
    /// that the access log shows.
    pub trusted_proxies: Vec<Network>,
    /// How long clients and caches in between may keep answers.
    pub cache_control: CacheAges,
    /// Who may read private modules.
    pub private_readers: Readers,
}

/// Who may read private modules, as long as callers have no names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readers {
    /// Whoever comes by a loopback address of this machine.
    #[default]
    Loopback,
    /// Whoever reaches larder.
    Anyone,
}

/// Lifetimes that answers announce in `Cache-Control`, under `server.cache_control.`.
///
/// An answer that is fresh for a shorter time announces that time instead. Failures are never to be
/// kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheAges {
    /// `.info`, `.mod` and `.zip` of a version, which never change. Default `3h`. Longer keeps a
    /// client's cache from seeing a removal.
    pub immutable: Span,
    /// `list`, `@latest`, branches and commits. Default `1m`. Longer delays new versions, on top of
    /// larder's own freshness.
    pub mutable: Span,
    /// 404 and 410. Default `1m`. Longer delays the first version of a new module.
    pub negative: Span,
    /// Look-ups of a checksum database. Default `10m`. They do not change once answered; their tree
    /// heads grow old.
    pub lookup: Span,
}

impl Default for CacheAges {
    fn default() -> Self {
        Self {
            immutable: Span(Duration::from_hours(3)),
            mutable: Span(Duration::from_mins(1)),
            negative: Span(Duration::from_mins(1)),
            lookup: Span(Duration::from_mins(10)),
        }
    }
}

/// Configuration under `log.`, as far as it concerns the access log.
///
/// # Defaults
///
/// Whole client addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How much of a client's address an access line shows: `full`, `net` (the first 24 bits of an
    /// IPv4, 48 of an IPv6 address) or `off`. Default `full`. `off` leaves nothing to find an
    /// abuser by.
    pub client: ClientAddress,
}

/// How much of a client's address is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAddress {
    /// The whole address.
    #[default]
    Full,
    /// The network: `/24` of an IPv4, `/48` of an IPv6 address.
    Net,
    /// Nothing.
    Off,
}

/// What is wrong with a value of this room's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An entry of `server.base_paths` cannot be the beginning of a request target.
    #[error("base path {path:?} {reason}")]
    BasePath {
        /// As it was written.
        path: String,
        /// What it breaks.
        reason: &'static str,
    },
    /// `server.public_url` is not a URL that a client could use.
    #[error("public URL {url:?} {reason}")]
    PublicUrl {
        /// As it was written.
        url: String,
        /// What it breaks.
        reason: &'static str,
    },
    /// An entry of `server.trusted_proxies` is neither an address nor a network.
    #[error("trusted proxy {text:?} is neither an IP address nor a network like 10.0.0.0/8")]
    Network {
        /// As it was written.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_a_working_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert!(config.base_paths.is_empty() && config.public_url.is_none());
        assert!(config.trusted_proxies.is_empty());
        assert_eq!(config.cache_control, CacheAges::default());
    }

    #[test]
    fn every_key_is_read() {
        let config: Config = serde_json::from_str(
            r#"{
                "base_paths": ["/artifactory/api/go/x"],
                "public_url": "https://larder.example.com/",
                "trusted_proxies": ["10.0.0.0/8", "::1"],
                "cache_control":
                    {"immutable": "24h", "mutable": "30s", "negative": "0s", "lookup": "1h"}
            }"#,
        )
        .unwrap();
        assert_eq!(config.base_paths.first().unwrap().as_str(), "/artifactory/api/go/x");
        assert_eq!(config.public_url.unwrap().as_str(), "https://larder.example.com");
        assert_eq!(config.trusted_proxies.len(), 2);
        let seconds = |span: Span| span.0.as_secs();
        let ages = config.cache_control;
        assert_eq!(
            [ages.immutable, ages.mutable, ages.negative, ages.lookup].map(seconds),
            [86_400, 30, 0, 3_600]
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"base_path": []}"#).is_err());
        assert!(serde_json::from_str::<LogConfig>(r#"{"clients": "off"}"#).is_err());
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        let error = serde_json::from_str::<Config>(r#"{"trusted_proxies": ["lan"]}"#).unwrap_err();
        assert!(error.to_string().contains("neither an IP address nor a network"), "{error}");
        let error = serde_json::from_str::<Config>(r#"{"base_paths": ["go"]}"#).unwrap_err();
        assert!(error.to_string().contains("must begin with a slash"), "{error}");
    }

    #[test]
    fn the_client_address_has_three_words() {
        for (text, client) in [
            ("full", ClientAddress::Full),
            ("net", ClientAddress::Net),
            ("off", ClientAddress::Off),
        ] {
            let log: LogConfig =
                serde_json::from_str(&format!(r#"{{"client": "{text}"}}"#)).unwrap();
            assert_eq!(log.client, client);
        }
    }
}
