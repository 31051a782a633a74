//! What several losses are made of.

use danlu_graph::Value;

use super::EPSILON;
use crate::{Arguments, Error, Result};

/// `ln(1 + e^x)`, whose slope at 0 is 1/2.
pub(super) fn softplus(x: &Value) -> Result<Value> {
    let zero = x.graph().scalar(0.0, x.dtype())?;
    let positive = x.greater_equal(&zero)?;
    let minus_size = positive.select(&x.negate()?, x)?;
    Ok(positive
        .select(x, &zero)?
        .add(&minus_size.exp()?.log1p()?)?)
}

/// Cut to `[1e-7, 1 - 1e-7]`.
pub(super) fn cut(probabilities: &Value) -> Result<Value> {
    Ok(probabilities
        .maximum_scalar(EPSILON)?
        .minimum_scalar(1.0 - EPSILON)?)
}

/// `1 - x`.
pub(super) fn one_minus(value: &Value) -> Result<Value> {
    Ok(value.negate()?.add_scalar(1.0)?)
}

/// Divided by its length along an axis, which counts as 1e-7 at least (Keras' `normalize`).
pub(super) fn normalized(value: &Value, axis: isize) -> Result<Value> {
    let squares = value.square()?.sum(&[axis], true)?;
    Ok(value.divide(&squares.maximum_scalar(EPSILON * EPSILON)?.sqrt()?)?)
}

/// Probabilities divided by their sum along an axis, and cut.
pub(super) fn proportions(probabilities: &Value, axis: isize) -> Result<Value> {
    cut(&probabilities.divide(&probabilities.sum(&[axis], true)?)?)
}

/// The value with this axis last.
pub(super) fn to_last(value: &Value, axis: isize) -> Result<Value> {
    let rank = value.shape().rank();
    let axis = value.shape().axis(axis)?;
    let mut order: Vec<usize> = (0..rank).filter(|&other| other != axis).collect();
    order.push(axis);
    match axis + 1 == rank {
        true => Ok(value.clone()),
        false => Ok(value.transpose(&order)?),
    }
}

/// The argument `axis` of a config. Default -1.
pub(super) fn read_axis(arguments: &mut Arguments) -> Result<isize> {
    Ok(arguments.integer("axis")?.map_or(-1, |axis| axis as isize))
}

/// Fails unless the value has this axis, and it is not that of the examples.
pub(crate) fn axis_of_example(owner: &str, axis: isize, value: &Value) -> Result<()> {
    match value.shape().axis(axis) {
        Ok(place) if place > 0 => Ok(()),
        _ => {
            let rank = value.shape().rank();
            let expected = format!(
                "an axis of an example, from 1 to {} or from -{} to -1",
                rank.saturating_sub(1),
                rank.saturating_sub(1)
            );
            Err(Error::argument(owner, "axis", expected, axis))
        }
    }
}

/// `y (1 - smoothing) + smoothing share`, or `y` where there is none.
pub(super) fn smoothed(y: Value, smoothing: f64, share: f64) -> Result<Value> {
    match smoothing {
        0.0 => Ok(y),
        _ => Ok(y
            .multiply_scalar(1.0 - smoothing)?
            .add_scalar(smoothing * share)?),
    }
}

/// One over the size of the last axis.
pub(super) fn share_of_classes(value: &Value) -> f64 {
    let shape = value.shape();
    let classes = shape.dims().last().and_then(|dim| dim.as_fixed());
    1.0 / classes.unwrap_or(1).max(1) as f64
}

/// Fails unless a label smoothing is from 0 to 1.
pub(super) fn check_smoothing(owner: &str, label_smoothing: f64) -> Result<()> {
    in_range(
        owner,
        "label_smoothing",
        label_smoothing,
        "from 0 to 1",
        |x| (0.0..=1.0).contains(&x),
    )
}

/// Fails unless a number fits.
pub(super) fn in_range(
    owner: &str,
    argument: &str,
    number: f64,
    expected: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<()> {
    match fits(number) {
        true => Ok(()),
        false => Err(Error::argument(owner, argument, expected, number)),
    }
}
