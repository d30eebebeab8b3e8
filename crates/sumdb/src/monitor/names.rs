//! Which names a log may record.

use gomod::{ModVer, pattern::Patterns};

use super::Misbehaviour;

/// Names that only public modules have; a private record of one could become a toolchain on the
/// machines of developers. Source: sumdb.md §9.1, D11.
const RESERVED: [&str; 2] = ["golang.org/toolchain", "golang.org/x"];

/// Says which modules a log may record, and which of them nobody else may hear of.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The private modules that the log is for. Without it, the log may record any.
    pub realm: Option<Patterns>,
    /// Further private names, never told to the other database.
    pub private: policy::Private,
}

/// What is to be done with a record, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: it may be there.
    Fine,
    /// It may not be there.
    Bad(Misbehaviour, String),
    /// It is public: to be compared.
    Public(Reserved),
}

/// Whether a public name is a reserved one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    Yes,
    No,
}

impl Names {
    /// Judges a name; `compares`: whether there is another database to be asked about public ones.
    pub(super) fn standing(&self, module: &ModVer, compares: bool) -> Standing {
        let path = module.path().as_str();
        let reserved = reserved(path);
        let of_realm = self.realm.as_ref().map(|realm| realm.find(path).is_some());
        let private = of_realm == Some(true) || self.private.named(module.path()).is_some();
        let is_bad = |kind, why: &str| Standing::Bad(kind, why.to_owned());
        match (private, reserved, of_realm) {
            (true, Reserved::Yes, _) => {
                is_bad(Misbehaviour::Reserved, "is a private record of a reserved name")
            }
            (true, Reserved::No, Some(false)) => {
                is_bad(Misbehaviour::Realm, "is private, and outside the realm")
            }
            (false, reserved, _) if compares => Standing::Public(reserved),
            (false, Reserved::Yes, Some(_)) => {
                is_bad(Misbehaviour::Reserved, "is a reserved name in a private log")
            }
            (false, Reserved::No, Some(_)) => is_bad(Misbehaviour::Realm, "is outside the realm"),
            (true, Reserved::No, _) | (false, _, None) => Standing::Fine,
        }
    }

    /// What it is when the other database does not record a public module.
    pub(super) fn absent(&self, reserved: Reserved) -> Misbehaviour {
        match (reserved, &self.realm) {
            (Reserved::Yes, _) => Misbehaviour::Reserved,
            (Reserved::No, Some(_)) => Misbehaviour::Realm,
            (Reserved::No, None) => Misbehaviour::Hash,
        }
    }
}

fn reserved(path: &str) -> Reserved {
    let is_below = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if RESERVED.into_iter().any(is_below) { Reserved::Yes } else { Reserved::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(
        names: &Names,
        path: &str,
        compares: bool,
    ) -> Result<Option<Reserved>, Misbehaviour> {
        let version =
            if path == "golang.org/toolchain" { "v0.0.1-go1.21.0.linux-amd64" } else { "v1.0.0" };
        let module = ModVer::new(path.parse().unwrap(), version.parse().unwrap()).unwrap();
        match names.standing(&module, compares) {
            Standing::Fine => Ok(None),
            Standing::Public(reserved) => Ok(Some(reserved)),
            Standing::Bad(kind, _) => Err(kind),
        }
    }

    fn names(realm: Option<&str>, private: &str) -> Names {
        let private = vec![(private.to_owned(), "test".to_owned())];
        Names { realm: realm.map(Patterns::parse), private: policy::Private::new(private) }
    }

    #[test]
    fn without_a_realm_every_name_may_be_there() {
        let names = names(None, "corp.com");
        for path in ["corp.com/a", "github.com/a/b", "golang.org/x/mod", "golang.org/toolchain"] {
            assert_eq!(standing(&names, path, false), Ok(None), "{path}");
        }
    }

    #[test]
    fn a_private_log_records_its_realm_and_nothing_else() {
        let names = names(Some("corp.com,*.corp.com"), "");
        for (path, want) in [
            ("corp.com/a", Ok(None)),
            ("git.corp.com/a", Ok(None)),
            ("github.com/a/b", Err(Misbehaviour::Realm)),
            ("x.internal/a", Err(Misbehaviour::Realm)),
            ("golang.org/x/mod", Err(Misbehaviour::Reserved)),
            ("golang.org/toolchain", Err(Misbehaviour::Reserved)),
            ("golang.org/xy", Err(Misbehaviour::Realm)),
        ] {
            assert_eq!(standing(&names, path, false), want, "{path}");
        }
    }

    #[test]
    fn private_names_are_never_compared_and_public_ones_always() {
        for realm in [None, Some("corp.com")] {
            let names = names(realm, "corp.com,secret.example");
            assert_eq!(standing(&names, "corp.com/a", true), Ok(None));
            assert_eq!(standing(&names, "github.com/a/b", true), Ok(Some(Reserved::No)));
            assert_eq!(standing(&names, "golang.org/x/mod", true), Ok(Some(Reserved::Yes)));
            let secret = standing(&names, "secret.example/a", true);
            assert_eq!(secret, if realm.is_some() { Err(Misbehaviour::Realm) } else { Ok(None) });
        }
    }

    #[test]
    fn a_reserved_name_is_nobodys_own() {
        let names = names(None, "golang.org/x/secret");
        assert_eq!(standing(&names, "golang.org/x/secret", true), Err(Misbehaviour::Reserved));
        assert_eq!(names.absent(Reserved::Yes), Misbehaviour::Reserved);
        assert_eq!(names.absent(Reserved::No), Misbehaviour::Hash);
        let names = self::names(Some("corp.com"), "");
        assert_eq!(names.absent(Reserved::No), Misbehaviour::Realm);
    }
}
