//! Where a repository is, and with what right it is fetched.

use std::{fmt, path::PathBuf, sync::Arc};

use policy::address::Word;
use secrecy::SecretString;

use crate::Error;

/// Longest URL that is looked at.
pub const MAX_URL_BYTES: usize = 2048;

/// Where a repository is and with what right it is fetched.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: RemoteUrl,
    /// What is shown to its host, and to no other.
    pub credential: Option<Credential>,
    /// Whose word names this host: a discovered one may not lead into private networks.
    pub word: Word,
}

/// What a host is shown.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `Authorization: <this>`, for `https` and `http`.
    Header(SecretString),
    /// HTTP basic authentication, for `https` and `http`.
    Basic {
        /// The name.
        user: String,
        /// The password or token.
        password: SecretString,
    },
    /// For `ssh`: the only key that is offered, and the only list of hosts that is believed.
    Ssh {
        /// File with the private key; without a passphrase, since nobody can be asked.
        key: PathBuf,
        /// File in the form of `ssh_known_hosts`.
        known_hosts: PathBuf,
    },
    /// A netrc file: the entry of the URL's host, read at each use.
    Netrc(PathBuf),
    /// A program that speaks git's credential protocol (`<command> get`). Cut at blanks into program
    /// and arguments, no shell between. It gets larder's environment.
    Helper(String),
}

impl Credential {
    /// What tells two credentials apart without their secrets: part of a mirror's name.
    pub(crate) fn public_name(&self) -> String {
        match self {
            Self::Header(_) => "header".to_owned(),
            Self::Basic { user, .. } => format!("basic {user}"),
            Self::Ssh { key, .. } => format!("ssh {}", key.display()),
            Self::Netrc(file) => format!("netrc {}", file.display()),
            Self::Helper(command) => format!("helper {command}"),
        }
    }
}

/// Which protocols may be spoken beside `https` and `ssh`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protocols {
    /// Without TLS.
    pub http: bool,
    /// Folders of this machine.
    pub file: bool,
}

/// The protocols of this room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Https,
    Ssh,
    Http,
    File,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::File => "file",
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Ssh => 22,
            Self::Http => 80,
            Self::File => 0,
        }
    }
}

/// A URL that is fit to be handed to git.
///
/// In canonical form: scheme and host in lower case, no default port, no slash at the end. Two
/// spellings of one repository that differ otherwise (`.git` or not) are two remotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    /// Without userinfo.
    text: String,
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: u16,
    path: String,
}

impl RemoteUrl {
    /// Parses `https://host/path`, `ssh://user@host/path` (also `git+ssh`, and `user@host:path`,
    /// which is taken for the absolute path that hosting services mean by it), and `http` and
    /// `file` where `protocols` says so.
    ///
    /// Strict, since the text may be a stranger's: printable ASCII of at most [`MAX_URL_BYTES`];
    /// hosts of letters, digits and inner hyphens; no query, no fragment, no `..`, nothing encoded
    /// that is a control character. Sources: CVE-2017-1000117, CVE-2020-5260, CVE-2024-52006.
    ///
    /// # Errors
    ///
    /// `Forbidden` for everything else, and for a password in the URL.
    pub fn parse(text: &str, protocols: Protocols) -> Result<Self, Error> {
        let parts = parse(text).and_then(|parts| match parts.scheme {
            Scheme::Http if !protocols.http => Err("http is not allowed here"),
            Scheme::File if !protocols.file => Err("file is not allowed here"),
            _ => Ok(parts),
        });
        parts
            .map(|parts| Self(Arc::new(parts)))
            .map_err(|reason| Error::forbidden(&without_userinfo(text), reason))
    }

    /// The URL, without userinfo.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The host in lower case, an IPv6 address without brackets; empty for `file`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    /// `https://host:port/`: where an HTTP credential is valid.
    pub(crate) fn origin(&self) -> String {
        let Parts { scheme, host, port, .. } = &*self.0;
        format!("{}/", authority(*scheme, None, host, *port))
    }

    /// What git is given: with the user, which for ssh is no secret.
    pub(crate) fn dialled(&self) -> String {
        let Parts { scheme, user, host, port, path, .. } = &*self.0;
        format!("{}{path}", authority(*scheme, user.as_deref(), host, *port))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

fn authority(scheme: Scheme, user: Option<&str>, host: &str, port: u16) -> String {
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = if port == scheme.port() { String::new() } else { format!(":{port}") };
    format!("{}://{user}{host}{port}", scheme.name())
}

fn parse(text: &str) -> Result<Parts, &'static str> {
    if text.len() > MAX_URL_BYTES {
        return Err("the URL is too long");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the URL is not printable ASCII");
    }
    let Some((scheme, rest)) = text.split_once("://") else { return parse_scp(text) };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
        "http" => Scheme::Http,
        "file" => Scheme::File,
        _ => return Err("its protocol is not spoken here"),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    build(scheme, authority, path)
}

/// `user@host:path`. Without a user it could be anything (`ext::`, a drive letter).
fn parse_scp(text: &str) -> Result<Parts, &'static str> {
    let Some((authority, path)) = text.split_once(':') else { return Err("it is no URL") };
    if !authority.contains('@') || path.starts_with(':') {
        return Err("it is no URL");
    }
    build(Scheme::Ssh, authority, &format!("/{}", path.trim_start_matches('/')))
}

fn build(scheme: Scheme, authority_text: &str, path: &str) -> Result<Parts, &'static str> {
    let (user, host_and_port) = match authority_text.rsplit_once('@') {
        Some((user, rest)) => (Some(checked_user(scheme, user)?), rest),
        None => (None, authority_text),
    };
    let (host, port) = split_port(host_and_port)?;
    let port = port.unwrap_or(scheme.port());
    let host = match scheme {
        Scheme::File if host.is_empty() || host == "localhost" => String::new(),
        Scheme::File => return Err("a file of another host cannot be fetched"),
        _ => checked_host(host)?,
    };
    let path = checked_path(path)?;
    if scheme == Scheme::File && path.is_empty() {
        return Err("the path is missing");
    }
    let text = format!("{}{path}", authority(scheme, None, &host, port));
    Ok(Parts { text, scheme, user, host, port, path })
}

fn checked_user(scheme: Scheme, user: &str) -> Result<String, &'static str> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if scheme != Scheme::Ssh {
        return Err("names and passwords belong in the configuration, not in the URL");
    }
    if user.contains(':') {
        return Err("passwords belong in the configuration, not in the URL");
    }
    if user.is_empty() || user.starts_with('-') || !user.bytes().all(fine) {
        return Err("the user's name has other characters than letters, digits and . _ -");
    }
    Ok(user.to_owned())
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, _)) if !host.contains(':') => return Err("the host is no host"),
        Some((host, "")) => return Ok((host, None)),
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match text.split_once(':') {
            None | Some((_, "")) => return Ok((text.trim_end_matches(':'), None)),
            Some((host, port)) => (host, Some(port)),
        },
    };
    let digits = port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|port| port.parse().ok()) {
        Some(port) if port != 0 => Ok((host, Some(port))),
        _ => Err("the port is no port"),
    }
}

/// Letters, digits, hyphens inside labels, or an IP address: nothing that a command line, a shell
/// or a configuration file could take for anything but a host.
fn checked_host(host: &str) -> Result<String, &'static str> {
    if host.contains(':') {
        let ip: std::net::Ipv6Addr = host.parse().map_err(|_error| "the host is no host")?;
        return Ok(ip.to_string());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("the host is no host");
    }
    Ok(host.to_ascii_lowercase())
}

fn checked_path(path: &str) -> Result<String, &'static str> {
    let path = path.trim_end_matches('/');
    if path.contains(['?', '#', '\\']) {
        return Err("a query, a fragment or a backslash has no place in it");
    }
    let decoded = decode(path).ok_or("its percent-encoding is broken")?;
    if decoded.iter().any(u8::is_ascii_control) {
        return Err("it hides a control character");
    }
    if decoded.split(|byte| *byte == b'/').any(|part| part == b"." || part == b"..") {
        return Err("it has a dot element");
    }
    Ok(path.to_owned())
}

/// Percent-decodes; `None` for broken escapes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    decoded.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        decoded.extend_from_slice(rest.as_bytes());
    }
    Some(decoded)
}

/// For messages about a text that is no URL: whatever may be a password is left out.
fn without_userinfo(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_URL_BYTES.min(text.len()));
    let text = text.get(..end).unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
