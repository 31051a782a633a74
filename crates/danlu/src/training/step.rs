//! One step: a batch through a plan, labels checked before, loss and metrics added up after.

use danlu_data::Batch;
use danlu_graph::{Tensor, TensorData};

use crate::{Error, Model, Result};

use super::program::{Mode, Signature};

/// Inputs of a step at most: `x`, `y`, weights, seed, first example.
const MOST_INPUTS: usize = 5;

/// What a pass over data does at each step. Holds the numbers that programs are given beside the batch.
pub(super) struct Stepper {
    pub signature: Signature,
    /// The number of classes, where targets are class indices.
    classes: Option<usize>,
    /// A class index that is none and counts for nothing.
    ignored: Option<i64>,
    dataset: String,
    seed: Tensor,
    first_example: Tensor,
}

impl Stepper {
    pub fn new(model: &Model, signature: Signature, dataset: &str, seed: u64) -> Result<Stepper> {
        let loss = model
            .compiled
            .as_ref()
            .map(|compiled| compiled.loss.function());
        let sparse =
            loss.filter(|loss| signature.mode != Mode::Predict && loss.takes_class_indices());
        let classes = match sparse {
            Some(_) => model.output_shape().and_then(|shape| shape.last().copied()),
            None => None,
        };
        let ignored = sparse.and_then(|loss| loss.ignored_class());
        Ok(Stepper {
            signature,
            classes,
            ignored,
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

    /// Adds the results of a step to the running values, and gives the loss of the batch.
    pub fn add_up(&self, model: &mut Model, place: usize) -> f64 {
        let Some(compiled) = &mut model.compiled else {
            return f64::NAN;
        };
        let plan = model.plans.get(place);
        let loss = plan.outputs[0].get_f64(0);
        compiled.running.add_loss(loss, plan.batch as f64);
        let metrics = compiled.metrics.iter().chain(&compiled.weighted_metrics);
        for (place, (metric, totals)) in metrics.zip(&plan.metrics).enumerate() {
            compiled.running.add(place, metric, totals, &plan.outputs);
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
            _ if self.ignored.is_some() => {
                let ignored = self.ignored.map(|class| class as f64);
                let is_class =
                    |value: f64| (0.0..classes as f64).contains(&value) && value.fract() == 0.0;
                (0..labels.len()).find(|&place| {
                    let value = labels.get_f64(place);
                    !is_class(value) && Some(value) != ignored
                })
            }
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
