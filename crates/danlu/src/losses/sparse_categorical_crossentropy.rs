//! Cross-entropy against class indices.

use danlu_graph::{DType, Value};

use super::align::{last_is_one, squeeze};
use super::logits::logits;
use super::{EPSILON, Expects, LossFunction, shapes_differ, without_last};
use crate::{Config, Result, config};

/// `-ln p[class]`, where targets are class indices `(batch, ...)` or `(batch, ..., 1)`, of integers or floats (Keras'
/// `SparseCategoricalCrossentropy`).
///
/// Probabilities are cut to `[1e-7, 1 - 1e-7]` and then taken as a softmax of their logarithms, as Keras does; those that
/// a softmax made are not looked at, but the logits before it.
#[derive(Clone, Debug, Default)]
pub struct SparseCategoricalCrossentropy {
    pub(super) from_logits: bool,
}

impl SparseCategoricalCrossentropy {
    /// The loss on probabilities.
    pub fn new() -> SparseCategoricalCrossentropy {
        SparseCategoricalCrossentropy::default()
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> SparseCategoricalCrossentropy {
        self.from_logits = from_logits;
        self
    }
}

impl LossFunction for SparseCategoricalCrossentropy {
    fn class_name(&self) -> &str {
        "SparseCategoricalCrossentropy"
    }
    fn name(&self) -> &str {
        "sparse_categorical_crossentropy"
    }
    fn config(&self) -> Config {
        config! {
            "from_logits": self.from_logits,
            "ignore_class": null,
        }
    }
    fn takes_class_indices(&self) -> bool {
        true
    }
    fn expects(&self) -> Option<Expects> {
        Some(if self.from_logits {
            Expects::Logits
        } else {
            Expects::Softmax
        })
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let logits = match logits(y_pred, self.from_logits) {
            Some(logits) => logits,
            None => y_pred
                .maximum_scalar(EPSILON)?
                .minimum_scalar(1.0 - EPSILON)?
                .log()?,
        };
        let mut classes = y_true.clone();
        if classes.shape().rank() == logits.shape().rank() && last_is_one(&classes) {
            classes = squeeze(&classes)?;
        }
        if classes.shape() != without_last(&logits.shape()) {
            return Err(shapes_differ(
                self.name(),
                y_true,
                y_pred,
                "targets are one class index for each example; one-hot targets need categorical_crossentropy",
            ));
        }
        if classes.dtype().is_float() || classes.dtype() == DType::Bool {
            classes = classes.cast(DType::I32)?;
        }
        Ok(logits.sparse_cross_entropy(&classes)?)
    }
}
