//! Norms along axes, as most constraints take them.

use danlu_graph::Value;
use serde_json::json;

use crate::{Arguments, Error, Result};

/// What Keras adds to norms before it divides by them.
pub(super) const EPSILON: f64 = 1e-7;

/// The axes that make one vector each; 0, the inputs of a `Dense`, where none are given.
#[derive(Clone, Debug)]
pub(super) struct Axes(Vec<isize>);

impl Default for Axes {
    fn default() -> Axes {
        Axes(vec![0])
    }
}

impl Axes {
    pub fn new(axes: impl IntoIterator<Item = isize>) -> Axes {
        Axes(axes.into_iter().collect())
    }

    pub fn take(arguments: &mut Arguments) -> Result<Axes> {
        Ok(arguments.axes("axis")?.map_or_else(Axes::default, Axes))
    }

    /// As Keras writes it: a number, or a list.
    pub fn to_json(&self) -> serde_json::Value {
        match self.0.as_slice() {
            [only] => json!(only),
            axes => json!(axes),
        }
    }

    pub fn check(&self, owner: &str) -> Result<()> {
        if self.0.is_empty() {
            return Err(Error::argument(owner, "axis", "an axis or more", "none"));
        }
        Ok(())
    }

    /// The norms of a parameter along the axes, which stay with size 1.
    pub fn norms(&self, owner: &str, parameter: &Value) -> Result<Value> {
        let shape = parameter.shape();
        if let Some(axis) = self.0.iter().find(|&&axis| shape.axis(axis).is_err()) {
            let expected = format!("axes of the parameter, whose shape is {shape}");
            return Err(Error::argument(owner, "axis", expected, axis));
        }
        Ok(parameter.square()?.sum(&self.0, true)?.sqrt()?)
    }
}

/// `parameter desired / (norms + epsilon)`.
pub(super) fn rescale(parameter: &Value, desired: &Value, norms: &Value) -> Result<Value> {
    let factor = desired.divide(&norms.add_scalar(EPSILON)?)?;
    Ok(parameter.multiply(&factor)?)
}
