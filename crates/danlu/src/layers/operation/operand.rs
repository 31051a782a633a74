//! What an operation is applied to: values of the model, and constants that stood beside them.

use danlu_graph::{DType, Graph, Tensor, Value};
use serde_json::Value as Json;

use crate::config::shorten;
use crate::{Error, Result};

/// An argument of an operation.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// A value of the model; with the number of its axes, where the file says it.
    Value(Option<usize>),
    /// Several in a list.
    Values(usize),
    /// A number, or an array of them.
    Constant(Tensor),
    /// Something else, such as an index.
    Other(Json),
}

/// The arguments of a call.
///
/// # Errors
/// A constant is of more numbers than it says, or has something else than numbers.
pub(crate) fn operands(owner: &str, arguments: &Json) -> Result<Vec<Operand>> {
    let arguments = arguments.as_array().map(Vec::as_slice).unwrap_or_default();
    arguments.iter().map(|one| operand(owner, one)).collect()
}

fn operand(owner: &str, argument: &Json) -> Result<Operand> {
    if is_tensor(argument) {
        let shape = argument.pointer("/config/shape").and_then(Json::as_array);
        return Ok(Operand::Value(shape.map(Vec::len)));
    }
    if let Some(number) = argument.as_f64() {
        return Ok(Operand::Constant(Tensor::from_f32(
            &[],
            vec![number as f32],
        )?));
    }
    if argument.get("class_name").and_then(Json::as_str) == Some("__numpy__") {
        let damaged = || {
            let expected = "an array of numbers";
            Error::argument(
                owner,
                "a constant",
                expected,
                shorten(&argument.to_string()),
            )
        };
        let (mut shape, mut numbers) = (Vec::new(), Vec::new());
        let value = argument.pointer("/config/value").ok_or_else(damaged)?;
        flatten(value, 0, &mut shape, &mut numbers).ok_or_else(damaged)?;
        return match numbers.len() == shape.iter().product::<usize>() {
            true => Ok(Operand::Constant(Tensor::from_f32(&shape, numbers)?)),
            false => Err(damaged()),
        };
    }
    match argument.as_array() {
        Some(values) if !values.is_empty() && values.iter().all(is_tensor) => {
            Ok(Operand::Values(values.len()))
        }
        _ => Ok(Operand::Other(argument.clone())),
    }
}

fn is_tensor(value: &Json) -> bool {
    value.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__")
}

/// The numbers of nested lists, and the sizes of the first of each depth.
fn flatten(
    value: &Json,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<f32>,
) -> Option<()> {
    match value {
        Json::Array(values) => {
            match shape.get(depth) {
                Some(size) if *size != values.len() => return None,
                Some(_) => {}
                // A list where numbers stood before.
                None if !numbers.is_empty() => return None,
                None => shape.push(values.len()),
            }
            values
                .iter()
                .try_for_each(|value| flatten(value, depth + 1, shape, numbers))
        }
        Json::Number(_) if depth == shape.len() => {
            numbers.push(value.as_f64()? as f32);
            Some(())
        }
        _ => None,
    }
}

/// How many values of the model an operation takes.
pub(super) fn tensor_count(operands: &[Operand]) -> usize {
    let count = |operand: &Operand| match operand {
        Operand::Value(_) => 1,
        Operand::Values(count) => *count,
        Operand::Constant(_) | Operand::Other(_) => 0,
    };
    operands.iter().map(count).sum()
}

/// The values and constants, in order, in a graph.
pub(super) fn values(operands: &[Operand], graph: &Graph, inputs: &[Value]) -> Result<Vec<Value>> {
    let mut inputs = inputs.iter();
    let mut values = Vec::new();
    for operand in operands {
        match operand {
            Operand::Value(_) => values.extend(inputs.next().cloned()),
            Operand::Values(count) => values.extend(inputs.by_ref().take(*count).cloned()),
            Operand::Constant(tensor) if tensor.shape().is_empty() => {
                values.push(graph.scalar(tensor.get_f64(0), DType::F32)?);
            }
            Operand::Constant(tensor) => values.push(graph.constant(tensor.clone())?),
            Operand::Other(_) => {}
        }
    }
    Ok(values)
}

/// Puts tensors in the places of those that stand in a call's arguments, in order.
pub(super) fn replace_tensors(value: &mut Json, tensors: &mut impl Iterator<Item = Json>) {
    if is_tensor(value) {
        if let Some(tensor) = tensors.next() {
            *value = tensor;
        }
    } else if let Json::Array(values) = value {
        for value in values {
            replace_tensors(value, tensors);
        }
    }
}
