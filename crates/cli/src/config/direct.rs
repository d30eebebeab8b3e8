//! Who larder is at which repositories: tables of `direct.credential` to grants.

use upstream::Grant;

use super::{layers::Entries, problem::Problem, settings, source::Source};

/// What the tables come to.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// The credentials.
    pub grants: Vec<Grant>,
    /// Patterns that these make private, each with the table that says so.
    pub private: Vec<(String, String)>,
}

/// Reads the tables.
///
/// # Errors
/// One problem per table that says too little or too much.
pub(super) fn grants(direct: &settings::Direct, entries: &Entries) -> Result<Grants, Vec<Problem>> {
    let (mut found, mut problems) = (Grants::default(), Vec::new());
    for (name, table) in &direct.credential {
        match grant(table) {
            Ok(grant) => {
                if let (Some(module), None | Some(false)) = (&table.module, table.public) {
                    let source = format!("direct.credential.{name}.module");
                    found.private.push((module.clone(), source));
                }
                found.grants.push(grant);
            }
            Err((reason, expected)) => {
                let prefix = format!("direct.credential.{name}.");
                let entry = entries.iter().find(|(path, _)| path.starts_with(&prefix));
                let source = entry.map_or(Source::Default, |(_, entry)| entry.source.clone());
                let message = format!("direct.credential.{name} {reason}");
                problems.push(Problem::new(message, &source).expected(expected));
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

type Wrong = (&'static str, &'static str);

fn grant(table: &settings::Credential) -> Result<Grant, Wrong> {
    let credential = credential(table)?;
    match (&table.url, &table.module, &table.host) {
        (Some(url), None, None) if table.public.is_none() => {
            Ok(Grant { prefix: without_scheme(url), host: None, credential })
        }
        (Some(_), None, None) => Err(("says public of a url", "it with module only")),
        (None, Some(module), Some(host)) => {
            Ok(Grant { prefix: module.clone(), host: Some(host.clone()), credential })
        }
        (None, Some(_), None) => Err(("has a module and no host", "the host that gets it")),
        _ => Err(("does not say what it is for", "either url, or module and host")),
    }
}

/// People paste whole URLs; the prefix is what stands behind the scheme.
fn without_scheme(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.trim_end_matches('/').to_owned()
}

fn credential(table: &settings::Credential) -> Result<vcs::Credential, Wrong> {
    const ONE: &str = "one of header, user and password, ssh_key and known_hosts, netrc, helper";
    let mut found = Vec::new();
    if let Some(header) = &table.header {
        found.push(vcs::Credential::Header(header.clone()));
    }
    match (&table.user, &table.password) {
        (Some(user), Some(password)) => {
            let (user, password) = (user.clone(), password.clone());
            found.push(vcs::Credential::Basic { user, password });
        }
        (None, None) => {}
        _ => return Err(("has a user or a password alone", "both")),
    }
    match (&table.ssh_key, &table.known_hosts) {
        (Some(key), Some(known_hosts)) => {
            let (key, known_hosts) = (key.clone(), known_hosts.clone());
            found.push(vcs::Credential::Ssh { key, known_hosts });
        }
        (None, None) => {}
        _ => return Err(("has ssh_key or known_hosts alone", "both")),
    }
    found.extend(table.netrc.clone().map(vcs::Credential::Netrc));
    found.extend(table.helper.clone().map(vcs::Credential::Helper));
    match (found.pop(), found.is_empty()) {
        (Some(credential), true) => Ok(credential),
        (Some(_), false) => Err(("says in several ways who larder is", ONE)),
        (None, _) => Err(("does not say who larder is", ONE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> settings::Credential {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_credential_is_for_repositories_or_for_modules_at_a_host() {
        let grant_of = |text| grant(&table(text)).unwrap();
        let url = grant_of("url = 'https://git.corp.example/team/'\nheader = 'Bearer x'");
        assert_eq!((url.prefix.as_str(), url.host), ("git.corp.example/team", None));
        let module = "module = 'corp.example/x'\nhost = 'git.corp.example'\nnetrc = '/n'";
        let module = grant_of(module);
        assert_eq!(module.prefix, "corp.example/x");
        assert_eq!(module.host.as_deref(), Some("git.corp.example"));
    }

    #[test]
    fn what_is_missing_or_said_twice_is_told() {
        for (text, wanted) in [
            ("header = 'x'", "does not say what it is for"),
            ("module = 'a.b/c'\nheader = 'x'", "has a module and no host"),
            ("url = 'a.b'\nmodule = 'a.b/c'\nheader = 'x'", "does not say what it is for"),
            ("url = 'a.b'\npublic = true\nheader = 'x'", "says public of a url"),
            ("url = 'a.b'", "does not say who larder is"),
            ("url = 'a.b'\nuser = 'x'", "has a user or a password alone"),
            ("url = 'a.b'\nssh_key = 'x'", "has ssh_key or known_hosts alone"),
            ("url = 'a.b'\nheader = 'x'\nhelper = 'y'", "says in several ways who larder is"),
        ] {
            assert_eq!(grant(&table(text)).unwrap_err().0, wanted, "{text}");
        }
    }

    #[test]
    fn a_credential_of_modules_makes_them_private_unless_it_says_public() {
        let direct = |public: &str| settings::Direct {
            r#override: Vec::new(),
            credential: [(
                "x".to_owned(),
                table(&format!("module = 'a.b/c'\nhost = 'a.b'\nheader = 'h'\n{public}")),
            )]
            .into(),
            packed_size: units::ByteSize(0),
            discovery_rewrite: Vec::new(),
        };
        let private = |public| grants(&direct(public), &Entries::default()).unwrap().private;
        let pair = ("a.b/c".to_owned(), "direct.credential.x.module".to_owned());
        assert_eq!(private(""), [pair]);
        assert_eq!(private("public = true"), []);
    }
}
