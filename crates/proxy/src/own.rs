//! Our own log: private versions are recorded before anybody gets them, and clients look up there.
//!
//! A private version is fetched whole. Its files are made durable under their names, then recorded,
//! then served: until the record stands, a file is *pending* in its facts and goes to nobody. So no
//! record is ever of bytes that are lost, and no client has bytes that no record speaks of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gomod::{ModVer, ModulePath, Request, SumdbRequest};
use modzip::Checked;
use policy::Verification;
use sumdb::{Kind as LogKind, Logged, OwnError, OwnLog};
use tlog::Tile;
use upstream::Upstream;

use crate::flights::{Landing, Phase, Pilot, Purpose};
use crate::load::{Target, check_again, load};
use crate::publish::{Publication, publish};
use crate::{Error, Kind, Outcome, Rooms, facts, fill};

/// How long a look-up waits for what it has fetched and recorded. `go` itself has no limit.
/// Source: reference sumdb.md §2.4.
const LOOKUP_WAIT: Duration = Duration::from_secs(30);
/// Modules that only the public database may speak for. Source: reference sumdb.md §9.1.
const TOOLCHAIN: &str = "golang.org/toolchain";

impl Rooms {
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
pub(crate) async fn fetch_mod(pilot: &Pilot, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    whole_version(rooms, &target.module, rooms.config.waiter_timeout).await?;
    let Some(entry) = load(rooms, target).await? else {
        return Err(Error::fault(format!("{target} is not stored although its zip is")));
    };
    rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.land(Ok(Landing { entry: Some(entry), outcome: Outcome::Miss }));
    Ok(())
}

/// Has a version fetched, stored and recorded by the flight of its zip.
async fn whole_version(rooms: &Arc<Rooms>, module: &ModVer, limit: Duration) -> Result<(), Error> {
    let request = Request::Zip(module.clone());
    let mut watch = fill::board(rooms, Purpose::Fetch, request.clone());
    match watch.progress(limit, &request).await? {
        Phase::Landed(Ok(_)) => Ok(()),
        Phase::Landed(Err(error)) => Err(error),
        Phase::Boarding | Phase::Streaming(_) => {
            Err(Error::fault("a version that is being recorded does not stream"))
        }
    }
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
/// [`Error::NotHere`] when a file is missing; the log's own trouble, a conflict among them.
pub(crate) async fn log_stored(
    rooms: &Rooms,
    own: &OwnLog,
    module: &ModVer,
) -> Result<Logged, Error> {
    let zip = stored_h1(rooms, Kind::Zip, module).await?;
    let go_mod = stored_h1(rooms, Kind::Mod, module).await?;
    let logged = own.append(module, &zip, &go_mod, LogKind::Private).await?;
    let by = rooms.sumdb.recorded_here(own, &logged).by().clone();
    facts::update(rooms, module, |facts| {
        for file in [&mut facts.go_mod, &mut facts.zip].into_iter().flatten() {
            file.verified = Some(by.clone());
        }
    })
    .await;
    Ok(logged)
}

/// The `h1:` of a stored file: from its facts, else hashed again.
async fn stored_h1(rooms: &Rooms, kind: Kind, module: &ModVer) -> Result<String, Error> {
    let target = Target { kind, module: module.clone() };
    let Some(object) = rooms.store.open(&target.key(), None).await? else {
        return Err(Error::NotHere { what: target.to_string() });
    };
    let facts = facts::read(rooms, module).await?;
    let known = facts::of(&facts, kind).filter(|known| known.size == object.len());
    match known.and_then(|known| known.h1.clone()) {
        Some(h1) => Ok(h1),
        None => Ok(check_again(&target, &object).await?.h1().to_string()),
    }
}

/// Whether a stored file may be served: one whose record is still pending is recorded first.
///
/// False: its other file is missing, so the version has to be fetched again.
///
/// # Errors
///
/// The log's own trouble.
pub(crate) async fn may_serve(rooms: &Rooms, target: &Target) -> Result<bool, Error> {
    let Some(own) = rooms.own_log_of(target.module.path()) else { return Ok(true) };
    let facts = facts::read(rooms, &target.module).await?;
    let verified = facts::of(&facts, target.kind).and_then(|file| file.verified.as_ref());
    if target.kind == Kind::Info || verified != Some(&Verification::Pending) {
        return Ok(true);
    }
    match log_stored(rooms, own, &target.module).await {
        Ok(_logged) => Ok(true),
        Err(Error::NotHere { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Answers a question to our log; `fetching` says whether a version may be fetched and recorded for
/// it, `everything` whether the caller may see records of private modules in bulk.
///
/// # Errors
///
/// 404 for what is not there; the trouble of whoever had to be asked.
pub(crate) async fn answer(
    rooms: &Arc<Rooms>,
    own: &OwnLog,
    asked: &SumdbRequest,
    fetching: bool,
) -> Result<Bytes, Error> {
    match asked {
        SumdbRequest::Lookup(module) => lookup(rooms, own, module, fetching).await,
        SumdbRequest::Latest => Ok(Bytes::copy_from_slice(own.head().message().as_bytes())),
        SumdbRequest::Checkpoint => Ok(own.checkpoint()),
        SumdbRequest::Tile(path) => tile(own, path).await,
        SumdbRequest::Supported => Ok(Bytes::new()),
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

async fn lookup(
    rooms: &Arc<Rooms>,
    own: &OwnLog,
    module: &ModVer,
    fetching: bool,
) -> Result<Bytes, Error> {
    if let Some(answer) = own.lookup(module).await? {
        return Ok(answer);
    }
    if rooms.own_log_of(module.path()).is_some() {
        record_private(rooms, own, module, fetching).await?;
    } else {
        record_public(rooms, own, module, fetching).await?;
    }
    let answer = own.lookup(module).await?;
    answer.ok_or_else(|| Error::fault(format!("{module} was recorded and is not found")))
}

/// A private version that nobody has recorded: from the store, else fetched.
async fn record_private(
    rooms: &Arc<Rooms>,
    own: &OwnLog,
    module: &ModVer,
    fetching: bool,
) -> Result<(), Error> {
    match log_stored(rooms, own, module).await {
        Ok(_logged) => Ok(()),
        Err(Error::NotHere { .. }) if fetching => whole_version(rooms, module, LOOKUP_WAIT).await,
        Err(error) => Err(error),
    }
}

/// A public version: what the public database records of it, proven, is recorded in ours word by
/// word. Nothing is recorded that nobody confirms.
async fn record_public(
    rooms: &Rooms,
    own: &OwnLog,
    module: &ModVer,
    fetching: bool,
) -> Result<(), Error> {
    let of_database = |error: sumdb::Error| Error::Sumdb(Arc::new(error));
    let Some(database) = rooms.sumdb.confirming() else {
        return Err(Error::Unconfirmed { module: module.clone() });
    };
    let mut proven = rooms.sumdb.proven(database, module).await.map_err(of_database)?;
    if proven.is_none() {
        if !fetching {
            return Err(Error::NotHere { what: format!("the record of {module}") });
        }
        rooms.sumdb.record_now(module).await.map_err(of_database)?;
        proven = rooms.sumdb.proven(database, module).await.map_err(of_database)?;
    }
    let Some((proven, _bundle)) = proven else {
        return Err(Error::Unconfirmed { module: module.clone() });
    };
    let kind =
        if module.path().as_str() == TOOLCHAIN { LogKind::Toolchain } else { LogKind::Public };
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
