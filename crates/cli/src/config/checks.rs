//! What single values cannot show: keys that need or exclude each other, files that must be there.

use std::path::Path;

use super::{
    layers::{Entries, Entry},
    problem::Problem,
    settings::Settings,
    source::Source,
    world,
};

/// Keys of which one needs the other.
const PAIRS: [(&str, &str); 2] = [
    ("server.tls.cert_file", "server.tls.key_file"),
    ("upstream.source.*.user", "upstream.source.*.password"),
];

/// Checks which keys are there.
#[must_use]
pub(super) fn of_entries(entries: &Entries) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut needs = |name: &str, first: &str, second: &str| {
        let (first, second) = (first.replace('*', name), second.replace('*', name));
        if let (Some(entry), None) = (entries.get(&first), entries.get(&second)) {
            let message = format!("{first} is set without {second}");
            problems.push(Problem::new(message, &entry.source).expected(format!("{second} too")));
        }
    };
    let tables = tables(entries);
    for (first, second) in PAIRS {
        let names = if first.contains('*') { tables.as_slice() } else { &[""] };
        for name in names {
            needs(name, first, second);
            needs(name, second, first);
        }
    }
    for name in tables {
        let of = |key: &str| entries.get(&format!("upstream.source.{name}.{key}"));
        problems.extend(of_table(name, &of));
    }
    problems
}

fn of_table<'a>(name: &str, of: &dyn Fn(&str) -> Option<&'a Entry>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let any = ["ca_file", "token", "user", "password"].into_iter().find_map(of);
    if let (None, Some(other)) = (of("url"), any) {
        let message = format!("upstream.source.{name} has no url");
        problems.push(Problem::new(message, &other.source).expected("the URL of an upstream"));
    }
    if let (Some(_), Some(user)) = (of("token"), of("user")) {
        let message = format!("upstream.source.{name} has a token and a user");
        problems.push(Problem::new(message, &user.source).expected("one of them"));
    }
    problems
}

/// The names that operators gave to tables of upstreams.
fn tables(entries: &Entries) -> Vec<&str> {
    let names = entries.keys().filter_map(|path| path.strip_prefix("upstream.source."));
    let mut names: Vec<_> = names.filter_map(|rest| rest.split('.').next()).collect();
    names.dedup();
    names
}

/// Checks values against each other and the files they name.
#[must_use]
pub(super) fn of_settings(settings: &Settings, entries: &Entries) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |path: &str, reason: &str, expected: &str| {
        let source = entries.get(path).map_or(Source::Default, |entry| entry.source.clone());
        problems.push(Problem::new(format!("{path}: {reason}"), &source).expected(expected));
    };
    let server = &settings.server;
    if server.listen.is_empty() {
        wrong("server.listen", "it names no address", "at least one address");
    }
    if server.drain > server.stop_timeout {
        let limit = format!("at most server.stop_timeout, {}", server.stop_timeout);
        wrong("server.drain", &format!("{} is longer than the whole stop", server.drain), &limit);
    }
    for (at, address) in server.listen.iter().enumerate() {
        let earlier = server.listen.iter().take(at).chain(&server.admin_listen);
        if address.port() != 0 && earlier.clone().any(|other| other == address) {
            wrong("server.listen", &format!("{address} stands twice"), "each address once");
        }
    }
    if let Some(tls) = &server.tls {
        for (path, file, what) in [
            ("server.tls.cert_file", &tls.cert_file, "CERTIFICATE"),
            ("server.tls.key_file", &tls.key_file, "PRIVATE KEY"),
        ] {
            check_pem(file, what).unwrap_or_else(|why| wrong(path, &why, &pem(what)));
        }
    }
    for file in &settings.outbound.ca_files {
        let checked = check_pem(file, "CERTIFICATE");
        checked.unwrap_or_else(|why| wrong("outbound.ca_files", &why, &pem("CERTIFICATE")));
    }
    for (name, table) in &settings.upstream.source {
        let path = format!("upstream.source.{name}.ca_file");
        let checked = table.ca_file.as_ref().map_or(Ok(()), |file| check_pem(file, "CERTIFICATE"));
        checked.unwrap_or_else(|why| wrong(&path, &why, &pem("CERTIFICATE")));
    }
    problems
}

fn pem(what: &str) -> String {
    format!("a PEM file with a {what}")
}

/// The parser of the room that uses it has the last word; this tells the path and the line.
fn check_pem(file: &Path, what: &str) -> Result<(), String> {
    let text = world::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    match text {
        None => Err(format!("there is no file {}", file.display())),
        Some(text) if text.contains(&format!("{what}-----")) => Ok(()),
        Some(_) => Err(format!("{} holds no {what}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_names_keys() {
        let known = |path: &str| crate::config::keys::KEYS.iter().any(|key| key.path == path);
        assert!(PAIRS.iter().all(|(first, second)| known(first) && known(second)));
    }
}
