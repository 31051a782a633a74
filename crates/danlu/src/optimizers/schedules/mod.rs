//! Schedules: learning rates that are computed from the step. One file per schedule.
//!
//! Of Keras: [`ExponentialDecay`], [`PiecewiseConstantDecay`], [`PolynomialDecay`], [`InverseTimeDecay`], [`CosineDecay`],
//! [`CosineDecayRestarts`]. Beside them: [`StepDecay`] and [`OneCycle`], PyTorch's `StepLR` and `OneCycleLR`, and [`Warmup`] before
//! any other. A schedule is part of the graph of a training step; steps are the optimizer's, counted from 0.

mod cosine_decay;
mod cosine_decay_restarts;
mod exponential_decay;
mod inverse_time_decay;
mod one_cycle;
mod piecewise_constant_decay;
mod polynomial_decay;
mod registry;
mod step_decay;
mod warmup;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::reference::ReferenceExecutor;
use danlu_graph::{Bindings, DType, Graph, Program, Tensor, Value};
use serde_json::Value as Json;

use super::arithmetic::divide_by;
use crate::config::{Described, described, keras_object};
use crate::{Arguments, Config, Error, Result};

pub use cosine_decay::CosineDecay;
pub use cosine_decay_restarts::CosineDecayRestarts;
pub use exponential_decay::ExponentialDecay;
pub use inverse_time_decay::InverseTimeDecay;
pub use one_cycle::{Anneal, OneCycle};
pub use piecewise_constant_decay::PiecewiseConstantDecay;
pub use polynomial_decay::PolynomialDecay;
pub use registry::{names, register_schedule};
pub use step_decay::StepDecay;
pub use warmup::Warmup;

/// A learning rate that is computed from the step.
pub trait Schedule: Send + Sync + Debug + 'static {
    /// Keras' class name, such as `ExponentialDecay`.
    fn class_name(&self) -> &str;

    /// The schedule that these arguments ask for.
    ///
    /// # Errors
    /// One is missing or of another type.
    fn from_config(arguments: &mut Arguments) -> Result<Self>
    where
        Self: Sized;

    /// The arguments beside `name`, by Keras' names.
    fn config(&self) -> Config;

    /// The learning rate, f32 without axes, from the number of steps before this one, i64 without axes.
    ///
    /// # Errors
    /// An operation does not take these values.
    fn rate(&self, iteration: &Value) -> Result<Value>;

    /// Checks the arguments.
    ///
    /// # Errors
    /// One has a value that it cannot have.
    fn check(&self) -> Result<()>;
}

/// The rate after so many steps, from the same graph as a training step computes it with.
///
/// # Errors
/// The schedule cannot be computed.
pub fn rate_at(schedule: &dyn Schedule, iteration: u64) -> Result<f64> {
    let graph = Graph::new();
    let iteration = i64::try_from(iteration).unwrap_or(i64::MAX);
    let rate = schedule.rate(&graph.constant(Tensor::from_i64(&[], vec![iteration])?)?)?;
    let program = Program::new(&graph, &[], &[("rate", &rate)], &[])?;
    let values = ReferenceExecutor::new().evaluate(&program, &Bindings::new(), &[])?;
    let node = program.outputs()[0].node;
    let rate = values.get(node).and_then(|array| array.data.first());
    rate.copied().ok_or_else(|| {
        let class = schedule.class_name();
        Error::mismatch(class, "one learning rate", "an empty value", "")
    })
}

/// The schedule that an object with its type and arguments describes, as a recipe or one of Keras' files holds it.
///
/// # Errors
/// There is no such schedule or argument, or an argument has a value that it cannot have.
pub fn from_json(owner: &str, value: &Json) -> Result<Arc<dyn Schedule>> {
    let (class, config) = match described(owner, "learning_rate", value)? {
        Described::Object(class, config) => (class, config),
        Described::Name(name) => (name, Config::new()),
    };
    let Some(make) = registry::find(&class) else {
        let names = names();
        let names = names.iter().map(String::as_str);
        return Err(Error::unknown("learning rate schedule", &class, names));
    };
    let mut arguments = match value.get("class_name").is_some() {
        true => Arguments::from_file(class, config),
        false => Arguments::new(class, config),
    };
    // Keras names the operations of its graph by it.
    arguments.take("name");
    let schedule = make(&mut arguments)?;
    arguments.finish()?;
    schedule.check()?;
    Ok(schedule)
}

/// As Keras writes it.
pub fn to_json(schedule: &dyn Schedule) -> Json {
    let class = schedule.class_name();
    let mut config = schedule.config();
    if registry::is_of_keras(class) {
        // As Keras' own default, which alone differs from the class there.
        let name = match class {
            "CosineDecayRestarts" => "SGDRDecay",
            "PiecewiseConstantDecay" => "PiecewiseConstant",
            class => class,
        };
        config.insert("name".to_owned(), name.into());
        return keras_object("keras.optimizers.schedules", class, config);
    }
    let mut object = keras_object("danlu", class, config);
    object["registered_name"] = format!("danlu>{class}").into();
    object
}

/// The steps as f32, divided by a number.
fn share(iteration: &Value, steps: f64) -> Result<Value> {
    divide_by(&iteration.cast(DType::F32)?, steps)
}

/// `0.5 (1 + cos(pi x))`: from 1 to 0.
fn half_cosine(x: &Value) -> Result<Value> {
    let cosine = x.multiply_scalar(std::f64::consts::PI)?.cos()?;
    Ok(cosine.add_scalar(1.0)?.multiply_scalar(0.5)?)
}

/// Fails unless a number is above 0 and finite.
fn check_steps(owner: &str, argument: &str, steps: f64) -> Result<()> {
    if steps > 0.0 && steps.is_finite() {
        Ok(())
    } else {
        Err(Error::argument(owner, argument, "a number above 0", steps))
    }
}

#[cfg(test)]
mod tests;
