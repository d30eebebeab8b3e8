//! From a commit to the version that names it. Source: coderepo.go `convert`; git.md §2.5.

use std::cmp::Ordering;

use gomod::{Version, version::semver};

use super::{
    facts::{Facts, Invalid, Stop},
    find::{Found, find},
    place::is_pseudo,
    pseudo,
};

/// A commit's version, and where the module lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) version: String,
    pub(crate) found: Found,
}

/// A tag of the module, read as a version.
struct Tag {
    /// Canonical, without build metadata.
    version: String,
    /// Whether the tag says just that.
    canonical: bool,
}

/// Names the facts' commit, which was found by `query`; `""` is the head of the default branch.
///
/// # Errors
///
/// [`Stop::Need`] while a fact is missing, [`Stop::Invalid`] when no version of the module is there.
pub(crate) fn convert(facts: &Facts<'_>, query: &str) -> Result<Named, Stop> {
    if is_pseudo(query) {
        // Directory and major first: they need no history.
        let named = canonical(facts, query, query)?;
        pseudo::validate(facts, query)?;
        return Ok(named);
    }
    // Named by a tag, that is its version, unless it cannot be the module's.
    if let Some(tag) = named_tag(facts).and_then(|name| tag(facts, name))
        && tag.canonical
    {
        match canonical(facts, &tag.version, query) {
            Err(Stop::Invalid(_)) => {}
            other => return other,
        }
    }
    let mut highest = "";
    let mut base = None;
    let tags: Vec<_> = facts.commit.tags.iter().filter_map(|name| tag(facts, name)).collect();
    for tag in &tags {
        if !query.is_empty() && semver::compare(&tag.version, query) == Ordering::Equal {
            if tag.canonical {
                return canonical(facts, &tag.version, query);
            }
            // `v1.0.0+a` and `v1.0.0+b` may be two commits: not a version, but a base.
            base = Some(tag.version.clone());
        }
        let higher = semver::compare(highest, &tag.version) == Ordering::Less;
        if tag.canonical && higher && is_usable(facts, &tag.version, query)? {
            highest = &tag.version;
        }
    }
    if !highest.is_empty() {
        return canonical(facts, highest, query);
    }
    if base.is_none() {
        base = highest_behind(facts, query)?;
    }
    let version = pseudo::version(facts, base.as_deref())?;
    canonical(facts, &version, query)
}

/// The tag that the revision was named by, without `refs/tags/`.
fn named_tag<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    facts.commit.named_by.as_deref()?.strip_prefix("refs/tags/")
}

/// Reads a tag as a version of the module. Source: coderepo.go `tagToVersion`.
fn tag(facts: &Facts<'_>, name: &str) -> Option<Tag> {
    // The whole name, prefix and all, as Go asks: a pseudo-version below a directory passes.
    if is_pseudo(name) {
        return None;
    }
    let prefix = facts.place.tag_prefix();
    let text = name.strip_prefix(prefix.as_str())?;
    let version = semver::canonical(text)?;
    // `v1.2` is filled up to another text and is no version.
    let rest = text.strip_prefix(&*version)?;
    Some(Tag { canonical: rest.is_empty(), version: version.into_owned() })
}

/// Whether a tag's version may name a commit of its own accord: it fits, or may be incompatible,
/// and is not retracted.
fn is_usable(facts: &Facts<'_>, version: &str, query: &str) -> Result<bool, Stop> {
    if facts.retracted()?.covers(version) {
        return Ok(false);
    }
    Ok(facts.place.fits(version) || may_be_incompatible(facts, version, query)?)
}

/// The highest, not the nearest, usable version among the tags of the commit and its ancestors.
fn highest_behind(facts: &Facts<'_>, query: &str) -> Result<Option<String>, Stop> {
    let mut highest = String::new();
    // Without any tag that could be a version there is no history to ask for.
    let mut names = facts.refs.tags.keys();
    if !names.any(|name| tag(facts, name).is_some()) {
        return Ok(None);
    }
    for tag in facts.behind()?.iter().filter_map(|name| tag(facts, name)) {
        let higher = semver::compare(&highest, &tag.version) == Ordering::Less;
        if higher && is_usable(facts, &tag.version, query)? {
            highest = tag.version;
        }
    }
    Ok(Some(highest).filter(|version| !version.is_empty()))
}

/// Whether a major above 1 may stand below a path without one: nothing says that the tree is a
/// module. Source: coderepo.go `canUseIncompatible`.
fn may_be_incompatible(facts: &Facts<'_>, version: &str, query: &str) -> Result<bool, Stop> {
    if !facts.place.dir.is_empty() || !facts.place.major.is_empty() {
        return Ok(false);
    }
    if facts.file("go.mod")?.is_some() {
        return Ok(false);
    }
    // Older `go` commands did not look below: who asks for it by name gets it (go.dev/issue/51324).
    if version.is_empty() || query.ends_with("+incompatible") {
        return Ok(true);
    }
    Ok(facts.file(&format!("{}/go.mod", semver::major(version)))?.is_none())
}

/// Checks that a version can be the module's, and gives or refuses it its `+incompatible`.
///
/// Source: coderepo.go `checkCanonical`.
fn canonical(facts: &Facts<'_>, version: &str, query: &str) -> Result<Named, Stop> {
    let place = facts.place;
    let missing = |reason| Invalid::version(version, reason).into();
    let found = find(place, version, |path| facts.file(path), missing)?;
    let plain = |version: &str| version.trim_end_matches("+incompatible").to_owned();
    let mut version = if version == plain(query) { query } else { version }.to_owned();
    let base = plain(&version);
    let mut refused = None;
    if !place.fits(&base) {
        if may_be_incompatible(facts, &base, query)? {
            version = format!("{base}+incompatible");
        } else if place.major.is_empty() {
            let major = semver::major(&version);
            let wanted = gomod::quote(format!("{}/{major}", place.prefix).as_bytes());
            refused = Some(format!(
                "module contains a go.mod file, so module path must match major version ({wanted})"
            ));
        } else {
            let reason = "module path includes a major version suffix, so major version must match";
            refused = Some(reason.to_owned());
        }
    } else if version.ends_with("+incompatible") {
        let major = semver::major(&version);
        refused =
            Some(format!("+incompatible suffix not allowed: major version {major} is compatible"));
    }
    // A branch must never stand in for the version that it is named like (CVE-2022-23773).
    if Version::parse(query).is_ok() && plain(query) != base {
        let reason = format!("resolves to version {version} ({} is not a tag)", plain(query));
        return Err(Invalid::version(query, reason).into());
    }
    match refused {
        Some(reason) => Err(Invalid::version(&version, reason).into()),
        None => Ok(Named { version, found }),
    }
}
