//! Our own log: private versions are recorded before anybody gets them, and clients look up there.
//!
//! A private version is fetched whole. Its files are made durable under their names, then recorded,
//! then served: until the record stands, a file is *pending* in its facts and goes to nobody. So no
//! record is ever of bytes that are lost, and no client has bytes that no record speaks of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Request, SumdbRequest};
use modzip::{Checked, CheckedKind};
use policy::Verification;
use sumdb::{Kind as LogKind, Logged, OwnError, OwnLog};
use tlog::{LogName, Tile};
use upstream::Upstream;

use crate::aside::{self, Keep};
use crate::confirm::{self, Came};
use crate::flights::{Landing, Pilot};
use crate::load::{Target, check_again, load};
use crate::publish::{Publication, publish};
use crate::shelf::Entry;
use crate::{Error, Kind, Outcome, Rooms, facts, fill};

/// How long a look-up waits for what it has fetched and recorded. `go` itself has no limit.
/// Source: reference sumdb.md §2.4.
const LOOKUP_WAIT: Duration = Duration::from_secs(30);

/// A log that was made and cannot be opened: its state is lost, its tiles are altered.
///
/// It must not pass for a log that was never made: clients would ask its name's host directly, and
/// private versions would be served that nobody recorded.
#[derive(Debug, Clone)]
pub struct ClosedLog {
    /// Its name.
    pub name: LogName,
    /// Why it cannot be opened, in a person's words.
    pub reason: String,
}

impl ClosedLog {
    pub(crate) fn error(&self) -> Error {
        OwnError::Frozen { log: self.name.clone(), reason: self.reason.clone() }.into()
    }
}

impl Rooms {
    /// Refuses to publish a private version that a closed log could not record.
    ///
    /// # Errors
    ///
    /// [`OwnError::Frozen`].
    pub(crate) fn judge_log(&self, path: &ModulePath) -> Result<(), Error> {
        match &self.closed {
            Some(closed) if self.judge_lookup(path).is_err() => Err(closed.error()),
            _ => Ok(()),
        }
    }

    /// Our log, for a module whose versions are recorded there by us alone: one that is looked up in
    /// no public database.
    pub(crate) fn own_log_of(&self, path: &ModulePath) -> Option<&OwnLog> {
        self.own.as_ref().filter(|_| self.judge_lookup(path).is_err())
    }
}

/// What our log records of a version, to confirm content by: what is recorded counts for ever.
///
/// # Errors
///
/// The log's own trouble.
pub(crate) async fn record(
    rooms: &Rooms,
    own: &OwnLog,
    module: &ModVer,
) -> Result<sumdb::Record, Error> {
    Ok(match own.record(module).await? {
        Some(logged) => rooms.sumdb.recorded_here(own, &logged),
        None => rooms.sumdb.pending(module),
    })
}

/// A `.mod` of a private version: the whole version is fetched, and this file is then loaded.
pub(crate) async fn fetch_mod(pilot: &Pilot, own: &OwnLog, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let zip = Request::Zip(target.module.clone());
    match fill::have(rooms, zip, rooms.config.waiter_timeout).await {
        Ok(()) => {}
        // Graphs need it, whatever the rules say of the zip, which is not fetched for that.
        Err(Error::Denied(_)) => return fetch_lone_mod(pilot, own, target).await,
        Err(error) => return Err(error),
    }
    let entry = match load(rooms, target).await? {
        Some(entry) => entry,
        None => fetch_missing_mod(pilot, own, target).await?,
    };
    rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.land(Ok(Landing { entry: Some(entry), outcome: Outcome::Miss }));
    Ok(())
}

/// The `.mod` of a version whose zip nobody may have, so that it is not recorded: held against the
/// record if there is one, else as before there was a log. Its zip, once allowed, is recorded with it.
async fn fetch_lone_mod(pilot: &Pilot, own: &OwnLog, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let go_mod = fill::source(rooms, target).await?.go_mod(&target.module).await?;
    let record = match own.record(&target.module).await? {
        Some(logged) => rooms.sumdb.recorded_here(own, &logged),
        None => rooms.sumdb.exempt(&target.module),
    };
    fill::release_mod(pilot, target, go_mod, record).await
}

/// The `.mod` of a version whose zip is stored without it: from before there was a log, or because
/// it was set aside. Held against the record, else against the zip, which is recorded with it.
async fn fetch_missing_mod(
    pilot: &Pilot,
    own: &OwnLog,
    target: &Target,
) -> Result<Arc<Entry>, Error> {
    let rooms = &pilot.rooms;
    let source = fill::source(rooms, target).await?;
    let go_mod = mod_publication(pilot, own, &*source, &target.module).await?;
    if own.record(&target.module).await?.is_none()
        && of_stored_zip(rooms, &target.module).await?.h1() != go_mod.checked.h1()
    {
        let reason = "it is not the go.mod of the stored zip";
        return Err(fill::refuse_content(pilot, target, &go_mod.origin, &reason));
    }
    publish(rooms, go_mod).await?;
    log_stored(rooms, own, &target.module).await?;
    let entry = load(rooms, target).await?;
    entry.ok_or_else(|| Error::fault(format!("{target} is gone from the store")))
}

/// The go.mod that a stored zip says its version has; made up for one that has none, as `go` does.
async fn of_stored_zip(rooms: &Rooms, module: &ModVer) -> Result<Checked, Error> {
    let zip = Target { kind: Kind::Zip, module: module.clone() };
    let Some(object) = rooms.store.open(&zip.key(), None).await? else {
        return Err(Error::NotHere { what: zip.to_string() });
    };
    let checked = check_again(&zip, &object).await?;
    let bytes = match checked.kind() {
        CheckedKind::Zip { go_mod: Some(inside), .. } => inside.clone(),
        _ => gomod::modfile::synthetic(module.path()).into_bytes(),
    };
    Checked::go_mod(module, &bytes).map_err(|error| Error::fault(error.to_string()))
}

/// Publishes a private version whose zip has passed, in the order of this module's contract.
///
/// # Errors
///
/// The `.mod` cannot be fetched or is refused; store or log fail. Nothing is served then.
pub(crate) async fn publish_whole(
    pilot: &Pilot,
    own: &OwnLog,
    source: &dyn Upstream,
    zip: Publication,
) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let module = zip.target.module.clone();
    let go_mod = mod_publication(pilot, own, source, &module).await?;
    let (verified, pass, checked) = (zip.verified.clone(), zip.pass.clone(), zip.checked.clone());
    let origin = zip.origin.clone();
    let target = zip.target.clone();
    publish(rooms, go_mod).await?;
    publish(rooms, zip).await?;
    log_stored(rooms, own, &module).await?;
    let Some(entry) = load(rooms, &target).await? else {
        return Err(Error::fault(format!("{target} is gone from the store")));
    };
    rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.release(&verified, &pass, &checked, entry)?;
    fill::name_commit(rooms, &target, &origin);
    Ok(())
}

async fn mod_publication(
    pilot: &Pilot,
    own: &OwnLog,
    source: &dyn Upstream,
    module: &ModVer,
) -> Result<Publication, Error> {
    let rooms = &pilot.rooms;
    let target = Target { kind: Kind::Mod, module: module.clone() };
    let go_mod = source.go_mod(module).await?;
    let checked = Checked::go_mod(module, &go_mod.bytes)
        .map_err(|error| fill::refuse_content(pilot, &target, &go_mod.origin, &error))?;
    let body = store::BodyPart::Memory(go_mod.bytes.clone());
    let record = record(rooms, own, module).await?;
    let content = (&checked, body);
    let verified = fill::confirm(pilot, record, content, (&target, &go_mod.origin)).await?;
    let pass = policy::Policy::pass_go_mod(module);
    let staged = fill::stage(rooms, go_mod.bytes).await?;
    Ok(Publication { target, staged, checked, verified, pass, origin: go_mod.origin })
}

/// Records a version that is stored whole, and marks its files as recorded.
///
/// # Errors
///
/// [`Error::NotHere`] when a file is missing; the log's own trouble. After [`OwnError::Conflict`] what
/// differs from the record is set aside, after [`OwnError::Bound`] what waited for one is gone.
pub(crate) async fn log_stored(
    rooms: &Rooms,
    own: &OwnLog,
    module: &ModVer,
) -> Result<Logged, Error> {
    let known = facts::read(&rooms.store, module).await?;
    let zip = stored_h1(rooms, &known, (Kind::Zip, module)).await?;
    let go_mod = stored_h1(rooms, &known, (Kind::Mod, module)).await?;
    let logged = match own.append(module, &zip, &go_mod, LogKind::Private).await {
        Ok(logged) => logged,
        Err(refused) => return Err(refuse(rooms, own, module, refused).await?),
    };
    rooms.stays_private(module.path());
    let by = rooms.sumdb.recorded_here(own, &logged).by().clone();
    facts::update(rooms, module, |facts| {
        for file in [&mut facts.go_mod, &mut facts.zip].into_iter().flatten() {
            file.verified = Some(by.clone());
        }
    })
    .await;
    Ok(logged)
}

/// Sees to it that nobody gets what our log will not record; returns the refusal.
async fn refuse(
    rooms: &Rooms,
    own: &OwnLog,
    module: &ModVer,
    refused: OwnError,
) -> Result<Error, Error> {
    match &refused {
        OwnError::Conflict { first } => {
            let record = rooms.sumdb.recorded_here(own, first);
            confirm::hold(rooms, module, [Kind::Mod, Kind::Zip], &record).await?;
        }
        OwnError::Bound { .. } => {
            aside::withdraw(rooms, module, Keep::Nothing).await?;
        }
        _ => {}
    }
    Ok(refused.into())
}

/// The `h1:` of a stored file: from its facts, else hashed again.
async fn stored_h1(
    rooms: &Rooms,
    known: &policy::Facts,
    (kind, module): (Kind, &ModVer),
) -> Result<String, Error> {
    let target = Target { kind, module: module.clone() };
    let Some(object) = rooms.store.open(&target.key(), None).await? else {
        return Err(Error::NotHere { what: target.to_string() });
    };
    let known = facts::of(known, kind).filter(|known| known.size == object.len());
    match known.and_then(|known| known.h1.clone()) {
        Some(h1) => Ok(h1),
        None => Ok(check_again(&target, &object).await?.h1().to_string()),
    }
}

/// Whether a stored file may be served: one whose record is still pending is recorded first, and one
/// that nobody has confirmed is held against its record, if it has one.
///
/// False: it is as good as absent, and has to be fetched again. So is a pending file whose path is no
/// longer ours: its bytes came from a private place, and no public database was ever asked.
///
/// # Errors
///
/// The log's own trouble, for a pending file; the store's.
pub(crate) async fn may_serve(rooms: &Rooms, target: &Target) -> Result<bool, Error> {
    if target.kind == Kind::Info {
        return Ok(true);
    }
    let facts = facts::read(&rooms.store, &target.module).await?;
    let verified = facts::of(&facts, target.kind).and_then(|file| file.verified.as_ref());
    if verified == Some(&Verification::Pending) {
        rooms.judge_log(target.module.path())?;
    }
    match (rooms.own_log_of(target.module.path()), verified) {
        (None, Some(Verification::Pending)) => {
            aside::withdraw(rooms, &target.module, Keep::Evidence).await?;
            Ok(false)
        }
        (None, _) | (Some(_), Some(Verification::Database { .. })) => Ok(true),
        (Some(own), Some(Verification::Pending)) => is_recorded(rooms, own, target).await,
        (Some(own), _) => agrees(rooms, own, target).await,
    }
}

/// Records a pending file; whether it may be served then.
async fn is_recorded(rooms: &Rooms, own: &OwnLog, target: &Target) -> Result<bool, Error> {
    match log_stored(rooms, own, &target.module).await {
        Ok(_logged) => Ok(true),
        Err(Error::NotHere { .. }) => Ok(false),
        Err(Error::Own(error)) if matches!(*error, OwnError::Conflict { .. }) => {
            // What agrees with the first record was marked, what does not was set aside.
            let facts = facts::read(&rooms.store, &target.module).await?;
            let waits = facts::is_pending(&facts, target.kind);
            Ok(!waits && facts::of(&facts, target.kind).is_some())
        }
        Err(error) => Err(error),
    }
}

/// Whether a file without a mark (stored before there was a log, copied in, its facts lost) is what
/// our log records. Without a record, or without an answer of the log, it is served as before.
async fn agrees(rooms: &Rooms, own: &OwnLog, target: &Target) -> Result<bool, Error> {
    let Ok(Some(logged)) = own.record(&target.module).await else { return Ok(true) };
    let record = rooms.sumdb.recorded_here(own, &logged);
    let came = confirm::hold(rooms, &target.module, [target.kind], &record).await?;
    Ok(came != Came::Contradicted)
}

/// Answers a question to our log; for a flight that may fetch, a version is fetched and recorded.
/// Whether the caller may see the answer is judged before (`lookup::judge_question`).
///
/// # Errors
///
/// 404 for what is not there; the trouble of whoever had to be asked.
pub(crate) async fn answer(
    pilot: &Pilot,
    own: &OwnLog,
    asked: &SumdbRequest,
) -> Result<Bytes, Error> {
    match asked {
        SumdbRequest::Lookup(module) => lookup(pilot, own, module).await,
        SumdbRequest::Tile(path) => tile(own, path).await,
        asked => Ok(head(own, asked).unwrap_or_default()),
    }
}

/// What our log says of itself, from memory; `None`: another question.
pub(crate) fn head(own: &OwnLog, asked: &SumdbRequest) -> Option<Bytes> {
    match asked {
        SumdbRequest::Latest => Some(Bytes::copy_from_slice(own.head().message().as_bytes())),
        SumdbRequest::Checkpoint => Some(own.checkpoint()),
        SumdbRequest::About => Some(own.about()),
        SumdbRequest::Supported | SumdbRequest::Lookup(_) | SumdbRequest::Tile(_) => None,
    }
}

/// Go's tiles (`tile/8/..`) and those of C2SP tlog-tiles (`tile/..`) are of one tree.
async fn tile(own: &OwnLog, path: &str) -> Result<Bytes, Error> {
    let found = match (Tile::parse(path), tlog::parse_tiles_path(path)) {
        (Err(_), Ok(tile)) if tile.is_data() => own.entries(tile.index, tile.width).await?,
        (Ok(tile), _) | (_, Ok(tile)) => own.tile(tile).await?,
        (Err(error), Err(_)) => {
            let reason = error.to_string();
            return Err(Error::Sumdb(sumdb::Error::Malformed { reason }.into()));
        }
    };
    found.ok_or_else(|| absent(format!("not found: {} has no {path}", own.name())))
}

/// Whether a question is for records in bulk, which hold the names of private modules.
pub(crate) fn shows_names(asked: &SumdbRequest) -> bool {
    let SumdbRequest::Tile(path) = asked else { return false };
    let tile = Tile::parse(path).or_else(|_| tlog::parse_tiles_path(path));
    tile.is_ok_and(|tile| tile.is_data())
}

async fn lookup(pilot: &Pilot, own: &OwnLog, module: &ModVer) -> Result<Bytes, Error> {
    if let Some(answer) = own.lookup(module).await? {
        return Ok(answer);
    }
    if pilot.rooms.own_log_of(module.path()).is_some() {
        record_private(pilot, own, module).await?;
    } else {
        record_public(pilot, own, module).await?;
    }
    let answer = own.lookup(module).await?;
    answer.ok_or_else(|| Error::fault(format!("{module} was recorded and is not found")))
}

/// A private version that nobody has recorded: from the store, else fetched.
async fn record_private(pilot: &Pilot, own: &OwnLog, module: &ModVer) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    match log_stored(rooms, own, module).await {
        Err(Error::NotHere { .. }) if pilot.may_fetch() => {}
        logged => return logged.map(drop),
    }
    fill::have(rooms, Request::Zip(module.clone()), LOOKUP_WAIT).await?;
    if own.record(module).await?.is_none() {
        // The zip was stored without its go.mod, whose flight records both.
        fill::have(rooms, Request::Mod(module.clone()), LOOKUP_WAIT).await?;
    }
    Ok(())
}

/// A public version: what the public database records of it, proven, is recorded in ours word by
/// word. Nothing is recorded that nobody confirms.
async fn record_public(pilot: &Pilot, own: &OwnLog, module: &ModVer) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let of_database = |error: sumdb::Error| Error::Sumdb(Arc::new(error));
    let Some(database) = rooms.sumdb.confirming() else {
        return Err(Error::Unconfirmed { module: module.clone() });
    };
    let mut proven = rooms.sumdb.proven(database, module).await.map_err(of_database)?;
    if proven.is_none() {
        if !pilot.may_fetch() {
            return Err(Error::NotHere { what: format!("the record of {module}") });
        }
        // Clients ask for as many at once as they like; the database is asked as a proxied one is.
        let _turn = rooms.flights.turn(pilot.request()).await?;
        rooms.sumdb.record_now(module).await.map_err(of_database)?;
        proven = rooms.sumdb.proven(database, module).await.map_err(of_database)?;
    }
    let Some((proven, _bundle)) = proven else {
        return Err(Error::Unconfirmed { module: module.clone() });
    };
    let kind = if module.path().is_toolchain() { LogKind::Toolchain } else { LogKind::Public };
    own.append_record(proven.record().clone(), kind).await?;
    Ok(())
}

fn absent(text: String) -> Error {
    Error::NotFound { status: 404, text, fresh_for: Duration::ZERO }
}

impl From<OwnError> for Error {
    fn from(error: OwnError) -> Self {
        Self::Own(Arc::new(error))
    }
}
