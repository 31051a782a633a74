//! F-scores.

use danlu_graph::{DType, Value};
use serde_json::json;

use super::mean::of_elements;
use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::losses::{EPSILON, align};
use crate::{Arguments, Config, Error, Result, config};

/// How the scores of several outputs become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Average {
    /// Not at all: each output's score is reported, as `f1_score[0]` and so on.
    #[default]
    None,
    /// One score of all outputs together.
    Micro,
    /// The mean of the outputs' scores.
    Macro,
    /// The mean of the outputs' scores, weighted by how often each is so.
    Weighted,
}

impl Average {
    fn name(self) -> Option<&'static str> {
        match self {
            Average::None => None,
            Average::Micro => Some("micro"),
            Average::Macro => Some("macro"),
            Average::Weighted => Some("weighted"),
        }
    }
}

/// What both scores have.
#[derive(Clone, Debug)]
struct Score {
    average: Average,
    beta: f64,
    threshold: Option<f64>,
}

impl Score {
    fn read(arguments: &mut Arguments, beta: f64) -> Result<Score> {
        let average = match arguments.string("average")?.as_deref() {
            None => Average::None,
            Some("micro") => Average::Micro,
            Some("macro") => Average::Macro,
            Some("weighted") => Average::Weighted,
            Some(other) => {
                let expected = "`micro`, `macro` or `weighted`";
                return Err(arguments.wrong("average", expected, &other.into()));
            }
        };
        let threshold = arguments.number("threshold")?;
        let score = Score {
            average,
            beta,
            threshold,
        };
        score.check(arguments.owner())?;
        Ok(score)
    }

    fn check(&self, owner: &str) -> Result<()> {
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            return Err(Error::argument(
                owner,
                "beta",
                "a number above 0",
                self.beta,
            ));
        }
        match self.threshold {
            Some(threshold) if !(threshold > 0.0 && threshold <= 1.0) => {
                let expected = "above 0 and at most 1";
                Err(Error::argument(owner, "threshold", expected, threshold))
            }
            _ => Ok(()),
        }
    }

    /// True positives, false positives, false negatives and what is so: of each output, or of all.
    fn totals(
        &self,
        owner: &str,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Vec<Value>> {
        self.check(owner)?;
        let (y, p) = align(owner, y_true, y_pred)?;
        if p.shape().rank() != 2 {
            let advice = "add a Flatten layer";
            let expected = "predictions (batch, outputs)";
            return Err(Error::mismatch(
                owner,
                expected,
                p.shape().to_string(),
                advice,
            ));
        }
        let graph = p.graph();
        let scalar = |number: f64| graph.scalar(number, p.dtype());
        let said = match self.threshold {
            Some(threshold) => p.greater(&scalar(threshold)?)?,
            None => {
                let largest = p.greater_equal(&p.max(&[-1], true)?)?;
                largest.logical_and(&p.abs()?.greater(&scalar(1e-9)?)?)?
            }
        };
        let (said, y) = (said.cast(DType::F32)?, y.cast(DType::F32)?);
        let weights = of_elements(weights, &p)?;
        let axes: &[isize] = match self.average {
            Average::Micro => &[0, 1],
            _ => &[0],
        };
        let said = said.multiply(&weights)?;
        let so = y.multiply(&weights)?;
        let both = said.multiply(&y)?;
        let sum = |value: &Value| value.sum(axes, false);
        Ok(vec![
            sum(&both)?,
            sum(&said.subtract(&both)?)?,
            sum(&so.subtract(&both)?)?,
            sum(&so)?,
        ])
    }

    fn count(&self, outputs: usize) -> usize {
        match self.average {
            Average::None => outputs,
            _ => 1,
        }
    }

    /// The score of one output, or of all together.
    fn score(&self, totals: Totals<'_>, place: usize) -> f64 {
        let number = |index: usize| totals.get(index).get(place).copied().unwrap_or(0.0);
        let (both, invented, missed) = (number(0), number(1), number(2));
        let square = self.beta * self.beta;
        let precision = both / (both + invented + EPSILON);
        let recall = both / (both + missed + EPSILON);
        (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
    }

    fn result(&self, totals: Totals<'_>) -> f64 {
        let so = totals.get(3);
        let places = 0..so.len();
        match self.average {
            Average::Weighted => {
                let all = so.iter().sum::<f64>() + EPSILON;
                places
                    .map(|place| self.score(totals, place) * so[place] / all)
                    .sum()
            }
            _ => {
                places.map(|place| self.score(totals, place)).sum::<f64>() / so.len().max(1) as f64
            }
        }
    }

    fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
        match self.average {
            Average::None => self.score(totals, place),
            _ => self.result(totals),
        }
    }
}

macro_rules! f_score {
    ($(#[$meta:meta])* $name:ident, $key:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name(Score);

        impl $name {
            /// Each output's, where the largest prediction of an example, if it is not 0, is said to be so.
            pub fn new() -> $name {
                $name(Score {
                    average: Average::None,
                    beta: 1.0,
                    threshold: None,
                })
            }

            /// How the scores of several outputs become one. Default: not at all, each is reported.
            #[must_use]
            pub fn average(mut self, average: Average) -> $name {
                self.0.average = average;
                self
            }

            /// The largest number, above 0 and at most 1, that still counts as 0. Default: the largest prediction of an
            /// example is said to be so.
            #[must_use]
            pub fn threshold(mut self, threshold: f64) -> $name {
                self.0.threshold = Some(threshold);
                self
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new()
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
                self.written()
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
                self.0.totals(stringify!($name), y_true, y_pred, weights)
            }
            fn result(&self, totals: Totals<'_>) -> f64 {
                self.0.result(totals)
            }
            fn count(&self, outputs: usize) -> usize {
                self.0.count(outputs)
            }
            fn result_at(&self, totals: Totals<'_>, place: usize) -> f64 {
                self.0.result_at(totals, place)
            }
        }
    };
}

f_score! {
    /// `(1 + beta^2) precision recall / (beta^2 precision + recall)`, of targets 0 and 1 (Keras' `FBetaScore`).
    FBetaScore, "fbeta_score"
}
f_score! {
    /// The harmonic mean of precision and recall, of targets 0 and 1 (Keras' `F1Score`).
    F1Score, "f1_score"
}

impl FBetaScore {
    /// How much more recall counts than precision, above 0. Default 1.
    #[must_use]
    pub fn beta(mut self, beta: f64) -> FBetaScore {
        self.0.beta = beta;
        self
    }

    fn written(&self) -> Config {
        let Score {
            average,
            beta,
            threshold,
        } = &self.0;
        config! { "average": json!(average.name()), "beta": beta, "threshold": threshold }
    }
}

impl F1Score {
    fn written(&self) -> Config {
        config! { "average": json!(self.0.average.name()), "threshold": self.0.threshold }
    }
}

impl FromConfig for FBetaScore {
    fn from_config(arguments: &mut Arguments) -> Result<FBetaScore> {
        let beta = arguments.number("beta")?.unwrap_or(1.0);
        Ok(FBetaScore(Score::read(arguments, beta)?))
    }
}

impl FromConfig for F1Score {
    fn from_config(arguments: &mut Arguments) -> Result<F1Score> {
        Ok(F1Score(Score::read(arguments, 1.0)?))
    }
}
