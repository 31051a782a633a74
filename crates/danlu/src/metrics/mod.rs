//! Metrics: what is reported beside the loss, as running means over the examples of an epoch. One file per family.

mod accuracy;
mod custom;
mod errors;
mod json;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::Value;

use crate::{Config, Result};

pub use accuracy::{BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy};
use errors::CrossentropyMetric;
pub use errors::{MeanAbsoluteErrorMetric, MeanSquaredErrorMetric};

/// A metric: one number for each example (or each element of each example); the metric is their mean.
pub trait MetricFunction: Send + Sync + Debug + 'static {
    /// Keras' class name, such as `BinaryAccuracy`.
    fn class_name(&self) -> &str;

    /// Keras' name, such as `binary_accuracy`: the key in logs and history.
    fn name(&self) -> &str;

    /// The arguments beside `name`, by Keras' names.
    fn config(&self) -> Config;

    /// Targets `(batch, ...)` of any dtype and predictions `(batch, ..., outputs)` to f32 `(batch, ...)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value>;
}

#[derive(Clone, Debug)]
enum Kind {
    /// `accuracy`: which one is decided by the shapes of targets and predictions.
    Accuracy,
    Function(Arc<dyn MetricFunction>),
}

/// A metric with its name, as `compile` takes it.
#[derive(Clone, Debug)]
pub struct Metric {
    kind: Kind,
    name: String,
    /// The text that it was given as, which is what Keras writes into files.
    given: Option<String>,
}

impl Metric {
    /// A metric from a type of this module or of your own.
    pub fn new(function: impl MetricFunction) -> Metric {
        Metric {
            name: function.name().to_owned(),
            kind: Kind::Function(Arc::new(function)),
            given: None,
        }
    }

    /// A metric written as a closure over graph values: from targets and predictions to one number for each example.
    ///
    /// ```
    /// use danlu::metrics::Metric;
    /// let largest = Metric::custom("largest_error", |y_true, y_pred| {
    ///     y_pred.subtract(y_true)?.abs()?.max(&[-1], false)
    /// });
    /// ```
    pub fn custom<F>(name: &str, function: F) -> Metric
    where
        F: Fn(&Value, &Value) -> danlu_graph::Result<Value> + Send + Sync + 'static,
    {
        Metric::new(custom::CustomMetric::new(name, function))
    }

    /// The same metric under another name in logs and history.
    #[must_use]
    pub fn named(mut self, name: &str) -> Metric {
        self.name = name.to_owned();
        self
    }

    /// The key in logs and history.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of each example.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        match &self.kind {
            Kind::Function(function) => function.values(y_true, y_pred),
            Kind::Accuracy => accuracy::by_shapes(y_true, y_pred).values(y_true, y_pred),
        }
    }
}

/// What `compile` takes as a metric: a name, a [`Metric`], or one of the types of this module.
pub trait IntoMetric {
    /// The metric.
    ///
    /// # Errors
    /// The name stands for nothing.
    fn into_metric(self) -> Result<Metric>;
}

impl IntoMetric for Metric {
    fn into_metric(self) -> Result<Metric> {
        Ok(self)
    }
}

impl IntoMetric for &str {
    fn into_metric(self) -> Result<Metric> {
        Metric::from_name(self)
    }
}

impl<F: MetricFunction> IntoMetric for F {
    fn into_metric(self) -> Result<Metric> {
        Ok(Metric::new(self))
    }
}

#[cfg(test)]
mod tests;
