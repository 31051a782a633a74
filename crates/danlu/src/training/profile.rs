//! Where the time of a training goes.

use std::fmt;

use danlu_graph::operations::{BinaryKind, CompareKind, UnaryKind};
use danlu_graph::{GRADIENT, OperationProfile, Profile, StepProfile};

use crate::{Model, Result};

use super::program::{Mode, OPTIMIZER};

/// What a part of a training step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Outputs, loss and metrics.
    Forward,
    /// Gradients.
    Backward,
    /// The optimizer's new values.
    Update,
    /// A gradient and the new values that it gives, in one.
    BackwardAndUpdate,
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Stage::Forward => "forward",
            Stage::Backward => "backward",
            Stage::Update => "update",
            Stage::BackwardAndUpdate => "backward and update",
        })
    }
}

/// The time of one kernel, over all training steps.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationTime {
    /// The layer, `loss`, a metric, `optimizer`; empty for what belongs to none.
    pub layer: String,
    /// What it is for.
    pub stage: Stage,
    /// The names of the operations that the kernel does, in order.
    pub operations: Vec<String>,
    /// Time spent.
    pub seconds: f64,
    /// Multiplications, additions and other functions of one element.
    pub flops: u64,
    /// Bytes read and written at least.
    pub bytes: u64,
}

impl OperationTime {
    /// The operations in a few words: a long row of elementwise functions is only counted.
    pub fn label(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let runs = self
            .operations
            .chunk_by(|a, b| is_elementwise(a) == is_elementwise(b));
        for run in runs {
            match run {
                [first, ..] if run.len() > SPELLED_OUT && is_elementwise(first) => {
                    words.push(format!("{} elementwise", run.len()));
                }
                run => words.extend(run.iter().cloned()),
            }
        }
        words.join(" + ")
    }

    /// Billions of operations a second.
    pub fn gflops(&self) -> f64 {
        rate(self.flops, self.seconds)
    }

    /// Billions of bytes a second; those that come from a cache count as well.
    pub fn gigabytes_per_second(&self) -> f64 {
        rate(self.bytes, self.seconds)
    }
}

/// So many elementwise functions in a row are named, more are counted.
const SPELLED_OUT: usize = 3;

fn rate(count: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => count as f64 / seconds / 1e9,
        false => 0.0,
    }
}

/// The time of one layer, over all training steps, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerTime {
    /// The layer, `loss`, a metric, `optimizer`; empty for what belongs to none.
    pub layer: String,
    /// Outputs, loss, metrics.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// New values, and the gradients of the weights where one kernel makes both.
    pub update: f64,
}

impl LayerTime {
    /// All of it.
    pub fn seconds(&self) -> f64 {
        self.forward + self.backward + self.update
    }
}

/// Where the time of training steps went: see [`Model::training_profile`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingProfile {
    /// Number of steps.
    pub steps: u64,
    /// Number of examples in them.
    pub examples: u64,
    /// Time in the plans: operations, copying. What `fit` does between them (gathering batches, running means, callbacks) is
    /// not in it.
    pub seconds: f64,
    /// Time in the plans outside operations: copying results out of the arena.
    pub copying_seconds: f64,
    /// Time that threads stood still within operations, waiting for others, summed over the threads.
    pub waiting_seconds: f64,
    /// Number of threads.
    pub threads: usize,
    /// Bytes in which all values of a step live.
    pub arena_bytes: u64,
    /// The operations, in the order in which they run.
    pub operations: Vec<OperationTime>,
    /// The layers, in the model's order, then `loss`, metrics and the rest.
    pub layers: Vec<LayerTime>,
}

impl TrainingProfile {
    /// Adds up plans of the same model, each with the number of examples of a step; `layer_names` are the model's, in order.
    pub fn new(plans: &[(usize, Profile)], layer_names: &[&str]) -> TrainingProfile {
        let seconds = |nanoseconds: u64| nanoseconds as f64 * 1e-9;
        let mut sum = TrainingProfile::default();
        for (batch, plan) in plans {
            sum.steps += plan.runs;
            sum.examples += plan.runs * *batch as u64;
            sum.seconds += seconds(plan.nanoseconds);
            sum.waiting_seconds += seconds(plan.waiting_nanoseconds);
            sum.threads = plan.threads;
            sum.arena_bytes = sum.arena_bytes.max(plan.arena_bytes);
            for (step, (layer, stage)) in plan.steps.iter().zip(places(&plan.steps)) {
                let time = OperationTime {
                    layer,
                    stage,
                    operations: step.operations.iter().map(|one| one.name.clone()).collect(),
                    seconds: seconds(step.nanoseconds),
                    flops: step.flops * plan.runs,
                    bytes: step.bytes * plan.runs,
                };
                let known = sum.operations.iter_mut().find(|known| {
                    known.layer == time.layer
                        && known.stage == time.stage
                        && known.operations == time.operations
                });
                match known {
                    Some(known) => {
                        known.seconds += time.seconds;
                        known.flops += time.flops;
                        known.bytes += time.bytes;
                    }
                    None => sum.operations.push(time),
                }
            }
        }
        let operations = sum.operations.iter().map(|time| time.seconds);
        sum.copying_seconds = (sum.seconds - operations.sum::<f64>()).max(0.0);
        sum.layers = layers(&sum.operations, layer_names);
        sum
    }
}

/// The layers of these operations: those named first, then the others in the order in which they run.
fn layers(operations: &[OperationTime], names: &[&str]) -> Vec<LayerTime> {
    let mut layers: Vec<LayerTime> = Vec::new();
    for time in operations {
        let place = match layers.iter().position(|known| known.layer == time.layer) {
            Some(place) => place,
            None => {
                layers.push(LayerTime {
                    layer: time.layer.clone(),
                    ..LayerTime::default()
                });
                layers.len() - 1
            }
        };
        let layer = &mut layers[place];
        *match time.stage {
            Stage::Forward => &mut layer.forward,
            Stage::Backward => &mut layer.backward,
            Stage::Update | Stage::BackwardAndUpdate => &mut layer.update,
        } += time.seconds;
    }
    let rank = |layer: &LayerTime| names.iter().position(|name| *name == layer.layer);
    layers.sort_by_key(|layer| rank(layer).unwrap_or(names.len()));
    layers
}

/// The layer and the stage of each step, read from the paths that the training program gives its nodes.
fn places(steps: &[StepProfile]) -> Vec<(String, Stage)> {
    let mut places: Vec<(String, Stage)> = steps.iter().map(place).collect();
    // A forward kernel may make what only its gradient needs as well; no gradient runs before the loss is there.
    let last = places
        .iter()
        .rposition(|(_, stage)| *stage == Stage::Forward);
    for (_, stage) in &mut places[..last.unwrap_or(0)] {
        if *stage == Stage::Backward {
            *stage = Stage::Forward;
        }
    }
    places
}

/// A step belongs to the layer of what costs most in it: the first operation that is more than a function of one element.
/// What follows that while it is in cache may belong to the next layer. A step of such functions alone belongs to the last.
fn place(step: &StepProfile) -> (String, Stage) {
    let Some(last) = step.operations.last() else {
        return (String::new(), Stage::Forward);
    };
    let mut operations = step.operations.iter();
    let main = operations.find(|one| !is_elementwise(&one.name));
    let main = main.unwrap_or(last);
    let layer = layer(&main.path).to_owned();
    let updates = |one: &OperationProfile| parameter(&one.path).is_some();
    let stage = match updates(last) {
        true if step.operations.iter().all(updates) => Stage::Update,
        true => Stage::BackwardAndUpdate,
        false if main.path.rsplit('/').next() == Some(GRADIENT) => Stage::Backward,
        false => Stage::Forward,
    };
    (layer, stage)
}

/// The layer and the stage of an operation, read from the path that the training program gives it.
pub(crate) fn place_of(path: &str) -> (String, Stage) {
    let stage = match path.rsplit('/').next() {
        _ if parameter(path).is_some() => Stage::Update,
        Some(GRADIENT) => Stage::Backward,
        _ => Stage::Forward,
    };
    (layer(path).to_owned(), stage)
}

/// Of a path in the optimizer, which parameter it is about; empty for what is about none.
fn parameter(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(OPTIMIZER)?;
    match rest.is_empty() {
        true => Some(rest),
        false => rest.strip_prefix('/'),
    }
}

/// The layer that a path of the training program lies in.
fn layer(path: &str) -> &str {
    let above = |path| str::rsplit_once(path, '/').map_or("", |(above, _)| above);
    match parameter(path) {
        Some("") => path,
        Some(parameter) => above(parameter),
        None if path.rsplit('/').next() == Some(GRADIENT) => above(path),
        None => path,
    }
}

/// Whether an operation of this name works on one element at a time.
fn is_elementwise(name: &str) -> bool {
    let mut unary = UnaryKind::ALL.iter().map(|kind| kind.name());
    let mut binary = BinaryKind::ALL.iter().map(|kind| kind.name());
    let mut compare = CompareKind::ALL.iter().map(|kind| kind.name());
    unary.any(|own| own == name)
        || binary.any(|own| own == name)
        || compare.any(|own| own == name)
        || ["select", "cast", "stop_gradient"].contains(&name)
}

impl Model {
    /// Measures the steps of every plan from now on, or no longer: see [`training_profile`](Self::training_profile).
    ///
    /// # Errors
    /// The model has no device yet and none can be started.
    pub fn measure(&mut self, on: bool) -> Result<()> {
        self.executor()?.measure(on);
        Ok(())
    }

    /// What was measured of the plans of training steps, with the number of examples of a step: one for full batches,
    /// one for the last, shorter ones. Empty where nothing was measured, or the device cannot measure.
    pub fn training_profiles(&self) -> Vec<(usize, Profile)> {
        let Some(executor) = &self.executor else {
            return Vec::new();
        };
        self.plans
            .iter()
            .filter(|plan| plan.signature.mode == Mode::Train)
            .filter_map(|plan| Some((plan.batch, executor.profile(plan.id)?)))
            .filter(|(_, profile)| profile.runs > 0)
            .collect()
    }

    /// Where the time of the training steps went since [`measure`](Self::measure) was switched on, by operation and layer.
    pub fn training_profile(&self) -> TrainingProfile {
        TrainingProfile::new(&self.training_profiles(), &self.layer_names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// A step of operations that are written `path:name`.
    fn step(operations: &[&str]) -> StepProfile {
        let operations = operations.iter().map(|one| {
            let (path, name) = one.split_once(':').unwrap();
            OperationProfile {
                name: name.to_owned(),
                path: path.to_owned(),
            }
        });
        StepProfile {
            operations: operations.collect(),
            nanoseconds: 1_000_000_000,
            flops: 3_000_000_000,
            bytes: 1_000_000_000,
        }
    }

    #[test]
    fn plans_are_added_up_by_layer_and_stage() {
        let steps = vec![
            step(&["conv:conv2d", "conv:add", "conv:relu", "pool:max_pool2d"]),
            step(&["dense:multiply", "dense/gradient:greater"]),
            step(&["loss:sparse_cross_entropy"]),
            step(&["loss/gradient:subtract", "dense/gradient:multiply"]),
            step(&["dense/gradient:matmul", "conv/gradient:select"]),
            step(&[
                "conv/gradient:conv2d_weight_gradient",
                "optimizer:subtract",
                "optimizer/conv/kernel:multiply",
                "optimizer/conv/kernel:add",
                "optimizer/conv/kernel:sqrt",
            ]),
            step(&[
                "optimizer/conv/bias:subtract",
                "optimizer/conv/bias:multiply",
            ]),
            step(&["optimizer:add"]),
        ];
        let plan = Profile {
            runs: 2,
            nanoseconds: 9_000_000_000,
            waiting_nanoseconds: 500_000_000,
            threads: 2,
            arena_bytes: 100,
            steps,
        };
        let sum = TrainingProfile::new(&[(8, plan.clone()), (3, plan)], &["conv"]);
        assert_eq!((sum.steps, sum.examples), (4, 22));
        assert!((sum.copying_seconds - 2.0).abs() < 1e-6);
        let places = sum.operations.iter();
        let places: Vec<_> = places
            .map(|time| (time.layer.as_str(), time.stage))
            .collect();
        let expected = [
            ("conv", Stage::Forward),
            ("dense", Stage::Forward),
            ("loss", Stage::Forward),
            ("dense", Stage::Backward),
            ("dense", Stage::Backward),
            ("conv", Stage::BackwardAndUpdate),
            ("conv", Stage::Update),
            ("optimizer", Stage::Update),
        ];
        assert_eq!(places, expected);
        assert_eq!(
            sum.operations[5].label(),
            "conv2d_weight_gradient + 4 elementwise"
        );
        assert!((sum.operations[0].gflops() - 6.0).abs() < 1e-6);
        let layers = &sum.layers;
        assert_eq!(layers.len(), 4);
        assert_eq!(layers[0].layer, "conv");
        let conv = (layers[0].forward, layers[0].backward, layers[0].update);
        assert_eq!(conv, (2.0, 0.0, 4.0));
    }

    #[test]
    fn a_training_says_where_its_time_went() {
        let mut model = Sequential::from_layers([
            Input::new([6]).into(),
            Dense::new(8).activation("relu").into(),
            Dense::new(3).activation("softmax").into(),
        ]);
        let metrics = ["accuracy"];
        model
            .compile(Adam::default(), "sparse_categorical_crossentropy", metrics)
            .unwrap();
        let x = Tensor::from_f32(&[10, 6], vec![0.5; 60]).unwrap();
        let y = Tensor::from_i32(&[10], (0..10).map(|index| index % 3).collect()).unwrap();
        model.measure(true).unwrap();
        let options = FitOptions::new().epochs(2).batch_size(4).verbose(false);
        model.fit((&x, &y), options).unwrap();
        let sum = model.training_profile();
        assert_eq!((sum.steps, sum.examples), (6, 20));
        let names: Vec<String> = sum.layers.iter().map(|time| time.layer.clone()).collect();
        for name in ["dense", "dense_1", "loss", "accuracy"] {
            assert!(names.iter().any(|own| own == name), "{name}: {names:?}");
        }
        assert_eq!(names[..2], ["dense", "dense_1"]);
        let dense = &sum.layers[0];
        assert!(dense.forward > 0.0 && dense.update > 0.0);
        let parts: f64 = sum.operations.iter().map(|time| time.seconds).sum();
        assert!((parts + sum.copying_seconds - sum.seconds).abs() < 1e-6);
        model.measure(false).unwrap();
        assert_eq!(model.training_profile(), TrainingProfile::default());
    }
}
