//! Records that wait for their place.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tlog::Record;
use tokio::sync::{Notify, oneshot};

use super::{Kind, Logged, OwnError};

/// Most records that wait: about 20 MB. The next one is refused as unavailable.
pub const MAX_QUEUED: usize = 65_536;

/// A record that waits, and who is told.
pub(super) struct Waiting {
    pub(super) record: Record,
    pub(super) kind: Kind,
    pub(super) answer: oneshot::Sender<Result<Logged, OwnError>>,
}

/// What queues up while a batch is made durable is the next batch.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// The sequencer has ended: nobody would be answered.
    ended: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a record.
    pub(super) fn push(
        &self,
        record: Record,
        kind: Kind,
    ) -> Result<oneshot::Receiver<Result<Logged, OwnError>>, OwnError> {
        let (answer, told) = oneshot::channel();
        let mut state = self.state();
        let refused = |reason: &str| Err(OwnError::Unavailable { reason: reason.into() });
        if state.ended {
            return refused("no sequencer writes the log");
        }
        if state.waiting.len() >= MAX_QUEUED {
            return refused("too many records wait for the log");
        }
        state.waiting.push_back(Waiting { record, kind, answer });
        drop(state);
        self.arrived.notify_one();
        Ok(told)
    }

    /// Takes at most `most` records, in the order in which they came; waits for the first.
    ///
    /// Cancel safe: what was not returned still waits.
    pub(super) async fn take(&self, most: usize) -> Vec<Waiting> {
        loop {
            {
                let mut state = self.state();
                let count = state.waiting.len().min(most);
                if count > 0 {
                    return state.waiting.drain(..count).collect();
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Whether nobody would be answered.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Lets records queue up again.
    pub(super) fn begin(&self) {
        self.state().ended = false;
    }

    /// Refuses what waits, and what would.
    pub(super) fn end(&self, error: &OwnError) {
        let waiting = {
            let mut state = self.state();
            state.ended = true;
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            drop(waiting.answer.send(Err(error.clone())));
        }
    }
}
