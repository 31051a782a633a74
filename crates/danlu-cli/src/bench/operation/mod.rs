//! One operation, as `danlu bench --op` names it: a program like a model's, run through the executor.

mod parse;
mod program;

use danlu::graph::operations::{BinaryKind, ReduceKind, UnaryKind};

const CONVOLUTION: &str = "conv2d";
const PRODUCT: &str = "matmul";
const MAX_POOLING: &str = "max_pool2d";
const AVERAGE_POOLING: &str = "average_pool2d";
const SOFTMAX: &str = "softmax";
const LOG_SOFTMAX: &str = "log_softmax";

/// What is computed.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// `(batch, height, width, channels)` with so many filters of this window.
    Convolution {
        filters: usize,
        window: [usize; 2],
        strides: [usize; 2],
        dilations: [usize; 2],
        same: bool,
        groups: usize,
    },
    /// `(rows, depth)` times `(depth, columns)`.
    Product {
        columns: usize,
    },
    Pooling {
        max: bool,
        window: [usize; 2],
        strides: [usize; 2],
        same: bool,
    },
    Unary(UnaryKind),
    Binary(BinaryKind),
    Softmax,
    LogSoftmax,
    Reduce(ReduceKind, Vec<usize>),
}

/// An operation with the shape of what it works on.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    kind: Kind,
    /// The shape of the first operand; axis 0 is the batch.
    pub shape: Vec<usize>,
}

/// What is computed of an operation: its result, or the gradient of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Its name in reports.
    pub name: &'static str,
    operand: Option<usize>,
}

const DIRECTIONS: [Direction; 3] = [
    Direction {
        name: "forward",
        operand: None,
    },
    Direction {
        name: "input_gradient",
        operand: Some(0),
    },
    Direction {
        name: "weight_gradient",
        operand: Some(1),
    },
];

/// The names that `--op` takes.
pub fn names() -> Vec<&'static str> {
    let mut names = vec![
        CONVOLUTION,
        PRODUCT,
        MAX_POOLING,
        AVERAGE_POOLING,
        SOFTMAX,
        LOG_SOFTMAX,
    ];
    names.extend(ReduceKind::ALL.iter().map(|kind| kind.name()));
    names.extend(unary().map(UnaryKind::name));
    names.extend(binary().map(BinaryKind::name));
    names
}

/// The functions of one float.
fn unary() -> impl Iterator<Item = UnaryKind> {
    let all = UnaryKind::ALL.iter().copied();
    all.filter(|kind| !matches!(kind, UnaryKind::Not | UnaryKind::IsFinite))
}

/// The functions of two floats.
fn binary() -> impl Iterator<Item = BinaryKind> {
    let all = BinaryKind::ALL.iter().copied();
    all.filter(|kind| !matches!(kind, BinaryKind::And | BinaryKind::Or))
}

impl Operation {
    /// The operation on another number of examples: the first axis.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Operation {
        self.shape[0] = batch;
        self
    }

    /// What can be measured of it.
    pub fn directions(&self) -> &'static [Direction] {
        match self.kind {
            Kind::Convolution { .. } | Kind::Product { .. } => &DIRECTIONS,
            Kind::Pooling { .. } => &DIRECTIONS[..2],
            _ => &DIRECTIONS[..1],
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (shape, pad) = (joined(&self.shape), |same: &bool| match same {
            true => "same",
            false => "valid",
        });
        match &self.kind {
            Kind::Convolution {
                filters,
                window,
                strides,
                dilations,
                same,
                groups,
            } => write!(
                formatter,
                "{CONVOLUTION} {shape}, kernel {filters}x{}, stride {}, dilation {}, padding {}, groups {groups}",
                joined(window),
                joined(strides),
                joined(dilations),
                pad(same)
            ),
            Kind::Product { columns } => {
                write!(
                    formatter,
                    "{PRODUCT} {shape} times {}x{columns}",
                    self.shape[1]
                )
            }
            Kind::Pooling {
                max,
                window,
                strides,
                same,
            } => write!(
                formatter,
                "{} {shape}, kernel {}, stride {}, padding {}",
                if *max { MAX_POOLING } else { AVERAGE_POOLING },
                joined(window),
                joined(strides),
                pad(same)
            ),
            Kind::Unary(kind) => write!(formatter, "{} {shape}", kind.name()),
            Kind::Binary(kind) => write!(formatter, "{} {shape}", kind.name()),
            Kind::Softmax => write!(formatter, "{SOFTMAX} {shape}"),
            Kind::LogSoftmax => write!(formatter, "{LOG_SOFTMAX} {shape}"),
            Kind::Reduce(kind, axes) => {
                let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
                write!(
                    formatter,
                    "{} {shape}, axes {}",
                    kind.name(),
                    axes.join(",")
                )
            }
        }
    }
}

/// `32x28x28x64`
fn joined(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join("x")
}

#[cfg(test)]
mod tests;
