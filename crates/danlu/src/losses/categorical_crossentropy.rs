//! Cross-entropy against probabilities of classes.

use danlu_graph::{DType, Value};

use super::logits::logits;
use super::terms::{
    axis_of_example, check_smoothing, proportions, read_axis, share_of_classes, smoothed, to_last,
};
use super::{Expects, FromConfig, LossFunction, align};
use crate::{Arguments, Config, Result, config};

/// `-sum y ln p` over the axis of the classes, where targets are one-hot or probabilities (Keras' `CategoricalCrossentropy`).
///
/// Probabilities are divided by their sum and cut to `[1e-7, 1 - 1e-7]`; those that a softmax made are not looked at, but
/// the logits before it.
#[derive(Clone, Debug)]
pub struct CategoricalCrossentropy {
    from_logits: bool,
    label_smoothing: f64,
    axis: isize,
}

impl CategoricalCrossentropy {
    /// The loss on probabilities.
    pub fn new() -> CategoricalCrossentropy {
        CategoricalCrossentropy {
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> CategoricalCrossentropy {
        self.from_logits = from_logits;
        self
    }

    /// From 0 to 1: targets become `y (1 - s) + s / n`, where n is the size of the last axis. Default 0.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> CategoricalCrossentropy {
        self.label_smoothing = label_smoothing;
        self
    }

    /// The axis of the classes. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> CategoricalCrossentropy {
        self.axis = axis;
        self
    }
}

impl Default for CategoricalCrossentropy {
    fn default() -> CategoricalCrossentropy {
        CategoricalCrossentropy::new()
    }
}

impl CategoricalCrossentropy {
    /// Of arguments by Keras' names.
    pub(crate) fn read(arguments: &mut Arguments) -> Result<CategoricalCrossentropy> {
        Self::from_config(arguments)
    }
}

impl FromConfig for CategoricalCrossentropy {
    fn from_config(arguments: &mut Arguments) -> Result<CategoricalCrossentropy> {
        let loss = CategoricalCrossentropy {
            from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
            label_smoothing: arguments.number("label_smoothing")?.unwrap_or(0.0),
            axis: read_axis(arguments)?,
        };
        check_smoothing(arguments.owner(), loss.label_smoothing)?;
        Ok(loss)
    }
}

/// Targets and predictions of one shape; targets that look like class indices are refused by name.
pub(super) fn align_classes(
    loss: &str,
    y_true: &Value,
    prediction: &Value,
) -> Result<(Value, Value)> {
    if y_true.shape().rank() + 1 == prediction.shape().rank() && y_true.dtype() != DType::F32 {
        return Err(super::shapes_differ(
            loss,
            y_true,
            prediction,
            "the targets look like class indices: use sparse_categorical_crossentropy",
        ));
    }
    align(loss, y_true, prediction)
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
            "axis": self.axis,
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
        axis_of_example(self.class_name(), self.axis, y_pred)?;
        let behind = logits(y_pred, self.from_logits);
        let prediction = behind.as_ref().unwrap_or(y_pred);
        let (y_true, prediction) = align_classes(self.name(), y_true, prediction)?;
        let share = share_of_classes(&y_true);
        let y = smoothed(
            y_true.cast(prediction.dtype())?,
            self.label_smoothing,
            share,
        )?;
        if behind.is_some() {
            return Ok(to_last(&prediction, self.axis)?.cross_entropy(&to_last(&y, self.axis)?)?);
        }
        let p = proportions(&prediction, self.axis)?;
        Ok(y.multiply(&p.log()?)?.sum(&[self.axis], false)?.negate()?)
    }
}
