//! Losses as metrics.

use danlu_graph::Value;

use super::MetricFunction;
use crate::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, LossFunction, MeanAbsoluteError, MeanSquaredError,
    SparseCategoricalCrossentropy,
};
use crate::{Arguments, Config, Result};

macro_rules! error_metric {
    ($(#[$meta:meta])* $name:ident, $loss:ident, $class:literal, $key:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {}

        impl MetricFunction for $name {
            fn class_name(&self) -> &str {
                $class
            }
            fn name(&self) -> &str {
                $key
            }
            fn config(&self) -> Config {
                Config::new()
            }
            fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
                $loss {}.values(y_true, y_pred)
            }
        }
    };
}

error_metric! {
    /// Mean absolute error (Keras' metric `MeanAbsoluteError`).
    MeanAbsoluteErrorMetric, MeanAbsoluteError, "MeanAbsoluteError", "mean_absolute_error"
}
error_metric! {
    /// Mean squared error (Keras' metric `MeanSquaredError`).
    MeanSquaredErrorMetric, MeanSquaredError, "MeanSquaredError", "mean_squared_error"
}

/// A cross-entropy, as it is reported beside another loss (Keras' metrics of the same names).
#[derive(Debug)]
pub(super) struct CrossentropyMetric(Box<dyn LossFunction>);

impl CrossentropyMetric {
    pub fn binary(arguments: &mut Arguments) -> Result<CrossentropyMetric> {
        let loss = BinaryCrossentropy::new()
            .from_logits(arguments.boolean("from_logits")?.unwrap_or(false))
            .label_smoothing(arguments.number("label_smoothing")?.unwrap_or(0.0));
        arguments.unsupported("axis", &[(-1).into()])?;
        Ok(CrossentropyMetric(Box::new(loss)))
    }

    pub fn categorical(arguments: &mut Arguments) -> Result<CrossentropyMetric> {
        let loss = CategoricalCrossentropy::new()
            .from_logits(arguments.boolean("from_logits")?.unwrap_or(false))
            .label_smoothing(arguments.number("label_smoothing")?.unwrap_or(0.0));
        arguments.unsupported("axis", &[(-1).into()])?;
        Ok(CrossentropyMetric(Box::new(loss)))
    }

    pub fn sparse(arguments: &mut Arguments) -> Result<CrossentropyMetric> {
        let loss = SparseCategoricalCrossentropy::new()
            .from_logits(arguments.boolean("from_logits")?.unwrap_or(false));
        arguments.unsupported("axis", &[(-1).into()])?;
        Ok(CrossentropyMetric(Box::new(loss)))
    }
}

impl MetricFunction for CrossentropyMetric {
    fn class_name(&self) -> &str {
        self.0.class_name()
    }
    fn name(&self) -> &str {
        self.0.name()
    }
    fn config(&self) -> Config {
        let mut config = self.0.config();
        config.shift_remove("ignore_class");
        config
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.0.values(y_true, y_pred)
    }
}
