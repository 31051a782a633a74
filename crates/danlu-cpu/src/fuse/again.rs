//! What is computed twice, since that is less than to keep it: a pass that reads a value of another pass, and anyway all
//! that this is made of, makes it once more.

use danlu_graph::operations::{BinaryKind, UnaryKind};
use danlu_graph::{NodeId, Operation};

use super::groups::{Groups, extent};
use super::sums;
use crate::plan::concrete::{Concrete, is_tape, root, spreads};

/// Operations that a pass takes over for one value.
const MOST: usize = 6;

/// Lets passes compute values of others again, where nobody is left then who reads those. `kept` are values that the
/// program gives back or stores.
pub(super) fn compute_again(
    nodes: &[Concrete],
    readers: &[Vec<NodeId>],
    kept: &[NodeId],
    groups: &mut Groups,
) {
    // The last ones first: what they are made of may then be computed again too.
    for value in (0..nodes.len()).rev() {
        let Some(own) = groups.of[value] else {
            continue;
        };
        let group = &groups.groups[own];
        if !is_tape(nodes, &nodes[value]) || group.heavy == Some(value) || kept.contains(&value) {
            continue;
        }
        let mut others: Vec<usize> = readers[value]
            .iter()
            .filter_map(|&reader| groups.of[reader])
            .filter(|&other| other != own && groups.groups[other].reads(nodes).contains(&value))
            .collect();
        others.sort_unstable();
        others.dedup();
        let found: Option<Vec<Vec<NodeId>>> = others
            .iter()
            .map(|&other| parts(nodes, groups, value, other))
            .collect();
        for (other, parts) in others.into_iter().zip(found.unwrap_or_default()) {
            let again = &mut groups.groups[other].again;
            again.extend(parts);
            again.sort_unstable();
            again.dedup();
        }
    }
    drop_unread(nodes, kept, groups);
}

/// Takes out of the passes what nobody reads any more.
fn drop_unread(nodes: &[Concrete], kept: &[NodeId], groups: &mut Groups) {
    let mut readers = vec![0usize; nodes.len()];
    let inputs = |node: NodeId| nodes[node].inputs.iter().map(|&input| root(nodes, input));
    for group in &groups.groups {
        for input in group.computed().into_iter().flat_map(inputs) {
            if group.again.binary_search(&input).is_err() {
                readers[input] += 1;
            }
        }
    }
    for node in (0..nodes.len()).rev() {
        let Some(own) = groups.of[node] else {
            continue;
        };
        let group = &mut groups.groups[own];
        let needed = readers[node] > 0 || kept.contains(&node) || group.heavy == Some(node);
        if needed || !is_tape(nodes, &nodes[node]) {
            continue;
        }
        group.members.retain(|&member| member != node);
        groups.of[node] = None;
        for input in inputs(node) {
            if groups.groups[own].again.binary_search(&input).is_err() {
                readers[input] -= 1;
            }
        }
    }
}

/// Whether a node costs less than to read its result: no division, no function that is an approximation.
fn is_cheap(node: &Concrete) -> bool {
    match &node.operation {
        Operation::Unary(unary) => matches!(
            unary.kind,
            UnaryKind::Relu | UnaryKind::Negate | UnaryKind::Square | UnaryKind::Abs
        ),
        Operation::Binary(binary) => matches!(
            binary.kind,
            BinaryKind::Add | BinaryKind::Subtract | BinaryKind::Multiply
        ),
        Operation::Compare(_) | Operation::Select(_) | Operation::BroadcastTo(_) => true,
        _ => spreads(node).is_some(),
    }
}

/// The nodes that a group's pass has to compute to have a value, if all that goes into them is read there anyway, or is the
/// same for many elements.
fn parts(nodes: &[Concrete], groups: &Groups, value: NodeId, other: usize) -> Option<Vec<NodeId>> {
    let group = &groups.groups[other];
    let pass = group.members.first().map(|&member| extent(nodes, member));
    if pass != Some(nodes[value].count()) {
        return None;
    }
    let mut read: Vec<NodeId> = Vec::new();
    for member in group.computed() {
        let inputs = &nodes[member].inputs;
        let reads = |node: NodeId| inputs.iter().any(|&input| root(nodes, input) == node);
        // Kernels and sums want the value as a whole.
        let whole = group.heavy == Some(member) || sums::statistic(nodes, &nodes[member]).is_some();
        if whole && reads(value) {
            return None;
        }
        if !whole {
            read.extend(inputs.iter().map(|&input| root(nodes, input)));
        }
    }
    let mut parts = Vec::new();
    let mut open = vec![value];
    while let Some(node) = open.pop() {
        if parts.contains(&node) {
            continue;
        }
        if parts.len() == MOST || !is_tape(nodes, &nodes[node]) || !is_cheap(&nodes[node]) {
            return None;
        }
        parts.push(node);
        for &input in &nodes[node].inputs {
            let source = root(nodes, input);
            if spreads(&nodes[node]).is_none()
                && read.contains(&source)
                && groups.of[source] != Some(other)
            {
                continue;
            }
            let state = matches!(nodes[source].operation, Operation::State(_));
            let whole = nodes[source].count() == nodes[value].count();
            // A state may have been written before this group runs; what the group makes itself comes later.
            if state || groups.of[source] == Some(other) || whole && nodes[source].is_leaf() {
                return None;
            }
            if whole {
                // A spread element is made of others than its own.
                if spreads(&nodes[node]).is_some() {
                    return None;
                }
                open.push(source);
            }
        }
    }
    Some(parts)
}
