//! A repository at a remote, through its mirror.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use policy::address::Word;
use units::Timestamp;

use crate::{
    Error, File, Freshness, ObjectId, Refs, RemoteUrl, Snapshot, ahead,
    blocking::blocking,
    convert::Conversion,
    encode, fetch,
    git::Inner,
    graph::Node,
    objects::Fault,
    resolve,
    snapshot::{convert, fault_of},
    state::{Generation, State, View},
    transport,
    tree::{self, At, Listing},
};

/// Longest revision that is looked at; git's own refs are shorter.
pub const MAX_REVISION_BYTES: usize = 1024;
/// Times a reading is begun anew: after blobs were fetched, after the mirror was made again.
const MAX_ATTEMPTS: usize = 4;

/// A commit, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: ObjectId,
    /// Committer time.
    pub time: Timestamp,
    /// `refs/tags/…`, `refs/heads/…` or `HEAD` that the revision was named by; none for a hash.
    pub named_by: Option<String>,
    /// Names of all tags whose peeled commit this is, sorted.
    pub tags: Arc<[String]>,
}

/// A repository at a remote, through its mirror. Clones are handles to the same.
///
/// Every future of it may be dropped at any await. Work that others wait for goes on; work that
/// nobody waits for is stopped, its processes are killed, and the mirror stays as it was.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) git: Arc<Inner>,
    pub(crate) state: Arc<State>,
}

impl Repository {
    pub(crate) fn new(git: Arc<Inner>, state: Arc<State>) -> Self {
        Self { git, state }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &RemoteUrl {
        &self.state.url
    }

    /// Where it is fetched from, and on whose word: its own URL, but for
    /// [`Config::rewrite`](crate::Config::rewrite).
    #[must_use]
    pub fn dialled(&self) -> (RemoteUrl, Word) {
        let remote = self.state.remote();
        transport::rewritten(&self.git, &remote).unwrap_or((remote.url, remote.word))
    }

    /// The refs; one `ls-remote` for all who ask at once.
    ///
    /// # Errors
    ///
    /// `Refused`, `Unavailable`, `Forbidden` and `Limit` of the remote; `Mirror`.
    pub async fn refs(&self, freshness: Freshness) -> Result<Arc<Refs>, Error> {
        if let Some(refs) = self.state.refs(freshness) {
            return Ok(refs);
        }
        if freshness == Freshness::Known
            && let Some(generation) = fetch::open_known(&self.git, &self.state).await
        {
            return Ok(self.state.told((*generation.refs).clone(), None));
        }
        fetch::ask(&self.git, &self.state).await
    }

    /// A revision to a commit.
    ///
    /// Order: a full hash; a tag; a branch; `HEAD`; 7 digits or more of a hash that a branch or tag
    /// points at; the same of any commit. Only commits behind branches, tags and HEAD count, as
    /// they are by `freshness`; tags of trees and blobs do not. `None`: there is no such thing.
    ///
    /// # Errors
    ///
    /// As [`refs`](Self::refs); `Ambiguous` for digits that several commits begin with.
    pub async fn commit(
        &self,
        revision: &str,
        freshness: Freshness,
    ) -> Result<Option<Commit>, Error> {
        if revision.is_empty() || revision.len() > MAX_REVISION_BYTES {
            return Ok(None);
        }
        let refs = self.refs(freshness).await?;
        resolve::commit(self, &refs, revision).await
    }

    /// The commit of exactly this tag.
    ///
    /// # Errors
    ///
    /// As [`refs`](Self::refs).
    pub async fn tag(&self, name: &str, freshness: Freshness) -> Result<Option<Commit>, Error> {
        let refs = self.refs(freshness).await?;
        resolve::tag(self, &refs, name).await
    }

    /// A file's blob, raw: no conversion; a symlink yields its target's text.
    ///
    /// `None`: absent, or no file. The commit is one that [`commit`](Self::commit) gave; it is not
    /// asked again whether a branch or tag still leads to it.
    ///
    /// # Errors
    ///
    /// `Limit` past `limit` bytes; `Unknown` for a commit that is not in the history; else as
    /// [`refs`](Self::refs).
    pub async fn file(
        &self,
        commit: &ObjectId,
        path: &str,
        limit: u64,
    ) -> Result<Option<File>, Error> {
        let _using = Arc::clone(&self.state.users);
        let mut mended = false;
        for _ in 0..MAX_ATTEMPTS {
            let (generation, _) = self.holding(commit).await?;
            let (held, id, at) = (Arc::clone(&generation), commit.clone(), path.to_owned());
            let found = blocking(move || Ok(find_file(&held, &id, &at, limit))).await?;
            match found {
                Ok(FoundFile::Nothing) => return Ok(None),
                Ok(FoundFile::File(file)) => return Ok(Some(file)),
                Ok(FoundFile::Missing(id)) => self.have_file(generation, id, path).await?,
                Err(fault) => self.mend(&fault, &mut mended).await?,
            }
        }
        Err(self.gives_not())
    }

    /// Names of all tags whose commit is this one or an ancestor of it, by the refs that were told
    /// last, sorted.
    ///
    /// # Errors
    ///
    /// `Unknown` for a commit that is not in the history; else as [`refs`](Self::refs).
    pub async fn tags_behind(&self, commit: &ObjectId) -> Result<Arc<[String]>, Error> {
        let (generation, node) = self.holding(commit).await?;
        let view = self.view(&generation);
        blocking(move || {
            let behind = view.graph.reachable([node]);
            let tags = view.tags().iter().filter(|(node, _)| behind.has(*node));
            Ok(tags.map(|(_, name)| name.clone()).collect())
        })
        .await
    }

    /// Whether `ancestor` is `commit` or one of its ancestors.
    ///
    /// # Errors
    ///
    /// `Unknown` for a `commit` that is not in the history; else as [`refs`](Self::refs).
    pub async fn descends_from(
        &self,
        commit: &ObjectId,
        ancestor: &ObjectId,
    ) -> Result<bool, Error> {
        let (generation, node) = self.holding(commit).await?;
        // What the graph does not have is nobody's ancestor in it.
        let ancestor = ancestor.to_git().and_then(|id| generation.graph.find(&id));
        let Some(ancestor) = ancestor else { return Ok(false) };
        blocking(move || Ok(generation.graph.descends(node, ancestor))).await
    }

    /// Everything below `folder` ("" is the root) at a commit, its blobs at hand. Nothing where
    /// there is no such folder.
    ///
    /// # Errors
    ///
    /// `Limit` for trees past the configured bounds; `Unknown` for a commit that is not in the
    /// history; else as [`refs`](Self::refs).
    pub async fn snapshot(&self, commit: &ObjectId, folder: &str) -> Result<Snapshot, Error> {
        let users = Arc::clone(&self.state.users);
        let mut mended = false;
        for _ in 0..MAX_ATTEMPTS {
            let (generation, _) = self.holding(commit).await?;
            let (git, id, folder) = (Arc::clone(&self.git), commit.clone(), folder.to_owned());
            let objects = Arc::clone(&generation.objects);
            let listed = blocking(move || Ok(list(&git, &generation, &id, &folder)));
            match listed.await? {
                Ok((listing, _)) if !listing.missing.is_empty() => {
                    self.have(listing.missing).await?;
                }
                Ok((listing, conversions)) => {
                    let entries = listing.entries;
                    let encoded =
                        encode::encode(&self.git, &self.state, &entries, &conversions).await?;
                    return Ok(Snapshot {
                        url: self.url().clone(),
                        entries,
                        objects,
                        conversions,
                        encoded,
                        max_file_size: self.git.config.max_file_size.0,
                        _users: users,
                    });
                }
                Err(fault) => self.mend(&fault, &mut mended).await?,
            }
        }
        Err(self.gives_not())
    }

    fn gives_not(&self) -> Error {
        Error::limit(self.url(), "the remote does not give all objects of its commits")
    }

    /// The last told refs over a generation.
    pub(crate) fn view(&self, generation: &Generation) -> Arc<View> {
        let refs = self.state.refs(Freshness::Known);
        self.state.view(refs.as_ref().unwrap_or(&generation.refs), generation)
    }

    /// A generation that has a commit, and its number there.
    async fn holding(&self, commit: &ObjectId) -> Result<(Arc<Generation>, Node), Error> {
        let unknown = || Error::Unknown { url: self.url().clone().clone(), commit: commit.clone() };
        let id = commit.to_git().ok_or_else(unknown)?;
        let has = |generation: Arc<Generation>| {
            let node = generation.graph.find(&id)?;
            Some((generation, node))
        };
        if let Some(found) = fetch::open_known(&self.git, &self.state).await.and_then(has) {
            self.note_use();
            return Ok(found);
        }
        self.refs(Freshness::Now).await?;
        fetch::catch_up(&self.git, &self.state).await.map(has)?.ok_or_else(unknown)
    }

    fn note_use(&self) {
        if self.state.is_due() {
            self.state.mirror.touch();
        }
    }

    /// Makes sure that a file is here, and the same file of commits that will be asked for next.
    async fn have_file(
        &self,
        generation: Arc<Generation>,
        id: gix::ObjectId,
        path: &str,
    ) -> Result<(), Error> {
        let (view, path) = (self.view(&generation), path.to_owned());
        let mut ids = blocking(move || Ok(ahead::blobs(&generation, &view, &path))).await?;
        ids.push(id);
        match self.have(ids).await {
            // Too much at once: then only what was asked for.
            Err(Error::Limit { .. }) => self.have(vec![id]).await,
            done => done,
        }
    }

    /// Makes sure that blobs are here, together with all who want some now.
    async fn have(&self, ids: Vec<gix::ObjectId>) -> Result<(), Error> {
        for _ in 0..MAX_ATTEMPTS {
            let ids: BTreeSet<_> = ids.iter().copied().collect();
            self.state.wanted.lock().unwrap_or_else(PoisonError::into_inner).extend(&ids);
            fetch::fetch_blobs(&self.git, &self.state).await?;
            let Some(generation) = self.state.generation() else { return Ok(()) };
            let absent = fetch::absent(&generation.objects, ids.into_iter().collect()).await?;
            if absent.is_empty() {
                return Ok(());
            }
        }
        Err(self.gives_not())
    }

    /// A damaged mirror is made again, once; what else is wrong stays wrong.
    async fn mend(&self, fault: &Fault, mended: &mut bool) -> Result<(), Error> {
        let damaged = matches!(fault, Fault::Missing(_) | Fault::Damaged(_));
        if !damaged || std::mem::replace(mended, true) {
            return Err(fault_of(self.url(), fault));
        }
        let url = self.url();
        tracing::warn!(%url, reason = %fault, "the mirror of {url} is damaged, made again: {fault}");
        fetch::discard(&self.git, &self.state).await
    }
}

/// What is below a folder, and how it is converted once nothing is missing.
fn list(
    git: &Inner,
    generation: &Generation,
    commit: &ObjectId,
    folder: &str,
) -> Result<(Listing, BTreeMap<Vec<u8>, Conversion>), Fault> {
    let objects = &generation.objects;
    let mut listing = tree::list(objects, root_of(generation, commit)?, folder, &git.config)?;
    if !listing.missing.is_empty() {
        return Ok((listing, BTreeMap::new()));
    }
    let conversions = convert(objects, folder, &mut listing)?;
    Ok((listing, conversions))
}

enum FoundFile {
    Nothing,
    Missing(gix::ObjectId),
    File(File),
}

fn root_of(generation: &Generation, commit: &ObjectId) -> Result<gix::ObjectId, Fault> {
    let id = commit.to_git().ok_or_else(|| Fault::Limit(format!("{commit} is no commit")))?;
    let mut reader = generation.objects.reader();
    let tree = reader.commit(&id)?.tree;
    generation.objects.give_back(reader);
    Ok(tree)
}

fn find_file(
    generation: &Generation,
    commit: &ObjectId,
    path: &str,
    limit: u64,
) -> Result<FoundFile, Fault> {
    let root = root_of(generation, commit)?;
    let mut reader = generation.objects.quick_reader();
    let At::Blob(kind, id) = tree::find(&mut reader, root, path)? else {
        return Ok(FoundFile::Nothing);
    };
    if reader.header(&id)?.is_none() {
        return Ok(FoundFile::Missing(id));
    }
    let bytes = reader.read(&id, gix::objs::Kind::Blob, limit)?.to_vec().into();
    Ok(FoundFile::File(File { kind, bytes }))
}
