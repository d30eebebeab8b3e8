//! When a mirror of commits and trees becomes one of everything.
//!
//! Files of one version, fetched by their names, cost the remote a search for deltas and us a round
//! trip; a whole fetch reuses what the remote has packed. So a small repository is fetched whole as
//! soon as a file is wanted, and a larger one in the background once files are wanted often.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use crate::{
    Error, ObjectId,
    blocking::blocking,
    fetch::{ask, limits, read, run_fetch},
    git::Inner,
    mirror::{Mirror, Mode, failed},
    objects::Objects,
    state::{Generation, State},
};

/// The wait after the remote did not give everything; twice as long after each further time.
const FIRST_WAIT: Duration = Duration::from_mins(10);
/// The longest: what can never be had, because it is larger than a fetch may be, say, costs that
/// much traffic once in so long.
const LONGEST_WAIT: Duration = Duration::from_hours(7 * 24);

/// Whether a mirror is so small that fetching it whole costs little more than fetching some files.
pub(crate) async fn is_small(git: &Inner, state: &State) -> Result<bool, Error> {
    let Some(generation) = state.generation() else { return Ok(false) };
    if generation.mode == Mode::Full || state.batches.load(Relaxed) > 0 {
        return Ok(false);
    }
    let (mirror, limit) = (state.mirror.clone(), git.config.whole_below.0);
    blocking(move || Ok(mirror.size() <= limit && !is_waiting(&mirror))).await
}

/// Whether it is too soon to ask for everything again. Blocking.
fn is_waiting(mirror: &Mirror) -> bool {
    let Some((times, last)) = mirror.not_whole() else { return false };
    // A clock that was set back makes it try.
    last.elapsed().is_ok_and(|since| since < wait_after(times))
}

fn wait_after(times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

/// Fetches everything and puts it in the mirror's place. Under the lock.
///
/// `false` when the remote does not give everything; the mirror then stays as it was.
///
/// Dropped: the mirror stays as it was; the folder of the new one is swept later.
pub(crate) async fn make(git: &Arc<Inner>, state: &Arc<State>) -> Result<bool, Error> {
    let Some(successor) = fetch_all(git, state).await? else { return Ok(false) };
    take_place(git, state, successor).await?;
    Ok(true)
}

/// In the background: what is asked of the mirror meanwhile is answered from the old one.
pub(crate) async fn grow_if_due(git: &Arc<Inner>, state: &Arc<State>) -> Result<(), Error> {
    let is_partial = state.peek().is_some_and(|generation| generation.mode == Mode::Partial);
    if !is_partial || state.batches.load(Relaxed) < git.config.whole_after {
        return Ok(());
    }
    let mirror = state.mirror.clone();
    if blocking(move || Ok(is_waiting(&mirror))).await? {
        return Ok(());
    }
    state.batches.store(1, Relaxed);
    let successor = match fetch_all(git, state).await {
        Ok(Some(successor)) => successor,
        Ok(None) => return Ok(()),
        Err(error) => {
            tracing::debug!(url = %state.url, %error, "{} stays partial: {error}", state.url);
            return Ok(());
        }
    };
    let _turn = state.turn.lock().await;
    let _locked = state.mirror.lock(git.config.fetch_timeout.0).await?;
    take_place(git, state, successor).await
}

/// A mirror beside the mirror, with everything that the refs lead to, and with what it holds.
async fn fetch_all(
    git: &Arc<Inner>,
    state: &Arc<State>,
) -> Result<Option<(Mirror, Generation)>, Error> {
    let refs = ask(git, state).await?;
    let successor = state.mirror.successor();
    let (mirror, kind) = (successor.clone(), refs.kind());
    let made = blocking(move || {
        let made = mirror.create(kind, Mode::Full);
        made.map_err(|error| failed(mirror.folder(), "make", &error))
    });
    made.await?;
    let mut command = git.command(limits(git, &successor));
    command.args(&["fetch", "--no-tags"]);
    let ids: Vec<_> = refs.objects().into_iter().map(ObjectId::as_str).collect();
    if let Err(failed) = run_fetch(git, state, &successor, command, &ids).await {
        let error = failed.error;
        tracing::debug!(url = %state.url, %error, "{} is not given whole: {error}", state.url);
        discard(successor).await?;
        // Our own disk says nothing about the remote.
        if matches!(error, Error::Mirror { .. } | Error::Full { .. }) {
            return Err(error);
        }
        note(state).await?;
        return Ok(None);
    }
    let (git, mirror) = (Arc::clone(git), successor.clone());
    let filled = blocking(move || {
        let written = mirror.write_refs(&refs);
        written.map_err(|error| failed(mirror.folder(), "write", &error))?;
        Ok(read(&git, &mirror, kind, Mode::Full))
    });
    match filled.await? {
        Ok(generation) => Ok(Some((successor, generation))),
        Err(fault) => {
            tracing::debug!(url = %state.url, %fault, "{} came incomplete: {fault}", state.url);
            discard(successor).await?;
            note(state).await?;
            Ok(None)
        }
    }
}

async fn note(state: &State) -> Result<(), Error> {
    let mirror = state.mirror.clone();
    blocking(move || {
        mirror.note_not_whole();
        Ok(())
    })
    .await
}

async fn discard(mirror: Mirror) -> Result<(), Error> {
    crate::fetch::remove_folder(&mirror).await
}

async fn take_place(
    git: &Arc<Inner>,
    state: &Arc<State>,
    (successor, generation): (Mirror, Generation),
) -> Result<(), Error> {
    let (mirror, largest) = (state.mirror.clone(), git.config.max_file_size.0);
    let (kind, idle) = (generation.objects.kind(), Arc::clone(&git.idle));
    let objects = blocking(move || {
        let swapped = mirror.give_way(&successor);
        swapped.map_err(|error| failed(mirror.folder(), "replace", &error))?;
        mirror.touch();
        Objects::open(mirror.folder(), kind, largest, &idle)
            .map_err(|fault| Error::mirror(&mirror.folder().display(), fault.to_string()))
    });
    let objects = Arc::new(objects.await?);
    state.forget_mirror();
    state.publish(Generation { objects, ..generation });
    git.trim(state);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::SystemTime};

    use super::{Duration, FIRST_WAIT, LONGEST_WAIT, is_waiting, wait_after};
    use crate::mirror::{Mirror, Mode};

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        assert_eq!([1, 2, 3].map(wait_after), [1, 2, 4].map(|times| times * FIRST_WAIT));
        for times in [11, 12, 40, u32::MAX] {
            assert_eq!(wait_after(times), LONGEST_WAIT, "{times}");
        }
    }

    #[test]
    fn a_mirror_remembers_what_was_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::new(folder.path().join("m"));
        mirror.create(gix::hash::Kind::Sha1, Mode::Partial).unwrap();
        assert!(!is_waiting(&mirror));
        let ago = |since: Duration| {
            let file = File::options().write(true).open(mirror.folder().join("larder-not-whole"));
            file.unwrap().set_modified(SystemTime::now() - since).unwrap();
        };
        for wait in [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT] {
            mirror.note_not_whole();
            assert!(is_waiting(&mirror));
            ago(wait.saturating_sub(Duration::from_secs(30)));
            assert!(is_waiting(&mirror), "{wait:?}");
            ago(wait + Duration::from_secs(1));
            assert!(!is_waiting(&mirror), "{wait:?}");
        }
        assert!(mirror.inspect().unwrap().is_some(), "it is still ours");
    }
}
