//! The closed set of operations, one file per family. A family's file holds everything that defines it: attributes,
//! shape rule, gradient rule, a reference evaluator in `f64`, and the functions that build its nodes. A device adds one
//! kernel file.

mod build;
pub mod convolution;
pub mod cumulative;
pub mod custom;
pub mod elementwise;
pub mod gather;
pub mod kinds;
pub mod leaf;
pub mod matmul;
pub mod movement;
pub mod normal;
pub mod pooling;
pub mod random;
pub mod reduce;
pub mod slicing;
pub mod softmax;
pub mod sorting;

use crate::reference::Array;
use crate::{Bindings, Error, Result, Shape, Tensor, Value, ValueType};

pub use convolution::{
    Convolution2d, Convolution2dInputGradient, Convolution2dWeightGradient, ConvolutionOptions,
    Padding,
};
pub use cumulative::CumulativeSum;
pub use custom::{Custom, CustomOperation};
pub use elementwise::{Binary, Cast, Compare, Select, StopGradient, Unary};
pub use gather::{Gather, ScatterAdd};
pub use kinds::{BinaryKind, CompareKind, ReduceKind, TINY, UnaryKind};
pub use leaf::{Constant, DimensionSize, Input, Iota, State};
pub use matmul::MatMul;
pub use movement::{BroadcastTo, Reshape, Transpose};
pub use normal::RandomNormal;
pub use pooling::{
    AveragePool2d, AveragePool2dGradient, MaxPool2d, MaxPool2dGather, MaxPool2dGradient,
    PoolingWindow,
};
pub use random::RandomUniform;
pub use reduce::{ArgMax, Reduce};
pub use slicing::{Concatenate, Pad, Slice};
pub use softmax::{LogSoftmax, Softmax, SparseCrossEntropy};
pub use sorting::{ArgSort, Sort};

/// What a family defines for each of its operations.
pub(crate) trait Family {
    /// The name in dumps and error messages.
    fn name(&self) -> &str;

    /// The attributes as a person reads them in a dump, empty where there are none.
    fn attributes(&self) -> String {
        String::new()
    }

    /// The type of the result, or why the operation does not take these inputs.
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType>;

    /// The gradient with respect to each input, `None` where none flows. Built from operations, so that it can be
    /// differentiated again.
    fn gradient(&self, _backward: &Backward) -> Result<Vec<Option<Value>>> {
        Err(Error::new(format!("{} has no gradient", self.name())))
    }

    /// The elements of the result, of this shape: slow, in `f64`, obviously right.
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], bindings: &Bindings)
    -> Result<Vec<f64>>;
}

/// What a gradient rule is given.
pub(crate) struct Backward {
    /// The inputs of the node.
    pub inputs: Vec<Value>,
    /// Its result.
    pub output: Value,
    /// The gradient with respect to its result.
    pub gradient: Value,
}

macro_rules! operations {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// An operation with its attributes.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Operation { $($(#[$meta])* $name($name),)* }

        impl Operation {
            pub(crate) fn family(&self) -> &dyn Family {
                match self { $(Operation::$name(operation) => operation,)* }
            }
        }

        $(impl From<$name> for Operation {
            fn from(operation: $name) -> Operation { Operation::$name(operation) }
        })*
    };
}

operations! {
    /// A value given when the program runs.
    Input,
    /// State as of the program's start.
    State,
    /// A value that is part of the program.
    Constant,
    /// 0, 1, 2, ... along one axis.
    Iota,
    /// The size that a named dimension is bound to.
    DimensionSize,
    /// A function of each element.
    Unary,
    /// A function of two elements, with broadcasting.
    Binary,
    /// A comparison of two elements, with broadcasting.
    Compare,
    /// One of two elements by a truth value, with broadcasting.
    Select,
    /// Conversion to another dtype.
    Cast,
    /// The same value, through which no gradient flows.
    StopGradient,
    /// Sum, mean, max, min or logsumexp over axes.
    Reduce,
    /// The place of the largest element along an axis.
    ArgMax,
    /// The same elements under another shape.
    Reshape,
    /// Another order of the axes.
    Transpose,
    /// A strided part.
    Slice,
    /// Values one after the other along an axis.
    Concatenate,
    /// A constant around, and between, the elements.
    Pad,
    /// Repeated along axes of size 1.
    BroadcastTo,
    /// Products of matrices in the last two axes.
    MatMul,
    /// Two-dimensional convolution (cross-correlation).
    Convolution2d,
    /// The gradient of a convolution with respect to its input.
    Convolution2dInputGradient,
    /// The gradient of a convolution with respect to its kernel.
    Convolution2dWeightGradient,
    /// The largest element of each window.
    MaxPool2d,
    /// The gradient of max pooling: each window's value goes to its largest element.
    MaxPool2dGradient,
    /// The element of a second value where the first has its largest in each window.
    MaxPool2dGather,
    /// The mean of each window.
    AveragePool2d,
    /// The gradient of average pooling.
    AveragePool2dGradient,
    /// Exponentials that sum to 1 along the last axis.
    Softmax,
    /// Logarithm of softmax along the last axis.
    LogSoftmax,
    /// Cross-entropy of logits against class indices, per example.
    SparseCrossEntropy,
    /// Rows of a table by index.
    Gather,
    /// A table with rows added at indices.
    ScatterAdd,
    /// Sums of everything up to a place along an axis.
    CumulativeSum,
    /// The elements of the last axis in order.
    Sort,
    /// The places of the elements of the last axis in order.
    ArgSort,
    /// Counter-based uniform random numbers.
    RandomUniform,
    /// Counter-based normal random numbers.
    RandomNormal,
    /// An operation given by the user.
    Custom,
}

impl Operation {
    /// The name in dumps and error messages, such as `conv2d`.
    pub fn name(&self) -> String {
        self.family().name().to_owned()
    }

    /// The attributes as a person reads them.
    pub fn attributes(&self) -> String {
        self.family().attributes()
    }

    /// A constant.
    pub fn constant(tensor: Tensor) -> Operation {
        Operation::Constant(Constant::new(tensor))
    }

    /// The type of the result for inputs of these types.
    ///
    /// # Errors
    /// The operation does not take these inputs.
    pub fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        self.family().infer(inputs)
    }

    /// Evaluates by the slow reference, in `f64`. `shape` is the result's shape under `bindings`.
    ///
    /// # Errors
    /// A dimension is not bound, or the operation needs values that only an executor has (inputs and state).
    pub fn evaluate(
        &self,
        inputs: &[&Array],
        shape: &[usize],
        bindings: &Bindings,
    ) -> Result<Vec<f64>> {
        // Not even the largest of the other axes takes time then.
        if shape.contains(&0) {
            return Ok(Vec::new());
        }
        self.family().evaluate(inputs, shape, bindings)
    }

    /// Whether the result depends only on inputs and attributes, element by element, so that neighbours can be computed
    /// in one pass.
    pub fn is_elementwise(&self) -> bool {
        matches!(
            self,
            Operation::Unary(_)
                | Operation::Binary(_)
                | Operation::Compare(_)
                | Operation::Select(_)
                | Operation::Cast(_)
        )
    }
}

/// Checks the number of inputs.
pub(crate) fn expect_inputs(name: &str, inputs: &[ValueType], count: usize) -> Result<()> {
    if inputs.len() == count {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{name} takes {count} input(s), received {}",
            inputs.len()
        )))
    }
}

/// Checks that an input has this many axes.
pub(crate) fn expect_rank(
    name: &str,
    what: &str,
    input: &ValueType,
    rank: usize,
    layout: &str,
) -> Result<()> {
    if input.shape.rank() == rank {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{name} expects its {what} to have {rank} axes {layout}, received shape {}",
            input.shape
        )))
    }
}

/// Checks that an input is of a float dtype.
pub(crate) fn expect_float(name: &str, input: &ValueType) -> Result<()> {
    if input.dtype.is_float() {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{name} takes floats, received {input}; cast it first"
        )))
    }
}

/// Checks windows, strides and other distances: the product of two must fit `i64`.
pub(crate) fn expect_distances(name: &str, what: &str, distances: &[usize]) -> Result<()> {
    match distances.iter().find(|&&distance| distance > 1 << 30) {
        Some(distance) => Err(Error::new(format!(
            "{name} takes {what} of at most 2^30, received {distance}"
        ))),
        None => Ok(()),
    }
}

/// Checks that two inputs share their dtype.
pub(crate) fn expect_same_dtype(name: &str, left: &ValueType, right: &ValueType) -> Result<()> {
    if left.dtype == right.dtype {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{name} takes values of one dtype, received {left} and {right}; cast one of them"
        )))
    }
}

/// The multi-index of a flat, row-major index.
pub(crate) fn unravel(mut flat: usize, shape: &[usize], index: &mut [usize]) {
    for axis in (0..shape.len()).rev() {
        index[axis] = flat % shape[axis];
        flat /= shape[axis];
    }
}

/// The flat index in a value of this shape, of a multi-index in a value that it is broadcast to.
pub(crate) fn broadcast_offset(index: &[usize], shape: &[usize]) -> usize {
    let missing = index.len() - shape.len();
    shape.iter().enumerate().fold(0, |flat, (axis, &size)| {
        let position = if size == 1 { 0 } else { index[axis + missing] };
        flat * size + position
    })
}

/// Sums a gradient over the axes along which its value was repeated, so that it has the value's shape again.
pub(crate) fn reduce_to(gradient: &Value, shape: &Shape) -> Result<Value> {
    let from = gradient.shape();
    if from == *shape {
        return Ok(gradient.clone());
    }
    let missing = from.rank() - shape.rank();
    let axes: Vec<isize> = (0..from.rank())
        .filter(|&axis| {
            axis < missing || (shape.dims()[axis - missing].is_one() && !from.dims()[axis].is_one())
        })
        .map(|axis| axis as isize)
        .collect();
    gradient.sum(&axes, true)?.reshape(shape)
}
