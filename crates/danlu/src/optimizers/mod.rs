//! Optimizers: how gradients change parameters. One file per optimizer.
//!
//! In order of increasing complexity: [`SGD`], [`Adagrad`], [`RMSprop`], [`Lion`], [`Adam`], [`AdamW`], [`Adamax`], [`Nadam`],
//! [`SparseAdam`], [`Adadelta`], [`Lamb`], [`Ftrl`], [`Adafactor`], [`ScheduleFreeAdamW`], [`Muon`]. All take what [`Options`] holds; a
//! learning rate is a number or one of [`schedules`]. [`LBFGS`] stands apart: it asks for loss and gradient several times in a step.

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod alone;
mod apply;
mod arithmetic;
mod clipping;
mod ftrl;
mod json;
mod lamb;
mod lbfgs;
mod lion;
mod muon;
mod nadam;
mod options;
mod rate;
mod registry;
mod rmsprop;
mod schedule_free_adamw;
pub mod schedules;
mod sgd;
mod sparse_adam;
mod state;

use std::any::Any;
use std::fmt::Debug;

use danlu_graph::Value;

use crate::{Arguments, Config, Error, Result};

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use alone::StepAlone;
pub(crate) use apply::updates;
pub use clipping::Clipping;
pub(crate) use clipping::global_norm;
pub use ftrl::Ftrl;
pub(crate) use json::file_name;
pub use json::{from_json, to_json};
pub use lamb::Lamb;
pub use lbfgs::{LBFGS, LineSearch, Minimized};
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::Nadam;
pub use options::Options;
pub use rate::LearningRate;
pub use registry::{names, register_optimizer};
pub use rmsprop::RMSprop;
pub use schedule_free_adamw::ScheduleFreeAdamW;
pub use schedules::Schedule;
pub use sgd::SGD;
pub use sparse_adam::SparseAdam;
pub(crate) use state::{ITERATION, LBFGS_STATE, LEARNING_RATE, StateSpec, average_name, layout};
pub use state::{Slot, Trained};

/// A rule for changing parameters. Its state in the executor is `optimizer/iteration` (i64), `optimizer/learning_rate` (f32,
/// where the rate is a number), `optimizer/<layer>/<parameter>/<slot>` for each slot of a parameter, and `optimizer/<slot>` for
/// what is kept once.
pub trait Optimizer: Any + Send + Debug {
    /// Keras' class name, such as `Adam`.
    fn class_name(&self) -> &str;

    /// The optimizer that these arguments ask for: its own, and, with [`Options::take`], those that all share.
    ///
    /// # Errors
    /// One is of another type.
    fn from_config(arguments: &mut Arguments) -> Result<Self>
    where
        Self: Sized;

    /// The arguments beside those of [`Options`], by Keras' names.
    fn config(&self) -> Config;

    /// The arguments that all optimizers share.
    fn options(&self) -> &Options;

    /// What is kept for this parameter.
    fn slots(&self, parameter: &Trained) -> Vec<Slot>;

    /// What is kept once, not for each parameter.
    fn shared_slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    /// The new values of [`shared_slots`](Self::shared_slots), before any parameter's.
    ///
    /// # Errors
    /// An operation does not take these values.
    fn begin(&self, step: &Step) -> Result<Vec<Value>> {
        Ok(step.shared.clone())
    }

    /// How fast this parameter decays, where it is not excluded.
    fn weight_decay(&self, parameter: &Trained) -> Option<f64> {
        let _ = parameter;
        self.options().weight_decay
    }

    /// The parameter's and its slots' new values.
    ///
    /// # Errors
    /// An operation does not take these values.
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update>;

    /// Checks the arguments.
    ///
    /// # Errors
    /// One has a value that it cannot have.
    fn check(&self) -> Result<()>;
}

/// What all updates of a step share.
pub struct Step {
    /// Updates before this one, i64 without axes. Steps that only accumulate gradients do not count.
    pub iteration: Value,
    /// What is kept once: the old values in [`Optimizer::begin`], then the new ones.
    pub shared: Vec<Value>,
}

/// One parameter in a step: value and gradient are f32 of its shape.
#[derive(Clone)]
pub struct Parameter {
    /// Which it is.
    pub described: Trained,
    /// Its value, after weight decay.
    pub value: Value,
    /// Its gradient, clipped.
    pub gradient: Value,
    /// Its learning rate, f32 without axes.
    pub learning_rate: Value,
    /// Its slots, in the order of [`Optimizer::slots`].
    pub slots: Vec<Value>,
}

/// The new values of a parameter and its slots.
pub struct Update {
    /// The parameter's.
    pub value: Value,
    /// The slots', in the order of [`Optimizer::slots`].
    pub slots: Vec<Value>,
}

/// What `compile` takes as an optimizer: a name, or a value.
pub trait IntoOptimizer {
    /// The optimizer.
    ///
    /// # Errors
    /// The name stands for nothing.
    fn into_optimizer(self) -> Result<Box<dyn Optimizer>>;
}

impl<O: Optimizer> IntoOptimizer for O {
    fn into_optimizer(self) -> Result<Box<dyn Optimizer>> {
        Ok(Box::new(self))
    }
}

impl IntoOptimizer for Box<dyn Optimizer> {
    fn into_optimizer(self) -> Result<Box<dyn Optimizer>> {
        Ok(self)
    }
}

impl IntoOptimizer for &str {
    fn into_optimizer(self) -> Result<Box<dyn Optimizer>> {
        json::from_name(self)
    }
}

/// Fails unless a number is at least 0 and finite.
pub(crate) fn check_rate(owner: &str, argument: &str, value: f64) -> Result<()> {
    // The optimizer keeps it in 32 bits.
    if (value as f32).is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::argument(
            owner,
            argument,
            "a number of at least 0 that 32 bits can hold",
            value,
        ))
    }
}

/// Fails unless a number is at least 0 and below 1.
pub(crate) fn check_decay(owner: &str, argument: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(Error::argument(
            owner,
            argument,
            "from 0 up to, without, 1",
            value,
        ))
    }
}

/// Fails unless a number is finite.
pub(crate) fn check_finite(owner: &str, argument: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(Error::argument(owner, argument, "a finite number", value))
    }
}

#[cfg(test)]
mod tests;
