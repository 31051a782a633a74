//! What is done to the gradient of a max-pooling is done before it is spread over the windows: to fewer elements, and
//! without looking at the values that were pooled.

use super::{Rewrite, push, rebuild};
use crate::graph::{Node, NodeId};
use crate::operations::{BinaryKind, MaxPool2d, Operation, PoolingWindow, ReduceKind};
use crate::{Program, Result, ValueType};

/// Moves elementwise operations and sums from the result of a max-pooling's gradient to the gradient that comes in.
///
/// `f(a) * spread(a, g)` is `spread(a, f(pooled) * g)`, since only the largest elements get something; a selection between
/// `spread(a, g)` and 0 moves likewise. A sum over whole images is the sum over all windows. Windows must not overlap. No bit of
/// a finite result changes but the sign of zeros and, in sums, what another order of additions makes.
pub struct PoolingGradients;

impl Rewrite for PoolingGradients {
    fn name(&self) -> &'static str {
        "pooling-gradients"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let mut changes = 0;
        rebuild(program, |nodes, mut node| {
            if let Some(slot) = summed(nodes, &node) {
                changes += 1;
                node.inputs[slot] = nodes[node.inputs[slot]].inputs[1];
                return push(nodes, node);
            }
            match moved(nodes, &node) {
                Some(slot) => {
                    changes += 1;
                    before_spreading(nodes, node, slot)
                }
                None => push(nodes, node),
            }
        })?;
        Ok(changes)
    }
}

/// The windows of a max-pooling's gradient, if they do not overlap.
fn spread(nodes: &[Node], place: NodeId) -> Option<PoolingWindow> {
    match &nodes[place].operation {
        Operation::MaxPool2dGradient(gradient) => {
            let window = gradient.window;
            let apart = (0..2).all(|axis| window.strides[axis] >= window.size[axis]);
            apart.then_some(window)
        }
        _ => None,
    }
}

/// Whether the node sums whole images of a spread gradient; then the slot of that.
fn summed(nodes: &[Node], node: &Node) -> Option<usize> {
    let Operation::Reduce(sum) = &node.operation else {
        return None;
    };
    let whole = sum.kind == ReduceKind::Sum && [1, 2].iter().all(|axis| sum.axes.contains(axis));
    let window = spread(nodes, node.inputs[0])?;
    let dims = nodes[node.inputs[0]].value_type.shape.dims();
    // An axis that turns out to be empty may have a window of padding only, whose gradient goes nowhere.
    let filled = (0..2).all(|axis| {
        let padding: usize = window.padding[axis].iter().sum();
        dims[axis + 1].as_fixed().is_some() || padding < window.size[axis]
    });
    (whole && filled).then_some(0)
}

/// The slot of a spread gradient in a node that only scales it, element by element, by what depends on the pooled value.
fn moved(nodes: &[Node], node: &Node) -> Option<usize> {
    let is_zero = |input: NodeId| match &nodes[input].operation {
        Operation::Constant(constant) => {
            constant.tensor.len() == 1 && constant.tensor.get_f64(0) == 0.0
        }
        _ => false,
    };
    let slot = match &node.operation {
        Operation::Select(_) if is_zero(node.inputs[2]) => 1,
        Operation::Select(_) if is_zero(node.inputs[1]) => 2,
        Operation::Binary(binary) if binary.kind == BinaryKind::Multiply => {
            usize::from(spread(nodes, node.inputs[0]).is_none())
        }
        _ => return None,
    };
    let gradient = &nodes[node.inputs[slot]];
    spread(nodes, node.inputs[slot])?;
    if gradient.value_type != node.value_type {
        return None;
    }
    let pooled = gradient.inputs[0];
    let others = node.inputs.iter().enumerate();
    let mut budget = MOST_COPIED;
    others
        .filter(|(other, _)| *other != slot)
        .all(|(_, &input)| depends_on(nodes, input, pooled, &mut budget))
        .then_some(slot)
}

/// Operations that are computed once more, on the pooled values.
const MOST_COPIED: usize = 8;

/// Whether a value is a function, element by element, of `pooled` and of what is the same all over an image.
fn depends_on(nodes: &[Node], place: NodeId, pooled: NodeId, budget: &mut usize) -> bool {
    let node = &nodes[place];
    if place == pooled || is_uniform(&node.value_type) {
        return true;
    }
    if !node.operation.is_elementwise()
        || node.value_type.shape != nodes[pooled].value_type.shape
        || *budget == 0
    {
        return false;
    }
    *budget -= 1;
    node.inputs
        .iter()
        .all(|&input| depends_on(nodes, input, pooled, budget))
}

/// Whether a value that goes with `(batch, height, width, channels)` is the same in every row and column.
fn is_uniform(value_type: &ValueType) -> bool {
    let dims = value_type.shape.dims();
    let from_the_end = |axis: usize| dims.len().checked_sub(axis).map(|place| &dims[place]);
    [2, 3]
        .into_iter()
        .filter_map(from_the_end)
        .all(|dim| dim.as_fixed() == Some(1))
}

/// The value with `pooled` replaced by the result of the pooling.
fn copied(nodes: &mut Vec<Node>, place: NodeId, pooled: NodeId, result: NodeId) -> Result<NodeId> {
    if place == pooled {
        return Ok(result);
    }
    let mut node = nodes[place].clone();
    if is_uniform(&node.value_type) {
        return Ok(place);
    }
    for input in &mut node.inputs {
        *input = copied(nodes, *input, pooled, result)?;
    }
    node.value_type.shape = nodes[result].value_type.shape.clone();
    push(nodes, node)
}

/// The node moved from behind the spread gradient in its slot to before it.
fn before_spreading(nodes: &mut Vec<Node>, mut node: Node, slot: usize) -> Result<NodeId> {
    let mut gradient = nodes[node.inputs[slot]].clone();
    let Some(window) = spread(nodes, node.inputs[slot]) else {
        return push(nodes, node);
    };
    let (pooled, incoming) = (gradient.inputs[0], gradient.inputs[1]);
    let result = push(
        nodes,
        Node {
            operation: MaxPool2d { window }.into(),
            inputs: vec![pooled],
            value_type: nodes[incoming].value_type.clone(),
            path: gradient.path.clone(),
        },
    )?;
    for other in 0..node.inputs.len() {
        node.inputs[other] = if other == slot {
            incoming
        } else {
            copied(nodes, node.inputs[other], pooled, result)?
        };
    }
    node.value_type = nodes[incoming].value_type.clone();
    gradient.inputs[1] = push(nodes, node)?;
    push(nodes, gradient)
}
