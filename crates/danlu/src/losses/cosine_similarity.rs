//! Cosine similarity.

use danlu_graph::Value;

use super::terms::{axis_of_example, normalized, read_axis};
use super::{FromConfig, LossFunction, align};
use crate::{Arguments, Config, Result, config};

/// Minus the cosine of the angle between target and prediction, as vectors along an axis: -1 for one direction, 1 for
/// opposite ones (Keras' `CosineSimilarity`).
#[derive(Clone, Debug)]
pub struct CosineSimilarity {
    axis: isize,
}

impl CosineSimilarity {
    /// Along the last axis.
    pub fn new() -> CosineSimilarity {
        CosineSimilarity { axis: -1 }
    }

    /// The axis of the vectors. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> CosineSimilarity {
        self.axis = axis;
        self
    }
}

impl Default for CosineSimilarity {
    fn default() -> CosineSimilarity {
        CosineSimilarity::new()
    }
}

impl FromConfig for CosineSimilarity {
    fn from_config(arguments: &mut Arguments) -> Result<CosineSimilarity> {
        let axis = read_axis(arguments)?;
        Ok(CosineSimilarity { axis })
    }
}

impl LossFunction for CosineSimilarity {
    fn class_name(&self) -> &str {
        "CosineSimilarity"
    }
    fn name(&self) -> &str {
        "cosine_similarity"
    }
    fn config(&self) -> Config {
        // Keras 3.15 takes `axis` but does not write it into files.
        match self.axis {
            -1 => Config::new(),
            axis => config! { "axis": axis },
        }
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        Ok(cosine(self.class_name(), self.axis, y_true, y_pred)?.negate()?)
    }
}

/// The cosine of the angle between target and prediction along an axis.
pub(crate) fn cosine(owner: &str, axis: isize, y_true: &Value, y_pred: &Value) -> Result<Value> {
    let (y_true, y_pred) = align(owner, y_true, y_pred)?;
    axis_of_example(owner, axis, &y_pred)?;
    let y_true = normalized(&y_true.cast(y_pred.dtype())?, axis)?;
    Ok(y_true
        .multiply(&normalized(&y_pred, axis)?)?
        .sum(&[axis], false)?)
}
