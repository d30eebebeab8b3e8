//! From the store into memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use gomod::{ModVer, Query, Request};
use store::{Key, Object};

use crate::flights::blocking;
use crate::shelf::{Entry, Stored, StoredBody};
use crate::{Error, Kind, Rooms, Validators, facts};

/// A file of a version, as a request names it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) module: ModVer,
}

impl Target {
    /// The file that `request` asks for; `None` for lists, queries and look-ups.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let (kind, module) = match request {
            Request::Info(path, Query::Version(version)) => {
                (Kind::Info, ModVer::new(path.clone(), version.clone()).ok()?)
            }
            Request::Mod(module) => (Kind::Mod, module.clone()),
            Request::Zip(module) => (Kind::Zip, module.clone()),
            _ => return None,
        };
        Some(Self { kind, module })
    }

    pub(crate) fn request(&self) -> Request {
        match self.kind {
            Kind::Mod => Request::Mod(self.module.clone()),
            Kind::Zip => Request::Zip(self.module.clone()),
            _ => {
                let query = Query::Version(self.module.version().clone());
                Request::Info(self.module.path().clone(), query)
            }
        }
    }

    pub(crate) fn key(&self) -> Key<'_> {
        match self.kind {
            Kind::Mod => Key::Mod(&self.module),
            Kind::Zip => Key::Zip(&self.module),
            _ => Key::Info(&self.module),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = match self.kind {
            Kind::Mod => "go.mod",
            Kind::Zip => "zip",
            _ => "info",
        };
        write!(f, "{} ({file})", self.module)
    }
}

/// The stored file as a hot entry; `None` when it is not stored.
///
/// # Errors
///
/// The store's own trouble; a stored zip without facts that breaks a zip rule.
pub(crate) async fn load(rooms: &Rooms, target: &Target) -> Result<Option<Arc<Entry>>, Error> {
    let Some(object) = rooms.store.open(&target.key(), None).await? else { return Ok(None) };
    if let Some(denial) = rooms.denial(target) {
        return Ok(Some(Arc::new(Entry::Denied(denial))));
    }
    let modified = object.modified;
    let stored = match object.body {
        store::Body::Memory(ref bytes) => {
            if target.kind == Kind::Zip {
                // For its judgement: one that was copied in has no facts yet.
                digest(rooms, target, &object).await?;
            }
            let bytes = bytes.clone();
            Stored::small(target.kind, target.module.clone(), bytes, modified)
        }
        store::Body::File { ref file, len } => {
            let sha256 = digest(rooms, target, &object).await?;
            let validators = Validators::new(&sha256, modified, len);
            let body = StoredBody::File { file: Arc::clone(file), len };
            Stored::new(target.kind, target.module.clone(), body, validators)
        }
    };
    Ok(Some(Arc::new(Entry::Stored(stored))))
}

impl Rooms {
    /// Puts what was loaded into memory, unless a file was set aside since `before` and this was it.
    ///
    /// Who sets a file aside moves it, counts, and clears memory, in this order. Loading may take as
    /// long as hashing does: without this look, an entry that comes after all three would serve what
    /// the checksum database contradicts until memory forgets it.
    pub(crate) async fn keep_loaded(
        &self,
        target: &Target,
        entry: &Arc<Entry>,
        before: u64,
    ) -> Result<bool, Error> {
        let request = target.request();
        self.shelf.put(request.clone(), Arc::clone(entry));
        if self.set_aside.load(Ordering::SeqCst) == before
            || self.store.open(&target.key(), None).await?.is_some()
        {
            return Ok(true);
        }
        self.shelf.remove(&request);
        Ok(false)
    }

    /// The refusal for this file, if a rule speaks against it. `.mod` stays open: graphs need it.
    pub(crate) fn denial(&self, target: &Target) -> Option<policy::Denial> {
        if target.kind == Kind::Mod {
            return None;
        }
        let subject = policy::Subject {
            module: target.module.path(),
            version: Some(target.module.version()),
            facts: None,
        };
        self.policy.judge(subject).err()
    }
}

/// The SHA-256 of a stored file: from its facts, else by reading it again (a copied-in cache, lost facts).
async fn digest(rooms: &Rooms, target: &Target, object: &Object) -> Result<String, Error> {
    let len = object.len();
    let facts = facts::read(&rooms.store, &target.module).await?;
    if let Some(known) = facts::of(&facts, target.kind).filter(|known| known.size == len) {
        return Ok(known.sha256.clone());
    }
    let checked = check_again(target, object).await?;
    let known = facts::file_facts(&checked, "found in the store", object.modified);
    let sha256 = known.sha256.clone();
    facts::update(rooms, &target.module, |facts| facts::set(facts, target.kind, known.clone()))
        .await;
    // It was copied in, or its facts are lost: nobody has confirmed it.
    rooms.unconfirmed.notify_one();
    Ok(sha256)
}

/// Hashes and judges a stored file as if it had just arrived.
pub(crate) async fn check_again(
    target: &Target,
    object: &Object,
) -> Result<modzip::Checked, Error> {
    let module = target.module.clone();
    let name = target.to_string();
    let damaged = move |error: &dyn std::fmt::Display| {
        Error::fault(format!("stored {name} is damaged ({error}): run larder fsck"))
    };
    if target.kind != Kind::Zip {
        let bytes: Bytes = object.bytes(gomod::modfile::MAX_MOD_BYTES).await?;
        return modzip::Checked::go_mod(&module, &bytes).map_err(|error| damaged(&error));
    }
    let reader = object.part().reader();
    let checked = blocking(move || modzip::check(&module, reader)).await?;
    checked.map_err(|error| damaged(&error))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a store is set up")]
mod tests {
    use super::*;
    use crate::flights::tests::rooms;

    #[tokio::test]
    async fn what_is_set_aside_while_it_is_loaded_is_not_kept_in_memory() {
        let rooms = rooms().await;
        let module = ModVer::new("a.b/c".parse().unwrap(), "v1.0.0".parse().unwrap()).unwrap();
        let target = Target { kind: Kind::Mod, module };
        let body = Bytes::from_static(b"module a.b/c\n");
        let mut staged = rooms.store.stage().await.unwrap();
        staged.write(body).await.unwrap();
        rooms.store.create(&target.key(), staged).await.unwrap();
        let before = rooms.set_aside.load(Ordering::SeqCst);
        let entry = load(&rooms, &target).await.unwrap().unwrap();
        // Something else was: this one stays.
        rooms.set_aside.fetch_add(1, Ordering::SeqCst);
        assert!(rooms.keep_loaded(&target, &entry, before).await.unwrap());
        assert!(rooms.shelf.get(&target.request()).is_some());
        rooms.store.quarantine(&target.key()).await.unwrap();
        assert!(!rooms.keep_loaded(&target, &entry, before).await.unwrap());
        assert!(rooms.shelf.get(&target.request()).is_none());
        assert!(load(&rooms, &target).await.unwrap().is_none());
    }
}
