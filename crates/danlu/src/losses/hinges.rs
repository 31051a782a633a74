//! Hinges: what keeps a margin of 1 is right enough.

use danlu_graph::Value;

use super::plain_loss;
use crate::Result;

plain_loss! {
    /// `mean(max(1 - y_true y_pred, 0))` over the last axis. Targets are -1 and 1; where all of a batch are 0 and 1, they are
    /// taken as such (Keras' `Hinge`).
    Hinge, "hinge", |y_true, y_pred| Ok(margin(y_true, y_pred)?.mean(&[-1], false)?)
}
plain_loss! {
    /// `mean(max(1 - y_true y_pred, 0)^2)` over the last axis, with targets as [`Hinge`] takes them (Keras' `SquaredHinge`).
    SquaredHinge, "squared_hinge", |y_true, y_pred| {
        Ok(margin(y_true, y_pred)?.square()?.mean(&[-1], false)?)
    }
}
plain_loss! {
    /// `max(neg - pos + 1, 0)`, where `pos = sum(y_true y_pred)` and `neg = max((1 - y_true) y_pred)` over the last axis;
    /// targets are 0 and 1 (Keras' `CategoricalHinge`).
    CategoricalHinge, "categorical_hinge", |y_true, y_pred| {
        let positive = y_true.multiply(y_pred)?.sum(&[-1], false)?;
        let others = y_true.negate()?.add_scalar(1.0)?.multiply(y_pred)?;
        let negative = others.max(&[-1], false)?;
        Ok(negative.subtract(&positive)?.add_scalar(1.0)?.maximum_scalar(0.0)?)
    }
}

/// `max(1 - y_true y_pred, 0)`, element by element.
fn margin(y_true: &Value, y_pred: &Value) -> Result<Value> {
    let graph = y_true.graph();
    let zero = graph.scalar(0.0, y_true.dtype())?;
    let one = graph.scalar(1.0, y_true.dtype())?;
    let is_binary = y_true.equal(&zero)?.logical_or(&y_true.equal(&one)?)?;
    let axes: Vec<isize> = (0..y_true.shape().rank() as isize).collect();
    let all_binary = is_binary
        .cast(y_true.dtype())?
        .min(&axes, false)?
        .greater(&zero)?;
    let signs = y_true.multiply_scalar(2.0)?.add_scalar(-1.0)?;
    let y_true = all_binary.select(&signs, y_true)?;
    Ok(y_true
        .multiply(y_pred)?
        .negate()?
        .add_scalar(1.0)?
        .maximum_scalar(0.0)?)
}
