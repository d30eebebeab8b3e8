//! Which upstreams there are, from which setting, and with which credentials.

use std::{fmt, path::PathBuf};

use gomod::goproxy::{self, Entry, List, Separator};
use outbound::Credential;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

use super::{
    gosettings::GoSettings,
    netrc::Netrc,
    own::{Own, is_below},
    problem::{Problem, mask_userinfo},
    settings::UpstreamSource,
    source::Source,
};

/// One place that modules come from.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// What it is.
    pub target: Target,
    /// When the next one is asked.
    pub separator: Separator,
}

/// What an upstream is.
#[derive(Debug, Clone)]
pub enum Target {
    /// A module proxy.
    Proxy(Box<Proxy>),
    /// Version control.
    Direct,
    /// The end: nobody is asked.
    Off,
}

/// A module proxy that larder asks.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its name in logs, metrics and facts: as configured, else host and path.
    pub name: String,
    /// Its URL, without credentials.
    pub url: Url,
    /// Who larder is there.
    pub credential: Option<Credential>,
    /// Further certificate authorities to trust for it.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(proxy) => f.write_str(proxy.url.as_str().trim_end_matches('/')),
            Self::Direct => f.write_str("direct"),
            Self::Off => f.write_str("off"),
        }
    }
}

/// Parses a GOPROXY list.
///
/// # Errors
/// The whole list is wrong when one entry is; credentials in it are masked.
pub fn parse(text: &str) -> Result<List, String> {
    let list = text.parse::<List>();
    let list = list.map_err(|error| format!("{:?}: {error}", mask_userinfo(text)))?;
    let bad = list.0.iter().find_map(|entry| match &entry.target {
        goproxy::Target::Url(url) => {
            Url::parse(url).err().map(|error| format!("{:?}: {error}", mask_userinfo(url)))
        }
        _ => None,
    });
    bad.map_or(Ok(list), Err)
}

/// The list that holds, where it was set, and what was passed over.
#[derive(Debug)]
pub struct Chosen {
    /// What is left of the list.
    pub entries: Vec<Entry>,
    /// Where it was set.
    pub source: Source,
    /// For the person who set what was skipped.
    pub warnings: Vec<String>,
}

/// Takes the strongest list in which something is left when larder itself is skipped.
///
/// # Errors
/// A list of Go's settings that is no GOPROXY list.
pub fn choose(
    configured: Option<(&str, &Source)>,
    go: &GoSettings,
    own: &Own<'_>,
) -> Result<Chosen, Problem> {
    let mut warnings = Vec::new();
    let of_go = go.candidates("GOPROXY").iter().map(|set| (set.value.as_str(), &set.source));
    for (text, source) in configured.into_iter().chain(of_go) {
        let list = parse(text).map_err(|reason| {
            Problem::new(format!("upstream.proxies: {reason}"), source).expected("a GOPROXY list")
        })?;
        let (skipped, entries): (Vec<_>, Vec<_>) =
            list.0.into_iter().partition(|entry| is_own(entry, own));
        warnings.extend(skipped.iter().map(|entry| {
            let shown = mask_userinfo(&entry_text(entry));
            format!("upstream {shown} is larder itself and is skipped ({source})")
        }));
        // `http://localhost:8080,off` means "nothing past larder": nothing is left of it for us.
        let only_off = entries.iter().all(|entry| entry.target == goproxy::Target::Off);
        if skipped.is_empty() || !only_off {
            return Ok(Chosen { entries, source: source.clone(), warnings });
        }
        warnings.push(format!("nothing else is left of {source}: the next settings are taken"));
    }
    warnings.push("no settings of Go's were found that name an upstream: it is direct".to_owned());
    let direct = Entry { target: goproxy::Target::Direct, separator: Separator::Comma };
    Ok(Chosen { entries: vec![direct], source: Source::Default, warnings })
}

fn is_own(entry: &Entry, own: &Own<'_>) -> bool {
    match &entry.target {
        goproxy::Target::Url(url) => Url::parse(url).is_ok_and(|url| own.is(&url)),
        _ => false,
    }
}

fn entry_text(entry: &Entry) -> String {
    match &entry.target {
        goproxy::Target::Url(url) => url.clone(),
        goproxy::Target::Direct => "direct".to_owned(),
        goproxy::Target::Off => "off".to_owned(),
    }
}

/// The list as text, credentials masked.
#[must_use]
pub fn text(entries: &[Entry]) -> String {
    let mut out = String::new();
    let mut before = "";
    for entry in entries {
        out.push_str(before);
        out.push_str(&mask_userinfo(&entry_text(entry)));
        before = match entry.separator {
            Separator::Comma => ",",
            Separator::Pipe => "|",
        };
    }
    out
}

/// What is special about some upstreams: configured tables and netrc.
#[derive(Debug, Clone, Copy)]
pub struct Extras<'a> {
    /// `upstream.source.<name>`.
    pub tables: &'a [(&'a str, &'a UpstreamSource)],
    /// The operator's netrc file.
    pub netrc: &'a Netrc,
}

impl Extras<'_> {
    /// The upstream that an entry means, with its name, credentials and authorities.
    ///
    /// A configured token or user wins over userinfo in the URL, and that over netrc.
    ///
    /// # Errors
    /// Credentials for plain http to another host, which would send them in the clear.
    pub fn dress(&self, entry: &Entry, source: &Source) -> Result<Upstream, Problem> {
        let target = match &entry.target {
            goproxy::Target::Direct => Target::Direct,
            goproxy::Target::Off => Target::Off,
            goproxy::Target::Url(url) => Target::Proxy(Box::new(self.proxy(url, source)?)),
        };
        Ok(Upstream { target, separator: entry.separator })
    }

    fn proxy(&self, text: &str, source: &Source) -> Result<Proxy, Problem> {
        let shown = mask_userinfo(text);
        let bad = |reason: &str| Problem::new(format!("upstream {shown}: {reason}"), source);
        let mut url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        let user = decode(url.username());
        let password = url.password().map(decode);
        // They fail for URLs without a host only, which cannot hold userinfo.
        let (_, _) = (url.set_username(""), url.set_password(None));
        let userinfo = (!user.is_empty() || password.is_some()).then(|| Credential::Basic {
            user,
            password: SecretString::from(password.unwrap_or_default()),
        });
        let table = self.table(&url);
        let said = table.and_then(|(_, table)| credential(table)).or(userinfo);
        if said.is_some() && url.scheme() == "http" && !is_loopback(&url) {
            return Err(bad("credentials are not sent over plain http").expected("an https URL"));
        }
        Ok(Proxy {
            name: table.map_or_else(|| name(&url), |(name, _)| name.to_owned()),
            credential: said.or_else(|| self.netrc(&url)),
            ca_file: table.and_then(|(_, table)| table.ca_file.clone()),
            url,
        })
    }

    /// The table about `url`: the one whose path is the longest.
    fn table(&self, url: &Url) -> Option<(&str, &UpstreamSource)> {
        let about = |(_, table): &&(&str, &UpstreamSource)| {
            table.url.as_ref().is_some_and(|above| is_about(above, url))
        };
        let length = |(_, table): &&(&str, &UpstreamSource)| {
            table.url.as_ref().map_or(0, |above| above.path().len())
        };
        self.tables.iter().filter(about).max_by_key(length).copied()
    }

    /// The `go` command consults netrc for https alone.
    fn netrc(&self, url: &Url) -> Option<Credential> {
        let host = url.host_str().filter(|_| url.scheme() == "https")?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        self.netrc.login(&host).map(|login| Credential::Basic {
            user: login.user.clone(),
            password: login.password.clone(),
        })
    }

    /// A warning for each table that no upstream is about.
    #[must_use]
    pub fn unused(&self, upstreams: &[Upstream]) -> Vec<String> {
        let used = |table: &UpstreamSource| {
            upstreams.iter().any(|upstream| match (&upstream.target, &table.url) {
                (Target::Proxy(proxy), Some(above)) => is_about(above, &proxy.url),
                _ => false,
            })
        };
        let unused = self.tables.iter().filter(|(_, table)| !used(table));
        unused.map(|(name, _)| format!("upstream.source.{name} is about no upstream")).collect()
    }
}

fn is_about(above: &Url, url: &Url) -> bool {
    above.scheme() == url.scheme() && is_below(url, above)
}

fn credential(table: &UpstreamSource) -> Option<Credential> {
    if let Some(token) = &table.token {
        return Some(Credential::Bearer(token.clone()));
    }
    let (user, password) = (table.user.clone()?, table.password.clone()?);
    Some(Credential::Basic { user, password })
}

fn name(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}{path}"),
        (host, _) => format!("{}{path}", host.unwrap_or_default()),
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
