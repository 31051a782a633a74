//! Norms along axes, as most constraints take them.

use danlu_graph::Value;

use crate::Result;
use crate::axes::{Axes, signed};

/// What Keras adds to norms before it divides by them.
pub(super) const EPSILON: f64 = 1e-7;

/// The norms of a parameter along the axes, which stay with size 1.
pub(super) fn norms(owner: &str, parameter: &Value, axis: &Axes) -> Result<Value> {
    let axes = axis.of(owner, &parameter.shape())?;
    Ok(parameter.square()?.sum(&signed(&axes), true)?.sqrt()?)
}

/// `parameter desired / (norms + epsilon)`.
pub(super) fn rescale(parameter: &Value, desired: &Value, norms: &Value) -> Result<Value> {
    let factor = desired.divide(&norms.add_scalar(EPSILON)?)?;
    Ok(parameter.multiply(&factor)?)
}
