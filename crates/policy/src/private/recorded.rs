//! What a log of our own has recorded as private, as a matcher.

use std::collections::HashSet;

use gomod::{ModulePath, path::split_major};

/// Paths that were recorded as private, and those near them that were recorded as public.
///
/// Grows with the private modules of a company, about 100 bytes each.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Without their major versions: who takes `x/v3` from elsewhere takes in who uses `x/v2`.
    private: HashSet<Box<str>>,
    public: HashSet<Box<str>>,
}

impl Recorded {
    pub(super) fn bind_private(&mut self, path: &ModulePath) {
        self.private.insert(path.split_major().0.into());
    }

    pub(super) fn bind_public(&mut self, path: &ModulePath) {
        self.public.insert(path.as_str().into());
    }

    /// The beginning of `path` that was recorded as private.
    pub(super) fn find<'a>(&self, path: &'a ModulePath) -> Option<&'a str> {
        let text = path.as_str();
        if self.private.is_empty() || self.public.contains(text) {
            return None;
        }
        let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
        let stems = ends.filter_map(|end| text.get(..end)).map(without_major);
        stems.into_iter().find(|stem| self.private.contains(*stem))
    }
}

fn without_major(path: &str) -> &str {
    split_major(path).map_or(path, |(stem, _major)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ModulePath {
        ModulePath::parse(text).unwrap()
    }

    #[test]
    fn a_record_holds_for_its_other_majors_and_for_what_is_below() {
        for recorded in ["github.com/u/root", "github.com/u/root/v3"] {
            let mut names = Recorded::default();
            names.bind_private(&path(recorded));
            for module in [
                "github.com/u/root",
                "github.com/u/root/v2",
                "github.com/u/root/sub",
                "github.com/u/root/sub/v2",
                "github.com/u/root/v2/sub",
            ] {
                assert_eq!(names.find(&path(module)), Some("github.com/u/root"), "{module}");
            }
            for module in ["github.com/u/rooted", "github.com/u/other", "github.com/v/root"] {
                assert_eq!(names.find(&path(module)), None, "{module}");
            }
        }
    }

    #[test]
    fn a_record_of_gopkg_in_holds_for_its_other_majors() {
        let mut names = Recorded::default();
        names.bind_private(&path("gopkg.in/u/x.v2"));
        assert_eq!(names.find(&path("gopkg.in/u/x.v3")), Some("gopkg.in/u/x"));
        assert_eq!(names.find(&path("gopkg.in/u/xy.v2")), None);
    }

    #[test]
    fn what_was_recorded_as_public_stays_so_beside_and_below_a_private_one() {
        let mut names = Recorded::default();
        names.bind_private(&path("a.b/c"));
        for module in ["a.b/c/v2", "a.b/c/open"] {
            names.bind_public(&path(module));
            assert_eq!(names.find(&path(module)), None, "{module}");
        }
        assert_eq!(names.find(&path("a.b/c/v3")), Some("a.b/c"));
        assert_eq!(names.find(&path("a.b/c/open/sub")), Some("a.b/c"));
    }
}
