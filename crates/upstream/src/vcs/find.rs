//! Which directory of a commit is the module, by the go.mod files that are there.

use bytes::Bytes;
use gomod::version::semver;

use super::place::{Place, declares_major};

/// The module's directory at a commit, and its go.mod as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// `""` for the repository's root.
    pub(crate) dir: String,
    /// `None`: a root without one, which is a module all the same.
    pub(crate) go_mod: Option<Bytes>,
}

/// A go.mod file, as far as it matters here.
struct Seen {
    bytes: Bytes,
    /// `""` when it declares none.
    declared: String,
}

impl Seen {
    fn new(bytes: &Bytes) -> Self {
        let declared = gomod::modfile::module_line(bytes).unwrap_or_default();
        Self { bytes: bytes.clone(), declared }
    }
}

/// Chooses between the directory and `vN` below it. Source: coderepo.go `findDir`; git.md §2.2.
///
/// `version` is what the texts speak of; `file` answers for the files that [`Place::first_file`]
/// and `go.mod` in [`Place::second_dir`] name.
///
/// # Errors
///
/// From `file`, else `invalid` of Go's words for a commit that does not hold the module.
pub(crate) fn find<E>(
    place: &Place,
    version: &str,
    mut file: impl FnMut(&str) -> Result<Option<Bytes>, E>,
    invalid: impl Fn(String) -> E,
) -> Result<Found, E> {
    let revision = place.revision(version);
    let (major, dir) = (&place.major, &place.dir);
    let name = place.first_file();
    let first = file(&name)?.map(|bytes| Seen::new(&bytes));
    let fits = |seen: &Seen| declares_major(&seen.declared, major);
    let first_fits = first.as_ref().is_some_and(fits);
    let second_dir = place.second_dir();
    if let Some(second_dir) = &second_dir {
        let second_name = format!("{second_dir}/go.mod");
        if let Some(second) = file(&second_name)?.map(|bytes| Seen::new(&bytes)) {
            // Unlike the first file it is judged without the leniency for gopkg.in, which only
            // paths without a major have.
            return match (first_fits, fits(&second)) {
                (true, true) => Err(invalid(format!(
                    "{}/{name} and ...{major}/go.mod both have ...{major} module paths at revision \
                     {revision}",
                    place.prefix,
                ))),
                (false, true) => Ok(Found { dir: second_dir.clone(), go_mod: Some(second.bytes) }),
                (_, false) => Err(invalid(unfit(place, &second_name, &second.declared, &revision))),
            };
        }
    }
    match first {
        Some(first) if first_fits => Ok(Found { dir: dir.clone(), go_mod: Some(first.bytes) }),
        Some(first) => Err(invalid(mismatch(place, version, &first.declared, &revision))),
        None if dir.is_empty() && !major.starts_with('/') => {
            Ok(Found { dir: String::new(), go_mod: None })
        }
        None if second_dir.is_some() => Err(invalid(format!(
            "missing {0}/go.mod and ...{major}/go.mod at revision {revision}",
            place.prefix
        ))),
        None => Err(invalid(format!("missing {}/go.mod at revision {revision}", place.prefix))),
    }
}

/// `vN/go.mod` is there, and not the module's.
fn unfit(place: &Place, name: &str, declared: &str, revision: &str) -> String {
    let Place { root, major, .. } = place;
    if declared.is_empty() {
        return format!("{root}/{name} is missing module path at revision {revision}");
    }
    let declared = gomod::quote(declared.as_bytes());
    format!("{root}/{name} has non-...{major} module path {declared} at revision {revision}")
}

/// The first go.mod is there, and not the module's.
fn mismatch(place: &Place, version: &str, declared: &str, revision: &str) -> String {
    let (name, major) = (place.first_file(), &place.major);
    let also = match place.second_dir() {
        Some(_) => format!(" (and ...{major}/go.mod does not exist)"),
        None => String::new(),
    };
    if declared.is_empty() {
        return format!("{name} is missing module path{also} at revision {revision}");
    }
    let quoted = gomod::quote(declared.as_bytes());
    let what = if !major.is_empty() {
        format!("has non-...{major} module path {quoted}")
    } else if gomod::path::split_major(declared).is_none() {
        format!("has malformed module path {quoted}")
    } else {
        format!("has post-{} module path {quoted}", semver::major(version))
    };
    format!("{name} {what}{also} at revision {revision}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gomod::ModulePath;

    use super::*;

    const ROOT: &str = "a.b/r";

    /// The directory at v-something of a tree with these go.mod files, or the error.
    fn at(path: &str, version: &str, files: &[(&str, &str)]) -> Result<String, String> {
        let root = if path.starts_with("gopkg.in/") { path } else { ROOT };
        let place = Place::new(&ModulePath::parse(path).unwrap(), root, "").unwrap();
        let files: BTreeMap<_, _> =
            files.iter().map(|(name, text)| (*name, Bytes::from((*text).to_owned()))).collect();
        let found = find(&place, version, |name| Ok(files.get(name).cloned()), |text| text)?;
        if let Some(go_mod) = &found.go_mod {
            let file = format!("{}/go.mod", found.dir);
            assert_eq!(files.get(file.trim_start_matches('/')), Some(go_mod));
        }
        Ok(found.dir)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands beside `no`")]
    fn ok(dir: &str) -> Result<String, String> {
        Ok(dir.to_owned())
    }

    fn no(text: &str) -> Result<String, String> {
        Err(text.to_owned())
    }

    #[test]
    fn a_module_at_the_root_needs_no_go_mod() {
        assert_eq!(at("a.b/r", "v1.0.0", &[]), ok(""));
        assert_eq!(at("gopkg.in/r.v2", "v2.0.0", &[]), ok(""));
        assert_eq!(at("a.b/r", "v1.0.0", &[("go.mod", "module other.org/fork\n")]), ok(""));
        assert_eq!(at("a.b/r", "v1.0.0", &[("go.mod", "module gopkg.in/r.v3\n")]), ok(""));
        assert_eq!(at("gopkg.in/r.v2", "v2.0.0", &[("go.mod", "module gopkg.in/r.v2\n")]), ok(""));
    }

    #[test]
    fn below_the_root_and_from_v2_on_it_must_be_there() {
        assert_eq!(
            at("a.b/r/sub", "v1.0.0", &[]),
            no("missing a.b/r/sub/go.mod at revision sub/v1.0.0")
        );
        assert_eq!(
            at("a.b/r/v2", "v2.0.0", &[]),
            no("missing a.b/r/go.mod and .../v2/go.mod at revision v2.0.0")
        );
        assert_eq!(
            at("a.b/r/sub/v2", "v2.0.0", &[]),
            no("missing a.b/r/sub/go.mod and .../v2/go.mod at revision sub/v2.0.0")
        );
    }

    #[test]
    fn either_candidate_is_taken_not_both() {
        let (one, two) = (("go.mod", "module a.b/r/v2\n"), ("v2/go.mod", "module a.b/r/v2\n"));
        assert_eq!(at("a.b/r/v2", "v2.0.0", &[one]), ok(""));
        assert_eq!(at("a.b/r/v2", "v2.0.0", &[two]), ok("v2"));
        assert_eq!(at("a.b/r/v2", "v2.0.0", &[("go.mod", "module a.b/r\n"), two]), ok("v2"));
        assert_eq!(
            at("a.b/r/v2", "v2.0.0", &[one, two]),
            no("a.b/r/go.mod and .../v2/go.mod both have .../v2 module paths at revision v2.0.0")
        );
        assert_eq!(
            at("a.b/r/x/v2", "v2.0.0", &[("x/go.mod", one.1), ("x/v2/go.mod", one.1)]),
            no("a.b/r/x/x/go.mod and .../v2/go.mod both have .../v2 module paths at revision \
                x/v2.0.0")
        );
    }

    #[test]
    fn a_second_file_that_does_not_fit_is_an_error_whatever_the_first() {
        let one = ("go.mod", "module a.b/r/v2\n");
        for files in [&[one, ("v2/go.mod", "module a.b/r\n")][..], &[("v2/go.mod", "module a.b/r")]]
        {
            assert_eq!(
                at("a.b/r/v2", "v2.0.0", files),
                no("a.b/r/v2/go.mod has non-.../v2 module path \"a.b/r\" at revision v2.0.0")
            );
        }
        assert_eq!(
            at("a.b/r/v2", "v2.0.0", &[one, ("v2/go.mod", "")]),
            no("a.b/r/v2/go.mod is missing module path at revision v2.0.0")
        );
    }

    #[test]
    fn a_first_file_that_does_not_fit_is_told_in_go_s_words() {
        for (path, version, text, told) in [
            (
                "a.b/r",
                "v1.2.3",
                "module a.b/r/v3",
                "go.mod has post-v1 module path \"a.b/r/v3\" at revision v1.2.3",
            ),
            (
                "a.b/r",
                "v0.0.0-20200102030405-0123456789ab",
                "module a.b/r/v3",
                "go.mod has post-v0 module path \"a.b/r/v3\" at revision 0123456789ab",
            ),
            (
                "a.b/r",
                "v1.2.3",
                "module a.b/r/v1",
                "go.mod has malformed module path \"a.b/r/v1\" at revision v1.2.3",
            ),
            ("a.b/r", "v1.2.3", "", "go.mod is missing module path at revision v1.2.3"),
            // A symlink yields its target: no module line.
            ("a.b/r", "v1.2.3", "../go.mod", "go.mod is missing module path at revision v1.2.3"),
            (
                "a.b/r/v2",
                "v2.0.0",
                "module a.b/r",
                "go.mod has non-.../v2 module path \"a.b/r\" (and .../v2/go.mod does not exist) at \
                 revision v2.0.0",
            ),
            (
                "a.b/r/v2",
                "v2.0.0",
                "\n",
                "go.mod is missing module path (and .../v2/go.mod does not exist) at revision \
                 v2.0.0",
            ),
            (
                "gopkg.in/r.v2",
                "v2.0.0",
                "module a.b/r",
                "go.mod has non-....v2 module path \"a.b/r\" at revision v2.0.0",
            ),
        ] {
            assert_eq!(at(path, version, &[("go.mod", text)]), no(told), "{path} {text}");
        }
    }
}
