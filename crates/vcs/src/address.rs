//! Names to addresses, judged before anything is dialled.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use policy::address::{Word, judge};

/// Addresses tried for one name; a name with more is cut, not refused.
const MAX_ADDRESSES: usize = 32;
/// The longest wait for a name's addresses.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a host is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undialled {
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Unresolved(String),
}

/// The addresses of a host that may be dialled, at least one.
///
/// An address that may not be dialled does not spoil the others: a name with two is dialled at
/// the one that is fit.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    word: Word,
) -> Result<Vec<SocketAddr>, Undialled> {
    let found = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_name) => look_up(host, port).await?,
    };
    let mut refusal = None;
    let mut allowed = Vec::new();
    for address in found {
        match judge(address.ip(), word) {
            Ok(()) => allowed.push(address),
            Err(refused) => refusal = Some(refused),
        }
    }
    match refusal {
        Some(refused) if allowed.is_empty() => {
            Err(Undialled::Forbidden(format!("{host}: {refused}")))
        }
        None if allowed.is_empty() => Err(Undialled::Unresolved(format!("{host} has no address"))),
        _ => Ok(allowed),
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Undialled> {
    let looked_up = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port)));
    match looked_up.await {
        Ok(Ok(found)) => Ok(found.take(MAX_ADDRESSES).collect()),
        Ok(Err(error)) => Err(Undialled::Unresolved(format!("no address of {host}: {error}"))),
        Err(_late) => Err(Undialled::Unresolved(format!("no address of {host} in time"))),
    }
}

/// Whether `NO_PROXY` lets a host be reached directly. Source: golang.org/x/net/http/httpproxy.
pub(crate) fn goes_directly(no_proxy: &str, host: &str) -> bool {
    let ip: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(str::trim).filter(|rule| !rule.is_empty()).any(|rule| {
        let rule = rule.to_ascii_lowercase();
        if rule == "*" {
            return true;
        }
        if let Some(ip) = ip {
            let network = rule.parse::<ipnet::IpNet>().is_ok_and(|network| network.contains(&ip));
            return network || rule.parse::<IpAddr>().is_ok_and(|alone| alone == ip);
        }
        let domain = rule.trim_start_matches("*.").trim_start_matches('.');
        let below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        below || (host == domain && !rule.starts_with(['.', '*']))
    })
}

#[cfg(test)]
mod tests {
    use policy::address::Word;

    use super::{Undialled, goes_directly, resolve};

    #[tokio::test]
    async fn addresses_are_judged_by_the_word() {
        assert!(resolve("127.0.0.1", 443, Word::Operator).await.is_ok());
        for host in ["127.0.0.1", "10.0.0.1", "localhost", "169.254.169.254", "::ffff:10.0.0.1"] {
            let refused = resolve(host, 443, Word::Discovered).await;
            assert!(matches!(refused, Err(Undialled::Forbidden(_))), "{host}: {refused:?}");
        }
        let metadata = resolve("169.254.169.254", 443, Word::Operator).await;
        assert!(matches!(metadata, Err(Undialled::Forbidden(_))));
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        for (rules, host, direct) in [
            ("", "example.com", false),
            ("*", "example.com", true),
            ("example.com", "example.com", true),
            ("example.com", "git.example.com", true),
            (".example.com", "example.com", false),
            (".example.com", "git.example.com", true),
            ("*.example.com", "git.example.com", true),
            ("example.com", "badexample.com", false),
            ("10.0.0.0/8, example.com", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("", "localhost", true),
            ("", "127.0.0.1", true),
        ] {
            assert_eq!(goes_directly(rules, host), direct, "{rules} {host}");
        }
    }
}
