//! What keeps mirrors small: the quota, one pack of many, leftovers.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Git,
    blocking::{blocking, now},
    fetch,
    git::Inner,
    leftovers::{self, Kind},
    metrics::Action,
    mirror::Mirror,
    run::Stopped,
    state::State,
    whole,
};

/// How often the folder is looked over.
const EVERY: Duration = Duration::from_mins(1);
/// Unused for so long, a mirror lets go of its packs, which are mapped into memory.
const REST_AFTER: Duration = Duration::from_mins(5);
/// Unused for so long, its history and its refs are forgotten, too: to read the history of a large
/// repository again takes a second or more.
const FORGET_AFTER: Duration = Duration::from_mins(30);
/// A mirror with more packs is made one: each look-up tries each pack.
const MAX_PACKS: usize = 50;
/// How long a lock of another process is waited for; the next round comes soon.
const PATIENCE: Duration = Duration::from_millis(100);

impl Git {
    /// Keeps the folder of mirrors in order until `stop`: below its quota, without leftovers, each
    /// mirror of few packs.
    ///
    /// Dropped: what was begun is stopped; mirrors stay whole.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.keep_house().await {
                tracing::warn!(%error, "mirrors could not be tidied up: {error}");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => break,
            }
        }
    }

    /// One round of [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// `Mirror` when the folder cannot be read.
    pub async fn keep_house(&self) -> Result<(), Error> {
        let git = &self.0;
        let folder = git.place.folder.clone();
        let mut mirrors = blocking(move || {
            look_over(&folder).map_err(|error| crate::mirror::failed(&folder, "read", &error))
        })
        .await?;
        // One mirror's trouble is told and stops no other's turn.
        let told = |error: Error| tracing::warn!(%error, "a mirror was not tidied up: {error}");
        let_rest(git, now()).await?;
        for state in git.states() {
            repack_if_due(git, &state).await.unwrap_or_else(told);
        }
        mirrors.sort_by_key(|found| found.used);
        let mut sum: u64 = mirrors.iter().map(|found| found.size).sum();
        let mut count = mirrors.len();
        for found in mirrors {
            if sum <= git.config.quota.0 {
                break;
            }
            match evict(git, &found).await {
                Ok(true) => {
                    sum -= found.size;
                    count -= 1;
                }
                Ok(false) => {}
                Err(error) => told(error),
            }
        }
        git.metrics.mirror_bytes.set(i64::try_from(sum).unwrap_or(i64::MAX));
        git.metrics.mirrors.set(i64::try_from(count).unwrap_or(i64::MAX));
        // Last: it may take minutes.
        for state in git.states() {
            whole::grow_if_due(git, &state).await.unwrap_or_else(told);
        }
        Ok(())
    }
}

/// Gives back the memory of mirrors that are not in use at this time.
async fn let_rest(git: &Arc<Inner>, now: Instant) -> Result<(), Error> {
    let git = Arc::clone(git);
    blocking(move || {
        for state in git.states() {
            let idle = now.saturating_duration_since(state.weight().used);
            if idle > FORGET_AFTER {
                state.forget();
            } else if idle > REST_AFTER {
                state.rest(|generation| fetch::reopen(&git, &state.mirror, generation));
            }
        }
        Ok(())
    })
    .await
}

#[derive(Debug)]
struct Mirrored {
    name: String,
    mirror: Mirror,
    size: u64,
    used: Option<SystemTime>,
}

/// All mirrors; leftovers of other processes are removed on the way. (Those of dead ones went at
/// the start.)
fn look_over(folder: &std::path::Path) -> std::io::Result<Vec<Mirrored>> {
    let mut mirrors = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        match leftovers::kind(&name) {
            // What another process is removing just now is gone either way.
            Kind::Trash => drop(fs::remove_dir_all(entry.path())),
            Kind::Unfinished if is_old(&entry) => drop(fs::remove_dir_all(entry.path())),
            Kind::Mirror => {
                let mirror = Mirror::new(entry.path());
                let (size, used) = (mirror.size(), mirror.used());
                mirrors.push(Mirrored { name, mirror, size, used });
            }
            Kind::Unfinished | Kind::Lock | Kind::Other => {}
        }
    }
    Ok(mirrors)
}

/// Older than any run may take: nobody's any more.
fn is_old(entry: &fs::DirEntry) -> bool {
    const RUN: Duration = Duration::from_hours(24);
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > RUN))
}

/// Removes a mirror that nobody uses; `false` when somebody does.
async fn evict(git: &Arc<Inner>, found: &Mirrored) -> Result<bool, Error> {
    let known = git.state(&found.name);
    let turn = match &known {
        Some(state) if state.is_used() => return Ok(false),
        Some(state) => match state.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(_busy) => return Ok(false),
        },
        None => None,
    };
    let Ok(_locked) = found.mirror.lock(PATIENCE).await else { return Ok(false) };
    if let Some(state) = &known {
        state.forget_mirror();
    }
    fetch::remove_folder(&found.mirror).await?;
    drop(turn);
    git.metrics.removed.inc();
    tracing::debug!(mirror = %found.name, bytes = found.size, "removed a mirror unused for longest");
    Ok(true)
}

/// Makes one pack of many. A mirror for which that fails is removed: it is fetched again sooner
/// than understood.
async fn repack_if_due(git: &Arc<Inner>, state: &Arc<State>) -> Result<(), Error> {
    let mirror = state.mirror.clone();
    if blocking(move || Ok(mirror.packs())).await? <= MAX_PACKS {
        return Ok(());
    }
    let Ok(_turn) = state.turn.try_lock() else { return Ok(()) };
    let Ok(_locked) = state.mirror.lock(PATIENCE).await else { return Ok(()) };
    let timer = git.metrics.start(Action::Repack);
    let mut command = git.command(fetch::limits(git, &state.mirror));
    command.inside(state.mirror.folder()).args(&["repack", "-a", "-d", "-q"]);
    let done = command.into_run().finish().await;
    let failed = match done {
        Ok(done) if done.status.success() => None,
        Ok(done) => Some(done.stderr),
        // No fault of the mirror's.
        Err(Stopped::Space(_)) => return Ok(()),
        Err(stopped) => Some(stopped.to_string()),
    };
    if let Some(reason) = failed {
        let url = state.url.clone();
        drop(timer.failed(Error::mirror(&url, &reason)));
        return fetch::remove(state).await;
    }
    drop(timer);
    let Some(before) = state.peek() else { return Ok(()) };
    let (git, mirror) = (Arc::clone(git), state.mirror.clone());
    let reopened = blocking(move || {
        fetch::reopen(&git, &mirror, &before)
            .map_err(|fault| Error::mirror(&mirror.folder().display(), fault.to_string()))
    });
    state.publish(reopened.await?);
    Ok(())
}

#[cfg(test)]
#[path = "housekeeping_tests.rs"]
mod tests;
