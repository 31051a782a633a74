//! What was rightly and wrongly said to be so, above a threshold or among the largest.

use danlu_graph::{DType, Value};

use super::mean::of_elements;
use super::totals::divide;
use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::losses::align;
use crate::{Arguments, Config, Error, Result, config};

/// Targets as 1 and 0, predictions and weights, all f32 of one shape.
pub(super) struct Judged {
    pub truth: Value,
    pub predictions: Value,
    pub weights: Value,
    /// Whether a prediction is among the largest of its row, where that is asked for.
    among_largest: Option<Value>,
}

/// What to judge: only one output, or only the largest ones of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Selection {
    pub top_k: Option<usize>,
    pub class_id: Option<usize>,
}

impl Judged {
    pub fn new(
        owner: &str,
        selection: Selection,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Judged> {
        let (truth, mut predictions) = align(owner, y_true, y_pred)?;
        let mut truth = truth.cast(DType::Bool)?.cast(DType::F32)?;
        predictions = predictions.cast(DType::F32)?;
        let shape = predictions.shape();
        let outputs = shape
            .dims()
            .last()
            .and_then(|dim| dim.as_fixed())
            .unwrap_or(1);
        let mut among_largest = None;
        if let Some(k) = selection.top_k {
            if k > outputs {
                let expected = format!("at most the number of outputs, {outputs}");
                return Err(Error::argument(owner, "top_k", expected, k));
            }
            among_largest = Some(largest(&predictions, k)?);
        }
        if let Some(class) = selection.class_id {
            if shape.rank() < 2 || class >= outputs {
                let expected =
                    format!("an output's index, from 0 to {}", outputs.saturating_sub(1));
                return Err(Error::argument(owner, "class_id", expected, class));
            }
            truth = truth.narrow(-1, class, 1)?;
            predictions = predictions.narrow(-1, class, 1)?;
            among_largest = match among_largest {
                Some(among) => Some(among.narrow(-1, class, 1)?),
                None => None,
            };
        }
        Ok(Judged {
            weights: of_elements(weights, &predictions)?,
            truth,
            predictions,
            among_largest,
        })
    }

    /// 1 where it is said that something is so.
    fn said(&self, threshold: Option<f64>) -> Result<Value> {
        let above = |threshold: f64| -> Result<Value> {
            let threshold = self.predictions.graph().scalar(threshold, DType::F32)?;
            Ok(self.predictions.greater(&threshold)?.cast(DType::F32)?)
        };
        match (&self.among_largest, threshold) {
            (None, threshold) => above(threshold.unwrap_or(0.5)),
            (Some(among), None) => Ok(among.clone()),
            (Some(among), Some(threshold)) => Ok(among.multiply(&above(threshold)?)?),
        }
    }
}

/// 1 where a number is among the k largest of its row; of equals, the first are.
fn largest(values: &Value, k: usize) -> Result<Value> {
    let graph = values.graph();
    let shape = values.shape();
    let (mut columns, mut rows) = (shape.clone(), shape.clone());
    columns.dims_mut().push(1.into());
    rows.dims_mut()
        .insert(shape.rank().saturating_sub(1), 1.into());
    let (own, other) = (values.reshape(&columns)?, values.reshape(&rows)?);
    let places = graph.iota(shape, -1, DType::I32)?;
    let before = places.reshape(&rows)?.less(&places.reshape(&columns)?)?;
    let goes_before = other
        .greater(&own)?
        .logical_or(&other.equal(&own)?.logical_and(&before)?)?;
    let rank = goes_before.cast(DType::F32)?.sum(&[-1], false)?;
    Ok(rank
        .less(&graph.scalar(k as f64, DType::F32)?)?
        .cast(DType::F32)?)
}

fn one_minus(value: &Value) -> Result<Value> {
    Ok(value.negate()?.add_scalar(1.0)?)
}

/// The argument `thresholds`: one, from 0 to 1.
fn read_threshold(arguments: &mut Arguments) -> Result<Option<f64>> {
    let expected =
        "one number from 0 to 1, since a metric is one number; give a metric for each threshold";
    let given = arguments.numbers("thresholds")?;
    match given.as_deref() {
        None => Ok(None),
        Some([threshold]) => {
            check_threshold(arguments.owner(), Some(*threshold))?;
            Ok(Some(*threshold))
        }
        Some(several) => Err(arguments.wrong("thresholds", expected, &several.into())),
    }
}

fn check_threshold(owner: &str, threshold: Option<f64>) -> Result<()> {
    match threshold {
        Some(threshold) if !(0.0..=1.0).contains(&threshold) => Err(Error::argument(
            owner,
            "thresholds",
            "a number from 0 to 1",
            threshold,
        )),
        _ => Ok(()),
    }
}

/// The argument `class_id`: an output's index.
pub(super) fn read_class(arguments: &mut Arguments) -> Result<Option<usize>> {
    match arguments.integer("class_id")? {
        None => Ok(None),
        Some(class) => usize::try_from(class).map(Some).map_err(|_| {
            arguments.wrong("class_id", "a whole number of 0 or above", &class.into())
        }),
    }
}

macro_rules! count {
    ($(#[$meta:meta])* $name:ident, $key:literal, $truth:path, $said:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            threshold: Option<f64>,
        }

        impl $name {
            /// At the threshold 0.5.
            pub fn new() -> $name {
                $name::default()
            }

            /// The largest number, from 0 to 1, that still counts as 0. Default 0.5.
            #[must_use]
            pub fn threshold(mut self, threshold: f64) -> $name {
                self.threshold = Some(threshold);
                self
            }
        }

        impl FromConfig for $name {
            fn from_config(arguments: &mut Arguments) -> Result<$name> {
                let threshold = read_threshold(arguments)?;
                Ok($name { threshold })
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
                config! { "thresholds": self.threshold }
            }
            fn totals(
                &self,
                y_true: &Value,
                y_pred: &Value,
                weights: Option<&Value>,
            ) -> Result<Vec<Value>> {
                let owner = self.class_name();
                check_threshold(owner, self.threshold)?;
                let judged = Judged::new(owner, Selection::default(), y_true, y_pred, weights)?;
                let said = $said(&judged.said(self.threshold)?)?;
                let counted = $truth(&judged.truth)?.multiply(&said)?;
                Ok(vec![counted.multiply(&judged.weights)?.sum_all()?])
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                totals.number(0)
            }
        }
    };
}

fn as_it_is(value: &Value) -> Result<Value> {
    Ok(value.clone())
}

count! {
    /// The number, or sum of weights, of elements that are so and were said to be (Keras' `TruePositives`).
    TruePositives, "true_positives", as_it_is, as_it_is
}
count! {
    /// The number, or sum of weights, of elements that are not so and were said to be (Keras' `FalsePositives`).
    FalsePositives, "false_positives", one_minus, as_it_is
}
count! {
    /// The number, or sum of weights, of elements that are not so and were not said to be (Keras' `TrueNegatives`).
    TrueNegatives, "true_negatives", one_minus, one_minus
}
count! {
    /// The number, or sum of weights, of elements that are so and were not said to be (Keras' `FalseNegatives`).
    FalseNegatives, "false_negatives", as_it_is, one_minus
}

macro_rules! share {
    ($(#[$meta:meta])* $name:ident, $key:literal, $all:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            threshold: Option<f64>,
            selection: Selection,
        }

        impl $name {
            /// At the threshold 0.5, over all outputs.
            pub fn new() -> $name {
                $name::default()
            }

            /// The largest number, from 0 to 1, that still counts as 0. Default: 0.5, or, with `top_k`, none.
            #[must_use]
            pub fn threshold(mut self, threshold: f64) -> $name {
                self.threshold = Some(threshold);
                self
            }

            /// Only the so many largest outputs of an example are said to be so. Default: any number.
            #[must_use]
            pub fn top_k(mut self, top_k: usize) -> $name {
                self.selection.top_k = Some(top_k);
                self
            }

            /// Only this output is looked at. Default: all.
            #[must_use]
            pub fn class_id(mut self, class_id: usize) -> $name {
                self.selection.class_id = Some(class_id);
                self
            }
        }

        impl FromConfig for $name {
            fn from_config(arguments: &mut Arguments) -> Result<$name> {
                Ok($name {
                    threshold: read_threshold(arguments)?,
                    selection: Selection {
                        top_k: arguments.positive("top_k")?,
                        class_id: read_class(arguments)?,
                    },
                })
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
                config! {
                    "thresholds": self.threshold,
                    "top_k": self.selection.top_k,
                    "class_id": self.selection.class_id,
                }
            }
            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
            fn totals(
                &self,
                y_true: &Value,
                y_pred: &Value,
                weights: Option<&Value>,
            ) -> Result<Vec<Value>> {
                let owner = self.class_name();
                check_threshold(owner, self.threshold)?;
                if self.selection.top_k == Some(0) {
                    return Err(Error::argument(owner, "top_k", "at least 1", 0));
                }
                let judged = Judged::new(owner, self.selection, y_true, y_pred, weights)?;
                let said = judged.said(self.threshold)?.multiply(&judged.weights)?;
                let so = judged.truth.multiply(&judged.weights)?;
                let both = said.multiply(&judged.truth)?;
                Ok(vec![both.sum_all()?, $all(said, so).sum_all()?])
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                divide(totals.number(0), totals.number(1))
            }
        }
    };
}

fn what_was_said(said: Value, _: Value) -> Value {
    said
}

fn what_is_so(_: Value, so: Value) -> Value {
    so
}

share! {
    /// Of what was said to be so, the share that is; 0 where nothing was (Keras' `Precision`).
    Precision, "precision", what_was_said
}
share! {
    /// Of what is so, the share that was said to be; 0 where nothing is (Keras' `Recall`).
    Recall, "recall", what_is_so
}
