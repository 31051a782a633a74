//! Lion.

use super::arithmetic::{between, mix};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
};
use crate::{Arguments, Config, Error, Result, config};

/// Lion (Chen and others 2023, "Symbolic Discovery of Optimization Algorithms") as Keras computes it:
/// `w -= lr sign(b1 m + (1 - b1) g)`, then `m = b2 m + (1 - b2) g`. Learning rates are 3 to 10 times smaller than Adam's.
#[derive(Clone, Debug)]
pub struct Lion {
    options: Options,
    beta_1: f64,
    beta_2: f64,
}

impl Lion {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Lion {
        Lion {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.99,
        }
    }
}

shared_arguments!(Lion);

own_arguments!(Lion {
    /// The momentum's share in the step, above 0 and at most 1. Default 0.9.
    beta_1: f64,
    /// The decay of the gradient's mean. Default 0.99.
    beta_2: f64,
});

impl Default for Lion {
    /// A learning rate of 0.001.
    fn default() -> Lion {
        Lion::new(0.001)
    }
}

impl Optimizer for Lion {
    fn class_name(&self) -> &str {
        "Lion"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Lion> {
        let default = Lion::default();
        Ok(Lion {
            options: default.options.take(arguments)?,
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        vec![Slot::new("momentum", &parameter.shape)]
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let (momentum, gradient) = (&parameter.slots[0], &parameter.gradient);
        let direction = between(momentum, gradient, self.beta_1)?.sign()?;
        let change = direction.multiply(&parameter.learning_rate)?;
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots: vec![mix(momentum, gradient, self.beta_2)?],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Lion")?;
        check_decay("Lion", "beta_2", self.beta_2)?;
        if !(self.beta_1 > 0.0 && self.beta_1 <= 1.0) {
            let expected = "above 0 and at most 1 (0 is the sign of the gradient alone)";
            return Err(Error::argument("Lion", "beta_1", expected, self.beta_1));
        }
        Ok(())
    }
}
