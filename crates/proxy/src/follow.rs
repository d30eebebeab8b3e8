//! A body that follows a zip while it is being fetched.

use futures_util::stream;
use store::{BodyPart, Follower};
use tokio::sync::watch;

use crate::flights::Phase;
use crate::{Error, LiveParts};

/// What is held back until the verdict: no client has a whole zip before it. DESIGN.md, "The life of a request".
pub(crate) const HELD_BACK_BYTES: u64 = 64 << 10;

/// A body of at most this length is sent only after the verdict: it costs little and can still get a status.
pub(crate) const MAX_UNSTREAMED_BYTES: u64 = 1 << 20;

/// The largest part handed out at once, so that one fast reader does not starve a connection's other work.
const MAX_PART_BYTES: u64 = 1 << 20;

/// A flight whose bytes can be followed.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) follower: Follower,
    pub(crate) len: u64,
}

struct Reader {
    follower: Follower,
    flight: watch::Receiver<Phase>,
    sent: u64,
    len: u64,
    /// The writer has ended: only the verdict is still to come.
    written: bool,
}

impl Live {
    /// The parts in order: up to the held-back end while the flight runs, to the end once it has landed well.
    pub(crate) fn parts(&self, flight: watch::Receiver<Phase>) -> LiveParts {
        let follower = self.follower.clone();
        let reader = Reader { follower, flight, sent: 0, len: self.len, written: false };
        Box::pin(stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|part| (part, reader)))
        }))
    }
}

impl Reader {
    async fn next(&mut self) -> Result<Option<BodyPart>, Error> {
        if self.sent == self.len {
            return Ok(None);
        }
        let ready = self.ready().await?;
        let len = (ready - self.sent).min(MAX_PART_BYTES);
        let part = self.follower.body(self.sent, len);
        self.sent += len;
        Ok(Some(part))
    }

    /// Waits until more than `sent` may go out; returns up to where.
    async fn ready(&mut self) -> Result<u64, Error> {
        loop {
            match verdict(&self.flight) {
                Some(Ok(())) => return Ok(self.len),
                Some(Err(error)) => return Err(error),
                None => {}
            }
            let limit = self.follower.visible().min(self.len).saturating_sub(HELD_BACK_BYTES);
            if limit > self.sent {
                return Ok(limit);
            }
            self.something_new().await?;
        }
    }

    /// Waits for more bytes or for the verdict.
    async fn something_new(&mut self) -> Result<(), Error> {
        let seen = self.follower.visible();
        tokio::select! {
            changed = self.flight.changed() => {
                if changed.is_err() && verdict(&self.flight).is_none() {
                    return Err(Error::fault("the fetch ended without a verdict"));
                }
            }
            // Once the writer has ended this arm would return at once, again and again.
            (_, ended) = self.follower.more_than(seen), if !self.written => self.written = ended,
        }
        Ok(())
    }
}

fn verdict(flight: &watch::Receiver<Phase>) -> Option<Result<(), Error>> {
    match &*flight.borrow() {
        Phase::Landed(Ok(_)) => Some(Ok(())),
        Phase::Landed(Err(error)) => Some(Err(error.clone())),
        Phase::Boarding | Phase::Streaming(_) => None,
    }
}
