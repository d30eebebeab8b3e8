//! Pseudo-versions: made for a commit, and checked against it. Source: coderepo.go
//! `validatePseudoVersion`; git.md §2.6.

use std::cmp::Ordering;

use gomod::{Version, version::semver};

use super::facts::{Facts, Invalid, Stop};

/// Names the facts' commit after a base, the canonical version of a tag, if there is one.
///
/// # Errors
///
/// [`Stop::Invalid`] for a commit time that is no four-digit year: no version can hold it.
pub(crate) fn version(facts: &Facts<'_>, base: Option<&str>) -> Result<String, Stop> {
    let (major, stamp) = (facts.place.pseudo_major(), facts.stamp());
    match Version::pseudo(major, base, &stamp, facts.short()) {
        Ok(version) => Ok(version.to_string()),
        Err(error) => Err(Invalid::version(facts.commit.id.as_str(), error.to_string()).into()),
    }
}

/// Checks what a pseudo-version says of the commit that its revision names.
///
/// # Errors
///
/// [`Stop::Need`] while a fact is missing, [`Stop::Invalid`] with Go's reason.
pub(crate) fn validate(facts: &Facts<'_>, version: &str) -> Result<(), Stop> {
    let invalid = |reason: String| {
        Stop::Invalid(Invalid { version: version.to_owned(), pseudo: true, reason })
    };
    let plain = version.strip_suffix("+incompatible").unwrap_or(version);
    let build = semver::build(plain);
    let parsed = Version::parse(plain.strip_suffix(build).unwrap_or(plain));
    let Some((parsed, revision)) =
        parsed.ok().and_then(|v| v.pseudo_revision().map(str::to_owned).map(|r| (v, r)))
    else {
        return Err(invalid("syntax error".to_owned()));
    };
    check_commit(facts, &parsed, &revision).map_err(&invalid)?;
    let base = match parsed.pseudo_base() {
        Err(_) => {
            let before = plain.split('-').next().unwrap_or(plain);
            let reason = format!("version before {before} would have negative patch number");
            return Err(invalid(reason));
        }
        Ok(None) if !build.is_empty() => {
            let build = gomod::quote(build.as_bytes());
            return Err(invalid(format!("lacks base version, but has build metadata {build}")));
        }
        Ok(None) => {
            let unsuffixed = facts.place.pseudo_major().is_empty();
            if unsuffixed && semver::major(version) == "v1" {
                let reason = "major version without preceding tag must be v0, not v1";
                return Err(invalid(reason.to_owned()));
            }
            return Ok(());
        }
        Ok(Some(base)) => format!("{base}{build}"),
    };
    let prefix = facts.place.tag_prefix();
    let on_commit = |tag: &&String| tag.strip_prefix(prefix.as_str()).unwrap_or(tag) == base;
    if let Some(tag) = facts.commit.tags.iter().find(on_commit) {
        return Err(invalid(format!(
            "tag ({tag}) found on revision {revision} is already canonical, so should not be \
             replaced with a pseudo-version derived from that tag"
        )));
    }
    check_ancestor(facts, &base, &revision, invalid)
}

/// Revision and time are the commit's.
fn check_commit(facts: &Facts<'_>, version: &Version, revision: &str) -> Result<(), String> {
    let short = facts.short();
    if revision != short {
        let what = if revision.starts_with(short) {
            "revision is longer than canonical"
        } else if short.starts_with(revision) {
            "revision is shorter than canonical"
        } else {
            "does not match short name of revision"
        };
        return Err(format!("{what} (expected {short})"));
    }
    let stamp = facts.stamp();
    match version.pseudo_time() {
        None => Err(format!("malformed time {}", gomod::quote(digits(version).as_bytes()))),
        Some(time) if time != stamp => {
            Err(format!("does not match version-control timestamp (expected {stamp})"))
        }
        Some(_) => Ok(()),
    }
}

/// The fourteen digits before the revision, which are no time.
fn digits(version: &Version) -> &str {
    let text = version.as_str().split('+').next().unwrap_or_default();
    let before = text.rsplit_once('-').map_or("", |(before, _)| before);
    before.rsplit(['-', '.']).next().unwrap_or_default()
}

/// A tag of the base's precedence is behind the commit; not necessarily the highest there.
fn check_ancestor(
    facts: &Facts<'_>,
    base: &str,
    revision: &str,
    invalid: impl Fn(String) -> Stop,
) -> Result<(), Stop> {
    let prefix = facts.place.tag_prefix();
    let start = format!("{prefix}{base}");
    let names = facts.refs.tags.range(start.clone()..).map(|(name, _)| name);
    let candidates = names.take_while(|name| name.starts_with(&start)).filter(|name| {
        let version = name.strip_prefix(prefix.as_str()).unwrap_or(name);
        semver::compare(version, base) == Ordering::Equal
    });
    let mut last = None;
    for tag in candidates {
        if facts.descends(tag)? {
            return Ok(());
        }
        last = Some(tag);
    }
    Err(invalid(match last {
        None => format!("preceding tag ({base}) not found"),
        Some(tag) => format!("revision {revision} is not a descendent of preceding tag ({tag})"),
    }))
}
