//! Errors of numbers that are no losses.

use danlu_graph::Value;

use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::losses::{align, cosine};
use crate::{Arguments, Config, Result, config};

/// The root of the mean squared error of all elements (Keras' `RootMeanSquaredError`).
#[derive(Clone, Debug, Default)]
pub struct RootMeanSquaredError {}

impl FromConfig for RootMeanSquaredError {
    fn from_config(_: &mut Arguments) -> Result<RootMeanSquaredError> {
        Ok(RootMeanSquaredError {})
    }
}

impl MetricFunction for RootMeanSquaredError {
    fn class_name(&self) -> &str {
        "RootMeanSquaredError"
    }
    fn name(&self) -> &str {
        "root_mean_squared_error"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        Ok(y_pred.subtract(&y_true.cast(y_pred.dtype())?)?.square()?)
    }
    fn result(&self, totals: Totals<'_>) -> f64 {
        totals.mean().sqrt()
    }
}

/// The cosine of the angle between target and prediction, as vectors along an axis: 1 for one direction, -1 for opposite
/// ones (Keras' metric `CosineSimilarity`).
#[derive(Clone, Debug)]
pub struct CosineSimilarityMetric {
    axis: isize,
}

impl CosineSimilarityMetric {
    /// Along the last axis.
    pub fn new() -> CosineSimilarityMetric {
        CosineSimilarityMetric { axis: -1 }
    }

    /// The axis of the vectors. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> CosineSimilarityMetric {
        self.axis = axis;
        self
    }
}

impl Default for CosineSimilarityMetric {
    fn default() -> CosineSimilarityMetric {
        CosineSimilarityMetric::new()
    }
}

impl FromConfig for CosineSimilarityMetric {
    fn from_config(arguments: &mut Arguments) -> Result<CosineSimilarityMetric> {
        let axis = arguments.integer("axis")?.map_or(-1, |axis| axis as isize);
        Ok(CosineSimilarityMetric { axis })
    }
}

impl MetricFunction for CosineSimilarityMetric {
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
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        cosine(self.class_name(), self.axis, y_true, y_pred)
    }
}
