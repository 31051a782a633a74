//! Metrics: what is reported beside the loss, from totals over the examples of an epoch. One file per family; names stand in
//! `registry`.

mod accuracy;
mod auc;
mod class_matrix;
mod confusion;
mod correlation;
mod curve;
mod custom;
mod f_score;
mod intersection;
mod json;
mod loss_metrics;
mod mean;
mod points;
mod r2_score;
mod registry;
mod regression;
mod top_k;
mod totals;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::Value;

use crate::losses::LossFunction;
use crate::{Arguments, Config, Error, Result};

pub use accuracy::{Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy};
pub use auc::{AUC, AucCurve, Summation};
pub use confusion::{
    FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives,
};
pub use correlation::{ConcordanceCorrelation, PearsonCorrelation};
pub use f_score::{Average, F1Score, FBetaScore};
pub use intersection::{BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU};
pub use loss_metrics::{LossMetric, MeanAbsoluteErrorMetric, MeanSquaredErrorMetric};
pub use points::{
    PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity,
};
pub use r2_score::{ClassAggregation, R2Score};
pub(crate) use registry::counted;
pub use registry::{names, register_metric};
pub use regression::{CosineSimilarityMetric, RootMeanSquaredError};
pub use top_k::{SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy};
pub use totals::Totals;

/// Whether more of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More is better.
    Up,
    /// Less is better.
    Down,
}

/// A metric: totals that each batch adds to, and a number that is made of them.
///
/// One that is the mean of a number for each example (or each element of each example) has [`values`](Self::values); any
/// other has [`totals`](Self::totals) and [`result`](Self::result).
pub trait MetricFunction: Send + Sync + Debug + 'static {
    /// Keras' class name, such as `BinaryAccuracy`.
    fn class_name(&self) -> &str;

    /// Keras' name, such as `binary_accuracy`: the key in logs and history.
    fn name(&self) -> &str;

    /// The arguments beside `name`, by Keras' names.
    fn config(&self) -> Config;

    /// Whether more is better; `None` where nobody can say.
    fn direction(&self) -> Option<Direction> {
        None
    }

    /// Targets `(batch, ...)` of any dtype and predictions `(batch, ..., outputs)` to f32 `(batch, ...)`.
    ///
    /// # Errors
    /// The shapes do not fit; the metric is no mean.
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let _ = (y_true, y_pred);
        Err(Error::unsupported(
            self.class_name(),
            "a mean over examples",
            "use `totals`, or, in a metric of your own, define `values` or `totals`",
        ))
    }

    /// What a batch adds: values whose shapes do not depend on the number of examples. `weights` are f32 `(batch)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    fn totals(
        &self,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Vec<Value>> {
        mean::totals(&self.values(y_true, y_pred)?, None, weights)
    }

    /// The metric, from what all batches added: the sums of [`totals`](Self::totals), in its order. Called at each step, so it
    /// should allocate nothing. Of a metric that is several numbers, their mean.
    fn result(&self, totals: Totals<'_>) -> f64 {
        totals.mean()
    }

    /// How many numbers the metric is, for predictions of so many outputs (the size of their last axis). Each of several is
    /// reported under the name and its place, counted from 0: `f1_score[0]`.
    fn count(&self, outputs: usize) -> usize {
        let _ = outputs;
        1
    }

    /// As [`result`](Self::result): the number at this place, below [`count`](Self::count).
    fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
        let _ = place;
        self.result(totals)
    }
}

/// A metric that can be made of arguments by Keras' names.
trait FromConfig: MetricFunction + Sized {
    /// Takes its arguments, beside `name` and `dtype`.
    fn from_config(arguments: &mut Arguments) -> Result<Self>;
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

    /// The mean of a loss over the examples.
    pub fn of_loss(loss: impl LossFunction) -> Metric {
        Metric::new(LossMetric::new(loss))
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

    /// Whether more is better; `None` where nobody can say.
    pub fn direction(&self) -> Option<Direction> {
        match &self.kind {
            Kind::Function(function) => function.direction(),
            Kind::Accuracy => Some(Direction::Up),
        }
    }

    /// What a batch adds. `weights` are f32 `(batch)`.
    ///
    /// # Errors
    /// The shapes do not fit; a total's shape depends on the number of examples.
    pub fn totals(
        &self,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Vec<Value>> {
        let totals = match &self.kind {
            Kind::Function(function) => function.totals(y_true, y_pred, weights)?,
            Kind::Accuracy => {
                accuracy::by_shapes(y_true, y_pred).totals(y_true, y_pred, weights)?
            }
        };
        match totals
            .iter()
            .find(|total| total.shape().as_fixed().is_none())
        {
            None => Ok(totals),
            Some(total) => Err(Error::mismatch(
                format!("the metric {}", self.name),
                "totals of one shape for any number of examples",
                total.shape().to_string(),
                "sum over the examples",
            )),
        }
    }

    /// The metric, from the sums of what batches added; of several numbers, their mean.
    pub fn result(&self, totals: Totals<'_>) -> f64 {
        match &self.kind {
            Kind::Function(function) => function.result(totals),
            Kind::Accuracy => totals.mean(),
        }
    }

    /// As [`result`](Self::result): the number at this place, counted from 0.
    pub fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
        match &self.kind {
            Kind::Function(function) => function.result_at(totals, place),
            Kind::Accuracy => totals.mean(),
        }
    }

    /// How many numbers it is, for predictions of so many outputs (the size of their last axis). Of several, the keys in logs
    /// and history are `name[0]`, `name[1]`, and so on.
    pub fn count(&self, outputs: usize) -> usize {
        match &self.kind {
            Kind::Function(function) => function.count(outputs),
            Kind::Accuracy => 1,
        }
    }

    /// Whether Keras counts such metrics where several have no name of their own: `precision`, `precision_1`.
    fn is_counted(&self) -> bool {
        match &self.kind {
            Kind::Function(function) if self.given.is_none() && self.name == function.name() => {
                registry::is_counted(function.class_name())
            }
            _ => false,
        }
    }
}

/// The keys in logs of what has this name and so many numbers.
pub(crate) fn keys(name: &str, count: usize) -> Vec<String> {
    match count {
        1 => vec![name.to_owned()],
        count => (0..count).map(|place| format!("{name}[{place}]")).collect(),
    }
}

/// Whether a key in logs is this metric's, or that of one of its numbers: `name`, `name[0]`.
pub(crate) fn is_key_of(key: &str, name: &str) -> bool {
    key.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')))
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
