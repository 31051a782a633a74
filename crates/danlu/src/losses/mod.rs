//! Losses: what training makes small. One file per loss or family; names stand in `registry`.

mod align;
mod binary_crossentropy;
mod binary_focal_crossentropy;
mod categorical_crossentropy;
mod categorical_focal_crossentropy;
mod categorical_generalized_cross_entropy;
mod circle;
mod cosine_similarity;
mod ctc;
mod custom;
mod divergences;
mod errors;
mod hinges;
mod huber;
mod json;
mod logits;
mod overlap;
mod registry;
mod sparse_categorical_crossentropy;
mod terms;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::{DType, Graph, Shape, Value};

use crate::{Arguments, Config, Error, Result};

pub(crate) use align::{align, broadcast_weights, last_is_one, squeeze};
pub use binary_crossentropy::BinaryCrossentropy;
pub use binary_focal_crossentropy::BinaryFocalCrossentropy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub use categorical_focal_crossentropy::CategoricalFocalCrossentropy;
pub use categorical_generalized_cross_entropy::CategoricalGeneralizedCrossEntropy;
pub use circle::Circle;
pub use cosine_similarity::CosineSimilarity;
pub(crate) use cosine_similarity::cosine;
pub use ctc::CTC;
pub use divergences::{KLDivergence, Poisson};
pub use errors::{
    LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
    MeanSquaredLogarithmicError,
};
pub use hinges::{CategoricalHinge, Hinge, SquaredHinge};
pub use huber::Huber;
pub(crate) use json::own_object;
pub(crate) use logits::{OutputKind, output_kind};
pub use overlap::{Dice, Tversky};
pub(crate) use registry::function_name;
pub use registry::{names, register_loss};
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;
pub(crate) use terms::axis_of_example;

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

    /// Which of the values count: truth values of their shape, or `None` where all do. A mean is over those that count.
    ///
    /// # Errors
    /// The shapes do not fit.
    fn mask(&self, y_true: &Value, values: &Value) -> Result<Option<Value>> {
        let _ = (y_true, values);
        Ok(None)
    }

    /// Whether targets are class indices, so that each must be below the number of outputs.
    fn takes_class_indices(&self) -> bool {
        false
    }

    /// A class index that counts for nothing, and so need not be below the number of outputs.
    fn ignored_class(&self) -> Option<i64> {
        None
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
    /// Probabilities, of which no logits are looked for, as this activation gives them.
    Probabilities(&'static str),
}

/// A loss that can be made of arguments by Keras' names.
trait FromConfig: LossFunction + Sized {
    /// Takes its arguments, beside `name` and `reduction`.
    fn from_config(arguments: &mut Arguments) -> Result<Self>;
}

/// A loss without arguments, as a function of targets and predictions of one shape and dtype.
macro_rules! plain_loss {
    ($(#[$meta:meta])* $name:ident, $key:literal, $values:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {}

        impl $crate::losses::LossFunction for $name {
            fn class_name(&self) -> &str {
                stringify!($name)
            }
            fn name(&self) -> &str {
                $key
            }
            fn config(&self) -> $crate::Config {
                $crate::Config::new()
            }
            fn values(&self, y_true: &danlu_graph::Value, y_pred: &danlu_graph::Value) -> $crate::Result<danlu_graph::Value> {
                let (y_true, y_pred) = $crate::losses::align($key, y_true, y_pred)?;
                let function: fn(&danlu_graph::Value, &danlu_graph::Value) -> $crate::Result<danlu_graph::Value> = $values;
                function(&y_true.cast(y_pred.dtype())?, &y_pred)
            }
        }

        impl $crate::losses::FromConfig for $name {
            fn from_config(_: &mut $crate::Arguments) -> $crate::Result<$name> {
                Ok($name {})
            }
        }
    };
}
use plain_loss;

/// How the losses of a batch become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum, weighted, divided by their number.
    #[default]
    SumOverBatchSize,
    /// Their sum, weighted.
    Sum,
    /// Their sum, weighted, divided by the sum of the weights; 0 where that is 0.
    MeanWithSampleWeight,
}

/// A loss with its name and reduction, as `compile` takes it.
#[derive(Clone, Debug)]
pub struct Loss {
    function: Arc<dyn LossFunction>,
    /// The text that it was given as, which is what Keras writes into files.
    given: Option<String>,
    /// A name of its own in files.
    name: Option<String>,
    reduction: Reduction,
}

impl Loss {
    /// A loss from a type of this module or of your own.
    pub fn new(function: impl LossFunction) -> Loss {
        Loss {
            function: Arc::new(function),
            given: None,
            name: None,
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

    /// What it computes, to be kept elsewhere as well.
    pub(crate) fn shared_function(&self) -> Arc<dyn LossFunction> {
        Arc::clone(&self.function)
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
        let shape = values.shape();
        let mut factor = match weights {
            // One number for the whole batch is weighted by the mean of the weights, as Keras does.
            Some(weights) if shape.rank() == 0 => Some(weights.clone()),
            Some(weights) => Some(broadcast_weights(weights, &shape)?),
            None => None,
        };
        if let Some(mask) = self.function.mask(y_true, &values)? {
            let mut mask = mask.cast(DType::F32)?;
            if self.reduction == Reduction::SumOverBatchSize {
                // What counts is weighted up, so that the mean is over what counts.
                let all = mask
                    .graph()
                    .dimension_size(&shape.element_count(), DType::F32)?;
                let valid = mask.sum_all()?.maximum_scalar(1.0)?;
                mask = mask.multiply(&all.divide(&valid)?)?;
            }
            factor = Some(match factor {
                Some(factor) => factor.multiply(&mask)?,
                None => mask,
            });
        }
        if let Some(factor) = &factor {
            values = values.multiply(factor)?;
        }
        let total = values.sum_all()?;
        let count = values.shape().element_count();
        let count = |graph: &Graph| graph.dimension_size(&count, DType::F32);
        Ok(match (self.reduction, factor) {
            (Reduction::Sum, _) => total,
            (Reduction::MeanWithSampleWeight, Some(factor)) => {
                let graph = total.graph();
                let divisor = factor.sum_all()?;
                let zero = graph.scalar(0.0, DType::F32)?;
                let none = divisor.equal(&zero)?;
                let divisor = none.select(&graph.scalar(1.0, DType::F32)?, &divisor)?;
                none.select(&zero, &total.divide(&divisor)?)?
            }
            (Reduction::SumOverBatchSize | Reduction::MeanWithSampleWeight, _) => {
                total.divide(&count(total.graph())?)?
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
