//! The best of one share where another is large enough.

use danlu_graph::Value;

use super::confusion::{Judged, Selection, read_class};
use super::curve::{Counts, Thresholds};
use super::totals::divide;
use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::{Arguments, Config, Error, Result};

fn precision(counts: Counts) -> f64 {
    divide(counts.true_positives, counts.said())
}

fn recall(counts: Counts) -> f64 {
    divide(counts.true_positives, counts.so)
}

fn specificity(counts: Counts) -> f64 {
    divide(counts.true_negatives(), counts.not)
}

macro_rules! point {
    ($(#[$meta:meta])* $name:ident, $key:literal, $argument:literal, $constrained:path, $best:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            value: f64,
            num_thresholds: usize,
            class_id: Option<usize>,
            thresholds: Thresholds,
        }

        impl $name {
            /// Where the other share is at least this, from 0 to 1; at 200 thresholds, over all outputs.
            pub fn new(value: f64) -> $name {
                $name {
                    value,
                    num_thresholds: 200,
                    class_id: None,
                    thresholds: Thresholds::from_zero_to_one(200),
                }
            }

            /// The number of thresholds, at least 1. Default 200.
            #[must_use]
            pub fn num_thresholds(mut self, num_thresholds: usize) -> $name {
                self.num_thresholds = num_thresholds;
                self.thresholds = Thresholds::from_zero_to_one(num_thresholds.max(1));
                self
            }

            /// Only this output is looked at. Default: all.
            #[must_use]
            pub fn class_id(mut self, class_id: usize) -> $name {
                self.class_id = Some(class_id);
                self
            }

            fn check(&self) -> Result<()> {
                let owner = stringify!($name);
                if !(0.0..=1.0).contains(&self.value) {
                    return Err(Error::argument(owner, $argument, "from 0 to 1", self.value));
                }
                match self.num_thresholds {
                    0 => Err(Error::argument(owner, "num_thresholds", "at least 1", 0)),
                    _ => Ok(()),
                }
            }
        }

        impl FromConfig for $name {
            fn from_config(arguments: &mut Arguments) -> Result<$name> {
                let value = arguments.number($argument)?;
                let mut metric = $name::new(arguments.required($argument, value)?);
                if let Some(count) = arguments.positive("num_thresholds")? {
                    metric = metric.num_thresholds(count);
                }
                metric.class_id = read_class(arguments)?;
                metric.check()?;
                Ok(metric)
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
                $crate::config! {
                    "class_id": self.class_id,
                    "num_thresholds": self.num_thresholds,
                    $argument: self.value,
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
                self.check()?;
                let selection = Selection {
                    top_k: None,
                    class_id: self.class_id,
                };
                let judged = Judged::new(self.class_name(), selection, y_true, y_pred, weights)?;
                self.thresholds.totals(&judged, false)
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                let count = self.thresholds.len();
                let counts = (0..count).map(|place| Counts::at(totals, count, 0, place));
                // Compared as f32, as Keras does: 3 of 5 is 0.6.
                let enough = |counts: &Counts| $constrained(*counts) as f32 >= self.value as f32;
                counts.filter(enough).map($best).fold(0.0, f64::max)
            }
        }
    };
}

point! {
    /// The best precision at a threshold where the recall is at least `recall` (Keras' `PrecisionAtRecall`).
    PrecisionAtRecall, "precision_at_recall", "recall", recall, precision
}
point! {
    /// The best recall at a threshold where the precision is at least `precision` (Keras' `RecallAtPrecision`).
    RecallAtPrecision, "recall_at_precision", "precision", precision, recall
}
point! {
    /// The best sensitivity, which is recall, at a threshold where the specificity is at least `specificity` (Keras'
    /// `SensitivityAtSpecificity`).
    SensitivityAtSpecificity, "sensitivity_at_specificity", "specificity", specificity, recall
}
point! {
    /// The best specificity, the share of what is not so that was not said to be, at a threshold where the sensitivity is at
    /// least `sensitivity` (Keras' `SpecificityAtSensitivity`).
    SpecificityAtSensitivity, "specificity_at_sensitivity", "sensitivity", recall, specificity
}
