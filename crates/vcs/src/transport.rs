//! One conversation with a remote: address, credential, limits and way out made ready for git.

use std::net::IpAddr;

use policy::address::Word;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Error, Protocols, Remote, RemoteUrl,
    address::{Undialled, resolve},
    command::Git,
    config::Egress,
    credential::{authorization, basic, ssh_command},
    door::{Door, Hop, Rules},
    failure,
    git::Inner,
    remote::{Scheme, decode},
    run::Finished,
};

/// What one run needs to speak to its remote.
#[derive(Debug)]
pub(crate) struct Line {
    /// As git is to dial it, rewritten where a test says so.
    url: RemoteUrl,
    config: Vec<(String, String)>,
    ssh: Option<String>,
    door: Option<Door>,
    secrets: Vec<SecretString>,
}

/// A run that failed by itself.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Without trace and secrets.
    pub(crate) said: String,
    pub(crate) error: Error,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { said: String::new(), error }
    }
}

impl Line {
    pub(crate) async fn open(git: &Inner, remote: &Remote) -> Result<Self, Error> {
        let (url, word) = rewritten(git, remote)?;
        let mut line = Self { url, config: Vec::new(), ssh: None, door: None, secrets: Vec::new() };
        let shown = authorization(&line.url, remote.credential.as_ref()).await?;
        let bound = shown.is_some();
        if let Some(header) = shown {
            // Below the host's own URL, so that git shows it nowhere else.
            let key = format!("http.{}.extraHeader", line.url.origin());
            line.set(&key, &format!("Authorization: {}", header.expose_secret()));
            line.secrets.push(header);
        }
        match line.url.scheme() {
            Scheme::Https => line.through_door(git, word, bound).await?,
            Scheme::Http => line.pinned(word).await?,
            Scheme::Ssh => line.by_ssh(git, remote, word).await?,
            Scheme::File => {}
        }
        Ok(line)
    }

    async fn through_door(&mut self, git: &Inner, word: Word, bound: bool) -> Result<(), Error> {
        let rules = Rules {
            host: self.url.host().to_owned(),
            port: self.url.port(),
            word,
            bound,
            ports: git.config.ports.clone(),
            egress: hop(&git.place.egress, &self.url)?,
        };
        let door = Door::open(rules)
            .await
            .map_err(|error| Error::mirror(&self.url, format!("no loopback port: {error}")))?;
        self.set("http.proxy", door.url().expose_secret());
        self.set("http.proxyAuthMethod", "basic");
        self.set("http.followRedirects", "initial");
        if let Some(bundle) = git.place.ca_bundle.as_ref().and_then(|path| path.to_str()) {
            self.set("http.sslCAInfo", bundle);
        }
        self.secrets.push(door.password().clone());
        self.door = Some(door);
        Ok(())
    }

    /// Plain http: no proxy of ours could look into a redirect, so none is followed.
    async fn pinned(&mut self, word: Word) -> Result<(), Error> {
        let (host, port) = (self.url.host().to_owned(), self.url.port());
        let addresses = resolve(&host, port, word).await.map_err(|why| self.undialled(&why))?;
        self.set("http.proxy", "");
        self.set("http.followRedirects", "false");
        if host.parse::<IpAddr>().is_err() {
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            self.set("http.curloptResolve", &format!("{host}:{port}:{}", ips.join(",")));
        }
        Ok(())
    }

    async fn by_ssh(&mut self, git: &Inner, remote: &Remote, word: Word) -> Result<(), Error> {
        let (host, port) = (self.url.host().to_owned(), self.url.port());
        if word == Word::Discovered && port != 22 && !git.config.ports.contains(&port) {
            return Err(Error::forbidden(&self.url, format!("port {port} is not allowed")));
        }
        let addresses = resolve(&host, port, word).await.map_err(|why| self.undialled(&why))?;
        let Some(address) = addresses.first() else { return Ok(()) };
        self.ssh = Some(ssh_command(&self.url, address.ip(), remote.credential.as_ref())?);
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) {
        self.config.push((key.to_owned(), value.to_owned()));
    }

    fn undialled(&self, why: &Undialled) -> Error {
        match why {
            Undialled::Forbidden(reason) => Error::forbidden(&self.url, reason),
            Undialled::Unresolved(reason) => Error::unavailable(&self.url, reason),
        }
    }

    /// Runs git over this line; its remote is called `origin`. `url` is what errors name.
    pub(crate) async fn run(&self, mut git: Git, url: &RemoteUrl) -> Result<Finished, Failed> {
        git.variable("GIT_ALLOW_PROTOCOL", self.url.scheme().name());
        git.set("protocol.allow", "never");
        git.set(&format!("protocol.{}.allow", self.url.scheme().name()), "always");
        git.set("remote.origin.url", &self.url.dialled());
        for (key, value) in &self.config {
            git.set(key, value);
        }
        if let Some(ssh) = &self.ssh {
            git.variable("GIT_SSH_COMMAND", ssh);
        }
        let run = git.into_run().finish();
        let done = match &self.door {
            Some(door) => tokio::select! {
                done = run => done,
                never = door.serve() => match never {},
            },
            None => run.await,
        };
        let mut done = done.map_err(|stopped| Failed::from(failure::stopped(url, &stopped)))?;
        if done.status.success() {
            return Ok(done);
        }
        done.stderr = failure::redact(&done.stderr, &self.secrets);
        let error = match self.door.as_ref().and_then(Door::trouble) {
            Some(Undialled::Forbidden(reason)) => Error::forbidden(url, reason),
            Some(Undialled::Unresolved(reason)) => Error::unavailable(url, reason),
            None => failure::error(url, &done.stderr),
        };
        Err(Failed { said: done.stderr, error })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.url.scheme()
    }
}

/// The protocol by which a remote is reached in the end.
pub(crate) fn scheme(git: &Inner, remote: &Remote) -> Result<Scheme, Error> {
    rewritten(git, remote).map(|(url, _)| url.scheme())
}

/// What a test wants fetched instead. A rewritten URL is the operator's own word.
pub(crate) fn rewritten(git: &Inner, remote: &Remote) -> Result<(RemoteUrl, Word), Error> {
    let text = remote.url.as_str();
    let rules = git.config.rewrite.iter().filter(|rule| text.starts_with(&rule.from));
    let Some(rule) = rules.max_by_key(|rule| rule.from.len()) else {
        return Ok((remote.url.clone(), remote.word));
    };
    let rest = text.strip_prefix(&rule.from).unwrap_or_default();
    let to = format!("{}{rest}", rule.to);
    Ok((RemoteUrl::parse(&to, Protocols { http: true, file: true })?, Word::Operator))
}

/// The operator's proxy, read as Go reads `HTTPS_PROXY`.
fn hop(egress: &Egress, remote: &RemoteUrl) -> Result<Option<Hop>, Error> {
    let Some(proxy) = &egress.https else { return Ok(None) };
    let text = proxy.expose_secret();
    if text.is_empty() {
        return Ok(None);
    }
    let broken = || Error::mirror(remote, "the HTTPS proxy is no http://host:port");
    let rest = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some(_) => return Err(broken()),
        None => text,
    };
    let rest = rest.trim_end_matches('/');
    let (userinfo, host_and_port) = match rest.rsplit_once('@') {
        Some((userinfo, rest)) => (Some(userinfo), rest),
        None => (None, rest),
    };
    // The grammar of hosts and ports is the one of remotes.
    let url = format!("http://{host_and_port}");
    let url = RemoteUrl::parse(&url, Protocols { http: true, file: false });
    let url = url.map_err(|_error| broken())?;
    let authorization = userinfo.map(|userinfo| {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let plain = |text: &str| decode(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = |text: &str| plain(text).unwrap_or_else(|| text.to_owned());
        basic(&plain(user), &plain(password))
    });
    Ok(Some(Hop {
        host: url.host().to_owned(),
        port: url.port(),
        authorization,
        no_proxy: egress.no.clone().unwrap_or_default(),
    }))
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
