//! Versions stay the commit that they were served from, whatever becomes of their tags.
//!
//! The memory of it is the stored `.info`, which names its commit; before there is one, a bounded
//! table of this process.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Query, Version, modfile};
use quick_cache::{Weighter, sync::Cache};
use store::Key;
use vcs::{Freshness, ObjectId, Refs};

use super::{
    VcsSource,
    facts::Invalid,
    find::Found,
    locate::Home,
    origin::Provenance,
    settings::Drift,
    tags::{peeled, tag_sum},
    trouble::Fail,
};
use crate::{Error, Info, MAX_INFO_BYTES, Trouble};

/// Versions kept in memory until their `.info` is stored, in bytes of their go.mod files.
const MAX_PINNED_BYTES: u64 = 16 << 20;
/// What a pin costs besides its go.mod.
const PIN_OVERHEAD_BYTES: u64 = 1 << 10;
/// Versions and modules whose moved tags are remembered as told; past it one is told again.
const MAX_TOLD: usize = 4096;
/// Stored versions of one module that are compared with their tags when these have changed, the
/// highest first: each costs a look into the store.
const MAX_COMPARED: usize = 200;

/// A version and its commit.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) commit: ObjectId,
    pub(crate) found: Found,
    /// `Err`: its go.mod and zip are served, its info is not.
    pub(crate) info: Result<Info, Invalid>,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<ModVer, Arc<Pin>> for Weight {
    fn weight(&self, _: &ModVer, pin: &Arc<Pin>) -> u64 {
        let bytes = pin.found.go_mod.as_ref().map_or(0, |bytes| bytes.len() as u64);
        bytes + PIN_OVERHEAD_BYTES
    }
}

/// The pins of this process.
pub(crate) struct Pins {
    kept: Cache<ModVer, Arc<Pin>, Weight>,
    told: Cache<ModVer, ()>,
    /// The sum of a module's tags when they were last compared with what is stored.
    compared: Cache<ModulePath, String>,
}

impl Default for Pins {
    fn default() -> Self {
        let items = usize::try_from(MAX_PINNED_BYTES / PIN_OVERHEAD_BYTES).unwrap_or(usize::MAX);
        Self {
            kept: Cache::with_weighter(items, MAX_PINNED_BYTES, Weight),
            told: Cache::new(MAX_TOLD),
            compared: Cache::new(MAX_TOLD),
        }
    }
}

impl Pins {
    /// Keeps a pin; of two the first stays.
    pub(crate) fn keep(&self, module: &ModVer, pin: Pin) -> Arc<Pin> {
        let kept: Result<_, Infallible> =
            self.kept.get_or_insert_with(module, || Ok(Arc::new(pin)));
        match kept {
            Ok(pin) => pin,
        }
    }
}

impl VcsSource {
    /// The pin of a version that was served before.
    pub(crate) async fn pinned(
        &self,
        home: &Home,
        module: &ModVer,
    ) -> Result<Option<Arc<Pin>>, Fail> {
        let pin = match self.pins.kept.get(module) {
            Some(pin) => pin,
            None => match self.stored(module).await? {
                Some((info, commit)) => {
                    let pin = self.restored(home, module, info, commit).await?;
                    self.pins.keep(module, pin)
                }
                None => return Ok(None),
            },
        };
        // Only what the mirror knows: a remote that is down must not stop what needs it not.
        if let Ok(refs) = home.repository.refs(Freshness::Known).await {
            self.compare(home, module, &pin.commit, &refs);
        }
        Ok(Some(pin))
    }

    /// The stored `.info` and the commit it names.
    async fn stored(&self, module: &ModVer) -> Result<Option<(Info, ObjectId)>, Fail> {
        let ours = |source| Error::Store { what: module.to_string(), source: Arc::new(source) };
        let key = Key::Info(module);
        let Some(object) = self.store.open(&key, None).await.map_err(ours)? else {
            return Ok(None);
        };
        let bytes = object.bytes(MAX_INFO_BYTES).await.map_err(ours)?;
        let Some(origin) = Provenance::of_info(&bytes) else { return Ok(None) };
        let Some(commit) = ObjectId::parse(&origin.hash) else { return Ok(None) };
        let query = Query::Version(module.version().clone());
        let info = Info::parse(module.path(), &query, bytes, self.origin.clone())?;
        Ok(Some((info, commit)))
    }

    /// Refuses a commit whose go.mod is not the one that was served of this version: the `.info` that
    /// would name its commit was never stored.
    pub(crate) async fn compare_go_mod(&self, module: &ModVer, pin: &Pin) -> Result<(), Fail> {
        let ours = |source| Error::Store { what: module.to_string(), source: Arc::new(source) };
        let stored = self.store.open(&Key::Mod(module), None).await.map_err(ours)?;
        let Some(stored) = stored else { return Ok(()) };
        let stored = stored.bytes(modfile::MAX_MOD_BYTES).await.map_err(ours)?;
        let synthetic = || Bytes::from(modfile::synthetic(module.path()));
        if stored == pin.found.go_mod.clone().unwrap_or_else(synthetic) {
            return Ok(());
        }
        let commit = pin.commit.as_str();
        Err(Fail::Told(Error::Invalid {
            what: module.to_string(),
            origin: self.origin.clone(),
            reason: format!(
                "its tag names commit {commit} now, whose go.mod is not the one served"
            ),
        }))
    }

    /// What is told of a query whose commit has the name of a version that is another commit's.
    pub(crate) fn moved(&self, module: &ModVer, pinned: &ObjectId, now: &ObjectId) -> Fail {
        let (pinned, now) = (pinned.as_str(), now.as_str());
        Fail::Told(Error::Invalid {
            what: module.to_string(),
            origin: self.origin.clone(),
            reason: format!("its tag has moved: {module} is commit {pinned}, not {now}"),
        })
    }

    /// Compares a version's commit with what its tag names now.
    fn compare(&self, home: &Home, module: &ModVer, pinned: &ObjectId, refs: &Refs) {
        if module.version().is_pseudo() {
            return;
        }
        let tag = home.place.revision(module.version().as_str());
        let now = refs.tags.get(&tag).map(peeled);
        if now == Some(pinned) || self.pins.told.get(module).is_some() {
            return;
        }
        self.pins.told.insert(module.clone(), ());
        let drift = Drift {
            path: module.path().clone(),
            version: module.version().clone(),
            pinned: pinned.clone(),
            now: now.cloned(),
        };
        let shown = now.map_or("nothing", ObjectId::as_str);
        tracing::warn!(
            module = %module,
            pinned = pinned.as_str(),
            now = shown,
            "the tag of {module} has moved: it stays {}, the tag names {shown}",
            pinned.as_str(),
        );
        if let Some(on_drift) = &self.settings.on_drift {
            on_drift(&drift);
        }
    }

    /// Compares the stored versions of a list with their tags, when tags have changed since it was
    /// last done. Trouble is no answer's business: the next change looks again.
    pub(crate) async fn compare_stored(&self, home: &Home, refs: &Refs, list: &[Version]) {
        let sum = tag_sum(&refs.tags, &home.place.tag_prefix());
        if self.pins.compared.get(&home.place.path).as_ref() == Some(&sum) {
            return;
        }
        for version in list.iter().rev().take(MAX_COMPARED) {
            let module = ModVer::new(home.place.path.clone(), version.clone());
            let Ok(module) = module else { continue };
            if let Ok(Some((_, commit))) = self.stored(&module).await {
                self.compare(home, &module, &commit, refs);
            }
        }
        self.pins.compared.insert(home.place.path.clone(), sum);
    }

    /// What is told when a pinned commit cannot be read: that it is gone, if it is.
    pub(crate) async fn gone(
        &self,
        home: &Home,
        module: &ModVer,
        commit: &ObjectId,
        error: vcs::Error,
    ) -> Fail {
        match home.repository.commit(commit.as_str(), Freshness::Now).await {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return error.into(),
        }
        let (url, tag) = (home.repository.url(), home.place.revision(module.version().as_str()));
        let refs = home.repository.refs(Freshness::Known).await.ok();
        let now = refs.and_then(|refs| refs.tags.get(&tag).map(|tag| peeled(tag).clone()));
        let now = now
            .map_or_else(String::new, |now| format!(", and tag {tag} names {} now", now.as_str()));
        let commit = commit.as_str();
        Fail::Told(Error::Unavailable {
            origin: self.origin.clone(),
            kind: Trouble::Broken,
            reason: format!("{module} is commit {commit}, which {url} no longer has{now}"),
            retry_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn module(number: usize) -> ModVer {
        let path = ModulePath::parse("a.b/c").unwrap();
        ModVer::new(path, format!("v1.0.{number}").parse().unwrap()).unwrap()
    }

    fn pin(digit: &str, go_mod: usize) -> Pin {
        let found = Found { dir: String::new(), go_mod: Some(Bytes::from(vec![b'x'; go_mod])) };
        let info = Err(Invalid::version("v1.0.0", "x"));
        Pin { commit: ObjectId::parse(&digit.repeat(40)).unwrap(), found, info }
    }

    #[test]
    fn of_two_pins_the_first_stays() {
        let pins = Pins::default();
        assert_eq!(pins.keep(&module(1), pin("1", 1)).commit.as_str(), "1".repeat(40));
        assert_eq!(pins.keep(&module(1), pin("2", 1)).commit.as_str(), "1".repeat(40));
    }

    #[test]
    fn pins_stay_within_their_bound() {
        let pins = Pins::default();
        for number in 0..1000 {
            pins.keep(&module(number), pin("1", 64 << 10));
            assert!(pins.kept.weight() <= MAX_PINNED_BYTES, "{number}");
        }
        assert!(pins.kept.len() > 100);
    }
}
