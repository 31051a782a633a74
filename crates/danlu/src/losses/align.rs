//! Targets, predictions and weights brought to shapes that fit.

use danlu_graph::{Dim, Shape, Value};

use super::{shapes_differ, without_last};
use crate::Result;

/// Targets and predictions of the same shape: where one has a last axis of 1 more, the other gets it or it goes (Keras'
/// `squeeze_or_expand_to_same_rank`).
pub(crate) fn align(loss: &str, y_true: &Value, y_pred: &Value) -> Result<(Value, Value)> {
    let (mut truth, mut prediction) = (y_true.clone(), y_pred.clone());
    let (true_rank, pred_rank) = (truth.shape().rank(), prediction.shape().rank());
    if true_rank == pred_rank + 1 && last_is_one(&truth) {
        if pred_rank == 1 {
            prediction = expand(&prediction)?;
        } else {
            truth = squeeze(&truth)?;
        }
    } else if pred_rank == true_rank + 1 && last_is_one(&prediction) {
        if true_rank == 1 {
            truth = expand(&truth)?;
        } else {
            prediction = squeeze(&prediction)?;
        }
    }
    if truth.shape() != prediction.shape() {
        return Err(shapes_differ(
            loss,
            y_true,
            y_pred,
            "the model's last layer must have as many units as a target has numbers",
        ));
    }
    Ok((truth, prediction))
}

/// Weights `(batch)` as `(batch, 1, ...)`, repeated to values of this shape, `(batch, ...)`.
pub(crate) fn broadcast_weights(weights: &Value, shape: &Shape) -> Result<Value> {
    let mut dims = vec![weights.shape().dims()[0].clone()];
    dims.resize(shape.rank(), Dim::fixed(1));
    let weights = weights.reshape(&Shape::from(dims))?;
    Ok(weights.broadcast_to(shape)?)
}

pub(crate) fn last_is_one(value: &Value) -> bool {
    value.shape().dims().last().is_some_and(Dim::is_one)
}

/// The value without its last axis, which is 1.
pub(crate) fn squeeze(value: &Value) -> Result<Value> {
    Ok(value.reshape(&without_last(&value.shape()))?)
}

fn expand(value: &Value) -> Result<Value> {
    let mut shape = value.shape();
    shape.dims_mut().push(Dim::fixed(1));
    Ok(value.reshape(&shape)?)
}
