//! Algebra that changes no bit of a finite result: identities, and movements that cancel or join.

use super::{Rewrite, push, rebuild};
use crate::graph::{Node, NodeId};
use crate::operations::{BinaryKind, MatMul, Operation, Reshape, Transpose, UnaryKind};
use crate::{Program, Result};

/// Removes additions of 0, products with 1, movements that do nothing; joins chained reshapes and transposes; takes a
/// transposed matrix into the product that reads it.
pub struct Simplify;

impl Rewrite for Simplify {
    fn name(&self) -> &'static str {
        "simplify"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let mut changes = 0;
        rebuild(program, |nodes, mut node| {
            if let Some(place) = same_as_input(nodes, &node) {
                changes += 1;
                return Ok(place);
            }
            if join(nodes, &mut node) {
                changes += 1;
            }
            if let Some((x, factor, power)) = doubled(nodes, &node) {
                changes += 1;
                let inner = Node {
                    inputs: vec![factor, power],
                    value_type: nodes[factor].value_type.clone(),
                    ..node.clone()
                };
                node.inputs = vec![x, push(nodes, inner)?];
            }
            push(nodes, node)
        })?;
        Ok(changes)
    }
}

/// `(x * p) * f`, or the other way round, where `p` is a small power of two and `f` has fewer axes or elements than the
/// result: `x * (f * p)` has the same bits, and `f * p` fewer multiplications. The places of `x`, `f` and `p`.
fn doubled(nodes: &[Node], node: &Node) -> Option<(NodeId, NodeId, NodeId)> {
    let is_product = |node: &Node| matches!(&node.operation, Operation::Binary(binary) if binary.kind == BinaryKind::Multiply);
    if !is_product(node) || !node.value_type.dtype.is_float() {
        return None;
    }
    let power_of_two = |place: NodeId| {
        let bits = scalar(nodes, place).filter(|_| nodes[place].value_type.shape.rank() == 0)?;
        let number = f64::from_bits(bits).abs();
        let mantissa = bits & ((1 << 52) - 1);
        (mantissa == 0 && (0.25..=4.0).contains(&number)).then_some(place)
    };
    let whole = &node.value_type;
    [(0, 1), (1, 0)].into_iter().find_map(|(first, second)| {
        let (product, factor) = (&nodes[node.inputs[first]], node.inputs[second]);
        let small = &nodes[factor];
        if !is_product(product)
            || product.value_type != *whole
            || small.value_type.shape == whole.shape
            || small.value_type.shape.rank() == 0
        {
            return None;
        }
        let (left, right) = (product.inputs[0], product.inputs[1]);
        let (x, power) = match (power_of_two(left), power_of_two(right)) {
            (None, Some(power)) => (left, power),
            (Some(power), None) => (right, power),
            _ => return None,
        };
        (nodes[x].value_type == *whole).then_some((x, factor, power))
    })
}

/// The input that a node only repeats.
fn same_as_input(nodes: &[Node], node: &Node) -> Option<NodeId> {
    let unchanged = |input: NodeId| nodes[input].value_type == node.value_type;
    match &node.operation {
        Operation::StopGradient(_) => Some(node.inputs[0]),
        Operation::Reshape(_)
        | Operation::BroadcastTo(_)
        | Operation::Cast(_)
        | Operation::Slice(_) => Some(node.inputs[0]).filter(|&input| unchanged(input)),
        Operation::Concatenate(_) if node.inputs.len() == 1 => Some(node.inputs[0]),
        Operation::Transpose(transpose) => {
            let in_order = transpose
                .permutation
                .iter()
                .copied()
                .eq(0..transpose.permutation.len());
            Some(node.inputs[0]).filter(|_| in_order)
        }
        Operation::Pad(pad) => {
            let nothing = [&pad.low, &pad.high, &pad.interior]
                .iter()
                .all(|amounts| amounts.iter().all(|&amount| amount == 0));
            Some(node.inputs[0]).filter(|_| nothing)
        }
        Operation::Unary(unary) if unary.kind == UnaryKind::Negate => {
            let inner = &nodes[node.inputs[0]];
            match &inner.operation {
                Operation::Unary(inner_unary) if inner_unary.kind == UnaryKind::Negate => {
                    Some(inner.inputs[0])
                }
                _ => None,
            }
        }
        Operation::Binary(binary) => {
            let (left, right) = (node.inputs[0], node.inputs[1]);
            let is = |input: NodeId, number: f64| scalar(nodes, input) == Some(number.to_bits());
            match binary.kind {
                // x + 0 would turn -0 into 0; x - 0 and x + (-0) keep every bit.
                BinaryKind::Subtract if is(right, 0.0) && unchanged(left) => Some(left),
                BinaryKind::Add if is(right, -0.0) && unchanged(left) => Some(left),
                BinaryKind::Multiply | BinaryKind::Divide if is(right, 1.0) && unchanged(left) => {
                    Some(left)
                }
                BinaryKind::Multiply if is(left, 1.0) && unchanged(right) => Some(right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The bits of a constant whose elements are all one number, read through broadcasts.
fn scalar(nodes: &[Node], place: NodeId) -> Option<u64> {
    match &nodes[place].operation {
        Operation::Constant(constant) if constant.tensor.len() == 1 => {
            Some(constant.tensor.get_f64(0).to_bits())
        }
        Operation::BroadcastTo(_) | Operation::Reshape(_) => scalar(nodes, nodes[place].inputs[0]),
        _ => None,
    }
}

/// Joins a movement with the one before it; drops a broadcast where the reader repeats by itself.
fn join(nodes: &[Node], node: &mut Node) -> bool {
    match &node.operation {
        Operation::Reshape(Reshape { .. }) => {
            let inner = &nodes[node.inputs[0]];
            if let Operation::Reshape(_) = inner.operation {
                node.inputs = inner.inputs.clone();
                return true;
            }
        }
        Operation::Transpose(outer) => {
            let inner = &nodes[node.inputs[0]];
            if let Operation::Transpose(inner_transpose) = &inner.operation {
                let permutation = outer
                    .permutation
                    .iter()
                    .map(|&axis| inner_transpose.permutation[axis])
                    .collect();
                node.operation = Transpose { permutation }.into();
                node.inputs = inner.inputs.clone();
                return true;
            }
        }
        Operation::MatMul(product) => {
            let mut product = product.clone();
            let mut changed = false;
            for side in 0..2 {
                let operand = &nodes[node.inputs[side]];
                if let Operation::Transpose(transpose) = &operand.operation
                    && swaps_last_two(&transpose.permutation)
                {
                    let flag = [&mut product.transpose_left, &mut product.transpose_right];
                    let [left, right] = flag;
                    let flag = if side == 0 { left } else { right };
                    *flag = !*flag;
                    node.inputs[side] = operand.inputs[0];
                    changed = true;
                }
            }
            if changed {
                node.operation = Operation::MatMul(MatMul { ..product });
                return true;
            }
        }
        operation if operation.is_elementwise() && node.inputs.len() > 1 => {
            let mut inputs = node.inputs.clone();
            for place in 0..inputs.len() {
                let input = inputs[place];
                if let Operation::BroadcastTo(_) = nodes[input].operation {
                    inputs[place] = nodes[input].inputs[0];
                    let types: Vec<_> = inputs
                        .iter()
                        .map(|&input| nodes[input].value_type.clone())
                        .collect();
                    let same = operation
                        .infer(&types)
                        .is_ok_and(|found| found == node.value_type);
                    if !same {
                        inputs[place] = input;
                    }
                }
            }
            if inputs != node.inputs {
                node.inputs = inputs;
                return true;
            }
        }
        _ => {}
    }
    false
}

fn swaps_last_two(permutation: &[usize]) -> bool {
    let rank = permutation.len();
    rank >= 2
        && permutation[..rank - 2].iter().copied().eq(0..rank - 2)
        && permutation[rank - 2] == rank - 1
        && permutation[rank - 1] == rank - 2
}
