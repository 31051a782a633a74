//! Optimizers: how gradients change parameters. In order of increasing complexity: [`SGD`], [`Adam`], [`SparseAdam`].

mod adam;
mod clipping;
mod json;
mod sgd;
mod sparse_adam;

use std::fmt::Debug;

use danlu_graph::Value;

use crate::{Config, Error, Result};

pub use adam::Adam;
pub use clipping::Clipping;
pub use sgd::SGD;
pub use sparse_adam::SparseAdam;

/// A rule for changing parameters. Its state in the executor is `optimizer/iteration` (i64), `optimizer/learning_rate` (f32) and,
/// for each parameter, f32 slots of the parameter's shape, `optimizer/<layer>/<parameter>/<slot>`.
pub trait Optimizer: Send + Debug + 'static {
    /// Keras' class name, such as `Adam`.
    fn class_name(&self) -> &str;

    /// The arguments beside `name`, `learning_rate` and clipping, by Keras' names.
    fn config(&self) -> Config;

    /// The learning rate to begin with.
    fn learning_rate(&self) -> f64;

    /// What is done to gradients first.
    fn clipping(&self) -> Clipping {
        Clipping::None
    }

    /// The names of what is kept for each parameter, in Keras' order.
    fn slots(&self) -> &[&'static str];

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
    /// Steps before this one, i64 without axes.
    pub iteration: Value,
    /// f32 without axes.
    pub learning_rate: Value,
}

/// One parameter in a step: all f32 of the parameter's shape.
pub struct Parameter {
    /// Its value.
    pub value: Value,
    /// Its gradient, clipped.
    pub gradient: Value,
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

pub use json::{from_json, to_json};

/// Fails unless a number is at least 0 and finite.
pub(crate) fn check_rate(owner: &str, argument: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::argument(
            owner,
            argument,
            "a number of at least 0",
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

#[cfg(test)]
mod tests;
