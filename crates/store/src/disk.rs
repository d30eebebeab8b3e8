//! A data folder on disk: what it does with names and files, by hand.

mod open;
mod publish;
mod read;
mod scratch;
mod space;
mod tree;

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gomod::{ModulePath, Version};
use tokio::sync::oneshot;
use units::ByteRange;

use self::{
    publish::{Act, Outcome, Publisher},
    space::Space,
};
pub(crate) use self::{
    read::{Place, content_tag, slice},
    scratch::Scratch,
};
use crate::{
    Created, Degraded, Error, Key, Lifetime, Metrics, Object, Tag, Walk, blocking, metrics::Reason,
    staged::Finished,
};

/// An open data folder.
pub(crate) struct Disk {
    /// Absolute, so that a later change of the working folder means nothing.
    root: PathBuf,
    sync: bool,
    space: Space,
    publisher: Publisher,
    metrics: Metrics,
    scratch_names: AtomicU64,
    /// Held, not used: closing it lets the next process in.
    _lock: Option<File>,
}

impl Disk {
    /// Refuses when nothing new may be written.
    pub(crate) fn writable(&self) -> Result<(), Error> {
        self.look().map_or(Ok(()), |why| Err(Error::Stopped(why)))
    }

    pub(crate) fn look(&self) -> Option<Degraded> {
        self.space.look()
    }

    pub(crate) fn degraded(&self) -> Option<Degraded> {
        self.space.known()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts an error of the disk, and stops fills when it means that nothing can be written.
    pub(crate) fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            if let Error::Stopped(why) = error {
                self.space.refused(why);
            }
            if matches!(error, Error::Stopped(_) | Error::Io { .. }) {
                self.metrics.errors.get_or_create(&Reason { reason: error.slug() }).inc();
            }
        }
        result
    }

    /// Makes a body durable, where this store does that. Blocks.
    pub(crate) fn make_durable(&self, scratch: &mut Scratch) -> Result<(), Error> {
        if self.sync { scratch.sync() } else { Ok(()) }
    }

    /// Names no two scratch files of this process alike; those of others are gone since the start.
    fn next_scratch_path(&self) -> PathBuf {
        let number = self.scratch_names.fetch_add(1, Ordering::Relaxed);
        self.root.join("scratch").join(number.to_string())
    }

    pub(crate) async fn open_object(
        self: &Arc<Self>,
        key: &Key<'_>,
        range: Option<ByteRange>,
    ) -> Result<Option<Object>, Error> {
        let Ok(place) = place(key) else { return Ok(None) };
        let disk = self.clone();
        blocking::run(move || disk.note(read::object(&disk.root, &place, range))).await
    }

    pub(crate) async fn create(
        self: &Arc<Self>,
        key: &Key<'_>,
        body: Finished,
    ) -> Result<Created, Error> {
        self.writable()?;
        let place = place(key)?;
        let made = place.clone();
        let work = move |disk: &Self| {
            let mut scratch = body.into_scratch(disk)?;
            disk.make_durable(&mut scratch)?;
            let file = scratch.file();
            let about =
                file.metadata().map_err(|error| Error::io("look at", scratch.path(), error))?;
            // Rename changes neither inode nor time, so this is the object as it will be found.
            let object = read::opened(&file, &about, &made, None)?;
            Ok(Act::Create(scratch, Box::new(object)))
        };
        match self.change(place, work).await? {
            Outcome::Created(created) => Ok(created),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) async fn replace(
        self: &Arc<Self>,
        key: &Key<'_>,
        body: Finished,
        expected: Option<&Tag>,
    ) -> Result<Tag, Error> {
        let place = place(key)?;
        let durable = place.lifetime == Lifetime::Replaced;
        let expected = expected.cloned();
        let work = move |disk: &Self| {
            let new = match &body {
                Finished::Memory(bytes) => content_tag(bytes),
                Finished::Scratch(scratch) => content_tag(&scratch.body()?),
            };
            let mut scratch = body.into_scratch(disk)?;
            if durable {
                disk.make_durable(&mut scratch)?;
            }
            Ok(Act::Replace { scratch, new, expected })
        };
        match self.change(place, work).await? {
            Outcome::Replaced(tag) => Ok(tag),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) async fn remove(self: &Arc<Self>, key: &Key<'_>) -> Result<(), Error> {
        let Ok(place) = place(key) else { return Ok(()) };
        self.change(place, |_disk| Ok(Act::Remove)).await.map(drop)
    }

    pub(crate) async fn quarantine(
        self: &Arc<Self>,
        key: &Key<'_>,
    ) -> Result<Option<String>, Error> {
        let Ok(place) = place(key) else { return Ok(None) };
        match self.change(place, |_disk| Ok(Act::Quarantine)).await? {
            Outcome::Moved(name) => Ok(Some(name)),
            _ => Ok(None),
        }
    }

    pub(crate) async fn versions(
        self: &Arc<Self>,
        path: &ModulePath,
    ) -> Result<Vec<Version>, Error> {
        let (disk, path) = (self.clone(), path.clone());
        blocking::run(move || disk.note(tree::versions(&disk.root, &path))).await
    }

    pub(crate) fn walk(self: &Arc<Self>) -> Walk {
        tree::walk(self.clone())
    }

    /// Prepares a change of names on a blocking thread and waits until it is done and durable.
    ///
    /// The thread may become the leader and go on for others, so its end is not waited for.
    async fn change(
        self: &Arc<Self>,
        place: Place,
        prepare: impl FnOnce(&Self) -> Result<Act, Error> + Send + 'static,
    ) -> Result<Outcome, Error> {
        let (answer, outcome) = oneshot::channel();
        let (disk, name) = (self.clone(), place.name.clone());
        drop(tokio::task::spawn_blocking(move || match disk.note(prepare(&disk)) {
            Ok(act) => disk.publisher.submit(&disk, place, act, answer),
            Err(error) => drop(answer.send(Err(error))),
        }));
        let gone =
            |_dropped| Err(Error::io("finish work on", name, std::io::ErrorKind::Interrupted));
        outcome.await.unwrap_or_else(gone)
    }
}

fn place(key: &Key<'_>) -> Result<Place, Error> {
    Ok(Place { name: key.checked_path()?, lifetime: key.lifetime() })
}

/// Each act has its outcome; this keeps the compiler's word for it out of the way.
fn unexpected(outcome: &Outcome) -> Error {
    Error::io("publish", "scratch", std::io::Error::other(format!("unexpected {outcome:?}")))
}
