//! A factor for each channel of a product's result is a factor of its weights: a batch normalization that only predicts goes
//! into the layer before it.

use super::{Rewrite, push, rebuild};
use crate::graph::{Node, NodeId};
use crate::operations::{BinaryKind, Operation, Reshape};
use crate::{Dim, Program, Result, Shape};

/// Turns `(x W + b) f + s` into `x (W f) + (b f + s)`, for dense products, convolutions and transposed ones without groups, where
/// weights, `b`, `f` and `s` are [steady](Program::steady) and nobody else reads what lies between. It rounds otherwise than before.
pub struct FoldNormalizations;

/// What is known of a node, in the order of the new nodes.
#[derive(Clone, Copy)]
struct Known {
    steady: bool,
    readers: usize,
}

impl Rewrite for FoldNormalizations {
    fn name(&self) -> &'static str {
        "fold-normalizations"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let steady = program.steady();
        let mut readers = vec![0; steady.len()];
        let outputs = program.outputs().iter().map(|output| output.node);
        let updates = program.updates().iter().map(|update| update.node);
        let inputs = program.nodes().iter().flat_map(|node| &node.inputs);
        for node in inputs.copied().chain(outputs).chain(updates) {
            readers[node] += 1;
        }
        let mut old = steady
            .into_iter()
            .zip(readers)
            .map(|(steady, readers)| Known { steady, readers });
        let mut known: Vec<Known> = Vec::new();
        let mut changes = 0;
        rebuild(program, |nodes, mut node| {
            if let Some(folded) = folded(nodes, &known, &node)? {
                changes += 1;
                node = folded;
            }
            // What was made on the way is steady, and read once.
            let made = Known {
                steady: true,
                readers: 1,
            };
            known.resize(nodes.len(), made);
            known.extend(old.next());
            push(nodes, node)
        })?;
        Ok(changes)
    }
}

/// Whether a node is this function of two floats.
fn is_binary(node: &Node, kind: BinaryKind) -> bool {
    matches!(&node.operation, Operation::Binary(binary) if binary.kind == kind)
        && node.value_type.dtype.is_float()
}

/// The operand that changes from run to run, and the steady one.
fn parted(known: &[Known], node: &Node) -> Option<(NodeId, NodeId)> {
    let [left, right] = node.inputs[..] else {
        return None;
    };
    match (known[left].steady, known[right].steady) {
        (false, true) => Some((left, right)),
        (true, false) => Some((right, left)),
        _ => None,
    }
}

/// What stands for a node, if it can be folded; the nodes that this needs are made.
fn folded(nodes: &mut Vec<Node>, known: &[Known], node: &Node) -> Result<Option<Node>> {
    let multiplies = is_binary(node, BinaryKind::Multiply);
    if !multiplies && !is_binary(node, BinaryKind::Add) {
        return Ok(None);
    }
    let Some((inner, steady)) = parted(known, node) else {
        return Ok(None);
    };
    let before = nodes[inner].clone();
    if known[inner].readers != 1 || before.value_type != node.value_type {
        return Ok(None);
    }
    let sum = is_binary(&before, BinaryKind::Add)
        .then(|| parted(known, &before))
        .flatten();
    if !multiplies {
        // (y + p) + q
        let Some((y, own)) = sum else {
            return Ok(None);
        };
        let same = nodes[own].value_type == nodes[steady].value_type;
        if !same || nodes[y].value_type != node.value_type {
            return Ok(None);
        }
        let offset = made(nodes, node, vec![own, steady])?;
        return Ok(Some(Node {
            inputs: vec![y, offset],
            ..node.clone()
        }));
    }
    match sum {
        Some((y, bias)) => {
            let same = nodes[bias].value_type == nodes[steady].value_type;
            let alone = known[y].readers == 1 && nodes[y].value_type == node.value_type;
            if !same || !alone {
                return Ok(None);
            }
            let Some(product) = scaled(nodes, known, y, steady, node)? else {
                return Ok(None);
            };
            let y = push(nodes, product)?;
            let bias = made(nodes, node, vec![bias, steady])?;
            Ok(Some(Node {
                inputs: vec![y, bias],
                ..before
            }))
        }
        None => scaled(nodes, known, inner, steady, node),
    }
}

/// A node of the same operation as `like`, of these inputs.
fn made(nodes: &mut Vec<Node>, like: &Node, inputs: Vec<NodeId>) -> Result<NodeId> {
    let types: Vec<_> = inputs
        .iter()
        .map(|&input| nodes[input].value_type.clone())
        .collect();
    let node = Node {
        operation: like.operation.clone(),
        value_type: like.operation.infer(&types)?,
        inputs,
        path: like.path.clone(),
    };
    push(nodes, node)
}

/// The product with weights that are scaled by a steady factor for each channel of its result, as the multiplication `by` does.
fn scaled(
    nodes: &mut Vec<Node>,
    known: &[Known],
    product: NodeId,
    factor: NodeId,
    by: &Node,
) -> Result<Option<Node>> {
    let mut product = nodes[product].clone();
    let Some(&weights) = product.inputs.get(1) else {
        return Ok(None);
    };
    let kernel = nodes[weights].value_type.shape.clone();
    // The axis of the weights, from the end, that is the result's last.
    let from_the_end = match &product.operation {
        Operation::MatMul(matmul) if kernel.rank() == 2 => 1 + usize::from(matmul.transpose_right),
        Operation::Convolution2d(_) => 1,
        Operation::Convolution2dInputGradient(gradient) if gradient.options.groups == 1 => 2,
        _ => return Ok(None),
    };
    let channels = product.value_type.shape.dims().last().cloned();
    let own = nodes[factor].value_type.shape.dims();
    let along_channels = own.len() == 1 && own.first() == channels.as_ref();
    if !known[weights].steady || !along_channels || kernel.rank() < from_the_end {
        return Ok(None);
    }
    let mut factor = factor;
    if let (2, Some(channels)) = (from_the_end, channels) {
        let shape = Shape::new([channels, Dim::fixed(1)]);
        let column = Node {
            operation: Reshape { shape }.into(),
            inputs: vec![factor],
            ..by.clone()
        };
        factor = made(nodes, &column, vec![factor])?;
    }
    product.inputs[1] = made(nodes, by, vec![weights, factor])?;
    if nodes[product.inputs[1]].value_type.shape != kernel {
        return Ok(None);
    }
    Ok(Some(product))
}
