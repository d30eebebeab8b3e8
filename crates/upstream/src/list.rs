//! `@v/list`: one version a line.

use gomod::{ModulePath, Version};

use crate::ask::looks_like_html;

/// Reads a list as the client reads it, less what no client should be offered.
///
/// The first field of each line counts; a line that is no canonical version fitting the path, and
/// every pseudo-version, is left out in silence. Source: protocol.md §3.1.
///
/// # Errors
///
/// A reason when the body is a page and not a list: a line of it might begin with a version.
pub(crate) fn parse(path: &ModulePath, body: &[u8]) -> Result<Vec<Version>, String> {
    if looks_like_html(body) {
        return Err("it is an HTML page: a login page or a captive portal".to_owned());
    }
    let versions = body.split(|&byte| byte == b'\n').filter_map(|line| {
        let word = str::from_utf8(line).ok()?.split_whitespace().next()?;
        Version::parse(word).ok().filter(|version| version.fits(path) && !version.is_pseudo())
    });
    Ok(versions.collect())
}

#[cfg(test)]
mod tests {
    use gomod::ModulePath;
    use proptest::prelude::*;

    use super::parse;

    fn versions(path: &str, body: &[u8]) -> Vec<String> {
        let versions = parse(&ModulePath::parse(path).unwrap(), body).unwrap();
        versions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_field_of_a_line_counts() {
        let body =
            b"v1.0.0\r\n\n# comment\n  v1.1.0-rc.1 2020-01-02T03:04:05Z extra\nv1.0.0\nv1.2.0";
        assert_eq!(versions("example.com/m", body), ["v1.0.0", "v1.1.0-rc.1", "v1.0.0", "v1.2.0"]);
        assert!(versions("example.com/m", b"").is_empty());
    }

    #[test]
    fn what_no_client_should_be_offered_is_left_out() {
        let body =
            b"v1.2\nv1.3.0+meta\nv2.0.0\nv0.0.0-20200102030405-0123456789ab\n1.0.0\n\xff\nmain";
        assert!(versions("example.com/m", body).is_empty());
        assert_eq!(versions("example.com/m", b"v2.0.0+incompatible"), ["v2.0.0+incompatible"]);
        assert_eq!(versions("example.com/m/v2", b"v1.0.0\nv2.0.0"), ["v2.0.0"]);
        let toolchain = b"v0.0.1-go1.21.0.linux-amd64";
        assert_eq!(versions("golang.org/toolchain", toolchain), ["v0.0.1-go1.21.0.linux-amd64"]);
    }

    #[test]
    fn a_page_is_no_list() {
        let path = ModulePath::parse("example.com/m").unwrap();
        assert!(parse(&path, b"\n <!doctype html>\nv1.0.0 is out\n").is_err());
    }

    proptest! {
        #[test]
        fn whatever_comes_only_fitting_versions_leave(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let path = ModulePath::parse("example.com/m").unwrap();
            for version in parse(&path, &body).unwrap_or_default() {
                prop_assert!(version.fits(&path) && !version.is_pseudo());
            }
        }
    }
}
