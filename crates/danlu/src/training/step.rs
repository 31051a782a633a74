//! One step: a batch through a plan, labels checked before, loss and metrics added up after.

use danlu_data::Batch;
use danlu_graph::{Tensor, TensorData};

use crate::{Error, Model, Result};

use super::arrangement::{Arrangement, Weights};
use super::compile::{Compiled, metric};
use super::lbfgs::Given;
use super::plans::Total;
use super::program::{Mode, Signature};

/// Inputs of a step at most: the model's, targets, weights, seed, first example.
const MOST_INPUTS: usize = 64;

/// Class indices that are looked at before they are used.
struct Labels {
    /// Which of the targets.
    target: usize,
    /// The number of classes.
    classes: usize,
    /// A class index that is none and counts for nothing.
    ignored: Option<i64>,
}

/// What a pass over data does at each step. Holds the numbers that programs are given beside the batch.
pub(crate) struct Stepper {
    pub signature: Signature,
    arrangement: Arrangement,
    labels: Vec<Labels>,
    dataset: String,
    seed: Tensor,
    first_example: Tensor,
}

impl Stepper {
    pub fn new(
        model: &Model,
        signature: Signature,
        arrangement: Arrangement,
        dataset: &str,
        seed: u64,
    ) -> Result<Stepper> {
        let arrays = &arrangement;
        let count = arrays.features.len() + arrays.targets.len() + arrays.weights.len() + 2;
        if count > MOST_INPUTS {
            return Err(Error::mismatch(
                format!("the inputs and outputs of {}", model.name()),
                format!("at most {MOST_INPUTS} arrays"),
                count.to_string(),
                "",
            ));
        }
        let mut labels = Vec::new();
        let objectives = model.compiled.iter().flat_map(|one| &one.objectives);
        let outputs = model.output_shapes().unwrap_or_default();
        let compared = objectives.zip(outputs).zip(&signature.targets);
        let compared = compared.filter(|(_, target)| target.is_some());
        for (((objective, output), _), &target) in compared.zip(&arrangement.targets) {
            let function = objective.loss.as_ref().map(|loss| loss.function());
            let sparse = function.filter(|loss| loss.takes_class_indices());
            if let (Some(loss), Some(&classes)) = (sparse, output.last()) {
                labels.push(Labels {
                    target,
                    classes,
                    ignored: loss.ignored_class(),
                });
            }
        }
        Ok(Stepper {
            signature,
            arrangement,
            labels,
            dataset: dataset.to_owned(),
            seed: Tensor::from_i64(&[], vec![seed as i64])?,
            first_example: Tensor::from_i64(&[], vec![0])?,
        })
    }

    /// Runs a batch; gives the place of its plan, whose outputs hold the results. `examples` of the pass came before it,
    /// and `indices` are the batch's examples where they have numbers. Allocates nothing where the plan is there and the optimizer
    /// is not L-BFGS.
    pub fn run(
        &mut self,
        model: &mut Model,
        batch: &Batch,
        weights: Option<&Tensor>,
        examples: usize,
        indices: Option<&[usize]>,
    ) -> Result<usize> {
        let given = Given {
            batch,
            weights,
            examples,
            indices,
        };
        match self.signature.mode == Mode::Train && model.lbfgs().is_some() {
            true => self.lbfgs_step(model, given),
            false => self.evaluate(model, given),
        }
    }

    /// Runs the program of the step once.
    pub(super) fn evaluate(&mut self, model: &mut Model, given: Given) -> Result<usize> {
        let Given {
            batch,
            weights,
            examples,
            indices,
        } = given;
        for own in &self.labels {
            if let Some(labels) = batch.targets.get(own.target) {
                self.check_labels(own, labels, batch.len(), examples, indices)?;
            }
        }
        let place = model.plan(&self.signature, batch.len())?;
        let (inputs, count) = self.inputs(batch, weights, examples)?;
        let Some(executor) = model.executor.as_deref_mut() else {
            return Ok(place);
        };
        let plan = model.plans.get(place);
        executor.run(plan.id, &inputs[..count], &mut plan.outputs)?;
        Ok(place)
    }

    /// What a program of this step takes for a batch, in its order, and how many of them there are: see
    /// [`run`](Self::run). Allocates nothing.
    pub fn inputs<'a>(
        &'a mut self,
        batch: &'a Batch,
        weights: Option<&'a Tensor>,
        examples: usize,
    ) -> Result<([&'a Tensor; MOST_INPUTS], usize)> {
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
        for &place in &self.arrangement.features {
            let feature = batch.features.get(place);
            push(feature.ok_or_else(|| missing("the batch's features"))?);
        }
        for &place in &self.arrangement.targets {
            let target = batch.targets.get(place);
            push(target.ok_or_else(|| missing("the batch's targets"))?);
        }
        for source in &self.arrangement.weights {
            let own = match *source {
                Weights::Examples => weights.or(batch.weights.as_ref()),
                Weights::Target(place) => batch.target_weights.get(place),
            };
            push(own.ok_or_else(|| missing("the batch's weights"))?);
        }
        if self.signature.mode.trains() {
            push(&self.seed);
            push(&self.first_example);
        }
        Ok((inputs, count))
    }

    /// Adds the results of a step to the running values, and gives the loss of the batch.
    pub fn add_up(&self, model: &mut Model, place: usize) -> f64 {
        let Some(compiled) = &mut model.compiled else {
            return f64::NAN;
        };
        let plan = model.plans.get(place);
        let loss = plan.outputs[0].get_f64(0);
        compiled.running.add_loss(loss, plan.batch as f64);
        if self.signature.gradient_norm
            && let Some(norm) = plan.outputs.last()
        {
            compiled.running.add_gradient_norm(norm.get_f64(0));
        }
        let Compiled {
            entries,
            objectives,
            running,
            ..
        } = compiled;
        for (place, (entry, totals)) in entries.iter().zip(&plan.entries).enumerate() {
            match (metric(objectives, entry), totals.as_slice()) {
                (Some(metric), totals) => running.add(place, metric, totals, &plan.outputs),
                (None, &[Total::Output(output)]) => {
                    let loss = plan.outputs[output].get_f64(0);
                    running.add_part(place, loss, plan.batch as f64);
                }
                (None, _) => {}
            }
        }
        loss
    }

    fn check_labels(
        &self,
        own: &Labels,
        labels: &Tensor,
        rows: usize,
        examples: usize,
        indices: Option<&[usize]>,
    ) -> Result<()> {
        let classes = own.classes;
        let bad = match labels.data() {
            _ if own.ignored.is_some() => {
                let ignored = own.ignored.map(|class| class as f64);
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
