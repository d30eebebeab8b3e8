//! A cold zip: fetched once, checked while it grows, followed by readers, released by two proofs.

use std::sync::Arc;

use modzip::{Checked, CheckedKind, Checker, Opinion};
use store::{Follower, Key, Staged};
use tokio::sync::watch;

use crate::flights::{Pilot, blocking};
use crate::follow::{Live, MAX_UNSTREAMED_BYTES};
use crate::load::Target;
use crate::publish::{Publication, conflict, publish};
use crate::shelf::{Entry, Stored, StoredBody};
use crate::{Error, Kind, Rooms, Validators, fill, own};

/// How much of a growing zip is read and judged in one go on a blocking thread: bounds the flight's memory.
const CHECK_CHUNK_BYTES: usize = 256 << 10;

/// Fetches, judges, releases and publishes a zip.
///
/// Memory: the staged body's buffer, the checker's windows and one read chunk; about 3 MiB whatever the zip's size.
pub(crate) async fn fetch(pilot: &Pilot, target: &Target) -> Result<(), Error> {
    let rooms = &pilot.rooms;
    let own = rooms.own_log_of(target.module.path());
    let source = fill::source(rooms, target).await?;
    let mut staged = rooms.store.stage().await?;
    let follower = staged.follower();
    let (end, ended) = watch::channel(End::Open);
    let check = judge_growing(target, follower.clone(), ended.clone());
    let arrive = async {
        let (fetched, checked, ()) = tokio::join!(
            async {
                let fetched = receive(&*source, target, &mut staged).await;
                end.send_replace(match fetched {
                    Ok(_) => End::Whole(staged.written()),
                    Err(_) => End::Failed,
                });
                fetched
            },
            check,
            async {
                // What is recorded first is sent afterwards.
                if own.is_none() {
                    announce(pilot, &follower, ended).await;
                }
            },
        );
        Ok((fetched?.origin, checked?))
    };
    let ((origin, checked), record) = fill::recorded(rooms, target, arrive).await?;
    let checked = match checked {
        Ok(checked) => checked,
        // Our disk, not the source's zip: no verdict, so nothing to remember.
        Err(error @ modzip::Error::Read { .. }) => return Err(Error::fault(error.to_string())),
        Err(error) => return Err(fill::refuse_content(pilot, target, &origin, &error)),
    };
    compare_with_stored_mod(rooms, target, &checked).await?;
    let body = follower.body(0, checked.size());
    let verified = fill::confirm(pilot, record?, (&checked, body), (target, &origin)).await?;
    let subject = policy::Subject {
        module: target.module.path(),
        version: Some(target.module.version()),
        facts: None,
    };
    let pass = rooms.policy.judge(subject).map_err(Error::Denied)?;
    if let Some(own) = own {
        let target = target.clone();
        let zip = Publication { target, staged, checked, verified, pass, origin };
        return own::publish_whole(pilot, own, &*source, zip).await;
    }
    let entry = Arc::new(Entry::Stored(hot(rooms, target, &checked, &follower)));
    rooms.shelf.put(pilot.request().clone(), Arc::clone(&entry));
    pilot.release(&verified, &pass, &checked, entry)?;
    fill::name_commit(rooms, target, &origin);
    let publication =
        Publication { target: target.clone(), staged, checked, verified, pass, origin };
    if let Err(error) = publish(rooms, publication).await {
        fill::unpublished(rooms, pilot.request(), target, &error);
    }
    Ok(())
}

async fn receive(
    source: &dyn upstream::Upstream,
    target: &Target,
    staged: &mut Staged,
) -> Result<upstream::Fetched, Error> {
    let fetched = source.zip(&target.module, staged).await?;
    staged.finish().await?;
    Ok(fetched)
}

/// Lets readers go along once the length is known and long enough to be worth it.
async fn announce(pilot: &Pilot, follower: &Follower, mut ended: watch::Receiver<End>) {
    let mut follower = follower.clone();
    loop {
        if let Some(len) = follower.expected() {
            if len > MAX_UNSTREAMED_BYTES {
                pilot.stream(Live { follower, len });
            }
            return;
        }
        // The length is announced with the header, before the first byte: no byte, no length yet.
        if follower.visible() > 0 {
            return;
        }
        tokio::select! {
            _ = ended.wait_for(|end| *end != End::Open) => return,
            _ = follower.more_than(0) => {}
        }
    }
}

/// How the arrival of a zip ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not yet.
    Open,
    /// With this many bytes, all of them visible.
    Whole(u64),
    /// Without the whole.
    Failed,
}

type Judged = Result<Checked, modzip::Error>;

/// Feeds the checker as bytes become visible; the verdict comes with the last of them.
async fn judge_growing(
    target: &Target,
    mut follower: Follower,
    mut ended: watch::Receiver<End>,
) -> Result<Judged, Error> {
    let mut checker = Checker::new(&target.module);
    let mut seen = 0;
    loop {
        let end = *ended.borrow_and_update();
        let visible = follower.visible();
        if visible > seen {
            let from = follower.clone();
            let fed = blocking(move || feed(checker, &from, seen, visible)).await??;
            match fed {
                Ok(fed) => checker = fed,
                Err(error) => return Ok(Err(error)),
            }
            seen = visible;
            continue;
        }
        match end {
            End::Whole(len) if seen == len => break,
            End::Failed => return Err(Error::fault("the fetch failed")),
            _ => {}
        }
        tokio::select! {
            _ = ended.changed() => {}
            _ = follower.more_than(seen), if end == End::Open => {}
        }
    }
    let module = target.module.clone();
    blocking(move || match checker.finish() {
        Ok(Opinion::Final(verdict)) => Ok(verdict),
        // The stream was only a first opinion: the central directory has the last word.
        Ok(Opinion::NeedsSecondLook) => modzip::check(&module, follower.reader()),
        Err(error) => Err(error),
    })
    .await
}

/// Feeds `from..to`; on a blocking thread.
fn feed(
    mut checker: Checker,
    follower: &Follower,
    mut from: u64,
    to: u64,
) -> Result<Result<Checker, modzip::Error>, Error> {
    let mut chunk = vec![0; CHECK_CHUNK_BYTES];
    while from < to {
        let want = usize::try_from(to - from).unwrap_or(CHECK_CHUNK_BYTES).min(CHECK_CHUNK_BYTES);
        let Some(buffer) = chunk.get_mut(..want) else { break };
        let read = follower.read_at(from, buffer);
        let read = read.map_err(|error| Error::fault(format!("reading a staged zip: {error}")))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Err(Error::fault("a staged zip is shorter than what was written"));
        };
        if let Err(error) = checker.feed(bytes) {
            return Ok(Err(error));
        }
        from += read as u64;
    }
    Ok(Ok(checker))
}

/// A zip whose go.mod is not the stored `.mod` is an incident: told, counted, evidence kept.
///
/// The zip is served all the same: the go command compares neither, and Go's own suite has such modules
/// (docs/decisions/0003-a-zip-with-another-go-mod.md).
async fn compare_with_stored_mod(
    rooms: &Rooms,
    target: &Target,
    checked: &Checked,
) -> Result<(), Error> {
    let CheckedKind::Zip { go_mod: Some(inside), .. } = checked.kind() else { return Ok(()) };
    let Some(object) = rooms.store.open(&Key::Mod(&target.module), None).await? else {
        return Ok(());
    };
    let stored = object.bytes(gomod::modfile::MAX_MOD_BYTES).await?;
    if stored != *inside {
        let part = store::BodyPart::Memory(bytes::Bytes::from(inside.clone()));
        let inside = Target { kind: Kind::Mod, module: target.module.clone() };
        conflict(rooms, &inside, &hex::encode(checked.sha256()), part).await;
    }
    Ok(())
}

/// The entry of a zip that has passed: its bytes are those of the staged file, which publication only renames.
fn hot(rooms: &Rooms, target: &Target, checked: &Checked, follower: &Follower) -> Stored {
    let len = checked.size();
    let body = match follower.body(0, len) {
        store::BodyPart::Memory(bytes) => StoredBody::Memory(bytes),
        store::BodyPart::File { file, len, .. } => StoredBody::File { file, len },
    };
    let sha256 = hex::encode(checked.sha256());
    let validators = Validators::new(&sha256, rooms.clock.now(), len);
    Stored::new(Kind::Zip, target.module.clone(), body, validators)
}
