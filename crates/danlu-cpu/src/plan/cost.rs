//! What a step costs at least: arithmetic, and bytes that it reads and writes.

use std::collections::BTreeSet;

use danlu_graph::{NodeId, Operation};

use super::Planner;
use super::concrete::{Concrete, Pooling, root};

/// The least that a step must do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Multiplications, additions and other functions of one element.
    pub flops: u64,
    /// Bytes of the operands from outside the step, each once, and of the results that others read.
    pub bytes: u64,
}

/// The arithmetic of one node.
fn flops(nodes: &[Concrete], node: &Concrete) -> usize {
    let input = |slot: usize| &nodes[node.inputs[slot]].shape;
    // Multiply-adds of a convolution: each element of the result takes in a window of one group's channels.
    let windows = |result: &[usize], kernel: &[usize]| {
        2 * result.iter().product::<usize>() * kernel[..3].iter().product::<usize>()
    };
    match &node.operation {
        Operation::MatMul(product) => {
            // The contraction is what the left operand has beside the rows; leading axes that were joined are part of it.
            let left: usize = input(0).iter().product();
            let rank = node.shape.len();
            let (rows, columns) = (node.shape[rank - 2], node.shape[rank - 1]);
            let joined = input(0).len() > rank;
            let length = if joined {
                left / rows.max(1)
            } else {
                let own = input(0).len();
                input(0)[own - if product.transpose_left { 2 } else { 1 }]
            };
            let batch: usize = node.shape[..rank - 2].iter().product();
            2 * batch * rows * columns * length
        }
        Operation::Convolution2d(_) => windows(&node.shape, input(1)),
        Operation::Convolution2dInputGradient(_) => windows(&whole(node, input(0)), input(1)),
        Operation::Convolution2dWeightGradient(_) => windows(&whole(node, input(1)), &node.shape),
        Operation::MaxPool2d(pool) => node.count() * pool.window.size.iter().product::<usize>(),
        Operation::AveragePool2d(pool) => node.count() * pool.window.size.iter().product::<usize>(),
        Operation::Reduce(_)
        | Operation::ArgMax(_)
        | Operation::CumulativeSum(_)
        | Operation::SparseCrossEntropy(_) => nodes[node.inputs[0]].count(),
        Operation::ScatterAdd(_) => nodes[node.inputs[2]].count(),
        operation if operation.is_elementwise() => node.count(),
        _ => 0,
    }
}

/// The shape of a convolution's result, from that of the gradient which is read, and perhaps spread meanwhile.
fn whole(node: &Concrete, gradient: &[usize]) -> Vec<usize> {
    let mut shape = gradient.to_vec();
    if let Pooling::Spreads(pool) = node.pooling {
        shape[1..3].copy_from_slice(&pool.input);
    }
    shape
}

impl Planner<'_> {
    /// What the group's step costs.
    pub(super) fn cost(&self, group: usize) -> Cost {
        let members = &self.groups.groups[group].members;
        let computed = self.groups.groups[group].computed();
        let mut read: BTreeSet<NodeId> = BTreeSet::new();
        let mut cost = Cost::default();
        for &member in &computed {
            let node = &self.nodes[member];
            cost.flops += flops(self.nodes, node) as u64;
            // Of a table whose rows are read, or changed in place, no more than these.
            let in_place = self.order.in_place.contains_key(&member);
            let (table, written) = match &node.operation {
                Operation::Gather(_) => (1, 2 * node.bytes()),
                Operation::ScatterAdd(_) if in_place => (1, 2 * self.nodes[node.inputs[2]].bytes()),
                _ if self.locations.contains_key(&member) && members.contains(&member) => {
                    (0, node.bytes())
                }
                _ => (0, 0),
            };
            cost.bytes += written as u64;
            let outside = node.inputs.iter().skip(table);
            let outside = outside.map(|&input| root(self.nodes, input));
            read.extend(outside.filter(|input| !computed.contains(input)));
        }
        let reads = read.iter().map(|&input| self.nodes[input].bytes() as u64);
        cost.bytes += reads.sum::<u64>();
        cost
    }
}
