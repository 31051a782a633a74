//! Binary cross-entropy.

use danlu_graph::Value;

use super::logits::logits;
use super::{EPSILON, Expects, LossFunction, align};
use crate::{Config, Result, config};

/// `-(y ln p + (1 - y) ln(1 - p))`, the mean over the last axis (Keras' `BinaryCrossentropy`).
///
/// Of logits `x`: `max(x, 0) - x y + ln(1 + e^-|x|)`. Probabilities are cut to `[1e-7, 1 - 1e-7]`; those that a sigmoid
/// made are not looked at, but the logits before it.
#[derive(Clone, Debug, Default)]
pub struct BinaryCrossentropy {
    pub(super) from_logits: bool,
    pub(super) label_smoothing: f64,
}

impl BinaryCrossentropy {
    /// The loss on probabilities.
    pub fn new() -> BinaryCrossentropy {
        BinaryCrossentropy::default()
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> BinaryCrossentropy {
        self.from_logits = from_logits;
        self
    }

    /// From 0 to 1: targets become `y (1 - s) + s / 2`. Default 0.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> BinaryCrossentropy {
        self.label_smoothing = label_smoothing;
        self
    }
}

impl LossFunction for BinaryCrossentropy {
    fn class_name(&self) -> &str {
        "BinaryCrossentropy"
    }
    fn name(&self) -> &str {
        "binary_crossentropy"
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
            Expects::Sigmoid
        })
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        super::categorical_crossentropy::check_smoothing(self.class_name(), self.label_smoothing)?;
        let behind = logits(y_pred, self.from_logits);
        let (y_true, prediction) = align(self.name(), y_true, behind.as_ref().unwrap_or(y_pred))?;
        let mut y = y_true.cast(prediction.dtype())?;
        if self.label_smoothing != 0.0 {
            y = y
                .multiply_scalar(1.0 - self.label_smoothing)?
                .add_scalar(0.5 * self.label_smoothing)?;
        }
        let values = if behind.is_some() {
            let x = prediction;
            // TensorFlow's form: the slope at 0 is that from the right, also of the kinks.
            let zero = x.graph().scalar(0.0, x.dtype())?;
            let positive = x.greater_equal(&zero)?;
            let minus_size = positive.select(&x.negate()?, &x)?;
            let tail = minus_size.exp()?.log1p()?;
            positive
                .select(&x, &zero)?
                .subtract(&x.multiply(&y)?)?
                .add(&tail)?
        } else {
            let p = prediction
                .maximum_scalar(EPSILON)?
                .minimum_scalar(1.0 - EPSILON)?;
            let one_minus = |value: &Value| value.negate()?.add_scalar(1.0);
            let hit = y.multiply(&p.log()?)?;
            let miss = one_minus(&y)?.multiply(&one_minus(&p)?.log()?)?;
            hit.add(&miss)?.negate()?
        };
        Ok(values.mean(&[-1], false)?)
    }
}
