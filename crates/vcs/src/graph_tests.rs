use gix::ObjectId;

use super::{Discovery, Found, Graph, NewCommit, Node};

fn id(number: u32) -> ObjectId {
    let mut bytes = [0x11; 20];
    // Names in no order of history.
    bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    ObjectId::from(bytes)
}

/// Adds commits by number: each with its parents, in any order.
fn add(graph: &mut Graph, commits: &[(u32, &[u32])]) {
    let old = graph.len();
    let place = |number: u32| -> Node {
        let new = commits.iter().position(|(known, _)| *known == number);
        let new = new.map(|at| u32::try_from(old + at).unwrap());
        graph.find(&id(number)).or(new).unwrap()
    };
    let commits = commits
        .iter()
        .map(|(number, parents)| NewCommit {
            id: id(*number),
            time: i64::from(*number),
            parents: parents.iter().map(|parent| place(*parent)).collect(),
        })
        .collect();
    graph.append(Discovery { commits });
}

fn node(graph: &Graph, number: u32) -> Node {
    graph.find(&id(number)).unwrap()
}

#[test]
fn parents_stand_before_children_whatever_the_order() {
    let mut graph = Graph::default();
    add(&mut graph, &[(5, &[4, 3]), (1, &[]), (4, &[2]), (2, &[1]), (3, &[1])]);
    add(&mut graph, &[(8, &[7, 6]), (6, &[5]), (7, &[2, 6])]);
    assert_eq!(graph.len(), 8);
    for number in 1..=8 {
        let child = node(&graph, number);
        assert!(graph.parents(child).iter().all(|parent| *parent < child), "{number}");
        assert_eq!(
            (graph.id(child), graph.time(child)),
            (Some(id(number).as_ref()), i64::from(number))
        );
    }
    for (child, ancestor, wanted) in
        [(8, 1, true), (8, 8, true), (3, 2, false), (7, 3, true), (1, 8, false), (4, 3, false)]
    {
        assert_eq!(
            graph.descends(node(&graph, child), node(&graph, ancestor)),
            wanted,
            "{child} {ancestor}"
        );
    }
    let behind = graph.reachable([node(&graph, 4)]);
    let marked: Vec<_> = (1..=8).filter(|number| behind.has(node(&graph, *number))).collect();
    assert_eq!(marked, [1, 2, 4]);
    assert_eq!(graph.find(&id(9)), None);
}

#[test]
fn a_long_history_is_walked_without_recursion() {
    let mut graph = Graph::default();
    let parents: Vec<_> = (0..200_000_u32).map(|number| [number + 1]).collect();
    let none: &[u32] = &[];
    let commits = parents.iter().enumerate().map(|(at, parent)| {
        let parents = if at + 1 == parents.len() { none } else { parent.as_slice() };
        NewCommit { id: id(u32::try_from(at).unwrap()), time: 0, parents: parents.to_vec() }
    });
    graph.append(Discovery { commits: commits.collect() });
    assert!(graph.descends(node(&graph, 0), node(&graph, 199_999)));
    assert!(graph.reachable([node(&graph, 0)]).has(node(&graph, 199_999)));
    assert!(graph.weight() < 20_000_000, "{}", graph.weight());
}

#[test]
fn prefixes_count_wanted_commits_only() {
    let mut graph = Graph::default();
    add(&mut graph, &[(1, &[]), (2, &[1])]);
    let (all, first) = (graph.reachable([node(&graph, 2)]), graph.reachable([node(&graph, 1)]));
    let (one, two) = (id(1).to_string(), id(2).to_string());
    assert_eq!(graph.with_prefix(&two, &all), Found::One(node(&graph, 2)));
    assert_eq!(graph.with_prefix(&two[..9], &all), Found::One(node(&graph, 2)));
    assert_eq!(graph.with_prefix(&two[..9], &first), Found::None, "not behind the first");
    assert_eq!(graph.with_prefix(&one.to_uppercase(), &all), Found::None);
    assert_eq!(graph.with_prefix("", &all), Found::Several);
    assert_eq!(graph.with_prefix("", &first), Found::One(node(&graph, 1)));
    assert_eq!(graph.with_prefix(&format!("{}x", &one[..7]), &all), Found::None);
}
