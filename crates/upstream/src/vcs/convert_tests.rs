//! Names of commits, as Go's coderepo.go gives them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use gomod::ModulePath;
use units::Timestamp;
use vcs::{Commit, ObjectId, Refs, TagRef};

use super::{
    convert::convert,
    facts::{Fact, Facts, Need, Retracted, Stop},
    place::Place,
};

const ID: &str = "0123456789abcdef0123456789abcdef01234567";
const STAMP: &str = "20200102030405";
const SHORT: &str = "0123456789ab";

/// One commit of a repository `a.b/r`.
#[derive(Default)]
struct World {
    path: Option<&'static str>,
    files: BTreeMap<&'static str, &'static str>,
    /// On the commit.
    here: Vec<&'static str>,
    /// On its ancestors.
    behind: Vec<&'static str>,
    /// On other commits.
    elsewhere: Vec<&'static str>,
    named_by: Option<&'static str>,
    retract: &'static str,
}

impl World {
    /// The version, or the whole line of the refusal.
    fn names(&self, query: &str) -> Result<String, String> {
        self.asking(query).0
    }

    fn asking(&self, query: &str) -> (Result<String, String>, Vec<Need>) {
        let path = ModulePath::parse(self.path.unwrap_or("a.b/r")).unwrap();
        let root = if path.as_str().starts_with("gopkg.in/") { path.as_str() } else { "a.b/r" };
        let place = Place::new(&path, root, "").unwrap();
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let id = ObjectId::parse(ID).unwrap();
        let commit = Commit {
            id: id.clone(),
            time: Timestamp::parse_rfc3339("2020-01-02T03:04:05Z").unwrap(),
            named_by: self.named_by.map(str::to_owned),
            tags: Arc::from(owned(&self.here)),
        };
        let all = [&self.here[..], &self.behind, &self.elsewhere].concat();
        let tag = TagRef { object: id, peeled: None };
        let tags = all.iter().map(|name| ((*name).to_owned(), tag.clone())).collect();
        let refs = Refs { tags, ..Refs::default() };
        let mut facts = Facts::new(&place, &commit, &refs);
        let mut needs = Vec::new();
        let result = loop {
            let need = match convert(&facts, query) {
                Ok(named) => break Ok(named.version),
                Err(Stop::Invalid(invalid)) => break Err(invalid.text(&path)),
                Err(Stop::Need(need)) => need,
            };
            assert!(!needs.contains(&need), "{need:?} twice");
            needs.push(need.clone());
            let fact = match &need {
                Need::File(name) => {
                    let text = self.files.get(name.as_str());
                    Fact::File(text.map(|text| Bytes::from(text.as_bytes().to_vec())))
                }
                Need::Retracted => {
                    let go_mod = format!("module a.b/r\n{}\n", self.retract);
                    Fact::Retracted(Retracted::of(go_mod.as_bytes()))
                }
                Need::Behind => Fact::Behind(owned(&[&self.here[..], &self.behind].concat())),
                Need::Descends(tag) => Fact::Descends(!self.elsewhere.contains(&tag.as_str())),
            };
            facts.note(need, fact);
        };
        (result, needs)
    }
}

fn root_mod() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("go.mod", "module a.b/r\n")])
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside `no`")]
fn ok(version: &str) -> Result<String, String> {
    Ok(version.replace("T-H", &format!("{STAMP}-{SHORT}")))
}

fn no(text: &str) -> Result<String, String> {
    Err(text.replace("T-H", &format!("{STAMP}-{SHORT}")).replace("HASH", SHORT))
}

/// A query about a pseudo-version of the commit.
fn at(version: &str) -> String {
    version.replace("T-H", &format!("{STAMP}-{SHORT}"))
}

#[test]
fn a_tag_of_the_module_is_its_version_without_asking_for_history() {
    let world = World {
        files: root_mod(),
        here: vec!["v1.2.3"],
        named_by: Some("refs/tags/v1.2.3"),
        ..World::default()
    };
    let (named, needs) = world.asking("v1.2.3");
    assert_eq!(named, ok("v1.2.3"));
    assert_eq!(needs, [Need::File("go.mod".to_owned())]);
}

#[test]
fn a_branch_takes_the_highest_usable_tag_of_its_commit() {
    let here = vec!["v1.0.0", "v1.1.0-rc.1", "v1.2", "v1.3.0+meta", "sub/v9.0.0", "v2.0.0", "x"];
    let world =
        World { files: root_mod(), here, named_by: Some("refs/heads/main"), ..World::default() };
    assert_eq!(world.names("main"), ok("v1.1.0-rc.1"));
    let retracted = World { retract: "retract v1.1.0-rc.1", ..world };
    assert_eq!(retracted.names("main"), ok("v1.0.0"));
}

#[test]
fn without_a_tag_the_base_is_the_highest_behind_not_the_nearest() {
    let world = |behind: &[&'static str]| World {
        files: root_mod(),
        behind: behind.to_vec(),
        named_by: Some("refs/heads/main"),
        ..World::default()
    };
    assert_eq!(world(&[]).names("main"), ok("v0.0.0-T-H"));
    assert_eq!(world(&["v1.0.0", "v1.10.0", "v1.9.0"]).names("main"), ok("v1.10.1-0.T-H"));
    assert_eq!(world(&["v1.0.0-rc.1"]).names("main"), ok("v1.0.0-rc.1.0.T-H"));
    assert_eq!(world(&["v1.0.0+meta"]).names("main"), ok("v1.0.1-0.T-H"));
    assert_eq!(world(&["v2.0.0", "v1.0.0"]).names("main"), ok("v1.0.1-0.T-H"));
    assert_eq!(world(&["v0.0.0-20200101000000-aaaaaaaaaaaa"]).names("main"), ok("v0.0.0-T-H"));
    let retracted = World { retract: "retract v1.9.0", ..world(&["v1.0.0", "v1.9.0"]) };
    assert_eq!(retracted.names("main"), ok("v1.0.1-0.T-H"));
    let elsewhere = World { elsewhere: vec!["v1.0.0"], ..world(&[]) };
    assert_eq!(elsewhere.names("main"), ok("v0.0.0-T-H"));
    // No tag could be a version: no history is asked for.
    let (_, needs) = world(&["x", "sub/v1.0.0"]).asking("main");
    assert_eq!(needs, [Need::File("go.mod".to_owned())]);
}

#[test]
fn tags_with_build_metadata_are_bases_and_no_versions() {
    let world = World {
        files: root_mod(),
        here: vec!["v1.0.0+a", "v1.1.0+b"],
        behind: vec!["v1.5.0"],
        named_by: Some("refs/tags/v1.0.0+a"),
        ..World::default()
    };
    assert_eq!(world.names("v1.0.0+a"), ok("v1.0.1-0.T-H"));
    // Asked for by another name, it is one of the tags behind.
    assert_eq!(World { named_by: None, ..world }.names("main"), ok("v1.5.1-0.T-H"));
}

#[test]
fn a_branch_never_stands_in_for_a_version() {
    let world =
        World { files: root_mod(), named_by: Some("refs/heads/v1.2.3"), ..World::default() };
    let told =
        "a.b/r@v1.2.3: invalid version: resolves to version v0.0.0-T-H (v1.2.3 is not a tag)";
    assert_eq!(world.names("v1.2.3"), no(told));
    let tagged = World { here: vec!["v1.0.0"], ..world };
    let told = "a.b/r@v1.2.3: invalid version: resolves to version v1.0.0 (v1.2.3 is not a tag)";
    assert_eq!(tagged.names("v1.2.3"), no(told));
    // A short one is no version, and may be a branch.
    let short = World {
        files: root_mod(),
        named_by: Some("refs/heads/v1"),
        behind: vec!["v1.0.0"],
        ..World::default()
    };
    assert_eq!(short.names("v1"), ok("v1.0.1-0.T-H"));
}

#[test]
fn a_major_without_its_path_is_incompatible_or_refused() {
    let bare =
        World { here: vec!["v2.0.0"], named_by: Some("refs/tags/v2.0.0"), ..World::default() };
    assert_eq!(bare.names("v2.0.0"), ok("v2.0.0+incompatible"));
    assert_eq!(bare.names("v2.0.0+incompatible"), ok("v2.0.0+incompatible"));
    assert_eq!(bare.names(&"0".repeat(40)), ok("v2.0.0+incompatible"));
    let module = World { files: root_mod(), ..bare };
    let told = "a.b/r@v2.0.0: invalid version: module contains a go.mod file, so module path must \
                match major version (\"a.b/r/v2\")";
    assert_eq!(module.names("v2.0.0"), no(told));
    let told = "a.b/r@v2.0.0+incompatible: invalid version: module contains a go.mod file, so \
                module path must match major version (\"a.b/r/v2\")";
    assert_eq!(module.names("v2.0.0+incompatible"), no(told));
    assert_eq!(module.names("main"), ok("v0.0.0-T-H"));
}

#[test]
fn a_go_mod_below_its_major_forbids_incompatible_unless_it_is_asked_for() {
    let world = World {
        files: BTreeMap::from([("v2/go.mod", "module a.b/r/v2\n")]),
        here: vec!["v2.0.0"],
        named_by: Some("refs/tags/v2.0.0"),
        ..World::default()
    };
    assert!(world.names("v2.0.0").unwrap_err().contains("must match major version"));
    assert_eq!(world.names("v2.0.0+incompatible"), ok("v2.0.0+incompatible"));
}

#[test]
fn a_suffix_that_is_not_needed_or_a_major_that_does_not_match_is_refused() {
    let one =
        World { here: vec!["v1.0.0"], named_by: Some("refs/tags/v1.0.0"), ..World::default() };
    let told = "a.b/r@v1.0.0+incompatible: invalid version: +incompatible suffix not allowed: \
                major version v1 is compatible";
    assert_eq!(one.names("v1.0.0+incompatible"), no(told));
    let two = World {
        path: Some("a.b/r/v2"),
        files: BTreeMap::from([("go.mod", "module a.b/r/v2\n")]),
        here: vec!["v1.0.0"],
        named_by: Some("refs/tags/v1.0.0"),
        ..World::default()
    };
    let told = "a.b/r/v2@v1.0.0: invalid version: module path includes a major version suffix, so \
                major version must match";
    assert_eq!(two.names("v1.0.0"), no(told));
    assert_eq!(two.names("main"), ok("v2.0.0-T-H"));
}

#[test]
fn modules_below_the_root_have_their_own_tags() {
    let world = World {
        path: Some("a.b/r/sub"),
        files: BTreeMap::from([("sub/go.mod", "module a.b/r/sub\n")]),
        here: vec!["v5.0.0", "sub/v1.0.0", "sub/v2.0.0"],
        named_by: Some("refs/heads/main"),
        ..World::default()
    };
    assert_eq!(world.names("main"), ok("v1.0.0"));
    let missing = World { files: root_mod(), ..world };
    let told = "a.b/r/sub@v1.0.0: invalid version: missing a.b/r/sub/go.mod at revision sub/v1.0.0";
    assert_eq!(missing.names("main"), no(told));
}

#[test]
fn gopkg_in_takes_what_its_major_says() {
    let world = World {
        path: Some("gopkg.in/y.v1"),
        named_by: Some("HEAD"),
        behind: vec!["v0.9.0", "v2.0.0"],
        ..World::default()
    };
    assert_eq!(world.names(""), ok("v1.0.0-T-H"));
    assert_eq!(world.names(&at("v0.0.0-T-H")), ok("v0.0.0-T-H"));
}

#[test]
fn a_pseudo_version_tells_its_commit_exactly() {
    let world = World { files: root_mod(), ..World::default() };
    assert_eq!(world.names(&at("v0.0.0-T-H")), ok("v0.0.0-T-H"));
    for (query, reason) in [
        (
            "v0.0.0-20200102030405-0123456",
            "revision is shorter than canonical (expected 0123456789ab)",
        ),
        (
            "v0.0.0-20200102030405-0123456789abcd",
            "revision is longer than canonical (expected 0123456789ab)",
        ),
        (
            "v0.0.0-20200102030405-abcdefabcdef",
            "does not match short name of revision (expected 0123456789ab)",
        ),
        (
            "v0.0.0-20200102030406-0123456789ab",
            "does not match version-control timestamp (expected 20200102030405)",
        ),
        ("v0.0.0-20201302030405-0123456789ab", "malformed time \"20201302030405\""),
        (
            "v1.0.0-20200102030405-0123456789ab",
            "major version without preceding tag must be v0, not v1",
        ),
        (
            "v1.0.0-0.20200102030405-0123456789ab",
            "version before v1.0.0 would have negative patch number",
        ),
        (
            "v0.0.0-20200102030405-0123456789ab+meta",
            "lacks base version, but has build metadata \"+meta\"",
        ),
        ("v1.0.1-0.20200102030405-0123456789ab", "preceding tag (v1.0.0) not found"),
    ] {
        let told = format!("a.b/r@{query}: invalid pseudo-version: {reason}");
        assert_eq!(world.names(query), Err(told), "{query}");
    }
}

#[test]
fn the_base_of_a_pseudo_version_is_an_ancestor_s_tag_and_not_the_commit_s_own() {
    let world = |here, behind, elsewhere| World {
        files: root_mod(),
        here,
        behind,
        elsewhere,
        ..World::default()
    };
    let query = at("v1.0.1-0.T-H");
    assert_eq!(world(vec![], vec!["v1.0.0"], vec![]).names(&query), ok("v1.0.1-0.T-H"));
    // It need not be the highest.
    let lower = world(vec![], vec!["v1.0.0", "v1.5.0"], vec![]);
    assert_eq!(lower.names(&query), ok("v1.0.1-0.T-H"));
    let same = world(vec!["v1.0.0"], vec![], vec![]);
    let told = "a.b/r@v1.0.1-0.T-H: invalid pseudo-version: tag (v1.0.0) found on revision HASH is \
                already canonical, so should not be replaced with a pseudo-version derived from \
                that tag";
    assert_eq!(same.names(&query), no(told));
    let meta = world(vec!["v1.0.0+meta"], vec![], vec![]);
    assert_eq!(meta.names(&query), ok("v1.0.1-0.T-H"));
    let other = world(vec![], vec![], vec!["v1.0.0", "v1.0.0+x"]);
    let told = "a.b/r@v1.0.1-0.T-H: invalid pseudo-version: revision HASH is not a descendent of \
                preceding tag (v1.0.0+x)";
    assert_eq!(other.names(&query), no(told));
    let one_of_two = world(vec![], vec!["v1.0.0+x"], vec!["v1.0.0"]);
    assert_eq!(one_of_two.names(&query), ok("v1.0.1-0.T-H"));
    let pre = world(vec![], vec!["v1.0.0-rc.1"], vec![]);
    assert_eq!(pre.names(&at("v1.0.0-rc.1.0.T-H")), ok("v1.0.0-rc.1.0.T-H"));
}

#[test]
fn directory_and_major_of_a_pseudo_version_come_before_its_history() {
    let world = World { path: Some("a.b/r/sub"), ..World::default() };
    let (told, needs) = world.asking(&at("v1.0.1-0.T-H"));
    let text = "a.b/r/sub@v1.0.1-0.T-H: invalid version: missing a.b/r/sub/go.mod at revision HASH";
    assert_eq!(told, no(text));
    assert_eq!(needs, [Need::File("sub/go.mod".to_owned())]);
}

#[test]
fn an_old_oddity_stays() {
    let world = World::default();
    assert_eq!(world.names(&at("v2.0.0-T-H")), ok("v2.0.0-T-H+incompatible"));
    assert_eq!(world.names(&at("v2.0.0-T-H+incompatible")), ok("v2.0.0-T-H+incompatible"));
}
