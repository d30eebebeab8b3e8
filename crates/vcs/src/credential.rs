//! From a credential to the header that shows it, or to the command line of ssh.

use std::{net::IpAddr, path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Credential, Error, RemoteUrl,
    blocking::blocking,
    remote::Scheme,
    run::{Limits, Run},
};

/// Largest netrc file.
pub(crate) const MAX_NETRC_BYTES: u64 = 1 << 20;
/// Longest answer of a credential helper, and the longest wait for it.
const MAX_HELPER_BYTES: u64 = 64 << 10;
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the value of `Authorization` for a URL; none where there is nothing to show.
///
/// Reads a netrc file or runs a helper each time. Cancel safe: a helper is killed.
///
/// # Errors
///
/// `Forbidden` for a credential of another protocol and for one that no header can hold, `Mirror`
/// for a file that cannot be read and a helper that fails.
pub async fn authorization(
    url: &RemoteUrl,
    credential: Option<&Credential>,
) -> Result<Option<SecretString>, Error> {
    let Some(credential) = credential else { return Ok(None) };
    let header = match (url.scheme(), credential) {
        (Scheme::Https | Scheme::Http, Credential::Header(value)) => Some(value.clone()),
        (Scheme::Https | Scheme::Http, Credential::Basic { user, password }) => {
            Some(basic(user, password.expose_secret()))
        }
        (Scheme::Https | Scheme::Http, Credential::Netrc(file)) => netrc(url, file).await?,
        (Scheme::Https | Scheme::Http, Credential::Helper(command)) => ask(url, command).await?,
        // A local folder has no host that would ask.
        (Scheme::File, _) | (Scheme::Ssh, Credential::Ssh { .. }) => None,
        (Scheme::Https | Scheme::Http, Credential::Ssh { .. }) => {
            return Err(Error::forbidden(url, "its credential is a key of ssh"));
        }
        (Scheme::Ssh, _) => {
            return Err(Error::forbidden(url, "its credential is none of ssh"));
        }
    };
    match header {
        Some(value) if value.expose_secret().contains(char::is_control) => {
            Err(Error::forbidden(url, "its credential holds a control character"))
        }
        header => Ok(header),
    }
}

pub(crate) fn basic(user: &str, password: &str) -> SecretString {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    SecretString::from(format!("Basic {encoded}"))
}

async fn netrc(url: &RemoteUrl, file: &Path) -> Result<Option<SecretString>, Error> {
    let (url, file) = (url.clone(), file.to_owned());
    blocking(move || {
        let failed = |why: String| Error::mirror(&url, format!("{}: {why}", file.display()));
        let size = std::fs::metadata(&file).map_err(|error| failed(error.to_string()))?.len();
        if size > MAX_NETRC_BYTES {
            return Err(failed("it is no netrc file: too large".to_owned()));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        Ok(in_netrc(&text, url.host()).map(|(user, password)| basic(&user, &password)))
    })
    .await
}

/// Login and password of a host, or of `default`. Source: netrc(5); `macdef` runs to an empty line.
fn in_netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut tokens = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        let words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        for word in words {
            if word == "macdef" {
                in_macro = true;
                break;
            }
            tokens.push(word);
        }
    }
    let (mut here, mut login, mut password) = (false, None, None);
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            "machine" | "default" if here && password.is_some() => break,
            "machine" => {
                login = None;
                here = tokens.next().is_some_and(|name| name.eq_ignore_ascii_case(host));
            }
            "default" => (here, login) = (true, None),
            "login" | "user" if here => login = tokens.next(),
            "password" if here => password = tokens.next(),
            "account" | "login" | "user" | "password" => drop(tokens.next()),
            _ => {}
        }
    }
    Some((login.unwrap_or_default().to_owned(), password?.to_owned()))
}

/// Asks a helper for this host only. Source: git-credential(1), gitcredentials(7).
async fn ask(url: &RemoteUrl, command: &str) -> Result<Option<SecretString>, Error> {
    let mut words = command.split_ascii_whitespace();
    let Some(program) = words.next() else { return Ok(None) };
    let host = match (url.port() == url.scheme().port(), url.host()) {
        (true, host) => host.to_owned(),
        (false, host) => format!("{host}:{}", url.port()),
    };
    let path = url.path().trim_start_matches('/');
    let question = format!("protocol={}\nhost={host}\npath={path}\n\n", url.scheme().name());
    let run = Run {
        program: program.into(),
        args: words.chain(["get"]).map(Into::into).collect(),
        // The operator's own program finds its own settings.
        env: None,
        folder: "/".into(),
        stdin: question.into_bytes(),
        output: None,
        limits: Limits {
            time: HELPER_TIMEOUT,
            stdout: MAX_HELPER_BYTES,
            memory: u64::MAX,
            disk: None,
        },
    };
    let failed = |why: &str| Error::mirror(url, format!("the credential helper {program} {why}"));
    let done = run.finish().await.map_err(|stopped| failed(&stopped.to_string()))?;
    if !done.status.success() {
        return Err(failed("failed"));
    }
    let answer = String::from_utf8(done.stdout).map_err(|_error| failed("answers no text"))?;
    Ok(in_answer(&answer).map(|(user, password)| basic(&user, &password)))
}

fn in_answer(answer: &str) -> Option<(String, String)> {
    let value = |name: &str| {
        answer
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
    };
    Some((value("username").unwrap_or_default(), value("password")?))
}

/// `GIT_SSH_COMMAND`: one key, one list of hosts, one address; nothing of the user's own settings.
///
/// git hands it to a shell, so every value is either made of harmless characters or quoted.
pub(crate) fn ssh_command(
    url: &RemoteUrl,
    ip: IpAddr,
    credential: Option<&Credential>,
) -> Result<String, Error> {
    let alias = match url.port() {
        22 => url.host().to_owned(),
        port => format!("[{}]:{port}", url.host()),
    };
    let mut options: Vec<String> = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "CheckHostIP=no",
        "UpdateHostKeys=no",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "ProxyCommand=none",
        "ControlMaster=no",
        "ControlPath=none",
        "ConnectTimeout=10",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
        "LogLevel=ERROR",
    ]
    .map(str::to_owned)
    .into();
    // The vetted address is dialled; the key is still looked up under the host's name.
    options.push(format!("HostName={ip}"));
    options.push(format!("HostKeyAlias={alias}"));
    if let Some(Credential::Ssh { key, known_hosts }) = credential {
        options.push(format!("IdentityFile={}", ssh_path(url, key)?));
        options.push(format!("UserKnownHostsFile={}", ssh_path(url, known_hosts)?));
    } else {
        options.push("IdentityFile=none".to_owned());
        options.push("UserKnownHostsFile=/dev/null".to_owned());
    }
    let quoted: Vec<_> = options.iter().map(|option| format!("-o '{option}'")).collect();
    Ok(format!("ssh -F /dev/null {}", quoted.join(" ")))
}

/// A path as ssh's options want it: in double quotes, nothing in it that ssh or a shell expands.
fn ssh_path(url: &RemoteUrl, path: &Path) -> Result<String, Error> {
    let text = path.to_str().filter(|text| {
        text.starts_with('/')
            && !text.contains(['"', '\'', '\\', '%', '$'])
            && !text.contains(char::is_control)
    });
    let text = text.ok_or_else(|| {
        Error::forbidden(url, "a file of its credential is not absolute, or has one of \" ' \\ % $")
    })?;
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
