//! Adamax.

use super::arithmetic::{approach, local_step, one_minus_power};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// Adamax (Kingma and Ba 2015, section 7.1) as Keras computes it: `m += (g - m) (1 - b1)`, `u = max(b2 u, |g|)`,
/// `w -= lr m / ((1 - b1^t) (u + epsilon))`.
#[derive(Clone, Debug)]
pub struct Adamax {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

impl Adamax {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adamax {
        Adamax {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

shared_arguments!(Adamax);

own_arguments!(Adamax {
    /// The decay of the gradient's mean. Default 0.9.
    beta_1: f64,
    /// The decay of the largest gradient. Default 0.999.
    beta_2: f64,
    /// What is added to the largest gradient. Default 1e-7.
    epsilon: f64,
});

impl Default for Adamax {
    /// A learning rate of 0.001.
    fn default() -> Adamax {
        Adamax::new(0.001)
    }
}

impl Optimizer for Adamax {
    fn class_name(&self) -> &str {
        "Adamax"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Adamax> {
        let default = Adamax::default();
        Ok(Adamax {
            options: default.options.take(arguments)?,
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        vec![
            Slot::new("momentum", &parameter.shape),
            Slot::new("norm", &parameter.shape),
        ]
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let gradient = &parameter.gradient;
        let momentum = approach(&parameter.slots[0], gradient, self.beta_1)?;
        let decayed = parameter.slots[1].multiply_scalar(self.beta_2)?;
        let norm = decayed.maximum(&gradient.abs()?)?.flush_tiny()?;
        let correction = one_minus_power(self.beta_1, &local_step(step)?)?;
        let divisor = norm.add_scalar(self.epsilon)?.multiply(&correction)?;
        let change = momentum
            .multiply(&parameter.learning_rate)?
            .divide(&divisor)?;
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots: vec![momentum, norm],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Adamax")?;
        check_decay("Adamax", "beta_1", self.beta_1)?;
        check_decay("Adamax", "beta_2", self.beta_2)?;
        check_rate("Adamax", "epsilon", self.epsilon)
    }
}
