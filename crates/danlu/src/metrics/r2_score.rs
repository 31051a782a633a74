//! The coefficient of determination.

use danlu_graph::{DType, Value};
use serde_json::json;

use super::{Direction, FromConfig, MetricFunction, Totals, mean};
use crate::losses::align;
use crate::{Arguments, Config, Error, Result, config};

/// How the scores of several outputs become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassAggregation {
    /// Not at all: each output's score is reported, as `r2_score[0]` and so on.
    None,
    /// Their mean.
    #[default]
    UniformAverage,
    /// Their mean, weighted by the variance of the targets.
    VarianceWeightedAverage,
}

/// `1 - sum (y - p)^2 / sum (y - mean y)^2` over the examples, of predictions `(batch, outputs)` (Keras' `R2Score`).
#[derive(Clone, Debug, Default)]
pub struct R2Score {
    class_aggregation: ClassAggregation,
    num_regressors: usize,
}

impl R2Score {
    /// The mean over outputs, not adjusted.
    pub fn new() -> R2Score {
        R2Score::default()
    }

    /// How the scores of several outputs become one. Default: their mean.
    #[must_use]
    pub fn class_aggregation(mut self, aggregation: ClassAggregation) -> R2Score {
        self.class_aggregation = aggregation;
        self
    }

    /// The number of independent variables, for the adjusted score; 0 for the plain one. Default 0. Where there are not more
    /// targets than that, the plain score is given, as in Keras.
    #[must_use]
    pub fn num_regressors(mut self, num_regressors: usize) -> R2Score {
        self.num_regressors = num_regressors;
        self
    }
}

impl FromConfig for R2Score {
    fn from_config(arguments: &mut Arguments) -> Result<R2Score> {
        // `null` counts as not given elsewhere; here it is a value.
        let class_aggregation = match arguments.take_with_null("class_aggregation") {
            None => ClassAggregation::UniformAverage,
            Some(value) => match value.as_str() {
                None if value.is_null() => ClassAggregation::None,
                // What a recipe can write: TOML has no null.
                Some("none") => ClassAggregation::None,
                Some("uniform_average") => ClassAggregation::UniformAverage,
                Some("variance_weighted_average") => ClassAggregation::VarianceWeightedAverage,
                _ => {
                    let expected = "`uniform_average`, `variance_weighted_average` or `none`";
                    return Err(arguments.wrong("class_aggregation", expected, &value));
                }
            },
        };
        let num_regressors = arguments.integer("num_regressors")?.unwrap_or(0);
        let Ok(num_regressors) = usize::try_from(num_regressors) else {
            let expected = "a whole number of 0 or above";
            return Err(arguments.wrong("num_regressors", expected, &num_regressors.into()));
        };
        Ok(R2Score {
            class_aggregation,
            num_regressors,
        })
    }
}

impl MetricFunction for R2Score {
    fn class_name(&self) -> &str {
        "R2Score"
    }
    fn name(&self) -> &str {
        "r2_score"
    }
    fn config(&self) -> Config {
        let aggregation = match self.class_aggregation {
            ClassAggregation::None => json!(null),
            ClassAggregation::UniformAverage => json!("uniform_average"),
            ClassAggregation::VarianceWeightedAverage => json!("variance_weighted_average"),
        };
        config! { "class_aggregation": aggregation, "num_regressors": self.num_regressors }
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
        let (y_true, p) = align(self.name(), y_true, y_pred)?;
        if p.shape().rank() != 2 {
            return Err(Error::mismatch(
                self.class_name(),
                "predictions (batch, outputs)",
                p.shape().to_string(),
                "add a Flatten layer",
            ));
        }
        let y = y_true.cast(p.dtype())?;
        let weights = mean::of_elements(weights, &p)?;
        let weighted = y.multiply(&weights)?;
        let residual = y.subtract(&p)?.square()?.multiply(&weights)?;
        let samples = p
            .graph()
            .dimension_size(&p.shape().element_count(), DType::F32)?;
        Ok(vec![
            weighted.sum(&[0], false)?,
            y.multiply(&weighted)?.sum(&[0], false)?,
            residual.sum(&[0], false)?,
            weights.sum(&[0], false)?,
            samples,
        ])
    }
    fn result(&self, totals: Totals<'_>) -> f64 {
        let places = || 0..totals.get(0).len();
        let score = match self.class_aggregation {
            ClassAggregation::VarianceWeightedAverage => {
                let weighted: f64 = places()
                    .map(|place| spread(totals, place) * score(totals, place))
                    .sum();
                let spreads = places().map(|place| spread(totals, place));
                weighted / spreads.sum::<f64>()
            }
            _ => {
                let scores = places().map(|place| score(totals, place));
                scores.sum::<f64>() / places().len() as f64
            }
        };
        self.adjusted(totals, score)
    }
    fn count(&self, outputs: usize) -> usize {
        match self.class_aggregation {
            ClassAggregation::None => outputs,
            _ => 1,
        }
    }
    fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
        match self.class_aggregation {
            ClassAggregation::None => self.adjusted(totals, score(totals, place)),
            _ => self.result(totals),
        }
    }
}

impl R2Score {
    /// A score that says what independent variables more are worth.
    fn adjusted(&self, totals: Totals<'_>, score: f64) -> f64 {
        let (samples, regressors) = (totals.number(4), self.num_regressors as f64);
        match regressors != 0.0 && regressors < samples - 1.0 {
            true => 1.0 - (1.0 - score) * (samples - 1.0) / (samples - regressors - 1.0),
            false => score,
        }
    }
}

/// The sum of squares of what targets of one output are from their mean.
fn spread(totals: Totals<'_>, place: usize) -> f64 {
    let [sum, square, count] =
        [0, 1, 3].map(|index| totals.get(index).get(place).copied().unwrap_or(0.0));
    square - sum * sum / count
}

/// The score of one output.
fn score(totals: Totals<'_>, place: usize) -> f64 {
    let residual = totals.get(2).get(place).copied().unwrap_or(0.0);
    match 1.0 - residual / spread(totals, place) {
        score if score.is_infinite() => 0.0,
        score => score,
    }
}
