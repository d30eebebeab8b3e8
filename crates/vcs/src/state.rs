//! What is known of one remote, shared by all handles to it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicU32},
};

use tokio::time::Instant;

use crate::{
    Freshness, Refs, Remote, RemoteUrl,
    blocking::now,
    flight::Flight,
    graph::{Graph, Marks, Node},
    mirror::{Mirror, Mode},
    objects::{Fault, Objects},
};

/// One remote.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) url: RemoteUrl,
    /// As it was last named: a credential may change.
    remote: Mutex<Remote>,
    pub(crate) mirror: Mirror,
    known: Mutex<Known>,
    pub(crate) asking: Flight<Arc<Refs>>,
    pub(crate) fetching: Flight<Arc<Generation>>,
    pub(crate) fetching_blobs: Flight<()>,
    /// Blobs to fetch with the next batch.
    pub(crate) wanted: Mutex<BTreeSet<gix::ObjectId>>,
    /// How often blobs were fetched into the mirror that is now.
    pub(crate) batches: AtomicU32,
    /// Held while the mirror is changed.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Cloned by whoever reads: a mirror in use is not removed.
    pub(crate) users: Arc<()>,
}

#[derive(Debug)]
struct Known {
    advert: Option<Advert>,
    generation: Option<Arc<Generation>>,
    /// Memory of that generation's refs.
    generation_refs: usize,
    view: Option<Arc<View>>,
    used: Instant,
    /// Whether its packs were let go of since then.
    resting: bool,
    noted: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Advert {
    refs: Arc<Refs>,
    /// When the remote was asked; `None` for what a mirror on disk remembers.
    asked: Option<Instant>,
    /// Memory of the refs.
    weight: usize,
}

/// What a repository takes in memory, and when it was last needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight {
    pub(crate) used: Instant,
    /// Bytes that [`State::forget_mirror`] gives back.
    pub(crate) graph: usize,
    /// Bytes that only [`State::forget`] gives back.
    pub(crate) refs: usize,
}

/// A mirror as of one fetch.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) mode: Mode,
    pub(crate) objects: Arc<Objects>,
    pub(crate) graph: Arc<Graph>,
    /// Everything that these lead to is in the graph.
    pub(crate) refs: Arc<Refs>,
}

impl Generation {
    /// Whether it was fetched by these refs.
    pub(crate) fn is_of(&self, refs: &Arc<Refs>) -> bool {
        Arc::ptr_eq(&self.refs, refs) || *self.refs == **refs
    }
}

/// Certain refs laid over a certain graph.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) refs: Arc<Refs>,
    pub(crate) graph: Arc<Graph>,
    reachable: OnceLock<Marks>,
    tags: OnceLock<Vec<(Node, String)>>,
}

impl View {
    /// The commits behind branches, tags and HEAD, as far as the graph has them.
    pub(crate) fn reachable(&self) -> &Marks {
        self.reachable.get_or_init(|| {
            let tips = self.refs.tips();
            self.graph.reachable(tips.into_iter().filter_map(|id| self.graph.find(&id.to_git()?)))
        })
    }

    /// The tags whose commits the graph has.
    pub(crate) fn tags(&self) -> &[(Node, String)] {
        self.tags.get_or_init(|| {
            let node = |tag: &crate::TagRef| self.graph.find(&tag.target().to_git()?);
            let tags = self.refs.tags.iter();
            tags.filter_map(|(name, tag)| Some((node(tag)?, name.clone()))).collect()
        })
    }
}

impl State {
    pub(crate) fn new(remote: Remote, mirror: Mirror) -> Self {
        Self {
            url: remote.url.clone(),
            remote: Mutex::new(remote),
            mirror,
            known: Mutex::new(Known {
                advert: None,
                generation: None,
                generation_refs: 0,
                view: None,
                used: now(),
                resting: false,
                noted: None,
            }),
            asking: Flight::default(),
            fetching: Flight::default(),
            fetching_blobs: Flight::default(),
            wanted: Mutex::default(),
            batches: AtomicU32::new(0),
            turn: tokio::sync::Mutex::default(),
            users: Arc::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remote(&self) -> Remote {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_remote(&self, remote: Remote) {
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner) = remote;
    }

    /// The refs as told before, where that is fresh enough.
    pub(crate) fn refs(&self, freshness: Freshness) -> Option<Arc<Refs>> {
        let mut known = self.known();
        known.used = now();
        let advert = known.advert.as_ref()?;
        let fresh = match freshness {
            Freshness::Now => false,
            Freshness::Within(age) => advert.asked.is_some_and(|asked| now() - asked <= age),
            Freshness::Known => true,
        };
        fresh.then(|| Arc::clone(&advert.refs))
    }

    /// Remembers an answer. The same refs stay the same value, so that what was derived stays too.
    pub(crate) fn told(&self, refs: Refs, asked: Option<Instant>) -> Arc<Refs> {
        let mut known = self.known();
        let generation = known.generation.as_ref().map(|generation| &generation.refs);
        let before = known.advert.as_ref().map(|advert| &advert.refs);
        // What a disk remembers is no news to whom the remote has told something.
        if asked.is_none()
            && let Some(before) = before
        {
            return Arc::clone(before);
        }
        let same = before.into_iter().chain(generation).find(|before| ***before == refs);
        let refs = same.map_or_else(|| Arc::new(refs), Arc::clone);
        let weight = refs.weight();
        known.advert = Some(Advert { refs: Arc::clone(&refs), asked, weight });
        refs
    }

    pub(crate) fn generation(&self) -> Option<Arc<Generation>> {
        let mut known = self.known();
        (known.used, known.resting) = (now(), false);
        known.generation.clone()
    }

    /// The same for housekeeping, which is no use.
    pub(crate) fn peek(&self) -> Option<Arc<Generation>> {
        self.known().generation.clone()
    }

    pub(crate) fn publish(&self, generation: Generation) -> Arc<Generation> {
        let generation = Arc::new(generation);
        let weight = generation.refs.weight();
        let mut known = self.known();
        known.generation_refs = weight;
        known.generation = Some(Arc::clone(&generation));
        generation
    }

    /// Forgets the mirror, not what the remote told.
    pub(crate) fn forget_mirror(&self) {
        let mut known = self.known();
        (known.generation, known.view, known.generation_refs) = (None, None, 0);
    }

    /// Forgets all that is in memory; what the mirror holds is read again when it is wanted.
    pub(crate) fn forget(&self) {
        self.forget_mirror();
        self.known().advert = None;
    }

    /// Puts a generation with closed packs in place of the one that is; once until the next use.
    pub(crate) fn rest(&self, reopen: impl FnOnce(&Generation) -> Result<Generation, Fault>) {
        let before = {
            let mut known = self.known();
            if std::mem::replace(&mut known.resting, true) {
                return;
            }
            known.view = None;
            known.generation.clone()
        };
        let Some(before) = before else { return };
        let reopened = reopen(&before).ok().map(Arc::new);
        let mut known = self.known();
        // A fetch may have come between.
        if known.generation.as_ref().is_some_and(|now| Arc::ptr_eq(now, &before)) {
            known.generation = reopened;
        }
    }

    /// The refs laid over a generation; the last such view is kept.
    pub(crate) fn view(&self, refs: &Arc<Refs>, generation: &Generation) -> Arc<View> {
        let mut known = self.known();
        if let Some(view) = &known.view
            && Arc::ptr_eq(&view.refs, refs)
            && Arc::ptr_eq(&view.graph, &generation.graph)
        {
            return Arc::clone(view);
        }
        let view = Arc::new(View {
            refs: Arc::clone(refs),
            graph: Arc::clone(&generation.graph),
            reachable: OnceLock::new(),
            tags: OnceLock::new(),
        });
        known.view = Some(Arc::clone(&view));
        view
    }

    pub(crate) fn weight(&self) -> Weight {
        let known = self.known();
        let (advert, generation) = (known.advert.as_ref(), known.generation.as_ref());
        let told = advert.map_or(0, |advert| advert.weight);
        let is_same = advert
            .zip(generation)
            .is_some_and(|(advert, generation)| Arc::ptr_eq(&advert.refs, &generation.refs));
        let refs = if is_same { told } else { told + known.generation_refs };
        let graph = generation.map_or(0, |generation| generation.graph.weight());
        Weight { used: known.used, graph, refs }
    }

    /// Whether a use should be noted on disk; once in a while.
    pub(crate) fn is_due(&self) -> bool {
        const EVERY: std::time::Duration = std::time::Duration::from_mins(1);
        let mut known = self.known();
        let due = known.noted.is_none_or(|noted| now() - noted > EVERY);
        if due {
            known.noted = Some(now());
        }
        due
    }

    pub(crate) fn is_used(&self) -> bool {
        Arc::strong_count(&self.users) > 1
    }
}
