//! A program under one binding: every shape a list of numbers.

use std::sync::Arc;

use crate::kernels::pooling::Pool2d;
use danlu_graph::{Bindings, DType, Error, NodeId, Operation, Program, Result};

/// A node whose shape is numbers.
pub(crate) struct Concrete {
    pub operation: Operation,
    pub inputs: Vec<NodeId>,
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub path: Arc<str>,
    /// What max-pooling has to do with the node.
    pub pooling: Pooling,
    /// That a mean is the variance of its operand: the mean of its squared distance from its mean.
    pub variance: bool,
    /// Nobody reads the node any more.
    pub unused: bool,
}

/// What [`fuse::pooling`](crate::fuse::pooling) made of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Nothing.
    #[default]
    No,
    /// A max-pooling that notes the places of the largest elements.
    Notes,
    /// A gradient that is read with such places: that of the pooling itself, whose first input is the pooling, or one of a
    /// convolution, whose third input it is.
    Spreads(Pool2d),
}

impl Concrete {
    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the result.
    pub fn bytes(&self) -> usize {
        self.count() * self.dtype.size()
    }

    /// Whether the node only names another's elements.
    pub fn is_alias(&self) -> bool {
        matches!(
            self.operation,
            Operation::Reshape(_) | Operation::StopGradient(_)
        )
    }

    /// Whether the value is there before the program runs.
    pub fn is_leaf(&self) -> bool {
        matches!(
            self.operation,
            Operation::Input(_) | Operation::State(_) | Operation::Constant(_)
        )
    }

    /// The error of this node, with its layer.
    pub fn error(&self, message: &str) -> Error {
        Error::new(format!("{}: {message}", self.operation.name())).at(&self.path)
    }
}

/// Bytes that no value has; below them no kernel's arithmetic on sizes overflows.
const LARGEST_VALUE: usize = 1 << 42;

/// The program's nodes with numbers for shapes.
pub(crate) fn concretize(program: &Program, bindings: &Bindings) -> Result<Vec<Concrete>> {
    program
        .nodes()
        .iter()
        .map(|node| {
            let shape = node
                .value_type
                .shape
                .evaluate(bindings)
                .map_err(|error| error.at(&node.path))?;
            let concrete = Concrete {
                operation: node.operation.clone(),
                inputs: node.inputs.clone(),
                shape,
                dtype: node.value_type.dtype,
                path: node.path.clone(),
                pooling: Pooling::No,
                variance: false,
                unused: false,
            };
            if concrete.bytes() > LARGEST_VALUE {
                let message = format!(
                    "a result of shape {:?} needs more memory than there is",
                    concrete.shape
                );
                return Err(concrete.error(&message));
            }
            Ok(concrete)
        })
        .collect()
}

/// The node whose elements a node names: itself, or what its chain of reshapes starts from.
pub(crate) fn root(nodes: &[Concrete], mut node: NodeId) -> NodeId {
    while nodes[node].is_alias() {
        node = nodes[node].inputs[0];
    }
    node
}

/// Lets every node read the earliest value that holds the elements which it reads in the same shape, so that a chain of
/// reshapes back and forth is no obstacle to fusion.
pub(crate) fn skip_aliases(nodes: &mut [Concrete]) {
    for place in 0..nodes.len() {
        for slot in 0..nodes[place].inputs.len() {
            let input = nodes[place].inputs[slot];
            let (mut same, mut source) = (input, input);
            while nodes[source].is_alias() {
                source = nodes[source].inputs[0];
                if nodes[source].shape == nodes[input].shape {
                    same = source;
                }
            }
            nodes[place].inputs[slot] = same;
        }
    }
}

/// Whether a node is computed in a pass over elements together with its neighbours.
pub(crate) fn is_tape(nodes: &[Concrete], node: &Concrete) -> bool {
    let elementwise = node.operation.is_elementwise()
        || matches!(node.operation, Operation::BroadcastTo(_))
        || spreads(node).is_some();
    let half = |dtype: DType| matches!(dtype, DType::BF16 | DType::F16);
    // 16-bit floats are converted, and otherwise left to the reference.
    let cast = matches!(node.operation, Operation::Cast(_));
    let plain =
        cast || (!half(node.dtype) && !node.inputs.iter().any(|&input| half(nodes[input].dtype)));
    elementwise && plain
}

/// The pooling whose gradient a node spreads by noted places.
pub(crate) fn spreads(node: &Concrete) -> Option<Pool2d> {
    match (&node.operation, node.pooling) {
        (Operation::MaxPool2dGradient(_), Pooling::Spreads(pool)) => Some(pool),
        _ => None,
    }
}
