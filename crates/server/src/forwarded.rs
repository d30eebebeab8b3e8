//! Who the client is when a trusted proxy stands in front.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::public_url::is_authority;
use crate::{ClientAddress, Error};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// How many addresses of `X-Forwarded-For` are looked at, from the right: more proxies of one's own
/// nobody has.
const MAX_HOPS: usize = 32;

/// A network of addresses, written `10.0.0.0/8`, or one address, written `127.0.0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl Network {
    /// Tells whether `address` is in the network. An IPv4 address mapped into IPv6 counts as the
    /// IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self(network));
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(address.to_canonical().into())),
            Err(_) => Err(Error::Network { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the address of the client: the peer's, or, behind trusted proxies, the nearest one that
/// is not trusted.
///
/// A header that cannot be read counts up to where it can: what stands left of a broken entry was
/// written by nobody whom we trust.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
    for _ in 0..MAX_HOPS {
        if !is_trusted(client, trusted) {
            break;
        }
        let Some(next) = entries.next().and_then(address) else { break };
        client = next.to_canonical();
    }
    client
}

/// Returns `scheme://host` as the client wrote it; forwarded words are believed of trusted proxies
/// only.
///
/// `authority` is what the request target names (HTTP/2, or a whole URL); else `Host` counts. Where
/// neither is one, it is the address that the connection came to.
pub(crate) fn base_url(
    peer: &wire::Peer,
    authority: Option<&str>,
    headers: &HeaderMap,
    trusted: &[Network],
) -> String {
    let through_proxy = is_trusted(peer.addr.ip().to_canonical(), trusted);
    let forwarded = |name| through_proxy.then(|| first_word(headers, name)).flatten();
    let tls = match forwarded(&X_FORWARDED_PROTO) {
        Some(proto) => proto.eq_ignore_ascii_case("https"),
        None => peer.tls,
    };
    let host = forwarded(&X_FORWARDED_HOST).or(authority).or_else(|| first_word(headers, &HOST));
    let scheme = if tls { "https" } else { "http" };
    match host.filter(|host| is_authority(host)) {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{}", peer.local),
    }
}

/// Whether every address of an `X-Forwarded-For` or `X-Real-IP` line is one of this machine. What
/// cannot be read is not.
pub(crate) fn is_loopback(line: &HeaderValue) -> bool {
    let entries = line.as_bytes().split(|byte| *byte == b',');
    entries.map(address).all(|entry| entry.is_some_and(|ip| ip.to_canonical().is_loopback()))
}

/// Reduces an address to what the access log may show.
pub(crate) fn shown(address: IpAddr, shown: ClientAddress) -> Option<IpAddr> {
    match (shown, address) {
        (ClientAddress::Full, address) => Some(address),
        (ClientAddress::Net, IpAddr::V4(v4)) => {
            Some(IpAddr::V4((u32::from(v4) & (u32::MAX << 8)).into()))
        }
        (ClientAddress::Net, IpAddr::V6(v6)) => {
            Some(IpAddr::V6((u128::from(v6) & (u128::MAX << 80)).into()))
        }
        (ClientAddress::Off, _) => None,
    }
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

fn first_word<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// An entry of `X-Forwarded-For`: an address, with a port or in brackets as some proxies write it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "::1"].map(|text| text.parse().unwrap()).to_vec()
    }

    fn headers(lines: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn peer(addr: &str, tls: bool) -> wire::Peer {
        let addr = SocketAddr::new(ip(addr), 4711);
        wire::Peer { addr, local: addr, tls }
    }

    #[test]
    fn a_header_of_a_stranger_is_not_believed() {
        let headers = headers(&[(&X_FORWARDED_FOR, "192.0.2.1")]);
        assert_eq!(client(ip("203.0.113.9"), &headers, &trusted()), ip("203.0.113.9"));
    }

    #[test]
    fn the_nearest_address_that_is_not_trusted_is_the_client() {
        for (line, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("192.0.2.1:5555, 10.9.9.9", "192.0.2.1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("unknown, 10.9.9.9", "10.9.9.9"),
            ("10.1.1.1, 10.9.9.9", "10.1.1.1"),
            ("", "10.0.0.1"),
        ] {
            let headers = headers(&[(&X_FORWARDED_FOR, line)]);
            assert_eq!(client(ip("10.0.0.1"), &headers, &trusted()), ip(expected), "{line}");
        }
    }

    #[test]
    fn only_a_line_of_loopback_addresses_is_one_of_this_machine() {
        for (line, expected) in [
            ("127.0.0.1", true),
            ("[::1]:443, 127.0.0.2", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false),
            ("127.0.0.1, 192.0.2.1", false),
            ("192.0.2.1, 127.0.0.1", false),
            ("unknown", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(&HeaderValue::from_static(line)), expected, "{line}");
        }
    }

    #[test]
    fn lines_count_as_one_list_from_the_right() {
        let headers = headers(&[(&X_FORWARDED_FOR, "192.0.2.1"), (&X_FORWARDED_FOR, "10.9.9.9")]);
        assert_eq!(client(ip("::1"), &headers, &trusted()), ip("192.0.2.1"));
    }

    #[test]
    fn the_list_is_read_up_to_the_last_hop_allowed_and_no_further() {
        let list = |trusted_hops: usize| format!("192.0.2.1{}", ", 10.0.0.2".repeat(trusted_hops));
        let seen = |hops| {
            let headers = headers(&[(&X_FORWARDED_FOR, &list(hops))]);
            client(ip("10.0.0.1"), &headers, &trusted())
        };
        assert_eq!(seen(MAX_HOPS - 1), ip("192.0.2.1"));
        assert_eq!(seen(MAX_HOPS), ip("10.0.0.2"));
    }

    #[test]
    fn a_mapped_peer_is_its_ipv4_address() {
        let headers = headers(&[(&X_FORWARDED_FOR, "192.0.2.1")]);
        assert_eq!(client(ip("::ffff:10.0.0.1"), &headers, &trusted()), ip("192.0.2.1"));
    }

    fn url(addr: &str, tls: bool, lines: &[(&HeaderName, &str)]) -> String {
        base_url(&peer(addr, tls), None, &headers(lines), &trusted())
    }

    #[test]
    fn the_base_url_comes_from_host_and_connection() {
        let lines = [(&HOST, "larder:8080"), (&X_FORWARDED_PROTO, "https")];
        assert_eq!(url("203.0.113.9", false, &lines), "http://larder:8080");
        assert_eq!(url("203.0.113.9", true, &lines), "https://larder:8080");
    }

    #[test]
    fn a_trusted_proxy_tells_scheme_and_host() {
        let lines = [
            (&HOST, "inner:8080"),
            (&X_FORWARDED_HOST, "go.example.com"),
            (&X_FORWARDED_PROTO, "https"),
        ];
        assert_eq!(url("10.0.0.1", false, &lines), "https://go.example.com");
        assert_eq!(url("203.0.113.9", false, &lines), "http://inner:8080");
        let lines = [(&HOST, "inner:8080"), (&X_FORWARDED_PROTO, "http")];
        assert_eq!(url("10.0.0.1", true, &lines), "http://inner:8080");
    }

    #[test]
    fn the_target_names_the_host_in_http_2() {
        let url = base_url(&peer("203.0.113.9", true), Some("go.example.com"), &headers(&[]), &[]);
        assert_eq!(url, "https://go.example.com");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in ["", "a b", "<script>", "u@h"] {
            assert_eq!(
                url("192.0.2.9", false, &[(&HOST, host)]),
                "http://192.0.2.9:4711",
                "{host}"
            );
        }
        assert_eq!(url("192.0.2.9", false, &[]), "http://192.0.2.9:4711");
    }

    #[test]
    fn addresses_are_reduced_as_configured() {
        let net = |text| shown(ip(text), ClientAddress::Net);
        assert_eq!(net("192.0.2.77"), Some(ip("192.0.2.0")));
        assert_eq!(net("2001:db8:1:2:3::4"), Some(ip("2001:db8:1::")));
        assert_eq!(shown(ip("192.0.2.77"), ClientAddress::Full), Some(ip("192.0.2.77")));
        assert_eq!(shown(ip("192.0.2.77"), ClientAddress::Off), None);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "lan", "10.0.0.0/33", "10.0.0", "fe80::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!("10.1.2.3".parse::<Network>().unwrap().to_string(), "10.1.2.3/32");
    }
}
