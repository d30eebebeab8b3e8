//! What keeps mirrors small: the quota, one pack of many, leftovers.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use crate::{
    Error, Git,
    blocking::blocking,
    fetch,
    git::Inner,
    metrics::Action,
    mirror::Mirror,
    objects::Objects,
    run::Limits,
    state::{Generation, State},
    whole,
};

/// How often the folder is looked over.
const EVERY: Duration = Duration::from_mins(1);
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

#[derive(Debug)]
struct Mirrored {
    name: String,
    mirror: Mirror,
    size: u64,
    used: Option<SystemTime>,
}

/// All mirrors; leftovers of crashes are removed on the way.
fn look_over(folder: &std::path::Path) -> std::io::Result<Vec<Mirrored>> {
    let mut mirrors = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let unfinished = name.starts_with("tmp-") || name.contains(".new-");
        if name.contains(".trash-") || (unfinished && is_old(&entry)) {
            // What another process is removing just now is gone either way.
            let _ = fs::remove_dir_all(entry.path());
        } else if name.len() == 64 && crate::refs::is_lower_hex(&name) {
            let mirror = Mirror::new(entry.path());
            let (size, used) = (mirror.size(), mirror.used());
            mirrors.push(Mirrored { name, mirror, size, used });
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
    let limits = Limits {
        time: git.config.fetch_timeout.0,
        stdout: 1 << 20,
        memory: git.config.max_process_memory.0,
        disk: Some((state.mirror.objects(), git.config.max_fetch_size.0)),
    };
    let mut command = git.command(limits);
    command.inside(state.mirror.folder()).args(&["repack", "-a", "-d", "-q"]);
    let done = command.into_run().finish().await;
    let failed = match done {
        Ok(done) if done.status.success() => None,
        Ok(done) => Some(done.stderr),
        Err(stopped) => Some(stopped.to_string()),
    };
    if let Some(reason) = failed {
        let url = state.url.clone();
        drop(timer.failed(Error::mirror(&url, &reason)));
        return fetch::remove(state).await;
    }
    drop(timer);
    let Some(before) = state.generation() else { return Ok(()) };
    let (folder, largest) = (state.mirror.folder().to_owned(), git.config.max_file_size.0);
    let idle = Arc::clone(&git.idle);
    let objects = blocking(move || {
        Objects::open(&folder, before.objects.kind(), largest, &idle)
            .map(|objects| Generation { objects: Arc::new(objects), ..(*before).clone() })
            .map_err(|fault| Error::mirror(&folder.display(), fault.to_string()))
    });
    state.publish(objects.await?);
    Ok(())
}
