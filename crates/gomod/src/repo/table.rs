//! The table itself. Go has regular expressions here; their words are ASCII letters, digits,
//! `_`, `.` and `-`.

use crate::repo::{Error, Known, Vcs};

/// How the elements behind a host are a repository.
struct Host {
    prefix: &'static str,
    vcs: Vcs,
    /// Returns how many of the elements behind the prefix belong to the root; the others must be
    /// words.
    root: fn(&[&str]) -> Option<usize>,
    /// Whether the repository's name may not end as a version control system is called.
    no_suffix: bool,
}

const HOSTS: [Host; 6] = [
    Host { prefix: "github.com", vcs: Vcs::Git, root: two_words, no_suffix: true },
    Host { prefix: "bitbucket.org", vcs: Vcs::Git, root: two_words, no_suffix: true },
    Host { prefix: "hub.jazz.net/git", vcs: Vcs::Git, root: jazz, no_suffix: true },
    Host { prefix: "git.apache.org", vcs: Vcs::Git, root: apache, no_suffix: false },
    // Go means to take a `.git` off, but its expression is greedy: the root keeps it.
    Host { prefix: "git.openstack.org", vcs: Vcs::Git, root: two_words, no_suffix: false },
    Host { prefix: "chiselapp.com", vcs: Vcs::Fossil, root: chisel, no_suffix: false },
];

const SUFFIXES: [Vcs; 5] = [Vcs::Bzr, Vcs::Fossil, Vcs::Git, Vcs::Hg, Vcs::Svn];

pub(super) fn look_up(path: &str) -> Result<Known, Error> {
    if behind("example.net", path).is_some() {
        return Err(Error::Reserved { reason: "no modules on example.net" });
    }
    if path == "rsc.io" {
        return Err(Error::Reserved { reason: "rsc.io is not a module" });
    }
    let found = HOSTS.iter().find_map(|host| Some((host, behind(host.prefix, path)?)));
    match found {
        Some((host, rest)) => at(host, rest, path),
        None => Ok(by_suffix(path).unwrap_or(Known::Unlisted)),
    }
}

/// What stands behind a prefix of whole elements.
fn behind<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn at(host: &Host, rest: &str, path: &str) -> Result<Known, Error> {
    let elements: Vec<&str> = rest.split('/').collect();
    let invalid = || Error::Invalid { host: host.prefix, path: path.to_owned() };
    let count = (host.root)(&elements).ok_or_else(invalid)?;
    let (_, below) = elements.split_at_checked(count).ok_or_else(invalid)?;
    if !below.iter().all(|element| is_word(element)) {
        return Err(invalid());
    }
    let behind: usize = below.iter().map(|element| element.len() + 1).sum();
    let root = path.get(..path.len().saturating_sub(behind)).ok_or_else(invalid)?.to_owned();
    if host.no_suffix && SUFFIXES.iter().any(|vcs| ends_in(&root, *vcs).is_some()) {
        return Err(Error::Suffix { host: host.prefix });
    }
    let url = format!("https://{root}");
    Ok(Known::At { root, vcs: host.vcs, url })
}

fn two_words(elements: &[&str]) -> Option<usize> {
    matches!(elements, [user, name, ..] if is_word(user) && is_word(name)).then_some(2)
}

fn jazz(elements: &[&str]) -> Option<usize> {
    let is_user = |user: &str| is_made_of(user, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    matches!(elements, [user, name, ..] if is_user(user) && is_word(name)).then_some(2)
}

fn apache(elements: &[&str]) -> Option<usize> {
    let name = elements.first()?.strip_suffix(".git")?;
    is_made_of(name, |byte| !byte.is_ascii_uppercase() && in_word(byte)).then_some(1)
}

fn chisel(elements: &[&str]) -> Option<usize> {
    let is_user = |user: &str| is_made_of(user, |byte| byte.is_ascii_alphanumeric());
    // No path below it.
    let fits =
        matches!(elements, ["user", user, "repository", name] if is_user(user) && is_word(name));
    fits.then_some(4)
}

/// Takes the first element that ends in a suffix and leaves a valid path behind it.
///
/// Go's expression may also begin in the middle of a path (`a.b/c~d/e.f/g.git` is fetched from
/// `e.f`, and then refused, for it cannot hold the module). Here it begins at the host.
fn by_suffix(path: &str) -> Option<Known> {
    let (host, _) = path.split_once('/')?;
    if !is_host(host) {
        return None;
    }
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    for end in ends {
        let (root, rest) = path.split_at_checked(end)?;
        for vcs in SUFFIXES {
            let Some(address) = ends_in(root, vcs) else { continue };
            let elements = |text: &str| text.split('/').skip(1).all(is_tilde_word);
            if elements(address) && (rest.is_empty() || elements(rest)) {
                let (root, address) = (root.to_owned(), address.to_owned());
                return Some(Known::Probe { root, vcs, address });
            }
        }
    }
    None
}

/// Returns what stands before `.git` and the like.
fn ends_in(text: &str, vcs: Vcs) -> Option<&str> {
    text.strip_suffix(vcs.as_str())?.strip_suffix('.')
}

/// At least one dot, with something on both sides of it.
fn is_host(host: &str) -> bool {
    let in_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let inner = host.get(1..host.len().saturating_sub(1)).unwrap_or_default();
    is_made_of(host, in_host) && inner.contains('.')
}

fn is_tilde_word(element: &str) -> bool {
    is_word(element.strip_prefix('~').unwrap_or(element))
}

fn is_word(element: &str) -> bool {
    is_made_of(element, in_word)
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn is_made_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}
