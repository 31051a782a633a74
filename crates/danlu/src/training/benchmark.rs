//! One step on random examples, again and again: how fast a model runs.

use danlu_data::Batch;
use danlu_graph::operations::random::{key, stream, uniform_at};
use danlu_graph::tensor::element_count;
use danlu_graph::{Profile, Tensor};

use crate::losses::LossFunction;
use crate::model::{Call, Source};
use crate::optimizers::LearningRate;
use crate::{Error, Model, Result};

use super::TrainingProfile;
use super::arrangement::Arrangement;
use super::lbfgs::Given;
use super::program::{Mode, Signature};
use super::step::Stepper;

/// A step of a model that can be run again and again: see [`Model::benchmark`].
pub struct Benchmark<'a> {
    model: &'a mut Model,
    stepper: Stepper,
    batch: Batch,
    place: usize,
    learning_rate: Option<f64>,
    /// The parameters as they were.
    weights: Vec<Tensor>,
}

impl Model {
    /// A training step, or a prediction, on a batch of this many random examples with random targets that fit the loss.
    ///
    /// The plan is the one that [`fit`](Self::fit) or [`predict`](Self::predict) uses. A learning rate that is no
    /// schedule is 0 as long as the benchmark lives, so that all runs do the same work on the same weights. Weights are as they
    /// were afterwards; only the optimizer's own state has moved. Of a step of L-BFGS it is one evaluation of loss and gradient.
    ///
    /// # Errors
    /// The model is not built and its input's shape is not known; for training, it is not compiled; there is no memory for
    /// the batch.
    pub fn benchmark(&mut self, examples: usize, training: bool) -> Result<Benchmark<'_>> {
        if !self.built {
            self.build()?;
        }
        let signature = match training {
            false => Signature::predict(),
            true => self.plain_signature(Mode::Train, "benchmark")?,
        };
        let names = self.input_names().into_iter();
        let shapes = self.input_shapes().unwrap_or_default();
        let mut features = Vec::new();
        for (place, (name, shape)) in names.zip(shapes).enumerate() {
            let numbers = random(name, examples, &shape)?;
            features.push(match self.index_limit(place) {
                Some(limit) => indices(&numbers, limit)?,
                None => numbers,
            });
        }
        let mut batch = Batch {
            features,
            ..Batch::default()
        };
        let mut learning_rate = None;
        let mut weights = Vec::new();
        if training {
            batch.targets = self.random_targets(examples)?;
            self.ensure_optimizer_state("benchmark")?;
            weights = self.weights()?;
            let rate = self.optimizer().map(|one| &one.options().learning_rate);
            if let Some(LearningRate::Constant(_)) = rate {
                learning_rate = self.learning_rate();
                self.set_learning_rate(0.0)?;
            }
        }
        let arrangement = match training {
            true => Arrangement::in_order(self),
            false => Arrangement::of_inputs(self),
        };
        let stepper = Stepper::new(self, signature, arrangement, "the benchmark", self.seed)?;
        let place = self.plan(&stepper.signature, examples)?;
        Ok(Benchmark {
            model: self,
            stepper,
            batch,
            place,
            learning_rate,
            weights,
        })
    }

    /// The number that an input is whole numbers below, where it goes to such a layer as it is.
    fn index_limit(&self, input: usize) -> Option<usize> {
        let own = |source: &Source| match *source {
            Source::Input(place) => place == input,
            Source::Call { call, .. } => {
                let call = &self.calls[call];
                let is_input = self.nodes[call.node].layer.input_shape().is_some();
                is_input && call.inputs == [Source::Input(input)]
            }
        };
        let reading = self
            .calls
            .iter()
            .filter(|call: &&Call| call.inputs.iter().all(own));
        let limits = reading.filter_map(|call| self.nodes[call.node].layer.index_limit());
        limits.min()
    }

    /// The outputs' targets.
    fn random_targets(&self, examples: usize) -> Result<Vec<Tensor>> {
        let objectives = &self.require_compiled("benchmark")?.objectives;
        let outputs = self.output_shapes().unwrap_or_default();
        let names = self.output_names();
        let mut targets = Vec::new();
        let wanted = self.targets("benchmark")?.into_iter().enumerate();
        for (place, (shape, _)) in wanted.filter_map(|(place, one)| Some((place, one?))) {
            let name = match names.len() {
                1 => "y",
                _ => names[place].as_str(),
            };
            let numbers = random(name, examples, &shape)?;
            let classes = outputs[place].last().copied().unwrap_or(1).max(1);
            let loss = objectives[place].loss.as_ref();
            targets.push(match loss {
                Some(loss) => random_target(loss.function(), numbers, classes)?,
                None => numbers,
            });
        }
        Ok(targets)
    }
}

/// A target as the loss takes it: class indices, one class of each example, truth values, or numbers.
fn random_target(loss: &dyn LossFunction, numbers: Tensor, classes: usize) -> Result<Tensor> {
    let full = numbers.shape().to_vec();
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

impl Benchmark<'_> {
    /// Runs the step once. Allocates nothing.
    ///
    /// # Errors
    /// An operation of a user's own failed.
    pub fn run(&mut self) -> Result<()> {
        let given = Given {
            batch: &self.batch,
            weights: None,
            examples: 0,
            indices: None,
        };
        self.place = self.stepper.evaluate(self.model, given)?;
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

    /// Runs the step so many times, and says where the time went: an empty profile where the device cannot say.
    ///
    /// # Errors
    /// As [`run`](Self::run); there is no device.
    pub fn profile(&mut self, runs: usize) -> Result<TrainingProfile> {
        self.model.executor()?.measure(true);
        let ran = (0..runs).try_for_each(|_| self.run());
        let plan = self.model.plans.get(self.place).id;
        let executor = self.model.executor()?;
        let profile = executor.profile(plan);
        executor.measure(false);
        ran?;
        let plans: Vec<(usize, Profile)> = profile
            .map(|profile| (self.batch.len(), profile))
            .into_iter()
            .collect();
        Ok(TrainingProfile::new(&plans, &self.model.layer_names()))
    }
}

impl Drop for Benchmark<'_> {
    fn drop(&mut self) {
        // They were set before; where the executor refuses now, there is nobody to tell.
        if let Some(rate) = self.learning_rate {
            let _ = self.model.set_learning_rate(rate);
        }
        if !self.weights.is_empty() {
            let _ = self.model.set_weights(&self.weights);
        }
    }
}

/// Whole numbers from 0 up to, without, the limit from numbers up to 1.
fn indices(numbers: &Tensor, limit: usize) -> Result<Tensor> {
    let values = numbers.as_f32().unwrap_or_default().iter();
    let index = |&number: &f32| ((number * limit as f32) as usize).min(limit.max(1) - 1) as f32;
    Ok(Tensor::from_f32(
        numbers.shape(),
        values.map(index).collect(),
    )?)
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
    fn an_embedding_reads_rows_everywhere() {
        for limit in [1, 7, 1000] {
            let layers = [Input::new([16]).into(), Embedding::new(limit, 2).into()];
            let mut model: Model = Sequential::from_layers(layers).into();
            let mut benchmark = model.benchmark(64, false).unwrap();
            benchmark.run().unwrap();
            let rows = benchmark.batch.features[0].to_f64();
            let whole = |row: &f64| row.fract() == 0.0 && (0.0..limit as f64).contains(row);
            assert!(rows.iter().all(whole), "{limit}");
            let mut seen: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() >= limit.min(500), "{limit}: {}", seen.len());
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
