//! Binary cross-entropy.

use danlu_graph::Value;

use super::logits::logits;
use super::terms::{
    axis_of_example, check_smoothing, cut, one_minus, read_axis, smoothed, softplus,
};
use super::{Expects, FromConfig, LossFunction, align};
use crate::{Arguments, Config, Result, config};

/// `-(y ln p + (1 - y) ln(1 - p))`, the mean over an axis (Keras' `BinaryCrossentropy`).
///
/// Of logits `x`: `max(x, 0) - x y + ln(1 + e^-|x|)`. Probabilities are cut to `[1e-7, 1 - 1e-7]`; those that a sigmoid
/// made are not looked at, but the logits before it.
#[derive(Clone, Debug)]
pub struct BinaryCrossentropy {
    from_logits: bool,
    label_smoothing: f64,
    axis: isize,
}

impl BinaryCrossentropy {
    /// The loss on probabilities.
    pub fn new() -> BinaryCrossentropy {
        BinaryCrossentropy {
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
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

    /// The axis that the mean is over. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> BinaryCrossentropy {
        self.axis = axis;
        self
    }
}

impl Default for BinaryCrossentropy {
    fn default() -> BinaryCrossentropy {
        BinaryCrossentropy::new()
    }
}

impl BinaryCrossentropy {
    /// Of arguments by Keras' names.
    pub(crate) fn read(arguments: &mut Arguments) -> Result<BinaryCrossentropy> {
        Self::from_config(arguments)
    }
}

impl FromConfig for BinaryCrossentropy {
    fn from_config(arguments: &mut Arguments) -> Result<BinaryCrossentropy> {
        let loss = BinaryCrossentropy {
            from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
            label_smoothing: arguments.number("label_smoothing")?.unwrap_or(0.0),
            axis: read_axis(arguments)?,
        };
        check_smoothing(arguments.owner(), loss.label_smoothing)?;
        Ok(loss)
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
            "axis": self.axis,
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
        check_smoothing(self.class_name(), self.label_smoothing)?;
        axis_of_example(self.class_name(), self.axis, y_pred)?;
        let behind = logits(y_pred, self.from_logits);
        let (y_true, prediction) = align(self.name(), y_true, behind.as_ref().unwrap_or(y_pred))?;
        let y = smoothed(y_true.cast(prediction.dtype())?, self.label_smoothing, 0.5)?;
        let values = match behind {
            Some(_) => of_logits(&y, &prediction)?,
            None => of_probabilities(&y, &prediction)?,
        };
        Ok(values.mean(&[self.axis], false)?)
    }
}

/// `max(x, 0) - x y + ln(1 + e^-|x|)` of each element.
pub(super) fn of_logits(y: &Value, x: &Value) -> Result<Value> {
    Ok(softplus(x)?.subtract(&x.multiply(y)?)?)
}

/// `-(y ln p + (1 - y) ln(1 - p))` of each element, with p cut to `[1e-7, 1 - 1e-7]`.
pub(super) fn of_probabilities(y: &Value, p: &Value) -> Result<Value> {
    let p = cut(p)?;
    let hit = y.multiply(&p.log()?)?;
    let miss = one_minus(y)?.multiply(&one_minus(&p)?.log()?)?;
    Ok(hit.add(&miss)?.negate()?)
}
