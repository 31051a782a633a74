//! One step: a batch through a plan, labels checked before, loss and metrics added up after.

use danlu_data::Batch;
use danlu_graph::{Tensor, TensorData};

use crate::{Error, Model, Result};

use super::plans::Divisor;
use super::program::{Mode, Signature};

/// Inputs of a step at most: `x`, `y`, weights, seed, first example.
const MOST_INPUTS: usize = 5;

/// What a pass over data does at each step. Holds the numbers that programs are given beside the batch.
pub(super) struct Stepper {
    pub signature: Signature,
    /// The number of classes, where targets are class indices.
    classes: Option<usize>,
    dataset: String,
    seed: Tensor,
    first_example: Tensor,
}

impl Stepper {
    pub fn new(model: &Model, signature: Signature, dataset: &str, seed: u64) -> Result<Stepper> {
        let sparse = signature.mode != Mode::Predict
            && model
                .compiled
                .as_ref()
                .is_some_and(|compiled| compiled.loss.function().takes_class_indices());
        let classes = match sparse {
            true => model.output_shape().and_then(|shape| shape.last().copied()),
            false => None,
        };
        Ok(Stepper {
            signature,
            classes,
            dataset: dataset.to_owned(),
            seed: Tensor::from_i64(&[], vec![seed as i64])?,
            first_example: Tensor::from_i64(&[], vec![0])?,
        })
    }

    /// Runs a batch; gives the place of its plan, whose outputs hold the results. `examples` of the pass came before it,
    /// and `indices` are the batch's examples where they have numbers. Allocates nothing where the plan is there.
    pub fn run(
        &mut self,
        model: &mut Model,
        batch: &Batch,
        weights: Option<&Tensor>,
        examples: usize,
        indices: Option<&[usize]>,
    ) -> Result<usize> {
        if let (Some(classes), Some(labels)) = (self.classes, batch.targets.first()) {
            self.check_labels(labels, classes, batch.len(), examples, indices)?;
        }
        let place = model.plan(&self.signature, batch.len())?;
        if let Some([first]) = self.first_example.as_i64_mut() {
            *first = examples as i64;
        }
        let mut inputs: [&Tensor; MOST_INPUTS] = [&self.seed; MOST_INPUTS];
        let mut count = 0;
        let mut push = |tensor| {
            inputs[count] = tensor;
            count += 1;
        };
        let missing = |what: &str| Error::mismatch(what, "an array", "none", "");
        push(
            batch
                .features
                .first()
                .ok_or_else(|| missing("the batch's features"))?,
        );
        if self.signature.mode != Mode::Predict {
            push(
                batch
                    .targets
                    .first()
                    .ok_or_else(|| missing("the batch's targets"))?,
            );
            if self.signature.weighted {
                let weights = weights.or(batch.weights.as_ref());
                push(weights.ok_or_else(|| missing("the batch's weights"))?);
            }
            if self.signature.mode.trains() {
                push(&self.seed);
                push(&self.first_example);
            }
        }
        let Some(executor) = model.executor.as_deref_mut() else {
            return Ok(place);
        };
        let plan = model.plans.get(place);
        executor.run(plan.id, &inputs[..count], &mut plan.outputs)?;
        Ok(place)
    }

    /// Adds the results of a step to the running means, and gives the loss of the batch.
    pub fn add_up(&self, model: &mut Model, place: usize) -> f64 {
        let Some(compiled) = &mut model.compiled else {
            return f64::NAN;
        };
        let plan = model.plans.get(place);
        let loss = plan.outputs[0].get_f64(0);
        let batch = plan.batch as f64;
        compiled.running.add(0, loss * batch, batch);
        for (metric, (sum, divisor)) in plan.metrics.iter().enumerate() {
            let count = match *divisor {
                Divisor::Number(number) => number,
                Divisor::Output(place) => plan.outputs[place].get_f64(0),
            };
            let sum = plan.outputs[*sum].get_f64(0);
            compiled.running.add(metric + 1, sum, count);
        }
        loss
    }

    fn check_labels(
        &self,
        labels: &Tensor,
        classes: usize,
        rows: usize,
        examples: usize,
        indices: Option<&[usize]>,
    ) -> Result<()> {
        let bad = match labels.data() {
            TensorData::I32(values) => {
                let limit = i32::try_from(classes).unwrap_or(i32::MAX);
                values.iter().position(|value| !(0..limit).contains(value))
            }
            TensorData::F32(values) => {
                let limit = classes as f64;
                let is_class =
                    |value: f32| value >= 0.0 && value.fract() == 0.0 && f64::from(value) < limit;
                values.iter().position(|&value| !is_class(value))
            }
            _ => {
                let limit = classes as f64;
                (0..labels.len()).find(|&place| !(0.0..limit).contains(&labels.get_f64(place)))
            }
        };
        let Some(place) = bad else {
            return Ok(());
        };
        let row = place / (labels.len() / rows.max(1)).max(1);
        let example = match indices.and_then(|indices| indices.get(row)) {
            Some(&index) => index,
            None => examples + row,
        };
        Err(Error::Label {
            dataset: self.dataset.clone(),
            example,
            value: labels.get_f64(place),
            classes,
        })
    }
}
