//! Cross-entropy against probabilities of classes.

use danlu_graph::{DType, Value};

use super::logits::logits;
use super::{EPSILON, Expects, LossFunction, align};
use crate::{Config, Error, Result, config};

/// `-sum y ln p` over the last axis, where targets are one-hot or probabilities (Keras' `CategoricalCrossentropy`).
///
/// Probabilities are divided by their sum and cut to `[1e-7, 1 - 1e-7]`; those that a softmax made are not looked at, but
/// the logits before it.
#[derive(Clone, Debug, Default)]
pub struct CategoricalCrossentropy {
    pub(super) from_logits: bool,
    pub(super) label_smoothing: f64,
}

impl CategoricalCrossentropy {
    /// The loss on probabilities.
    pub fn new() -> CategoricalCrossentropy {
        CategoricalCrossentropy::default()
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> CategoricalCrossentropy {
        self.from_logits = from_logits;
        self
    }

    /// From 0 to 1: targets become `y (1 - s) + s / classes`. Default 0.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> CategoricalCrossentropy {
        self.label_smoothing = label_smoothing;
        self
    }
}

/// Fails unless a label smoothing is from 0 to 1.
pub(super) fn check_smoothing(owner: &str, label_smoothing: f64) -> Result<()> {
    if (0.0..=1.0).contains(&label_smoothing) {
        Ok(())
    } else {
        let expected = "from 0 to 1";
        Err(Error::argument(
            owner,
            "label_smoothing",
            expected,
            label_smoothing,
        ))
    }
}

impl LossFunction for CategoricalCrossentropy {
    fn class_name(&self) -> &str {
        "CategoricalCrossentropy"
    }
    fn name(&self) -> &str {
        "categorical_crossentropy"
    }
    fn config(&self) -> Config {
        config! {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": -1,
        }
    }
    fn expects(&self) -> Option<Expects> {
        Some(if self.from_logits {
            Expects::Logits
        } else {
            Expects::Softmax
        })
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        check_smoothing(self.class_name(), self.label_smoothing)?;
        let behind = logits(y_pred, self.from_logits);
        let prediction = behind.as_ref().unwrap_or(y_pred);
        if y_true.shape().rank() + 1 == prediction.shape().rank() && y_true.dtype() != DType::F32 {
            return Err(super::shapes_differ(
                self.name(),
                y_true,
                y_pred,
                "the targets look like class indices: use sparse_categorical_crossentropy",
            ));
        }
        let (y_true, prediction) = align(self.name(), y_true, prediction)?;
        let mut y = y_true.cast(prediction.dtype())?;
        if self.label_smoothing != 0.0 {
            let shape = prediction.shape();
            let classes = shape
                .dims()
                .last()
                .and_then(|dim| dim.as_fixed())
                .unwrap_or(1);
            y = y
                .multiply_scalar(1.0 - self.label_smoothing)?
                .add_scalar(self.label_smoothing / classes as f64)?;
        }
        if behind.is_some() {
            return Ok(prediction.cross_entropy(&y)?);
        }
        let p = prediction
            .divide(&prediction.sum(&[-1], true)?)?
            .maximum_scalar(EPSILON)?
            .minimum_scalar(1.0 - EPSILON)?;
        Ok(y.multiply(&p.log()?)?.sum(&[-1], false)?.negate()?)
    }
}
