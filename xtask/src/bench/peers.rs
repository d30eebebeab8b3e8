//! The servers that are compared: larder, nginx over the same files, nginx as a cache, others by command.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::process::{Server, free_port, on_core};
use super::{Bench, SERVER_CORE};

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    Larder,
    /// larder with `store.fsync = false`.
    LarderUnsynced,
    /// larder that confirms everything against the checksum database with this key.
    LarderRequire(String),
    /// Static files of the corpus.
    Nginx,
    /// `proxy_cache` with `proxy_cache_lock` over the upstream.
    NginxCache,
    /// NAME and COMMAND.
    Other(String, String),
}

impl Peer {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Larder => "larder",
            Self::LarderUnsynced => "larder without fsync",
            Self::LarderRequire(_) => "larder, require",
            Self::Nginx => "nginx",
            Self::NginxCache => "nginx-cache",
            Self::Other(name, _) => name,
        }
    }
}

/// Is the server reached by TLS?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Plain,
    Tls,
}

impl Bench {
    /// nginx, larder and the peers of the command line.
    pub(crate) fn with_others(&self, mut peers: Vec<Peer>) -> Vec<Peer> {
        peers.extend(self.options.peers.iter().filter_map(|peer| {
            let (name, command) = peer.split_once('=')?;
            Some(Peer::Other(name.to_owned(), command.to_owned()))
        }));
        peers
    }

    fn folder(&self, peer: &Peer) -> anyhow::Result<PathBuf> {
        let folder = self.work.join(peer.name().replace(' ', "-"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Starts a peer with an empty store.
    pub(crate) fn start(&self, peer: &Peer, scheme: Scheme) -> anyhow::Result<Server> {
        let folder = self.folder(peer)?;
        self.start_over(peer, scheme, &folder)
    }

    /// Starts a peer over what `folder` holds.
    pub(crate) fn start_over(
        &self,
        peer: &Peer,
        scheme: Scheme,
        folder: &Path,
    ) -> anyhow::Result<Server> {
        let port = free_port()?;
        let log = folder.join("output.log");
        let command = match peer {
            Peer::Larder | Peer::LarderUnsynced | Peer::LarderRequire(_) => {
                self.larder_command(peer, scheme, folder, port)?
            }
            Peer::Nginx | Peer::NginxCache => self.nginx_command(peer, scheme, folder, port)?,
            Peer::Other(_, command) => {
                let mut shell = on_core(SERVER_CORE, "/bin/sh");
                shell.arg("-c").arg(command);
                shell.env("LISTEN", format!("127.0.0.1:{port}")).env("DATA", folder.join("data"));
                shell.env("UPSTREAM", self.fixture.url());
                shell
            }
        };
        Server::start(peer.name(), command, port, &log)
    }

    /// larder as shipped: access log to a file, metrics on.
    fn larder_command(
        &self,
        peer: &Peer,
        scheme: Scheme,
        folder: &Path,
        port: u16,
    ) -> anyhow::Result<Command> {
        let mut command = on_core(SERVER_CORE, &self.larder);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.arg("serve").arg("--listen").arg(format!("127.0.0.1:{port}"));
        command.arg("--data").arg(folder.join("data"));
        command.env("GOENV", "off").env("GOPROXY", self.fixture.url()).env("GOSUMDB", "off");
        command.env("LARDER_LOG_ACCESS", folder.join("access.log"));
        // One server core in every table: pinned from outside, so larder must not think that it has more.
        command.env("LARDER_SERVER_CORES", "1");
        if *peer == Peer::LarderUnsynced {
            command.env("LARDER_STORE_FSYNC", "false");
        }
        if let Peer::LarderRequire(key) = peer {
            command.env("LARDER_SUMDB_DATABASES", key);
        }
        if scheme == Scheme::Tls {
            let (certificate, key) = self.certificate()?;
            command.env("LARDER_SERVER_TLS_CERT_FILE", certificate);
            command.env("LARDER_SERVER_TLS_KEY_FILE", key);
        }
        Ok(command)
    }

    fn nginx_command(
        &self,
        peer: &Peer,
        scheme: Scheme,
        folder: &Path,
        port: u16,
    ) -> anyhow::Result<Command> {
        let config = folder.join("nginx.conf");
        fs::write(&config, self.nginx_config(peer, scheme, folder, port)?)?;
        let mut command = on_core(SERVER_CORE, "nginx");
        command.arg("-p").arg(folder).arg("-c").arg(&config).args(["-g", "daemon off;"]);
        Ok(command)
    }

    fn nginx_config(
        &self,
        peer: &Peer,
        scheme: Scheme,
        folder: &Path,
        port: u16,
    ) -> anyhow::Result<String> {
        let mut text = String::from("worker_processes 1;\nuser root;\npid nginx.pid;\n");
        text.push_str("events { worker_connections 4096; }\nhttp {\n");
        text.push_str("sendfile on; tcp_nopush on; keepalive_requests 100000000;\n");
        text.push_str("open_file_cache max=20000 inactive=1h; open_file_cache_valid 1h;\n");
        text.push_str("access_log access.log; error_log error.log;\ndefault_type text/plain;\n");
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(text, "{kind}_temp_path {kind};")?;
        }
        if *peer == Peer::NginxCache {
            text.push_str("proxy_cache_path cache keys_zone=c:32m max_size=20g levels=1:2;\n");
        }
        let listen = match scheme {
            Scheme::Plain => format!("listen 127.0.0.1:{port} backlog=4096;"),
            Scheme::Tls => {
                let (certificate, key) = self.certificate()?;
                format!(
                    "listen 127.0.0.1:{port} ssl backlog=4096;\nssl_certificate {};\nssl_certificate_key {};\n\
                     ssl_protocols TLSv1.3; ssl_buffer_size 16k; ssl_session_cache shared:s:10m;",
                    certificate.display(),
                    key.display()
                )
            }
        };
        let location = if *peer == Peer::NginxCache {
            format!(
                "proxy_pass {}; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_cache c;\n\
                 proxy_cache_valid 200 1h; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_cache_lock_age 60s;",
                self.fixture.url()
            )
        } else {
            format!("root {};", self.corpus.root().display())
        };
        write!(text, "server {{ {listen}\nlocation / {{ {location} }} }}\n}}\n")?;
        let _ = folder;
        Ok(text)
    }

    /// A self-signed certificate for 127.0.0.1 (P-256), made once.
    fn certificate(&self) -> anyhow::Result<(PathBuf, PathBuf)> {
        let (certificate, key) = (self.work.join("tls.pem"), self.work.join("tls.key"));
        if certificate.exists() && key.exists() {
            return Ok((certificate, key));
        }
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status()
            .context("openssl is needed")?;
        if !made.success() {
            bail!("openssl made no certificate");
        }
        Ok((certificate, key))
    }
}
