//! What several optimizers compute, rounded in the order in which Keras does.

use danlu_graph::{DType, Value};

use super::Step;
use crate::Result;

/// `old + (new - old) (1 - decay)`, where averages that decay end at 0.
pub(super) fn approach(old: &Value, new: &Value, decay: f64) -> Result<Value> {
    let change = new.subtract(old)?.multiply_scalar(1.0 - decay)?;
    Ok(old.add(&change)?.flush_tiny()?)
}

/// `decay old + (1 - decay) new`.
pub(super) fn between(old: &Value, new: &Value, decay: f64) -> Result<Value> {
    let kept = old.multiply_scalar(decay)?;
    Ok(kept.add(&new.multiply_scalar(1.0 - decay)?)?)
}

/// `decay old + (1 - decay) new`, where averages that decay end at 0.
pub(super) fn mix(old: &Value, new: &Value, decay: f64) -> Result<Value> {
    Ok(between(old, new, decay)?.flush_tiny()?)
}

/// `number - x`.
pub(super) fn from_number(number: f64, x: &Value) -> Result<Value> {
    Ok(x.graph().scalar(number, x.dtype())?.subtract(x)?)
}

/// `x / number`.
pub(super) fn divide_by(x: &Value, number: f64) -> Result<Value> {
    Ok(x.divide(&x.graph().scalar(number, x.dtype())?)?)
}

/// The number of this step, counted from 1, as f32.
pub(super) fn local_step(step: &Step) -> Result<Value> {
    Ok(step.iteration.add_scalar(1.0)?.cast(DType::F32)?)
}

/// `number ^ t`.
pub(super) fn power_of(number: f64, t: &Value) -> Result<Value> {
    Ok(t.graph().scalar(number, DType::F32)?.power(t)?)
}

/// `1 - number ^ t`.
pub(super) fn one_minus_power(number: f64, t: &Value) -> Result<Value> {
    from_number(1.0, &power_of(number, t)?)
}

/// The square root of the mean of squares.
pub(super) fn root_mean_square(x: &Value) -> Result<Value> {
    Ok(x.square()?.mean_all()?.sqrt()?)
}
