//! Proxy URLs, checked as Go's `net/url` checks them and normalised.

use std::net::Ipv6Addr;

use crate::goproxy::BadUrl;

/// Parses one entry: adds `https://` where none is, lowers the scheme, drops trailing slashes.
pub(super) fn parse(entry: &str) -> Result<String, BadUrl> {
    let incomplete = !entry.contains(":/") && !entry.starts_with('/');
    let implied;
    let url = if incomplete && entry.contains(['.', ':', '/']) {
        implied = format!("https://{entry}");
        &implied
    } else {
        entry
    };
    if url.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(BadUrl::Malformed);
    }
    let (scheme, rest) = split_scheme(url)?;
    if rest.contains(['?', '#']) {
        return Err(BadUrl::Query);
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(if scheme == "file" { BadUrl::File } else { BadUrl::NoHost });
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if scheme == "file" {
        if !authority.is_empty() {
            return Err(BadUrl::File);
        }
    } else {
        check_authority(authority)?;
    }
    if !escapes_are_valid(path) {
        return Err(BadUrl::Malformed);
    }
    Ok(format!("{scheme}://{authority}{}", path.trim_end_matches('/')))
}

/// Replaces the password by `xxxxx`, as the `go` command does in its messages.
pub(super) fn redacted(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (userinfo, host) = authority.rsplit_once('@')?;
        let (user, _password) = userinfo.split_once(':')?;
        Some(format!("{scheme}://{user}:xxxxx@{host}{path}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

fn split_scheme(url: &str) -> Result<(&'static str, &str), BadUrl> {
    let (scheme, rest) = url.split_once(':').ok_or(BadUrl::NoScheme)?;
    let known = ["https", "http", "file"];
    if let Some(known) = known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known)) {
        return Ok((known, rest));
    }
    let mut letters = scheme.bytes();
    let first_is_letter = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let well_formed = first_is_letter && letters.all(valid);
    Err(if well_formed { BadUrl::Scheme } else { BadUrl::NoScheme })
}

fn check_authority(authority: &str) -> Result<(), BadUrl> {
    let (userinfo, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let in_userinfo = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !userinfo.chars().all(in_userinfo) || !escapes_are_valid(userinfo) {
        return Err(BadUrl::Malformed);
    }
    if let Some(bracketed) = host_and_port.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']').ok_or(BadUrl::Malformed)?;
        let valid = address.parse::<Ipv6Addr>().is_ok() && is_port(port);
        return if valid { Ok(()) } else { Err(BadUrl::Malformed) };
    }
    let (host, port) =
        host_and_port.split_at(host_and_port.find(':').unwrap_or(host_and_port.len()));
    if host.is_empty() {
        return Err(BadUrl::NoHost);
    }
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if host.chars().all(in_host) && is_port(port) { Ok(()) } else { Err(BadUrl::Malformed) }
}

/// Empty, or a colon and any number of digits.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether two hex digits follow every `%`.
fn escapes_are_valid(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let mut digits = behind.bytes();
        let mut digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        digit() && digit()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_normalised() {
        for (entry, url) in [
            ("https://proxy.example.com", "https://proxy.example.com"),
            ("https://proxy.example.com/", "https://proxy.example.com"),
            ("https://proxy.example.com/go//", "https://proxy.example.com/go"),
            ("HTTPS://Proxy.example.com:8443/A", "https://Proxy.example.com:8443/A"),
            ("proxy.example.com/x", "https://proxy.example.com/x"),
            ("localhost:8080", "https://localhost:8080"),
            ("host/x", "https://host/x"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://u:p%40@h/a%20b c", "http://u:p%40@h/a%20b c"),
            ("http://a@b@c/", "http://a@b@c"),
            ("https://h:/", "https://h:"),
            ("file:///srv/go", "file:///srv/go"),
            ("file:///", "file://"),
            ("file://", "file://"),
        ] {
            assert_eq!(parse(entry).as_deref(), Ok(url), "{entry}");
        }
    }

    #[test]
    fn other_entries_are_refused() {
        for (entry, reason) in [
            ("proxy", BadUrl::NoScheme),
            ("/srv/go", BadUrl::NoScheme),
            ("://x", BadUrl::NoScheme),
            ("1a://x", BadUrl::NoScheme),
            ("ftp://x", BadUrl::Scheme),
            ("ssh+git://x", BadUrl::Scheme),
            ("https:///x", BadUrl::NoHost),
            ("https:/x", BadUrl::NoHost),
            ("https://:80/x", BadUrl::NoHost),
            ("https://u@/x", BadUrl::NoHost),
            ("file:/srv", BadUrl::File),
            ("file://localhost/srv", BadUrl::File),
            ("https://h/x?y", BadUrl::Query),
            ("https://h/x#y", BadUrl::Query),
            ("https://h:x", BadUrl::Malformed),
            ("https://a:1:2", BadUrl::Malformed),
            ("https://a b", BadUrl::Malformed),
            ("https://h/%zz", BadUrl::Malformed),
            ("https://h/%2", BadUrl::Malformed),
            ("https://u\\:p@h", BadUrl::Malformed),
            ("https://h/\u{1}", BadUrl::Malformed),
            ("https://[::1", BadUrl::Malformed),
            ("https://[x]", BadUrl::Malformed),
            ("https://[::1]x", BadUrl::Malformed),
            ("C:\\go", BadUrl::Malformed),
        ] {
            assert_eq!(parse(entry), Err(reason), "{entry}");
        }
    }

    #[test]
    fn only_the_password_is_masked() {
        for (url, shown) in [
            ("https://u:p@h/x", "https://u:xxxxx@h/x"),
            ("https://u:p@q@h", "https://u:xxxxx@h"),
            ("https://token@h", "https://token@h"),
            ("https://h/a:b@c", "https://h/a:b@c"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
