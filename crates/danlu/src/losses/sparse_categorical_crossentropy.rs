//! Cross-entropy against class indices.

use danlu_graph::{DType, Value};

use super::align::{last_is_one, squeeze};
use super::logits::logits;
use super::terms::cut;
use super::{Expects, FromConfig, LossFunction, shapes_differ, without_last};
use crate::{Arguments, Config, Result, config};

/// `-ln p[class]`, where targets are class indices `(batch, ...)` or `(batch, ..., 1)`, of integers or floats (Keras'
/// `SparseCategoricalCrossentropy`).
///
/// With `ignore_class`, a mean is over the other examples or steps only.
///
/// Probabilities are cut to `[1e-7, 1 - 1e-7]` and then taken as a softmax of their logarithms, as Keras does; those that
/// a softmax made are not looked at, but the logits before it.
#[derive(Clone, Debug, Default)]
pub struct SparseCategoricalCrossentropy {
    from_logits: bool,
    ignore_class: Option<i64>,
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

    /// A class, which need not be one of the outputs, whose examples or steps count for nothing. Default: none.
    #[must_use]
    pub fn ignore_class(mut self, class: i64) -> SparseCategoricalCrossentropy {
        self.ignore_class = Some(class);
        self
    }
}

impl SparseCategoricalCrossentropy {
    /// Of arguments by Keras' names.
    pub(crate) fn read(arguments: &mut Arguments) -> Result<SparseCategoricalCrossentropy> {
        Self::from_config(arguments)
    }
}

impl FromConfig for SparseCategoricalCrossentropy {
    fn from_config(arguments: &mut Arguments) -> Result<SparseCategoricalCrossentropy> {
        let loss = SparseCategoricalCrossentropy {
            from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
            ignore_class: arguments.integer("ignore_class")?,
        };
        arguments.unsupported("axis", &[(-1).into()])?;
        Ok(loss)
    }
}

/// Classes as integers of 32 bits or as they are, in the shape of the losses, `(batch, ...)`.
fn classes(y_true: &Value) -> Result<Value> {
    Ok(match y_true.dtype() {
        DType::I64 => y_true.clone(),
        _ => y_true.cast(DType::I32)?,
    })
}

/// Where the class is another than the one to ignore.
fn counts(classes: &Value, ignored: i64) -> Result<Value> {
    let ignored = classes.graph().scalar(ignored as f64, classes.dtype())?;
    Ok(classes.not_equal(&ignored)?)
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
            "ignore_class": self.ignore_class,
        }
    }
    fn takes_class_indices(&self) -> bool {
        true
    }
    fn ignored_class(&self) -> Option<i64> {
        self.ignore_class
    }
    fn mask(&self, y_true: &Value, values: &Value) -> Result<Option<Value>> {
        let Some(ignored) = self.ignore_class else {
            return Ok(None);
        };
        let mask = counts(&classes(y_true)?, ignored)?;
        Ok(Some(mask.reshape(&values.shape())?))
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
            None => cut(y_pred)?.log()?,
        };
        let mut y = y_true.clone();
        if y.shape().rank() == logits.shape().rank() && last_is_one(&y) {
            y = squeeze(&y)?;
        }
        if y.shape() != without_last(&logits.shape()) {
            return Err(shapes_differ(
                self.name(),
                y_true,
                y_pred,
                "targets are one class index for each example; one-hot targets need categorical_crossentropy",
            ));
        }
        let Some(ignored) = self.ignore_class else {
            if y.dtype().is_float() || y.dtype() == DType::Bool {
                y = y.cast(DType::I32)?;
            }
            return Ok(logits.sparse_cross_entropy(&y)?);
        };
        let y = classes(&y)?;
        let counts = counts(&y, ignored)?;
        let y = counts.select(&y, &y.graph().scalar(0.0, y.dtype())?)?;
        let zero = logits.graph().scalar(0.0, logits.dtype())?;
        Ok(counts.select(&logits.sparse_cross_entropy(&y)?, &zero)?)
    }
}
