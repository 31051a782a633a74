//! What an operation computes.

use danlu_graph::Value;
use danlu_graph::operations::{Binary, BinaryKind, ReduceKind, Unary, UnaryKind};
use serde_json::Value as Json;

use super::indexing::{self, Index};
use super::movement;
use super::operand::{Operand, tensor_count};
use crate::activations::Activation;
use crate::{Arguments, Error, Result};

#[derive(Clone, Debug)]
pub(super) enum Function {
    Unary(UnaryKind),
    /// `1 / sqrt(x)`
    ReciprocalRoot,
    Binary(BinaryKind),
    Activation(Activation),
    /// Over these axes, or all.
    Reduce {
        kind: ReduceKind,
        axes: Option<Vec<isize>>,
        keep_dims: bool,
    },
    Clip(f64, f64),
    Index(Vec<Index>),
    ExpandDims(Vec<isize>),
    /// Away with these axes, or with all of 1.
    Squeeze(Option<Vec<isize>>),
    Stack(isize),
    MatMul,
    Split {
        parts: usize,
        axis: isize,
    },
}

const UNARY: &[(&str, UnaryKind)] = &[
    ("Abs", UnaryKind::Abs),
    ("Absolute", UnaryKind::Abs),
    ("Ceil", UnaryKind::Ceil),
    ("Cos", UnaryKind::Cos),
    ("Erf", UnaryKind::Erf),
    ("Expm1", UnaryKind::Expm1),
    ("Floor", UnaryKind::Floor),
    ("Log", UnaryKind::Log),
    ("Log1p", UnaryKind::Log1p),
    ("Reciprocal", UnaryKind::Reciprocal),
    ("Sign", UnaryKind::Sign),
    ("Sin", UnaryKind::Sin),
    ("Sqrt", UnaryKind::Sqrt),
    ("Square", UnaryKind::Square),
];

const BINARY: &[(&str, BinaryKind)] = &[
    ("Add", BinaryKind::Add),
    ("Divide", BinaryKind::Divide),
    ("Maximum", BinaryKind::Maximum),
    ("Minimum", BinaryKind::Minimum),
    ("Multiply", BinaryKind::Multiply),
    ("Power", BinaryKind::Power),
    ("Subtract", BinaryKind::Subtract),
    ("TrueDivide", BinaryKind::Divide),
];

const REDUCTIONS: &[(&str, ReduceKind)] = &[
    ("Max", ReduceKind::Max),
    ("Mean", ReduceKind::Mean),
    ("Min", ReduceKind::Min),
    ("Sum", ReduceKind::Sum),
];

/// Activations that have arguments as operations.
const ACTIVATIONS: &[&str] = &[
    "Celu",
    "Gelu",
    "HardShrink",
    "LogSoftmax",
    "SoftShrink",
    "Squareplus",
];

const OTHERS: &[&str] = &[
    "Clip",
    "Concatenate",
    "ExpandDims",
    "GetItem",
    "Matmul",
    "Rsqrt",
    "Split",
    "Squeeze",
    "Stack",
];

/// The module of Keras' that has an operation.
pub(super) fn module(class_name: &str) -> &'static str {
    match class_name {
        "Erf" | "Rsqrt" => "keras.src.ops.math",
        name if ACTIVATIONS.contains(&name) => "keras.src.ops.nn",
        _ => "keras.src.ops.numpy",
    }
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

impl Function {
    pub fn read(class_name: &str, given: &mut Arguments, operands: &[Operand]) -> Result<Function> {
        let count = operands.len();
        if let Some(kind) = find(UNARY, class_name) {
            return only_values(class_name, operands, 1).map(|()| Function::Unary(kind));
        }
        if let Some(kind) = find(BINARY, class_name) {
            return only_values(class_name, operands, 2).map(|()| Function::Binary(kind));
        }
        if let Some(kind) = find(REDUCTIONS, class_name) {
            only_values(class_name, operands, 1)?;
            // What an empty axis gives.
            given.unsupported("initial", &[Json::Null])?;
            return Ok(Function::Reduce {
                kind,
                axes: given.axes("axis")?,
                keep_dims: given.boolean("keepdims")?.unwrap_or(false),
            });
        }
        match class_name {
            name if ACTIVATIONS.contains(&name) => {
                only_values(class_name, operands, 1)?;
                activation(name, given).map(Function::Activation)
            }
            "Rsqrt" => only_values(class_name, operands, 1).map(|()| Function::ReciprocalRoot),
            "Clip" => {
                only_values(class_name, operands, 1)?;
                let (low, high) = (given.number("x_min")?, given.number("x_max")?);
                let (low, high) = (
                    given.required("x_min", low)?,
                    given.required("x_max", high)?,
                );
                Ok(Function::Clip(low, high))
            }
            "GetItem" => match operands {
                [Operand::Value(_), Operand::Other(key)] => {
                    indexing::read(key).map(Function::Index)
                }
                // A single number is the index of an example.
                _ => Err(indexing::unsupported("an index of the axis of examples")),
            },
            "ExpandDims" => {
                only_values(class_name, operands, 1)?;
                let axes = given.axes("axis")?;
                Ok(Function::ExpandDims(given.required("axis", axes)?))
            }
            "Squeeze" => {
                only_values(class_name, operands, 1)?;
                Ok(Function::Squeeze(given.axes("axis")?))
            }
            "Stack" if count == 1 && tensor_count(operands) > 0 => {
                Ok(Function::Stack(axis(given, 0)?))
            }
            "Matmul" => only_values(class_name, operands, 2).map(|()| Function::MatMul),
            "Split" => {
                only_values(class_name, operands, 1)?;
                let parts = given.positive("indices_or_sections")?;
                let parts = given.required("indices_or_sections", parts)?;
                let axis = axis(given, 0)?;
                Ok(Function::Split { parts, axis })
            }
            "Concatenate" | "Stack" => Err(wrong_operands(class_name, "a list of values")),
            _ => {
                let names = UNARY.iter().map(|(name, _)| *name);
                let names = names.chain(BINARY.iter().map(|(name, _)| *name));
                let names = names.chain(REDUCTIONS.iter().map(|(name, _)| *name));
                let names = names.chain(ACTIVATIONS.iter().copied());
                let names = names.chain(OTHERS.iter().copied());
                Err(Error::unknown("operation of Keras", class_name, names))
            }
        }
    }

    pub fn outputs(&self) -> usize {
        match self {
            Function::Split { parts, .. } => *parts,
            _ => 1,
        }
    }

    /// The results for these operands, constants among them.
    pub fn apply(&self, class_name: &str, operands: &[Value]) -> Result<Vec<Value>> {
        let [x, rest @ ..] = operands else {
            return Err(wrong_operands(class_name, "values"));
        };
        let other = || {
            let other = rest.first();
            other.ok_or_else(|| wrong_operands(class_name, "two values"))
        };
        let result = match self {
            Function::Unary(kind) => x.graph().add(Unary { kind: *kind }.into(), &[x])?,
            Function::ReciprocalRoot => x.sqrt()?.reciprocal()?,
            Function::Binary(kind) => x
                .graph()
                .add(Binary { kind: *kind }.into(), &[x, other()?])?,
            Function::Activation(activation) => activation.apply(x)?,
            Function::Reduce {
                kind,
                axes,
                keep_dims,
            } => {
                let all = || (0..x.shape().rank()).map(|axis| axis as isize).collect();
                let axes = axes.clone().unwrap_or_else(all);
                match kind {
                    ReduceKind::Max => x.max(&axes, *keep_dims)?,
                    ReduceKind::Mean => x.mean(&axes, *keep_dims)?,
                    ReduceKind::Min => x.min(&axes, *keep_dims)?,
                    _ => x.sum(&axes, *keep_dims)?,
                }
            }
            Function::Clip(low, high) => x.maximum_scalar(*low)?.minimum_scalar(*high)?,
            Function::Index(key) => indexing::apply(key, x)?,
            Function::ExpandDims(axes) => movement::expand_dims(x, axes)?,
            Function::Squeeze(axes) => movement::squeeze(x, axes.as_deref())?,
            Function::Stack(axis) => movement::stack(operands, *axis)?,
            Function::MatMul => x.matmul(other()?)?,
            Function::Split { parts, axis } => return movement::split(x, *parts, *axis),
        };
        Ok(vec![result])
    }
}

/// Fails unless there are so many operands, each a value of the model or a constant.
fn only_values(class_name: &str, operands: &[Operand], count: usize) -> Result<()> {
    let good = |operand: &Operand| matches!(operand, Operand::Value(_) | Operand::Constant(_));
    match operands.len() == count && operands.iter().all(good) && tensor_count(operands) > 0 {
        true => Ok(()),
        false => Err(wrong_operands(
            class_name,
            match count {
                1 => "one value",
                _ => "two values, or a value and a number",
            },
        )),
    }
}

fn wrong_operands(class_name: &str, expected: &str) -> Error {
    Error::mismatch(
        format!("the operation {class_name}"),
        expected,
        "other arguments",
        "",
    )
}

fn axis(given: &mut Arguments, default: isize) -> Result<isize> {
    let axis = given.integer("axis")?;
    Ok(axis
        .and_then(|axis| isize::try_from(axis).ok())
        .unwrap_or(default))
}

fn activation(class_name: &str, given: &mut Arguments) -> Result<Activation> {
    let mut number =
        |name: &str, default: f64| -> Result<f64> { Ok(given.number(name)?.unwrap_or(default)) };
    let activation = match class_name {
        "Celu" => Activation::Celu {
            alpha: number("alpha", 1.0)?,
        },
        "Gelu" => Activation::Gelu {
            approximate: given.boolean("approximate")?.unwrap_or(true),
        },
        "HardShrink" => Activation::HardShrink {
            threshold: number("threshold", 0.5)?,
        },
        "SoftShrink" => Activation::SoftShrink {
            threshold: number("threshold", 0.5)?,
        },
        "Squareplus" => Activation::Squareplus {
            b: number("b", 4.0)?,
        },
        _ => Activation::LogSoftmax {
            axis: axis(given, -1)?,
        },
    };
    activation.check()?;
    Ok(activation)
}
