//! Names to addresses, and the guard over them.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use policy::address::{Refusal, Word, is_private, judge};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{
    Error, ProxyEnvironment,
    phase::{Phase, enter},
};

/// Addresses tried for one name; a name with more is cut, not refused.
const MAX_ADDRESSES: usize = 32;
/// Addresses of HTTP proxies that are remembered.
const MAX_PROXY_ADDRESSES: usize = 256;

/// The system's resolver with the guard behind it: an address that may not be dialled is never
/// handed to the connector, so the check and the connection see the same addresses.
pub(crate) struct Guarded {
    pub(crate) word: Word,
    pub(crate) proxies: Arc<Proxies>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let proxies = Arc::clone(&self.proxies);
        // A proxy is the operator's own word, whatever is asked through it.
        let is_proxy = proxies.has_host(name.as_str());
        let word = if is_proxy { Word::Operator } else { self.word };
        Box::pin(async move {
            enter(Phase::Resolve);
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = allowed(found.take(MAX_ADDRESSES), word)?;
            if is_proxy {
                proxies.learn(&allowed);
            }
            enter(Phase::Connect);
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be dialled; an error when there is none.
fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    word: Word,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refusal = None;
    let mut allowed = Vec::new();
    for address in found {
        match judge(address.ip(), word) {
            Ok(()) => allowed.push(address),
            Err(refused) => refusal = Some(refused),
        }
    }
    match refusal {
        Some(refused) if allowed.is_empty() => Err(refused.into()),
        None if allowed.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into())
        }
        _ => Ok(allowed),
    }
}

/// Judges a URL that names an address itself: the resolver is not asked for those. A proxy's name
/// is dialled on the operator's word only, so nobody else may send us there.
pub(crate) fn judge_url(url: &Url, word: Word, proxies: &Proxies) -> Result<(), Refused> {
    match url.host() {
        Some(Host::Ipv4(ip)) => judge(ip.into(), word).map_err(Refused::Address),
        Some(Host::Ipv6(ip)) => judge(ip.into(), word).map_err(Refused::Address),
        Some(Host::Domain(name)) if word == Word::Discovered && proxies.has_host(name) => {
            Err(Refused::Proxy)
        }
        _ => Ok(()),
    }
}

/// On whose word the target of a redirect is dialled. Only a machine in a private range may lead on
/// within private ranges; what a public one names has to be public. A connection that ended at an
/// HTTP proxy says nothing of the machine behind it, which is taken for public.
pub(crate) fn word_behind(word: Word, peer: Option<IpAddr>, proxies: &Proxies) -> Word {
    let inside = peer.is_some_and(|ip| is_private(ip) && !proxies.has_address(ip));
    if inside { word } else { Word::Discovered }
}

/// Why a URL is not dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Address(Refusal),
    #[error("the address of an HTTP proxy may not be asked for by others")]
    Proxy,
}

/// The HTTP proxies of the environment.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    hosts: BTreeSet<String>,
    addresses: Mutex<BTreeSet<IpAddr>>,
}

impl Proxies {
    /// # Errors
    ///
    /// `Config` for a value that is no URL; the value, which may hold a password, is not shown.
    pub(crate) fn new(environment: &ProxyEnvironment) -> Result<Self, Error> {
        let mut proxies = Self::default();
        for value in [&environment.http, &environment.https].into_iter().flatten() {
            let Some(url) = proxy_url(value)? else { continue };
            let addresses = proxies.addresses.get_mut().unwrap_or_else(PoisonError::into_inner);
            match url.host() {
                Some(Host::Domain(name)) => {
                    proxies.hosts.insert(name.to_owned());
                }
                Some(Host::Ipv4(ip)) => {
                    addresses.insert(ip.into());
                }
                Some(Host::Ipv6(ip)) => {
                    addresses.insert(ip.into());
                }
                None => {}
            }
        }
        Ok(proxies)
    }

    fn has_host(&self, name: &str) -> bool {
        self.hosts.contains(name)
    }

    fn learn(&self, found: &[SocketAddr]) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        for address in found {
            if addresses.len() < MAX_PROXY_ADDRESSES {
                addresses.insert(address.ip());
            }
        }
    }

    /// Whether a connection to this address ends at a proxy, so that it says nothing of the host
    /// that was asked.
    pub(crate) fn has_address(&self, ip: IpAddr) -> bool {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).contains(&ip)
    }
}

/// A proxy's URL as the variables hold it: without a scheme it is `http`; empty is none.
///
/// # Errors
///
/// `Config` when it is no URL.
pub(crate) fn proxy_url(value: &str) -> Result<Option<Url>, Error> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&whole).ok().filter(Url::has_host);
    url.map(Some).ok_or_else(|| Error::Config {
        reason: "an HTTP proxy of the environment is no URL".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use policy::address::{Refusal, Word};
    use url::Url;

    use super::{Proxies, allowed, judge_url, proxy_url, word_behind};
    use crate::ProxyEnvironment;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn refused_addresses_are_left_out_and_none_left_is_the_refusal() {
        let mixed = addresses(&["10.0.0.1", "93.184.216.34"]);
        let kept = allowed(mixed.clone().into_iter(), Word::Discovered).unwrap();
        assert_eq!(kept, addresses(&["93.184.216.34"]));
        assert_eq!(allowed(mixed.clone().into_iter(), Word::Operator).unwrap(), mixed);
        let error = allowed(addresses(&["169.254.169.254"]).into_iter(), Word::Operator);
        assert!(error.unwrap_err().is::<Refusal>());
        assert!(allowed([].into_iter(), Word::Operator).is_err());
    }

    #[test]
    fn a_url_that_names_an_address_is_judged_too() {
        let proxies = Proxies::default();
        let judged = |url: &str, word| judge_url(&Url::parse(url).unwrap(), word, &proxies).is_ok();
        assert!(judged("http://127.0.0.1/", Word::Operator));
        assert!(!judged("http://127.0.0.1/", Word::Discovered));
        assert!(!judged("http://[::1]/", Word::Discovered));
        assert!(!judged("http://2130706433/", Word::Discovered));
        assert!(!judged("http://169.254.169.254/", Word::Operator));
        assert!(judged("http://example.com/", Word::Discovered));
    }

    #[test]
    fn a_proxy_is_known_by_name_and_by_address() {
        let environment = ProxyEnvironment {
            http: Some("proxy.example:3128".into()),
            https: Some("http://u:p@10.1.2.3:8080".into()),
            no: None,
        };
        let proxies = Proxies::new(&environment).unwrap();
        let target = Url::parse("http://proxy.example/").unwrap();
        assert!(judge_url(&target, Word::Discovered, &proxies).is_err());
        assert!(judge_url(&target, Word::Operator, &proxies).is_ok());
        assert!(proxies.has_address("10.1.2.3".parse::<IpAddr>().unwrap()));
        proxies.learn(&addresses(&["10.9.9.9"]));
        assert!(proxies.has_address("10.9.9.9".parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn a_bad_proxy_is_refused_without_its_password() {
        assert_eq!(proxy_url(" ").unwrap(), None);
        let error = proxy_url("http://user:secret@:99999/").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn only_a_private_machine_leads_on_within_private_ranges() {
        let environment =
            ProxyEnvironment { http: Some("10.9.9.9:3128".into()), ..ProxyEnvironment::default() };
        let proxies = Proxies::new(&environment).unwrap();
        let behind = |word, peer: &str| word_behind(word, peer.parse().ok(), &proxies);
        assert_eq!(behind(Word::Operator, "10.0.0.1"), Word::Operator);
        assert_eq!(behind(Word::Operator, "127.0.0.1"), Word::Operator);
        assert_eq!(behind(Word::Operator, "93.184.216.34"), Word::Discovered);
        assert_eq!(behind(Word::Operator, "10.9.9.9"), Word::Discovered);
        assert_eq!(behind(Word::Operator, "unknown"), Word::Discovered);
        assert_eq!(behind(Word::Discovered, "10.0.0.1"), Word::Discovered);
    }
}
