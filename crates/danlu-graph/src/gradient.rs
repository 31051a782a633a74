//! Reverse-mode differentiation: gradients are nodes like any other, and can be differentiated again.

use crate::operations::{Backward, Operation};
use crate::{Error, Result, Tensor, Value};

/// The last part of the paths of nodes that carry gradients: those of the layer `dense` have the path `dense/gradient`.
pub const GRADIENT: &str = "gradient";

/// The gradients of `of` with respect to each of `with_respect_to`: parameters, inputs or any value on the way. A value
/// that is not a number without axes counts as its sum. Zeros where nothing flows.
///
/// # Errors
/// `of` or one of the values is not of floats, or an operation on the way has no gradient.
pub fn gradients(of: &Value, with_respect_to: &[&Value]) -> Result<Vec<Value>> {
    let one = of
        .graph()
        .scalar(1.0, of.dtype())?
        .broadcast_to(&of.shape())?;
    gradients_from(&[(of, &one)], with_respect_to)
}

/// As [`gradients`], of several values at once, each with the gradient that arrives at it.
///
/// # Errors
/// A value is not of floats or its gradient of another shape, or an operation on the way has no gradient.
pub fn gradients_from(of: &[(&Value, &Value)], with_respect_to: &[&Value]) -> Result<Vec<Value>> {
    let Some((first, _)) = of.first() else {
        return Err(Error::new("gradients of nothing were asked for"));
    };
    let graph = first.graph().clone();
    for value in of
        .iter()
        .flat_map(|(value, seed)| [*value, *seed])
        .chain(with_respect_to.iter().copied())
    {
        if !value.graph().is(&graph) {
            return Err(Error::new("gradients were asked for over two graphs"));
        }
        if !value.dtype().is_float() {
            return Err(Error::new(format!(
                "gradients flow through floats only, received {}",
                value.value_type()
            ))
            .at(&value.path()));
        }
    }
    let count = graph.len();
    // Which nodes lie between: they depend on a target.
    let mut reaches = vec![false; count];
    for target in with_respect_to {
        reaches[target.node()] = true;
    }
    for node in 0..count {
        if !reaches[node] {
            reaches[node] = graph.node(node).inputs.iter().any(|&input| reaches[input]);
        }
    }
    let mut arrived: Vec<Option<Value>> = vec![None; count];
    for (value, seed) in of {
        if value.value_type() != seed.value_type() {
            return Err(Error::new(format!(
                "a value {} was given a gradient {}",
                value.value_type(),
                seed.value_type()
            )));
        }
        accumulate(&mut arrived[value.node()], seed)?;
    }
    for place in (0..count).rev() {
        let Some(gradient) = arrived[place].clone() else {
            continue;
        };
        if !reaches[place] {
            continue;
        }
        let node = graph.node(place);
        if node.inputs.iter().all(|&input| !reaches[input]) {
            continue;
        }
        let backward = Backward {
            inputs: node
                .inputs
                .iter()
                .map(|&input| graph.value(input))
                .collect(),
            output: graph.value(place),
            gradient,
        };
        let path = gradient_path(&node.path);
        let parts = graph
            .with_path(&path, || node.operation.family().gradient(&backward))
            .map_err(|error| error.at(&node.path))?;
        check_parts(&backward, &parts, &node.operation).map_err(|error| error.at(&node.path))?;
        for (&input, part) in node.inputs.iter().zip(parts) {
            if let Some(part) = part.filter(|_| reaches[input]) {
                graph.with_path(&path, || accumulate(&mut arrived[input], &part))?;
            }
        }
    }
    with_respect_to
        .iter()
        .map(|target| match &arrived[target.node()] {
            Some(gradient) => Ok(gradient.clone()),
            None => {
                let zero = graph.constant(Tensor::zeros(&[], target.dtype())?)?;
                zero.broadcast_to(&target.shape())
            }
        })
        .collect()
}

/// Checks what a gradient rule gave: users write rules too.
fn check_parts(backward: &Backward, parts: &[Option<Value>], operation: &Operation) -> Result<()> {
    let fits = parts.len() == backward.inputs.len()
        && backward.inputs.iter().zip(parts).all(|(input, part)| {
            part.as_ref().is_none_or(|part| {
                part.graph().is(input.graph()) && part.value_type() == input.value_type()
            })
        });
    if fits {
        return Ok(());
    }
    Err(Error::new(format!(
        "the gradient rule of {} gave {parts:?} for inputs {:?}",
        operation.name(),
        backward.inputs
    )))
}

/// The path of what carries the gradients of a layer's nodes; gradients of gradients share it.
fn gradient_path(path: &str) -> String {
    match path.rsplit('/').next() {
        Some(GRADIENT) => path.to_owned(),
        Some("") | None => GRADIENT.to_owned(),
        Some(_) => format!("{path}/{GRADIENT}"),
    }
}

fn accumulate(slot: &mut Option<Value>, part: &Value) -> Result<()> {
    *slot = Some(match slot.take() {
        Some(sum) => sum.add(part)?,
        None => part.clone(),
    });
    Ok(())
}
