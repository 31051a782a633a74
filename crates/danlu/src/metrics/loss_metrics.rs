//! Losses as metrics.

use std::sync::Arc;

use danlu_graph::Value;

use super::{Direction, FromConfig, MetricFunction, mean};
use crate::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, LossFunction, MeanAbsoluteError,
    MeanSquaredError, SparseCategoricalCrossentropy,
};
use crate::{Arguments, Config, Result};

/// The mean of a loss over examples, as it is reported beside another loss (Keras' metrics of the losses' names).
#[derive(Clone, Debug)]
pub struct LossMetric {
    loss: Arc<dyn LossFunction>,
    class_name: Option<&'static str>,
    name: Option<&'static str>,
    /// The arguments of the loss that Keras' metric has too.
    arguments: &'static [&'static str],
}

impl LossMetric {
    /// The mean of this loss.
    pub fn new(loss: impl LossFunction) -> LossMetric {
        LossMetric::from_function(Arc::new(loss))
    }

    /// The mean of a loss without its reduction.
    pub(super) fn of(loss: &Loss) -> LossMetric {
        LossMetric::from_function(loss.shared_function())
    }

    fn from_function(loss: Arc<dyn LossFunction>) -> LossMetric {
        let arguments: &[&str] = match loss.class_name() {
            "BinaryCrossentropy" => &["from_logits", "label_smoothing"],
            "CategoricalCrossentropy" => &["from_logits", "label_smoothing", "axis"],
            "SparseCategoricalCrossentropy" => &["from_logits", "ignore_class"],
            _ => &[],
        };
        let (class_name, name) = match loss.class_name() {
            "LogCosh" => (Some("LogCoshError"), Some("logcosh")),
            _ => (None, None),
        };
        LossMetric {
            loss,
            class_name,
            name,
            arguments,
        }
    }
}

/// The cross-entropies as metrics, of the losses' arguments.
pub(super) fn binary(arguments: &mut Arguments) -> Result<LossMetric> {
    // Keras' metric has no axis; Danlu wrote one once.
    arguments.unsupported("axis", &[(-1).into()])?;
    Ok(LossMetric::new(BinaryCrossentropy::read(arguments)?))
}

pub(super) fn categorical(arguments: &mut Arguments) -> Result<LossMetric> {
    Ok(LossMetric::new(CategoricalCrossentropy::read(arguments)?))
}

pub(super) fn sparse(arguments: &mut Arguments) -> Result<LossMetric> {
    Ok(LossMetric::new(SparseCategoricalCrossentropy::read(
        arguments,
    )?))
}

impl MetricFunction for LossMetric {
    fn class_name(&self) -> &str {
        self.class_name.unwrap_or(self.loss.class_name())
    }
    fn name(&self) -> &str {
        self.name.unwrap_or(self.loss.name())
    }
    fn config(&self) -> Config {
        let mut config = self.loss.config();
        config.retain(|argument, _| self.arguments.contains(&argument.as_str()));
        if self.loss.class_name() == "SparseCategoricalCrossentropy" {
            config.insert("axis".to_owned(), (-1).into());
        }
        config
    }
    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.loss.values(y_true, y_pred)
    }
    fn totals(
        &self,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Vec<Value>> {
        let values = self.loss.values(y_true, y_pred)?;
        // As in Keras: without weights, what does not count is 0 in the mean.
        let mask = match weights {
            Some(_) => self.loss.mask(y_true, &values)?,
            None => None,
        };
        mean::totals(&values, mask.as_ref(), weights)
    }
}

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
            fn direction(&self) -> Option<Direction> {
                Some(Direction::Down)
            }
            fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
                $loss {}.values(y_true, y_pred)
            }
        }

        impl FromConfig for $name {
            fn from_config(_: &mut Arguments) -> Result<$name> {
                Ok($name {})
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
