//! What an operator says about version control.

use std::{fmt, sync::Arc};

use gomod::{
    ModulePath, Version,
    govcs::{Govcs, Visibility},
    pattern::Patterns,
};
use policy::Private;
use url::{Host, Url};
use vcs::{Credential, ObjectId, Protocols, RemoteUrl};

use crate::Limits;

/// What an operator says about version control. The default is that of the `go` command.
#[derive(Clone, Default)]
pub struct Settings {
    /// Which version control may be used for which path. Only git is ever run.
    pub govcs: Govcs,
    /// What counts as private for GOVCS, and is never said to be absent without proof.
    pub private: Private,
    /// GOINSECURE: paths whose repositories may be fetched over plain HTTP.
    pub insecure: Patterns,
    /// Protocols that are allowed for every path, besides https and ssh.
    pub protocols: Protocols,
    /// Repositories that are told, not found; the longest prefix wins.
    pub overrides: Vec<Override>,
    /// Who larder is, where.
    pub credentials: Credentials,
    /// The value of our `Via` header, for proxies that a go-import tag names.
    pub via: Arc<str>,
    /// How long those proxies may take.
    pub limits: Limits,
    /// Deflated blobs kept in memory, in bytes. `None`: 64 MiB.
    pub packed_bytes: Option<u64>,
    /// Zips built at once. 0 counts as 1.
    pub builds: usize,
    /// Whether a module that asks for a newer Go than [`KNOWN_GO`](super::KNOWN_GO) is refused.
    pub refuse_newer: bool,
    /// Told of every version whose tag has moved, once.
    pub on_drift: Option<OnDrift>,
}

/// Without the credentials.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("protocols", &self.protocols)
            .field("overrides", &self.overrides)
            .field("builds", &self.builds)
            .finish_non_exhaustive()
    }
}

/// Told of a moved tag: counts it, writes it into the facts.
pub type OnDrift = Arc<dyn Fn(&Drift) + Send + Sync>;

/// A tag that no longer names the commit that its version was served from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The module.
    pub path: ModulePath,
    /// The version that stays what it was.
    pub version: Version,
    /// The commit that it was served from.
    pub pinned: ObjectId,
    /// What its tag names now, `None` when the tag is gone.
    pub now: Option<ObjectId>,
}

/// The repository of all paths below a prefix, by the operator's word.
#[derive(Clone)]
pub struct Override {
    /// Elements of module paths, such as `corp.example/team`.
    pub prefix: String,
    /// Where the repository is.
    pub url: String,
    /// The import path of the repository's root. `None`: the prefix.
    pub root: Option<String>,
    /// The directory in which that root lies, as the fourth field of a go-import tag.
    pub subdir: String,
}

/// Without userinfo of the URL.
impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, root, subdir, .. } = self;
        let mut debug = f.debug_struct("Override");
        debug.field("prefix", prefix).field("root", root).field("subdir", subdir);
        debug.finish_non_exhaustive()
    }
}

/// Finds the override with the longest prefix, by elements; of equal ones the first.
pub(crate) fn overriding<'a>(overrides: &'a [Override], path: &str) -> Option<&'a Override> {
    let matching = overrides.iter().filter(|entry| is_below(path, &entry.prefix));
    matching.rev().max_by_key(|entry| entry.prefix.len())
}

/// One credential and what it is for.
#[derive(Clone)]
pub struct Grant {
    /// Host and path of repository URLs (`git.corp.example/team`), or, with [`host`](Self::host),
    /// elements of module paths.
    pub prefix: String,
    /// The one host that gets it; with it the prefix is one of module paths.
    pub host: Option<String>,
    /// The credential.
    pub credential: Credential,
}

/// Without the credential.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Grant");
        debug.field("prefix", &self.prefix).field("host", &self.host).finish_non_exhaustive()
    }
}

/// Which credential goes to which repository.
///
/// The longest prefix wins, of equal ones the first. A credential goes to its host only, whatever
/// a go-import page says, and never over plain HTTP to another machine. One that is bound to a
/// repository's URL is for private paths only: a public path, which anybody may give a page that
/// leads to that repository, would hand out with our right what its caller may not read.
#[derive(Clone, Default)]
pub struct Credentials(Vec<Grant>);

/// How many there are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.0.len()).finish()
    }
}

impl Credentials {
    /// A table of these.
    #[must_use]
    pub fn new(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// Returns the credential for the repository of a module.
    #[must_use]
    pub fn find(
        &self,
        path: &ModulePath,
        url: &RemoteUrl,
        visibility: Visibility,
    ) -> Option<&Credential> {
        let address = Address::of(url.as_str())?;
        let matching = self.0.iter().filter(|grant| match &grant.host {
            Some(host) => address.is_at(host) && is_below(path.as_str(), &grant.prefix),
            None => {
                visibility == Visibility::Private
                    && (is_below(&address.whole, &grant.prefix) || address.is_at(&grant.prefix))
            }
        });
        let best = matching.rev().max_by_key(|grant| grant.prefix.len())?;
        may_carry(url).then_some(&best.credential)
    }
}

/// Whether a credential may go along: nobody listens between here and there.
fn may_carry(url: &RemoteUrl) -> bool {
    let Ok(url) = Url::parse(url.as_str()) else { return false };
    url.scheme() != "http"
        || match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

/// A URL as prefixes see it.
struct Address {
    /// Host, and the port if it is told.
    authority: String,
    host: String,
    /// Authority and path.
    whole: String,
}

impl Address {
    fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?.to_ascii_lowercase();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let authority = format!("{host}{port}");
        let path = url.path().trim_end_matches('/');
        let whole = format!("{authority}{}", path.strip_suffix(".git").unwrap_or(path));
        Some(Self { authority, host, whole })
    }

    /// A host named without a port is the one at its protocol's own port.
    fn is_at(&self, host: &str) -> bool {
        self.authority == host && (host.contains(':') || self.host == self.authority)
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    let rest = path.strip_prefix(prefix);
    !prefix.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Protocols = Protocols { http: true, file: true };

    fn grant(prefix: &str, host: Option<&str>, name: &str) -> Grant {
        let credential = Credential::Helper(name.to_owned());
        Grant { prefix: prefix.to_owned(), host: host.map(str::to_owned), credential }
    }

    fn table() -> Credentials {
        Credentials::new(vec![
            grant("git.corp.com", None, "host"),
            grant("git.corp.com/team", None, "team"),
            grant("git.corp.com/team", None, "team again"),
            grant("git.corp.com:8443", None, "port"),
            grant("corp.com/x", Some("git.other.com"), "module"),
        ])
    }

    fn found(path: &str, url: &str) -> Option<String> {
        found_as(Visibility::Private, path, url)
    }

    fn found_as(visibility: Visibility, path: &str, url: &str) -> Option<String> {
        let url = RemoteUrl::parse(url, ALL).unwrap();
        match table().find(&ModulePath::parse(path).unwrap(), &url, visibility)? {
            Credential::Helper(name) => Some(name.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_longest_prefix_of_the_repository_s_address_wins() {
        for (url, name) in [
            ("https://git.corp.com/x", Some("host")),
            ("https://git.corp.com/team/x.git", Some("team")),
            ("https://git.corp.com/team.git", Some("team")),
            ("https://git.corp.com/teammate/x", Some("host")),
            ("ssh://git@git.corp.com/team/x", Some("team")),
            ("https://git.corp.com:8443/team/x", Some("port")),
            ("https://git.corp.com:9443/team/x", None),
            ("https://evil.com/git.corp.com/team", None),
            ("https://git.corp.com.evil.com/team", None),
        ] {
            assert_eq!(found("a.b/c", url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn a_public_path_gets_no_credential_of_a_repository_it_happens_to_lead_to() {
        let public = |path, url| found_as(Visibility::Public, path, url);
        assert_eq!(public("evil.com/x", "https://git.corp.com/team/x"), None);
        assert_eq!(public("git.corp.com/Team/x", "https://git.corp.com/team/x"), None);
        // Bound to module paths, which are private unless the operator says `public`.
        assert_eq!(public("corp.com/x/y", "https://git.other.com/z").as_deref(), Some("module"));
    }

    #[test]
    fn a_module_s_credential_goes_to_its_host_only() {
        assert_eq!(found("corp.com/x/y", "https://git.other.com/z").as_deref(), Some("module"));
        assert_eq!(found("corp.com/xy", "https://git.other.com/z"), None);
        // A page of corp.com/x that names another host gets nothing.
        assert_eq!(found("corp.com/x/y", "https://evil.com/z"), None);
    }

    #[test]
    fn nothing_goes_over_plain_http_but_to_this_machine() {
        assert_eq!(found("a.b/c", "http://git.corp.com/team/x"), None);
        let url = |text| RemoteUrl::parse(text, ALL).unwrap();
        for (text, may) in [
            ("http://10.0.0.1/x", false),
            ("http://127.0.0.1:1/x", true),
            ("http://[::1]/x", true),
            ("http://localhost/x", true),
            ("http://localhost.evil.com/x", false),
            ("https://a.b/x", true),
            ("ssh://a.b/x", true),
        ] {
            assert_eq!(may_carry(&url(text)), may, "{text}");
        }
    }

    #[test]
    fn the_longest_prefix_of_the_path_decides_between_overrides() {
        let entry = |prefix: &str, url: &str| Override {
            prefix: prefix.to_owned(),
            url: url.to_owned(),
            root: None,
            subdir: String::new(),
        };
        let all = [
            entry("corp.com", "1"),
            entry("corp.com/a/b", "2"),
            entry("corp.com/a", "3"),
            entry("corp.com/a/", "4"),
            entry("", "5"),
        ];
        for (path, url) in [
            ("corp.com", Some("1")),
            ("corp.com/x", Some("1")),
            ("corp.com/a/b/c", Some("2")),
            ("corp.com/ab", Some("1")),
            ("corp.community/a", None),
        ] {
            let found = overriding(&all, path).map(|entry| entry.url.as_str());
            assert_eq!(found, url, "{path}");
        }
        assert!(!format!("{all:?}").contains("url"));
    }
}
