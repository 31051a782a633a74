//! A state whose gradient is zero but for some rows changes in these rows only.

use super::{Rewrite, push, rebuild};
use crate::graph::{Node, NodeId};
use crate::operations::{BinaryKind, Operation, ScatterAdd, Unary, UnaryKind};
use crate::{Program, Result};

/// Turns `state - rate * gradient`, where the gradient is rows added to zeros, into `-rate * rows` added to the state: a
/// device can do that in place, without looking at the rest of the table. Signs, and products and quotients with numbers,
/// may stand between in any order. As long as these numbers are finite, a row that no index names keeps its bits, but for the sign of
/// zeros; the others differ by the rounding of another order of additions.
pub struct SparseUpdates;

impl Rewrite for SparseUpdates {
    fn name(&self) -> &'static str {
        "sparse-updates"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let mut changes = 0;
        rebuild(program, |nodes, node| match found(nodes, &node) {
            Some(update) => {
                changes += 1;
                update.apply(nodes, node)
            }
            None => push(nodes, node),
        })?;
        Ok(changes)
    }
}

/// A sum or difference of a state and a scaled gradient of few rows.
struct Found {
    state: NodeId,
    scattered: NodeId,
    /// What is done to the gradient, the last first.
    steps: Vec<NodeId>,
    subtracted: bool,
}

fn found(nodes: &[Node], node: &Node) -> Option<Found> {
    let Operation::Binary(binary) = &node.operation else {
        return None;
    };
    let (left, right) = (node.inputs[0], node.inputs[1]);
    let of = |state: NodeId, change: NodeId, subtracted: bool| {
        let is_state = matches!(nodes[state].operation, Operation::State(_))
            && nodes[state].value_type == node.value_type;
        let (scattered, steps) = is_state.then(|| scaled(nodes, change)).flatten()?;
        (nodes[scattered].value_type == node.value_type).then_some(Found {
            state,
            scattered,
            steps,
            subtracted,
        })
    };
    match binary.kind {
        BinaryKind::Subtract => of(left, right, true),
        BinaryKind::Add => of(left, right, false).or_else(|| of(right, left, false)),
        _ => None,
    }
}

/// The rows added to zeros that a value is, but for its sign and factors, and the nodes that apply those.
fn scaled(nodes: &[Node], mut place: NodeId) -> Option<(NodeId, Vec<NodeId>)> {
    let mut steps = Vec::new();
    loop {
        let node = &nodes[place];
        let next = match &node.operation {
            Operation::ScatterAdd(_) => {
                let is_zero = match &nodes[node.inputs[0]].operation {
                    Operation::Constant(constant) => constant.is_number(0.0),
                    _ => false,
                };
                return is_zero.then_some((place, steps));
            }
            Operation::Unary(unary) if unary.kind == UnaryKind::Negate => node.inputs[0],
            Operation::Binary(_) => node.inputs[table(nodes, node)?],
            _ => return None,
        };
        steps.push(place);
        place = next;
    }
}

/// The slot of the table in a product or quotient of it with a number.
fn table(nodes: &[Node], node: &Node) -> Option<usize> {
    let Operation::Binary(binary) = &node.operation else {
        return None;
    };
    let is_number = |slot: usize| nodes[node.inputs[slot]].value_type.shape.rank() == 0;
    match binary.kind {
        BinaryKind::Multiply | BinaryKind::Divide if is_number(1) => Some(0),
        BinaryKind::Multiply if is_number(0) => Some(1),
        _ => None,
    }
}

impl Found {
    fn apply(self, nodes: &mut Vec<Node>, node: Node) -> Result<NodeId> {
        let [indices, mut rows] = [1, 2].map(|slot| nodes[self.scattered].inputs[slot]);
        let value_type = nodes[rows].value_type.clone();
        for step in self.steps.into_iter().rev() {
            let mut step = nodes[step].clone();
            let slot = table(nodes, &step).unwrap_or(0);
            step.inputs[slot] = rows;
            step.value_type = value_type.clone();
            rows = push(nodes, step)?;
        }
        if self.subtracted {
            let negate = Node {
                operation: Unary {
                    kind: UnaryKind::Negate,
                }
                .into(),
                inputs: vec![rows],
                value_type,
                path: node.path.clone(),
            };
            rows = push(nodes, negate)?;
        }
        let shape = node.value_type.shape.clone();
        let scatter = Node {
            operation: ScatterAdd { shape }.into(),
            inputs: vec![self.state, indices, rows],
            ..node
        };
        push(nodes, scatter)
    }
}
