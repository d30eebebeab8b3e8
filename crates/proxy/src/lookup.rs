//! Paths of a checksum database: verified and kept by room `sumdb`; never for private names.

use std::sync::Arc;
use std::time::Duration;

use auth::Reach;
use bytes::Bytes;
use gomod::{Request, SumdbPath, SumdbRequest};
use sumdb::{Asking, OwnLog};
use units::Timestamp;

use crate::flights::{self, Landing, Phase, Pilot, Purpose};
use crate::shelf::{Entry, FOR_EVER, Kept};
use crate::{Answer, ClosedLog, Error, Fetching, Kind, Outcome, Rooms, fill, own};

/// An older head stays valid for the record it came with. Source: reference sumdb.md §1.7.
const LOOKUP_FRESH: Duration = Duration::from_mins(5);
/// A head is good for gossip while it is young.
const LATEST_FRESH: Duration = Duration::from_mins(1);

/// Monitors and witnesses want to see our own log grow. Source: C2SP tlog-tiles, "should not be cached
/// for more than a few seconds".
const OWN_HEAD_FRESH: Duration = Duration::from_secs(2);

/// Answers below `/sumdb/`.
pub(crate) async fn answer(
    rooms: &Arc<Rooms>,
    path: &SumdbPath,
    (fetching, reach): (Fetching, Reach),
    now: Timestamp,
) -> Result<Answer, Error> {
    let Some((log, asked)) = route(rooms, path) else {
        return Err(absent(format!(
            "not found: no checksum database here serves {}",
            path.as_str()
        )));
    };
    let asked = asked.map_err(|error| log.refused(path, &error))?;
    let private = rooms.judge_question(&log, &asked, reach)?;
    let fresh = match asked {
        // Always 200 for a configured database, whatever its state: a 404 here would send clients to it directly.
        SumdbRequest::Supported => {
            let kept = Kept::new(Kind::Sumdb, Bytes::new(), now, LATEST_FRESH);
            return Ok(kept.answer(Outcome::Hit, LATEST_FRESH));
        }
        SumdbRequest::Tile(_) => FOR_EVER,
        SumdbRequest::Lookup(_) => LOOKUP_FRESH,
        SumdbRequest::Latest | SumdbRequest::Checkpoint | SumdbRequest::About => LATEST_FRESH,
    };
    match &log {
        Log::Closed(closed) => return Err(closed.error()),
        Log::Own(own) => {
            if let Some(head) = own::head(own, &asked) {
                let kept = Kept::new(Kind::Sumdb, head, now, OWN_HEAD_FRESH);
                return Ok(kept.answer(Outcome::Hit, OWN_HEAD_FRESH));
            }
        }
        Log::Proxied(_) => {}
    }
    let request = Request::Sumdb(path.clone());
    let known = rooms.shelf.get(&request).and_then(|entry| entry.fresh_answer(now));
    if let Some(answer) = known {
        return Ok(answer);
    }
    let purpose = match fetching {
        Fetching::Allowed => Purpose::Fetch,
        Fetching::CachedOnly => Purpose::Load,
    };
    let mut watch = flights::join(rooms, (purpose, request.clone()), |pilot| {
        Box::pin(fly(pilot, (log, asked), (fresh, private)))
    });
    let answer = match watch.progress(rooms.config.waiter_timeout, &request).await? {
        Phase::Landed(Ok(landing)) => fill::landed(rooms, &watch, landing, &request),
        Phase::Landed(Err(error)) => Err(error),
        Phase::Boarding | Phase::Streaming(_) => Err(Error::fault("a look-up cannot stream")),
    };
    answer.map(|answer| Answer { private, ..answer })
}

/// Who answers.
#[derive(Debug, Clone)]
enum Log {
    /// Our own log.
    Own(OwnLog),
    /// Our own log, which cannot be opened.
    Closed(ClosedLog),
    /// A database that is proxied.
    Proxied(tlog::LogName),
}

impl Log {
    fn name(&self) -> &tlog::LogName {
        match self {
            Self::Own(own) => own.name(),
            Self::Closed(closed) => &closed.name,
            Self::Proxied(name) => name,
        }
    }

    /// Why a path is no question: a look-up of what cannot be is malformed, since no list of proxies
    /// falls through here; an end point that no log has is not there. Source: reference sumdb.md §1.7.
    fn refused(&self, path: &SumdbPath, error: &gomod::request::Error) -> Error {
        let rest = path.as_str().strip_prefix(self.name().as_str());
        let Some(asked) = rest.and_then(|rest| rest.strip_prefix("/lookup/")) else {
            return absent(format!("not found: {error}"));
        };
        let reason = match error {
            gomod::request::Error::Unknown => "not a module and a version".to_owned(),
            error => match std::error::Error::source(error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
        };
        let reason = format!("lookup of {asked:?}: {reason}");
        Error::Sumdb(Arc::new(sumdb::Error::Malformed { reason }))
    }
}

/// The log that a path is below: the longest name wins, since one may be the beginning of another.
fn route(
    rooms: &Rooms,
    path: &SumdbPath,
) -> Option<(Log, Result<SumdbRequest, gomod::request::Error>)> {
    let open = rooms.own.iter().map(|own| (own.name(), Log::Own(own.clone())));
    let closed = rooms.closed.iter().map(|closed| (&closed.name, Log::Closed(closed.clone())));
    let own = open.chain(closed).next();
    let own = own.and_then(|(name, log)| Some((name, log, path.below(name.as_str())?)));
    match (own, rooms.sumdb.route(path)) {
        (Some((own, ..)), Some((name, asked))) if name.as_str().len() > own.as_str().len() => {
            Some((Log::Proxied(name), asked))
        }
        (Some((_own, log, asked)), _) => Some((log, asked)),
        (None, proxied) => proxied.map(|(name, asked)| (Log::Proxied(name), asked)),
    }
}

impl Rooms {
    /// Whether the answer to a question names private modules, for a caller who may know them.
    ///
    /// # Errors
    ///
    /// [`Error::Private`] for a caller who may not; [`Error::PrivateLookup`] when somebody public would
    /// have to be asked about a private name.
    fn judge_question(&self, log: &Log, asked: &SumdbRequest, reach: Reach) -> Result<bool, Error> {
        match (log, asked) {
            (Log::Proxied(_), SumdbRequest::Lookup(module)) => {
                self.judge_lookup(module.path()).map(|()| false)
            }
            (Log::Own(_), SumdbRequest::Lookup(module)) => self.judge_private(module.path(), reach),
            (Log::Own(own), asked) if own::shows_names(asked) => match reach {
                Reach::Everything => Ok(true),
                Reach::Public => Err(Error::RecordsOfAll { log: own.name().clone() }),
            },
            _ => Ok(false),
        }
    }
}

fn absent(text: String) -> Error {
    Error::NotFound { status: 404, text, fresh_for: LATEST_FRESH }
}

async fn fly(pilot: Pilot, (log, asked): (Log, SumdbRequest), (fresh, private): (Duration, bool)) {
    let rooms = Arc::clone(&pilot.rooms);
    let asking = if pilot.may_fetch() { Asking::Anyone } else { Asking::Stored };
    let answered = match &log {
        Log::Own(log) => own::answer(&pilot, log, &asked).await,
        Log::Closed(closed) => Err(closed.error()),
        Log::Proxied(database) => match stored(&rooms, database, &asked).await {
            Some(body) => Ok(body),
            None => answered(&pilot, database, &asked, asking).await,
        },
    };
    let landing = answered.map(|body| {
        let kept = Kept::new(Kind::Sumdb, body, rooms.clock.now(), fresh);
        let entry = Arc::new(Entry::Kept(kept));
        // The shelf knows no rights for paths of a log.
        if !private {
            rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
        }
        Landing { entry: Some(entry), outcome: Outcome::Miss }
    });
    pilot.land_last(landing);
}

/// What is here already, without a turn: no queue of those who fetch may delay it. The newest head is
/// not meant: whether it is new enough is decided with the right to ask.
async fn stored(rooms: &Rooms, database: &tlog::LogName, asked: &SumdbRequest) -> Option<Bytes> {
    if *asked == SumdbRequest::Latest {
        return None;
    }
    rooms.sumdb.answer(database, asked, Asking::Stored).await.ok()
}

async fn answered(
    pilot: &Pilot,
    database: &tlog::LogName,
    asked: &SumdbRequest,
    asking: Asking,
) -> Result<Bytes, Error> {
    let _turn = pilot.rooms.flights.turn(pilot.request()).await?;
    match pilot.rooms.sumdb.answer(database, asked, asking).await {
        Err(sumdb::Error::NotFound { .. } | sumdb::Error::Unavailable { .. })
            if asking == Asking::Stored =>
        {
            Err(Error::NotHere { what: fill::name_of(pilot.request()) })
        }
        answered => answered.map_err(|error| Error::Sumdb(Arc::new(error))),
    }
}
