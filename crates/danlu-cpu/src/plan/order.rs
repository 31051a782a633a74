//! The order of the steps, and which states a step may overwrite in place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use danlu_graph::{DType, Error, NodeId, Operation, Program, Result};

use super::concrete::{Concrete, root};
use crate::fuse::groups::Groups;

/// What runs when, and where results of updates go.
pub(crate) struct Order {
    /// Groups in the order in which they run.
    pub sequence: Vec<usize>,
    /// Nodes whose result is written straight into a state, by the index of the update.
    pub in_place: BTreeMap<NodeId, usize>,
}

/// Edges between groups: data first, then "reads the old state before it is overwritten".
struct Edges {
    before: Vec<BTreeSet<usize>>,
}

impl Edges {
    /// Whether `from` must run before `to`, over any path.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.before.len()];
        let mut open = vec![to];
        while let Some(group) = open.pop() {
            if group == from {
                return true;
            }
            for &earlier in &self.before[group] {
                if !seen[earlier] {
                    seen[earlier] = true;
                    open.push(earlier);
                }
            }
        }
        false
    }
}

/// Chooses an order that keeps the program's own where it can.
///
/// # Errors
/// Groups wait for each other: a mistake of the fusion.
pub(crate) fn order(program: &Program, nodes: &[Concrete], groups: &Groups) -> Result<Order> {
    let count = groups.groups.len();
    let mut edges = Edges {
        before: (0..count)
            .map(|group| groups.dependencies(nodes, group).into_iter().collect())
            .collect(),
    };
    // Who reads each state, and whether element by element at the place that it writes.
    let mut readers: BTreeMap<&str, Vec<(usize, bool)>> = BTreeMap::new();
    for (place, node) in nodes.iter().enumerate() {
        let Some(group) = groups.of[place] else {
            continue;
        };
        let pass = groups.groups[group].heavy != Some(place);
        for (slot, &input) in node.inputs.iter().enumerate() {
            let source = root(nodes, input);
            if let Operation::State(state) = &nodes[source].operation {
                let aligned = match pass {
                    true => nodes[source].shape == node.shape && !nodes[input].is_alias(),
                    false => slot == 0 && adds_rows(node),
                };
                readers
                    .entry(&state.name)
                    .or_default()
                    .push((group, aligned));
            }
        }
    }
    let mut in_place = BTreeMap::new();
    let mut given: BTreeSet<NodeId> = BTreeSet::new();
    let returned: BTreeSet<NodeId> = program
        .outputs()
        .iter()
        .map(|output| root(nodes, output.node))
        .filter(|&node| nodes[node].is_leaf())
        .collect();
    for (index, update) in program.updates().iter().enumerate() {
        let node = update.node;
        let Some(group) = groups.of[node] else {
            continue;
        };
        let writes = groups.groups[group].heavy != Some(node) || adds_rows(&nodes[node]);
        let none = Vec::new();
        let uses = readers.get(update.state.as_str()).unwrap_or(&none);
        // A state that is an output, or goes into another state, is read once more at the end.
        let read_late = returned.iter().chain(&program.updates().iter().map(|other| root(nodes, other.node)).collect::<Vec<_>>())
            .any(|&source| matches!(&nodes[source].operation, Operation::State(state) if state.name == update.state));
        let possible = writes
            && !read_late
            && given.insert(node)
            && uses.iter().all(|&(reader, aligned)| {
                if reader == group {
                    aligned
                } else {
                    !edges.reaches(group, reader)
                }
            });
        if possible {
            for &(reader, _) in uses {
                if reader != group {
                    edges.before[group].insert(reader);
                }
            }
            in_place.insert(node, index);
        }
    }
    let sequence = sequence(&edges, groups);
    let steps = groups
        .groups
        .iter()
        .filter(|group| !group.members.is_empty());
    if sequence.len() != steps.count() {
        return Err(Error::new(
            "fused operations wait for each other; this is a mistake in danlu-cpu, please report it",
        ));
    }
    Ok(Order { sequence, in_place })
}

/// Whether a node adds rows to its first input, and can do so where that lies.
fn adds_rows(node: &Concrete) -> bool {
    matches!(node.operation, Operation::ScatterAdd(_))
        && matches!(node.dtype, DType::F32 | DType::I32 | DType::I64)
}

/// A topological order; of the groups that are ready the one whose last node stands first.
fn sequence(edges: &Edges, groups: &Groups) -> Vec<usize> {
    let count = groups.groups.len();
    let mut waiting: Vec<usize> = edges.before.iter().map(BTreeSet::len).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (group, before) in edges.before.iter().enumerate() {
        for &earlier in before {
            after[earlier].push(group);
        }
    }
    let rank = |group: usize| groups.groups[group].members.last().copied().unwrap_or(0);
    let mut ready: BinaryHeap<Reverse<(usize, usize)>> = (0..count)
        .filter(|&group| waiting[group] == 0)
        .map(|group| Reverse((rank(group), group)))
        .collect();
    let mut sequence = Vec::with_capacity(count);
    while let Some(Reverse((_, group))) = ready.pop() {
        if !groups.groups[group].members.is_empty() {
            sequence.push(group);
        }
        for &later in &after[group] {
            waiting[later] -= 1;
            if waiting[later] == 0 {
                ready.push(Reverse((rank(later), later)));
            }
        }
    }
    sequence
}
