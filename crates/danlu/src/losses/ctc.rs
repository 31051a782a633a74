//! Connectionist temporal classification.

use std::sync::Arc;

use danlu_graph::operations::{Custom, CustomOperation, Operation};
use danlu_graph::reference::Array;
use danlu_graph::{DType, Dim, Shape, Value, ValueType};

use super::{Expects, FromConfig, LossFunction};
use crate::{Arguments, Config, Error, Result};

/// Minus the logarithm of the chance of a label sequence, over all ways to spread it over the steps with blanks between
/// (Graves and others 2006, "Connectionist Temporal Classification", equations 3 to 8; Keras' `CTC`). Targets `(batch, labels)`
/// hold class indices from 1 on, and 0 from the sequence's end on; predictions `(batch, steps, classes)` are logits, of which
/// class 0 is the blank. There must be a step for each label, and one more between two of the same: where there is not, the
/// loss is infinite, which training reports (Keras gives some 708 there).
///
/// Computed in double precision, an example after the other, on one thread.
#[derive(Clone, Debug, Default)]
pub struct CTC {}

impl CTC {
    /// The loss.
    pub fn new() -> CTC {
        CTC::default()
    }
}

impl FromConfig for CTC {
    fn from_config(_: &mut Arguments) -> Result<CTC> {
        Ok(CTC::new())
    }
}

impl LossFunction for CTC {
    fn class_name(&self) -> &str {
        "CTC"
    }
    fn name(&self) -> &str {
        "ctc"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (labels, logits) = (y_true.cast(DType::I32)?, y_pred.cast(DType::F32)?);
        if labels.shape().rank() != 2 || logits.shape().rank() != 3 {
            return Err(Error::mismatch(
                "CTC",
                "targets (batch, labels) and predictions (batch, steps, classes)",
                format!(
                    "targets {} and predictions {}",
                    y_true.shape(),
                    y_pred.shape()
                ),
                "let the model's last layer give the classes' logits for each step",
            ));
        }
        let operation = Custom(Arc::new(Ctc));
        Ok(logits.graph().add(operation.into(), &[&labels, &logits])?)
    }
    fn expects(&self) -> Option<Expects> {
        Some(Expects::Logits)
    }
}

/// The loss of each example: labels `(batch, labels)`, logits `(batch, steps, classes)` to `(batch)`.
struct Ctc;

/// Its slope by the logits, `(batch, steps, classes)`, of the same inputs.
struct CtcSlope;

fn batch(inputs: &[ValueType]) -> Dim {
    let first = inputs
        .first()
        .and_then(|labels| labels.shape.dims().first());
    first.cloned().unwrap_or_else(|| Dim::fixed(1))
}

impl CustomOperation for Ctc {
    fn name(&self) -> &str {
        "ctc"
    }
    fn infer(&self, inputs: &[ValueType]) -> danlu_graph::Result<ValueType> {
        Ok(ValueType::new(Shape::new([batch(inputs)]), DType::F32))
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize]) -> danlu_graph::Result<Vec<f64>> {
        examples(inputs)?.map(|one| Ok(one?.loss())).collect()
    }
    fn gradient(
        &self,
        inputs: &[Value],
        _: &Value,
        gradient: &Value,
    ) -> danlu_graph::Result<Vec<Option<Value>>> {
        let inputs: Vec<&Value> = inputs.iter().collect();
        let slope = Operation::from(Custom(Arc::new(CtcSlope)));
        let slope = gradient.graph().add(slope, &inputs)?;
        let mut column = gradient.shape();
        column.dims_mut().extend([Dim::fixed(1), Dim::fixed(1)]);
        Ok(vec![
            None,
            Some(slope.multiply(&gradient.reshape(&column)?)?),
        ])
    }
}

impl CustomOperation for CtcSlope {
    fn name(&self) -> &str {
        "ctc_slope"
    }
    fn infer(&self, inputs: &[ValueType]) -> danlu_graph::Result<ValueType> {
        let shape = inputs.get(1).map(|logits| logits.shape.clone());
        Ok(ValueType::new(
            shape.unwrap_or_else(Shape::scalar),
            DType::F32,
        ))
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize]) -> danlu_graph::Result<Vec<f64>> {
        let mut slopes = Vec::new();
        for one in examples(inputs)? {
            slopes.extend(one?.slope());
        }
        Ok(slopes)
    }
}

/// One example: the logarithms of the classes' chances at each step, and the labels with blanks around them.
struct Example {
    chances: Vec<f64>,
    classes: usize,
    states: Vec<usize>,
}

/// The examples of labels and logits.
fn examples<'a>(
    inputs: &[&'a Array],
) -> danlu_graph::Result<impl Iterator<Item = danlu_graph::Result<Example>> + use<'a>> {
    let [labels, logits] = inputs else {
        return Err(danlu_graph::Error::new(
            "ctc takes labels and logits".to_owned(),
        ));
    };
    let (&[_, length], &[count, steps, classes]) =
        (labels.shape.as_slice(), logits.shape.as_slice())
    else {
        return Err(danlu_graph::Error::new(format!(
            "ctc takes labels (batch, labels) and logits (batch, steps, classes), received {:?} and {:?}",
            labels.shape, logits.shape
        )));
    };
    let (labels, logits) = (&labels.data, &logits.data);
    Ok((0..count).map(move |place| {
        let labels = &labels[place * length..(place + 1) * length];
        let logits = &logits[place * steps * classes..(place + 1) * steps * classes];
        Example::new(place, labels, logits, classes)
    }))
}

impl Example {
    fn new(
        place: usize,
        labels: &[f64],
        logits: &[f64],
        classes: usize,
    ) -> danlu_graph::Result<Example> {
        let end = labels.iter().position(|&label| label == 0.0);
        let (own, rest) = labels.split_at(end.unwrap_or(labels.len()));
        let is_wrong = |label: &&f64| !(**label >= 1.0 && **label < classes as f64);
        let bad = own.iter().find(is_wrong);
        if let Some(bad) = bad.or_else(|| rest.iter().find(|&&label| label != 0.0)) {
            return Err(danlu_graph::Error::new(format!(
                "ctc: example {place} of the batch has the label {bad}: labels are from 1 to {}, and 0 from the sequence's end on",
                classes.saturating_sub(1)
            )));
        }
        let mut states = vec![0];
        for &label in own {
            states.extend([label as usize, 0]);
        }
        let mut chances = Vec::with_capacity(logits.len());
        for row in logits.chunks(classes.max(1)) {
            let all = log_sum(row.iter().copied());
            chances.extend(row.iter().map(|logit| logit - all));
        }
        Ok(Example {
            chances,
            classes,
            states,
        })
    }

    fn steps(&self) -> usize {
        self.chances.len() / self.classes.max(1)
    }

    fn chance(&self, step: usize, state: usize) -> f64 {
        self.chances[step * self.classes + self.states[state]]
    }

    /// Whether one may go from the state two before to this one: it is a label, and another than that.
    fn skips(&self, state: usize) -> bool {
        state > 1 && self.states[state] != 0 && self.states[state] != self.states[state - 2]
    }

    /// The logarithms of the chances of all ways that end in a state at a step, its own chance included.
    fn forward(&self) -> Vec<f64> {
        let count = self.states.len();
        let mut before = vec![f64::NEG_INFINITY; count * self.steps()];
        for step in 0..self.steps() {
            for state in 0..count {
                let from = match step {
                    0 if state > 1 => f64::NEG_INFINITY,
                    0 => 0.0,
                    _ => {
                        let at = |state: usize| before[(step - 1) * count + state];
                        let one = if state > 0 {
                            at(state - 1)
                        } else {
                            f64::NEG_INFINITY
                        };
                        let two = if self.skips(state) {
                            at(state - 2)
                        } else {
                            f64::NEG_INFINITY
                        };
                        log_sum([at(state), one, two].into_iter())
                    }
                };
                before[step * count + state] = from + self.chance(step, state);
            }
        }
        before
    }

    /// The logarithms of the chances of all that can follow a state at a step, its own chance left out.
    fn backward(&self) -> Vec<f64> {
        let (count, steps) = (self.states.len(), self.steps());
        let mut after = vec![f64::NEG_INFINITY; count * steps];
        for step in (0..steps).rev() {
            for state in 0..count {
                after[step * count + state] = if step + 1 == steps {
                    if state + 2 >= count {
                        0.0
                    } else {
                        f64::NEG_INFINITY
                    }
                } else {
                    let at = |to: usize| match to < count {
                        true => after[(step + 1) * count + to] + self.chance(step + 1, to),
                        false => f64::NEG_INFINITY,
                    };
                    let skips = state + 2 < count && self.skips(state + 2);
                    let two = if skips {
                        at(state + 2)
                    } else {
                        f64::NEG_INFINITY
                    };
                    log_sum([at(state), at(state + 1), two].into_iter())
                };
            }
        }
        after
    }

    /// The logarithm of the chance of the labels.
    fn total(&self, before: &[f64]) -> f64 {
        let count = self.states.len();
        let last = &before[before.len().saturating_sub(count)..];
        log_sum(last[last.len().saturating_sub(2)..].iter().copied())
    }

    fn loss(&self) -> f64 {
        -self.total(&self.forward())
    }

    /// A class's chance at a step, less the share of the ways that are in it there; 0 where there is no way at all.
    fn slope(&self) -> Vec<f64> {
        let (before, after) = (self.forward(), self.backward());
        let total = self.total(&before);
        if total == f64::NEG_INFINITY {
            return vec![0.0; self.chances.len()];
        }
        let mut slope: Vec<f64> = self.chances.iter().map(|chance| chance.exp()).collect();
        let count = self.states.len();
        for (place, (before, after)) in before.iter().zip(&after).enumerate() {
            let (step, state) = (place / count, place % count);
            slope[step * self.classes + self.states[state]] -= (before + after - total).exp();
        }
        slope
    }
}

/// The logarithm of the sum of the exponentials.
fn log_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    match largest.is_finite() {
        true => {
            largest
                + values
                    .map(|value| (value - largest).exp())
                    .sum::<f64>()
                    .ln()
        }
        false => largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn tensors(labels: &[i32], steps: usize) -> (Tensor, Tensor) {
        let logits = (0..2 * steps * 3).map(|i| ((i * 37 + 5) % 23) as f32 / 7.0 - 1.5);
        (
            Tensor::from_i32(&[2, labels.len() / 2], labels.to_vec()).unwrap(),
            Tensor::from_f32(&[2, steps, 3], logits.collect()).unwrap(),
        )
    }

    fn loss(labels: &[i32], steps: usize) -> crate::Result<Vec<f64>> {
        let graph = danlu_graph::Graph::new();
        let (labels, logits) = tensors(labels, steps);
        let value = CTC::new().values(&graph.constant(labels)?, &graph.constant(logits)?)?;
        let program = danlu_graph::Program::new(&graph, &[], &[("loss", &value)], &[])?;
        let mut device = crate::default_executor()?;
        let bindings = danlu_graph::Bindings::batch(2);
        let plan = danlu_graph::Executor::compile(&mut *device, &program, &bindings)?;
        let mut found = danlu_graph::executor::output_tensors(&program, &bindings)?;
        danlu_graph::Executor::run(&mut *device, plan, &[], &mut found)?;
        Ok(found[0].to_f64())
    }

    /// The sum over all ways, one by one, whose repetitions and blanks taken away give the labels.
    fn by_hand(labels: &[i32], logits: &[f64], steps: usize) -> f64 {
        let mut sum = 0.0;
        for number in 0..3_usize.pow(steps as u32) {
            let way: Vec<usize> = (0..steps)
                .map(|t| number / 3_usize.pow(t as u32) % 3)
                .collect();
            let mut said = way.clone();
            said.dedup();
            said.retain(|&class| class != 0);
            let wanted = labels.iter().take_while(|label| **label != 0);
            if !said.iter().copied().eq(wanted.map(|&label| label as usize)) {
                continue;
            }
            let chances = way.iter().enumerate().map(|(step, &class)| {
                let row = &logits[step * 3..step * 3 + 3];
                row[class].exp() / row.iter().map(|logit| logit.exp()).sum::<f64>()
            });
            sum += chances.product::<f64>();
        }
        -sum.ln()
    }

    #[test]
    fn the_loss_is_that_of_all_ways() {
        for labels in [[1, 2, 1, 0], [2, 2, 1, 1], [0, 0, 2, 0]] {
            let found = loss(&labels, 5).unwrap();
            let (_, logits) = tensors(&labels, 5);
            let logits = logits.to_f64();
            for (place, found) in found.iter().enumerate() {
                let labels = &labels[place * 2..place * 2 + 2];
                let expected = by_hand(labels, &logits[place * 15..], 5);
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{labels:?}: {found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_is_infinite_or_an_error() {
        // Two of the same need a step between.
        let found = loss(&[1, 1, 1, 2], 2).unwrap();
        assert_eq!(found[0], f64::INFINITY);
        assert!(found[1].is_finite());
        for labels in [[1, 3, 1, 1], [1, 1, -1, 0], [0, 1, 1, 1]] {
            let error = loss(&labels, 4).unwrap_err().to_string();
            assert!(error.contains("labels are from 1 to 2"), "{error}");
        }
        let graph = danlu_graph::Graph::new();
        let (labels, _) = tensors(&[1, 1], 1);
        let labels = graph.constant(labels).unwrap();
        let error = CTC::new().values(&labels, &labels).unwrap_err().to_string();
        assert!(error.contains("(batch, steps, classes)"), "{error}");
    }

    #[test]
    fn a_model_learns_sequences() {
        let x = (0..8 * 6 * 2).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0);
        let x = Tensor::from_f32(&[8, 6, 2], x.collect()).unwrap();
        let y = (0..8).flat_map(|i| [1 + i % 2, 2 - i % 2, i / 4]).collect();
        let y = Tensor::from_i32(&[8, 3], y).unwrap();
        let mut model = Sequential::new();
        model.add(Input::new([6, 2]));
        model.add(Conv1D::new(8, 3).padding("same").activation("tanh"));
        model.add(Dense::new(3));
        let optimizer = Adam::new(0.05);
        model
            .compile(optimizer, CTC::new(), Vec::<&str>::new())
            .unwrap();
        assert!(model.warnings().is_empty(), "{:?}", model.warnings());
        let options = FitOptions::new().epochs(30).verbose(false);
        let history = model.fit((&x, &y), options).unwrap();
        let losses = history.get("loss").unwrap();
        assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
    }
}
