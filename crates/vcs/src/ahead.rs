//! What will be wanted next: the same file of other commits.
//!
//! Who asks for one version's `go.mod` asks for others'. In a mirror without blobs each would be a
//! fetch of its own; so the first brings those of all tags and branches and of the newest commits.

use std::collections::HashSet;

use crate::{
    graph::Node,
    objects::{Fault, Reader},
    state::{Generation, View},
    tree::{self, At},
};

/// Newest commits that are looked at, beside tags and branches.
const MAX_NEWEST: usize = 2000;
/// Most commits that are looked at: a tenth of a millisecond each.
const MAX_COMMITS: usize = 5000;
/// Most blobs that are fetched ahead.
const MAX_BLOBS: usize = 2000;

/// Blobs that stand at a path in other commits and are not here. Blocking.
pub(crate) fn blobs(generation: &Generation, view: &View, path: &str) -> Vec<gix::ObjectId> {
    let mut reader = generation.objects.quick_reader();
    let mut seen = HashSet::new();
    let mut absent = Vec::new();
    for node in commits(generation, view) {
        // What is wrong with another commit is no matter of this one.
        let Ok(Some(id)) = at(generation, &mut reader, node, path) else { continue };
        if seen.insert(id) && matches!(reader.header(&id), Ok(None)) {
            absent.push(id);
        }
        if absent.len() >= MAX_BLOBS {
            break;
        }
    }
    absent
}

fn commits(generation: &Generation, view: &View) -> impl Iterator<Item = Node> {
    let graph = &generation.graph;
    let tags = view.tags().iter().rev().map(|(node, _)| *node);
    let heads = view.refs.heads.values();
    let heads = heads.filter_map(|id| graph.find(&id.to_git()?));
    let reachable = view.reachable();
    let count = Node::try_from(graph.len()).unwrap_or(Node::MAX);
    let newest = (0..count).rev().filter(|node| reachable.has(*node)).take(MAX_NEWEST);
    let mut seen = HashSet::new();
    tags.chain(heads).chain(newest).filter(move |node| seen.insert(*node)).take(MAX_COMMITS)
}

fn at(
    generation: &Generation,
    reader: &mut Reader,
    node: Node,
    path: &str,
) -> Result<Option<gix::ObjectId>, Fault> {
    let Some(commit) = generation.graph.id(node) else { return Ok(None) };
    let root = reader.commit(commit)?.tree;
    match tree::find(reader, root, path)? {
        At::Blob(_, id) => Ok(Some(id)),
        At::Nothing | At::Tree(_) => Ok(None),
    }
}
