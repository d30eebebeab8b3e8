//! All commits of a mirror in memory: who descends from whom, without a look at the disk.
//!
//! Commits are numbered parents first, so that ancestry is one walk from high numbers to low, and a
//! commit with a smaller number cannot descend from one with a larger. A later fetch adds numbers
//! at the end; what a force-push left behind stays in the graph and is told apart by
//! [`Graph::reachable`].

use std::collections::HashMap;

use crate::{
    objects::{Fault, Reader},
    refs::is_lower_hex,
};

/// The number of a commit.
pub(crate) type Node = u32;

/// A set of commits, a bit for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks(Vec<u64>);

impl Marks {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn set(&mut self, node: Node) {
        if let Some(word) = self.0.get_mut(node as usize / 64) {
            *word |= 1 << (node % 64);
        }
    }

    pub(crate) fn has(&self, node: Node) -> bool {
        self.0.get(node as usize / 64).is_some_and(|word| word & (1 << (node % 64)) != 0)
    }
}

/// Commits, their times and parents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    ids: Vec<gix::ObjectId>,
    times: Vec<i64>,
    /// Where the parents of each commit end in `parents`.
    ends: Vec<u32>,
    parents: Vec<Node>,
    /// Numbers in the order of names.
    by_name: Vec<Node>,
}

/// What a prefix of a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    None,
    One(Node),
    Several,
}

impl Graph {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.len() * (size_of::<gix::ObjectId>() + 8 + 4 + 4) + self.parents.len() * 4
    }

    pub(crate) fn find(&self, id: &gix::oid) -> Option<Node> {
        let at = self.by_name.binary_search_by(|node| match self.ids.get(*node as usize) {
            Some(known) => known.as_ref().cmp(id),
            None => std::cmp::Ordering::Less,
        });
        at.ok().and_then(|at| self.by_name.get(at).copied())
    }

    pub(crate) fn id(&self, node: Node) -> Option<&gix::oid> {
        self.ids.get(node as usize).map(AsRef::as_ref)
    }

    pub(crate) fn time(&self, node: Node) -> i64 {
        self.times.get(node as usize).copied().unwrap_or(0)
    }

    fn parents(&self, node: Node) -> &[Node] {
        let end = |node: usize| self.ends.get(node).map_or(0, |end| *end as usize);
        let start = (node as usize).checked_sub(1).map_or(0, end);
        self.parents.get(start..end(node as usize)).unwrap_or_default()
    }

    /// The commit among `wanted` whose name begins with these lower-case hex digits.
    pub(crate) fn with_prefix(&self, prefix: &str, wanted: &Marks) -> Found {
        if !is_lower_hex(prefix) {
            return Found::None;
        }
        let name =
            |node: &Node| self.id(*node).map(|id| id.to_hex().to_string()).unwrap_or_default();
        let start = self.by_name.partition_point(|node| name(node).as_str() < prefix);
        let same = self.by_name.get(start..).unwrap_or_default().iter();
        let mut same = same.take_while(|node| name(node).starts_with(prefix));
        let mut same = same.by_ref().filter(|node| wanted.has(**node));
        match (same.next(), same.next()) {
            (None, _) => Found::None,
            (Some(node), None) => Found::One(*node),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    /// All commits that these lead to, themselves included.
    pub(crate) fn reachable(&self, from: impl IntoIterator<Item = Node>) -> Marks {
        let mut marks = Marks::new(self.len());
        let mut highest = None;
        for node in from {
            marks.set(node);
            highest = highest.max(Some(node));
        }
        let Some(highest) = highest else { return marks };
        for node in (0..=highest).rev().filter(|node| (*node as usize) < self.len()) {
            if marks.has(node) {
                for parent in self.parents(node) {
                    marks.set(*parent);
                }
            }
        }
        marks
    }

    /// Whether one commit is another or its ancestor.
    pub(crate) fn descends(&self, node: Node, ancestor: Node) -> bool {
        let mut seen = Marks::new(self.len());
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if node == ancestor {
                return true;
            }
            // Ancestors have smaller numbers.
            let fresh = self.parents(node).iter().filter(|parent| **parent >= ancestor);
            for parent in fresh {
                if !seen.has(*parent) {
                    seen.set(*parent);
                    stack.push(*parent);
                }
            }
        }
        false
    }

    /// This graph and all commits behind `tips` that it lacks. Blocking.
    pub(crate) fn extended(
        &self,
        reader: &mut Reader,
        tips: &[gix::ObjectId],
        max_commits: u32,
    ) -> Result<Self, Fault> {
        let found = Discovery::run(self, reader, tips, max_commits)?;
        let mut graph = self.clone();
        graph.append(found);
        Ok(graph)
    }

    fn append(&mut self, mut found: Discovery) {
        let old = self.len();
        let order = found.parents_first(old);
        let mut numbers = vec![0; order.len()];
        for (number, at) in (old..).zip(&order) {
            if let (Some(slot), Ok(number)) =
                (numbers.get_mut(*at as usize), Node::try_from(number))
            {
                *slot = number;
            }
        }
        for at in &order {
            let Some(commit) = found.commits.get_mut(*at as usize) else { continue };
            self.ids.push(commit.id);
            self.times.push(commit.time);
            for parent in std::mem::take(&mut commit.parents) {
                let number = match (parent as usize).checked_sub(old) {
                    None => Some(parent),
                    Some(at) => numbers.get(at).copied(),
                };
                self.parents.extend(number);
            }
            self.ends.push(u32::try_from(self.parents.len()).unwrap_or(u32::MAX));
        }
        let ids = &self.ids;
        self.by_name.extend(numbers);
        // Two sorted runs, or nearly: cheap for the sort.
        self.by_name.sort_by(|a, b| ids.get(*a as usize).cmp(&ids.get(*b as usize)));
    }
}

/// Commits found on a walk, in the order of the walk. A parent below `old` is a number of the
/// graph; another is `old` and its place here.
#[derive(Debug, Default)]
struct Discovery {
    commits: Vec<NewCommit>,
}

#[derive(Debug)]
struct NewCommit {
    id: gix::ObjectId,
    time: i64,
    parents: Vec<Node>,
}

impl Discovery {
    fn run(
        graph: &Graph,
        reader: &mut Reader,
        tips: &[gix::ObjectId],
        max_commits: u32,
    ) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut places: HashMap<gix::ObjectId, Node> = HashMap::new();
        let old = graph.len();
        let mut place = |id: gix::ObjectId, commits: &mut Vec<NewCommit>| {
            if let Some(node) = graph.find(&id).or_else(|| places.get(&id).copied()) {
                return Ok(node);
            }
            let next = u32::try_from(old + commits.len()).ok().filter(|next| *next < max_commits);
            let next = next
                .ok_or_else(|| Fault::Limit(format!("it has more than {max_commits} commits")))?;
            places.insert(id, next);
            commits.push(NewCommit { id, time: 0, parents: Vec::new() });
            Ok(next)
        };
        for tip in tips {
            place(*tip, &mut found.commits)?;
        }
        let mut at = 0;
        while let Some(id) = found.commits.get(at).map(|commit| commit.id) {
            let parts = reader.commit(&id)?;
            let parents: Result<Vec<_>, _> =
                parts.parents.into_iter().map(|id| place(id, &mut found.commits)).collect();
            if let Some(commit) = found.commits.get_mut(at) {
                commit.time = parts.time;
                commit.parents = parents?;
            }
            at += 1;
        }
        Ok(found)
    }

    /// Places in an order in which parents stand before their children.
    fn parents_first(&self, old: usize) -> Vec<Node> {
        let mut order = Vec::with_capacity(self.commits.len());
        // How many parents of each were looked at; one more than all: done.
        let mut looked_at = vec![0_usize; self.commits.len()];
        for start in 0..self.commits.len() {
            let mut stack = vec![start];
            while let Some(at) = stack.last().copied() {
                match self.step(at, &mut looked_at) {
                    Step::Parent(parent) => {
                        let place = (parent as usize).checked_sub(old);
                        stack.extend(place.filter(|place| looked_at.get(*place) == Some(&0)));
                    }
                    Step::Last => {
                        order.extend(u32::try_from(at));
                        stack.pop();
                    }
                    Step::Done => drop(stack.pop()),
                }
            }
        }
        order
    }

    fn step(&self, at: usize, looked_at: &mut [usize]) -> Step {
        let (Some(commit), Some(next)) = (self.commits.get(at), looked_at.get_mut(at)) else {
            return Step::Done;
        };
        if *next > commit.parents.len() {
            return Step::Done;
        }
        let parent = commit.parents.get(*next);
        *next += 1;
        parent.map_or(Step::Last, |parent| Step::Parent(*parent))
    }
}

/// What is to be done next about a commit.
enum Step {
    Parent(Node),
    /// All parents stand in the order: now itself.
    Last,
    Done,
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
