//! Moved tags: told by version control while it answers, written into the facts later.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use gomod::ModVer;

use crate::{Rooms, facts};

/// How many wait for the next look; more at once than this is one incident, not many.
const MAX_WAITING: usize = 10_000;

/// Tags that name another commit than the one their version was served from.
///
/// Clones are one. The stored bytes stay; who watches the facts or the metric learns of it.
#[derive(Debug, Clone, Default)]
pub struct Drifts(Arc<Mutex<Vec<upstream::Drift>>>);

impl Drifts {
    /// Notes one. Never waits for anything but others who note.
    pub fn note(&self, drift: &upstream::Drift) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push(drift.clone());
        }
    }

    fn take(&self) -> Vec<upstream::Drift> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts what was noted and writes it into the facts.
pub(crate) async fn record(rooms: &Rooms) {
    for drift in rooms.drifts.take() {
        rooms.metrics.drifted();
        let Ok(module) = ModVer::new(drift.path, drift.version) else { continue };
        let seen = rooms.clock.now();
        let (was, now) = (drift.pinned.as_str().to_owned(), drift.now);
        let now = now.map(|commit| commit.as_str().to_owned());
        let moved = policy::Drift { was, now, seen };
        facts::update(rooms, &module, |facts| facts.drift = Some(moved.clone())).await;
    }
}
