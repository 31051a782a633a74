//! Mean absolute error.

use danlu_graph::Value;

use super::{LossFunction, align};
use crate::{Config, Result};

/// `mean(|y_pred - y_true|)` over the last axis (Keras' `MeanAbsoluteError`).
#[derive(Clone, Debug, Default)]
pub struct MeanAbsoluteError {}

impl LossFunction for MeanAbsoluteError {
    fn class_name(&self) -> &str {
        "MeanAbsoluteError"
    }
    fn name(&self) -> &str {
        "mean_absolute_error"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        let difference = y_pred.subtract(&y_true.cast(y_pred.dtype())?)?;
        Ok(difference.abs()?.mean(&[-1], false)?)
    }
}
