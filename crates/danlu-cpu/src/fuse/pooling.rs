//! Max-pooling and its gradient. The pooling notes in a byte where each largest element stands; its gradient reads these
//! places in place of the pooled values, which then need not be kept, and a convolution's gradients spread it while they read it.
//! [`groups`](super::groups) lets the pooling follow the convolution that makes its input.

use danlu_graph::operations::PoolingWindow;
use danlu_graph::{DType, NodeId, Operation};

use crate::kernels::pooling::Pool2d;
use crate::plan::concrete::{Concrete, Pooling, root};

/// The kernels' description of a pooling.
pub(crate) fn geometry(window: &PoolingWindow, input: &[usize], output: &[usize]) -> Pool2d {
    Pool2d {
        input: [input[1], input[2]],
        output: [output[1], output[2]],
        channels: input[3],
        kernel: window.size,
        stride: window.strides,
        padding: window.padding,
    }
}

/// The geometry of a max-pooling that can note places.
fn with_places(nodes: &[Concrete], pooling: &Concrete) -> Option<Pool2d> {
    let Operation::MaxPool2d(operation) = &pooling.operation else {
        return None;
    };
    let input = &nodes[pooling.inputs[0]];
    let pool = geometry(&operation.window, &input.shape, &pooling.shape);
    let good = pooling.dtype == DType::F32 && pooling.count() > 0 && pool.has_places();
    good.then_some(pool)
}

/// Gives gradients of max-poolings the places that the pooling notes, where the program computes it anyway, and lets the
/// gradients of convolutions read them so. `kept` are values that the program gives back or stores.
pub(crate) fn use_places(nodes: &mut [Concrete], kept: &[NodeId]) {
    for place in 0..nodes.len() {
        let Operation::MaxPool2dGradient(gradient) = &nodes[place].operation else {
            continue;
        };
        let (window, source) = (gradient.window, root(nodes, nodes[place].inputs[0]));
        let pooling = (0..place).find(|&earlier| match &nodes[earlier].operation {
            Operation::MaxPool2d(pooling) => {
                pooling.window == window
                    && root(nodes, nodes[earlier].inputs[0]) == source
                    && nodes[nodes[earlier].inputs[0]].shape == nodes[nodes[place].inputs[0]].shape
            }
            _ => false,
        });
        let Some(pooling) = pooling else {
            continue;
        };
        let Some(pool) = with_places(nodes, &nodes[pooling]) else {
            continue;
        };
        nodes[pooling].pooling = Pooling::Notes;
        nodes[place].pooling = Pooling::Spreads(pool);
        nodes[place].inputs[0] = pooling;
    }
    spread_while_reading(nodes, kept);
}

/// A convolution's gradient that reads a spread gradient reads what it is spread from, and the pooling that noted the places.
fn spread_while_reading(nodes: &mut [Concrete], kept: &[NodeId]) {
    for place in 0..nodes.len() {
        let slot = match &nodes[place].operation {
            Operation::Convolution2dInputGradient(_) => 0,
            Operation::Convolution2dWeightGradient(_) => 1,
            _ => continue,
        };
        if nodes[place].dtype != DType::F32 || nodes[place].count() == 0 {
            continue;
        }
        let gradient = nodes[place].inputs[slot];
        if let Pooling::Spreads(pool) = nodes[gradient].pooling {
            let (pooling, incoming) = (nodes[gradient].inputs[0], nodes[gradient].inputs[1]);
            nodes[place].pooling = Pooling::Spreads(pool);
            nodes[place].inputs[slot] = incoming;
            nodes[place].inputs.push(pooling);
        }
    }
    // Nobody may be left who reads a spread gradient as a whole.
    for place in (0..nodes.len()).rev() {
        let unread = matches!(nodes[place].operation, Operation::MaxPool2dGradient(_))
            && !kept.contains(&place)
            && !nodes.iter().any(|node| node.inputs.contains(&place));
        if unread {
            nodes[place].unused = true;
            nodes[place].inputs.clear();
        }
    }
}

/// The max-poolings that may follow the kernel of the convolution in whose group their input is made: low padding is none, so
/// that pieces of the convolution's result hold whole windows.
pub(crate) fn may_follow(nodes: &[Concrete], pooling: NodeId) -> Option<Pool2d> {
    let pool = with_places(nodes, &nodes[pooling])?;
    (pool.padding[0][0] == 0 && pool.padding[1][0] == 0).then_some(pool)
}
