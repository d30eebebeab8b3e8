//! Files of a version: from memory, from the store, else fetched, judged, released and published.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use gomod::{Query, Request};
use tracing::{debug, warn};
use units::Timestamp;
use upstream::Upstream;

use crate::flights::{self, Landing, Phase, Pilot, Purpose, Watch};
use crate::load::{Target, load};
use crate::publish::{Publication, contradiction, publish, publish_info};
use crate::shelf::{Absent, Entry, Stored};
use crate::{Answer, Body, Error, Fetching, Kind, Outcome, Rooms, erase, facts, own, zip};

/// For how long an outage that one file met is given again without asking: the next request gets its answer at
/// once, and a repaired source is noticed soon.
const OUTAGE_FRESH: Duration = Duration::from_secs(1);

/// Answers for a file of a version.
pub(crate) async fn answer(
    rooms: &Arc<Rooms>,
    request: Request,
    fetching: Fetching,
    now: Timestamp,
) -> Result<Answer, Error> {
    if let Some(known) = remembered(rooms, &request, fetching, now) {
        return known;
    }
    let purpose = match fetching {
        Fetching::Allowed => Purpose::Fetch,
        Fetching::CachedOnly => Purpose::Load,
    };
    let mut watch = board(rooms, purpose, request.clone());
    let phase = watch.progress(rooms.config.waiter_timeout, &request).await?;
    match phase {
        Phase::Landed(Ok(landing)) => landed(rooms, &watch, landing, &request),
        Phase::Landed(Err(error)) => Err(error),
        Phase::Streaming(live) => {
            let body = Body::Live { parts: live.parts(watch.phases()), len: live.len };
            let outcome = if watch.joined { Outcome::Collapsed } else { Outcome::Miss };
            Ok(Answer {
                kind: Kind::Zip,
                body,
                validators: None,
                outcome,
                fresh_for: None,
                private: false,
            })
        }
        Phase::Boarding => Err(Error::fault("a flight reported progress without any")),
    }
}

/// What memory says: an entry that is neither missing nor expired, or a remembered verdict.
fn remembered(
    rooms: &Rooms,
    request: &Request,
    fetching: Fetching,
    now: Timestamp,
) -> Option<Result<Answer, Error>> {
    // What a source did matters only to those who would ask it.
    if fetching == Fetching::Allowed
        && let Some(error) = rooms.refusals.find(request, now)
    {
        return Some(Err(error));
    }
    match &*rooms.shelf.get(request)? {
        Entry::Stored(stored) => Some(Ok(stored.answer(Outcome::Hit))),
        Entry::Denied(denial) => Some(Err(Error::Denied(denial.clone()))),
        Entry::Absent(absent) => {
            let fresh_for = absent.fresh_for(&rooms.config, now)?;
            Some(Err(absent.error(fresh_for)))
        }
        Entry::Kept(_) => None,
    }
}

/// Has a file fetched and stored, unless it is; what it is, the caller learns elsewhere.
///
/// # Errors
///
/// Why it cannot be had: [`Error::Denied`] for a zip that a rule refuses; what was remembered.
pub(crate) async fn have(
    rooms: &Arc<Rooms>,
    request: Request,
    limit: Duration,
) -> Result<(), Error> {
    let now = rooms.clock.now();
    if let Some(known) = remembered(rooms, &request, Fetching::Allowed, now) {
        return known.map(drop);
    }
    let mut watch = board(rooms, Purpose::Fetch, request.clone());
    match watch.progress(limit, &request).await? {
        Phase::Landed(Ok(landing)) => landed(rooms, &watch, landing, &request).map(drop),
        Phase::Landed(Err(error)) => Err(error),
        Phase::Boarding | Phase::Streaming(_) => {
            Err(Error::fault("a version that is being recorded does not stream"))
        }
    }
}

pub(crate) fn board(rooms: &Arc<Rooms>, purpose: Purpose, request: Request) -> Watch {
    flights::join(rooms, (purpose, request), |pilot| Box::pin(fly(pilot)))
}

/// The answer from what a flight came back with.
pub(crate) fn landed(
    rooms: &Rooms,
    watch: &Watch,
    landing: Landing,
    request: &Request,
) -> Result<Answer, Error> {
    let outcome = match landing.outcome {
        Outcome::Miss if watch.joined => Outcome::Collapsed,
        outcome => outcome,
    };
    let Some(entry) = landing.entry else {
        return Err(Error::NotHere { what: name_of(request) });
    };
    match &*entry {
        Entry::Stored(stored) => Ok(stored.answer(outcome)),
        Entry::Kept(kept) => {
            let fresh_for = kept.fresh_for(rooms.clock.now()).unwrap_or_default();
            Ok(kept.answer(outcome, fresh_for))
        }
        Entry::Denied(denial) => Err(Error::Denied(denial.clone())),
        Entry::Absent(absent) => Err(absent.error(rooms.config.negative_fresh)),
    }
}

/// One file's flight: load, else fetch.
async fn fly(pilot: Pilot) {
    let rooms = Arc::clone(&pilot.rooms);
    let Some(target) = Target::of(pilot.request()) else {
        return pilot.land_last(Err(Error::fault("not a file of a version")));
    };
    match stored(&rooms, &target).await {
        Ok(None) if pilot.may_fetch() => {}
        Ok(entry) => return pilot.land_last(Ok(Landing { entry, outcome: Outcome::Hit })),
        Err(error) => return pilot.land_last(Err(error)),
    }
    let fetched = {
        let turn = rooms.flights.turn(pilot.request()).await;
        match turn {
            Ok(_turn) => fetch(&pilot, &target).await,
            Err(error) => Err(error),
        }
    };
    if let Err(error) = fetched {
        let error = failed(&rooms, pilot.request(), &target, error).await;
        pilot.land_last(Err(error));
    }
}

/// What is stored and may be served.
async fn stored(rooms: &Rooms, target: &Target) -> Result<Option<Arc<Entry>>, Error> {
    erase::judge(rooms, &target.module)?;
    // A file whose record is pending is as good as absent, and is not loaded into memory.
    if own::may_serve(rooms, target).await? { loaded(rooms, target).await } else { Ok(None) }
}

/// From the store into memory; `None` also when it was set aside meanwhile.
async fn loaded(rooms: &Rooms, target: &Target) -> Result<Option<Arc<Entry>>, Error> {
    let before = rooms.set_aside.load(Ordering::SeqCst);
    let Some(entry) = load(rooms, target).await? else { return Ok(None) };
    Ok(rooms.keep_loaded(target, &entry, before).await?.then_some(entry))
}

/// Fetches, judges, releases and publishes.
async fn fetch(pilot: &Pilot, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    // An `.info` needs no record: decision 0012.
    if target.kind != Kind::Info {
        rooms.judge_log(target.module.path())?;
    }
    rooms.judge_binding(target.module.path()).await?;
    if let Some(denial) = rooms.denial(target) {
        return refuse(pilot, target, denial).await;
    }
    match (target.kind, rooms.own_log_of(target.module.path())) {
        (Kind::Zip, _) => zip::fetch(pilot, target).await,
        (Kind::Mod, Some(own)) => own::fetch_mod(pilot, own, target).await,
        (Kind::Mod, None) => fetch_mod(pilot, target).await,
        _ => fetch_info(pilot, target).await,
    }
}

/// Rules judge modules that exist: 404 if it does not, else the refusal. Its zip is not fetched for that.
async fn refuse(pilot: &Pilot, target: &Target, denial: policy::Denial) -> Result<(), Error> {
    let query = Query::Version(target.module.version().clone());
    pilot.rooms.gate.info(target.module.path(), &query).await?;
    let entry = Arc::new(Entry::Denied(denial));
    pilot.rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.land(Ok(Landing { entry: Some(entry), outcome: Outcome::Miss }));
    Ok(())
}

/// A cold `.info`: asked for alone; its `.mod` is fetched beside it, since clients ask for that next.
async fn fetch_info(pilot: &Pilot, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let query = Query::Version(target.module.version().clone());
    let beside = board(rooms, Purpose::Fetch, Request::Mod(target.module.clone()));
    drop(beside);
    let info = source(rooms, target).await?.info(target.module.path(), &query).await?;
    let stored =
        Stored::small(Kind::Info, target.module.clone(), info.bytes.clone(), rooms.clock.now());
    let entry = Arc::new(Entry::Stored(stored));
    rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.land(Ok(Landing { entry: Some(entry), outcome: Outcome::Miss }));
    if let Err(error) = publish_info(rooms, target, info).await {
        unpublished(rooms, pilot.request(), target, &error);
    }
    Ok(())
}

/// A cold `.mod`: that file only, never its zip.
async fn fetch_mod(pilot: &Pilot, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let source = source(rooms, target).await?;
    let fetched = async { Ok(source.go_mod(&target.module).await?) };
    let (go_mod, record) = recorded(rooms, target, fetched).await?;
    release_mod(pilot, target, go_mod, record?).await
}

/// Judges, releases and publishes a `.mod` that was fetched.
pub(crate) async fn release_mod(
    pilot: &Pilot,
    target: &Target,
    go_mod: upstream::GoMod,
    record: sumdb::Record,
) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let checked = modzip::Checked::go_mod(&target.module, &go_mod.bytes)
        .map_err(|error| refuse_content(pilot, target, &go_mod.origin, &error))?;
    let body = store::BodyPart::Memory(go_mod.bytes.clone());
    let verified = confirm(pilot, record, (&checked, body), (target, &go_mod.origin)).await?;
    // `.mod` stays open whatever the rules say of the module: graphs need it.
    let pass = policy::Policy::pass_go_mod(&target.module);
    let now = rooms.clock.now();
    let entry = Arc::new(Entry::Stored(Stored::small(
        Kind::Mod,
        target.module.clone(),
        go_mod.bytes.clone(),
        now,
    )));
    let staged = stage(rooms, go_mod.bytes).await?;
    rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.release(&verified, &pass, &checked, entry)?;
    let origin = go_mod.origin;
    name_commit(rooms, target, &origin);
    let publication =
        Publication { target: target.clone(), staged, checked, verified, pass, origin };
    if let Err(error) = publish(rooms, publication).await {
        unpublished(rooms, pilot.request(), target, &error);
    }
    Ok(())
}

/// Has the `.info` stored, too, of a version that came from version control: it names the commit,
/// which the other files will be taken from whatever becomes of the tag.
pub(crate) fn name_commit(rooms: &Arc<Rooms>, target: &Target, origin: &upstream::Origin) {
    if &*origin.0 == upstream::DIRECT {
        let query = Query::Version(target.module.version().clone());
        let info = Request::Info(target.module.path().clone(), query);
        drop(board(rooms, Purpose::Fetch, info));
    }
}

pub(crate) async fn stage(rooms: &Rooms, bytes: Bytes) -> Result<store::Staged, Error> {
    let mut staged = rooms.store.stage().await?;
    staged.write(bytes).await?;
    Ok(staged)
}

/// The chain, with the source of this version's other files first.
pub(crate) async fn source(rooms: &Rooms, target: &Target) -> Result<Arc<dyn Upstream>, Error> {
    let facts = facts::read(&rooms.store, &target.module).await?;
    Ok(match facts::origin(&facts) {
        Some(origin) => rooms.gate.pinned(&origin),
        None => Arc::clone(&rooms.gate) as Arc<dyn Upstream>,
    })
}

/// Fetches a file and asks for its record at the same time. A fetch that fails ends the wait for
/// the record: what does not exist is recorded nowhere. A record that cannot be had ends the fetch
/// of a zip: it would be thrown away, and fetched once more for whoever asks next.
pub(crate) async fn recorded<T>(
    rooms: &Rooms,
    target: &Target,
    fetch: impl Future<Output = Result<T, Error>>,
) -> Result<(T, Result<sumdb::Record, Error>), Error> {
    let record = record(rooms, target);
    let (mut fetch, mut record) = (std::pin::pin!(fetch), std::pin::pin!(record));
    tokio::select! {
        fetched = &mut fetch => Ok((fetched?, record.await)),
        record = &mut record => match record {
            // Of what does not exist the source knows, and says so more plainly: a 404 of its own.
            Err(error) if target.kind == Kind::Zip && !is_not_recorded(&error) => Err(error),
            record => Ok((fetch.await?, record)),
        },
    }
}

/// Whether the database answered that it does not know the version.
fn is_not_recorded(error: &Error) -> bool {
    matches!(error, Error::Sumdb(error) if matches!(**error, sumdb::Error::NotRecorded { .. }))
}

/// What the checksum database records of a version; of a private one it is not asked.
async fn record(rooms: &Rooms, target: &Target) -> Result<sumdb::Record, Error> {
    if let Some(own) = rooms.own_log_of(target.module.path()) {
        return own::record(rooms, own, &target.module).await;
    }
    if rooms.judge_lookup(target.module.path()).is_err() {
        return Ok(rooms.sumdb.exempt(&target.module));
    }
    let record = rooms.sumdb.record(&target.module).await;
    record.map_err(|error| Error::Sumdb(Arc::new(error)))
}

/// The database's word on checked content. What it contradicts is kept as evidence and refused.
pub(crate) async fn confirm(
    pilot: &Pilot,
    record: sumdb::Record,
    (checked, body): (&modzip::Checked, store::BodyPart),
    (target, origin): (&Target, &upstream::Origin),
) -> Result<sumdb::Verified, Error> {
    match record.confirm(checked) {
        Ok(verified) => Ok(verified),
        Err(mismatch) => {
            contradiction(&pilot.rooms, target, &mismatch, (checked, body)).await;
            Err(refuse_content(pilot, target, origin, &mismatch))
        }
    }
}

/// A verdict of ours on whole content: 502 with the reason, not stored, remembered for long.
///
/// What a source's trouble looks like (a login page, a cut body) is no verdict: see [`failed`].
pub(crate) fn refuse_content(
    pilot: &Pilot,
    target: &Target,
    origin: &upstream::Origin,
    reason: &dyn std::fmt::Display,
) -> Error {
    let rooms = &pilot.rooms;
    let error = Error::Upstream(Arc::new(upstream::Error::Invalid {
        what: target.to_string(),
        origin: origin.clone(),
        reason: reason.to_string(),
    }));
    warn!(module = %target.module, %error, "{target} was refused: {error}");
    rooms.metrics.refused();
    let until = rooms.clock.now().plus(rooms.config.refused_fresh);
    rooms.refusals.remember(pilot.request().clone(), error.clone(), until);
    error
}

/// Remembers a failed fetch as its kind deserves, and lets a kept "does not exist" stand in for an outage.
async fn failed(rooms: &Rooms, request: &Request, target: &Target, error: Error) -> Error {
    let now = rooms.clock.now();
    if let Some(absent) = absent(&error, now) {
        if target.kind == Kind::Info {
            crate::mutable::keep_absent(rooms, request, &absent).await;
        }
        let error = absent.error(rooms.config.negative_fresh);
        rooms.shelf.put(request.clone(), Arc::new(Entry::Absent(absent)));
        return error;
    }
    if !error.is_outage() && !matches!(error, Error::Sumdb(_)) {
        return error;
    }
    if rooms.refusals.find(request, now).is_some() {
        return error;
    }
    debug!(module = %target.module, %error, "{target} was not fetched: {error}");
    if target.kind == Kind::Info
        && let Some(absent) = crate::mutable::kept_absent(rooms, request).await
    {
        return absent.error(Duration::ZERO);
    }
    rooms.refusals.remember(request.clone(), error.clone(), now.plus(OUTAGE_FRESH));
    error
}

/// The negative answer in a source's 404 or 410.
pub(crate) fn absent(error: &Error, now: Timestamp) -> Option<Absent> {
    let Error::Upstream(error) = error else { return None };
    let upstream::Error::NotFound { status, text, .. } = &**error else { return None };
    let text = text.clone().unwrap_or_else(|| format!("not found: {error}"));
    Some(Absent { status: *status, text, fetched: now })
}

/// Clients have the bytes, the store does not: forget them, so that the next request fetches again.
pub(crate) fn unpublished(rooms: &Rooms, request: &Request, target: &Target, error: &Error) {
    rooms.shelf.remove(request);
    rooms.metrics.unpublished();
    warn!(module = %target.module, %error, "{target} was served but not stored: {error}");
}

/// What a request asks for, in words for errors.
pub(crate) fn name_of(request: &Request) -> String {
    match request {
        Request::List(path) => format!("the version list of {path}"),
        Request::Latest(path) => format!("the latest version of {path}"),
        Request::Info(path, query) => format!("{path}@{}", query.as_str()),
        Request::Mod(module) => format!("the go.mod of {module}"),
        Request::Zip(module) => format!("the zip of {module}"),
        Request::Sumdb(path) => format!("checksum database path {}", path.as_str()),
    }
}
