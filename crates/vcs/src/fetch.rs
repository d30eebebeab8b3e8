//! Asking a remote and catching up with it.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
};

use futures_util::FutureExt as _;
use tokio::sync::SemaphorePermit;

use crate::{
    Error, ObjectId, Refs,
    blocking::{blocking, now},
    command::Git,
    failure::{self, Meaning},
    git::Inner,
    graph::Graph,
    metrics::Action,
    mirror::{Mirror, Mode, failed},
    objects::{Fault, Objects},
    refs::Broken,
    remote::Scheme,
    run::Limits,
    state::{Generation, State},
    transport::{self, Failed, Line},
    whole,
};

/// Rounds of one fetch: the refs may move meanwhile, the mirror may be damaged, the remote may not
/// do partial clones, each once.
const MAX_ROUNDS: usize = 4;
/// Most output of a fetch; it is told to be quiet.
const MAX_FETCH_OUTPUT: u64 = 1 << 20;

/// Why a round was lost.
#[derive(Debug)]
enum Lost {
    /// The refs that we knew are gone.
    Moved(Error),
    /// The mirror is not as we left it.
    Damaged(String),
    /// The remote cannot do what a partial mirror needs.
    NotPartial(String),
    Final(Error),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Asks the remote for its refs, with all who ask now.
pub(crate) async fn ask(git: &Arc<Inner>, state: &Arc<State>) -> Result<Arc<Refs>, Error> {
    let flight = state.asking.join(|| {
        let (git, state) = (Arc::clone(git), Arc::clone(state));
        async move { list_refs(&git, &state).await }.boxed()
    });
    flight.await
}

async fn list_refs(git: &Inner, state: &State) -> Result<Arc<Refs>, Error> {
    let remote = state.remote();
    let url = remote.url.clone();
    let turns = git.turns(url.host());
    let _permit = permit(&turns.asking).await?;
    let timer = git.metrics.start(Action::Refs);
    let line = Line::open(git, &remote).await?;
    let limits = Limits {
        time: git.config.refs_timeout.0,
        stdout: git.config.max_refs_size.0,
        memory: git.config.max_process_memory.0,
        disk: None,
    };
    let mut command = git.command(limits);
    command.args(&["ls-remote", "--quiet", "--symref", "--end-of-options", "origin"]);
    let over_http = matches!(line.scheme(), Scheme::Https | Scheme::Http);
    if over_http {
        // Headers only, secrets left out by git: the one way to see that it spoke smart http.
        command.variable("GIT_TRACE_CURL", "1").variable("GIT_TRACE_CURL_NO_DATA", "1");
    }
    let asked = now();
    let done = line.run(command, &url).await.map_err(|failed| timer.failed(failed.error))?;
    if over_http && !failure::spoke_smart_http(&done.stderr) {
        let dumb = Error::forbidden(&url, "it speaks dumb http only; smart http is needed");
        return Err(timer.failed(dumb));
    }
    let max_refs = git.config.max_refs;
    let refs = blocking(move || Ok(Refs::parse_advertisement(&done.stdout, max_refs))).await?;
    let refs = refs.map_err(|broken| {
        timer.failed(match broken {
            Broken::TooMany => Error::limit(&url, format!("it has more than {max_refs} refs")),
            Broken::Line => Error::limit(&url, "its list of refs is broken"),
            Broken::TwoKinds => Error::limit(&url, "its refs have hashes of two kinds"),
        })
    })?;
    drop(timer);
    let refs = state.told(refs, Some(asked));
    git.trim(state);
    Ok(refs)
}

async fn permit(semaphore: &tokio::sync::Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    semaphore.acquire().await.map_err(|_closed| Error::mirror("repositories", "shutting down"))
}

/// The mirror with everything that the refs lead to, as they were last told.
pub(crate) async fn catch_up(
    git: &Arc<Inner>,
    state: &Arc<State>,
) -> Result<Arc<Generation>, Error> {
    let flight = state.fetching.join(|| {
        let (git, state) = (Arc::clone(git), Arc::clone(state));
        async move {
            let _turn = state.turn.lock().await;
            let _locked = state.mirror.lock(git.config.fetch_timeout.0).await?;
            rounds(&git, &state).await
        }
        .boxed()
    });
    flight.await
}

/// Under the lock.
async fn rounds(git: &Arc<Inner>, state: &Arc<State>) -> Result<Arc<Generation>, Error> {
    let url = state.url.clone();
    // A folder of this machine is read at once: asking it twice saves nothing.
    let is_near = transport::scheme(git, &state.remote())? == Scheme::File;
    let mut mode = if is_near { Mode::Full } else { Mode::Partial };
    let mut last = Error::mirror(&url, "could not be fetched");
    let mut was_damaged = false;
    for round in 0..MAX_ROUNDS {
        let refs = match state.refs(crate::Freshness::Known) {
            Some(refs) => refs,
            None => ask(git, state).await?,
        };
        match advance(git, state, &refs, mode).await {
            Ok(generation) => {
                let generation = state.publish(generation);
                git.trim(state);
                return Ok(generation);
            }
            Err(Lost::Final(error)) => return Err(error),
            Err(Lost::Moved(error)) => {
                last = error;
                ask(git, state).await?;
            }
            // Damaged as it came: the remote's fault, not the disk's.
            Err(Lost::Damaged(reason)) if was_damaged => return Err(Error::limit(&url, reason)),
            Err(Lost::Damaged(reason)) => {
                was_damaged = true;
                tracing::warn!(%url, %reason, round, "the mirror of {url} is damaged, made again: {reason}");
                last = Error::mirror(&url, &reason);
                remove(state).await?;
            }
            Err(Lost::NotPartial(reason)) => {
                tracing::debug!(%url, %reason, "{url} is fetched whole: {reason}");
                last = Error::limit(&url, &reason);
                mode = Mode::Full;
                remove(state).await?;
            }
        }
    }
    Err(last)
}

/// Removes the mirror. Under the lock.
pub(crate) async fn remove(state: &Arc<State>) -> Result<(), Error> {
    state.forget_mirror();
    remove_folder(&state.mirror).await
}

/// Removes a mirror that nobody has asked for. Under its lock.
pub(crate) async fn remove_folder(mirror: &Mirror) -> Result<(), Error> {
    let mirror = mirror.clone();
    blocking(move || mirror.remove().map_err(|error| failed(mirror.folder(), "remove", &error)))
        .await
}

/// Removes the mirror, to be made again by whoever needs it next.
pub(crate) async fn discard(git: &Arc<Inner>, state: &Arc<State>) -> Result<(), Error> {
    let _turn = state.turn.lock().await;
    let _locked = state.mirror.lock(git.config.fetch_timeout.0).await?;
    remove(state).await
}

async fn advance(
    git: &Arc<Inner>,
    state: &Arc<State>,
    refs: &Arc<Refs>,
    mode: Mode,
) -> Result<Generation, Lost> {
    let before = match state.generation() {
        Some(generation) => generation,
        None => Arc::new(open(git, state, Some((refs, mode))).await?),
    };
    if !refs.objects().is_empty() && before.objects.kind() != refs.kind() {
        return Err(Lost::Damaged("the remote has another kind of hashes now".to_owned()));
    }
    let wanted = wanted(refs, &before);
    if !wanted.is_empty() {
        if !is_intact(state, &before).await? {
            return Err(Lost::Damaged("it was changed by somebody else".to_owned()));
        }
        fetch(git, state, before.mode, wanted).await?;
    }
    let url = state.url.clone();
    let (git, state, refs) = (Arc::clone(git), Arc::clone(state), Arc::clone(refs));
    let extended = blocking(move || Ok(extend(&git, &state, &before, &refs)));
    extended.await?.map_err(|fault| match fault {
        Fault::Missing(_) | Fault::Damaged(_) => Lost::Damaged(fault.to_string()),
        Fault::Limit(reason) => Lost::Final(Error::limit(&url, reason)),
    })
}

/// Whether the folder is still what was opened: others may have removed it.
async fn is_intact(state: &Arc<State>, before: &Generation) -> Result<bool, Error> {
    let (mirror, wanted) = (state.mirror.clone(), Some((before.objects.kind(), before.mode)));
    blocking(move || Ok(mirror.inspect().is_ok_and(|found| found == wanted))).await
}

/// The objects that the mirror does not have for sure.
fn wanted(refs: &Refs, before: &Generation) -> Vec<ObjectId> {
    let had: HashSet<&ObjectId> = before.refs.objects().into_iter().collect();
    let in_graph = |id: &ObjectId| id.to_git().is_some_and(|id| before.graph.find(&id).is_some());
    let objects = refs.objects().into_iter();
    objects.filter(|id| !had.contains(id) && !in_graph(id)).cloned().collect()
}

/// The mirror on disk; a new one of a certain kind where there is none.
///
/// Without `new`, the mirror must be there.
pub(crate) async fn open_known(git: &Arc<Inner>, state: &Arc<State>) -> Option<Arc<Generation>> {
    if let Some(generation) = state.generation() {
        return Some(generation);
    }
    let _turn = state.turn.lock().await;
    if let Some(generation) = state.generation() {
        return Some(generation);
    }
    // What is damaged is found again, and mended, by the fetch that follows.
    let generation = open(git, state, None).await.ok()?;
    git.trim(state);
    Some(state.publish(generation))
}

async fn open(
    git: &Arc<Inner>,
    state: &Arc<State>,
    new: Option<(&Arc<Refs>, Mode)>,
) -> Result<Generation, Lost> {
    let (git, mirror) = (Arc::clone(git), state.mirror.clone());
    let new = new.map(|(refs, mode)| (refs.kind(), mode));
    let opened = blocking(move || {
        let (kind, mode) = match (mirror.inspect(), new) {
            (Ok(Some(found)), _) => found,
            (Err(fault), _) => return Ok(Err(fault)),
            (Ok(None), Some((kind, mode))) => {
                let created = mirror.create(kind, mode);
                created.map_err(|error| failed(mirror.folder(), "make", &error))?;
                (kind, mode)
            }
            (Ok(None), None) => return Ok(Err(Fault::Damaged("it is not there".to_owned()))),
        };
        Ok(read(&git, &mirror, kind, mode))
    });
    opened.await?.map_err(|fault| Lost::Damaged(fault.to_string()))
}

/// Opens a mirror and reads its history. Blocking.
pub(crate) fn read(
    git: &Inner,
    mirror: &Mirror,
    kind: gix::hash::Kind,
    mode: Mode,
) -> Result<Generation, Fault> {
    let objects = Objects::open(mirror.folder(), kind, git.config.max_file_size.0, &git.idle)?;
    let refs = mirror.read_refs()?.unwrap_or_default();
    let graph = Graph::default();
    let graph = history(git, &objects, &graph, &refs)?.unwrap_or(graph);
    Ok(Generation {
        mode,
        objects: Arc::new(objects),
        graph: Arc::new(graph),
        refs: Arc::new(refs),
    })
}

/// A generation with its packs as they are on disk now; none is open yet. Blocking.
pub(crate) fn reopen(
    git: &Inner,
    mirror: &Mirror,
    before: &Generation,
) -> Result<Generation, Fault> {
    let (kind, largest) = (before.objects.kind(), git.config.max_file_size.0);
    let objects = Objects::open(mirror.folder(), kind, largest, &git.idle)?;
    Ok(Generation { objects: Arc::new(objects), ..before.clone() })
}

/// After a fetch: reads the new commits, then shows the refs. Under the lock, blocking.
fn extend(
    git: &Inner,
    state: &State,
    before: &Generation,
    refs: &Arc<Refs>,
) -> Result<Generation, Fault> {
    let kind = before.objects.kind();
    let found = state.mirror.inspect()?;
    if found != Some((kind, before.mode)) {
        return Err(Fault::Damaged("its config has changed".to_owned()));
    }
    let objects =
        Objects::open(state.mirror.folder(), kind, git.config.max_file_size.0, &git.idle)?;
    let graph = history(git, &objects, &before.graph, refs)?;
    let graph = graph.map_or_else(|| Arc::clone(&before.graph), Arc::new);
    state.mirror.write_refs(refs).map_err(|error| Fault::Damaged(error.to_string()))?;
    state.mirror.touch();
    Ok(Generation { mode: before.mode, objects: Arc::new(objects), graph, refs: Arc::clone(refs) })
}

/// The graph with all commits behind the refs; `None` when it has them already.
fn history(
    git: &Inner,
    objects: &Objects,
    graph: &Graph,
    refs: &Refs,
) -> Result<Option<Graph>, Fault> {
    let mut reader = objects.reader();
    let branches = refs.head.iter().map(|(id, _)| id).chain(refs.heads.values());
    let mut tips = Vec::new();
    for id in branches.filter_map(ObjectId::to_git).filter(|id| graph.find(id).is_none()) {
        tips.extend(reader.peel(&id)?);
    }
    let max_commits = git.config.max_commits;
    let mut extended = None;
    if !tips.is_empty() {
        extended = Some(graph.extended(&mut reader, &tips, max_commits)?);
    }
    let mut tips = Vec::new();
    let known = extended.as_ref().unwrap_or(graph);
    for tag in refs.tags.values() {
        let has = |id: &ObjectId| id.to_git().is_some_and(|id| known.find(&id).is_some());
        // What the remote says is behind a tag is believed where it is a commit of its history.
        if has(tag.target()) {
            continue;
        }
        if let Some(id) = tag.object.to_git() {
            tips.extend(reader.peel(&id)?);
        }
    }
    tips.retain(|id| known.find(id).is_none());
    if !tips.is_empty() {
        extended = Some(known.extended(&mut reader, &tips, max_commits)?);
    }
    objects.give_back(reader);
    Ok(extended)
}

/// Brings the objects into the mirror. Under the lock.
async fn fetch(
    git: &Inner,
    state: &Arc<State>,
    mode: Mode,
    wanted: Vec<ObjectId>,
) -> Result<(), Lost> {
    let ids: Vec<_> = wanted.iter().map(ObjectId::as_str).collect();
    let mut command = git.command(limits(git, &state.mirror));
    command.args(&["fetch", "--no-tags"]);
    if mode == Mode::Partial {
        command.args(&["--filter=blob:none"]);
    }
    let mirror = &state.mirror;
    run_fetch(git, state, mirror, command, &ids).await.map_err(|failed| {
        match failure::meaning(&failed.said) {
            Meaning::NotGiven => Lost::Moved(failed.error),
            // Before 2.44 git forgets the list of harmless faults in a partial fetch.
            Meaning::Broken if mode == Mode::Partial => Lost::NotPartial(failed.error.to_string()),
            _ => Lost::Final(failed.error),
        }
    })
}

pub(crate) fn limits(git: &Inner, mirror: &Mirror) -> Limits {
    Limits {
        time: git.config.fetch_timeout.0,
        stdout: MAX_FETCH_OUTPUT,
        memory: git.config.max_process_memory.0,
        disk: Some(git.disk(mirror.objects(), git.config.max_fetch_size.0)),
    }
}

/// Fetches by names of objects: what arrives has no ref, so nobody sees it before we say so.
pub(crate) async fn run_fetch(
    git: &Inner,
    state: &State,
    mirror: &Mirror,
    mut command: Git,
    ids: &[&str],
) -> Result<(), Failed> {
    let remote = state.remote();
    let url = remote.url.clone();
    let turns = git.turns(url.host());
    let _permit = permit(&turns.fetching).await?;
    let _permit_of_all = permit(git.all_turns(remote.word)).await?;
    let timer = git.metrics.start(Action::Fetch);
    let sweep = || {
        let mirror = mirror.clone();
        blocking(move || {
            mirror.sweep();
            Ok(())
        })
    };
    sweep().await?;
    let line = Line::open(git, &remote).await?;
    command.inside(mirror.folder()).stdin((ids.join("\n") + "\n").into_bytes());
    command.args(&["--quiet", "--no-write-fetch-head", "--no-recurse-submodules"]);
    command.args(&["--stdin", "--end-of-options", "origin"]);
    let seconds = git.config.idle_timeout.0.as_secs().to_string();
    command.set("http.lowSpeedLimit", "1").set("http.lowSpeedTime", &seconds);
    match line.run(command, &url).await {
        Ok(_done) => {
            drop(timer);
            Ok(())
        }
        Err(failed) => {
            let error = timer.failed(failed.error);
            // What a killed fetch has left is disk that nobody gets back otherwise.
            sweep().await?;
            Err(Failed { said: failed.said, error })
        }
    }
}

/// Brings blobs into a partial mirror, in one batch with all who want some now.
///
/// Dropped: the batch goes on while others wait for it.
pub(crate) async fn fetch_blobs(git: &Arc<Inner>, state: &Arc<State>) -> Result<(), Error> {
    let flight = state.fetching_blobs.join(|| {
        let (git, state) = (Arc::clone(git), Arc::clone(state));
        async move {
            let _turn = state.turn.lock().await;
            let _locked = state.mirror.lock(git.config.fetch_timeout.0).await?;
            fetch_batch(&git, &state).await
        }
        .boxed()
    });
    flight.await
}

async fn fetch_batch(git: &Arc<Inner>, state: &Arc<State>) -> Result<(), Error> {
    let before = match state.generation() {
        Some(before) if is_intact(state, &before).await? => before,
        _ => {
            remove(state).await?;
            rounds(git, state).await?
        }
    };
    let ids = std::mem::take(&mut *state.wanted.lock().unwrap_or_else(PoisonError::into_inner));
    let ids = absent(&before.objects, ids.into_iter().collect()).await?;
    if ids.is_empty() {
        return Ok(());
    }
    if whole::is_small(git, state).await? && whole::make(git, state).await? {
        return Ok(());
    }
    let hex: Vec<_> = ids.iter().map(|id| id.to_hex().to_string()).collect();
    let hex: Vec<_> = hex.iter().map(String::as_str).collect();
    let mut command = git.command(limits(git, &state.mirror));
    // As git's own prefetch of promised objects does it: nothing is offered, names are asked for.
    command
        .args(&["fetch", "--no-tags", "--filter=blob:none"])
        .set("fetch.negotiationAlgorithm", "noop");
    match run_fetch(git, state, &state.mirror, command, &hex).await {
        Ok(()) => {
            state.batches.fetch_add(1, Relaxed);
            let (git, mirror) = (Arc::clone(git), state.mirror.clone());
            let objects = blocking(move || {
                let opened = reopen(&git, &mirror, &before);
                opened.map_err(|fault| Error::mirror("objects", fault.to_string()))
            });
            state.publish(objects.await?);
            Ok(())
        }
        Err(failed) if gives_no_blobs(&failed) => {
            let error = failed.error;
            tracing::debug!(url = %state.url, reason = %error, "fetched whole: {error}");
            if whole::make(git, state).await? { Ok(()) } else { Err(error) }
        }
        Err(failed) => Err(failed.error),
    }
}

fn gives_no_blobs(failed: &Failed) -> bool {
    matches!(failure::meaning(&failed.said), Meaning::NotGiven | Meaning::Broken)
}

/// Those of the objects that are not here.
pub(crate) async fn absent(
    objects: &Arc<Objects>,
    ids: Vec<gix::ObjectId>,
) -> Result<Vec<gix::ObjectId>, Error> {
    let objects = Arc::clone(objects);
    blocking(move || {
        let reader = objects.quick_reader();
        Ok(ids.into_iter().filter(|id| !matches!(reader.header(id), Ok(Some(_)))).collect())
    })
    .await
}
