//! Mean squared error.

use danlu_graph::Value;

use super::{LossFunction, align};
use crate::{Config, Result};

/// `mean((y_pred - y_true)^2)` over the last axis (Keras' `MeanSquaredError`).
#[derive(Clone, Debug, Default)]
pub struct MeanSquaredError {}

impl LossFunction for MeanSquaredError {
    fn class_name(&self) -> &str {
        "MeanSquaredError"
    }
    fn name(&self) -> &str {
        "mean_squared_error"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        let difference = y_pred.subtract(&y_true.cast(y_pred.dtype())?)?;
        Ok(difference.square()?.mean(&[-1], false)?)
    }
}
