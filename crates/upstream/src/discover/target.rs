//! Whether what a tag names may be fetched.

use gomod::repo::Vcs;
use url::Url;

/// Whether the operator said that a path may go over insecure connections (GOINSECURE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Security {
    Secure,
    Insecure,
}

/// Checks a tag's fourth field; empty means the root.
///
/// Source: golang/go `validateRepoSubDir`; what is not a clean path is ours.
pub(super) fn check_subdir(subdir: &str) -> Result<(), &'static str> {
    match subdir {
        "" => return Ok(()),
        _ if subdir.starts_with('/') => return Err("leading slash"),
        _ if subdir.starts_with('-') => return Err("leading hyphen"),
        _ if subdir.contains('\\') => return Err("backslash"),
        _ if subdir.contains(char::is_control) => return Err("control character"),
        _ => {}
    }
    let is_clean = subdir.split('/').all(|element| !matches!(element, "" | "." | ".."));
    if is_clean { Ok(()) } else { Err("path is not clean") }
}

/// Checks a tag's URL.
///
/// Stricter than Go (`validateRepoRoot`), which lets a page hand out plain http and git: only
/// protocols that are safe, unless the path is insecure anyway; no password, and on http no user.
pub(super) fn check_url(text: &str, vcs: Vcs, security: Security) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "no scheme",
        _ => "no valid URL",
    })?;
    if url.scheme() == "file" {
        return Err("file scheme disallowed");
    }
    let allowed = match (vcs, url.scheme()) {
        (_, "https")
        | (Vcs::Git | Vcs::Hg | Vcs::Bzr, "ssh")
        | (Vcs::Git, "git+ssh")
        | (Vcs::Svn, "svn+ssh")
        | (Vcs::Bzr, "bzr+ssh") => true,
        (_, "http") => security == Security::Insecure,
        _ => false,
    };
    if !allowed {
        return Err("insecure or unknown scheme");
    }
    let over_http = matches!(url.scheme(), "https" | "http");
    if url.password().is_some() || over_http && !url.username().is_empty() {
        return Err("userinfo disallowed");
    }
    if url.host_str().is_none_or(|host| host.is_empty() || host.starts_with('-')) {
        return Err("no valid host");
    }
    // git once sent what stands behind a line break to whoever keeps passwords (CVE-2020-5260).
    let lower = text.to_ascii_lowercase();
    let breaks = ["%0a", "%0d", "%00"].iter().any(|code| lower.contains(code));
    if breaks || text.contains(char::is_control) {
        return Err("control character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_clean_and_relative() {
        for fine in ["", "a", "a/b", "a-b", ".a", "a b", "..."] {
            assert_eq!(check_subdir(fine), Ok(()), "{fine}");
        }
        for (subdir, why) in [
            ("/a", "leading slash"),
            ("-a", "leading hyphen"),
            ("a\\b", "backslash"),
            ("a\0", "control character"),
            ("a//b", "path is not clean"),
            ("a/", "path is not clean"),
            ("a/../b", "path is not clean"),
            (".", "path is not clean"),
        ] {
            assert_eq!(check_subdir(subdir), Err(why), "{subdir}");
        }
    }

    fn secure(url: &str, vcs: Vcs) -> Result<(), &'static str> {
        check_url(url, vcs, Security::Secure)
    }

    #[test]
    fn only_safe_protocols_are_named() {
        for url in
            ["https://x.org/r", "ssh://git@x.org/r", "git+ssh://x.org/r", "https://x.org:8443/"]
        {
            assert_eq!(secure(url, Vcs::Git), Ok(()), "{url}");
        }
        for url in ["http://x.org/r", "git://x.org/r", "ext::sh", "ftp://x.org", "svn+ssh://x.org"]
        {
            assert_eq!(secure(url, Vcs::Git), Err("insecure or unknown scheme"), "{url}");
        }
        assert_eq!(secure("ssh://x.org", Vcs::Mod), Err("insecure or unknown scheme"));
        assert_eq!(secure("svn+ssh://x.org/r", Vcs::Svn), Ok(()));
        assert_eq!(secure("file:///etc", Vcs::Git), Err("file scheme disallowed"));
        for url in ["x.org/r", "git@x.org:r", "//x.org/r", ""] {
            assert_eq!(secure(url, Vcs::Git), Err("no scheme"), "{url}");
        }
    }

    #[test]
    fn insecure_paths_may_go_over_http_too() {
        for vcs in [Vcs::Git, Vcs::Mod] {
            assert_eq!(check_url("http://x.org/r", vcs, Security::Insecure), Ok(()));
        }
        assert!(check_url("git://x.org/r", Vcs::Git, Security::Insecure).is_err());
    }

    #[test]
    fn urls_carry_nothing_else() {
        for (url, why) in [
            ("https://user@x.org/r", "userinfo disallowed"),
            ("https://u:p@x.org/r", "userinfo disallowed"),
            ("ssh://u:p@x.org/r", "userinfo disallowed"),
            ("ssh://-oProxyCommand=x/r", "no valid host"),
            ("https://x.org/a%0ab", "control character"),
            ("https://x.org/a%0Db", "control character"),
            ("https:///", "no valid URL"),
        ] {
            assert_eq!(secure(url, Vcs::Git), Err(why), "{url}");
        }
    }
}
