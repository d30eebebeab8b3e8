//! The door of one git process: a CONNECT proxy on the loopback that judges every address.
//!
//! git resolves and dials by itself, and cannot be asked to judge. So it is given a proxy that only
//! it can use (a random password, in its environment), which resolves, judges and connects: what is
//! judged is what is dialled, for redirects too. TLS runs through it end to end.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use policy::address::{Word, is_private};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::address::{Undialled, goes_directly, resolve};

/// Longest request or answer head of a proxy.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Most connections of one git process at one time; it needs one or two.
const MAX_TUNNELS: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may be dialled through a door.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The remote's own host and port.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// On whose word the remote is dialled.
    pub(crate) word: Word,
    /// Whether a credential goes along: then nobody but the remote is dialled, since git shows
    /// its headers to whom it was redirected.
    pub(crate) bound: bool,
    /// Ports beside 443 for hosts that others name.
    pub(crate) ports: Vec<u16>,
    pub(crate) egress: Option<Hop>,
}

/// The operator's HTTP proxy.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `Proxy-Authorization`.
    pub(crate) authorization: Option<SecretString>,
    pub(crate) no_proxy: String,
}

/// An open door; it serves while [`serve`](Self::serve) is polled.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    password: SecretString,
    rules: Rules,
    /// Whether the remote itself was found at a private address.
    inside: Mutex<bool>,
    trouble: Arc<Mutex<Option<Undialled>>>,
}

impl Door {
    pub(crate) async fn open(rules: Rules) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut password = String::with_capacity(32);
        for byte in rand::random::<[u8; 16]>() {
            let _ = write!(password, "{byte:02x}");
        }
        let password = SecretString::from(password);
        Ok(Self {
            listener,
            address,
            password,
            rules,
            inside: Mutex::new(false),
            trouble: Arc::default(),
        })
    }

    /// The value of `http.proxy`.
    pub(crate) fn url(&self) -> SecretString {
        SecretString::from(format!("http://git:{}@{}", self.password.expose_secret(), self.address))
    }

    pub(crate) fn password(&self) -> &SecretString {
        &self.password
    }

    /// What the last connection failed of, if one did.
    pub(crate) fn trouble(&self) -> Option<Undialled> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until dropped; all tunnels end with it.
    pub(crate) async fn serve(&self) -> std::convert::Infallible {
        let mut tunnels = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if tunnels.len() < MAX_TUNNELS => {
                    match accepted {
                        Ok((stream, _)) => tunnels.push(self.tunnel(stream)),
                        // Out of files, as a rule: a pause lets others give some back.
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
                _ = tunnels.next(), if !tunnels.is_empty() => {}
            }
        }
    }

    async fn tunnel(&self, mut git: TcpStream) {
        let head = tokio::time::timeout(HEAD_TIMEOUT, read_head(&mut git));
        let Ok(Some(head)) = head.await else { return };
        let answer = match self.admit(&head) {
            Ok((host, port)) => match self.dial(&host, port).await {
                Ok(mut far) => {
                    if git.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.is_ok() {
                        // How a connection ends is between git and the host.
                        let _ = tokio::io::copy_bidirectional(&mut git, &mut far).await;
                    }
                    return;
                }
                Err(undialled) => {
                    let status = match undialled {
                        Undialled::Forbidden(_) => "403 Forbidden",
                        Undialled::Unresolved(_) => "502 Bad Gateway",
                    };
                    *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(undialled);
                    status
                }
            },
            Err(status) => status,
        };
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = git.write_all(answer.as_bytes()).await;
    }

    /// Host and port of a request that may pass, or the status that refuses it.
    fn admit(&self, head: &str) -> Result<(String, u16), &'static str> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (words.next(), words.next());
        let expected = BASE64_STANDARD.encode(format!("git:{}", self.password.expose_secret()));
        let known = lines.any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("proxy-authorization")
                    && value.trim().strip_prefix("Basic ") == Some(expected.as_str())
            })
        });
        if !known {
            return Err("407 Proxy Authentication Required");
        }
        // Anything but CONNECT would be plain http.
        let target =
            target.filter(|_| method == Some("CONNECT")).ok_or("405 Method Not Allowed")?;
        let (host, port) = target.rsplit_once(':').ok_or("400 Bad Request")?;
        let port = port.parse().map_err(|_error| "400 Bad Request")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok((host.to_ascii_lowercase(), port))
    }

    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, Undialled> {
        let word = self.word_for(host, port)?;
        if word == Word::Discovered && port != 443 && !self.rules.ports.contains(&port) {
            return Err(Undialled::Forbidden(format!("port {port} of {host} is not allowed")));
        }
        if let Some(hop) = &self.rules.egress
            && !goes_directly(&hop.no_proxy, host)
        {
            return through(hop, host, port, word).await;
        }
        let addresses = resolve(host, port, word).await?;
        let mut last = String::new();
        for address in addresses {
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    if is_private(address.ip()) {
                        *self.inside.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    }
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_late) => "no connection in time".clone_into(&mut last),
            }
        }
        Err(Undialled::Unresolved(format!("{host}: {last}")))
    }

    /// The remote is dialled on its own word. Only a remote in a private range may lead on within
    /// private ranges; what a public one names has to be public.
    fn word_for(&self, host: &str, port: u16) -> Result<Word, Undialled> {
        let Rules { host: own, port: own_port, word, bound, .. } = &self.rules;
        if host == own && port == *own_port {
            return Ok(*word);
        }
        if *bound {
            let reason = format!("it redirects to {host}, which may not see its credentials");
            return Err(Undialled::Forbidden(reason));
        }
        let inside = *self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(if inside { *word } else { Word::Discovered })
    }
}

/// Through the operator's proxy, which resolves; an address in the URL is judged here.
async fn through(hop: &Hop, host: &str, port: u16, word: Word) -> Result<TcpStream, Undialled> {
    if let Ok(ip) = host.parse() {
        policy::address::judge(ip, word)
            .map_err(|refusal| Undialled::Forbidden(refusal.to_string()))?;
    }
    let addresses = resolve(&hop.host, hop.port, Word::Operator).await?;
    let failed = |what: &dyn std::fmt::Display| {
        Undialled::Unresolved(format!("the HTTP proxy {}: {what}", hop.host))
    };
    let connect = async {
        let mut proxy = TcpStream::connect(addresses.as_slice()).await?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &hop.authorization {
            let _ = write!(request, "Proxy-Authorization: {}\r\n", authorization.expose_secret());
        }
        request.push_str("\r\n");
        proxy.write_all(request.as_bytes()).await?;
        let head = read_head(&mut proxy).await.unwrap_or_default();
        Ok::<_, std::io::Error>((proxy, head))
    };
    let connected = tokio::time::timeout(HEAD_TIMEOUT, connect).await;
    let (proxy, head) =
        connected.map_err(|_late| failed(&"no answer in time"))?.map_err(|error| failed(&error))?;
    let status = head.split("\r\n").next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(failed(&format!("answers {}", crate::error::line(status))));
    }
    Ok(proxy)
}

/// Reads to the empty line, byte by byte: what follows belongs to the tunnel.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD_BYTES {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
