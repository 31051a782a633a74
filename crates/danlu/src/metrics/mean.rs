//! Means over examples.

use danlu_graph::{DType, Value};

use crate::losses::broadcast_weights;
use crate::{Error, Result};

/// The sum of the values of a batch, and what to divide by: their number, or the sum of the weights. Of weighted values,
/// Keras takes the mean over the axes of an example before it weighs the example. `mask`, of the values' shape, says which
/// count among weighted values.
pub(super) fn totals(
    values: &Value,
    mask: Option<&Value>,
    weights: Option<&Value>,
) -> Result<Vec<Value>> {
    let values = values.cast(DType::F32)?;
    let shape = values.shape();
    let Some(weights) = weights else {
        let count = values
            .graph()
            .dimension_size(&shape.element_count(), DType::F32)?;
        return Ok(vec![values.sum_all()?, count]);
    };
    if shape.rank() == 0 {
        return Err(Error::mismatch(
            "a weighted metric",
            "a number for each example, (batch, ...)",
            "one number for the batch",
            "leave it out of weighted_metrics, or give the mean over the examples to the metric",
        ));
    }
    let axes: Vec<isize> = (1..shape.rank() as isize).collect();
    let (values, weights) = match mask {
        None => {
            let values = values.mean(&axes, false)?;
            let weights = broadcast_weights(weights, &values.shape())?;
            (values.multiply(&weights)?, weights)
        }
        Some(mask) => {
            let weights = broadcast_weights(weights, &shape)?.multiply(&mask.cast(DType::F32)?)?;
            let values = values.multiply(&weights)?.mean(&axes, false)?;
            (values, weights.mean(&axes, false)?)
        }
    };
    Ok(vec![values.sum_all()?, weights.sum_all()?])
}

/// Weights `(batch)` as numbers of each element of a shape `(batch, ...)`; 1 where there are none.
pub(super) fn of_elements(weights: Option<&Value>, like: &Value) -> Result<Value> {
    match weights {
        Some(weights) => broadcast_weights(weights, &like.shape()),
        None => {
            let one = like.graph().scalar(1.0, DType::F32)?;
            Ok(one.broadcast_to(&like.shape())?)
        }
    }
}
