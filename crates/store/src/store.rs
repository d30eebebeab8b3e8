//! The store's face: one contract, whatever lies behind it.

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use gomod::{ModulePath, Version};
use serde::Deserialize;
use units::{ByteRange, ByteSize};

use crate::{
    Created, Degraded, Error, Key, Lifetime, MAX_REPLACED_BYTES, Metrics, Object, Staged, Tag,
    Walk,
    disk::{Disk, Scratch},
    memory::Memory,
    staged::{Finished, Home},
};

/// Settings, below `store.`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Room that stays free on the disk, as a size. Default `1GiB`. With less, nothing new is
    /// stored and requests for what is not here get 503; what is here is served. Too small: other
    /// programs on the disk may fail. `0` turns it off.
    pub min_free: ByteSize,
    /// Sync files and folders before a body counts as stored. Default `true`. `false` is for
    /// measurements only: after a power cut stored files may be missing, or empty under their names.
    pub fsync: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { min_free: ByteSize(1 << 30), fsync: true }
    }
}

/// Named immutable objects. Cheap to clone; clones are the same store.
///
/// What holds for every backend: of any number of simultaneous creators of one name one wins, and
/// all others are shown its body. Nothing can be read under a name before it is complete. An
/// answer that something was stored or replaced means that it is durable, but for
/// [`Key::ListFile`]. Every future may be dropped at any time: the change happened as a whole, or
/// not at all. Nobody retries: an error is final.
#[derive(Clone)]
pub struct Store {
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Memory(Arc<Memory>),
    Disk(Arc<Disk>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.inner {
            Inner::Memory(_) => "memory",
            Inner::Disk(_) => "disk",
        };
        f.debug_tuple("Store").field(&kind).finish()
    }
}

impl Store {
    /// Returns an empty store that lives as long as its clones. For tests: nothing bounds it.
    #[must_use]
    pub fn memory() -> Self {
        Self { inner: Inner::Memory(Arc::default()) }
    }

    /// Opens or makes the data folder, removes the scratch files of dead processes. Blocks.
    ///
    /// The folder is held by `flock` until the last clone, and what it has under way, is gone. A
    /// folder that cannot be written is opened for reading ([`Degraded::ReadOnly`]).
    ///
    /// # Errors
    /// `Busy` when another process or handle holds the folder; `NewerLayout`; `Io`.
    pub fn disk(data: &Path, config: &Config) -> Result<Self, Error> {
        Ok(Self { inner: Inner::Disk(Arc::new(Disk::open(data, config)?)) })
    }

    /// Opens an existing data folder for reading, whoever else has it open. Blocks.
    ///
    /// Nothing can be changed through it ([`Degraded::ReadOnly`]), and it holds nobody up: for
    /// looking at the folder of a server that runs.
    ///
    /// # Errors
    /// `NewerLayout`; `Io`, also when there is no such folder.
    pub fn beside(data: &Path) -> Result<Self, Error> {
        Ok(Self { inner: Inner::Disk(Arc::new(Disk::beside(data)?)) })
    }

    /// Opens the object, or a range of it, cut to its length. `None`: nothing has that name.
    ///
    /// Bodies up to [`SMALL_BODY_BYTES`](crate::SMALL_BODY_BYTES), and objects that change, come in
    /// memory, longer ones as an open file, which stays whole when the name is removed. Works
    /// whatever [`degraded`](Self::degraded) says. Blocking work runs on blocking threads.
    ///
    /// # Errors
    /// `Io` when the disk fails; `TooLarge` when an object that changes is longer than
    /// [`MAX_REPLACED_BYTES`].
    pub async fn open(
        &self,
        key: &Key<'_>,
        range: Option<ByteRange>,
    ) -> Result<Option<Object>, Error> {
        match &self.inner {
            Inner::Memory(memory) => Ok(memory.open(key, range)),
            Inner::Disk(disk) => disk.open_object(key, range).await,
        }
    }

    /// Begins a new body. Costs nothing until it is longer than
    /// [`BUFFER_BYTES`](crate::BUFFER_BYTES).
    ///
    /// # Errors
    /// `Stopped` when nothing new may be written.
    #[expect(clippy::unused_async, reason = "a bucket will have to be asked")]
    pub async fn stage(&self) -> Result<Staged, Error> {
        match &self.inner {
            Inner::Memory(_) => Ok(Staged::new(Home::Memory)),
            Inner::Disk(disk) => {
                disk.writable()?;
                Ok(Staged::new(Home::Disk(disk.clone())))
            }
        }
    }

    /// Gives the body its name, if the name is free; durable on return.
    ///
    /// The body must be staged by this store. `Exists` is no error and says nothing about the
    /// contents: the caller compares. Dropped half-way: published as a whole or not at all; the
    /// scratch file goes away.
    ///
    /// # Errors
    /// `Stopped`, `LongName`, `Io`. After an `Io` from the sync of a folder the body may stand under
    /// its name, whole, without being durable; the next creator gets `Exists`.
    pub async fn create(&self, key: &Key<'_>, body: Staged) -> Result<Created, Error> {
        let len = body.written();
        let finished = body.into_finished().await?;
        let created = match (&self.inner, finished) {
            (Inner::Memory(memory), Finished::Memory(bytes)) => memory.create(key, bytes),
            (Inner::Disk(disk), finished) => disk.create(key, finished).await,
            (Inner::Memory(_), Finished::Scratch(scratch)) => Err(of_another(&scratch)),
        }?;
        let outcome = match &created {
            Created::New(_) => "new",
            Created::Exists(_) => "exists",
        };
        self.metrics().published(outcome, len);
        Ok(created)
    }

    /// Sets the content of facts, a list or a tree head, if it is the `expected` one; `None`: if
    /// there is none. Durable on return, but for lists. Returns the new content's tag.
    ///
    /// Tried even below `store.min_free`: it is small, and keeps what is stored in order.
    ///
    /// # Errors
    /// `Changed` with the tag that is there; `Immutable` for other keys; `TooLarge` above
    /// [`MAX_REPLACED_BYTES`]; `Stopped`, `LongName`, `Io`.
    pub async fn replace(
        &self,
        key: &Key<'_>,
        body: Bytes,
        expected: Option<&Tag>,
    ) -> Result<Tag, Error> {
        let len = body.len() as u64;
        self.set(key, (Finished::Memory(body), len), expected).await
    }

    /// As [`replace`](Self::replace), with a body that was staged by this store, and may be
    /// [durable](Staged::sync) already.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub async fn replace_staged(
        &self,
        key: &Key<'_>,
        body: Staged,
        expected: Option<&Tag>,
    ) -> Result<Tag, Error> {
        let len = body.written();
        self.set(key, (body.into_finished().await?, len), expected).await
    }

    async fn set(
        &self,
        key: &Key<'_>,
        (body, len): (Finished, u64),
        expected: Option<&Tag>,
    ) -> Result<Tag, Error> {
        if key.lifetime() == Lifetime::Immutable {
            return Err(Error::Immutable { key: key.path() });
        }
        if len > MAX_REPLACED_BYTES {
            return Err(Error::TooLarge { key: key.path(), cap: MAX_REPLACED_BYTES });
        }
        let tag = match (&self.inner, body) {
            (Inner::Memory(memory), Finished::Memory(bytes)) => {
                memory.replace(key, bytes, expected)
            }
            (Inner::Disk(disk), body) => disk.replace(key, body, expected).await,
            (Inner::Memory(_), Finished::Scratch(scratch)) => Err(of_another(&scratch)),
        }?;
        self.metrics().published("replaced", len);
        Ok(tag)
    }

    /// Takes the name away; open handles stay readable. Nothing there: done. For collection and
    /// erasure only.
    ///
    /// # Errors
    /// `Stopped` when the folder is read-only; `Io`.
    pub async fn remove(&self, key: &Key<'_>) -> Result<(), Error> {
        match &self.inner {
            Inner::Memory(memory) => {
                memory.remove(key);
                Ok(())
            }
            Inner::Disk(disk) => disk.remove(key).await,
        }
    }

    /// Moves a damaged object to the evidence, so that its name is free again.
    ///
    /// Returns its name there, for [`Key::Evidence`]; `None`: there was nothing. Durable on return.
    ///
    /// # Errors
    /// `Stopped` when the folder is read-only; `Io`, also when a thousand damaged files of that name
    /// are kept already.
    pub async fn quarantine(&self, key: &Key<'_>) -> Result<Option<String>, Error> {
        match &self.inner {
            Inner::Memory(memory) => Ok(memory.quarantine(key)),
            Inner::Disk(disk) => disk.quarantine(key).await,
        }
    }

    /// Lists the versions of `path` whose zip and info are here, in order, by reading one folder.
    ///
    /// # Errors
    /// `Io`; `TooLarge` above [`MAX_FOLDER_ENTRIES`](crate::MAX_FOLDER_ENTRIES) files.
    pub async fn versions(&self, path: &ModulePath) -> Result<Vec<Version>, Error> {
        match &self.inner {
            Inner::Memory(memory) => Ok(memory.versions(path)),
            Inner::Disk(disk) => disk.versions(path).await,
        }
    }

    /// Starts a walk over everything that is stored.
    ///
    /// # Errors
    /// None so far: what fails, [`Walk::next`] tells.
    #[expect(clippy::unused_async, reason = "a bucket will have to be asked")]
    pub async fn walk(&self) -> Result<Walk, Error> {
        match &self.inner {
            Inner::Memory(memory) => Ok(memory.walk()),
            Inner::Disk(disk) => Ok(disk.walk()),
        }
    }

    /// Looks at the disk, once a second at most, and returns why nothing new is stored now. Blocks.
    #[must_use]
    pub fn look(&self) -> Option<Degraded> {
        match &self.inner {
            Inner::Memory(_) => None,
            Inner::Disk(disk) => disk.look(),
        }
    }

    /// Returns why nothing new was stored at the last look or write. From memory: never waits.
    #[must_use]
    pub fn degraded(&self) -> Option<Degraded> {
        match &self.inner {
            Inner::Memory(_) => None,
            Inner::Disk(disk) => disk.degraded(),
        }
    }

    /// Returns the store's figures, to be registered.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        match &self.inner {
            Inner::Memory(memory) => memory.metrics(),
            Inner::Disk(disk) => disk.metrics(),
        }
    }
}

/// Staged on a disk, published in memory.
fn of_another(scratch: &Scratch) -> Error {
    Error::io("publish", scratch.path(), std::io::ErrorKind::CrossesDevices)
}
