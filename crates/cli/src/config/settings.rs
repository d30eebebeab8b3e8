//! The typed form of all keys: one field per row of [`super::keys::KEYS`].
//!
//! What each key means, its default and the effect of a wrong value stand in the registry and in
//! `docs/config.md`, which is made of it. A test holds fields and rows together.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};
use units::{ByteSize, Span};
use url::Url;

/// All sections of `larder.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `server.*`.
    pub server: Server,
    /// `store.*`.
    pub store: Store,
    /// `proxy.*`.
    pub proxy: Proxy,
    /// `upstream.*`.
    #[serde(default)]
    pub upstream: Upstream,
    /// `outbound.*`.
    pub outbound: Outbound,
    /// `policy.*`.
    pub policy: Policy,
    /// `sumdb.*`.
    pub sumdb: Sumdb,
    /// `cache.*`.
    pub cache: Cache,
    /// `log.*`.
    pub log: Log,
    /// `metrics.*`.
    pub metrics: Metrics,
    /// `private.*`.
    pub private: Private,
    /// `direct.*`.
    pub direct: Direct,
    /// `vcs.*`: the room's own keys.
    pub vcs: vcs::Config,
}

/// Who reads private modules.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    /// `private.readers`.
    pub readers: server::Readers,
}

/// Modules straight from their repositories.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Direct {
    /// `direct.override`.
    pub r#override: Vec<Override>,
    /// `direct.credential.<name>.*`; [`super::Resolved::grants`] is what became of it.
    #[serde(default)]
    pub credential: BTreeMap<String, Credential>,
    /// `direct.packed_size`.
    pub packed_size: ByteSize,
    /// `direct.discovery_rewrite`.
    pub discovery_rewrite: Vec<String>,
}

/// A repository that is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// `direct.override.prefix`.
    pub prefix: String,
    /// `direct.override.url`.
    pub url: String,
    /// `direct.override.root`.
    #[serde(default)]
    pub root: Option<String>,
    /// `direct.override.subdir`.
    #[serde(default)]
    pub subdir: Option<String>,
}

/// Who larder is at some repositories: one way to say so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credential {
    /// `direct.credential.*.url`.
    pub url: Option<String>,
    /// `direct.credential.*.module`; comes with the host.
    pub module: Option<String>,
    /// `direct.credential.*.host`.
    pub host: Option<String>,
    /// `direct.credential.*.public`.
    pub public: Option<bool>,
    /// `direct.credential.*.header`.
    #[serde(deserialize_with = "secret")]
    pub header: Option<SecretString>,
    /// `direct.credential.*.user`; comes with the password.
    pub user: Option<String>,
    /// `direct.credential.*.password`.
    #[serde(deserialize_with = "secret")]
    pub password: Option<SecretString>,
    /// `direct.credential.*.ssh_key`; comes with the known hosts.
    pub ssh_key: Option<PathBuf>,
    /// `direct.credential.*.known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// `direct.credential.*.netrc`.
    pub netrc: Option<PathBuf>,
    /// `direct.credential.*.helper`.
    pub helper: Option<String>,
}

/// How larder is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `server.listen`; never empty.
    pub listen: Vec<SocketAddr>,
    /// `server.admin_listen`; empty: health and metrics stand with the rest.
    pub admin_listen: Vec<SocketAddr>,
    /// `server.base_paths`: begin with `/`, do not end with it.
    pub base_paths: Vec<String>,
    /// `server.public_url`, without a trailing slash in its text.
    #[serde(default, deserialize_with = "url")]
    pub public_url: Option<Url>,
    /// `server.trusted_proxies`.
    pub trusted_proxies: Vec<IpNet>,
    /// `server.tls.*`; `None` or both files.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// `server.sendfile`.
    pub sendfile: bool,
    /// `server.cores`; 0: all.
    pub cores: usize,
    /// `server.max_connections`; 0: from the limit of open files.
    pub max_connections: usize,
    /// `server.max_header_bytes`.
    pub max_header_bytes: ByteSize,
    /// `server.max_request_line`.
    pub max_request_line: ByteSize,
    /// `server.max_streams`.
    pub max_streams: u32,
    /// `server.header_timeout`.
    pub header_timeout: Span,
    /// `server.idle_timeout`.
    pub idle_timeout: Span,
    /// `server.write_timeout`.
    pub write_timeout: Span,
    /// `server.drain`; at most `stop_timeout`.
    pub drain: Span,
    /// `server.stop_timeout`.
    pub stop_timeout: Span,
}

/// The two files that TLS needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// `server.tls.cert_file`.
    pub cert_file: PathBuf,
    /// `server.tls.key_file`.
    pub key_file: PathBuf,
}

/// Where files are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `store.data`, absolute.
    pub data: PathBuf,
    /// `store.min_free`.
    pub min_free: ByteSize,
    /// `store.fsync`.
    pub fsync: bool,
}

/// What is asked when, and how much at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// `proxy.offline`.
    pub offline: bool,
    /// `proxy.list_fresh`.
    pub list_fresh: Span,
    /// `proxy.list_stale`: counted from the end of `list_fresh`.
    pub list_stale: Span,
    /// `proxy.query_stale_on_error`.
    pub query_stale_on_error: Span,
    /// `proxy.negative_fresh`.
    pub negative_fresh: Span,
    /// `proxy.refused_fresh`.
    pub refused_fresh: Span,
    /// `proxy.waiter_timeout`.
    pub waiter_timeout: Span,
    /// `proxy.max_flights`.
    pub max_flights: usize,
    /// `proxy.max_flights_per_upstream`.
    pub max_flights_per_upstream: usize,
    /// `proxy.shelf_size`.
    pub shelf_size: ByteSize,
    /// `proxy.open_files`.
    pub open_files: usize,
}

/// Where modules come from; [`super::Resolved::upstreams`] is what became of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// `upstream.proxies`; `None`: Go's own settings.
    pub proxies: Option<String>,
    /// `upstream.source.<name>.*`.
    pub source: BTreeMap<String, UpstreamSource>,
}

/// What is special about one upstream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamSource {
    /// `upstream.source.*.url`; its absence is reported when the configuration is loaded.
    #[serde(deserialize_with = "url")]
    pub url: Option<Url>,
    /// `upstream.source.*.ca_file`.
    pub ca_file: Option<PathBuf>,
    /// `upstream.source.*.token`; excludes user and password.
    #[serde(deserialize_with = "secret")]
    pub token: Option<SecretString>,
    /// `upstream.source.*.user`; comes with the password.
    pub user: Option<String>,
    /// `upstream.source.*.password`.
    #[serde(deserialize_with = "secret")]
    pub password: Option<SecretString>,
}

/// How other servers are asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// `outbound.ca_files`; each was read once and held a certificate.
    pub ca_files: Vec<PathBuf>,
    /// `outbound.resolve_timeout`.
    pub resolve_timeout: Span,
    /// `outbound.tls_timeout`.
    pub tls_timeout: Span,
    /// `outbound.connect_timeout`.
    pub connect_timeout: Span,
    /// `outbound.first_byte_list`.
    pub first_byte_list: Span,
    /// `outbound.first_byte_file`.
    pub first_byte_file: Span,
    /// `outbound.between_bytes_timeout`.
    pub between_bytes_timeout: Span,
    /// `outbound.whole`.
    pub whole: Span,
    /// `outbound.attempts`.
    pub attempts: u32,
    /// `outbound.retry_budget`.
    pub retry_budget: Span,
}

/// Who may use what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// `policy.allow`; empty: everything.
    pub allow: Vec<String>,
    /// `policy.deny`.
    pub deny: Vec<policy::DenyRule>,
    /// `policy.private`; [`super::Resolved::private`] has Go's too.
    pub private: Vec<String>,
}

/// Checksum databases; [`super::Resolved::databases`] is what became of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sumdb {
    /// `sumdb.databases`; `None`: Go's own settings.
    pub databases: Option<Vec<String>>,
    /// `sumdb.verify`.
    pub verify: sumdb::Mode,
    /// `sumdb.missing_wait`.
    pub missing_wait: Span,
    /// `sumdb.key_file`; `None`: in the data folder.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

/// What caches on the way to clients may keep.
#[expect(clippy::struct_field_names, reason = "fields are named as their keys")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// `cache.immutable_age`.
    pub immutable_age: Span,
    /// `cache.mutable_age`.
    pub mutable_age: Span,
    /// `cache.negative_age`.
    pub negative_age: Span,
    /// `cache.lookup_age`.
    pub lookup_age: Span,
}

/// What is written about the work.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `log.format`.
    pub format: LogFormat,
    /// `log.level`, a valid filter.
    pub level: String,
    /// `log.client`.
    pub client: LogClient,
    /// `log.access`.
    pub access: Destination,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object per line.
    Json,
}

/// How much of a client's address is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogClient {
    /// The whole address.
    Full,
    /// Its network: /24 or /48.
    Net,
    /// Nothing.
    Off,
}

/// Where access lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Off,
    /// A file, appended to.
    File(PathBuf),
}

impl From<&str> for Destination {
    fn from(text: &str) -> Self {
        match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            "off" => Self::Off,
            file => Self::File(PathBuf::from(file)),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::Off => f.write_str("off"),
            Self::File(file) => write!(f, "{}", file.display()),
        }
    }
}

/// Whether there are metrics.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// `metrics.enabled`.
    pub enabled: bool,
}

impl Settings {
    /// Fills the settings from one value per path.
    ///
    /// # Errors
    /// A value that does not fit its field: the registry and this module disagree.
    pub fn from_values<'a>(
        values: impl Iterator<Item = (&'a str, &'a toml::Value)>,
    ) -> Result<Self, toml::de::Error> {
        let mut table = toml::Table::new();
        for (path, value) in values {
            insert(&mut table, path, value.clone())?;
        }
        table.try_into()
    }
}

fn insert(table: &mut toml::Table, path: &str, value: toml::Value) -> Result<(), toml::de::Error> {
    let Some((head, tail)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return Ok(());
    };
    let below = table.entry(head).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    match below {
        toml::Value::Table(below) => insert(below, tail, value),
        _ => Err(toml::de::Error::custom(format!("{head} is a key and a section"))),
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(SecretString::from(text)))
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    Url::parse(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}
