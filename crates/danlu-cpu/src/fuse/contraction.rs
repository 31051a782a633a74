//! A batched product whose results are summed over the batch, such as the weight gradient of a dense layer over positions,
//! becomes one product with a longer contraction: neither the products nor their sum go through memory.

use danlu_graph::operations::{ReduceKind, Reshape};
use danlu_graph::{DType, NodeId, Operation, Program, Shape};

use crate::plan::concrete::Concrete;

/// Turns each such product into one of its summed shape, and the sum into another name for it.
pub(crate) fn join(program: &Program, nodes: &mut [Concrete]) {
    let mut readers = vec![0usize; nodes.len()];
    let outputs = program.outputs().iter().map(|output| output.node);
    let kept = outputs.chain(program.updates().iter().map(|update| update.node));
    for node in nodes
        .iter()
        .flat_map(|node| &node.inputs)
        .copied()
        .chain(kept)
    {
        readers[node] += 1;
    }
    for place in 0..nodes.len() {
        let Some(product) = summed_product(nodes, place).filter(|&product| readers[product] == 1)
        else {
            continue;
        };
        let rank = nodes[product].shape.len();
        nodes[product].shape.drain(..rank - 2);
        let shape = Shape::from(nodes[place].shape.as_slice());
        nodes[place].operation = Operation::Reshape(Reshape { shape });
    }
}

/// The product whose leading axes the node sums, all of them and no other, if its operands lie so that these axes continue
/// the contraction.
fn summed_product(nodes: &[Concrete], place: NodeId) -> Option<NodeId> {
    let Operation::Reduce(sum) = &nodes[place].operation else {
        return None;
    };
    let product = nodes[place].inputs[0];
    let Operation::MatMul(operation) = &nodes[product].operation else {
        return None;
    };
    let shape = &nodes[product].shape;
    let leading = shape.len() - 2;
    let in_line = |input: NodeId| {
        let own = &nodes[input].shape;
        own.len() == shape.len() && own[..leading] == shape[..leading]
    };
    let joins = sum.kind == ReduceKind::Sum
        && nodes[product].dtype == DType::F32
        && leading > 0
        && sum.axes.iter().copied().eq(0..leading)
        && operation.transpose_left
        && !operation.transpose_right
        && nodes[product].inputs.iter().copied().all(in_line);
    joins.then_some(product)
}
