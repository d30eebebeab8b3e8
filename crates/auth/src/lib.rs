//! Decides who calls, and what they may do.
//!
//! Until identity is built callers are anonymous, and where they come from decides whether private
//! modules are open to them ([`Reach`]). The signatures are final nevertheless: a handler cannot reach a use-case without
//! a [`Permitted`], so the day a caller may be refused, no route can have forgotten to ask.

use gomod::{ModVer, ModulePath};

/// A person or program that sent a request, as far as it is known.
///
/// Cheap to make; made once per request and never stored.
#[derive(Debug, Clone)]
pub struct Caller {
    // Private, so that only this room can say who calls.
    who: Who,
}

#[derive(Debug, Clone)]
enum Who {
    Anonymous(Reach),
}

/// How far a caller's right goes, who is not known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public modules only.
    Public,
    /// Private modules, too: the caller came by a loopback address, or the operator opened them to
    /// anyone.
    Everything,
}

impl Caller {
    /// Makes the caller who showed no credentials.
    #[must_use]
    pub fn anonymous(reach: Reach) -> Self {
        Self { who: Who::Anonymous(reach) }
    }

    /// Checks that this caller may read `what`, and returns it as the proof.
    ///
    /// Policy (which modules anybody may use, which are private) is judged later, by room `policy`;
    /// this is only about the caller, and the proof says how far it goes: [`Permitted::reach`].
    ///
    /// # Errors
    ///
    /// [`Forbidden::Unauthenticated`] when the module needs credentials and none were shown. It
    /// cannot happen yet: a caller without credentials is refused by its [`Reach`].
    #[expect(clippy::unnecessary_wraps, reason = "callers will be refused once identity is built")]
    pub fn may_read<T: OfModule>(&self, what: T) -> Result<Permitted<T>, Forbidden> {
        match self.who {
            Who::Anonymous(reach) => Ok(Permitted { what, reach }),
        }
    }
}

/// Something that belongs to a module, so that a right to the module is a right to it.
pub trait OfModule {
    /// Returns the module it belongs to; `None` for what belongs to no module, like a tile of a
    /// checksum database.
    fn module(&self) -> Option<&ModulePath>;
}

impl OfModule for ModVer {
    fn module(&self) -> Option<&ModulePath> {
        Some(self.path())
    }
}

impl OfModule for ModulePath {
    fn module(&self) -> Option<&ModulePath> {
        Some(self)
    }
}

impl OfModule for gomod::Request {
    fn module(&self) -> Option<&ModulePath> {
        gomod::Request::module(self)
    }
}

/// Proof that a caller may read what it carries. Made by [`Caller::may_read`] only.
#[derive(Debug, Clone)]
pub struct Permitted<T> {
    what: T,
    reach: Reach,
}

impl<T> Permitted<T> {
    /// Borrows what may be read.
    pub fn get(&self) -> &T {
        &self.what
    }

    /// Returns how far the right goes: with [`Reach::Public`] it is no right to a private module.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Gives back what may be read; the proof is used up.
    pub fn into_inner(self) -> T {
        self.what
    }
}

/// Why a caller may not read something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The module is not open to everybody and the caller showed no credentials: ask again with
    /// some.
    #[error("reading {module} needs credentials")]
    Unauthenticated {
        /// The module that was asked for. Shown to nobody who has not named it himself.
        module: ModulePath,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> ModulePath {
        ModulePath::parse("example.com/m").unwrap()
    }

    fn version() -> ModVer {
        ModVer::new(path(), gomod::Version::parse("v1.0.0").unwrap()).unwrap()
    }

    #[test]
    fn anonymous_may_read_a_module() {
        let permitted = Caller::anonymous(Reach::Public).may_read(path()).unwrap();
        assert_eq!(permitted.get(), &path());
        assert_eq!(permitted.into_inner(), path());
    }

    #[test]
    fn the_proof_says_how_far_it_goes() {
        for reach in [Reach::Public, Reach::Everything] {
            assert_eq!(Caller::anonymous(reach).may_read(path()).unwrap().reach(), reach);
        }
    }

    #[test]
    fn anonymous_may_read_a_version() {
        assert_eq!(
            Caller::anonymous(Reach::Public).may_read(version()).unwrap().into_inner(),
            version()
        );
    }

    #[test]
    fn anonymous_may_read_what_belongs_to_no_module() {
        let request = gomod::Request::parse("/sumdb/sum.golang.org/supported").unwrap();
        assert_eq!(OfModule::module(&request), None);
        assert!(Caller::anonymous(Reach::Public).may_read(request).is_ok());
    }

    #[test]
    fn a_version_belongs_to_its_module() {
        assert_eq!(version().module(), Some(&path()));
    }

    #[test]
    fn a_path_belongs_to_itself() {
        assert_eq!(path().module(), Some(&path()));
    }

    #[test]
    fn a_request_belongs_to_the_module_it_names() {
        for target in
            ["/@v/list", "/@latest", "/@v/v1.0.0.info", "/@v/v1.0.0.mod", "/@v/v1.0.0.zip"]
        {
            let request = gomod::Request::parse(&format!("/example.com/m{target}")).unwrap();
            assert_eq!(OfModule::module(&request), Some(&path()), "{target}");
        }
    }

    #[test]
    fn the_refusal_names_the_module() {
        let refusal = Forbidden::Unauthenticated { module: path() };
        assert_eq!(refusal.to_string(), "reading example.com/m needs credentials");
    }
}
