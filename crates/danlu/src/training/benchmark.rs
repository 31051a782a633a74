//! One step on random examples, again and again: how fast a model runs.

use danlu_data::Batch;
use danlu_graph::operations::random::{key, stream, uniform_at};
use danlu_graph::tensor::element_count;
use danlu_graph::{Profile, Tensor};

use crate::{Error, Model, Result};

use super::program::{Mode, Signature};
use super::step::Stepper;

/// A step of a model that can be run again and again: see [`Model::benchmark`].
pub struct Benchmark<'a> {
    model: &'a mut Model,
    stepper: Stepper,
    batch: Batch,
    place: usize,
    learning_rate: Option<f64>,
    /// What a step changes though the learning rate is 0, as it was.
    changed: Vec<(String, Tensor)>,
}

impl Model {
    /// A training step, or a prediction, on a batch of this many random examples with random targets that fit the loss.
    ///
    /// The plan is the one that [`fit`](Self::fit) or [`predict`](Self::predict) uses. The learning rate is 0 as long as the
    /// benchmark lives, so that all runs do the same work on the same weights; only the optimizer's own state moves. Statistics that
    /// layers keep and what constraints change is put back when the benchmark ends.
    ///
    /// # Errors
    /// The model is not built and its input's shape is not known; for training, it is not compiled; there is no memory for
    /// the batch.
    pub fn benchmark(&mut self, examples: usize, training: bool) -> Result<Benchmark<'_>> {
        if !self.built {
            self.build()?;
        }
        let signature = match training {
            false => Signature {
                mode: Mode::Predict,
                target: None,
                weighted: false,
            },
            true => Signature {
                mode: Mode::Train,
                target: Some(self.target("benchmark")?),
                weighted: false,
            },
        };
        let example = self.input_shape().unwrap_or_default();
        let mut batch = Batch {
            features: vec![random("x", examples, &example)?],
            ..Batch::default()
        };
        let mut learning_rate = None;
        let mut changed = Vec::new();
        if training {
            batch.targets.push(self.random_targets(examples)?);
            self.ensure_optimizer_state("benchmark")?;
            learning_rate = self.learning_rate();
            changed = self.changed_without_learning()?;
            self.set_learning_rate(0.0)?;
        }
        let stepper = Stepper::new(self, signature, "the benchmark", self.seed)?;
        let place = self.plan(&stepper.signature, examples)?;
        Ok(Benchmark {
            model: self,
            stepper,
            batch,
            place,
            learning_rate,
            changed,
        })
    }

    /// Copies of statistics that layers keep and of parameters that constraints are applied to, by state.
    fn changed_without_learning(&mut self) -> Result<Vec<(String, Tensor)>> {
        let states = self.nodes.iter().flat_map(|node| node.states());
        let changed = states.filter(|(_, p)| !p.trainable || p.constraint.is_some());
        let names: Vec<String> = changed.map(|(name, _)| name).collect();
        let executor = self.executor()?;
        let copy = |name: String| executor.read_state(&name).map(|value| (name, value));
        Ok(names.into_iter().map(copy).collect::<Result<_, _>>()?)
    }

    /// Targets as the loss takes them: class indices, one class of each example, truth values, or numbers.
    fn random_targets(&self, examples: usize) -> Result<Tensor> {
        let (shape, _) = self.target("benchmark")?;
        let numbers = random("y", examples, &shape)?;
        let loss = self.require_compiled("benchmark")?.loss.function();
        let full = numbers.shape().to_vec();
        let classes = self.output_shape().and_then(|shape| shape.last().copied());
        let classes = classes.unwrap_or(1).max(1);
        let class = |number: f32| ((number * classes as f32) as usize).min(classes - 1);
        let values = numbers.as_f32().unwrap_or_default();
        if loss.takes_class_indices() {
            let indices = values.iter().map(|&number| class(number) as i32);
            return Ok(Tensor::from_i32(&full, indices.collect())?);
        }
        let targets: Vec<f32> = match loss.class_name() {
            "CategoricalCrossentropy" => values
                .chunks(classes)
                .flat_map(|row| {
                    let chosen = class(row[0]);
                    (0..row.len()).map(move |place| f32::from(u8::from(place == chosen)))
                })
                .collect(),
            "BinaryCrossentropy" => values.iter().map(|number| number.round()).collect(),
            _ => return Ok(numbers),
        };
        Ok(Tensor::from_f32(&full, targets)?)
    }
}

impl Benchmark<'_> {
    /// Runs the step once. Allocates nothing.
    ///
    /// # Errors
    /// An operation of a user's own failed.
    pub fn run(&mut self) -> Result<()> {
        self.place = self.stepper.run(self.model, &self.batch, None, 0, None)?;
        if self.stepper.signature.mode == Mode::Train {
            self.stepper.add_up(self.model, self.place);
        }
        Ok(())
    }

    /// The steps of the plan with what each costs at least, and what was measured of them since the last call: nothing,
    /// where this is the first. `None` where the device cannot say.
    ///
    /// # Errors
    /// There is no device.
    pub fn costs(&mut self) -> Result<Option<Profile>> {
        let plan = self.model.plans.get(self.place).id;
        let executor = self.model.executor()?;
        executor.measure(true);
        let profile = executor.profile(plan);
        executor.measure(false);
        Ok(profile)
    }
}

impl Drop for Benchmark<'_> {
    fn drop(&mut self) {
        if let Some(rate) = self.learning_rate {
            if let Ok(executor) = self.model.executor() {
                for (name, value) in &self.changed {
                    // They were read from there.
                    let _ = executor.write_state(name, value);
                }
            }
            // It was set before; where the executor refuses now, there is nobody to tell.
            let _ = self.model.set_learning_rate(rate);
        }
    }
}

/// Numbers from 0 up to, without, 1: the same for the same name and shape.
fn random(name: &str, examples: usize, example: &[usize]) -> Result<Tensor> {
    let mut shape = vec![examples];
    shape.extend(example);
    let count = element_count(&shape)?;
    let mut values: Vec<f32> = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        let bytes = count.saturating_mul(size_of::<f32>());
        Error::from(format!(
            "there is no memory for {examples} examples of shape {example:?} ({bytes} bytes)"
        ))
    })?;
    let key = key(0, stream(name, 0));
    values.extend((0..count as u64).map(|element| uniform_at(key, 0, 0, element)));
    Ok(Tensor::from_f32(&shape, values)?)
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn classifier(loss: &str, units: usize, activation: &str) -> Model {
        let mut model = Sequential::from_layers([
            Input::new([6]).into(),
            Dense::new(units).activation(activation).into(),
        ]);
        model.compile(Adam::default(), loss, ["accuracy"]).unwrap();
        model.into()
    }

    #[test]
    fn every_loss_gets_targets_that_it_takes_and_weights_stay() {
        for (loss, units, activation) in [
            ("sparse_categorical_crossentropy", 5, "softmax"),
            ("categorical_crossentropy", 5, "softmax"),
            ("binary_crossentropy", 1, "sigmoid"),
            ("mse", 3, "linear"),
            ("mae", 1, "linear"),
        ] {
            let mut model = classifier(loss, units, activation);
            model.build().unwrap();
            let before = model.layer_weights("dense").unwrap();
            for examples in [1, 7] {
                let mut benchmark = model.benchmark(examples, true).unwrap();
                for _ in 0..3 {
                    benchmark.run().unwrap();
                }
                let costs = benchmark.costs().unwrap().unwrap();
                assert_eq!(costs.runs, 0);
                let flops: u64 = costs.steps.iter().map(|step| step.flops).sum();
                // Forward and weight gradient, a multiply-add each.
                assert!(flops >= 4 * (examples * 6 * units) as u64, "{loss}");
            }
            assert_eq!(model.layer_weights("dense").unwrap(), before, "{loss}");
            assert!((model.learning_rate().unwrap() - 0.001).abs() < 1e-9);
        }
    }

    #[test]
    fn predictions_need_no_loss_and_training_does() {
        let mut model = Sequential::from_layers([Input::new([4]).into(), Dense::new(2).into()]);
        model.benchmark(3, false).unwrap().run().unwrap();
        let error = model.benchmark(3, true).err().unwrap().to_string();
        assert!(error.contains("not compiled"), "{error}");
        let error = model.benchmark(1 << 60, false).err().unwrap();
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
