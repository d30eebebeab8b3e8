//! Does a URL lead back to larder itself?

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::world::World;

/// What this larder is known by.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Where it listens.
    pub listen: &'a [SocketAddr],
    /// Its URL behind a reverse proxy.
    pub public_url: Option<&'a Url>,
    /// The names and addresses of this host.
    pub world: &'a World,
}

impl Own<'_> {
    /// Would a request for `url` come back here?
    ///
    /// The names of this host and all loopback addresses count as one with any address larder
    /// listens on, when the port is the same. What gets past this is seen by its `Via`.
    #[must_use]
    pub fn is(&self, url: &Url) -> bool {
        if !matches!(url.scheme(), "http" | "https") {
            return false;
        }
        if self.public_url.is_some_and(|public| is_below(url, public)) {
            return true;
        }
        let mut same_port =
            self.listen.iter().filter(|own| Some(own.port()) == url.port_or_known_default());
        match url.host() {
            Some(Host::Domain(name)) => same_port.next().is_some() && self.world.is_own_name(name),
            Some(Host::Ipv4(ip)) => same_port.any(|own| self.is_ip(IpAddr::from(ip), own.ip())),
            Some(Host::Ipv6(ip)) => {
                same_port.any(|own| self.is_ip(IpAddr::from(ip).to_canonical(), own.ip()))
            }
            None => false,
        }
    }

    fn is_ip(&self, ip: IpAddr, own: IpAddr) -> bool {
        let both_loopback = ip.is_loopback() && own.is_loopback();
        let everywhere = own.is_unspecified() && self.world.is_own_address(ip);
        ip == own || both_loopback || everywhere || ip.is_unspecified()
    }
}

/// Same server, and the same path or one below it.
#[must_use]
pub fn is_below(url: &Url, above: &Url) -> bool {
    let path = above.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(path);
    url.host_str() == above.host_str()
        && url.port_or_known_default() == above.port_or_known_default()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(listen: &str, public: Option<&str>, url: &str) -> bool {
        let world = World::empty("/w".into())
            .with_host_name("build7.corp.example.com")
            .with_address("192.0.2.7".parse().unwrap());
        let listen: Vec<SocketAddr> = listen.split(',').map(|a| a.parse().unwrap()).collect();
        let public = public.map(|url| Url::parse(url).unwrap());
        let own = Own { listen: &listen, public_url: public.as_ref(), world: &world };
        own.is(&Url::parse(url).unwrap())
    }

    #[test]
    fn own_names_and_loopback_with_an_own_port_are_larder() {
        for url in [
            "http://127.0.0.1:8080",
            "http://localhost:8080/x",
            "https://[::1]:8080",
            "http://127.0.0.2:8080",
            "http://build7:8080",
            "http://BUILD7.corp.example.com:8080",
            "http://0.0.0.0:8080",
            "http://[::ffff:127.0.0.1]:8080",
        ] {
            assert!(is_own("127.0.0.1:8080", None, url), "{url}");
        }
        for url in
            ["http://127.0.0.1:8081", "http://192.0.2.7:8080", "http://corp.example.com:8080"]
        {
            assert!(!is_own("127.0.0.1:8080", None, url), "{url}");
        }
    }

    #[test]
    fn every_own_address_counts_when_listening_everywhere() {
        assert!(is_own("0.0.0.0:8080", None, "http://192.0.2.7:8080"));
        assert!(is_own("[::]:80,[::1]:81", None, "http://192.0.2.7"));
        assert!(!is_own("0.0.0.0:8080", None, "http://192.0.2.8:8080"));
    }

    #[test]
    fn the_public_url_is_larder_with_everything_below_it() {
        let public = Some("https://go.example.com/go");
        for url in ["https://go.example.com/go", "https://GO.example.com:443/go/x/"] {
            assert!(is_own("127.0.0.1:1", public, url), "{url}");
        }
        for url in ["https://go.example.com/gopher", "https://go.example.com:8443/go"] {
            assert!(!is_own("127.0.0.1:1", public, url), "{url}");
        }
    }

    #[test]
    fn a_folder_is_never_larder() {
        assert!(!is_own("0.0.0.0:8080", None, "file:///srv/modules"));
    }
}
