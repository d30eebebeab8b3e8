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
use crate::{Answer, Error, Fetching, Kind, Outcome, Rooms, fill, own};

/// An older head stays valid for the record it came with. Source: reference sumdb.md §1.7.
const LOOKUP_FRESH: Duration = Duration::from_mins(5);
/// A head is good for gossip while it is young.
const LATEST_FRESH: Duration = Duration::from_mins(1);

/// Answers below `/sumdb/`.
pub(crate) async fn relay(
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
    let asked = asked.map_err(|error| absent(format!("not found: {error}")))?;
    let private = rooms.judge_question(&log, &asked, reach)?;
    let fresh = match asked {
        // Always 200 for a configured database, whatever its state: a 404 here would send clients to it directly.
        SumdbRequest::Supported => {
            let kept = Kept::new(Kind::Sumdb, Bytes::new(), now, LATEST_FRESH);
            return Ok(kept.answer(Outcome::Hit, LATEST_FRESH));
        }
        SumdbRequest::Tile(_) => FOR_EVER,
        SumdbRequest::Lookup(_) => LOOKUP_FRESH,
        SumdbRequest::Latest | SumdbRequest::Checkpoint => LATEST_FRESH,
    };
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
    /// A database that is proxied.
    Proxied(tlog::LogName),
}

/// The log that a path is below: the longest name wins, since one may be the beginning of another.
fn route(
    rooms: &Rooms,
    path: &SumdbPath,
) -> Option<(Log, Result<SumdbRequest, gomod::request::Error>)> {
    let own = rooms.own.as_ref().and_then(|own| Some((own, path.below(own.name().as_str())?)));
    let proxied = rooms.sumdb.route(path);
    match (own, proxied) {
        (Some((own, _)), Some((name, asked)))
            if name.as_str().len() > own.name().as_str().len() =>
        {
            Some((Log::Proxied(name), asked))
        }
        (Some((own, asked)), _) => Some((Log::Own(own.clone()), asked)),
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
    let relayed = match &log {
        Log::Own(log) => own::answer(&rooms, log, &asked, pilot.may_fetch()).await,
        Log::Proxied(database) => match stored(&rooms, database, &asked).await {
            Some(body) => Ok(body),
            None => answered(&pilot, database, &asked, asking).await,
        },
    };
    let landing = relayed.map(|body| {
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
