//! Lists, `@latest` and queries: kept with the time they were fetched.
//!
//! Fresh: answered. Stale: one refresh flight; lists and `@latest` are answered at once from the old one for a
//! while. Source down: the old answer, marked. "Does not exist" is kept in the same way, so that an outage does not
//! turn the probing of path prefixes into errors.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use db::{KeptAnswer, Mutable};
use gomod::{ModVer, ModulePath, Request, Version};
use tracing::debug;
use units::Timestamp;
use upstream::Upstream;

use crate::flights::{self, Landing, Phase, Pilot, Purpose};
use crate::shelf::{Absent, Entry, Kept};
use crate::{Answer, Error, Fetching, Kind, Outcome, Rooms, erase, fill};

/// For how long after a failed refresh the old answer is given without trying again.
const FAILURE_FRESH: Duration = Duration::from_secs(5);

/// Answers for something that changes.
pub(crate) async fn answer(
    rooms: &Arc<Rooms>,
    request: Request,
    fetching: Fetching,
    now: Timestamp,
) -> Result<Answer, Error> {
    if let Some(entry) = rooms.shelf.get(&request) {
        if let Some(known) = settled(rooms, &entry, now) {
            return known;
        }
        if let Some(old) = presentable(rooms, &entry, now)
            && fetching == Fetching::Allowed
        {
            // Its result is for the next caller; this one has its answer.
            drop(board(rooms, Purpose::Fetch, request));
            return Ok(old.answer(Outcome::Stale, Duration::ZERO));
        }
    }
    let purpose = match fetching {
        Fetching::Allowed => Purpose::Fetch,
        Fetching::CachedOnly => Purpose::Load,
    };
    let mut watch = board(rooms, purpose, request.clone());
    match watch.progress(rooms.config.waiter_timeout, &request).await? {
        Phase::Landed(Ok(landing)) => fill::landed(rooms, &watch, landing, &request),
        Phase::Landed(Err(error)) => Err(error),
        Phase::Boarding | Phase::Streaming(_) => Err(Error::fault("a list cannot stream")),
    }
}

/// An answer that needs no refresh.
fn settled(rooms: &Rooms, entry: &Entry, now: Timestamp) -> Option<Result<Answer, Error>> {
    match entry {
        Entry::Kept(kept) => {
            let fresh_for = kept.fresh_for(now)?;
            Some(Ok(kept.answer(Outcome::Hit, fresh_for)))
        }
        Entry::Absent(absent) => {
            let fresh_for = absent.fresh_for(&rooms.config, now)?;
            Some(Err(absent.error(fresh_for)))
        }
        Entry::Denied(denial) => Some(Err(Error::Denied(denial.clone()))),
        Entry::Stored(_) => None,
    }
}

/// The old answer, if it may be given at once while a refresh runs. Queries may not: branches move.
fn presentable<'a>(rooms: &Rooms, entry: &'a Entry, now: Timestamp) -> Option<&'a Kept> {
    let Entry::Kept(kept) = entry else { return None };
    let age = now.since(kept.fetched)?;
    let limit = rooms.config.list_fresh.saturating_add(rooms.config.list_stale);
    (kept.kind != Kind::Query && age < limit).then_some(kept)
}

fn board(rooms: &Arc<Rooms>, purpose: Purpose, request: Request) -> flights::Watch {
    flights::join(rooms, (purpose, request), |pilot| Box::pin(fly(pilot)))
}

/// A mutable answer's flight: memory and index, else the source; then the old answer if the source fails.
async fn fly(pilot: Pilot) {
    let rooms = Arc::clone(&pilot.rooms);
    let request = pilot.request().clone();
    let known = known(&rooms, &request).await;
    if !pilot.may_fetch() {
        let landing = stored_answer(&rooms, &request, known).await;
        return pilot.land_last(landing);
    }
    let now = rooms.clock.now();
    if let Some(entry) = &known {
        let fresh = settled(&rooms, entry, now).is_some();
        if fresh || presentable(&rooms, entry, now).is_some() {
            let outcome = if fresh { Outcome::Hit } else { Outcome::Stale };
            pilot.land(Ok(Landing { entry: Some(Arc::clone(entry)), outcome }));
        }
        if fresh {
            return;
        }
    }
    let (landing, fetched) = match try_refresh(&rooms, &request, now).await {
        Ok(Refreshed { entry, fetched }) => {
            (Ok(Landing { entry: Some(entry), outcome: Outcome::Miss }), fetched)
        }
        Err(error) => (stand_in(&rooms, &request, known, error).await, None),
    };
    pilot.land_last(landing);
    if let Some(fetched) = fetched {
        keep(&rooms, &request, &fetched).await;
    }
}

/// Asks the source, unless it failed a moment ago.
///
/// Only a failure that is met now is remembered: one that is told again must not put off the next try.
async fn try_refresh(rooms: &Rooms, request: &Request, now: Timestamp) -> Result<Refreshed, Error> {
    if let Some(error) = rooms.refusals.find(request, now) {
        return Err(error);
    }
    let refreshed = refresh(rooms, request).await;
    if let Err(error) = &refreshed
        && error.is_outage()
    {
        let until = rooms.clock.now().plus(FAILURE_FRESH);
        rooms.refusals.remember(request.clone(), error.clone(), until);
    }
    refreshed
}

/// A new answer, and what the index is to keep of it.
struct Refreshed {
    entry: Arc<Entry>,
    fetched: Option<db::Kept>,
}

/// What memory has, else what the index has (and then memory).
async fn known(rooms: &Rooms, request: &Request) -> Option<Arc<Entry>> {
    if let Some(entry) = rooms.shelf.get(request) {
        return Some(entry);
    }
    let entry = Arc::new(read_index(rooms, request).await?);
    rooms.shelf.put(request.clone(), Arc::clone(&entry));
    Some(entry)
}

async fn read_index(rooms: &Rooms, request: &Request) -> Option<Entry> {
    let kept = match rooms.index.as_ref()?.kept(&index_key(request)?).await {
        Ok(kept) => kept?,
        Err(error) => {
            debug!(%error, "the index did not answer");
            return None;
        }
    };
    Some(match kept.answer {
        KeptAnswer::Found(body) => {
            let (kind, fresh) = kind_of(rooms, request);
            // The rules may be others than when it was kept.
            judged(rooms, request, Kept::new(kind, Bytes::from(body), kept.fetched, fresh))
        }
        KeptAnswer::NotFound { status, text } => {
            Entry::Absent(Absent { status, text, fetched: kept.fetched })
        }
    })
}

fn index_key(request: &Request) -> Option<Mutable> {
    match request {
        Request::List(path) => Some(Mutable::List(path.clone())),
        Request::Latest(path) => Some(Mutable::Latest(path.clone())),
        Request::Info(path, query) => Some(Mutable::Query(path.clone(), query.as_str().to_owned())),
        Request::Mod(_) | Request::Zip(_) | Request::Sumdb(_) => None,
    }
}

/// Kind and freshness. A query is never fresh: it is refreshed before it is answered.
fn kind_of(rooms: &Rooms, request: &Request) -> (Kind, Duration) {
    match request {
        Request::List(_) => (Kind::List, rooms.config.list_fresh),
        Request::Latest(_) => (Kind::Latest, rooms.config.list_fresh),
        _ => (Kind::Query, Duration::ZERO),
    }
}

/// Asks the source and judges.
async fn refresh(rooms: &Rooms, request: &Request) -> Result<Refreshed, Error> {
    let _turn = rooms.flights.turn(request).await?;
    let now = rooms.clock.now();
    let (kind, fresh) = kind_of(rooms, request);
    let found = match request {
        Request::List(path) => refresh_list(rooms, path).await.map_err(Error::from),
        // No `?` here: that something does not exist is kept below.
        Request::Latest(path) => standing(rooms, path, rooms.gate.latest(path).await),
        Request::Info(path, query) => standing(rooms, path, rooms.gate.info(path, query).await),
        Request::Mod(_) | Request::Zip(_) | Request::Sumdb(_) => {
            return Err(Error::fault("not a mutable answer"));
        }
    };
    let (entry, fetched) = match found {
        Ok((body, origin)) => {
            let answer = KeptAnswer::Found(body.to_vec());
            let entry = judged(rooms, request, Kept::new(kind, body, now, fresh));
            (Arc::new(entry), db::Kept { answer, fetched: now, origin })
        }
        Err(error) => {
            let Some(absent) = fill::absent(&error, now) else { return Err(error) };
            let kept = kept_absence(&absent);
            (Arc::new(Entry::Absent(absent)), kept)
        }
    };
    rooms.shelf.put(request.clone(), Arc::clone(&entry));
    Ok(Refreshed { entry, fetched: Some(fetched) })
}

/// What was found, if it was not erased here.
fn standing(
    rooms: &Rooms,
    path: &ModulePath,
    info: Result<upstream::Info, upstream::Error>,
) -> Result<(Bytes, String), Error> {
    let info = info?;
    if let Ok(module) = ModVer::new(path.clone(), info.version) {
        erase::judge(rooms, &module)?;
    }
    Ok((info.bytes, info.origin.0.to_string()))
}

/// Rules judge modules that exist: this one does.
fn judged(rooms: &Rooms, request: &Request, kept: Kept) -> Entry {
    let denial = request.module().and_then(|module| {
        let subject = policy::Subject { module, version: None, facts: None };
        rooms.policy.judge(subject).err()
    });
    denial.map_or(Entry::Kept(kept), Entry::Denied)
}

/// The union of what the source lists and what is stored. 404 only if neither knows the module.
async fn refresh_list(
    rooms: &Rooms,
    path: &ModulePath,
) -> Result<(Bytes, String), upstream::Error> {
    let (listed, stored) = tokio::join!(rooms.gate.list(path), stored_versions(rooms, path));
    match listed {
        Ok(listed) => {
            let origin = listed.origin.0.to_string();
            let versions = listed.versions.into_iter().chain(stored);
            Ok((list_text(versions.filter(|version| !erase::erased(rooms, path, version))), origin))
        }
        Err(upstream::Error::NotFound { .. }) if !stored.is_empty() => {
            Ok((list_text(stored), "store".to_owned()))
        }
        Err(error) => Err(error),
    }
}

async fn stored_versions(rooms: &Rooms, path: &ModulePath) -> Vec<Version> {
    rooms.store.versions(path).await.unwrap_or_else(|error| {
        debug!(module = %path, %error, "the stored versions of {path} cannot be listed");
        Vec::new()
    })
}

/// Canonical, sorted by semver, without pseudo-versions, each once; LF behind each.
fn list_text(versions: impl IntoIterator<Item = Version>) -> Bytes {
    let versions: BTreeSet<Version> =
        versions.into_iter().filter(|version| !version.is_pseudo()).collect();
    let mut text = String::new();
    for version in &versions {
        text.push_str(version.as_str());
        text.push('\n');
    }
    Bytes::from(text)
}

async fn keep(rooms: &Rooms, request: &Request, kept: &db::Kept) {
    let (Some(index), Some(key)) = (&rooms.index, index_key(request)) else { return };
    if let Err(error) = index.keep(&key, kept).await {
        debug!(%error, "an answer was not kept in the index");
    }
}

fn kept_absence(absent: &Absent) -> db::Kept {
    let answer = KeptAnswer::NotFound { status: absent.status, text: absent.text.clone() };
    db::Kept { answer, fetched: absent.fetched, origin: String::new() }
}

/// Keeps a "does not exist" in the index: it stands in when the source fails.
pub(crate) async fn keep_absent(rooms: &Rooms, request: &Request, absent: &Absent) {
    keep(rooms, request, &kept_absence(absent)).await;
}

/// A kept "does not exist", however old.
pub(crate) async fn kept_absent(rooms: &Rooms, request: &Request) -> Option<Absent> {
    match read_index(rooms, request).await? {
        Entry::Absent(absent) => Some(absent),
        _ => None,
    }
}

/// The source fails: the old answer (lists however old, queries ten minutes at most), else what is stored.
async fn stand_in(
    rooms: &Rooms,
    request: &Request,
    known: Option<Arc<Entry>>,
    error: Error,
) -> Result<Landing, Error> {
    if !error.is_outage() {
        return Err(error);
    }
    let now = rooms.clock.now();
    match known.as_deref() {
        Some(Entry::Absent(absent)) => return Err(absent.error(Duration::ZERO)),
        Some(Entry::Kept(kept)) if kept.kind != Kind::Query || young(rooms, kept, now) => {
            return Ok(Landing { entry: known, outcome: Outcome::Stale });
        }
        _ => {}
    }
    let Request::List(path) = request else { return Err(error) };
    let stored = stored_versions(rooms, path).await;
    if stored.is_empty() {
        return Err(error);
    }
    let kept = Kept::new(Kind::List, list_text(stored), now, Duration::ZERO);
    let entry = Arc::new(judged(rooms, request, kept));
    Ok(Landing { entry: Some(entry), outcome: Outcome::Stale })
}

fn young(rooms: &Rooms, kept: &Kept, now: Timestamp) -> bool {
    now.since(kept.fetched).is_some_and(|age| age <= rooms.config.query_stale_on_error)
}

/// Without the network: lists and `@latest` from the stored versions, queries as they were last answered.
async fn stored_answer(
    rooms: &Rooms,
    request: &Request,
    known: Option<Arc<Entry>>,
) -> Result<Landing, Error> {
    let (kind, _) = kind_of(rooms, request);
    let body = match request {
        Request::List(path) => {
            let stored = stored_versions(rooms, path).await;
            (!stored.is_empty()).then(|| list_text(stored))
        }
        Request::Latest(path) => stored_latest(rooms, path).await?,
        _ => {
            let entry = known.filter(|entry| !matches!(**entry, Entry::Absent(_)));
            return Ok(Landing { entry, outcome: Outcome::Stale });
        }
    };
    let now = rooms.clock.now();
    let kept = body.map(|body| Kept::new(kind, body, now, Duration::ZERO));
    let entry = kept.map(|kept| Arc::new(judged(rooms, request, kept)));
    Ok(Landing { entry, outcome: Outcome::Hit })
}

/// The `.info` of the newest stored version: releases first, then prereleases, then pseudo-versions, none that
/// the newest go.mod retracts. Source: go.dev/ref/mod#version-queries (latest).
async fn stored_latest(rooms: &Rooms, path: &ModulePath) -> Result<Option<Bytes>, Error> {
    let mut versions = stored_versions(rooms, path).await;
    versions.sort_by_key(|version| {
        let rank = if version.is_pseudo() { 0 } else { 1 + u8::from(!version.is_prerelease()) };
        (rank, version.clone())
    });
    let Some(newest) = versions.last() else { return Ok(None) };
    let go_mod = read_mod(rooms, path, newest).await?;
    let retracts = |version: &Version| go_mod.as_ref().is_some_and(|file| file.retracts(version));
    let chosen = versions.iter().rev().find(|version| !retracts(version)).unwrap_or(newest);
    let Ok(module) = ModVer::new(path.clone(), chosen.clone()) else { return Ok(None) };
    let Some(object) = rooms.store.open(&store::Key::Info(&module), None).await? else {
        return Ok(None);
    };
    Ok(Some(object.bytes(gomod::modfile::MAX_MOD_BYTES).await?))
}

async fn read_mod(
    rooms: &Rooms,
    path: &ModulePath,
    version: &Version,
) -> Result<Option<gomod::modfile::GoMod>, Error> {
    let Ok(module) = ModVer::new(path.clone(), version.clone()) else { return Ok(None) };
    let Some(object) = rooms.store.open(&store::Key::Mod(&module), None).await? else {
        return Ok(None);
    };
    let bytes = object.bytes(gomod::modfile::MAX_MOD_BYTES).await?;
    Ok(gomod::modfile::GoMod::parse(&bytes).ok())
}
