//! Credentials from a netrc file, as the `go` command reads it.
//!
//! Source: cmd/go/internal/auth (`parseNetrc`, `netrcPath`).

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::world::{self, World};

/// Who larder is for one host.
#[derive(Debug, Clone)]
pub struct Login {
    machine: String,
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// The logins of a netrc file.
#[derive(Clone, Default)]
pub struct Netrc {
    /// The file, for messages; `None` when there is no home to look in.
    pub file: Option<PathBuf>,
    logins: Vec<Login>,
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({:?}, {} logins)", self.file, self.logins.len())
    }
}

impl Netrc {
    /// Reads `$NETRC`, else `.netrc` in the home. No file is no logins.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(world: &World) -> io::Result<Self> {
        let named = world.variable("NETRC").map(|file| world.absolute(Path::new(file)));
        let Some(file) = named.or_else(|| world.home().map(|home| home.join(".netrc"))) else {
            return Ok(Self::default());
        };
        let text = world::read(&file)?.unwrap_or_default();
        Ok(Self { file: Some(file), logins: parse(&text) })
    }

    /// The first login of `host`, which holds the port when it is not the scheme's own.
    ///
    /// `default` entries are left out: they would send a password to anybody.
    #[must_use]
    pub fn login(&self, host: &str) -> Option<&Login> {
        self.logins.iter().find(|login| login.machine == host)
    }
}

fn parse(text: &str) -> Vec<Login> {
    let mut logins = Vec::new();
    let (mut machine, mut user, mut password) = ("", "", "");
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.is_empty();
            continue;
        }
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let Some(value) = words.next() else {
                if word == "default" {
                    return logins;
                }
                break;
            };
            match word {
                "machine" => (machine, user, password) = (value, "", ""),
                "login" => user = value,
                "password" => password = value,
                "macdef" => in_macro = true,
                // The last of a file; what follows belongs to no machine.
                "default" => return logins,
                _ => {}
            }
            if !machine.is_empty() && !user.is_empty() && !password.is_empty() {
                logins.push(Login {
                    machine: machine.to_owned(),
                    user: user.to_owned(),
                    password: SecretString::from(password),
                });
                (machine, user, password) = ("", "", "");
            }
        }
    }
    logins
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn logins(text: &str) -> Vec<(String, String, String)> {
        let flat = |l: Login| (l.machine, l.user, l.password.expose_secret().to_owned());
        parse(text).into_iter().map(flat).collect()
    }

    fn login(machine: &str, user: &str, password: &str) -> (String, String, String) {
        (machine.to_owned(), user.to_owned(), password.to_owned())
    }

    #[test]
    fn logins_stand_on_one_line_or_several() {
        let text = "machine a.example login u password p\nmachine b.example:8443\n  login v\n  \
                    password q\n";
        let want = [login("a.example", "u", "p"), login("b.example:8443", "v", "q")];
        assert_eq!(logins(text), want);
    }

    #[test]
    fn incomplete_logins_macros_and_defaults_are_left_out() {
        let text = "machine a login u\nmachine b login v password q\nmacdef init\nmachine m login \
                    x password y\n\nmachine c password r login w\ndefault login d password s\n\
                    machine late login u password p\n";
        assert_eq!(logins(text), [login("b", "v", "q"), login("c", "w", "r")]);
    }

    #[test]
    fn a_machine_is_the_host_with_its_port() {
        let netrc = Netrc { file: None, logins: parse("machine h:8443 login u password p") };
        assert_eq!(netrc.login("h:8443").map(|login| login.user.as_str()), Some("u"));
        assert!(netrc.login("h").is_none());
        assert!(!format!("{netrc:?}").contains('u') || !format!("{netrc:?}").contains("\"p\""));
    }

    #[test]
    fn the_file_is_the_variables_then_the_homes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        std::fs::write(path(".netrc"), "machine home login u password p").unwrap();
        std::fs::write(path("other"), "machine other login u password p").unwrap();
        let world = World::empty(folder.path().to_owned());
        assert!(Netrc::read(&world).unwrap().file.is_none());
        let world = world.with("HOME", path(""));
        assert!(Netrc::read(&world).unwrap().login("home").is_some());
        let named = world.clone().with("NETRC", "other");
        assert!(Netrc::read(&named).unwrap().login("other").is_some());
        assert!(Netrc::read(&world.with("NETRC", path(""))).is_err());
    }
}
