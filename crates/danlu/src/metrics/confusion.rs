//! What was rightly and wrongly said to be so, above a threshold or among the largest.

use danlu_graph::{DType, Dim, Shape, Value};
use serde_json::{Value as Json, json};

use super::curve::Thresholds;
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

    /// What is said to be so at these thresholds; at none, at 0.5 or of the largest.
    fn at(self, thresholds: &[f64]) -> Result<Verdict> {
        let above = |threshold: f64| -> Result<Value> {
            let threshold = self.predictions.graph().scalar(threshold, DType::F32)?;
            Ok(self.predictions.greater(&threshold)?.cast(DType::F32)?)
        };
        let said = match (&self.among_largest, thresholds) {
            (None, []) => above(0.5)?,
            (Some(among), []) => among.clone(),
            (None, &[threshold]) => above(threshold)?,
            (Some(among), &[threshold]) => among.multiply(&above(threshold)?)?,
            (among, several) => {
                let elements = self.predictions.shape().element_count();
                let columns = Shape::from(vec![elements, Dim::fixed(1)]);
                let column = |value: &Value| -> Result<Value> { Ok(value.reshape(&columns)?) };
                let thresholds = Thresholds::listed(several);
                let mut said = thresholds.said(&column(&self.predictions)?)?;
                said = said.cast(DType::F32)?;
                if let Some(among) = among {
                    said = said.multiply(&column(among)?)?;
                }
                return Ok(Verdict {
                    truth: column(&self.truth)?,
                    weights: column(&self.weights)?,
                    said,
                    several: true,
                });
            }
        };
        Ok(Verdict {
            truth: self.truth,
            weights: self.weights,
            said,
            several: false,
        })
    }
}

/// Truth, weights and what was said to be so, f32: of one shape at one threshold, `(elements, 1)` and `(elements,
/// thresholds)` at several.
struct Verdict {
    truth: Value,
    weights: Value,
    said: Value,
    several: bool,
}

impl Verdict {
    /// The sum over the elements, at each threshold.
    fn total(&self, value: &Value) -> Result<Value> {
        Ok(match self.several {
            true => value.sum(&[0], false)?,
            false => value.sum_all()?,
        })
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

/// The argument `thresholds`: one or several, from 0 to 1; none where it is not given.
fn read_thresholds(arguments: &mut Arguments) -> Result<Vec<f64>> {
    let thresholds = match arguments.numbers("thresholds")? {
        None => Vec::new(),
        Some(given) if given.is_empty() => {
            let expected = "at least one number from 0 to 1";
            return Err(arguments.wrong("thresholds", expected, &given.into()));
        }
        Some(given) => given,
    };
    check_thresholds(arguments.owner(), &thresholds)?;
    Ok(thresholds)
}

fn check_thresholds(owner: &str, thresholds: &[f64]) -> Result<()> {
    let mut wrong = thresholds
        .iter()
        .filter(|value| !(0.0..=1.0).contains(*value));
    match wrong.next() {
        Some(threshold) => Err(Error::argument(
            owner,
            "thresholds",
            "numbers from 0 to 1",
            threshold,
        )),
        None => Ok(()),
    }
}

/// The argument as Keras writes it: a number where there is one.
fn written(thresholds: &[f64]) -> Json {
    match thresholds {
        [] => Json::Null,
        [threshold] => json!(threshold),
        several => json!(several),
    }
}

/// The total of a threshold, or the one of all.
fn number_at(totals: Totals<'_>, index: usize, place: usize) -> f64 {
    let total = totals.get(index);
    total.get(place).or(total.first()).copied().unwrap_or(0.0)
}

/// The mean over the thresholds.
fn mean_of(totals: Totals<'_>, number: impl Fn(usize) -> f64) -> f64 {
    let count = totals.get(0).len();
    divide((0..count).map(number).sum(), count as f64)
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
            thresholds: Vec<f64>,
        }

        impl $name {
            /// At the threshold 0.5.
            pub fn new() -> $name {
                $name::default()
            }

            /// The largest number, from 0 to 1, that still counts as 0. Default 0.5.
            #[must_use]
            pub fn threshold(mut self, threshold: f64) -> $name {
                self.thresholds = vec![threshold];
                self
            }

            /// Several of them: the metric is a number for each, reported under its name and place: `true_positives[0]`.
            #[must_use]
            pub fn thresholds(mut self, thresholds: &[f64]) -> $name {
                self.thresholds = thresholds.to_vec();
                self
            }
        }

        impl FromConfig for $name {
            fn from_config(arguments: &mut Arguments) -> Result<$name> {
                let thresholds = read_thresholds(arguments)?;
                Ok($name { thresholds })
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
                config! { "thresholds": written(&self.thresholds) }
            }
            fn totals(
                &self,
                y_true: &Value,
                y_pred: &Value,
                weights: Option<&Value>,
            ) -> Result<Vec<Value>> {
                let owner = self.class_name();
                check_thresholds(owner, &self.thresholds)?;
                let judged = Judged::new(owner, Selection::default(), y_true, y_pred, weights)?;
                let verdict = judged.at(&self.thresholds)?;
                let counted = $truth(&verdict.truth)?.multiply(&$said(&verdict.said)?)?;
                let counted = counted.multiply(&verdict.weights)?;
                Ok(vec![verdict.total(&counted)?])
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                mean_of(totals, |place| self.result_at(totals, place))
            }
            fn count(&self, _: usize) -> usize {
                self.thresholds.len().max(1)
            }
            fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
                number_at(totals, 0, place)
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
            thresholds: Vec<f64>,
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
                self.thresholds = vec![threshold];
                self
            }

            /// Several of them: the metric is a number for each, reported under its name and place: `precision[0]`.
            #[must_use]
            pub fn thresholds(mut self, thresholds: &[f64]) -> $name {
                self.thresholds = thresholds.to_vec();
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
                    thresholds: read_thresholds(arguments)?,
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
                    "thresholds": written(&self.thresholds),
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
                check_thresholds(owner, &self.thresholds)?;
                if self.selection.top_k == Some(0) {
                    return Err(Error::argument(owner, "top_k", "at least 1", 0));
                }
                let judged = Judged::new(owner, self.selection, y_true, y_pred, weights)?;
                let verdict = judged.at(&self.thresholds)?;
                let said = verdict.said.multiply(&verdict.weights)?;
                let so = verdict.truth.multiply(&verdict.weights)?;
                let both = said.multiply(&verdict.truth)?;
                Ok(vec![
                    verdict.total(&both)?,
                    verdict.total(&$all(said, so))?,
                ])
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                mean_of(totals, |place| self.result_at(totals, place))
            }
            fn count(&self, _: usize) -> usize {
                self.thresholds.len().max(1)
            }
            fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
                divide(number_at(totals, 0, place), number_at(totals, 1, place))
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
