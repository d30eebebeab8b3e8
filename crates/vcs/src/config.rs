//! The `vcs.` keys, and what the wiring hands in beside them.

use std::{ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use units::{ByteSize, Span};

use crate::Protocols;

/// Keys below `vcs.`: how repositories are fetched and how much of them is borne.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The git program, a name on PATH or an absolute path. Default `git`. Without it, `direct`
    /// counts as absent.
    pub program: PathBuf,
    /// Disk for all mirrors together; beyond it, those unused for longest are removed, and fetched
    /// again when they are asked for. Default `20GiB`.
    pub quota: ByteSize,
    /// Protocols beside `https` and `ssh`: `http`, `file`. Default: none.
    pub protocols: Vec<ExtraProtocol>,
    /// Ports beside a protocol's own (443, 22) at which hosts named by others are asked. Default:
    /// none. Hosts that the operator names are asked at any port.
    pub ports: Vec<u16>,
    /// The longest wait for the list of a remote's refs. Default `1m`.
    pub refs_timeout: Span,
    /// The longest duration of one fetch. Default `15m`.
    pub fetch_timeout: Span,
    /// The longest silence of a remote in a fetch over http. Default `2m`.
    pub idle_timeout: Span,
    /// Most fetches at one time from one host. Default 4.
    pub fetches_per_host: u32,
    /// A mirror holds commits and folders at first, and files as they are wanted. One whose commits
    /// and folders take no more disk than this is fetched whole when its first file is wanted;
    /// larger ones are when they are wanted often. Default `16MiB`.
    pub whole_below: ByteSize,
    /// How often files of a larger repository have to be fetched until it is fetched whole, in the
    /// background. Default 4.
    pub whole_after: u32,
    /// Most refs of a repository. Default 1000000; more is an error.
    pub max_refs: u32,
    /// Longest list of refs. Default `64MiB`.
    pub max_refs_size: ByteSize,
    /// Most that one fetch may add to the disk. Default `4GiB`.
    pub max_fetch_size: ByteSize,
    /// Most memory of one git process. Default `2GiB`. Also bounds what larder itself can be made
    /// to inflate by a crafted pack.
    pub max_process_memory: ByteSize,
    /// Most commits of a repository. Default 2000000. About 50 bytes of memory each while a
    /// repository is in use.
    pub max_commits: u32,
    /// Most entries of a tree, all folders counted. Default 1000000.
    pub max_tree_entries: u32,
    /// Deepest folder. Default 256.
    pub max_tree_depth: u32,
    /// Longest path. Default `4KiB`.
    pub max_path_size: ByteSize,
    /// Largest file. Default `500MiB`.
    pub max_file_size: ByteSize,
    /// Sum of all files below the folder that is asked for, nested modules and vendored code among
    /// them. Default `4GiB`. How large a module may be is decided where its files are chosen.
    pub max_tree_size: ByteSize,
    /// For tests only: `FROM=TO` pairs; a URL that begins with FROM is fetched from TO instead, on
    /// the operator's word and by any protocol. The longest FROM counts. Default: none.
    pub rewrite: Vec<Rewrite>,
}

impl Default for Config {
    fn default() -> Self {
        let minutes = |n| Span(Duration::from_mins(n));
        Self {
            program: PathBuf::from("git"),
            quota: ByteSize(20 << 30),
            protocols: Vec::new(),
            ports: Vec::new(),
            refs_timeout: minutes(1),
            fetch_timeout: minutes(15),
            idle_timeout: minutes(2),
            fetches_per_host: 4,
            whole_below: ByteSize(16 << 20),
            whole_after: 4,
            max_refs: 1_000_000,
            max_refs_size: ByteSize(64 << 20),
            max_fetch_size: ByteSize(4 << 30),
            max_process_memory: ByteSize(2 << 30),
            max_commits: 2_000_000,
            max_tree_entries: 1_000_000,
            max_tree_depth: 256,
            max_path_size: ByteSize(4 << 10),
            max_file_size: ByteSize(500 << 20),
            max_tree_size: ByteSize(4 << 30),
            rewrite: Vec::new(),
        }
    }
}

impl Config {
    /// What [`RemoteUrl::parse`](crate::RemoteUrl::parse) is to be told.
    #[must_use]
    pub fn protocols(&self) -> Protocols {
        Protocols {
            http: self.protocols.contains(&ExtraProtocol::Http),
            file: self.protocols.contains(&ExtraProtocol::File),
        }
    }
}

/// A protocol that is spoken only when the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraProtocol {
    /// Without TLS.
    Http,
    /// Folders of this machine.
    File,
}

/// A test's replacement of a URL's beginning, written `FROM=TO`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rewrite {
    pub(crate) from: String,
    pub(crate) to: String,
}

impl FromStr for Rewrite {
    type Err = RewriteError;

    fn from_str(text: &str) -> Result<Self, RewriteError> {
        match text.split_once('=') {
            Some((from, to)) if from.contains("://") && to.contains("://") => {
                Ok(Self { from: from.to_owned(), to: to.to_owned() })
            }
            _ => Err(RewriteError),
        }
    }
}

impl TryFrom<String> for Rewrite {
    type Error = RewriteError;

    fn try_from(text: String) -> Result<Self, RewriteError> {
        text.parse()
    }
}

/// The text is no pair of URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected two URLs as FROM=TO")]
pub struct RewriteError;

/// What the wiring knows: files, and ways out of this machine.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Where mirrors are kept; made if absent. Everything in it may be removed while larder is down.
    pub folder: PathBuf,
    /// PATH for git and what it starts (`ssh`). Default: the usual folders of a system.
    pub path: Option<OsString>,
    /// PEM file with all certificates to trust, in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The way out.
    pub egress: Egress,
    /// Bytes that stay free on the disk of the folder, as in `store.min_free`: below it nothing is
    /// fetched, and what is being fetched is stopped. Default: 0, none.
    pub min_free: u64,
}

impl Place {
    /// A place with nothing special but its folder.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }
}

/// The HTTP proxy to go through, as `HTTPS_PROXY` and `NO_PROXY` name it. Default: none.
///
/// Only `https` remotes go through it. A name is then resolved by that proxy, which also has to
/// judge its address; addresses in URLs are still judged here.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    /// `http://[user:password@]host:port`; without a scheme: `http`. Proxies that want TLS
    /// themselves are not spoken to.
    pub https: Option<SecretString>,
    /// Hosts, domains and networks that are reached directly, separated by commas; `*` is all.
    pub no: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{Config, Rewrite};

    #[test]
    fn keys_are_read_as_text_with_units() {
        let text = r#"
            quota = "1GiB"
            protocols = ["http", "file"]
            fetch_timeout = "5m"
            rewrite = ["https://example.com/=file:///srv/"]
        "#;
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.quota.0, 1 << 30);
        assert!(config.protocols().http && config.protocols().file);
        assert_eq!(config.rewrite[0].to, "file:///srv/");
        assert_eq!(config.max_refs, Config::default().max_refs);
    }

    #[test]
    fn unknown_keys_and_broken_pairs_are_refused() {
        assert!(toml::from_str::<Config>("quotas = \"1GiB\"").is_err());
        assert!(toml::from_str::<Config>("protocols = [\"ext\"]").is_err());
        assert!("https://example.com".parse::<Rewrite>().is_err());
    }
}
