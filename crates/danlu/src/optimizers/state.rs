//! What an optimizer keeps, in the order in which Keras saves it.

use danlu_graph::{DType, Executor, Tensor, TensorData};

use super::{LearningRate, Optimizer};
use crate::Result;

/// The state with the number of steps, i64 without axes.
pub(crate) const ITERATION: &str = "optimizer/iteration";
/// The state with the learning rate, f32 without axes, where it is a number.
pub(crate) const LEARNING_RATE: &str = "optimizer/learning_rate";
/// What [`LBFGS`](super::LBFGS) keeps, i64: no state of the executor, since it grows.
pub(crate) const LBFGS_STATE: &str = "optimizer/memory";

/// Slots that all optimizers keep for options: of averages of the parameters, and of gradients that wait.
pub(super) const AVERAGE: &str = "average";
pub(super) const ACCUMULATOR: &str = "gradient_accumulator";

/// A parameter that training changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trained {
    /// Its layer's name and its own: `dense/kernel`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Trained {
    /// The number of its elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A number for each element of a parameter, or another array, that an optimizer keeps from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Its name, such as `momentum`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// F32, or i32 where it stands in files alone.
    pub dtype: DType,
    /// What each element is before the first step.
    pub initial: f64,
    /// Whether it is the parameter's value instead, as that is when training begins.
    pub begins_as_value: bool,
    /// Keras saves all parameters' slots of pass 0, then all of pass 1, and so on.
    pub pass: usize,
}

impl Slot {
    /// Zeros of f32 of this shape, in pass 0.
    pub fn new(name: &'static str, shape: &[usize]) -> Slot {
        Slot {
            name,
            shape: shape.to_vec(),
            dtype: DType::F32,
            initial: 0.0,
            begins_as_value: false,
            pass: 0,
        }
    }

    /// What each element is before the first step.
    #[must_use]
    pub fn initial(mut self, initial: f64) -> Slot {
        self.initial = initial;
        self
    }

    /// The parameter's value, as it is when training begins.
    #[must_use]
    pub fn begins_as_value(mut self) -> Slot {
        self.begins_as_value = true;
        self
    }

    /// Which pass over the parameters it is saved in.
    #[must_use]
    pub fn pass(mut self, pass: usize) -> Slot {
        self.pass = pass;
        self
    }
}

/// A state of an optimizer's in the executor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateSpec {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub initial: f64,
    /// The state of whose value this begins as a copy.
    pub copied_from: Option<String>,
}

impl StateSpec {
    /// Its value before the first step; `executor` has the parameters.
    pub fn start(&self, executor: &dyn Executor) -> Result<Tensor> {
        if let Some(name) = &self.copied_from {
            return Ok(executor.read_state(name)?);
        }
        let mut tensor = Tensor::zeros(&self.shape, self.dtype)?;
        if let TensorData::F32(values) = tensor.data_mut() {
            values.fill(self.initial as f32);
        }
        Ok(tensor)
    }

    /// The number of its elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// `optimizer/dense/kernel/momentum`.
pub(super) fn slot_name(parameter: &str, slot: &str) -> String {
    format!("optimizer/{parameter}/{slot}")
}

/// `optimizer/u_product`.
pub(super) fn shared_name(slot: &str) -> String {
    format!("optimizer/{slot}")
}

/// Everything that an optimizer keeps for these parameters, in Keras' order: the iteration, the learning rate where it is a
/// number, averages, accumulators, the optimizer's own slots pass by pass, and what it keeps once.
pub(crate) fn layout(optimizer: &dyn Optimizer, trained: &[Trained]) -> Vec<StateSpec> {
    let options = optimizer.options();
    let scalar = |name: &str, dtype, initial| StateSpec {
        name: name.to_owned(),
        shape: Vec::new(),
        dtype,
        initial,
        copied_from: None,
    };
    let mut states = vec![scalar(ITERATION, DType::I64, 0.0)];
    if let LearningRate::Constant(rate) = options.learning_rate {
        states.push(scalar(LEARNING_RATE, DType::F32, rate));
    }
    let for_each = |slot: &'static str| {
        trained.iter().map(move |parameter| StateSpec {
            name: slot_name(&parameter.name, slot),
            shape: parameter.shape.clone(),
            dtype: DType::F32,
            initial: 0.0,
            copied_from: None,
        })
    };
    if options.use_ema {
        states.extend(for_each(AVERAGE));
    }
    if options.gradient_accumulation_steps.is_some() {
        states.extend(for_each(ACCUMULATOR));
    }
    let slots: Vec<Vec<Slot>> = trained.iter().map(|one| optimizer.slots(one)).collect();
    let passes = slots.iter().flatten().map(|slot| slot.pass + 1).max();
    for pass in 0..passes.unwrap_or(0) {
        for (parameter, slots) in trained.iter().zip(&slots) {
            let slots = slots.iter().filter(|slot| slot.pass == pass);
            states.extend(slots.map(|slot| StateSpec {
                name: slot_name(&parameter.name, slot.name),
                shape: slot.shape.clone(),
                dtype: slot.dtype,
                initial: slot.initial,
                copied_from: slot.begins_as_value.then(|| parameter.name.clone()),
            }));
        }
    }
    let shared = optimizer.shared_slots().into_iter();
    states.extend(shared.map(|slot| StateSpec {
        name: shared_name(slot.name),
        shape: slot.shape,
        dtype: slot.dtype,
        initial: slot.initial,
        copied_from: None,
    }));
    states
}

/// The state with a parameter's moving average.
pub(crate) fn average_name(parameter: &str) -> String {
    slot_name(parameter, AVERAGE)
}
