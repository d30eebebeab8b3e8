//! From a revision to a commit.

use std::{collections::BTreeSet, sync::Arc};

use units::Timestamp;

use crate::{
    Commit, Error, ObjectId, Refs, Repository,
    blocking::blocking,
    fetch,
    graph::{Found, Node},
    refs::is_lower_hex,
    state::{Generation, View},
};

/// Fewer digits never stand for a hash. Source: cmd/go's codehost, `minHashDigits`.
const MIN_HASH_DIGITS: usize = 7;

/// The order of git.md 2.7: a full hash, names, then digits.
pub(crate) async fn commit(
    repository: &Repository,
    refs: &Arc<Refs>,
    revision: &str,
) -> Result<Option<Commit>, Error> {
    let digits = refs.kind().len_in_hex();
    let is_hash = (MIN_HASH_DIGITS..=digits).contains(&revision.len()) && is_lower_hex(revision);
    if is_hash && revision.len() == digits {
        let found = by_hash(repository, refs, revision).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    if refs.tags.contains_key(revision) {
        return tag(repository, refs, revision).await;
    }
    if let Some(id) = refs.heads.get(revision) {
        let name = format!("refs/heads/{revision}");
        return tip(repository, refs, id, Some(name)).await;
    }
    if let (Some((id, _)), "HEAD") = (&refs.head, revision) {
        return tip(repository, refs, id, Some("HEAD".to_owned())).await;
    }
    if is_hash && revision.len() < digits {
        return by_hash(repository, refs, revision).await;
    }
    Ok(None)
}

pub(crate) async fn tag(
    repository: &Repository,
    refs: &Arc<Refs>,
    name: &str,
) -> Result<Option<Commit>, Error> {
    let Some(tag) = refs.tags.get(name) else { return Ok(None) };
    tip(repository, refs, tag.target(), Some(format!("refs/tags/{name}"))).await
}

/// What a ref points at, if it is a commit. Nothing is fetched when the mirror has it, whatever
/// else has changed at the remote.
async fn tip(
    repository: &Repository,
    refs: &Arc<Refs>,
    id: &ObjectId,
    named_by: Option<String>,
) -> Result<Option<Commit>, Error> {
    let Some(git_id) = id.to_git() else { return Ok(None) };
    let known = fetch::open_known(&repository.git, &repository.state).await;
    if let Some((generation, node)) = known.and_then(|known| found(known, &git_id)) {
        return Ok(Some(describe(&generation, node, refs, named_by)));
    }
    let generation = fetch::catch_up(&repository.git, &repository.state).await?;
    if let Some((generation, node)) = found(Arc::clone(&generation), &git_id) {
        return Ok(Some(describe(&generation, node, refs, named_by)));
    }
    // A tag of a tree or a blob; or one that the remote did not peel, so we do.
    let (objects, url) = (Arc::clone(&generation.objects), repository.url().clone());
    let peeled = blocking(move || {
        let mut reader = objects.reader();
        match reader.peel(&git_id) {
            Ok(peeled) => Ok(peeled),
            Err(crate::objects::Fault::Missing(_)) => Ok(None),
            Err(fault) => Err(crate::snapshot::fault_of(&url, &fault)),
        }
    });
    let found = peeled.await?.and_then(|id| found(generation, &id));
    Ok(found.map(|(generation, node)| describe(&generation, node, refs, named_by)))
}

fn found(generation: Arc<Generation>, id: &gix::oid) -> Option<(Arc<Generation>, Node)> {
    let node = generation.graph.find(id)?;
    Some((generation, node))
}

/// A hash, or the beginning of one: proved to be behind a branch, a tag or HEAD.
async fn by_hash(
    repository: &Repository,
    refs: &Arc<Refs>,
    digits: &str,
) -> Result<Option<Commit>, Error> {
    match among_refs(refs, digits)? {
        Some(id) => tip(repository, refs, &id, None).await,
        None => in_history(repository, refs, digits).await,
    }
}

/// What refs point at, tags with and without their annotation.
fn among_refs(refs: &Refs, digits: &str) -> Result<Option<ObjectId>, Error> {
    let begins = |id: &ObjectId| id.as_str().starts_with(digits);
    let head = refs.head.as_ref().map(|(id, _)| id);
    let branches = refs.heads.values().chain(head).filter(|id| begins(id));
    let tags = refs.tags.values().filter(|tag| begins(tag.target()) || begins(&tag.object));
    let all: BTreeSet<_> = branches.chain(tags.map(crate::TagRef::target)).collect();
    match all.len() {
        0 | 1 => Ok(all.first().map(|id| (*id).clone())),
        _ => Err(Error::Ambiguous { revision: digits.to_owned() }),
    }
}

async fn in_history(
    repository: &Repository,
    refs: &Arc<Refs>,
    digits: &str,
) -> Result<Option<Commit>, Error> {
    let known = fetch::open_known(&repository.git, &repository.state).await;
    if let Some(generation) = known {
        let view = repository.state.view(refs, &generation);
        let is_whole = digits.len() == refs.kind().len_in_hex();
        // A full hash is proved by any ref; a shorter one is unique only among all.
        if is_whole || generation.is_of(refs) {
            let node = search(&view, digits).await?;
            if let Some(node) = node {
                return Ok(Some(describe(&generation, node, refs, None)));
            }
        }
        if generation.is_of(refs) {
            return Ok(None);
        }
    }
    let generation = fetch::catch_up(&repository.git, &repository.state).await?;
    // The refs may have moved while they were fetched: the fetched ones count.
    let refs = Arc::clone(&generation.refs);
    let view = repository.state.view(&refs, &generation);
    let node = search(&view, digits).await?;
    Ok(node.map(|node| describe(&generation, node, &refs, None)))
}

async fn search(view: &Arc<View>, digits: &str) -> Result<Option<Node>, Error> {
    let (view, digits) = (Arc::clone(view), digits.to_owned());
    blocking(move || match view.graph.with_prefix(&digits, view.reachable()) {
        Found::None => Ok(None),
        Found::One(node) => Ok(Some(node)),
        Found::Several => Err(Error::Ambiguous { revision: digits }),
    })
    .await
}

fn describe(generation: &Generation, node: Node, refs: &Refs, named_by: Option<String>) -> Commit {
    let id = generation.graph.id(node).map(ObjectId::from_git);
    let id = id.unwrap_or_else(|| ObjectId::from_git(&gix::ObjectId::null(refs.kind())));
    let tags = refs.tags.iter().filter(|(_, tag)| *tag.target() == id);
    let tags = tags.map(|(name, _)| name.clone()).collect();
    let time = Timestamp::from_unix_secs(generation.graph.time(node));
    Commit { id, time, named_by, tags }
}
