//! Areas under curves.

use danlu_graph::{Tensor, Value};
use serde_json::json;

use super::confusion::{Judged, Selection};
use super::curve::{Counts, Thresholds};
use super::totals::divide;
use super::{Direction, FromConfig, MetricFunction, Totals};
use crate::{Arguments, Config, Error, Result, config};

/// The curve that an area is under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AucCurve {
    /// The recall over the share of false alarms.
    #[default]
    Roc,
    /// The precision over the recall.
    Pr,
    /// Both as gains over what always saying so gives (Flach and Kull 2015, "Precision-Recall-Gain Curves").
    PrGain,
}

/// How the area between two thresholds is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Summation {
    /// Between both heights; of the precision, as Davis and Goadrich 2006 do.
    #[default]
    Interpolation,
    /// At the larger height.
    Majoring,
    /// At the smaller height.
    Minoring,
}

/// The area under a curve, estimated at thresholds (Keras' `AUC`).
///
/// At evenly distributed thresholds, predictions are sorted into buckets; the number of thresholds bounds the accuracy.
#[derive(Clone, Debug)]
pub struct AUC {
    num_thresholds: usize,
    curve: AucCurve,
    summation: Summation,
    inner: Option<Vec<f64>>,
    multi_label: bool,
    num_labels: Option<usize>,
    label_weights: Option<Vec<f64>>,
    from_logits: bool,
    thresholds: Thresholds,
}

impl AUC {
    /// Under the ROC curve, at 200 thresholds.
    pub fn new() -> AUC {
        AUC {
            num_thresholds: 200,
            curve: AucCurve::default(),
            summation: Summation::default(),
            inner: None,
            multi_label: false,
            num_labels: None,
            label_weights: None,
            from_logits: false,
            thresholds: Thresholds::beyond_zero_and_one(200),
        }
    }

    /// The number of thresholds, at least 2. Default 200.
    #[must_use]
    pub fn num_thresholds(mut self, num_thresholds: usize) -> AUC {
        self.num_thresholds = num_thresholds;
        self.inner = None;
        self.thresholds = Thresholds::beyond_zero_and_one(num_thresholds);
        self
    }

    /// The curve. Default: ROC.
    #[must_use]
    pub fn curve(mut self, curve: AucCurve) -> AUC {
        self.curve = curve;
        self
    }

    /// How the area between two thresholds is estimated. Default: interpolation.
    #[must_use]
    pub fn summation_method(mut self, summation: Summation) -> AUC {
        self.summation = summation;
        self
    }

    /// Thresholds of your own, from 0 to 1, beside one below 0 and one above 1.
    #[must_use]
    pub fn thresholds(mut self, thresholds: &[f64]) -> AUC {
        self.num_thresholds = thresholds.len() + 2;
        self.thresholds = Thresholds::between(thresholds);
        let mut sorted = thresholds.to_vec();
        sorted.sort_by(f64::total_cmp);
        self.inner = Some(sorted);
        self
    }

    /// Whether the areas of the outputs `(batch, labels)` are taken one by one and then averaged. Default `false`: all
    /// elements are taken as one output's.
    #[must_use]
    pub fn multi_label(mut self, multi_label: bool) -> AUC {
        self.multi_label = multi_label;
        self
    }

    /// A weight, 0 or above, for each output. Default: 1.
    #[must_use]
    pub fn label_weights(mut self, weights: &[f64]) -> AUC {
        self.label_weights = Some(weights.to_vec());
        self
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> AUC {
        self.from_logits = from_logits;
        self
    }

    fn check(&self) -> Result<()> {
        if self.num_thresholds < 2 {
            return Err(Error::argument(
                "AUC",
                "num_thresholds",
                "at least 2",
                self.num_thresholds,
            ));
        }
        let inside = |threshold: &&f64| !(0.0..=1.0).contains(*threshold);
        if let Some(bad) = self.inner.iter().flatten().find(inside) {
            return Err(Error::argument(
                "AUC",
                "thresholds",
                "numbers from 0 to 1",
                bad,
            ));
        }
        let weights = || self.label_weights.iter().flatten();
        if let Some(bad) = weights().find(|weight| !weight.is_finite() || **weight < 0.0) {
            return Err(Error::argument(
                "AUC",
                "label_weights",
                "numbers of 0 or above",
                bad,
            ));
        }
        Ok(())
    }

    /// The area under one label's curve.
    fn area(&self, totals: Totals<'_>, label: usize) -> f64 {
        let count = self.thresholds.len();
        let at = |place: usize| Counts::at(totals, count, label, place);
        let terms = (1..count).map(|place| {
            let (low, high) = (at(place - 1), at(place));
            if self.curve == AucCurve::Pr && self.summation == Summation::Interpolation {
                return interpolated_precision(low, high);
            }
            let ((x, y), (next_x, next_y)) = (self.point(low), self.point(high));
            let height = match self.summation {
                Summation::Interpolation => (y + next_y) / 2.0,
                Summation::Majoring => y.max(next_y),
                Summation::Minoring => y.min(next_y),
            };
            (x - next_x) * height
        });
        terms.sum()
    }

    /// Where a threshold stands in the curve.
    fn point(&self, counts: Counts) -> (f64, f64) {
        let recall = divide(counts.true_positives, counts.so);
        match self.curve {
            AucCurve::Roc => (divide(counts.false_positives, counts.not), recall),
            AucCurve::Pr => (recall, divide(counts.true_positives, counts.said())),
            AucCurve::PrGain if counts.true_positives == 0.0 => (0.0, 1.0),
            AucCurve::PrGain => {
                let scale = divide(counts.so, counts.not);
                let gain = |wrong: f64| 1.0 - scale * divide(wrong, counts.true_positives);
                (
                    gain(counts.false_negatives()).max(0.0),
                    gain(counts.false_positives),
                )
            }
        }
    }
}

/// The area under the precision between two thresholds: between them, false positives are taken to grow with the true ones.
fn interpolated_precision(low: Counts, high: Counts) -> f64 {
    let more = low.true_positives - high.true_positives;
    let slope = divide(more, (low.said() - high.said()).max(0.0));
    let intercept = high.true_positives - slope * high.said();
    let ratio = match low.said() > 0.0 && high.said() > 0.0 {
        true => low.said() / high.said(),
        false => 1.0,
    };
    divide(slope * (more + intercept * ratio.ln()), high.so.max(0.0))
}

impl Default for AUC {
    fn default() -> AUC {
        AUC::new()
    }
}

/// Numbers, or the tensor that Keras makes of them in files.
fn read_weights(arguments: &mut Arguments) -> Result<Option<Vec<f64>>> {
    let Some(given) = arguments.take("label_weights") else {
        return Ok(None);
    };
    let list = given.pointer("/config/value").unwrap_or(&given).as_array();
    let numbers = list.map(|list| list.iter().map(|number| number.as_f64()).collect());
    match numbers.flatten() {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(arguments.wrong("label_weights", "a list of numbers", &given)),
    }
}

impl FromConfig for AUC {
    fn from_config(arguments: &mut Arguments) -> Result<AUC> {
        let mut metric = AUC::new();
        if let Some(count) = arguments.positive("num_thresholds")? {
            metric = metric.num_thresholds(count);
        }
        if let Some(curve) = arguments.string("curve")? {
            metric.curve = match curve.to_uppercase().as_str() {
                "ROC" => AucCurve::Roc,
                "PR" => AucCurve::Pr,
                "PRGAIN" => AucCurve::PrGain,
                _ => {
                    return Err(arguments.wrong("curve", "`ROC`, `PR` or `PRGAIN`", &curve.into()));
                }
            };
        }
        if let Some(method) = arguments.string("summation_method")? {
            metric.summation = match method.to_lowercase().as_str() {
                "interpolation" => Summation::Interpolation,
                "majoring" => Summation::Majoring,
                "minoring" => Summation::Minoring,
                _ => {
                    let expected = "`interpolation`, `majoring` or `minoring`";
                    return Err(arguments.wrong("summation_method", expected, &method.into()));
                }
            };
        }
        if let Some(thresholds) = arguments.numbers("thresholds")? {
            metric = metric.thresholds(&thresholds);
        }
        metric.multi_label = arguments.boolean("multi_label")?.unwrap_or(false);
        metric.num_labels = arguments.positive("num_labels")?;
        metric.label_weights = read_weights(arguments)?;
        metric.from_logits = arguments.boolean("from_logits")?.unwrap_or(false);
        if let Some(labels) = metric.num_labels.filter(|_| !metric.multi_label) {
            let expected = "left out without `multi_label`";
            return Err(arguments.wrong("num_labels", expected, &labels.into()));
        }
        metric.check()?;
        Ok(metric)
    }
}

impl MetricFunction for AUC {
    fn class_name(&self) -> &str {
        "AUC"
    }
    fn name(&self) -> &str {
        "auc"
    }
    fn config(&self) -> Config {
        let curve = match self.curve {
            AucCurve::Roc => "ROC",
            AucCurve::Pr => "PR",
            AucCurve::PrGain => "PRGAIN",
        };
        let summation = match self.summation {
            Summation::Interpolation => "interpolation",
            Summation::Majoring => "majoring",
            Summation::Minoring => "minoring",
        };
        let mut config = config! {
            "num_thresholds": self.num_thresholds,
            "curve": curve,
            "summation_method": summation,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            // Keras 3.15 writes a tensor here, which it cannot read itself; it reads a list.
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        };
        if let Some(thresholds) = &self.inner {
            config.insert("thresholds".to_owned(), json!(thresholds));
        }
        config
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
        let owner = self.class_name();
        let sigmoid;
        let y_pred = match self.from_logits {
            true => {
                sigmoid = y_pred.sigmoid()?;
                &sigmoid
            }
            false => y_pred,
        };
        let mut judged = Judged::new(owner, Selection::default(), y_true, y_pred, weights)?;
        let shape = judged.predictions.shape();
        let labels = shape
            .dims()
            .last()
            .and_then(|dim| dim.as_fixed())
            .unwrap_or(1);
        if self.multi_label && shape.rank() != 2 {
            let advice = "leave out `multi_label`, or flatten the outputs";
            let expected = "predictions (batch, labels) with `multi_label`";
            return Err(Error::mismatch(owner, expected, shape.to_string(), advice));
        }
        if let Some(expected) = self.num_labels.filter(|&expected| expected != labels) {
            return Err(Error::argument(
                owner,
                "num_labels",
                labels.to_string(),
                expected,
            ));
        }
        if let Some(weights) = &self.label_weights {
            if weights.len() != labels {
                let expected = format!("a number for each of {labels} outputs");
                return Err(Error::argument(
                    owner,
                    "label_weights",
                    expected,
                    weights.len(),
                ));
            }
            if !self.multi_label {
                let weights = weights.iter().map(|&weight| weight as f32).collect();
                let weights = Tensor::from_f32(&[labels], weights)?;
                let weights = judged.weights.graph().constant(weights)?;
                judged.weights = judged.weights.multiply(&weights)?;
            }
        }
        self.thresholds.totals(&judged, self.multi_label)
    }
    fn result(&self, totals: Totals<'_>) -> f64 {
        let labels = totals.get(2).len();
        match &self.label_weights {
            Some(weights) if self.multi_label => {
                let weighted = weights.iter().enumerate();
                let sum = weighted
                    .map(|(label, weight)| weight * self.area(totals, label))
                    .sum();
                divide(sum, weights.iter().sum())
            }
            _ => divide(
                (0..labels).map(|label| self.area(totals, label)).sum(),
                labels as f64,
            ),
        }
    }
}
