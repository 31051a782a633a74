//! Losses: what training makes small. One file per loss.

mod align;
mod binary_crossentropy;
mod categorical_crossentropy;
mod custom;
mod json;
mod logits;
mod mean_absolute_error;
mod mean_squared_error;
mod sparse_categorical_crossentropy;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::{DType, Shape, Value};

use crate::{Config, Error, Result};

pub(crate) use align::{align, broadcast_weights};
pub use binary_crossentropy::BinaryCrossentropy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub(crate) use logits::{OutputKind, output_kind};
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_squared_error::MeanSquaredError;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;

/// What Keras clips probabilities to.
pub(crate) const EPSILON: f64 = 1e-7;

/// A loss: one number for each example (or each step of each example).
pub trait LossFunction: Send + Sync + Debug + 'static {
    /// Keras' class name, such as `MeanSquaredError`.
    fn class_name(&self) -> &str;

    /// Keras' name, such as `mean_squared_error`.
    fn name(&self) -> &str;

    /// The arguments beside `name` and `reduction`, by Keras' names.
    fn config(&self) -> Config;

    /// The loss of each example: targets `(batch, ...)` of any dtype and predictions `(batch, ..., outputs)` to f32
    /// `(batch, ...)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value>;

    /// Whether targets are class indices, so that each must be below the number of outputs.
    fn takes_class_indices(&self) -> bool {
        false
    }

    /// What this loss expects of a model's last operation; `None` where anything will do.
    fn expects(&self) -> Option<Expects> {
        None
    }
}

/// What a cross-entropy expects of the model's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Logits: anything.
    Logits,
    /// Probabilities that sum to 1: the output of a softmax.
    Softmax,
    /// A probability for each output: the output of a sigmoid.
    Sigmoid,
}

/// How the losses of a batch become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum, weighted, divided by their number.
    #[default]
    SumOverBatchSize,
    /// Their sum, weighted.
    Sum,
}

/// A loss with its name and reduction, as `compile` takes it.
#[derive(Clone, Debug)]
pub struct Loss {
    function: Arc<dyn LossFunction>,
    /// The text that it was given as, which is what Keras writes into files.
    given: Option<String>,
    reduction: Reduction,
}

impl Loss {
    /// A loss from a type of this module or of your own.
    pub fn new(function: impl LossFunction) -> Loss {
        Loss {
            function: Arc::new(function),
            given: None,
            reduction: Reduction::default(),
        }
    }

    /// A loss written as a closure over graph values: from targets and predictions to one number for each example.
    ///
    /// ```
    /// use danlu::losses::Loss;
    /// let loss = Loss::custom("cubic", |y_true, y_pred| {
    ///     let difference = y_pred.subtract(y_true)?.abs()?;
    ///     difference.square()?.multiply(&difference)?.mean(&[-1], false)
    /// });
    /// ```
    pub fn custom<F>(name: &str, function: F) -> Loss
    where
        F: Fn(&Value, &Value) -> danlu_graph::Result<Value> + Send + Sync + 'static,
    {
        Loss::new(custom::CustomLoss::new(name, function))
    }

    /// The same loss with another reduction.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Loss {
        self.reduction = reduction;
        self
    }

    /// What it computes.
    pub fn function(&self) -> &dyn LossFunction {
        &*self.function
    }

    /// The loss of a batch: one f32 without axes. `weights` are f32 `(batch)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn reduce(&self, y_true: &Value, y_pred: &Value, weights: Option<&Value>) -> Result<Value> {
        let mut values = self.function.values(y_true, y_pred)?.cast(DType::F32)?;
        let count = values.shape().element_count();
        if let Some(weights) = weights {
            values = values.multiply(&broadcast_weights(weights, &values.shape())?)?;
        }
        Ok(match self.reduction {
            Reduction::Sum => values.sum_all()?,
            Reduction::SumOverBatchSize => {
                let count = values.graph().dimension_size(&count, DType::F32)?;
                values.sum_all()?.divide(&count)?
            }
        })
    }
}

/// What `compile` takes as a loss: a name, a [`Loss`], or one of the types of this module.
pub trait IntoLoss {
    /// The loss.
    ///
    /// # Errors
    /// The name stands for nothing.
    fn into_loss(self) -> Result<Loss>;
}

impl IntoLoss for Loss {
    fn into_loss(self) -> Result<Loss> {
        Ok(self)
    }
}

impl IntoLoss for &str {
    fn into_loss(self) -> Result<Loss> {
        Loss::from_name(self)
    }
}

impl<F: LossFunction> IntoLoss for F {
    fn into_loss(self) -> Result<Loss> {
        Ok(Loss::new(self))
    }
}

/// An error about targets and predictions that do not fit.
pub(crate) fn shapes_differ(loss: &str, y_true: &Value, y_pred: &Value, advice: &str) -> Error {
    Error::mismatch(
        loss,
        format!("targets that fit the predictions {}", y_pred.shape()),
        format!("targets {}", y_true.shape()),
        advice,
    )
}

/// A shape without its last axis.
pub(crate) fn without_last(shape: &Shape) -> Shape {
    let dims = shape.dims();
    Shape::from(dims[..dims.len().saturating_sub(1)].to_vec())
}

#[cfg(test)]
mod tests;
