//! Stochastic gradient descent.

use super::{Clipping, Optimizer, Parameter, Step, Update, check_decay, check_rate};
use crate::{Config, Result, config};

/// Gradient descent, with momentum and Nesterov's form of it (Keras' `SGD`). With a batch of all examples it is the full
/// batch's gradient descent.
///
/// `w -= lr g`; with momentum `m = mu m - lr g`, then `w += m`, or with Nesterov `w += mu m - lr g`.
#[derive(Clone, Debug)]
pub struct SGD {
    pub(super) learning_rate: f64,
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
    pub(super) clipping: Clipping,
}

impl SGD {
    /// With this learning rate, without momentum.
    pub fn new(learning_rate: f64) -> SGD {
        SGD {
            learning_rate,
            momentum: 0.0,
            nesterov: false,
            clipping: Clipping::None,
        }
    }

    /// From 0 up to, without, 1. Default 0.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> SGD {
        self.momentum = momentum;
        self
    }

    /// Whether the momentum looks ahead. Default `false`.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> SGD {
        self.nesterov = nesterov;
        self
    }

    /// How gradients are cut. Default not at all.
    #[must_use]
    pub fn clipping(mut self, clipping: Clipping) -> SGD {
        self.clipping = clipping;
        self
    }
}

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
    fn config(&self) -> Config {
        config! { "momentum": self.momentum, "nesterov": self.nesterov }
    }
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
    fn clipping(&self) -> Clipping {
        self.clipping
    }
    fn slots(&self) -> &[&'static str] {
        if self.momentum == 0.0 {
            &[]
        } else {
            &["momentum"]
        }
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let change = parameter.gradient.multiply(&step.learning_rate)?;
        let Some(old) = parameter.slots.first() else {
            return Ok(Update {
                value: parameter.value.subtract(&change)?,
                slots: Vec::new(),
            });
        };
        let momentum = old.multiply_scalar(self.momentum)?.subtract(&change)?;
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
        check_rate("SGD", "learning_rate", self.learning_rate)?;
        check_decay("SGD", "momentum", self.momentum)?;
        self.clipping.check("SGD")
    }
}
