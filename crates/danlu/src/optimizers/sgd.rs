//! Stochastic gradient descent.

use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
};
use crate::{Arguments, Config, Result, config};

/// Gradient descent, with momentum and Nesterov's form of it (Keras' `SGD`). With a batch of all examples it is the full
/// batch's gradient descent.
///
/// `w -= lr g`; with momentum `m = mu m - lr g`, then `w += m`, or with Nesterov `w += mu m - lr g`.
#[derive(Clone, Debug)]
pub struct SGD {
    options: Options,
    momentum: f64,
    nesterov: bool,
}

impl SGD {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> SGD {
        SGD {
            options: Options::new(learning_rate),
            momentum: 0.0,
            nesterov: false,
        }
    }
}

shared_arguments!(SGD);

own_arguments!(SGD {
    /// From 0 up to, without, 1. Default 0.
    momentum: f64,
    /// Whether the momentum looks ahead. Default `false`.
    nesterov: bool,
});

impl Default for SGD {
    /// A learning rate of 0.01.
    fn default() -> SGD {
        SGD::new(0.01)
    }
}

impl Optimizer for SGD {
    fn class_name(&self) -> &str {
        "SGD"
    }
    fn from_config(arguments: &mut Arguments) -> Result<SGD> {
        let default = SGD::default();
        Ok(SGD {
            options: default.options.take(arguments)?,
            momentum: arguments.number("momentum")?.unwrap_or(default.momentum),
            nesterov: arguments.boolean("nesterov")?.unwrap_or(default.nesterov),
        })
    }
    fn config(&self) -> Config {
        config! {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        match self.momentum == 0.0 {
            true => Vec::new(),
            false => vec![Slot::new("momentum", &parameter.shape)],
        }
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let change = parameter.gradient.multiply(&parameter.learning_rate)?;
        let Some(old) = parameter.slots.first() else {
            return Ok(Update {
                value: parameter.value.subtract(&change)?,
                slots: Vec::new(),
            });
        };
        let momentum = old.multiply_scalar(self.momentum)?.subtract(&change)?;
        let momentum = momentum.flush_tiny()?;
        let value = if self.nesterov {
            let ahead = momentum.multiply_scalar(self.momentum)?.subtract(&change)?;
            parameter.value.add(&ahead)?
        } else {
            parameter.value.add(&momentum)?
        };
        Ok(Update {
            value,
            slots: vec![momentum],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("SGD")?;
        check_decay("SGD", "momentum", self.momentum)
    }
}
