//! Versions among tags: what a list holds, which of them is the latest, and sums over them.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use gomod::{Version, version::semver};
use sha2::{Digest, Sha256};
use vcs::{Refs, TagRef};

use super::{
    facts::Retracted,
    place::{Place, is_pseudo},
};

/// The tags of a module that are versions. Source: coderepo.go `Versions`; git.md §2.3.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tagged {
    /// Fitting the path, ascending.
    pub(crate) versions: Vec<Version>,
    /// Of a major that only `+incompatible` could allow, without that suffix, ascending.
    pub(crate) incompatible: Vec<Version>,
}

impl Tagged {
    pub(crate) fn new(place: &Place, refs: &Refs) -> Self {
        let mut tagged = Self::default();
        // `gopkg.in/x.v2-unstable` does not use the tags of `.v2`, and has none of its own.
        if place.path.as_str().starts_with("gopkg.in/") && place.major.ends_with("-unstable") {
            return tagged;
        }
        let prefix = place.tag_prefix();
        let names = refs.tags.keys().filter_map(|name| name.strip_prefix(prefix.as_str()));
        // A tag `v2.0.0+incompatible` names no version: the suffix is ours to give.
        let versions = names.filter(|text| semver::build(text).is_empty());
        for version in versions.filter_map(|text| Version::parse(text).ok()) {
            if version.is_pseudo() {
                continue;
            }
            if version.fits(&place.path) {
                tagged.versions.push(version);
            } else if place.dir.is_empty()
                && place.major.is_empty()
                && !matches!(semver::major(version.as_str()), "v0" | "v1")
            {
                tagged.incompatible.push(version);
            }
        }
        tagged.versions.sort();
        tagged.incompatible.sort();
        tagged
    }

    /// The versions whose trees say which incompatible ones are listed: the highest that fits, or
    /// else the highest of each major.
    pub(crate) fn highest_fitting(&self) -> Option<&Version> {
        self.versions.last().filter(|_| !self.incompatible.is_empty())
    }

    /// The highest incompatible version of each major, ascending.
    pub(crate) fn highest_of_majors(&self) -> Vec<&Version> {
        let major = |version: &Version| semver::major(version.as_str()).to_owned();
        let groups = self.incompatible.chunk_by(|a, b| major(a) == major(b));
        groups.filter_map(|group| group.last()).collect()
    }

    /// Everything that is listed, when these majors are left out: those whose highest version has
    /// a go.mod, or all.
    pub(crate) fn list(self, allowed: impl Fn(&str) -> bool) -> Vec<Version> {
        let mut list = self.versions;
        let more = self.incompatible.into_iter();
        let more = more.filter(|version| allowed(semver::major(version.as_str())));
        list.extend(more.filter_map(|version| format!("{version}+incompatible").parse().ok()));
        list
    }
}

/// The version whose go.mod tells what is retracted when a commit is named: the highest release,
/// else the highest prerelease, incompatible ones left aside. Source: coderepo.go
/// `retractedVersions`.
pub(crate) fn retracting(list: &[Version]) -> Option<&Version> {
    let end = list.iter().position(Version::is_incompatible).unwrap_or(list.len());
    let list = list.get(..end).unwrap_or(list);
    list.iter().rfind(|version| !version.is_prerelease()).or_else(|| list.last())
}

/// What the choice of the latest version still has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This one, `None` where the list holds none.
    Is(Option<Version>),
    /// Whether this version has a go.mod.
    HasGoMod(Version),
}

/// Chooses the highest release, else the highest prerelease, that is not retracted; incompatible
/// ones only when the highest compatible one has no go.mod.
///
/// `has_go_mod` is the answer to [`Choice::HasGoMod`], once it is known. Source: modload/query.go
/// `queryMatcher.filterVersions`; git.md §2.4.
pub(crate) fn latest(list: &[Version], retracted: &Retracted, has_go_mod: Option<bool>) -> Choice {
    let allowed: Vec<_> =
        list.iter().filter(|version| !retracted.covers(version.as_str())).collect();
    let mut considered = &allowed[..];
    if let Some(first) = allowed.iter().position(|version| version.is_incompatible())
        && let Some((compatible, _)) = allowed.split_at_checked(first)
        && let Some(last) = compatible.last()
    {
        match has_go_mod {
            None => return Choice::HasGoMod((*last).clone()),
            Some(true) => considered = compatible,
            Some(false) => {}
        }
    }
    let release = considered.iter().rfind(|version| !version.is_prerelease());
    Choice::Is(release.or_else(|| considered.last()).map(|version| (*version).clone()))
}

/// The commit or other object that a tag leads to.
pub(crate) fn peeled(tag: &TagRef) -> &vcs::ObjectId {
    tag.peeled.as_ref().unwrap_or(&tag.object)
}

/// The tag prefix that the version of a commit depends on. Source: coderepo.go `convert`.
pub(crate) fn origin_prefix(place: &Place) -> String {
    let major = place.major.get(1..).filter(|major| !major.is_empty());
    let major = major.map(|major| format!("{major}.")).unwrap_or_default();
    format!("{}{major}", place.tag_prefix())
}

/// Sums up the tags with a prefix that matter to versions, with their commits.
///
/// Source: codehost/git.go `Tags`, codehost.go `isOriginTag`; protocol.md §12.
pub(crate) fn tag_sum(tags: &BTreeMap<String, TagRef>, prefix: &str) -> String {
    let folder = prefix.rfind('/').map_or("", |slash| prefix.get(..=slash).unwrap_or_default());
    let mut sum = Sha256::new();
    let from = tags.range(prefix.to_owned()..);
    for (name, tag) in from.take_while(|(name, _)| name.starts_with(prefix)) {
        let text = name.strip_prefix(folder).unwrap_or(name);
        let counts = semver::canonical(text).is_some_and(|version| text.starts_with(&*version));
        if counts && !is_pseudo(text) {
            let line = format!("{} {}\n", gomod::quote(name.as_bytes()), peeled(tag).as_str());
            sum.update(line);
        }
    }
    format!("t1:{}", STANDARD.encode(sum.finalize()))
}

#[cfg(test)]
mod tests {
    use gomod::ModulePath;
    use vcs::ObjectId;

    use super::*;

    fn refs(tags: &[&str]) -> Refs {
        let object = ObjectId::parse(&"0123456789".repeat(4)).unwrap();
        let tag =
            |name: &&str| ((*name).to_owned(), TagRef { object: object.clone(), peeled: None });
        Refs { tags: tags.iter().map(tag).collect(), ..Refs::default() }
    }

    fn tagged(path: &str, root: &str, tags: &[&str]) -> Tagged {
        let place = Place::new(&ModulePath::parse(path).unwrap(), root, "").unwrap();
        Tagged::new(&place, &refs(tags))
    }

    fn texts(versions: &[Version]) -> Vec<&str> {
        versions.iter().map(Version::as_str).collect()
    }

    fn versions(texts: &[&str]) -> Vec<Version> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn tags_that_are_versions_of_the_module_are_listed_in_order() {
        let tags = [
            "v1.10.0",
            "v1.9.0",
            "v1.2",
            "v1.3.0+meta",
            "v0.1.0-rc.1",
            "1.0.0",
            "release",
            "sub/v1.0.0",
            "v0.0.0-20200102030405-0123456789ab",
            "v2.0.0+incompatible",
        ];
        let found = tagged("a.b/r", "a.b/r", &tags);
        assert_eq!(texts(&found.versions), ["v0.1.0-rc.1", "v1.9.0", "v1.10.0"]);
        assert!(found.incompatible.is_empty());
        let found = tagged("a.b/r/sub", "a.b/r", &tags);
        assert_eq!(texts(&found.versions), ["v1.0.0"]);
    }

    #[test]
    fn majors_go_to_their_own_paths() {
        let tags = ["v1.0.0", "v2.0.0", "v3.0.0", "client/v3.5.9", "client/v2.0.0"];
        assert_eq!(texts(&tagged("a.b/r/v2", "a.b/r", &tags).versions), ["v2.0.0"]);
        assert_eq!(texts(&tagged("a.b/r/client/v3", "a.b/r", &tags).versions), ["v3.5.9"]);
        // Below the root there is nothing incompatible.
        assert_eq!(tagged("a.b/r/client", "a.b/r", &tags), Tagged::default());
        let unstable = tagged("gopkg.in/r.v2-unstable", "gopkg.in/r.v2-unstable", &tags);
        assert_eq!(unstable, Tagged::default());
        let stable = tagged("gopkg.in/r.v2", "gopkg.in/r.v2", &tags);
        assert_eq!(texts(&stable.versions), ["v2.0.0"]);
    }

    #[test]
    fn the_highest_of_each_major_speaks_for_it() {
        let found = tagged("a.b/r", "a.b/r", &["v2.0.0", "v2.1.0", "v3.0.0-rc.1", "v10.0.0"]);
        let asked: Vec<_> = found.highest_of_majors().into_iter().map(Version::as_str).collect();
        assert_eq!(asked, ["v2.1.0", "v3.0.0-rc.1", "v10.0.0"]);
        assert_eq!(found.highest_fitting(), None);
        let list = found.list(|major| major != "v3");
        let all = ["v2.0.0+incompatible", "v2.1.0+incompatible", "v10.0.0+incompatible"];
        assert_eq!(texts(&list), all);
    }

    #[test]
    fn the_newest_release_tells_what_is_retracted() {
        let of = |list: &[&str]| retracting(&versions(list)).map(ToString::to_string);
        assert_eq!(of(&["v1.0.0", "v1.1.0-rc.1"]).as_deref(), Some("v1.0.0"));
        assert_eq!(of(&["v0.1.0-a", "v0.1.0-b"]).as_deref(), Some("v0.1.0-b"));
        assert_eq!(of(&["v1.0.0", "v2.0.0+incompatible"]).as_deref(), Some("v1.0.0"));
        assert_eq!(of(&["v2.0.0+incompatible"]), None);
        assert_eq!(of(&[]), None);
    }

    fn chosen(list: &[&str], retract: &str, has_go_mod: Option<bool>) -> Choice {
        let retracted = Retracted::of(format!("module a.b/r\n{retract}\n").as_bytes());
        latest(&versions(list), &retracted, has_go_mod)
    }

    fn is(version: &str) -> Choice {
        Choice::Is(Some(version.parse().unwrap()))
    }

    #[test]
    fn the_latest_is_a_release_that_is_not_retracted() {
        let list = ["v1.0.0", "v1.1.0", "v1.2.0-rc.1"];
        assert_eq!(chosen(&list, "", None), is("v1.1.0"));
        assert_eq!(chosen(&list, "retract v1.1.0", None), is("v1.0.0"));
        assert_eq!(chosen(&list, "retract [v1.0.0, v1.1.0]", None), is("v1.2.0-rc.1"));
        assert_eq!(chosen(&list, "retract [v0.0.0, v9.0.0]", None), Choice::Is(None));
        assert_eq!(chosen(&[], "", None), Choice::Is(None));
    }

    #[test]
    fn incompatible_versions_count_unless_the_last_compatible_one_has_a_go_mod() {
        let list = ["v1.0.0", "v1.1.0-rc.1", "v2.0.0+incompatible"];
        let asked = Choice::HasGoMod("v1.1.0-rc.1".parse().unwrap());
        assert_eq!(chosen(&list, "", None), asked);
        assert_eq!(chosen(&list, "", Some(true)), is("v1.0.0"));
        assert_eq!(chosen(&list, "", Some(false)), is("v2.0.0+incompatible"));
        assert_eq!(chosen(&list[2..], "", None), is("v2.0.0+incompatible"));
    }

    #[test]
    fn the_sum_of_tags_is_go_s() {
        let empty = "t1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(tag_sum(&refs(&[]).tags, ""), empty);
        let noise = refs(&["x", "v1", "v0.0.0-20200102030405-0123456789ab", "sub/v1.0.0"]);
        assert_eq!(tag_sum(&noise.tags, ""), empty);
        // Of the line `"v1.0.0" 0123…`.
        let line = format!("\"v1.0.0\" {}\n", "0123456789".repeat(4));
        let sum = format!("t1:{}", STANDARD.encode(Sha256::digest(line)));
        assert_eq!(tag_sum(&refs(&["v1.0.0", "sub/v1.0.0"]).tags, ""), sum);
        let meta = refs(&["v1.0.0", "v1.0.0+meta"]);
        assert_ne!(tag_sum(&meta.tags, ""), sum);
        assert_ne!(tag_sum(&meta.tags, ""), empty);
    }

    #[test]
    fn the_prefix_of_the_sum_names_directory_and_major() {
        let prefix = |path, root| {
            origin_prefix(&Place::new(&ModulePath::parse(path).unwrap(), root, "").unwrap())
        };
        assert_eq!(prefix("a.b/r", "a.b/r"), "");
        assert_eq!(prefix("a.b/r/v2", "a.b/r"), "v2.");
        assert_eq!(prefix("a.b/r/sub/v2", "a.b/r"), "sub/v2.");
        assert_eq!(prefix("gopkg.in/y.v1", "gopkg.in/y.v1"), "v1.");
    }
}
