//! Whether the target is among the largest predictions.

use danlu_graph::{DType, Value};

use super::accuracy::class_indices;
use super::{Direction, FromConfig, MetricFunction};
use crate::losses::align;
use crate::{Arguments, Config, Error, Result, config};

macro_rules! top_k_accuracy {
    ($(#[$meta:meta])* $name:ident, $key:literal, $classes:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            k: usize,
        }

        impl $name {
            /// Among the 5 largest.
            pub fn new() -> $name {
                $name { k: 5 }
            }

            /// Among how many, at least 1. Default 5.
            #[must_use]
            pub fn k(mut self, k: usize) -> $name {
                self.k = k;
                self
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new()
            }
        }

        impl FromConfig for $name {
            fn from_config(arguments: &mut Arguments) -> Result<$name> {
                let k = arguments.positive("k")?.unwrap_or(5);
                arguments.unsupported("from_sorted_ids", &[false.into()])?;
                Ok($name { k })
            }
        }

        impl MetricFunction for $name {
            fn class_name(&self) -> &str {
                stringify!($name)
            }
            fn name(&self) -> &str {
                $key
            }
            fn config(&self) -> Config {
                config! { "k": self.k }
            }
            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
            fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
                if self.k == 0 {
                    return Err(Error::argument(stringify!($name), "k", "at least 1", 0));
                }
                let classes = $classes($key, y_true, y_pred)?;
                among_largest(&classes, y_pred, self.k)
            }
        }
    };
}

top_k_accuracy! {
    /// Whether fewer than k predictions are larger than that of the largest target (Keras' `TopKCategoricalAccuracy`): equals
    /// count as in. Where a prediction is infinite or NaN, nothing is in.
    TopKCategoricalAccuracy, "top_k_categorical_accuracy", of_one_hot
}
top_k_accuracy! {
    /// Whether fewer than k predictions are larger than that of the target, a class index (Keras'
    /// `SparseTopKCategoricalAccuracy`): equals count as in. Where a prediction is infinite or NaN, nothing is in.
    SparseTopKCategoricalAccuracy, "sparse_top_k_categorical_accuracy", class_indices
}

fn of_one_hot(metric: &str, y_true: &Value, y_pred: &Value) -> Result<Value> {
    let (y_true, _) = align(metric, y_true, y_pred)?;
    Ok(y_true.argmax(-1)?)
}

/// As TensorFlow's `in_top_k`: 1 or 0 for each class index `(..)`, against predictions `(.., classes)`.
fn among_largest(classes: &Value, y_pred: &Value, k: usize) -> Result<Value> {
    let graph = y_pred.graph();
    let mut column = classes.shape();
    column.dims_mut().push(1.into());
    let classes = classes.cast(DType::I32)?.reshape(&column)?;
    let is_target = graph
        .iota(y_pred.shape(), -1, DType::I32)?
        .equal(&classes)?;
    let zero = graph.scalar(0.0, y_pred.dtype())?;
    let target = is_target.select(y_pred, &zero)?.sum(&[-1], true)?;
    let count = |truths: &Value| truths.cast(DType::F32)?.sum(&[-1], false);
    let larger = count(&y_pred.greater(&target)?)?;
    let few = larger.less(&graph.scalar(k as f64, DType::F32)?)?;
    let none = graph.scalar(0.0, DType::F32)?;
    let finite = count(&y_pred.is_finite()?.logical_not()?)?.equal(&none)?;
    let exists = count(&is_target)?.greater(&none)?;
    Ok(few
        .logical_and(&finite)?
        .logical_and(&exists)?
        .cast(DType::F32)?)
}
