//! Paths of a checksum database: verified and kept by room `sumdb`; never for private names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gomod::{Request, SumdbPath, SumdbRequest};
use sumdb::Asking;
use units::Timestamp;

use crate::flights::{self, Landing, Phase, Pilot, Purpose};
use crate::shelf::{Entry, FOR_EVER, Kept};
use crate::{Answer, Error, Fetching, Kind, Outcome, Rooms, fill};

/// An older head stays valid for the record it came with. Source: reference sumdb.md §1.7.
const LOOKUP_FRESH: Duration = Duration::from_mins(5);
/// A head is good for gossip while it is young.
const LATEST_FRESH: Duration = Duration::from_mins(1);

/// Answers below `/sumdb/`.
pub(crate) async fn relay(
    rooms: &Arc<Rooms>,
    path: &SumdbPath,
    fetching: Fetching,
    now: Timestamp,
) -> Result<Answer, Error> {
    let Some((database, asked)) = rooms.sumdb.route(path) else {
        return Err(absent(format!(
            "not found: no checksum database here serves {}",
            path.as_str()
        )));
    };
    let asked = asked.map_err(|error| absent(format!("not found: {error}")))?;
    if let SumdbRequest::Lookup(module) = &asked {
        rooms.judge_lookup(module.path())?;
    }
    let fresh = match asked {
        // Always 200 for a configured database, whatever its state: a 404 here would send clients to it directly.
        SumdbRequest::Supported => {
            let kept = Kept::new(Kind::Sumdb, Bytes::new(), now, LATEST_FRESH);
            return Ok(kept.answer(Outcome::Hit, LATEST_FRESH));
        }
        SumdbRequest::Tile(_) => FOR_EVER,
        SumdbRequest::Lookup(_) => LOOKUP_FRESH,
        SumdbRequest::Latest => LATEST_FRESH,
    };
    let request = Request::Sumdb(path.clone());
    if let Some(answer) = rooms.shelf.get(&request).and_then(|entry| entry.fresh_answer(now)) {
        return Ok(answer);
    }
    let purpose = match fetching {
        Fetching::Allowed => Purpose::Fetch,
        Fetching::CachedOnly => Purpose::Load,
    };
    let mut watch = flights::join(rooms, (purpose, request.clone()), |pilot| {
        Box::pin(fly(pilot, database, asked, fresh))
    });
    match watch.progress(rooms.config.waiter_timeout, &request).await? {
        Phase::Landed(Ok(landing)) => fill::landed(rooms, &watch, landing, &request),
        Phase::Landed(Err(error)) => Err(error),
        Phase::Boarding | Phase::Streaming(_) => Err(Error::fault("a look-up cannot stream")),
    }
}

fn absent(text: String) -> Error {
    Error::NotFound { status: 404, text, fresh_for: LATEST_FRESH }
}

async fn fly(pilot: Pilot, database: tlog::LogName, asked: SumdbRequest, fresh: Duration) {
    let rooms = Arc::clone(&pilot.rooms);
    let relayed = async {
        let asking = if pilot.may_fetch() { Asking::Anyone } else { Asking::Stored };
        let _turn = rooms.flights.turn(pilot.request()).await?;
        match rooms.sumdb.answer(&database, &asked, asking).await {
            Err(sumdb::Error::NotFound { .. } | sumdb::Error::Unavailable { .. })
                if asking == Asking::Stored =>
            {
                Err(Error::NotHere { what: fill::name_of(pilot.request()) })
            }
            answered => answered.map_err(|error| Error::Sumdb(Arc::new(error))),
        }
    };
    let landing = relayed.await.map(|body| {
        let kept = Kept::new(Kind::Sumdb, body, rooms.clock.now(), fresh);
        let entry = Arc::new(Entry::Kept(kept));
        rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
        Landing { entry: Some(entry), outcome: Outcome::Miss }
    });
    pilot.land_last(landing);
}
