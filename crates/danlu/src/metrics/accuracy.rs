//! Shares of right predictions.

use danlu_graph::{DType, Value};

use super::{Direction, FromConfig, MetricFunction};
use crate::losses::{align, last_is_one, shapes_differ, squeeze, without_last};
use crate::{Arguments, Config, Result, config};

/// Whether `y_pred` is `y_true`, for each element (Keras' `Accuracy`).
#[derive(Clone, Debug, Default)]
pub struct Accuracy {}

impl FromConfig for Accuracy {
    fn from_config(_: &mut Arguments) -> Result<Accuracy> {
        Ok(Accuracy {})
    }
}

impl MetricFunction for Accuracy {
    fn class_name(&self) -> &str {
        "Accuracy"
    }
    fn name(&self) -> &str {
        "accuracy"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        Ok(y_pred
            .equal(&y_true.cast(y_pred.dtype())?)?
            .cast(DType::F32)?)
    }
}

/// Whether `y_pred > threshold` is `y_true`, for each element (Keras' `BinaryAccuracy`).
#[derive(Clone, Debug)]
pub struct BinaryAccuracy {
    threshold: f64,
}

impl BinaryAccuracy {
    /// With the threshold 0.5.
    pub fn new() -> BinaryAccuracy {
        BinaryAccuracy { threshold: 0.5 }
    }

    /// The smallest number that still counts as 0; 0 for logits. Default 0.5.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> BinaryAccuracy {
        self.threshold = threshold;
        self
    }
}

impl Default for BinaryAccuracy {
    fn default() -> BinaryAccuracy {
        BinaryAccuracy::new()
    }
}

impl FromConfig for BinaryAccuracy {
    fn from_config(arguments: &mut Arguments) -> Result<BinaryAccuracy> {
        let threshold = arguments.number("threshold")?.unwrap_or(0.5);
        Ok(BinaryAccuracy { threshold })
    }
}

impl MetricFunction for BinaryAccuracy {
    fn class_name(&self) -> &str {
        "BinaryAccuracy"
    }
    fn name(&self) -> &str {
        "binary_accuracy"
    }
    fn config(&self) -> Config {
        config! { "threshold": self.threshold }
    }
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        let threshold = y_pred.graph().scalar(self.threshold, y_pred.dtype())?;
        let said = y_pred.greater(&threshold)?.cast(DType::F32)?;
        Ok(said.equal(&y_true.cast(DType::F32)?)?.cast(DType::F32)?)
    }
}

/// Whether the largest prediction stands where the largest target stands (Keras' `CategoricalAccuracy`).
#[derive(Clone, Debug, Default)]
pub struct CategoricalAccuracy {}

impl FromConfig for CategoricalAccuracy {
    fn from_config(_: &mut Arguments) -> Result<CategoricalAccuracy> {
        Ok(CategoricalAccuracy {})
    }
}

impl MetricFunction for CategoricalAccuracy {
    fn class_name(&self) -> &str {
        "CategoricalAccuracy"
    }
    fn name(&self) -> &str {
        "categorical_accuracy"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        let right = y_pred.argmax(-1)?.equal(&y_true.argmax(-1)?)?;
        Ok(right.cast(DType::F32)?)
    }
}

/// Whether the largest prediction stands at the target, a class index (Keras' `SparseCategoricalAccuracy`).
#[derive(Clone, Debug, Default)]
pub struct SparseCategoricalAccuracy {}

impl FromConfig for SparseCategoricalAccuracy {
    fn from_config(_: &mut Arguments) -> Result<SparseCategoricalAccuracy> {
        Ok(SparseCategoricalAccuracy {})
    }
}

impl MetricFunction for SparseCategoricalAccuracy {
    fn class_name(&self) -> &str {
        "SparseCategoricalAccuracy"
    }
    fn name(&self) -> &str {
        "sparse_categorical_accuracy"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let classes = class_indices(self.name(), y_true, y_pred)?;
        let said = y_pred.argmax(-1)?;
        let right = said.equal(&classes.cast(said.dtype())?)?;
        Ok(right.cast(DType::F32)?)
    }
}

/// Targets as one class index for each row of the predictions, `(batch, ...)`.
pub(super) fn class_indices(metric: &str, y_true: &Value, y_pred: &Value) -> Result<Value> {
    let mut classes = y_true.clone();
    if classes.shape().rank() == y_pred.shape().rank() && last_is_one(&classes) {
        classes = squeeze(&classes)?;
    }
    if classes.shape() != without_last(&y_pred.shape()) {
        let advice = "targets are one class index for each example";
        return Err(shapes_differ(metric, y_true, y_pred, advice));
    }
    Ok(classes)
}

/// What `accuracy` means for these shapes (Keras' `is_binary_or_sparse_categorical`).
pub(super) fn by_shapes(y_true: &Value, y_pred: &Value) -> Box<dyn MetricFunction> {
    if last_is_one(y_pred) {
        Box::new(BinaryAccuracy::new())
    } else if y_true.shape().rank() < y_pred.shape().rank() || last_is_one(y_true) {
        Box::new(SparseCategoricalAccuracy {})
    } else {
        Box::new(CategoricalAccuracy {})
    }
}
