//! A store that lives and dies with the process: for tests, by the same contract.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use gomod::{ModulePath, Version};
use tokio::sync::mpsc;
use units::{ByteRange, Timestamp};

use crate::{
    Body, Created, Error, Found, Key, Metrics, Object, Tag, Walk,
    disk::{content_tag, slice},
    key::{VersionFile, versions_folder},
    object::clamped,
    walk::Folder,
};

/// Objects by path.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    objects: Mutex<BTreeMap<String, Stored>>,
    metrics: Metrics,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    modified: Timestamp,
    tag: Tag,
}

impl Stored {
    fn now(bytes: Bytes) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        let tag = content_tag(&bytes);
        Self { bytes, modified: Timestamp::from_unix_nanos(nanos), tag }
    }

    fn object(&self, name: &str, range: Option<ByteRange>) -> Object {
        let whole = self.bytes.len() as u64;
        let part = clamped(range, whole);
        let body = Body::Memory(slice(&self.bytes, part));
        Object::new(name, (self.modified, self.tag.clone()), whole, body).narrowed(part)
    }
}

impl Memory {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn open(&self, key: &Key<'_>, range: Option<ByteRange>) -> Option<Object> {
        let name = key.path();
        self.objects().get(&name).map(|stored| stored.object(&name, range))
    }

    pub(crate) fn create(&self, key: &Key<'_>, bytes: Bytes) -> Result<Created, Error> {
        let name = key.checked_path()?;
        let mut objects = self.objects();
        if let Some(stored) = objects.get(&name) {
            return Ok(Created::Exists(stored.object(&name, None)));
        }
        let stored = Stored::now(bytes);
        let object = stored.object(&name, None);
        objects.insert(name, stored);
        Ok(Created::New(object))
    }

    pub(crate) fn replace(
        &self,
        key: &Key<'_>,
        bytes: Bytes,
        expected: Option<&Tag>,
    ) -> Result<Tag, Error> {
        let name = key.checked_path()?;
        let mut objects = self.objects();
        let current = objects.get(&name).map(|stored| stored.tag.clone());
        if current.as_ref() != expected {
            return Err(Error::Changed { current });
        }
        let stored = Stored::now(bytes);
        let tag = stored.tag.clone();
        objects.insert(name, stored);
        Ok(tag)
    }

    pub(crate) fn remove(&self, key: &Key<'_>) {
        self.objects().remove(&key.path());
    }

    pub(crate) fn quarantine(&self, key: &Key<'_>) -> Option<String> {
        let name = key.path();
        let mut objects = self.objects();
        let stored = objects.remove(&name)?;
        let free = (1_u32..).map(|number| format!("damaged/{number}/{name}"));
        let free = free.map(|moved| (format!("evidence/{moved}"), moved));
        let (place, moved) =
            free.into_iter().find(|(place, _moved)| !objects.contains_key(place))?;
        objects.insert(place, stored);
        Some(moved)
    }

    pub(crate) fn versions(&self, path: &ModulePath) -> Vec<Version> {
        let prefix = format!("{}/", versions_folder("modules", path));
        let mut folder = Folder::new(path);
        for name in self.objects().keys().filter_map(|name| name.strip_prefix(&prefix)) {
            folder.add(name, VersionFile::in_modules);
        }
        folder.listed()
    }

    pub(crate) fn walk(&self) -> Walk {
        let paths: BTreeMap<String, ModulePath> =
            self.objects().keys().filter_map(|name| module_of(name)).collect();
        let mut findings = Vec::new();
        for path in paths.values() {
            let mut folder = Folder::new(path);
            for (tree, read) in [
                ("modules", VersionFile::in_modules as fn(&str) -> Option<VersionFile>),
                ("facts", VersionFile::in_facts),
            ] {
                let prefix = format!("{}/", versions_folder(tree, path));
                for name in self.objects().keys().filter_map(|name| name.strip_prefix(&prefix)) {
                    folder.add(name, read);
                }
            }
            findings.extend(folder.found());
        }
        findings.sort_by_key(Found::is_facts_only);
        let (out, walk) = mpsc::channel(findings.len().max(1));
        // The channel has room for all of them.
        for found in findings {
            drop(out.try_send(Ok(found)));
        }
        Walk::over(walk)
    }
}

/// Reads the module off a path in one of the two trees.
fn module_of(name: &str) -> Option<(String, ModulePath)> {
    let inside = name.strip_prefix("modules/").or_else(|| name.strip_prefix("facts/"))?;
    let (escaped, _file) = inside.split_once("/@v/")?;
    Some((escaped.to_owned(), ModulePath::unescape(escaped).ok()?))
}
