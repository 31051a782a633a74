//! What was rightly and wrongly said to be so at each of many thresholds.

use danlu_graph::{DType, Dim, Shape, Tensor, Value};

use super::Totals;
use super::confusion::Judged;
use crate::Result;

/// Thresholds, in rising order but where they are `listed`.
#[derive(Clone, Debug)]
pub(super) struct Thresholds {
    values: Vec<f64>,
    /// At even distances predictions are sorted into buckets, as Keras does: it rounds otherwise than a comparison.
    even: bool,
    /// Whether the first lies below 0 and the last above 1, so that at the first all is said to be so.
    beyond: bool,
}

impl Thresholds {
    /// So many from 0 to 1, or only 0.5.
    pub fn from_zero_to_one(count: usize) -> Thresholds {
        let values = match count {
            1 => vec![0.5],
            count => (0..count)
                .map(|place| place as f64 / (count - 1) as f64)
                .collect(),
        };
        Thresholds {
            values,
            even: count > 1,
            beyond: false,
        }
    }

    /// So many, at least 2, the first just below 0 and the last just above 1.
    pub fn beyond_zero_and_one(count: usize) -> Thresholds {
        let mut thresholds = Thresholds::from_zero_to_one(count.max(2));
        thresholds.stretch();
        thresholds
    }

    /// These, one just below 0 and one just above 1.
    pub fn between(inner: &[f64]) -> Thresholds {
        let mut values = vec![0.0];
        values.extend_from_slice(inner);
        values.push(1.0);
        values.sort_by(f64::total_cmp);
        let mut thresholds = Thresholds {
            even: is_even(&values),
            values,
            beyond: false,
        };
        thresholds.stretch();
        thresholds
    }

    /// These, in the order that they are given in.
    pub fn listed(values: &[f64]) -> Thresholds {
        Thresholds {
            values: values.to_vec(),
            even: is_even(values),
            beyond: false,
        }
    }

    fn stretch(&mut self) {
        self.beyond = true;
        if let [first, .., last] = self.values.as_mut_slice() {
            (*first, *last) = (-1e-7, 1.0 + 1e-7);
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// What a batch adds, label by label where `multi_label`, else as one: true and false positives
    /// `(labels, thresholds)`, then what is so and what is not `(labels)`.
    pub fn totals(&self, judged: &Judged, multi_label: bool) -> Result<Vec<Value>> {
        let shape = judged.predictions.shape();
        let flat = match multi_label {
            true => shape,
            false => Shape::from(vec![shape.element_count(), Dim::fixed(1)]),
        };
        let mut columns = flat.clone();
        columns.dims_mut().push(1.into());
        let so = judged.truth.multiply(&judged.weights)?;
        let not = judged.weights.subtract(&so)?;
        let said = self
            .said(&judged.predictions.reshape(&columns)?)?
            .cast(DType::F32)?;
        let at_each = |value: &Value| -> Result<Value> {
            Ok(value.reshape(&columns)?.multiply(&said)?.sum(&[0], false)?)
        };
        let in_all =
            |value: &Value| -> Result<Value> { Ok(value.reshape(&flat)?.sum(&[0], false)?) };
        Ok(vec![
            at_each(&so)?,
            at_each(&not)?,
            in_all(&so)?,
            in_all(&not)?,
        ])
    }

    /// Of predictions `(.., 1)`, whether each threshold `(.., thresholds)` is passed.
    pub fn said(&self, predictions: &Value) -> Result<Value> {
        let graph = predictions.graph();
        let count = self.values.len();
        if self.even {
            let cut = predictions.maximum_scalar(0.0)?.minimum_scalar(1.0)?;
            let scaled = cut.multiply_scalar((count - 1) as f64)?;
            let mut bucket = scaled.ceil()?.add_scalar(-1.0)?;
            if self.beyond {
                bucket = bucket.maximum_scalar(0.0)?;
            }
            let places = graph.iota(Shape::from([count].as_slice()), 0, DType::F32)?;
            return Ok(bucket.greater_equal(&places)?);
        }
        let values = self.values.iter().map(|&value| value as f32).collect();
        let thresholds = graph.constant(Tensor::from_f32(&[count], values)?)?;
        Ok(predictions.greater(&thresholds)?)
    }
}

/// Whether at least three thresholds go from 0 to 1 at even distances, by NumPy's `allclose`.
fn is_even(values: &[f64]) -> bool {
    let last = values.len().saturating_sub(1) as f64;
    let near = |(place, value): (usize, &f64)| {
        let expected = place as f64 / last;
        (value - expected).abs() <= 1e-7 + 1e-5 * expected
    };
    values.len() >= 3 && values.iter().enumerate().all(near)
}

/// The counts of a label at a threshold.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub true_positives: f64,
    pub false_positives: f64,
    /// What is so.
    pub so: f64,
    /// What is not so.
    pub not: f64,
}

impl Counts {
    /// From the sums of [`Thresholds::totals`].
    pub fn at(totals: Totals<'_>, thresholds: usize, label: usize, threshold: usize) -> Counts {
        let number =
            |index: usize, place: usize| totals.get(index).get(place).copied().unwrap_or(0.0);
        let place = label * thresholds + threshold;
        Counts {
            true_positives: number(0, place),
            false_positives: number(1, place),
            so: number(2, label),
            not: number(3, label),
        }
    }

    /// What was said to be so.
    pub fn said(&self) -> f64 {
        self.true_positives + self.false_positives
    }

    pub fn false_negatives(&self) -> f64 {
        self.so - self.true_positives
    }

    pub fn true_negatives(&self) -> f64 {
        self.not - self.false_positives
    }
}
