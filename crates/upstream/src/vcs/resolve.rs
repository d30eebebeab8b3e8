//! From a query to a version: the facts are fetched that the decisions ask for.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Query, Version, modfile, version::semver};
use vcs::{Commit, Freshness, ObjectId, Refs};

use super::{
    VcsSource,
    convert::{Named, convert},
    facts::{Fact, Facts, Invalid, Need, Retracted, Stop},
    find::{Found, find},
    locate::Home,
    origin::{self, Provenance},
    pins::Pin,
    place::is_pseudo,
    tags::{self, Choice, Tagged},
    trouble::Fail,
};
use crate::Info;

/// The shortest hash that may name a commit. Source: codehost/git.go `minHashDigits`.
const MIN_HASH_DIGITS: usize = 7;

/// How old the list of tags may be by which a version is found that was never served; for as long,
/// many versions of a repository cost one question. Source: git.md §4.3.
const TAGS_FRESH: Duration = Duration::from_mins(1);

/// A commit and the version that names it.
pub(crate) struct Stated {
    commit: Commit,
    refs: Arc<Refs>,
    /// `Err`: the commit is there, and is no version of the module.
    named: Result<Named, Invalid>,
}

impl Home {
    /// Resolves a query, `""` being the head of the default branch.
    async fn state(&self, query: &str, freshness: Freshness) -> Result<Stated, Fail> {
        let revision = match query {
            "" => "HEAD".to_owned(),
            query => self.place.revision(query),
        };
        let commit = match self.repository.commit(&revision, freshness).await {
            Err(error @ vcs::Error::Ambiguous { .. }) => {
                return Err(Fail::Invalid(Invalid::version(query, error.to_string())));
            }
            commit => commit?,
        };
        let Some(commit) = commit else {
            let path = &self.place.path;
            return Err(match query {
                "" => Fail::Absent(format!("module {path}: no commits")),
                query => {
                    Fail::Invalid(Invalid::version(query, format!("unknown revision {revision}")))
                }
            });
        };
        let refs = self.repository.refs(Freshness::Known).await?;
        let mut facts = Facts::new(&self.place, &commit, &refs);
        let named = match self.decide(&mut facts, |facts| convert(facts, query)).await {
            Ok(named) => Ok(named),
            Err(Fail::Invalid(invalid)) => Err(invalid),
            Err(fail) => return Err(fail),
        };
        Ok(Stated { commit, refs, named })
    }

    /// Asks a decision again and again, with one more fact each time.
    ///
    /// It ends: a decision asks for files of a few fixed names and majors, and for each tag at most
    /// once.
    async fn decide<T>(
        &self,
        facts: &mut Facts<'_>,
        decision: impl Fn(&Facts<'_>) -> Result<T, Stop> + Send + Sync,
    ) -> Result<T, Fail> {
        loop {
            let need = match decision(facts) {
                Ok(decided) => return Ok(decided),
                Err(Stop::Invalid(invalid)) => return Err(Fail::Invalid(invalid)),
                Err(Stop::Need(need)) => need,
            };
            let fact = self.answer(&facts.commit.id, &need).await?;
            facts.note(need, fact);
        }
    }

    async fn answer(&self, commit: &ObjectId, need: &Need) -> Result<Fact, Fail> {
        Ok(match need {
            Need::File(path) => Fact::File(self.file(commit, path).await?),
            // Boxed: to know what is retracted, other commits are decided upon.
            Need::Retracted => Fact::Retracted(Box::pin(self.retracted()).await?),
            Need::Behind => Fact::Behind(self.repository.tags_behind(commit).await?.to_vec()),
            Need::Descends(tag) => {
                let ancestor = self.repository.tag(tag, Freshness::Known).await?;
                let Some(ancestor) = ancestor else { return Ok(Fact::Descends(false)) };
                let descends = self.repository.descends_from(commit, &ancestor.id).await?;
                Fact::Descends(descends)
            }
        })
    }

    /// A go.mod; one that is too long for a module is refused for good.
    async fn file(&self, commit: &ObjectId, path: &str) -> Result<Option<Bytes>, Fail> {
        let file = self.repository.file(commit, path, modfile::MAX_MOD_BYTES).await;
        match file {
            Ok(file) => Ok(file.map(|file| file.bytes)),
            Err(vcs::Error::Limit { reason, .. }) => {
                Err(Fail::Absent(format!("module {}: {path}: {reason}", self.place.path)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the module at a commit that is known to be this version.
    async fn find(&self, commit: &Commit, version: &str) -> Result<Found, Fail> {
        let refs = Refs::default();
        let mut facts = Facts::new(&self.place, commit, &refs);
        let find = |facts: &Facts<'_>| {
            let invalid = |reason| Invalid::version(version, reason).into();
            find(&self.place, version, |path| facts.file(path), invalid)
        };
        self.decide(&mut facts, find).await
    }

    /// Whether the tree of a tagged version has a go.mod at its root.
    async fn has_go_mod(&self, version: &str) -> Result<bool, Fail> {
        let tag = version.strip_suffix("+incompatible").unwrap_or(version);
        let tag = format!("{}{tag}", self.place.tag_prefix());
        let Some(commit) = self.repository.tag(&tag, Freshness::Known).await? else {
            let path = &self.place.path;
            return Err(Fail::Absent(format!("module {path}: unknown revision {tag}")));
        };
        Ok(self.file(&commit.id, "go.mod").await?.is_some())
    }

    /// What `@v/list` names. Source: coderepo.go `appendIncompatibleVersions`.
    pub(crate) async fn list(&self, refs: &Refs) -> Result<Vec<Version>, Fail> {
        let tagged = Tagged::new(&self.place, refs);
        if let Some(highest) = tagged.highest_fitting()
            && self.has_go_mod(highest.as_str()).await?
        {
            // Its author means people to stay on v0 or v1 (go.dev/issue/34189).
            return Ok(tagged.list(|_| false));
        }
        let mut allowed = BTreeSet::new();
        for version in tagged.highest_of_majors() {
            if !self.has_go_mod(version.as_str()).await? {
                allowed.insert(semver::major(version.as_str()).to_owned());
            }
        }
        Ok(tagged.list(|major| allowed.contains(major)))
    }

    /// What the newest go.mod retracts; nothing where that cannot be told.
    async fn retracted(&self) -> Result<Retracted, Fail> {
        let refs = self.repository.refs(Freshness::Known).await?;
        let list = match self.list(&refs).await {
            Err(Fail::Invalid(_) | Fail::Absent(_)) => return Ok(Retracted::default()),
            list => list?,
        };
        match tags::retracting(&list) {
            Some(version) => self.retracted_by(version).await,
            None => Ok(Retracted::default()),
        }
    }

    async fn retracted_by(&self, version: &Version) -> Result<Retracted, Fail> {
        let tag = self.place.revision(version.as_str());
        let commit = self.repository.tag(&tag, Freshness::Known).await?;
        let Some(commit) = commit else { return Ok(Retracted::default()) };
        match self.find(&commit, version.as_str()).await {
            Ok(found) => Ok(Retracted::of(&found.go_mod.unwrap_or_default())),
            Err(Fail::Invalid(_) | Fail::Absent(_)) => Ok(Retracted::default()),
            Err(fail) => Err(fail),
        }
    }

    /// The version that `@latest` means, or the newest that begins like `prefix`; `None`: none of the
    /// list.
    async fn latest(&self, refs: &Refs, prefix: Option<&str>) -> Result<Option<Version>, Fail> {
        let list = self.list(refs).await?;
        let none = Retracted::default();
        let retracted = match self.choose(&list, &none).await? {
            Some(newest) if !newest.is_incompatible() => self.retracted_by(&newest).await?,
            _ => none,
        };
        let Some(prefix) = prefix else { return self.choose(&list, &retracted).await };
        // Which tags may be +incompatible is decided among these alone, as `go` asks its repositories
        // for no others.
        let begins = format!("{}{prefix}.", self.place.tag_prefix());
        let mut some = Refs { tags: refs.tags.clone(), ..Refs::default() };
        some.tags.retain(|name, _| name.starts_with(&begins));
        let mut list = self.list(&some).await?;
        list.retain(|version| begins_like(version, prefix));
        self.choose(&list, &retracted).await
    }

    async fn choose(
        &self,
        list: &[Version],
        retracted: &Retracted,
    ) -> Result<Option<Version>, Fail> {
        let mut has_go_mod = None;
        loop {
            match tags::latest(list, retracted, has_go_mod) {
                Choice::Is(version) => return Ok(version),
                Choice::HasGoMod(version) => {
                    has_go_mod = Some(self.has_go_mod(version.as_str()).await?);
                }
            }
        }
    }

    /// Where a commit comes from, as Go tells it of this query.
    fn provenance(&self, stated: &Stated, query: &str) -> Provenance {
        let place = &self.place;
        let Stated { commit, refs, .. } = stated;
        let mut origin = Provenance {
            vcs: "git".to_owned(),
            url: self.repository.url().to_string(),
            subdir: place.dir.clone(),
            hash: commit.id.as_str().to_owned(),
            ..Provenance::default()
        };
        origin.reference = match &commit.named_by {
            Some(name) => name.clone(),
            None => tip(refs, &place.revision(query)).unwrap_or_default(),
        };
        origin
    }

    /// With the tags that could make another pseudo-version of the commit.
    fn provenance_with_tags(&self, stated: &Stated, version: &str, query: &str) -> Provenance {
        let mut origin = self.provenance(stated, query);
        if query.is_empty() {
            "HEAD".clone_into(&mut origin.reference);
        }
        if is_pseudo(version) && (version != query || !version.starts_with("v0.0.0-")) {
            origin.tag_prefix = tags::origin_prefix(&self.place);
            origin.tag_sum = tags::tag_sum(&stated.refs.tags, &origin.tag_prefix);
        }
        origin
    }
}

/// Whether a query is the beginning of versions: `v1`, `v1.2`. Source: gover `ModIsPrefix`.
fn is_prefix(query: &str) -> bool {
    semver::is_valid(query) && query.bytes().filter(|byte| *byte == b'.').count() < 2
}

/// Prereleases of the first version of a prefix are below it. Source: golang/go#31972.
fn begins_like(version: &Version, prefix: &str) -> bool {
    let rest = version.as_str().strip_prefix(prefix);
    rest.is_some_and(|rest| rest.starts_with('.'))
        && semver::compare(version.as_str(), prefix) != Ordering::Less
}

/// The first ref, in the order of names, whose commit a hash begins. Source: codehost/git.go `stat`.
fn tip(refs: &Refs, revision: &str) -> Option<String> {
    let is_hash = revision.len() >= MIN_HASH_DIGITS
        && revision.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return None;
    }
    let begins = |id: &ObjectId| id.as_str().starts_with(revision);
    if refs.head.as_ref().is_some_and(|(id, _)| begins(id)) {
        return Some("HEAD".to_owned());
    }
    let head = refs.heads.iter().find(|(_, id)| begins(id));
    let head = head.map(|(name, _)| format!("refs/heads/{name}"));
    head.or_else(|| {
        let tag = refs.tags.iter().find(|(_, tag)| begins(tags::peeled(tag)));
        tag.map(|(name, _)| format!("refs/tags/{name}"))
    })
}

impl VcsSource {
    /// A version of its own name: the commit that it was served from before, if it ever was.
    pub(crate) async fn version(&self, home: &Home, module: &ModVer) -> Result<Arc<Pin>, Fail> {
        if let Some(pin) = self.pinned(home, module).await? {
            return Ok(pin);
        }
        // A commit that a pseudo-version names is what it is. A tag that nobody was served yet may
        // have moved since the mirror saw it, which may have been weeks ago.
        let names_commit = is_pseudo(module.version().as_str());
        let freshness = if names_commit { Freshness::Known } else { Freshness::Within(TAGS_FRESH) };
        // The mirror may know it; if not, the remote may have it since.
        match self.resolve(home, module, freshness).await {
            Err(Fail::Invalid(_) | Fail::Absent(_)) => {
                self.resolve(home, module, Freshness::Now).await
            }
            pin => pin,
        }
    }

    async fn resolve(
        &self,
        home: &Home,
        module: &ModVer,
        freshness: Freshness,
    ) -> Result<Arc<Pin>, Fail> {
        let version = module.version().as_str();
        let stated = home.state(version, freshness).await?;
        let pin = match &stated.named {
            Ok(named) => self.pin(home, &stated, named)?,
            Err(invalid) => {
                // `go` asks less of a go.mod and a zip than of an info: a tag of a module that has
                // a go.mod is still served as +incompatible to old go.sum files.
                let by_tag = stated.commit.named_by.as_deref();
                if !by_tag.is_some_and(|name| name.starts_with("refs/tags/")) {
                    return Err(Fail::Invalid(invalid.clone()));
                }
                let found = match home.find(&stated.commit, version).await {
                    Err(Fail::Invalid(_)) => return Err(Fail::Invalid(invalid.clone())),
                    found => found?,
                };
                let commit = stated.commit.id.clone();
                Pin { commit, found, info: Err(invalid.clone()) }
            }
        };
        self.compare_go_mod(module, &pin).await?;
        Ok(self.pins.keep(module, pin))
    }

    /// What is kept of a commit under its version's name: that of its tag, whatever led here.
    fn pin(&self, home: &Home, stated: &Stated, named: &Named) -> Result<Pin, Fail> {
        let version = named.version.as_str();
        let mut origin = home.provenance(stated, version);
        // Left out is what does not matter to who asks for a version by its name: it stays as it
        // is whatever happens to other tags. Source: modfetch/cache.go `writeDiskStat`.
        origin.reference = if is_pseudo(version) {
            String::new()
        } else {
            format!("refs/tags/{}", home.place.revision(version))
        };
        let bytes = origin::info(version, stated.commit.time, &origin);
        let info = Info::parse_latest(&home.place.path, bytes, self.origin.clone())?;
        Ok(Pin { commit: stated.commit.id.clone(), found: named.found.clone(), info: Ok(info) })
    }

    /// The `.info` of a query that may mean another commit tomorrow.
    pub(crate) async fn revision(&self, home: &Home, query: &str) -> Result<Info, Fail> {
        let stated = home.state(query, Freshness::Now).await?;
        let named = stated.named.as_ref().map_err(|invalid| Fail::Invalid(invalid.clone()))?;
        let origin = home.provenance_with_tags(&stated, &named.version, query);
        let bytes = origin::info(&named.version, stated.commit.time, &origin);
        let info = Info::parse_latest(&home.place.path, bytes, self.origin.clone())?;
        // Its files are asked for next.
        if let Ok(module) = ModVer::new(home.place.path.clone(), info.version.clone()) {
            match self.pinned(home, &module).await? {
                None => drop(self.pins.keep(&module, self.pin(home, &stated, named)?)),
                Some(pin) if pin.commit == stated.commit.id => {}
                // The files of that name are another commit's, for ever.
                Some(pin) => return Err(self.moved(&module, &pin.commit, &stated.commit.id)),
            }
        }
        Ok(info)
    }

    pub(crate) async fn latest_info(&self, home: &Home) -> Result<Info, Fail> {
        let refs = home.repository.refs(Freshness::Now).await?;
        match home.latest(&refs, None).await? {
            Some(version) => self.version_info(home, version).await,
            None => self.revision(home, "").await,
        }
    }

    /// The `.info` of the newest version that begins like `v1` or `v1.2`, whatever tag or branch has
    /// that very name. Source: modload/query.go `newQueryMatcher`.
    async fn prefix_info(&self, home: &Home, prefix: &str) -> Result<Info, Fail> {
        let refs = home.repository.refs(Freshness::Now).await?;
        match home.latest(&refs, Some(prefix)).await? {
            Some(version) => self.version_info(home, version).await,
            None => Err(Fail::Absent(format!(
                "module {}: no matching versions for query {prefix:?}",
                home.place.path
            ))),
        }
    }

    /// The `.info` of a version that is asked for by its name.
    pub(crate) async fn version_info(&self, home: &Home, version: Version) -> Result<Info, Fail> {
        let path: &ModulePath = &home.place.path;
        let module = ModVer::new(path.clone(), version)
            .map_err(|error| Fail::Absent(format!("module {path}: {error}")))?;
        let pin = self.version(home, &module).await?;
        pin.info.clone().map_err(Fail::Invalid)
    }

    pub(crate) async fn query_info(&self, home: &Home, query: &Query) -> Result<Info, Fail> {
        match query {
            Query::Version(version) => self.version_info(home, version.clone()).await,
            Query::Revision(revision) if revision.as_str() == "latest" => {
                self.latest_info(home).await
            }
            Query::Revision(revision) if is_prefix(revision.as_str()) => {
                self.prefix_info(home, revision.as_str()).await
            }
            Query::Revision(revision) => self.revision(home, revision.as_str()).await,
        }
    }

    /// The pin of a version whose `.info` is stored: from that very commit, whatever its tag names now.
    pub(crate) async fn restored(
        &self,
        home: &Home,
        module: &ModVer,
        info: Info,
        id: ObjectId,
    ) -> Result<Pin, Fail> {
        let time = info.time.unwrap_or(units::Timestamp::from_unix_secs(0));
        let commit = Commit { id: id.clone(), time, named_by: None, tags: Arc::new([]) };
        match home.find(&commit, module.version().as_str()).await {
            Ok(found) => Ok(Pin { commit: id, found, info: Ok(info) }),
            Err(Fail::Git(error)) => Err(self.gone(home, module, &id, error).await),
            Err(fail) => Err(fail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_version_is_told_from_revisions() {
        for query in ["v1", "v0", "v12", "v1.2", "v0.0"] {
            assert!(is_prefix(query), "{query}");
        }
        for query in ["", "v", "v1.2.3", "1.2", "v1.x", "v1-rc", "v01", "v1.", "main", "v1.2-pre"] {
            assert!(!is_prefix(query), "{query}");
        }
    }

    #[test]
    fn a_prefix_takes_whole_numbers_and_nothing_below_its_first_release() {
        let begins = |version: &str, prefix| begins_like(&version.parse().unwrap(), prefix);
        assert!(begins("v1.2.3", "v1") && begins("v1.2.3", "v1.2") && begins("v1.3.0-rc", "v1"));
        assert!(!begins("v12.0.0", "v1") && !begins("v1.20.0", "v1.2"));
        assert!(!begins("v1.2.0-rc", "v1.2") && !begins("v1.0.0-rc", "v1"));
    }
}
