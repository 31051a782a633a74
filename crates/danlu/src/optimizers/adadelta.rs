//! Adadelta.

use super::arithmetic::mix;
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// Adadelta (Zeiler 2012) as Keras computes it: `a = rho a + (1 - rho) g^2`, `d = -sqrt(b + epsilon) g / sqrt(a + epsilon)`,
/// `b = rho b + (1 - rho) d^2`, `w += lr d`.
#[derive(Clone, Debug)]
pub struct Adadelta {
    options: Options,
    rho: f64,
    epsilon: f64,
}

impl Adadelta {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adadelta {
        Adadelta {
            options: Options::new(learning_rate),
            rho: 0.95,
            epsilon: 1e-7,
        }
    }
}

shared_arguments!(Adadelta);

own_arguments!(Adadelta {
    /// The decay of both means. Default 0.95.
    rho: f64,
    /// What is added under both square roots. Default 1e-7.
    epsilon: f64,
});

impl Default for Adadelta {
    /// A learning rate of 0.001.
    fn default() -> Adadelta {
        Adadelta::new(0.001)
    }
}

impl Optimizer for Adadelta {
    fn class_name(&self) -> &str {
        "Adadelta"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Adadelta> {
        let default = Adadelta::default();
        Ok(Adadelta {
            options: default.options.take(arguments)?,
            rho: arguments.number("rho")?.unwrap_or(default.rho),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
        })
    }
    fn config(&self) -> Config {
        config! {
            "rho": self.rho,
            "epsilon": self.epsilon,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        vec![
            Slot::new("accumulated_grad", &parameter.shape),
            Slot::new("accumulated_delta_var", &parameter.shape),
        ]
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let gradient = &parameter.gradient;
        let gradients = mix(&parameter.slots[0], &gradient.square()?, self.rho)?;
        let old = &parameter.slots[1];
        // One root of the quotient, where Keras divides two roots.
        let square = old
            .add_scalar(self.epsilon)?
            .divide(&gradients.add_scalar(self.epsilon)?)?;
        let change = square.sqrt()?.multiply(gradient)?.negate()?;
        let changes = mix(old, &change.square()?, self.rho)?;
        let step = change.multiply(&parameter.learning_rate)?;
        Ok(Update {
            value: parameter.value.add(&step)?,
            slots: vec![gradients, changes],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Adadelta")?;
        check_decay("Adadelta", "rho", self.rho)?;
        check_rate("Adadelta", "epsilon", self.epsilon)
    }
}
