//! RMSprop.

use super::arithmetic::mix;
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// RMSprop (Tieleman and Hinton 2012) as Keras computes it: `v = rho v + (1 - rho) g^2`, `w -= lr g / sqrt(v + epsilon)`; with
/// momentum `m = mu m + lr g / sqrt(v + epsilon)`, `w -= m`. Centered, the square of the gradient's mean is taken from `v`
/// under the root.
#[derive(Clone, Debug)]
pub struct RMSprop {
    options: Options,
    rho: f64,
    momentum: f64,
    epsilon: f64,
    centered: bool,
}

impl RMSprop {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> RMSprop {
        RMSprop {
            options: Options::new(learning_rate),
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
            centered: false,
        }
    }
}

shared_arguments!(RMSprop);

own_arguments!(RMSprop {
    /// The decay of the means. Default 0.9.
    rho: f64,
    /// From 0 up to, without, 1. Default 0.
    momentum: f64,
    /// What is added under the square root. Default 1e-7.
    epsilon: f64,
    /// Whether the gradient's variance stands under the root, not its square. Default `false`.
    centered: bool,
});

impl Default for RMSprop {
    /// A learning rate of 0.001.
    fn default() -> RMSprop {
        RMSprop::new(0.001)
    }
}

impl Optimizer for RMSprop {
    fn class_name(&self) -> &str {
        "RMSprop"
    }
    fn from_config(arguments: &mut Arguments) -> Result<RMSprop> {
        let default = RMSprop::default();
        Ok(RMSprop {
            options: default.options.take(arguments)?,
            rho: arguments.number("rho")?.unwrap_or(default.rho),
            momentum: arguments.number("momentum")?.unwrap_or(default.momentum),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
            centered: arguments.boolean("centered")?.unwrap_or(default.centered),
        })
    }
    fn config(&self) -> Config {
        config! {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        let mut slots = vec![Slot::new("velocity", &parameter.shape)];
        if self.momentum > 0.0 {
            slots.push(Slot::new("momentum", &parameter.shape).pass(1));
        }
        if self.centered {
            slots.push(Slot::new("average_gradient", &parameter.shape).pass(2));
        }
        slots
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let (old, gradient) = (&parameter.slots, &parameter.gradient);
        let velocity = mix(&old[0], &gradient.square()?, self.rho)?;
        let mut slots = vec![velocity.clone()];
        let mut variance = velocity;
        let mut average = None;
        if self.centered {
            let mean = mix(&old[old.len() - 1], gradient, self.rho)?;
            variance = variance.subtract(&mean.square()?)?;
            average = Some(mean);
        }
        let divisor = variance.add_scalar(self.epsilon)?.sqrt()?;
        let mut change = gradient
            .multiply(&parameter.learning_rate)?
            .divide(&divisor)?;
        if self.momentum > 0.0 {
            let momentum = old[1].multiply_scalar(self.momentum)?.add(&change)?;
            change = momentum.flush_tiny()?;
            slots.push(change.clone());
        }
        slots.extend(average);
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots,
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("RMSprop")?;
        check_decay("RMSprop", "rho", self.rho)?;
        check_decay("RMSprop", "momentum", self.momentum)?;
        check_rate("RMSprop", "epsilon", self.epsilon)
    }
}
